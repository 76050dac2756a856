// The head of a conversation: its title, how it stands, who is here.

import { html } from "./html.js";
import { Link } from "./navigation.js";
import { Avatar, Icon, IconButton, named, Status, Title } from "./parts.js";

const UNTITLED = "Untitled session";
const SHOWN = 4;

export function ChatHead({ session }) {
  const { conversation, outbox } = session;
  const { title, status, currentAgent } = conversation.session;
  const isPaused = status === "paused";
  const failed = outbox.items.find(({ kind, state }) => CHANGES.includes(kind) && state === "failed");
  return html`<header class="chat-head">
    <${Link} href="/" class="icon-button" title="To your sessions" aria-label="To your sessions">
      <${Icon} name="back" />
    <//>
    <div class="chat-name">
      <${Title}
        title=${title} placeholder=${UNTITLED}
        rename=${(wanted) => session.change("update", { title: wanted })}
      >
        <h1 class=${title ? "" : "is-untitled"}><bdi>${title || UNTITLED}</bdi></h1>
      <//>
      ${failed && html`
        <p class="error" role="alert">
          ${failed.problem.detail}
          <button class="button is-quiet" onClick=${() => session.discard(failed)}>Dismiss</button>
        </p>`}
    </div>
    <div class="chat-facts">
      <${Status} status=${status} />
      ${currentAgent && html`<span class="chat-agent">with ${named(currentAgent)}</span>`}
      <${Present} present=${conversation.present} subject=${session.subject} />
      ${status !== "completed" && html`
        <${IconButton}
          icon=${isPaused ? "play" : "pause"} label=${isPaused ? "Resume the session" : "Pause the session"}
          onClick=${() => session.change(isPaused ? "resume" : "pause")}
        />`}
    </div>
  </header>`;
}

const CHANGES = ["update", "pause", "resume"];

function Present({ present: { members, count }, subject }) {
  const people = members.map(({ subject: name, role, actingFor }) => ({
    name: actingFor || name,
    kind: role === "agent" ? "agent" : "user",
    label: `${actingFor || name}${name === subject ? " (you)" : ""} is here`,
  }));
  const hidden = count - Math.min(people.length, SHOWN);
  return html`<div class="present" role="group" aria-label=${`${count} here`}>
    ${people.slice(0, SHOWN).map(({ name, kind, label }) => html`
      <${Avatar} key=${name} name=${kind === "agent" ? named(name) : name} kind=${kind} label=${label} />`)}
    ${hidden > 0 && html`<span class="avatar is-more" title=${`${hidden} more are here`}>+${hidden}</span>`}
  </div>`;
}
