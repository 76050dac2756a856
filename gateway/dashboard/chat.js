// One session: its conversation, its workflow, and where one writes.

import { ChatHead } from "./chat_head.js";
import { Composer } from "./composer.js";
import { html, useEffect, useMemo } from "./html.js";
import { Messages } from "./messages.js";
import { useModel } from "./model.js";
import { Link } from "./navigation.js";
import { OpenSession } from "./open_session.js";
import { Notice } from "./parts.js";
import { PastChat } from "./past.js";
import { Steps } from "./steps.js";

const SESSION_ID = /^[A-Za-z0-9._~-]{1,128}$/;

export function Chat({ sessionId, rest, signIn }) {
  if (!SESSION_ID.test(sessionId)) return html`<${NotFound} />`;
  return html`<${Opened} key=${sessionId} sessionId=${sessionId} rest=${rest} signIn=${signIn} />`;
}

function Opened({ sessionId, rest, signIn }) {
  const session = useModel(useMemo(() => new OpenSession(sessionId, rest, signIn), [sessionId]));
  const { token } = signIn.bearer;
  const { conversation, connection } = session;
  useEffect(() => {
    session.start();
    return () => session.stop();
  }, [session]);
  useEffect(() => connection.renew(), [token]);
  const title = conversation.session?.title;
  useEffect(() => {
    document.title = `${title || "Session"} · sessiond`;
  }, [title]);

  const { state, reason, detail } = connection.standing;
  if (state === "ended" && reason === "SESSION_NOT_FOUND") {
    return html`<${NotFound} wasHere=${conversation.isWhole} />`;
  }
  if (state === "ended" && reason !== "UNAUTHENTICATED") {
    return html`<main id="main" class="page" tabindex="-1">
      <${Notice} icon="warning" title="This session cannot be shown" level="1">
        <p>${detail || reason || "The server closed the connection."}</p>
        <button class="button" onClick=${() => connection.renew()}>Try again</button>
      <//>
    </main>`;
  }
  if (!conversation.isWhole) return html`<${Loading} state=${state} />`;
  return html`<${Whole} session=${session} />`;
}

function Whole({ session }) {
  const { conversation, connection } = session;
  const { state } = connection.standing;
  const { completedSteps, totalSteps } = conversation.session.progress;
  if (session.past) {
    return html`<main id="main" class="chat" tabindex="-1">
      <${ChatHead} session=${session} />
      <${PastChat} past=${session.past} session=${session} />
    </main>`;
  }
  return html`<main id="main" class="chat" tabindex="-1">
    <${ChatHead} session=${session} />
    ${state !== "connected" && state !== "ended" && html`
      <div class="banner is-late" role="status">
        <span>
          <strong>No connection.</strong>
          ${" "}What you write waits here, and goes out when the server can be reached.
        </span>
        <button class="button is-quiet" onClick=${() => connection.renew()}>Try now</button>
      </div>`}
    <details class="steps-fold">
      <summary>
        ${conversation.workflow.name}
        ${totalSteps > 0 && html`<span>${completedSteps} of ${totalSteps} steps</span>`}
      </summary>
      <${Steps} session=${session} place="folded" />
    </details>
    <${Steps} session=${session} place="aside" />
    <${Messages} session=${session} />
    <${Composer} session=${session} />
  </main>`;
}

function Loading({ state }) {
  const isReached = state !== "waiting";
  return html`<main id="main" class="page" tabindex="-1">
    <p class="hint" role="status">
      ${isReached ? "Loading the conversation…" : "The server cannot be reached. Trying again…"}
    </p>
    <div aria-hidden="true" class="bones">
      <span class="bone is-title"></span><span class="bone"></span><span class="bone"></span>
      <span class="bone is-short"></span>
    </div>
  </main>`;
}

export function NotFound({ wasHere = false }) {
  useEffect(() => {
    document.title = "Not found · sessiond";
  }, []);
  return html`<main id="main" class="page" tabindex="-1">
    <${Notice}
      icon="search" level="1" title=${wasHere ? "This session is not here any more" : "There is no such session"}
    >
      <p>${wasHere
        ? "It was deleted, or it is shared with you no longer."
        : "It may have been deleted, or it belongs to somebody else."}</p>
      <${Link} class="button" href="/">To your sessions<//>
    <//>
  </main>`;
}
