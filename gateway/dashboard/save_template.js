// The dialogue that saves a session as a template: new sessions may begin with the same.

import { html, useEffect, useRef, useState } from "./html.js";
import { IconButton } from "./parts.js";
import { toasts } from "./toasts.js";

/** A button, and what it opens. */
export function SaveTemplate({ session }) {
  const [isOpen, setOpen] = useState(false);
  return html`
    <${IconButton} icon="bookmark" label="Save as a template" onClick=${() => setOpen(true)} />
    ${isOpen && html`<${Naming} session=${session} close=${() => setOpen(false)} />`}`;
}

function Naming({ session, close }) {
  const dialog = useRef();
  const [name, setName] = useState("");
  const [title, setTitle] = useState(session.conversation.session.title);
  const [problem, setProblem] = useState(null);
  const [isBusy, setBusy] = useState(false);
  useEffect(() => dialog.current.showModal(), []);

  const save = async (event) => {
    event.preventDefault();
    setBusy(true);
    setProblem(null);
    try {
      await session.saveTemplate(name.trim(), title.trim());
      toasts.show({ text: `“${name.trim()}” is saved. New sessions may begin with it.` });
      dialog.current.close();
    } catch (failure) {
      setProblem(failure);
      setBusy(false);
    }
  };

  return html`<dialog ref=${dialog} class="dialog" aria-labelledby="save-template" onClose=${close}>
    <form onSubmit=${save}>
      <div class="dialog-head">
        <h2 id="save-template">Save as a template</h2>
        <${IconButton} icon="close" label="Close" onClick=${() => dialog.current.close()} />
      </div>
      <p class="hint">It keeps the workflow, the inputs and the notes of this session, not what was said.</p>
      <label class="group">
        <span>Name <small>letters, digits, and . _ ~ -</small></span>
        <input
          class="field" required maxlength="64" pattern="[A-Za-z0-9._~\\-]+" autocomplete="off"
          value=${name} onInput=${({ target }) => setName(target.value)}
        />
      </label>
      <label class="group">
        <span>Title <small>${"{date}, {workflow} and {input.NAME} are filled in"}</small></span>
        <input
          class="field" maxlength="200" dir="auto" value=${title}
          onInput=${({ target }) => setTitle(target.value)}
        />
      </label>
      ${problem && html`<p class="error" role="alert">${problem.sentence}</p>`}
      <div class="dialog-foot">
        <button type="button" class="button" onClick=${() => dialog.current.close()}>Cancel</button>
        <button class="button is-primary" disabled=${isBusy || !name.trim()}>
          ${isBusy ? "Saving…" : "Save template"}
        </button>
      </div>
    </form>
  </dialog>`;
}
