// The change feed as it comes: the newest changes of all sessions.

import { Following } from "./following.js";
import { html, useEffect, useMemo } from "./html.js";
import { Model, useModel } from "./model.js";
import { chatPath, Link } from "./navigation.js";
import { Icon, spelled } from "./parts.js";
import { exactTime, timeOfDay } from "./relative_time.js";

const MOST = 200;

/** `rows` are the newest, newest first: {key, kind, sessionId, seq, time, who, userId}. */
class ChangeTail extends Model {
  rows = [];
  live = true;
  isPaused = false;
  #following;
  #taken = 0;
  #drawing = 0;

  constructor(rest) {
    super();
    this.#following = new Following(rest, "/api/changes", {
      took: (kind, data) => this.#take(kind, data),
      stood: (live) => this.#stood(live),
    });
  }

  start() {
    if (!this.isPaused) this.#following.run();
  }

  stop() {
    this.#following.stop();
    cancelAnimationFrame(this.#drawing);
    this.#drawing = 0;
  }

  /** Stay where it is; what comes meanwhile comes after `resume`. */
  pause() {
    this.isPaused = true;
    this.stop();
    this.changed();
  }

  resume() {
    this.isPaused = false;
    this.start();
    this.changed();
  }

  #take(kind, data) {
    const row = ROWS[kind]?.(data[kind]);
    if (!row) return;
    this.#taken += 1;
    this.rows = [{ ...row, key: this.#taken }, ...this.rows.slice(0, MOST - 1)];
    // Changes that come together are drawn together.
    this.#drawing ||= requestAnimationFrame(() => {
      this.#drawing = 0;
      this.changed();
    });
  }

  #stood(live) {
    if (this.live === live) return;
    this.live = live;
    this.changed();
  }
}

const who = (actor) => actor?.actingFor || actor?.subject || "";

const ROWS = {
  changed: ({ userId, event }) => ({
    // An event says what happened by the one field that is its own.
    kind: Object.keys(event).find((name) => name !== "actor" && typeof event[name] === "object"),
    sessionId: event.sessionId,
    seq: event.seq,
    time: event.time,
    who: who(event.actor),
    userId,
  }),
  deleted: ({ sessionId, time, actor }) => ({ kind: "deleted", sessionId, time, who: who(actor) }),
  reset: () => ({ kind: "reset" }),
};

export function Changes({ rest, token }) {
  const tail = useModel(useMemo(() => new ChangeTail(rest), [rest]));
  useEffect(() => {
    // Nobody looks at a hidden tab, and browsers allow few streams to one server.
    const follow = () => (document.hidden ? tail.stop() : tail.start());
    follow();
    document.addEventListener("visibilitychange", follow);
    return () => {
      document.removeEventListener("visibilitychange", follow);
      tail.stop();
    };
  }, [tail, token]);
  const { rows, live, isPaused } = tail;
  return html`<section aria-labelledby="changes">
    <div class="page-head">
      <h2 id="changes">Changes</h2>
      <button class="button" onClick=${() => (isPaused ? tail.resume() : tail.pause())}>
        <${Icon} name=${isPaused ? "play" : "pause"} /> ${isPaused ? "Resume" : "Pause"}
      </button>
    </div>
    <p class="hint" role="status">${standing(isPaused, live)}</p>
    ${rows.length > 0 && html`
      <ol class="rows tail" aria-label="Changes, newest first">
        ${rows.map((row) => html`<${Change} key=${row.key} row=${row} />`)}
      </ol>`}
  </section>`;
}

function standing(isPaused, live) {
  if (isPaused) return "Paused. What happens meanwhile comes when you resume.";
  if (!live) return "Changes do not come at the moment. Trying to reach the server…";
  return `All changes of all sessions as they come, the newest ${MOST} of them.`;
}

function Change({ row: { kind, sessionId, seq, time, who: name, userId } }) {
  if (kind === "reset") {
    return html`<li class="tail-reset">
      <strong>Reset.</strong> Deletions before this may be missing: what was built from the feed is to
      be built anew.
    </li>`;
  }
  return html`<li>
    <time datetime=${time} title=${exactTime(time)}>${timeOfDay(time)}</time>
    <strong>${kind ? spelled(kind) : "Changed"}</strong>
    ${seq !== undefined && html`<span>event ${seq}</span>`}
    ${name && html`<span>by <bdi>${name}</bdi></span>`}
    ${userId && userId !== name && html`<span>of <bdi>${userId}</bdi></span>`}
    ${kind === "deleted"
      ? html`<code>${sessionId}</code>`
      : html`<${Link} href=${chatPath(sessionId)}><code>${sessionId}</code><//>`}
  </li>`;
}
