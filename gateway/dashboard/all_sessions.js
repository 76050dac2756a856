// Everybody's sessions, user by user, and what a retention policy would find among them.

import { HoldButton } from "./holding.js";
import { html, useEffect, useMemo } from "./html.js";
import { Model, useModel } from "./model.js";
import { chatPath, Link } from "./navigation.js";
import { Failure, Held, named, Status, StatusChoice, UNTITLED } from "./parts.js";
import { ago, exactTime, useNow } from "./relative_time.js";
import { path } from "./rest.js";
import { told } from "./toasts.js";

const PAGE = 50;
const LOOKED_AT = 500; // sessions that one page of a narrowed scan looks at
const DAY_MS = 24 * 60 * 60_000;

/** `query` is {status, workflowId, inactiveDays, ageDays}; "" is any. */
class AllSessions extends Model {
  phase = "loading";
  problem = null;
  rows = [];
  more = "";
  query = { status: "", workflowId: "", inactiveDays: "", ageDays: "" };
  #began = 0;
  #turn = 0;
  #rest;

  constructor(rest) {
    super();
    this.#rest = rest;
  }

  ask(query) {
    this.query = { ...this.query, ...query };
    this.load();
  }

  load() {
    // All pages are of one query: what counts as old is the same on each.
    this.#began = Date.now();
    this.rows = [];
    this.more = "";
    return this.#read();
  }

  loadMore() {
    return this.#read();
  }

  async hold(id, hold) {
    const at = path`/api/sessions/${id}/hold`;
    const session = await this.#rest.change("PUT", at, hold, { wanted: true });
    this.rows = this.rows.map((row) => (row.id === id ? { ...row, held: session.held } : row));
    this.changed();
  }

  /** Go on with the scan until something is found; a page may be empty and not the last one. */
  async #read() {
    const turn = (this.#turn += 1);
    this.phase = "loading";
    this.problem = null;
    this.changed();
    try {
      let found = [];
      do {
        const page = await this.#rest.get(`/api/admin/sessions?${this.#asked()}`);
        if (turn !== this.#turn) return;
        // A session that moves during a scan may come twice.
        const held = new Set(this.rows.map((row) => row.id));
        found = page.sessions.filter((row) => !held.has(row.id) && this.#isOldEnough(row));
        this.rows = [...this.rows, ...found];
        this.more = page.nextPageToken;
      } while (!found.length && this.more);
    } catch (problem) {
      if (turn !== this.#turn) return;
      this.problem = problem;
    }
    this.phase = "ready";
    this.changed();
  }

  stop() {
    this.#turn += 1;
  }

  #asked() {
    const { status, workflowId, inactiveDays } = this.query;
    const isNarrowed = Object.values(this.query).some(Boolean);
    const asked = new URLSearchParams({ pageSize: String(isNarrowed ? LOOKED_AT : PAGE) });
    if (status) asked.set("status", status);
    if (workflowId) asked.set("workflowId", workflowId);
    if (inactiveDays) asked.set("inactiveSince", this.#daysAgo(inactiveDays).toISOString());
    if (this.more) asked.set("pageToken", this.more);
    return asked;
  }

  #daysAgo(days) {
    return new Date(this.#began - days * DAY_MS);
  }

  #isOldEnough({ createdAt }) {
    const { ageDays } = this.query;
    return !ageDays || new Date(createdAt) <= this.#daysAgo(ageDays);
  }
}

export function Everybody({ rest, workflows }) {
  const list = useModel(useMemo(() => new AllSessions(rest), [rest]));
  useEffect(() => {
    list.load();
    return () => list.stop();
  }, [list]);
  return html`<section aria-labelledby="everybody">
    <h2 id="everybody" class="unseen">All sessions</h2>
    <${Filters} list=${list} workflows=${workflows} />
    <p class="hint">
      A retention policy of this status, workflow, inactivity and age takes these, except for legal holds.
    </p>
    <${Rows} list=${list} workflows=${workflows} />
  </section>`;
}

function Filters({ list, workflows }) {
  const { status, workflowId, inactiveDays, ageDays } = list.query;
  return html`<div class="toolbar" role="search" aria-label="Filters">
    <${StatusChoice} chosen=${status} choose=${(wanted) => list.ask({ status: wanted })} />
    <label class="filter">
      <span>Workflow</span>
      <select
        class="field" value=${workflowId}
        onChange=${({ target }) => list.ask({ workflowId: target.value })}
      >
        <option value="">Any</option>
        ${workflows.map(({ id, name }) => html`<option key=${id} value=${id}>${name}</option>`)}
      </select>
    </label>
    <${Days}
      label="Inactive for days" value=${inactiveDays}
      choose=${(days) => list.ask({ inactiveDays: days })}
    />
    <${Days} label="Older than days" value=${ageDays} choose=${(days) => list.ask({ ageDays: days })} />
  </div>`;
}

function Days({ label, value, choose }) {
  return html`<label class="filter">
    <span>${label}</span>
    <input
      class="field" type="number" min="0" max="36500" step="any" value=${value}
      onChange=${({ target }) => target.checkValidity() && choose(target.value)}
    />
  </label>`;
}

function Rows({ list, workflows }) {
  const now = useNow();
  const { rows, phase, problem, more } = list;
  const isLoading = phase === "loading";
  if (problem && !rows.length) {
    return html`<${Failure}
      title="The sessions did not load" problem=${problem} again=${() => list.load()}
    />`;
  }
  return html`
    <p class="hint" role="status">${said(rows.length, isLoading, more)}</p>
    ${rows.length > 0 && html`
      <ul class="rows" aria-label="Everybody's sessions, user by user">
        ${rows.map((row) => html`
          <${Row}
            key=${row.id} session=${row} list=${list} now=${now}
            workflow=${workflows.find(({ id }) => id === row.workflowId)}
          />`)}
      </ul>`}
    ${problem && html`<p class="error" role="alert">${problem.sentence ?? problem.message}</p>`}
    ${more && html`
      <button class="button is-wide" disabled=${isLoading} onClick=${() => list.loadMore()}>
        ${isLoading ? "Loading…" : "Load more"}
      </button>`}`;
}

function said(count, isLoading, more) {
  if (isLoading) return "Looking through the sessions…";
  if (!count) return "No session matches.";
  return `${count}${more ? " so far" : ""}, user by user.`;
}

function Row({ session, list, now, workflow }) {
  const { id, userId, title, status, workflowId, lastActive, createdAt, held } = session;
  const name = title || UNTITLED;
  return html`<li class="row is-brief">
    <div class="row-head">
      <h3 class="row-title ${title ? "" : "is-untitled"}">
        <${Link} href=${chatPath(id)} class="row-link"><bdi>${name}</bdi><//>
      </h3>
      <time
        class="row-time" datetime=${lastActive}
        title=${`Last active ${exactTime(lastActive)}, made ${exactTime(createdAt)}`}
      >${ago(lastActive, now)}</time>
    </div>
    <p class="row-facts">
      <strong><bdi>${userId}</bdi></strong>
      <${Status} status=${status} />
      ${held && html`<${Held} />`}
      <span>${workflow?.name ?? named(workflowId)}</span>
      <code>${id}</code>
    </p>
    <div class="row-actions">
      <${HoldButton}
        held=${held}
        label=${held ? `End the legal hold of ${name}` : `Put ${name} under a legal hold`}
        set=${(hold) => list.hold(id, hold).catch(told)}
      />
    </div>
  </li>`;
}
