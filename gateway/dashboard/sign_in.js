// Who works here: a bearer token, kept in memory alone, and the way to get one.
//
//   page --return_to, state--> sign-in URL --#token, state--> page
//
// The state is random and waits in this tab's storage: a token that comes with another one was not
// asked for here, and is dropped. The server checks tokens; the page only reads who they name.

import { newId } from "./chance.js";
import { Model } from "./model.js";

const STATE_KEY = "sessiond.sign-in";
const WARNING_MS = 60_000;
const LONGEST_TIMER_MS = 2 ** 31 - 1;

/** A token with what it says of its bearer; throws when it is none. */
function readToken(token) {
  const [header, claims] = token.split(".", 2).map((part) => JSON.parse(decoded(part)));
  if (typeof claims.sub !== "string" || typeof claims.exp !== "number") throw new Error("no token");
  return {
    token,
    subject: claims.sub,
    role: claims.role ?? "user",
    expiresAt: claims.exp * 1000,
    // Development keys are named so, and no part takes them in production.
    inDevelopment: String(header.kid ?? "").startsWith("dev-"),
  };
}

function decoded(part) {
  const text = atob(part.replaceAll("-", "+").replaceAll("_", "/"));
  return new TextDecoder().decode(Uint8Array.from(text, (each) => each.charCodeAt(0)));
}

/**
 * The token that there is. `standing` is "absent", "good", "ending" (within a minute) or "ended";
 * `problem` says what went wrong on the way back from the sign-in page.
 */
export class SignIn extends Model {
  bearer = null;
  standing = "absent";
  problem = "";
  #timer = 0;

  constructor(url) {
    super();
    this.url = url;
  }

  /** Take what the sign-in page sent back; otherwise go there. */
  arrive() {
    const fragment = new URLSearchParams(location.hash.slice(1));
    const token = fragment.get("token");
    const error = fragment.get("error");
    if (token === null && error === null) {
      if (this.url) this.go();
      return;
    }
    const expected = sessionStorage.getItem(STATE_KEY);
    sessionStorage.removeItem(STATE_KEY);
    history.replaceState(history.state, "", location.pathname + location.search);
    if (!expected || fragment.get("state") !== expected) {
      this.problem = "This sign-in was not started in this tab.";
    } else if (token !== null) {
      this.take(token);
    } else {
      this.problem = `The sign-in page says: ${error}`;
    }
  }

  /** Leave for the sign-in page, which comes back to this place. */
  go({ asAnother = false } = {}) {
    const state = newId();
    sessionStorage.setItem(STATE_KEY, state);
    const target = new URL(this.url);
    target.searchParams.set("return_to", location.origin + location.pathname + location.search);
    target.searchParams.set("state", state);
    if (asAnother) target.searchParams.set("prompt", "login");
    location.assign(target);
  }

  /** Use this token from here on; return whether it is one. */
  take(token) {
    try {
      this.bearer = readToken(token.trim());
    } catch {
      this.problem = "This is not a token.";
      this.changed();
      return false;
    }
    this.problem = "";
    this.#watch();
    return true;
  }

  /** Forget the token, where no sign-in page remembers it. */
  leave() {
    clearTimeout(this.#timer);
    this.bearer = null;
    this.standing = "absent";
    this.changed();
  }

  /** The server does not take this token, or takes it no longer. */
  refused(token) {
    if (token !== this.bearer?.token) return;
    clearTimeout(this.#timer);
    this.standing = "ended";
    this.changed();
  }

  #watch() {
    clearTimeout(this.#timer);
    const left = this.bearer.expiresAt - Date.now();
    this.standing = left <= 0 ? "ended" : left <= WARNING_MS ? "ending" : "good";
    const next = this.standing === "good" ? left - WARNING_MS : left;
    if (this.standing !== "ended") {
      this.#timer = setTimeout(() => this.#watch(), Math.min(next + 10, LONGEST_TIMER_MS));
    }
    this.changed();
  }
}
