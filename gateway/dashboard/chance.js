// Names that nobody else has, and pauses that nobody else makes.

const FIRST_MS = 250;
const MOST_MS = 10_000;

/** A new operation id. `crypto.randomUUID` is not there on plain http pages; this is. */
export function newId() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Pauses between attempts at one thing: exponential, with full jitter. */
export class Backoff {
  #attempts = 0;

  /** The milliseconds to wait after one more failure, not less than the server asked for. */
  pause(least = 0) {
    const longest = Math.min(MOST_MS, FIRST_MS * 2 ** this.#attempts);
    this.#attempts += 1;
    return Math.max(least, longest * Math.random());
  }

  reset() {
    this.#attempts = 0;
  }
}

export function sleep(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
