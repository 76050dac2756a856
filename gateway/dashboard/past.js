// A session as it was after one of its events: to look at, and to go back to.

import { ForkButton } from "./forking.js";
import { html } from "./html.js";
import { Messages } from "./messages.js";
import { Failure } from "./parts.js";
import { path } from "./rest.js";
import { Steps } from "./steps.js";

const TAIL = 200;

/** What `Messages` and `Steps` show of an open session, as it was: nothing in it can be changed. */
export class Past {
  isPast = true;
  state = "loading";
  problem = null;
  conversation = null;
  outbox = { items: [] };
  older = { state: "idle", problem: null };

  constructor(session, seq) {
    this.id = session.id;
    this.subject = session.subject;
    this.seq = seq;
    this.workflow = session.conversation.workflow;
  }

  /** Whether older messages than those that are shown were there. */
  get isCut() {
    return this.conversation.messages.length === TAIL;
  }

  async load(rest) {
    this.state = "loading";
    try {
      const asked = new URLSearchParams({ atSeq: String(this.seq), tail: String(TAIL) });
      const session = await rest.get(`${path`/api/sessions/${this.id}`}?${asked}`);
      this.conversation = {
        session,
        workflow: this.workflow,
        outputs: session.agentOutputs,
        messages: session.conversationHistory,
        hasOlder: false,
        drafts: new Map(),
      };
      this.state = "shown";
    } catch (problem) {
      this.problem = problem;
      this.state = "failed";
    }
  }

  may() {
    return false;
  }

  loadOlder() {}
}

/** In the place of the conversation, and of where one writes. */
export function PastChat({ past, session }) {
  const { state, seq } = past;
  if (state === "failed") {
    return html`<div class="conversation">
      <${Failure} problem=${past.problem} again=${() => session.lookBack(seq)} />
      <button class="button is-wide" onClick=${() => session.lookAway()}>Back to now</button>
    </div>`;
  }
  if (state === "loading") {
    return html`<div class="conversation"><p class="beginning" role="status">Looking back…</p></div>`;
  }
  return html`
    <${Steps} session=${past} place="aside" />
    <${Messages} key=${`past ${seq}`} session=${past} />
    <div class="composer past-foot" role="group" aria-label="The session as it was">
      <p>
        <strong>This is how the session was after this message.</strong>
        ${past.isCut && html`${" "}Its newest ${TAIL} messages are shown.`}
      </p>
      <div class="past-acts">
        ${session.may("own") && html`
          <button class="button" onClick=${() => session.goBack(seq)}>Go back to here</button>`}
        <${ForkButton} session=${session} seq=${seq} />
        <button class="button is-primary" onClick=${() => session.lookAway()}>Back to now</button>
      </div>
    </div>`;
}
