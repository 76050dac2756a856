// A session as it was after one of its events, or at a time: to look at, and to go back to.

import { ForkButton } from "./forking.js";
import { html, useState } from "./html.js";
import { Messages } from "./messages.js";
import { Failure } from "./parts.js";
import { exactTime } from "./relative_time.js";
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

  /** `moment` is {seq} or {time}; the seq of the last event before a time is known once loaded. */
  constructor(session, moment) {
    this.id = session.id;
    this.subject = session.subject;
    this.moment = moment;
    this.seq = moment.seq ?? 0;
    this.workflow = session.conversation.workflow;
  }

  /** Whether older messages than those that are shown were there. */
  get isCut() {
    return this.conversation.messages.length === TAIL;
  }

  async load(rest) {
    this.state = "loading";
    try {
      const { seq, time } = this.moment;
      const asked = new URLSearchParams({ tail: String(TAIL) });
      if (time) asked.set("atTime", time);
      else asked.set("atSeq", String(seq));
      const session = await rest.get(`${path`/api/sessions/${this.id}`}?${asked}`);
      this.seq = session.revision;
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
  const { state, seq, moment } = past;
  if (state === "failed") {
    return html`<div class="conversation">
      <${Failure} problem=${past.problem} again=${() => session.lookBack(moment)} />
      <${AtTime} past=${past} session=${session} />
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
        <strong>
          This is how the session was ${moment.time ? `on ${exactTime(moment.time)}` : "after this message"}.
        </strong>
        ${past.isCut && html`${" "}Its newest ${TAIL} messages are shown.`}
      </p>
      <${AtTime} key=${seq} past=${past} session=${session} />
      <div class="past-acts">
        ${session.may("own") && html`
          <button class="button" onClick=${() => session.goBack(seq)}>Go back to here</button>`}
        <${ForkButton} session=${session} seq=${seq} />
        <button class="button is-primary" onClick=${() => session.lookAway()}>Back to now</button>
      </div>
    </div>`;
}

/** Where one chooses another time to look at, as clocks here show it. */
function AtTime({ past, session }) {
  const { createdAt } = session.conversation.session;
  const [at, setAt] = useState(onClock(past.moment.time ?? past.conversation?.session.lastActive ?? createdAt));
  const show = (event) => {
    event.preventDefault();
    // A time is shown to the second: what happened within it had happened.
    session.lookBack({ time: new Date(Date.parse(at) + 999).toISOString() });
  };
  return html`<form class="past-time" onSubmit=${show}>
    <label>
      <span class="unseen">As it was at</span>
      <input
        class="field" type="datetime-local" step="1" required min=${onClock(createdAt)} value=${at}
        onInput=${({ target }) => setAt(target.value)}
      />
    </label>
    <button class="button">Show</button>
  </form>`;
}

/** A time as a field of the browser holds it: local, to the second. */
function onClock(time) {
  const at = new Date(time);
  return new Date(at - at.getTimezoneOffset() * 60_000).toISOString().slice(0, 19);
}
