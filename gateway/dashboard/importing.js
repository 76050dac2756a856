// A session that was exported, here or elsewhere, back from its file.

import { html, useRef, useState } from "./html.js";
import { chatPath, place } from "./navigation.js";
import { told, toasts } from "./toasts.js";

export function ImportButton({ list }) {
  const [isBusy, setBusy] = useState(false);
  const chooser = useRef();
  const take = async ({ target }) => {
    const [file] = target.files;
    target.value = ""; // the same file may be chosen again
    if (!file) return;
    setBusy(true);
    try {
      const { session, imported } = await list.importFile(file);
      if (!imported) toasts.show({ text: "This session is here already." });
      place.go(chatPath(session.id));
    } catch (problem) {
      told(problem);
      setBusy(false);
    }
  };
  return html`
    <input
      ref=${chooser} type="file" hidden accept=".json,.ndjson"
      aria-label="A session that was exported" onChange=${take}
    />
    <button class="button" disabled=${isBusy} onClick=${() => chooser.current.click()}>
      ${isBusy ? "Importing…" : "Import"}
    </button>`;
}
