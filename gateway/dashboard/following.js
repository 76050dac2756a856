// One thing that is followed over one event stream after another.

import { Backoff, sleep } from "./chance.js";
import { eventsOf } from "./event_stream.js";
import { Problem } from "./rest.js";

const PATIENCE_MS = 1500; // a gateway that restarts is back sooner, and nobody need hear of it

/**
 * Follow from `run` until `stop`, and again from there on. `took` hears the kind and the data of each
 * event; `stood` hears whether they come.
 */
export class Following {
  /** Where to go on; "" to begin anew. */
  cursor = "";
  #rest;
  #at;
  #took;
  #stood;
  #stopping = null;
  #worry = 0;

  constructor(rest, at, { took, stood }) {
    this.#rest = rest;
    this.#at = at;
    this.#took = took;
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
    const headers = this.cursor ? { "Last-Event-ID": this.cursor } : {};
    const answer = await this.#rest.open("GET", this.#at, { headers, signal });
    this.#calm();
    this.#stood(true);
    for await (const { kind, id, data } of eventsOf(answer, () => silence.abort())) {
      backoff.reset();
      if (kind === "goaway") return data.goaway.reconnect ? data.goaway.retryAfterMs : -1;
      this.#took(kind, data);
      if (id) this.cursor = id;
    }
    return 0;
  }

  #calm() {
    clearTimeout(this.#worry);
    this.#worry = 0;
  }
}
