// The head of a conversation: its title, how it stands, who is here.

import { ExportMenu } from "./exporting.js";
import { HoldButton } from "./holding.js";
import { html } from "./html.js";
import { chatPath, Link } from "./navigation.js";
import { Avatar, Fixed, Held, Icon, IconButton, named, Status, Title, UNTITLED } from "./parts.js";
import { SaveTemplate } from "./save_template.js";
import { SharingButton } from "./sharing.js";

const SHOWN = 4;

export function ChatHead({ session }) {
  const { conversation, outbox } = session;
  const { title, status, currentAgent, held, lineage } = conversation.session;
  const isPaused = status === "paused";
  const mayEdit = session.may("edit");
  const failed = outbox.items.find(({ kind, state }) => CHANGES.includes(kind) && state === "failed");
  return html`<header class="chat-head">
    <${Link} href="/" class="icon-button" title="To your sessions" aria-label="To your sessions">
      <${Icon} name="back" />
    <//>
    <div class="chat-name">
      <${mayEdit ? Title : Fixed}
        title=${title} placeholder=${UNTITLED}
        rename=${(wanted) => session.change("update", { title: wanted })}
      >
        <h1 class=${title ? "" : "is-untitled"}><bdi>${title || UNTITLED}</bdi></h1>
      <//>
    </div>
    ${failed && html`
      <p class="error" role="alert">
        ${failed.problem}
        <button class="button is-quiet" onClick=${() => session.discard(failed)}>Dismiss</button>
      </p>`}
    <div class="chat-facts">
      <${Status} status=${status} />
      ${held && html`<${Held} />`}
      ${session.may("hold") && html`<${HoldButton} session=${session} />`}
      ${currentAgent && html`<span class="chat-agent">with ${named(currentAgent)}</span>`}
      ${lineage && html`
        <${Link} class="chat-agent" href=${chatPath(lineage.sessionId)}>forked from another session<//>`}
      <${Present} present=${conversation.present} subject=${session.subject} />
      <${SharingButton} session=${session} />
      ${mayEdit && status !== "completed" && html`
        <${IconButton}
          icon=${isPaused ? "play" : "pause"}
          label=${isPaused ? "Resume the session" : "Pause the session"}
          onClick=${() => session.change(isPaused ? "resume" : "pause")}
        />`}
      <${ExportMenu} session=${session} />
      <${SaveTemplate} session=${session} />
    </div>
  </header>`;
}

const CHANGES = ["update", "pause", "resume", "rewind", "setHold"];

/** Who else is here. */
function Present({ present: { members, count }, subject }) {
  const others = members
    .map(({ subject: name, role, actingFor }) => ({ name: actingFor || name, role }))
    .filter(({ name }) => name !== subject);
  if (!others.length) return null;
  const hidden = count - (members.length - others.length) - Math.min(others.length, SHOWN);
  return html`<div class="present" role="group" aria-label="Others here">
    ${others.slice(0, SHOWN).map(({ name, role }) => html`
      <${Avatar}
        key=${name} name=${role === "agent" ? named(name) : name}
        kind=${role === "agent" ? "agent" : "user"} label=${`${name} is here`}
      />`)}
    ${hidden > 0 && html`
      <span class="avatar is-more" title=${`${hidden} more are here`}>+${hidden}</span>`}
  </div>`;
}
