// Erasing a user: everything of theirs goes, and a receipt says so. People erase themselves, and
// administrators anybody.

import { html, useEffect, useRef, useState } from "./html.js";
import { IconButton } from "./parts.js";
import { exactTime } from "./relative_time.js";
import { path } from "./rest.js";

export function ErasureButton({ rest, subject }) {
  const [isOpen, setOpen] = useState(false);
  return html`
    <${IconButton} icon="trash" label="Erase my data" onClick=${() => setOpen(true)} />
    ${isOpen && html`
      <${Erasure} rest=${rest} subject=${subject} isSelf close=${() => setOpen(false)} />`}`;
}

/** For administrators: whom to erase, or whose receipt to see. */
export function EraseUser({ rest }) {
  const [typed, setTyped] = useState("");
  const [subject, setSubject] = useState("");
  const open = (event) => {
    event.preventDefault();
    setSubject(typed);
  };
  return html`<section aria-labelledby="erase-user">
    <h2 id="erase-user" class="unseen">Erase a user</h2>
    <form class="erase-user" onSubmit=${open}>
      <label class="group">
        <span>User <small>to erase, or whose receipt to see</small></span>
        <input
          class="field" required maxlength="128" autocomplete="off" dir="auto" value=${typed}
          onInput=${({ target }) => setTyped(target.value)}
        />
      </label>
      <button class="button">Go on…</button>
    </form>
    ${subject && html`
      <${Erasure} key=${subject} rest=${rest} subject=${subject} close=${() => setSubject("")} />`}
  </section>`;
}

function Erasure({ rest, subject, isSelf = false, close }) {
  const dialog = useRef();
  const [erasure, setErasure] = useState(null);
  const [problem, setProblem] = useState(null);
  const [typed, setTyped] = useState("");
  const at = path`/api/users/${subject}/erasure`;
  const load = () =>
    rest.get(at).then(setErasure, (failure) => {
      if (failure.code !== "ERASURE_NOT_FOUND") setProblem(failure);
    });
  useEffect(() => dialog.current.showModal(), []);
  useEffect(() => {
    load();
  }, [at]);

  const ask = async (event) => {
    event.preventDefault();
    setProblem(null);
    try {
      setErasure(await rest.change("PUT", at, undefined, { wanted: true }));
      setTyped("");
    } catch (failure) {
      setProblem(failure);
    }
  };
  const isPending = erasure && !erasure.completedAt;
  return html`<dialog ref=${dialog} class="dialog" aria-labelledby="erasure" onClose=${close}>
    <div class="dialog-body">
      <div class="dialog-head">
        <h2 id="erasure">${isSelf ? "Erase my data" : html`Erase <bdi>${subject}</bdi>`}</h2>
        <${IconButton} icon="close" label="Close" onClick=${() => dialog.current.close()} />
      </div>
      ${problem && html`<p class="error" role="alert">${problem.sentence ?? problem.message}</p>`}
      ${erasure && html`<${Receipt} erasure=${erasure} />`}
      ${isPending
        ? html`<div class="dialog-foot">
            <button class="button" onClick=${load}>Look again</button>
          </div>`
        : html`<form onSubmit=${ask}>
            <p>
              ${isSelf
                ? `All your sessions and templates are deleted, and you leave the sessions that others
                   share with you. What you wrote there stays with them.`
                : `All sessions and templates of this user are deleted, and they leave the sessions
                   that others share with them. What they wrote there stays.`}
              ${" "}This cannot be undone.
            </p>
            <label>
              <span>Type <bdi>${subject}</bdi> to confirm</span>
              <input
                class="field" autocomplete="off" value=${typed}
                onInput=${({ target }) => setTyped(target.value)}
              />
            </label>
            <div class="dialog-foot">
              <button class="button is-primary" disabled=${typed !== subject}>Erase everything</button>
            </div>
          </form>`}
    </div>
  </dialog>`;
}

function Receipt({ erasure }) {
  const { requestedAt, completedAt, sessions, shares, templates, heldSessionIds } = erasure;
  if (!completedAt) {
    return html`<p role="status">Asked for on ${exactTime(requestedAt)}. It is done soon.</p>`;
  }
  return html`<div role="status">
    <p>
      Done on ${exactTime(completedAt)}: ${counted(sessions, "session")}
      ${" "}and ${counted(templates, "template")} deleted, ${counted(shares, "shared session")} left.
    </p>
    ${heldSessionIds.length > 0 && html`
      <p class="hint">A legal hold keeps ${counted(heldSessionIds.length, "session")}.</p>`}
  </div>`;
}

const counted = (number, what) => `${number} ${what}${number === 1 ? "" : "s"}`;
