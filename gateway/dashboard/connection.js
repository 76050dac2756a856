// The WebSocket of one session: it comes back by itself, by the cursor, until it is told not to.
//
//            open()            caughtUp
//   CLOSED ---------> OPENING ---------> CONNECTED      close codes 4500 to 4999,
//                      ^   |                |           or a final goaway --> ENDED
//                      |   v   lost         |
//                     WAITING <-------------+
//
// What the network does not say is asked for: after a silence, or when the machine wakes up, a
// ping goes out, and a socket that does not answer is left.

import { Backoff } from "./chance.js";

const SILENCE_MS = 20_000;
const ANSWER_MS = 5_000;
const OPENING_MS = 15_000;
const FINAL = 4500;

/**
 * `from()` gives what to say of token, cursor and tail; `received` gets frames in order;
 * `stood` hears of each change of `standing`: {state, reason, detail}.
 */
export class Connection {
  standing = { state: "closed", reason: "", detail: "" };
  #url;
  #from;
  #received;
  #stood;
  #socket = null;
  #backoff = new Backoff();
  #retry = 0;
  #patience = 0;
  #least = 0;

  constructor(sessionId, { from, received, stood }) {
    const url = new URL(`/api/ws/${encodeURIComponent(sessionId)}`, location.origin);
    url.protocol = location.protocol === "https:" ? "wss:" : "ws:";
    this.#url = url;
    this.#from = from;
    this.#received = received;
    this.#stood = stood;
  }

  get isConnected() {
    return this.standing.state === "connected";
  }

  open() {
    for (const kind of ["online", "offline", "visibilitychange", "focus"]) {
      (kind === "visibilitychange" ? document : window).addEventListener(kind, this);
    }
    this.#connect();
  }

  close() {
    for (const kind of ["online", "offline", "visibilitychange", "focus"]) {
      (kind === "visibilitychange" ? document : window).removeEventListener(kind, this);
    }
    this.#drop();
    this.#stand("closed");
  }

  /** Send a frame, if there is somebody to hear it; return whether there was. */
  say(frame) {
    if (!this.isConnected || this.#socket.readyState !== WebSocket.OPEN) return false;
    this.#socket.send(JSON.stringify(frame));
    return true;
  }

  /** Go on under a fresh token; a connection that had ended for want of one begins again. */
  renew() {
    const { state } = this.standing;
    if (state === "connected") this.say({ hello: { token: this.#from().token } });
    else if (state === "waiting" || state === "ended") this.#connect();
  }

  handleEvent({ type }) {
    const { state } = this.standing;
    if (type === "offline" && (state === "connected" || state === "opening")) this.#lost();
    else if (state === "waiting" && !document.hidden) this.#connect();
    else if (state === "connected" && !document.hidden) this.#probe();
  }

  #connect() {
    this.#drop();
    this.#stand("opening");
    const socket = new WebSocket(this.#url);
    this.#socket = socket;
    this.#least = 0;
    const current = (heard) => (event) => socket === this.#socket && heard(event);
    socket.onopen = current(() => socket.send(JSON.stringify({ hello: this.#from() })));
    socket.onmessage = current(({ data }) => this.#hear(JSON.parse(data)));
    socket.onclose = current(({ code, reason }) => {
      if (code >= FINAL && code < 5000) this.#end(reason, "");
      else this.#lost();
    });
    this.#patience = setTimeout(() => this.#lost(), OPENING_MS);
  }

  #hear(message) {
    clearTimeout(this.#patience);
    this.#patience = setTimeout(() => this.#probe(), SILENCE_MS);
    const frames = message.batch ?? [message];
    this.#received(frames);
    for (const { goaway, caughtUp } of frames) {
      if (caughtUp) {
        this.#backoff.reset();
        this.#stand("connected");
      } else if (goaway && !goaway.reconnect) {
        this.#end(goaway.reason, goaway.detail);
      } else if (goaway) {
        this.#least = goaway.retryAfterMs;
      }
    }
  }

  #probe() {
    clearTimeout(this.#patience);
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send('{"ping":{}}');
    this.#patience = setTimeout(() => this.#lost(), ANSWER_MS);
  }

  #lost() {
    this.#drop();
    this.#stand("waiting");
    this.#retry = setTimeout(() => this.#connect(), this.#backoff.pause(this.#least));
  }

  #end(reason, detail) {
    if (this.standing.state === "ended") return;
    this.#drop();
    this.#stand("ended", reason, detail);
  }

  #drop() {
    clearTimeout(this.#retry);
    clearTimeout(this.#patience);
    const socket = this.#socket;
    this.#socket = null;
    socket?.close();
  }

  #stand(state, reason = "", detail = "") {
    this.standing = { state, reason, detail };
    this.#stood(this.standing);
  }
}
