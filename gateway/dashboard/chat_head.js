// The head of a conversation: its title, how it stands, who is here.

import { ExportMenu } from "./exporting.js";
import { HoldButton } from "./holding.js";
import { html } from "./html.js";
import { chatPath, Link } from "./navigation.js";
import { Avatar, Fixed, Held, Icon, IconButton, Menu, named, Status, Title, UNTITLED } from "./parts.js";
import { SaveTemplate } from "./save_template.js";
import { SharingButton } from "./sharing.js";

const SHOWN = 4;

export function ChatHead({ session }) {
  const { conversation, outbox } = session;
  const { title, status, currentAgent, held, lineage, lastActive } = conversation.session;
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
      ${session.may("hold") && html`
        <${HoldButton}
          held=${held}
          label=${held ? "End the legal hold" : "Put under a legal hold"}
          set=${(hold) => session.change("setHold", hold)}
        />`}
      ${currentAgent && html`<span class="chat-agent">with ${named(currentAgent)}</span>`}
      ${lineage && html`
        <${Link} class="chat-agent" href=${chatPath(lineage.sessionId)}>
          forked from another session, after its event ${lineage.seq}
        <//>`}
      <${Present} present=${conversation.present} subject=${session.subject} />
      <${SharingButton} session=${session} />
      ${mayEdit && status !== "completed" && html`
        <${IconButton}
          icon=${isPaused ? "play" : "pause"}
          label=${isPaused ? "Resume the session" : "Pause the session"}
          onClick=${() => session.change(isPaused ? "resume" : "pause")}
        />`}
      ${!session.past && html`
        <${IconButton}
          icon="clock" label="As it was at a time"
          onClick=${() => session.lookBack({ time: lastActive })}
        />`}
      <${ExportMenu} session=${session} />
      <${SaveTemplate} session=${session} />
    </div>
  </header>`;
}

const CHANGES = ["update", "pause", "resume", "rewind", "setHold"];

/** Who else is here: a few as pictures, and all by name in a list. */
function Present({ present: { members, count }, subject }) {
  const others = members
    .map(({ subject: name, role, actingFor }) => ({ name: actingFor || name, role }))
    .filter(({ name }) => name !== subject);
  if (!others.length) return null;
  const shown = others.slice(0, SHOWN);
  const unnamed = count - members.length; // of very many the server names some
  const hidden = others.length - shown.length + unnamed;
  const face = html`
    ${shown.map(({ name, role }) => html`
      <${Avatar}
        key=${name} name=${role === "agent" ? named(name) : name}
        kind=${role === "agent" ? "agent" : "user"} label=${`${name} is here`}
      />`)}
    ${hidden > 0 && html`<span class="avatar is-more">+${hidden}</span>`}`;
  return html`<${Menu} label=${`Others here: ${shown.length + hidden}`} face=${face} kind="present">
    ${others.map(({ name, role }) => html`
      <li key=${name}>
        <bdi>${role === "agent" ? named(name) : name}</bdi><span class="hint">${named(role)}</span>
      </li>`)}
    ${unnamed > 0 && html`<li class="hint">and ${unnamed} more</li>`}
  <//>`;
}
