// The REST interface: JSON both ways, and failures as errors with a name.

import { Backoff, newId, sleep } from "./chance.js";

const ATTEMPTS = 5;
const STEP = /\/\.\.?(?=[/?]|$)/;

/** A failure as the server named it; `NETWORK` where nothing answered. */
export class Problem extends Error {
  constructor({ code, detail, status = 0, retryable = false, errors = [] }, retryAfterMs = 0) {
    super(detail);
    this.code = code;
    this.status = status;
    this.retryable = retryable;
    this.retryAfterMs = retryAfterMs;
    this.sentence = sentenceOf({ detail, errors });
  }
}

/** What a failure says to a person, with the fields that are to blame. */
export function sentenceOf({ detail, errors }) {
  return [detail, ...errors.map(({ field, message }) => `${field} ${message}.`)].join(" ");
}

export class Rest {
  #signIn;

  constructor(signIn) {
    this.#signIn = signIn;
  }

  async get(path) {
    return (await this.#answered("GET", path)).json();
  }

  /**
   * Change something. The key makes it safe to ask again when no answer came, so that is done here.
   * The answer's body is returned where it is wanted.
   */
  async change(method, path, body, { wanted = false, key = newId() } = {}) {
    const headers = { "Idempotency-Key": key };
    if (body !== undefined) headers["Content-Type"] = "application/json";
    const answer = await this.#answered(method, path, { headers, body: JSON.stringify(body) });
    if (wanted) return answer.json();
    await answer.body?.cancel();
    return null;
  }

  /** Ask once, and return the answer as it comes: for streams. */
  async open(method, path, options = {}) {
    if (isLost(path)) throw new Problem({ code: "INVALID_ARGUMENT", detail: LOST });
    const { token } = this.#signIn.bearer;
    const headers = { ...options.headers, Authorization: `Bearer ${token}` };
    let answer;
    try {
      answer = await fetch(path, { ...options, method, headers, cache: "no-store" });
    } catch (error) {
      if (error.name === "AbortError") throw error;
      const detail = "The server cannot be reached.";
      throw new Problem({ code: "NETWORK", detail, retryable: true });
    }
    if (answer.ok) return answer;
    if (answer.status === 401) this.#signIn.refused(token);
    throw await problemOf(answer);
  }

  async #answered(method, path, options) {
    const backoff = new Backoff();
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await this.open(method, path, options);
      } catch (error) {
        if (!error.retryable || attempt === ATTEMPTS) throw error;
        await sleep(backoff.pause(error.retryAfterMs));
      }
    }
  }
}

async function problemOf(answer) {
  const seconds = Number(answer.headers.get("Retry-After") ?? 0);
  try {
    return new Problem(await answer.json(), seconds * 1000);
  } catch {
    const detail = `The server answered with status ${answer.status}.`;
    return new Problem({ code: "UNKNOWN", detail, status: answer.status });
  }
}

/** What to tell of a path that is lost. */
export const LOST =
  "A browser cannot ask for what is called “.” or “..”. The command line and other clients can.";

/**
 * Whether a browser would ask for another path: it takes these names for steps of a way, and no
 * escape hides them.
 */
export const isLost = (path) => STEP.test(path);

/** A path of ids, each escaped. */
export function path(strings, ...ids) {
  return String.raw({ raw: strings }, ...ids.map(encodeURIComponent));
}
