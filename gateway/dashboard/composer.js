// Where one writes: Enter sends, Shift+Enter begins a line. What is written outlives a reload. Who
// only reads is told so instead.

import { html, useEffect, useLayoutEffect, useRef, useState } from "./html.js";
import { keep, kept } from "./kept.js";
import { outputElement, showOutput } from "./outputs.js";
import { Icon, named } from "./parts.js";

const MOST_BYTES = 512 * 1024;
const encoder = new TextEncoder();

const READING = {
  viewer: "You read this session as a viewer.",
  approver: "You read this session as an approver, and decide about its outputs.",
};

export function Composer({ session }) {
  return session.may("write")
    ? html`<${Writable} session=${session} />`
    : html`<${Readable} session=${session} />`;
}

function Readable({ session }) {
  return html`<div class="composer">
    ${session.may("decide") && html`<${Waiting} session=${session} />`}
    <${Typing} session=${session} />
    <p class="composer-reading hint">${READING[session.role]}</p>
  </div>`;
}

function Writable({ session }) {
  const { conversation } = session;
  const key = `sessiond.writing ${session.subject} ${session.id}`;
  const [text, setText] = useState(() => kept(key));
  const field = useRef();
  useLayoutEffect(() => fit(field.current), [text]);
  const { status, currentAgent } = conversation.session;
  const [draft] = conversation.drafts.values();
  const isLong = text.length > MOST_BYTES / 4 && encoder.encode(text).length > MOST_BYTES;

  const write = (written) => {
    setText(written);
    session.typing(written !== "");
    keep(key, written);
  };
  const send = (event) => {
    event?.preventDefault();
    if (!text.trim() || isLong) return;
    session.change("append", { content: text });
    write("");
    field.current.focus();
  };
  const press = (event) => {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) send(event);
  };
  const mayEdit = session.may("edit");
  return html`<form class="composer" onSubmit=${send}>
    ${session.may("decide") && html`<${Waiting} session=${session} />`}
    ${status === "paused" && html`
      <p class="composer-note">
        This session is paused: you can write, and agents wait.
        ${mayEdit && html`
          <button type="button" class="button is-quiet" onClick=${() => session.change("resume")}>
            Resume
          </button>`}
      </p>`}
    <${Typing} session=${session} />
    <div class="composer-field">
      <textarea
        ref=${field} rows="1" dir="auto" aria-label="Message" value=${text}
        placeholder=${currentAgent ? `Message ${named(currentAgent)}` : "Write a message"}
        onInput=${({ target }) => write(target.value)} onKeyDown=${press}
        onBlur=${() => session.typing(false)}
      ></textarea>
      ${draft && mayEdit && html`
        <button
          type="button" class="round-button" title="Stop the answer" aria-label="Stop the answer"
          onClick=${() => session.change("cancel", { turnId: draft.turnId })}
        ><${Icon} name="stop" /></button>`}
      <button
        class="round-button is-primary" title="Send" aria-label="Send"
        disabled=${!text.trim() || isLong}
      ><${Icon} name="send" /></button>
    </div>
    ${isLong && html`
      <p class="error" role="alert">A message can be 512 KiB long, and this is more.</p>`}
  </form>`;
}

/** Leads to an output that waits and is out of sight. */
function Waiting({ session }) {
  const { outputs, messages } = session.conversation;
  const [outputId] = Object.entries(outputs).find(([, { status }]) => status === "pending") ?? [];
  const [isSeen, setSeen] = useState(false);
  useEffect(() => {
    setSeen(false);
    const element = outputElement(outputId);
    if (!element) return undefined;
    const watching = new IntersectionObserver(([{ isIntersecting }]) => setSeen(isIntersecting));
    watching.observe(element);
    return () => watching.disconnect();
  }, [outputId, messages]);
  if (!outputId || isSeen) return null;
  return html`<p class="composer-note is-waiting">
    An output waits for your decision.
    <button type="button" class="button is-quiet" onClick=${() => showOutput(session, outputId)}>
      Show it
    </button>
  </p>`;
}

function Typing({ session }) {
  const typing = session.conversation.present.members
    .filter((member) => member.typing)
    .map(({ subject, actingFor }) => actingFor || subject)
    .filter((name) => name !== session.subject || !session.isTyping)
    .map((name) => (name === session.subject ? "You, in another window," : name));
  const verb = typing.length > 1 || typing[0]?.startsWith("You,") ? "are" : "is";
  return html`<p class="typing">
    ${typing.length > 0 && html`
      <span class="dots"><i /><i /><i /></span><bdi>${typing.join(", ")}</bdi>${` ${verb} typing`}`}
  </p>`;
}

function fit(field) {
  field.style.height = "auto";
  field.style.height = `${field.scrollHeight}px`;
}
