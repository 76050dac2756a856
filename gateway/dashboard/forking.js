// A session of one's own that begins as this one did.

import { html, useState } from "./html.js";
import { chatPath, place } from "./navigation.js";
import { path } from "./rest.js";
import { told } from "./toasts.js";

/** Makes a copy of the first `seq` events, and goes there. */
export function ForkButton({ session, seq }) {
  const [isBusy, setBusy] = useState(false);
  const fork = async () => {
    setBusy(true);
    try {
      const at = path`/api/sessions/${session.id}/fork`;
      const made = await session.rest.change("POST", at, { atSeq: seq }, { wanted: true });
      place.go(chatPath(made.id));
    } catch (problem) {
      told(problem);
      setBusy(false);
    }
  };
  return html`<button class="button" disabled=${isBusy} onClick=${fork}>
    ${isBusy ? "Forking…" : "Fork from here"}
  </button>`;
}
