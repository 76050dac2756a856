// What one person has said in a session and has not seen happen yet.
//
//   sending --reply--> sent --its event is shown--> forgotten
//      |  ^
//      v  | again, under the same operation id
//     failed
//
// A change without a reply is said again on each new connection, with the `since` of its first
// attempt: so the server knows it again, and makes it once. It waits in this tab's storage, so that
// a reload or a new sign-in loses none.

import { newId } from "./chance.js";
import { keep, kept } from "./kept.js";
import { sentenceOf } from "./rest.js";

/** `subject` is who speaks. */
export class Outbox {
  items = [];
  #subject;
  #key;

  constructor(sessionId, subject) {
    this.#subject = subject;
    this.#key = `sessiond.unanswered ${subject} ${sessionId}`;
    const saved = JSON.parse(kept(this.#key) || "[]");
    this.items = saved.map((item) => ({ ...item, state: "sending", problem: "" }));
  }

  /** Take a change that is made at `since`, and return it. */
  add(kind, body, since) {
    const item = {
      opId: newId(), kind, body, since, state: "sending", seq: 0, problem: "",
    };
    this.items = [...this.items, item];
    this.#keep();
    return item;
  }

  frame({ opId, kind, body, since }) {
    return { [kind]: { opId, ...body }, since };
  }

  get unanswered() {
    return this.items.filter((item) => item.state === "sending");
  }

  /**
   * Take a reply. Returns the change and after how many milliseconds to say it again, where the
   * server could not take it now, or does not know what became of it.
   */
  answered(reply) {
    const item = this.items.find((each) => each.opId === reply.opId);
    if (!item || item.state === "sent") return null;
    // What was to be stopped may have ended by itself.
    if (reply.error && item.kind === "cancel") return this.discard(item);
    if (reply.error?.retryable) return { item, afterMs: reply.error.retryAfterMs || 1000 };
    this.#become(item, reply.error
      ? { state: "failed", problem: sentenceOf(reply.error) }
      : { state: "sent", seq: reply.seq });
    return null;
  }

  /** Take an event: it may be what one of the changes has become. */
  happened({ actor, opId, seq }) {
    const item = this.items.find((each) => each.opId === opId);
    if (item && actor.subject === this.#subject) this.#become(item, { state: "sent", seq });
  }

  /** Forget what the session shows now, up to this seq. */
  shown(seq) {
    if (this.items.some((item) => item.state === "sent" && item.seq <= seq)) {
      this.items = this.items.filter((item) => item.state !== "sent" || item.seq > seq);
    }
  }

  again(item) {
    return this.#become(item, { state: "sending", problem: "" });
  }

  discard(item) {
    this.items = this.items.filter((each) => each.opId !== item.opId);
    this.#keep();
    return null;
  }

  #become(item, change) {
    const changed = { ...item, ...change };
    this.items = this.items.map((each) => (each.opId === item.opId ? changed : each));
    this.#keep();
    return changed;
  }

  #keep() {
    const waiting = this.unanswered;
    keep(this.#key, waiting.length ? JSON.stringify(waiting) : "");
  }
}
