// A user's sessions, newest activity first: pages by REST, and what changes meanwhile by the watch.
//
//   load() --> rows <-- changes of the watch, by revision
//     ^
//     +-- again whenever the watch has listed: only from there on it tells every change
//
// What the watch tells while a page is under way is put over that page, since it may be newer.

import { newId } from "./chance.js";
import { Model } from "./model.js";
import { path } from "./rest.js";
import { UserEvents } from "./user_events.js";

const PAGE = 50;
const MOST = 1000;

/** `phase` is "loading", "ready" or "failed"; `query` is {q, status}. */
export class SessionList extends Model {
  phase = "loading";
  problem = null;
  rows = [];
  more = "";
  loadingMore = false;
  live = true;
  query = { q: "", status: "" };
  doomed = new Map();
  #gone = new Set();
  #news = null;
  #turn = 0;
  #rest;
  #subject;
  #events;

  constructor(rest, subject) {
    super();
    this.#rest = rest;
    this.#subject = subject;
    this.#events = new UserEvents(rest, subject, {
      told: (change) => this.#take(change),
      stood: (live) => this.#stood(live),
    });
  }

  start() {
    this.#again();
    this.#events.run();
  }

  stop() {
    this.#events.stop();
  }

  ask(query) {
    this.query = { ...this.query, ...query };
    this.phase = "loading";
    this.load();
  }

  /** Load what is shown anew: as many rows as there are, at least a page. */
  async load(size = PAGE) {
    const turn = (this.#turn += 1);
    this.#news = new Map();
    this.changed();
    try {
      const page = await this.#page(size);
      if (turn !== this.#turn) return;
      this.rows = page.sessions;
      this.more = page.nextPageToken;
      this.phase = "ready";
      this.problem = null;
      const news = this.#news;
      this.#news = null;
      for (const session of news.values()) this.#place(session);
    } catch (problem) {
      if (turn !== this.#turn) return;
      this.phase = "failed";
      this.problem = problem;
    }
    this.changed();
  }

  async loadMore() {
    if (!this.more || this.loadingMore) return;
    const turn = this.#turn;
    const { query } = this;
    this.loadingMore = true;
    this.changed();
    try {
      const page = await this.#page(PAGE, this.more);
      if (turn !== this.#turn) {
        // The list began anew meanwhile: it is to be as long as was wished.
        if (query === this.query) this.#again(PAGE);
      } else {
        const held = new Set(this.rows.map((row) => row.id));
        this.rows = [...this.rows, ...page.sessions.filter((row) => !held.has(row.id))];
        this.more = page.nextPageToken;
      }
    } catch (problem) {
      // The listing has become too old to go on with: a new one shows the same rows and more.
      if (problem.code === "PAGE_TOKEN_EXPIRED") this.#again(PAGE);
      else this.problem = problem;
    }
    this.loadingMore = false;
    this.changed();
  }

  /** Make a session; what is undefined comes from the template, if one is named. */
  async create({ workflowId, title, userInputs, metadata, template }) {
    const body = { workflowId, title, userInputs, metadata, template };
    return this.#rest.change("POST", "/api/sessions", body, { wanted: true });
  }

  /** Store a session from the file that an export of it is. */
  async importFile(file) {
    const type = file.name.endsWith(".ndjson") ? "application/x-ndjson" : "application/json";
    const options = { headers: { "Content-Type": type }, body: file };
    return (await this.#rest.open("POST", "/api/import", options)).json();
  }

  /** The user's own templates, without their inputs. */
  async templates() {
    const { templates } = await this.#rest.get(path`/api/users/${this.#subject}/templates`);
    return templates.filter(({ builtIn }) => !builtIn);
  }

  async template(name) {
    return this.#rest.get(path`/api/users/${this.#subject}/templates/${name}`);
  }

  async deleteTemplate(name) {
    await this.#rest.change("DELETE", path`/api/users/${this.#subject}/templates/${name}`);
  }

  async rename(id, title) {
    await this.#rest.change("PATCH", path`/api/sessions/${id}`, { title });
    this.#mark(id, { title });
  }

  async pause(id) {
    await this.#rest.change("PUT", path`/api/sessions/${id}/pause`);
    this.#mark(id, { status: "paused" });
  }

  async resume(id) {
    await this.#rest.change("PUT", path`/api/sessions/${id}/resume`);
    this.#mark(id, { status: "active" });
  }

  /** Delete a session after a while, unless that is taken back by `keep`; `failed` hears why not. */
  remove(session, afterMs, failed) {
    const timer = setTimeout(() => this.#remove(session.id, newId()).catch(failed), afterMs);
    this.doomed.set(session.id, timer);
    this.changed();
  }

  keep(id) {
    clearTimeout(this.doomed.get(id));
    this.doomed.delete(id);
    this.changed();
  }

  async #remove(id, key) {
    try {
      await this.#rest.change("DELETE", path`/api/sessions/${id}`, undefined, { key });
      this.#take({ removedId: id });
    } catch (problem) {
      if (problem.code !== "SESSION_NOT_FOUND") throw problem;
      this.#take({ removedId: id }); // somebody was faster
    } finally {
      this.keep(id);
    }
  }

  async #page(size, token = "") {
    const asked = new URLSearchParams({ pageSize: String(size) });
    if (this.query.q) asked.set("q", this.query.q);
    if (this.query.status) asked.set("status", this.query.status);
    if (token) asked.set("pageToken", token);
    const page = await this.#rest.get(`${path`/api/users/${this.#subject}/sessions`}?${asked}`);
    page.sessions = page.sessions.filter((row) => !this.#gone.has(row.id));
    return page;
  }

  /** Show at once what the watch will tell a moment later. */
  #mark(id, change) {
    this.rows = this.rows.map((row) => (row.id === id ? { ...row, ...change } : row));
    this.changed();
  }

  #again(besides = 0) {
    this.load(Math.min(MOST, Math.max(PAGE, this.rows.length + besides)));
  }

  #take({ listed, session, removedId }) {
    if (listed) return this.#again();
    if (removedId !== undefined) {
      this.#gone.add(removedId);
      this.#news?.delete(removedId);
      this.rows = this.rows.filter((row) => row.id !== removedId);
    } else if (session) {
      this.#gone.delete(session.id); // shared once more
      this.#news?.set(session.id, session);
      this.#place(session);
    }
    this.changed();
  }

  #place(session) {
    const held = this.rows.find((row) => row.id === session.id);
    if (held && held.revision >= session.revision) return;
    const others = this.rows.filter((row) => row !== held);
    // Beyond the last row lies what was not loaded: it comes with its page.
    const isInReach = !this.more || !others.length || isBefore(session, others.at(-1));
    if (this.#matches(session) && isInReach) others.push(session);
    this.rows = others.sort((one, other) => (isBefore(one, other) ? -1 : 1));
  }

  #matches({ title, lastMessage, status }) {
    const q = this.query.q.toLowerCase();
    if (this.query.status && this.query.status !== status) return false;
    return !q || title.toLowerCase().includes(q) || lastMessage.toLowerCase().includes(q);
  }

  #stood(live) {
    if (this.live === live) return;
    this.live = live;
    this.changed();
  }
}

function isBefore(one, other) {
  if (one.lastActive !== other.lastActive) return one.lastActive > other.lastActive;
  return one.id < other.id;
}
