// An output of an agent, right in the conversation: to read, and to decide while it waits.

import { html, useLayoutEffect, useRef, useState } from "./html.js";
import { Markdown } from "./message.js";
import { Icon, IconButton, named } from "./parts.js";
import { exactTime, timeOfDay } from "./relative_time.js";

const WORDS = {
  pending: "Waits for you",
  approved: "Approved",
  rejected: "Sent back",
  error: "Failed",
};

const elementId = (outputId) => `output-${outputId}`;

/** Where an output is shown; null where it is not loaded. */
export const outputElement = (outputId) => document.getElementById(elementId(outputId));

/** Bring an output into sight; older ones come with the messages around them. */
export async function showOutput(session, outputId) {
  const found = () => outputElement(outputId);
  while (!found() && session.conversation.hasOlder && session.older.state === "idle") {
    await session.loadOlder();
  }
  found()?.scrollIntoView({ block: "start" });
  found()?.focus({ preventScroll: true });
}

export function Output({ outputId, output, session }) {
  const { agentId, stepId, status, content, qualityScore, generatedAt } = output;
  const step = session.conversation.workflow.steps.find(({ id }) => id === stepId);
  const isPending = status === "pending" && !session.isPast;
  const body = html`<${Markdown} text=${content} />`;
  const word = isPending && !session.may("decide") ? "Waits for a decision" : WORDS[status];
  const heading = `${elementId(outputId)}-heading`;
  return html`<section
    class="output is-${status}" id=${elementId(outputId)} tabindex="-1" aria-labelledby=${heading}
  >
    <header class="output-head">
      <div>
        <h3 id=${heading}>${step?.name ?? named(stepId)}</h3>
        <p class="output-facts">
          <bdi>${named(agentId)}</bdi>
          <time datetime=${generatedAt} title=${exactTime(generatedAt)}>${timeOfDay(generatedAt)}</time>
          ${qualityScore !== undefined && html`<span>rated ${qualityScore} by its agent</span>`}
        </p>
      </div>
      <div class="output-stand">
        <span class="status is-${status}">${word}</span>
        ${!session.isPast && html`
          <${IconButton}
            icon="clock" label="As it was after this output"
            onClick=${() => session.lookBack({ time: generatedAt })}
          />`}
      </div>
    </header>
    ${isPending
      ? html`<${Pending} outputId=${outputId} content=${content} session=${session}>${body}<//>`
      : html`
        <details class="output-content"><summary>Read it</summary>${body}</details>
        <${Decision} output=${output} session=${session} />`}
  </section>`;
}

function Decision({ output: { userFeedback, approvedBy, approvedAt }, session }) {
  if (!userFeedback && !approvedBy) return null;
  return html`<div class="decision">
    ${approvedBy && html`<p>
      <${Icon} name="check" /> Approved by <bdi>${approvedBy}</bdi>
      ${!session.isPast && html`
        <${IconButton}
          icon="clock" label="As it was after the decision"
          onClick=${() => session.lookBack({ time: approvedAt })}
        />`}
    </p>`}
    ${userFeedback && html`<blockquote dir="auto">${userFeedback}</blockquote>`}
  </div>`;
}

/** `mode` is what the person does: read, reject or edit. */
function Pending({ outputId, content, session, children }) {
  const [mode, setMode] = useState("read");
  const [text, setText] = useState("");
  const under = session.outbox.items.filter(({ body }) => body.outputId === outputId);
  const isBusy = under.some(({ state }) => state !== "failed");
  const failed = under.find(({ state }) => state === "failed");
  const isPaused = session.conversation.session.status === "paused";
  const mayDecide = session.may("decide");
  const act = (kind, body) => {
    if (failed) session.discard(failed);
    session.change(kind, { outputId, ...body });
    setMode("read");
    setText("");
  };
  const decide = (decision, feedback) =>
    act("approve", { decision, ...(feedback && { feedback }) });
  const say = (next, beginning = "") => {
    setMode(next);
    setText(beginning);
  };
  return html`
    ${mode === "edit"
      ? html`<${Field} label="The output's text" text=${text} change=${setText} rows="14" />`
      : children}
    ${mode === "reject" && html`
      <${Field} label="What should be different?" text=${text} change=${setText} rows="3" />`}
    ${failed && html`<p class="error" role="alert">${failed.problem}</p>`}
    ${isPaused && mayDecide && html`<p class="hint">The session is paused: resume it to decide.</p>`}
    <div class="output-foot">
      ${mode === "read" && mayDecide && html`
        <button
          class="button is-primary" disabled=${isBusy || isPaused} onClick=${() => decide("approved")}
        >
          <${Icon} name="check" /> ${isBusy ? "Storing…" : "Approve"}
        </button>
        <button class="button" disabled=${isBusy || isPaused} onClick=${() => say("reject")}>
          Send back…
        </button>`}
      ${mode === "read" && session.may("edit") && html`
        <button class="button" disabled=${isBusy} onClick=${() => say("edit", content)}>
          <${Icon} name="edit" /> Edit
        </button>`}
      ${mode === "reject" && html`
        <button class="button is-primary" onClick=${() => decide("rejected", text.trim())}>
          Send back
        </button>
        <button class="button" onClick=${() => say("read")}>Cancel</button>`}
      ${mode === "edit" && html`
        <button
          class="button is-primary" disabled=${!text.trim()}
          onClick=${() => (text === content ? say("read") : act("editOutput", { content: text }))}
        >Save</button>
        <button class="button" onClick=${() => say("read")}>Cancel</button>`}
    </div>`;
}

function Field({ label, text, change, rows }) {
  const field = useRef();
  useLayoutEffect(() => field.current.focus(), []);
  return html`<label class="group">
    <span>${label}</span>
    <textarea
      ref=${field} class="field" rows=${rows} dir="auto" value=${text}
      onInput=${({ target }) => change(target.value)}
    ></textarea>
  </label>`;
}
