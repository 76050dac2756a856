// With whom a session is shared: the dialogue of its members and links, and links that let one in.

import { html, useEffect, useRef, useState } from "./html.js";
import { chatPath, place } from "./navigation.js";
import { Icon, IconButton, named } from "./parts.js";
import { exactTime } from "./relative_time.js";
import { path } from "./rest.js";

const ROLES = ["editor", "approver", "viewer"];
const DAY_MS = 24 * 60 * 60_000;
const SPANS = [["1", "a day"], ["7", "a week"], ["30", "30 days"], ["", "ever"]];
const JOIN_KEY = "sessiond.join";
const JOIN = /^([A-Za-z0-9._~-]{1,128})\.([A-Za-z0-9_-]{1,128})$/;

/** Keep what a link brought, out of the address bar, until somebody is signed in. */
export function keepInvitation() {
  const invitation = new URLSearchParams(location.hash.slice(1)).get("join");
  if (invitation === null) return;
  sessionStorage.setItem(JOIN_KEY, invitation);
  history.replaceState(history.state, "", location.pathname + location.search);
}

/** Join the session of a link that was kept, and go there; nothing where there was none. */
export async function takeInvitation(rest) {
  const invitation = sessionStorage.getItem(JOIN_KEY);
  if (invitation === null) return;
  sessionStorage.removeItem(JOIN_KEY);
  const [, sessionId, secret] = JOIN.exec(invitation) ?? [];
  if (!sessionId) throw new Error("This link is damaged: a part of it is missing.");
  try {
    await rest.change("POST", path`/api/sessions/${sessionId}/join`, { secret });
  } catch (problem) {
    if (problem.code !== "SESSION_NOT_FOUND") throw problem;
    throw new Error("This link is good no longer.");
  }
  place.go(chatPath(sessionId));
}

const linkOf = (sessionId, secret) => `${location.origin}/#join=${sessionId}.${secret}`;

export function SharingButton({ session }) {
  const [isOpen, setOpen] = useState(false);
  return html`
    <${IconButton} icon="people" label="Share the session" onClick=${() => setOpen(true)} />
    ${isOpen && html`<${Sharing} session=${session} close=${() => setOpen(false)} />`}`;
}

function Sharing({ session, close }) {
  const dialog = useRef();
  const [shared, setShared] = useState(null);
  const [problem, setProblem] = useState(null);
  const { rest, id, subject, conversation } = session;
  const base = path`/api/sessions/${id}`;
  const load = () => rest.get(`${base}/members`).then(setShared, setProblem);
  useEffect(() => dialog.current.showModal(), []);
  useEffect(() => {
    load();
  }, [conversation.sharedAt]);

  const change = async (method, at, body, wanted = false) => {
    setProblem(null);
    try {
      const answer = await rest.change(method, base + at, body, { wanted });
      await load();
      return answer;
    } catch (failure) {
      setProblem(failure);
      return null;
    }
  };
  const isOwner = shared && session.may("own");
  return html`<dialog ref=${dialog} class="dialog" aria-labelledby="sharing" onClose=${close}>
    <div class="dialog-body">
      <div class="dialog-head">
        <h2 id="sharing">Shared with</h2>
        <${IconButton} icon="close" label="Close" onClick=${() => dialog.current.close()} />
      </div>
      ${problem && html`<p class="error" role="alert">${problem.sentence ?? problem.message}</p>`}
      ${shared
        ? html`<ul class="people" aria-label="Members">
            <li><bdi>${shared.owner}</bdi><span class="hint">Owner</span></li>
            ${shared.members.map((member) => html`
              <${Member}
                key=${member.userId} member=${member} change=${change}
                isOwner=${isOwner} isMe=${member.userId === subject}
              />`)}
          </ul>`
        : !problem && html`<p class="hint" role="status">Loading…</p>`}
      ${isOwner && html`
        <${AddMember} change=${change} />
        <${Links} links=${shared.links} sessionId=${id} change=${change} />`}
    </div>
  </dialog>`;
}

function Member({ member: { userId, role }, change, isOwner, isMe }) {
  const at = path`/members/${userId}`;
  return html`<li>
    <bdi>${userId}</bdi>
    ${isOwner
      ? html`<${Role}
          role=${role} label=${`Role of ${userId}`}
          choose=${(wanted) => change("PUT", at, { role: wanted })}
        />`
      : html`<span class="hint">${named(role)}</span>`}
    ${isOwner && html`
      <button class="button is-quiet" onClick=${() => change("PUT", "/owner", { userId })}>
        Make owner
      </button>`}
    ${(isOwner || isMe) && html`
      <button class="button is-quiet" onClick=${() => change("DELETE", at)}>
        ${isMe ? "Leave" : "Remove"}
      </button>`}
  </li>`;
}

function Role({ role, label, choose }) {
  return html`<select
    class="field" aria-label=${label} value=${role} onChange=${({ target }) => choose(target.value)}
  >
    ${ROLES.map((each) => html`<option value=${each}>${named(each)}</option>`)}
  </select>`;
}

function AddMember({ change }) {
  const [userId, setUserId] = useState("");
  const [role, setRole] = useState("viewer");
  const add = async (event) => {
    event.preventDefault();
    if (await change("PUT", path`/members/${userId.trim()}`, { role }, true)) setUserId("");
  };
  return html`<form class="share-row" onSubmit=${add}>
    <input
      class="field" placeholder="User" aria-label="User to share with" required maxlength="128"
      dir="auto" value=${userId} onInput=${({ target }) => setUserId(target.value)}
    />
    <${Role} role=${role} label="Role" choose=${setRole} />
    <button class="button">Share</button>
  </form>`;
}

function Links({ links, sessionId, change }) {
  const [role, setRole] = useState("viewer");
  const [days, setDays] = useState("7");
  const [made, setMade] = useState("");
  const make = async (event) => {
    event.preventDefault();
    const expiresAt = days && new Date(Date.now() + Number(days) * DAY_MS).toISOString();
    const answer = await change("POST", "/links", { role, ...(days && { expiresAt }) }, true);
    if (answer?.secret) setMade(linkOf(sessionId, answer.secret));
  };
  return html`<section aria-labelledby="links">
    <h3 id="links">Links</h3>
    <ul class="people">
      ${links.map((link) => html`<li key=${link.linkId}>
        <span>${named(link.role)}</span>
        <span class="hint">
          ${link.expiresAt ? `until ${exactTime(link.expiresAt)}` : "for ever"}
        </span>
        <button
          class="button is-quiet" onClick=${() => change("DELETE", path`/links/${link.linkId}`)}
        >Revoke</button>
      </li>`)}
    </ul>
    <form class="share-row" onSubmit=${make}>
      <${Role} role=${role} label="Role of who joins" choose=${setRole} />
      <select
        class="field" aria-label="Good for" value=${days}
        onChange=${({ target }) => setDays(target.value)}
      >
        ${SPANS.map(([value, label]) => html`<option value=${value}>for ${label}</option>`)}
      </select>
      <button class="button">Make a link</button>
    </form>
    ${made && html`<div class="share-row" role="status">
      <input
        class="field" readonly aria-label="The link, shown only now" value=${made}
        onFocus=${({ target }) => target.select()}
      />
      <button class="button" onClick=${() => navigator.clipboard.writeText(made)}>
        <${Icon} name="check" /> Copy
      </button>
    </div>`}
  </section>`;
}
