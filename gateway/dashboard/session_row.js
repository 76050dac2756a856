// One session in the list.

import { html } from "./html.js";
import { chatPath, Link } from "./navigation.js";
import { Fixed, Held, IconButton, named, Status, Title, UNTITLED } from "./parts.js";
import { Progress } from "./progress.js";
import { ago, exactTime } from "./relative_time.js";
import { told, toasts } from "./toasts.js";

const UNDO_MS = 5000;

export function SessionRow({ session, list, workflow, now }) {
  const { id, title, status, workflowId, currentAgent, lastMessage, lastActive, progress } = session;
  const { sharedAs, userId, held } = session;
  const isEditor = !sharedAs || sharedAs === "editor";
  const name = title || UNTITLED;
  return html`<li class="row">
    <div class="row-head">
      <${isEditor ? Title : Fixed}
        title=${title} placeholder=${UNTITLED}
        rename=${(wanted) => list.rename(id, wanted).catch(told)}
      >
        <h2 class="row-title ${title ? "" : "is-untitled"}">
          <${Link} href=${chatPath(id)} class="row-link"><bdi>${name}</bdi><//>
        </h2>
      <//>
      <time class="row-time" datetime=${lastActive} title=${exactTime(lastActive)}>
        ${ago(lastActive, now)}
      </time>
    </div>
    <p class="row-facts">
      <${Status} status=${status} />
      ${sharedAs && html`
        <span class="badge"><bdi>${userId}</bdi> shares it: ${named(sharedAs)}</span>`}
      ${held && html`<${Held} />`}
      <span>${workflow?.name ?? named(workflowId)}</span>
      ${currentAgent && html`<span>with ${named(currentAgent)}</span>`}
    </p>
    <p class="row-last" dir="auto">${lastMessage || "No message yet."}</p>
    <${Progress} progress=${progress} workflow=${workflow} />
    <div class="row-actions">
      ${isEditor && html`<${PauseButton} session=${session} list=${list} name=${name} />`}
      ${!sharedAs && !held && html`<${IconButton}
        icon="trash" label=${`Delete ${name}`} onClick=${() => remove(list, session)}
      />`}
      <${Link} href=${chatPath(id)} class="button" aria-label=${`Continue ${name}`}>Continue<//>
    </div>
  </li>`;
}

function PauseButton({ session: { id, status }, list, name }) {
  if (status === "completed") return null;
  const isPaused = status === "paused";
  const act = () => (isPaused ? list.resume(id) : list.pause(id)).catch(told);
  return html`<${IconButton}
    icon=${isPaused ? "play" : "pause"} label=${`${isPaused ? "Resume" : "Pause"} ${name}`}
    onClick=${act}
  />`;
}

function remove(list, session) {
  list.remove(session, UNDO_MS, told);
  toasts.show({
    text: `“${session.title || UNTITLED}” will be deleted.`,
    action: { label: "Undo", run: () => list.keep(session.id) },
    ms: UNDO_MS,
  });
}
