// Erasing oneself: everything of the person who is signed in goes, and a receipt says so.

import { html, useEffect, useRef, useState } from "./html.js";
import { IconButton } from "./parts.js";
import { exactTime } from "./relative_time.js";
import { path } from "./rest.js";

export function ErasureButton({ rest, subject }) {
  const [isOpen, setOpen] = useState(false);
  return html`
    <${IconButton} icon="trash" label="Erase my data" onClick=${() => setOpen(true)} />
    ${isOpen && html`
      <${Erasure} rest=${rest} subject=${subject} close=${() => setOpen(false)} />`}`;
}

function Erasure({ rest, subject, close }) {
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
        <h2 id="erasure">Erase my data</h2>
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
              All your sessions and templates are deleted, and you leave the sessions that others
              share with you. What you wrote there stays with them. This cannot be undone.
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
