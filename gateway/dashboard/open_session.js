// One session that is looked at: its connection, what it shows, and what is said in it.

import { sleep } from "./chance.js";
import { Connection } from "./connection.js";
import { Conversation } from "./conversation.js";
import { Model } from "./model.js";
import { Outbox } from "./outbox.js";
import { Past } from "./past.js";
import { path, Problem } from "./rest.js";
import { has } from "./rights.js";
import { toasts } from "./toasts.js";

const TAIL = 100;
const OLDER = 200;
const TYPING_MS = 3000; // others see it for 6 s
const UNDO_MS = 20_000;

/** Frames that come together are drawn together, once for each frame of the screen. */
export class OpenSession extends Model {
  conversation = new Conversation();
  older = { state: "idle", problem: null };
  isTyping = false;
  /** How the session was, while that is looked at; null for the present. */
  past = null;
  #signIn;
  #bearerRole;
  #path;
  #pageToken = "";
  #typedAt = 0;
  #typingEnds = 0;
  #loadingPosition = false;
  #drawing = 0;

  constructor(sessionId, rest, signIn) {
    super();
    this.id = sessionId;
    this.subject = signIn.bearer.subject;
    this.outbox = new Outbox(sessionId, this.subject);
    this.rest = rest;
    this.#signIn = signIn;
    this.#bearerRole = signIn.bearer.role;
    this.#path = path`/api/sessions/${sessionId}`;
    this.connection = new Connection(sessionId, {
      from: () => this.#hello(),
      received: (frames) => this.#take(frames),
      stood: (standing) => this.#stood(standing),
    });
  }

  start() {
    this.connection.open();
  }

  stop() {
    cancelAnimationFrame(this.#drawing);
    clearTimeout(this.#typingEnds);
    this.connection.close();
  }

  /** As what the person is here: an administrator, the owner, a member's role, or an agent. */
  get role() {
    const { session, members } = this.conversation;
    if (this.#bearerRole === "admin" || this.#bearerRole === "agent") return this.#bearerRole;
    return session?.userId === this.subject ? "owner" : members.get(this.subject);
  }

  /** Whether the person may do this here: "write", "edit", "decide", "own" or "hold". */
  may(right) {
    return has(this.role, right);
  }

  /** Make a change: it is sent now, or as soon as there is a connection. */
  change(kind, body = {}) {
    this.connection.say(this.outbox.frame(this.outbox.add(kind, body, this.conversation.seq)));
    this.changed();
  }

  /** Save what this session began with under a name of the user's; `title` is a pattern. */
  async saveTemplate(name, title) {
    const at = path`/api/users/${this.subject}/templates/${name}`;
    await this.rest.change("PUT", at, { sessionId: this.id, title });
  }

  again(item) {
    this.connection.say(this.outbox.frame(this.outbox.again(item)));
    this.changed();
  }

  discard(item) {
    this.outbox.discard(item);
    this.changed();
  }

  /** Look at the session as it was after an event, or at a time: {seq} or {time}. */
  async lookBack(moment) {
    const past = new Past(this, moment);
    this.past = past;
    this.changed();
    await past.load(this.rest);
    if (this.past === past) this.changed();
  }

  /** Look at the present again. */
  lookAway() {
    this.past = null;
    this.changed();
  }

  /** Take the session back to how it was after an event. */
  goBack(seq) {
    this.past = null;
    this.change("rewind", { toSeq: seq });
  }

  /** Tell others whether this person types. */
  typing(isTyping) {
    const now = Date.now();
    clearTimeout(this.#typingEnds);
    if (isTyping) this.#typingEnds = setTimeout(() => this.typing(false), 2 * TYPING_MS);
    if (isTyping === this.isTyping && (!isTyping || now - this.#typedAt < TYPING_MS)) return;
    this.isTyping = isTyping;
    this.#typedAt = now;
    this.connection.say({ presence: { typing: isTyping } });
  }

  /** Return the session as a file of this format. */
  async exported(format) {
    const answer = await this.rest.open("GET", `${this.#path}/export?format=${format}`);
    try {
      return await answer.blob();
    } catch {
      throw new Problem({ code: "NETWORK", detail: "The export was cut off; try again." });
    }
  }

  /** Load messages that lie before those that are here. */
  async loadOlder() {
    const { conversation } = this;
    if (this.older.state === "loading" || !conversation.hasOlder) return;
    this.older = { state: "loading", problem: null };
    this.changed();
    try {
      const had = conversation.messages.length;
      // The first pages hold what is here already.
      while (conversation.messages.length === had) {
        const page = await this.#olderPage();
        conversation.takeOlder(page.messages.reverse());
        this.#pageToken = page.nextPageToken;
        if (!page.nextPageToken) break;
      }
      this.older = { state: "idle", problem: null };
    } catch (problem) {
      this.older = { state: "failed", problem };
    }
    this.changed();
  }

  async #olderPage() {
    const asked = new URLSearchParams({ order: "desc", pageSize: String(OLDER) });
    if (this.#pageToken) asked.set("pageToken", this.#pageToken);
    try {
      return await this.rest.get(`${path`/api/chat/${this.id}/messages`}?${asked}`);
    } catch (problem) {
      if (problem.code !== "PAGE_TOKEN_EXPIRED") throw problem;
      this.#pageToken = "";
      return this.#olderPage();
    }
  }

  #hello() {
    const { token } = this.#signIn.bearer;
    const { cursor } = this.conversation;
    return { token, tail: TAIL, ...(cursor && { cursor }) };
  }

  #take(frames) {
    const { conversation, outbox } = this;
    for (const frame of frames) {
      const { event, reply, snapshot } = frame;
      conversation.take(frame);
      if (event) outbox.happened(event);
      if (event?.rewound) this.#wentBack(event);
      if (reply) this.#answered(reply);
      if (snapshot?.last) this.#pageToken = "";
    }
    outbox.shown(conversation.seq);
    this.#loadPosition();
    this.#draw();
  }

  #wentBack({ seq, actor }) {
    const who = actor.actingFor || actor.subject;
    const isMine = who === this.subject;
    const undo = { label: "Undo", run: () => this.goBack(seq - 1) };
    const text = `${isMine ? "You" : who} took the session back to how it was.`;
    toasts.show({ text, action: this.may("own") ? undo : undefined, ms: UNDO_MS });
  }

  async #answered(reply) {
    const late = this.outbox.answered(reply);
    if (!late) return;
    await sleep(late.afterMs);
    const waits = this.outbox.unanswered.some(({ opId }) => opId === late.item.opId);
    if (waits) this.connection.say(this.outbox.frame(late.item));
  }

  #stood({ state, reason }) {
    if (state === "connected") {
      for (const item of this.outbox.unanswered) this.connection.say(this.outbox.frame(item));
      if (this.isTyping) this.connection.say({ presence: { typing: true } });
    }
    if (reason === "UNAUTHENTICATED") this.#signIn.refused(this.#signIn.bearer.token);
    this.#draw();
  }

  /** Load where the workflow stands, once for all events that came meanwhile. */
  async #loadPosition() {
    const { conversation } = this;
    if (this.#loadingPosition) return;
    this.#loadingPosition = true;
    try {
      while (conversation.isPositionOld) {
        conversation.takePosition(await this.rest.get(`${this.#path}?tail=0`));
        this.#draw();
      }
    } catch {
      // The next event or connection asks again.
    }
    this.#loadingPosition = false;
  }

  #draw() {
    this.#drawing ||= requestAnimationFrame(() => {
      this.#drawing = 0;
      this.changed();
    });
  }
}
