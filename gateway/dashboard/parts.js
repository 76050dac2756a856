// The small parts that the page is made of.

import { html, useLayoutEffect, useRef, useState } from "./html.js";

export const UNTITLED = "Untitled session";

const PATHS = {
  back: "M12 4 6 10l6 6",
  bookmark: "M6 3.5h8v13l-4-3.2-4 3.2v-13Z",
  check: "m4 10.5 4 4 8-9",
  clock: "M10 5.5V10l3 2M10 2.5a7.5 7.5 0 1 0 0 15 7.5 7.5 0 0 0 0-15Z",
  close: "m5 5 10 10M15 5 5 15",
  down: "M10 4v12m0 0 5-5m-5 5-5-5",
  download: "M10 3v9m0 0 4-4m-4 4L6 8m-2.5 6v2.5h13V14",
  edit: "M4 16h3l8.5-8.5a2.1 2.1 0 0 0-3-3L4 13v3Z",
  lock: "M6.5 9V6.5a3.5 3.5 0 0 1 7 0V9M4.5 9h11v7.5h-11V9Z",
  pause: "M7 4.5v11M13 4.5v11",
  people: "M7.5 9.5a3 3 0 1 0 0-6 3 3 0 0 0 0 6Zm-5.5 7c0-3 2.3-5 5.5-5s5.5 2 5.5 5M13 4a2.8 2.8 0 0 1 0 5.4M15 12c1.9.7 3 2.3 3 4.5",
  play: "M6 4.5v11l9-5.5-9-5.5Z",
  plus: "M10 4v12M4 10h12",
  search: "M9 3.5a5.5 5.5 0 1 0 0 11 5.5 5.5 0 0 0 0-11Zm4 9.5 4 4",
  send: "M10 16V4m0 0-5 5m5-5 5 5",
  stop: "M5.5 5.5h9v9h-9z",
  trash: "M3.5 5.5h13M8 5.5v-2h4v2m-6.5 0 .7 11h7.6l.7-11",
  unlock: "M6.5 9V6a3.5 3.5 0 0 1 6.7-1.4M4.5 9h11v7.5h-11V9Z",
  warning: "M10 3 2.5 16.5h15L10 3Zm0 5v4m0 2.2v.3",
};

export function Icon({ name }) {
  return html`<svg class="icon" viewBox="0 0 20 20" aria-hidden="true"><path d=${PATHS[name]} /></svg>`;
}

export function IconButton({ icon, label, ...rest }) {
  return html`<button type="button" class="icon-button" title=${label} aria-label=${label} ...${rest}>
    <${Icon} name=${icon} />
  </button>`;
}

/** "gtm-consultant" as people write it: "GTM consultant". Words without vowels are initials. */
export function named(id) {
  const words = id.split(/[-_\s]+/).filter(Boolean);
  const spelled = words.map((word) => (/[aeiouy]/i.test(word) ? word : word.toUpperCase()));
  const text = spelled.join(" ");
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** "messageAppended" as people write it: "Message appended". */
export const spelled = (name) => named(name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`));

export function Status({ status }) {
  return html`<span class="status is-${status}">${named(status)}</span>`;
}

const STATUSES = ["", "active", "paused", "completed"];

/** Which sessions are listed, by their status; "" is all. */
export function StatusChoice({ chosen, choose }) {
  return html`<fieldset class="choices">
    <legend class="unseen">Status</legend>
    ${STATUSES.map((status) => html`
      <label class="choice">
        <input
          type="radio" name="status" checked=${chosen === status} onChange=${() => choose(status)}
        />
        <span>${named(status) || "All"}</span>
      </label>`)}
  </fieldset>`;
}

/** Of a session that a legal hold keeps. */
export function Held() {
  return html`<span class="badge" title="It cannot be deleted while the hold stands.">Legal hold</span>`;
}

/** Initials in a circle; whose they are stands beside it, or in its label. */
export function Avatar({ name, kind, label }) {
  const initials = name.split(/\s+/).slice(0, 2).map((word) => Array.from(word)[0] ?? "").join("");
  return html`<span
    class="avatar is-${kind}"
    title=${label}
    role=${label && "img"}
    aria-label=${label}
    aria-hidden=${label ? undefined : "true"}
  >${initials.toUpperCase()}</span>`;
}

/** A button that opens a list beside it; a choice closes it, and so do Escape and leaving it. */
export function Menu({ label, face, isBusy = false, kind, children }) {
  const menu = useRef();
  const close = () => menu.current?.removeAttribute("open");
  const leave = ({ key }) => {
    if (key !== "Escape") return;
    close();
    menu.current.querySelector("summary").focus();
  };
  return html`<details
    ref=${menu} class="menu is-${kind}" onKeyDown=${leave}
    onFocusOut=${({ relatedTarget }) => relatedTarget && !menu.current.contains(relatedTarget) && close()}
  >
    <summary class=${kind} title=${label} aria-label=${label} aria-busy=${isBusy}>${face}</summary>
    <ul onClick=${({ target }) => target.closest("button") && close()}>${children}</ul>
  </details>`;
}

/** A place with nothing in it, and what to do about that. */
export function Notice({ icon, title, children, level = 2 }) {
  return html`<div class="notice">
    <span class="notice-icon"><${Icon} name=${icon} /></span>
    <${`h${level}`}>${title}<//>
    ${children}
  </div>`;
}

export function Failure({ problem, again, title = "This did not load" }) {
  return html`<${Notice} icon="warning" title=${title}>
    <p>${problem.sentence ?? problem.message}</p>
    ${again && html`<button class="button" onClick=${again}>Try again</button>`}
  <//>`;
}

/** The place of a title that the person may not change. */
export const Fixed = ({ children }) => children;

/** A title that becomes a field when it is to be changed: Enter keeps, Escape leaves it. */
export function Title({ title, placeholder, rename, children }) {
  const [edited, setEdited] = useState(null);
  const field = useRef();
  const button = useRef();
  useLayoutEffect(() => field.current?.select(), [edited !== null]);
  if (edited === null) {
    return html`${children}
      <button
        ref=${button} type="button" class="icon-button" title="Rename"
        aria-label=${`Rename ${title || placeholder}`} onClick=${() => setEdited(title)}
      ><${Icon} name="edit" /></button>`;
  }
  const end = () => {
    setEdited(null);
    requestAnimationFrame(() => button.current?.focus());
  };
  const keep = (event) => {
    event.preventDefault();
    const wanted = edited.trim();
    if (wanted !== title) rename(wanted);
    end();
  };
  return html`<form class="rename" onSubmit=${keep}>
    <input
      ref=${field} class="field" aria-label="Title" maxlength="200" dir="auto"
      placeholder=${placeholder} value=${edited}
      onInput=${(event) => setEdited(event.target.value)}
      onKeyDown=${(event) => event.key === "Escape" && end()}
    />
    <${IconButton} icon="check" label="Save title" type="submit" />
    <${IconButton} icon="close" label="Cancel" onClick=${end} />
  </form>`;
}
