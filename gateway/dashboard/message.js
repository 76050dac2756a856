// One thing said: stored, on its way, or being written.

import { html, useMemo, useState } from "./html.js";
import { markdown } from "./markdown.js";
import { Avatar, Icon, IconButton, named } from "./parts.js";
import { exactTime, timeOfDay } from "./relative_time.js";

export const YOU = "You";
const LONG = 20_000; // characters

const TYPES = {
  output: "Output",
  approval_request: "Asks for a decision",
  user_input_request: "Asks for input",
};

/** A text as its writer meant it; of a very long one the beginning, until all is asked for. */
export function Markdown({ text }) {
  const [isWhole, setWhole] = useState(false);
  const isCut = text.length > LONG && !isWhole;
  const shown = useMemo(() => markdown(isCut ? `${text.slice(0, LONG)}…` : text), [text, isCut]);
  return html`<div class="prose">
    ${shown}
    ${isCut && html`
      <p><button class="button" onClick=${() => setWhole(true)}>Show all of it</button></p>`}
  </div>`;
}

/** Who said it, as the page writes it. */
export function voiceOf({ sender, agentId, userId }, subject) {
  if (sender === "agent") return named(agentId ?? "agent");
  if (sender === "system") return "System";
  return userId === subject ? YOU : userId;
}

/** `lookBack` shows the session as it was after this message; null where that is shown already. */
export function Message({ message, voice, goesOn, lookBack }) {
  const { sender, type, content, timestamp } = message;
  return html`<article
    class="message is-${sender} ${goesOn ? "goes-on" : ""}" data-seq=${message.seq}
    aria-label=${`${voice}, ${timeOfDay(timestamp)}`}
  >
    ${sender !== "user" && html`<${Avatar} name=${voice} kind=${sender} />`}
    <div class="message-body">
      <p class="message-head">
        <bdi class="voice">${voice}</bdi>
        ${TYPES[type] && html`<span class="tag">${TYPES[type]}</span>`}
        <time datetime=${timestamp} title=${exactTime(timestamp)}>${timeOfDay(timestamp)}</time>
        ${sender === "user" && html`
          <span class="sent" title="Stored"><${Icon} name="check" />Sent</span>`}
      </p>
      <div class="bubble"><${Markdown} text=${content} /></div>
      ${lookBack && html`
        <${IconButton} icon="clock" label="As it was after this message" onClick=${lookBack} />`}
    </div>
  </article>`;
}

/** What this person has said and the session does not hold yet. */
export function Outgoing({ item, session }) {
  const hasFailed = item.state === "failed";
  return html`<article class="message is-user is-outgoing" aria-label="You, not stored yet">
    <div class="message-body">
      <p class="message-head">
        <span class="voice">You</span>
        ${hasFailed
          ? html`<span class="unsent"><${Icon} name="warning" />Not sent</span>`
          : html`<span class="sent">
              <${Icon} name=${item.state === "sent" ? "check" : "clock"} />
              ${item.state === "sent" ? "Sent" : "Sending…"}
            </span>`}
      </p>
      <div class="bubble"><${Markdown} text=${item.body.content} /></div>
      ${hasFailed && html`
        <div class="unsent-foot" role="alert">
          <span>${item.problem}</span>
          <button class="button is-quiet" onClick=${() => session.again(item)}>Try again</button>
          <button class="button is-quiet" onClick=${() => session.discard(item)}>Discard</button>
        </div>`}
    </div>
  </article>`;
}

/** An answer while it is being written. */
export function Writing({ draft, agent }) {
  const voice = named(draft.agentId || agent || "agent");
  // It is drawn anew with every piece: of a very long one the end, where it grows.
  const { text } = draft;
  const end = text.length > LONG ? `…${text.slice(1 - LONG)}` : text;
  return html`<article
    class="message is-agent is-writing" aria-label=${`${voice} writes`} aria-busy="true"
  >
    <${Avatar} name=${voice} kind="agent" />
    <div class="message-body">
      <p class="message-head"><bdi class="voice">${voice}</bdi> <span class="writes">writes</span></p>
      <div class="bubble">
        ${end ? html`<${Markdown} text=${end} />` : html`<span class="dots"><i /><i /><i /></span>`}
      </div>
    </div>
  </article>`;
}
