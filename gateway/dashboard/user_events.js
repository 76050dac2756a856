// A user's list as it changes: one watch, over one event stream after another.
//
// A watch begins with a listing of all sessions, which a page that lists by REST does not need: it
// is passed over, and its end is told. So is a listing that begins anew, after a `reset`.

import { Following } from "./following.js";
import { path } from "./rest.js";

/**
 * Follow from `run` until `stop`, and again from there on. `told` hears {listed}, {session} and
 * {removedId}; `stood` hears whether the changes come.
 */
export class UserEvents {
  #following;
  #told;
  #listing = true;

  constructor(rest, subject, { told, stood }) {
    const took = (kind, data) => this.#take(kind, data);
    this.#following = new Following(rest, path`/api/users/${subject}/events`, { took, stood });
    this.#told = told;
  }

  run() {
    this.#following.run();
  }

  stop() {
    this.#following.stop();
  }

  #take(kind, data) {
    if (kind === "reset") {
      this.#listing = true;
      this.#following.cursor = "";
    } else if (kind === "listed") {
      this.#listing = false;
      this.#told({ listed: true });
    } else if (!this.#listing) {
      this.#told(data);
    }
  }
}
