// The dialogue that begins or ends a legal hold: who reads the history later wants to know why.

import { html, useEffect, useRef, useState } from "./html.js";
import { IconButton } from "./parts.js";

/** A button, and what it opens; `set` is given {held, reason}, and `label` says of what it is. */
export function HoldButton({ held, label, set }) {
  const [isOpen, setOpen] = useState(false);
  return html`
    <${IconButton}
      icon=${held ? "unlock" : "lock"}
      label=${label}
      onClick=${() => setOpen(true)}
    />
    ${isOpen && html`<${Holding} held=${!held} set=${set} close=${() => setOpen(false)} />`}`;
}

function Holding({ held: wanted, set, close }) {
  const dialog = useRef();
  const [reason, setReason] = useState("");
  // What was asked stays what it was, also where somebody else does it meanwhile.
  const [held] = useState(wanted);
  useEffect(() => dialog.current.showModal(), []);

  const submit = (event) => {
    event.preventDefault();
    set({ held, reason: reason.trim() });
    dialog.current.close();
  };

  return html`<dialog ref=${dialog} class="dialog" aria-labelledby="holding" onClose=${close}>
    <form onSubmit=${submit}>
      <div class="dialog-head">
        <h2 id="holding">${held ? "Legal hold" : "End of the legal hold"}</h2>
        <${IconButton} icon="close" label="Close" onClick=${() => dialog.current.close()} />
      </div>
      <p class="hint">
        ${held
          ? "Nobody can delete the session, and neither retention nor an erasure does, until the hold ends."
          : "From then on the session can be deleted again, by its owner, retention or an erasure."}
      </p>
      <label class="group">
        <span>Why <small>who may see the session may read it in the history</small></span>
        <input
          class="field" required maxlength="500" dir="auto" autocomplete="off"
          value=${reason} onInput=${({ target }) => setReason(target.value)}
        />
      </label>
      <div class="dialog-foot">
        <button type="button" class="button" onClick=${() => dialog.current.close()}>Cancel</button>
        <button class="button is-primary" disabled=${!reason.trim()}>
          ${held ? "Hold the session" : "End the hold"}
        </button>
      </div>
    </form>
  </dialog>`;
}
