// A user's list as it changes: one watch, over one event stream after another.
//
// A watch begins with a listing of all sessions, which a page that lists by REST does not need: it
// is passed over, and its end is told. So is a listing that begins anew, after a `reset`.

import { Backoff, sleep } from "./chance.js";
import { eventsOf } from "./event_stream.js";
import { Problem, path } from "./rest.js";

const PATIENCE_MS = 1500; // a gateway that restarts is back sooner, and nobody need hear of it

/**
 * Follow from `run` until `stop`, and again from there on. `told` hears {listed}, {session} and
 * {removedId}; `stood` hears whether the changes come.
 */
export class UserEvents {
  #rest;
  #subject;
  #told;
  #stood;
  #stopping = null;
  #cursor = "";
  #listing = true;
  #worry = 0;

  constructor(rest, subject, { told, stood }) {
    this.#rest = rest;
    this.#subject = subject;
    this.#told = told;
    this.#stood = stood;
  }

  async run() {
    this.stop();
    const { signal } = (this.#stopping = new AbortController());
    const backoff = new Backoff();
    while (!signal.aborted) {
      let least = 0;
      try {
        least = await this.#follow(signal, backoff);
      } catch (error) {
        least = error instanceof Problem && !error.retryable ? -1 : (error.retryAfterMs ?? 0);
      }
      if (signal.aborted) return;
      if (least < 0) return this.#stood(false);
      this.#worry ||= setTimeout(() => this.#stood(false), PATIENCE_MS);
      await sleep(backoff.pause(least));
    }
  }

  stop() {
    this.#stopping?.abort();
    this.#calm();
  }

  /** Read one stream to its end; return how long to stay away, less than 0 for ever. */
  async #follow(stopping, backoff) {
    const silence = new AbortController();
    const signal = AbortSignal.any([stopping, silence.signal]);
    const headers = this.#cursor ? { "Last-Event-ID": this.#cursor } : {};
    const answer = await this.#rest.open(
      "GET", path`/api/users/${this.#subject}/events`, { headers, signal },
    );
    this.#calm();
    this.#stood(true);
    for await (const { kind, id, data } of eventsOf(answer, () => silence.abort())) {
      backoff.reset();
      if (kind === "goaway") return data.goaway.reconnect ? data.goaway.retryAfterMs : -1;
      this.#take(kind, data);
      if (id) this.#cursor = id;
    }
    return 0;
  }

  #calm() {
    clearTimeout(this.#worry);
    this.#worry = 0;
  }

  #take(kind, data) {
    if (kind === "reset") {
      this.#listing = true;
      this.#cursor = "";
    } else if (kind === "listed") {
      this.#listing = false;
      this.#told({ listed: true });
    } else if (!this.#listing) {
      this.#told(data);
    }
  }
}
