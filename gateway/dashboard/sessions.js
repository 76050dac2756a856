// The sessions of the person who is signed in.

import { html, useEffect, useRef, useState } from "./html.js";
import { ImportButton } from "./importing.js";
import { useModel } from "./model.js";
import { NewSession } from "./new_session.js";
import { Failure, Icon, Notice, StatusChoice } from "./parts.js";
import { useNow } from "./relative_time.js";
import { SessionRow } from "./session_row.js";

const TYPED_MS = 200;

export function Sessions({ list, workflows, loadWorkflows, token, inDevelopment }) {
  useModel(list);
  const [isMaking, setMaking] = useState(false);
  useEffect(() => {
    document.title = "Sessions · sessiond";
    // Nobody looks at a hidden tab, and browsers allow few streams to one server.
    const follow = () => (document.hidden ? list.stop() : list.start());
    follow();
    document.addEventListener("visibilitychange", follow);
    return () => {
      document.removeEventListener("visibilitychange", follow);
      list.stop();
    };
  }, [list, token]);
  return html`<main id="main" class="page" tabindex="-1">
    <div class="page-head">
      <h1>Sessions</h1>
      <div class="page-acts">
        <${ImportButton} list=${list} />
        <button class="button is-primary" onClick=${() => setMaking(true)}>
          <${Icon} name="plus" /> New session
        </button>
      </div>
    </div>
    <${Search} list=${list} />
    ${!list.live && list.phase === "ready" && html`
      <p class="hint" role="status">Changes do not come at the moment. Trying to reach the server…</p>`}
    <${Rows} list=${list} workflows=${workflows} make=${() => setMaking(true)} />
    ${isMaking && html`
      <${NewSession}
        list=${list} workflows=${workflows} loadWorkflows=${loadWorkflows}
        inDevelopment=${inDevelopment}
        close=${() => setMaking(false)}
      />`}
  </main>`;
}

function Search({ list }) {
  // What is typed is ahead of what was asked for, and is not to be put back by it.
  const [typed, setTyped] = useState(list.query.q);
  const timer = useRef(0);
  useEffect(() => () => clearTimeout(timer.current), []);
  const search = ({ target: { value } }) => {
    setTyped(value);
    clearTimeout(timer.current);
    timer.current = setTimeout(() => list.ask({ q: value.trim() }), TYPED_MS);
  };
  return html`<div class="toolbar" role="search">
    <label class="search">
      <${Icon} name="search" />
      <span class="unseen">Search titles and last messages</span>
      <input
        class="field" type="search" placeholder="Search titles and last messages"
        value=${typed} onInput=${search}
      />
    </label>
    <${StatusChoice} chosen=${list.query.status} choose=${(status) => list.ask({ status })} />
  </div>`;
}

function Rows({ list, workflows, make }) {
  const now = useNow();
  const rows = list.rows.filter((row) => !list.doomed.has(row.id));
  if (list.phase === "failed" && !rows.length) {
    return html`<${Failure}
      title="Your sessions did not load" problem=${list.problem} again=${() => list.load()}
    />`;
  }
  if (list.phase === "loading" && !rows.length) return html`<${Loading} />`;
  if (!rows.length) return html`<${Nothing} list=${list} make=${make} />`;
  return html`
    <ul class="rows" aria-label="Sessions, newest activity first" aria-busy=${list.phase === "loading"}>
      ${rows.map((row) => html`
        <${SessionRow}
          key=${row.id} session=${row} list=${list} now=${now}
          workflow=${workflows.find(({ id }) => id === row.workflowId)}
        />`)}
    </ul>
    ${list.problem && html`
      <p class="error" role="alert">
        ${list.problem.sentence}
        <button class="button is-quiet" onClick=${() => list.load()}>Try again</button>
      </p>`}
    ${list.more && html`
      <button class="button is-wide" disabled=${list.loadingMore} onClick=${() => list.loadMore()}>
        ${list.loadingMore ? "Loading…" : "Load more"}
      </button>`}`;
}

function Nothing({ list, make }) {
  const { q, status } = list.query;
  if (q || status) {
    return html`<${Notice} icon="search" title="No session matches">
      <p>Try another word or another status.</p>
    <//>`;
  }
  return html`<${Notice} icon="plus" title="Nothing here yet">
    <p>A session is one long conversation with the agents of a workflow. It stays where you leave it.</p>
    <button class="button is-primary" onClick=${make}>Start the first one</button>
  <//>`;
}

function Loading() {
  return html`<div class="rows" role="status">
    <span class="unseen">Loading your sessions</span>
    ${[0, 1, 2].map(() => html`
      <div class="row" aria-hidden="true">
        <span class="bone is-title"></span><span class="bone"></span><span class="bone is-short"></span>
      </div>`)}
  </div>`;
}
