// A session as a file: which formats there are, and how the browser comes to keep one.

import { html, useRef, useState } from "./html.js";
import { Icon } from "./parts.js";
import { told } from "./toasts.js";

const FORMATS = [
  ["pdf", "PDF", "pdf"],
  ["markdown", "Markdown", "md"],
  ["json", "JSON, with every event", "json"],
  ["ndjson", "NDJSON, one event a line", "ndjson"],
];

export function ExportMenu({ session }) {
  const [isBusy, setBusy] = useState(false);
  const menu = useRef();
  const close = () => menu.current?.removeAttribute("open");
  const leave = ({ key }) => {
    if (key !== "Escape") return;
    close();
    menu.current.querySelector("summary").focus();
  };
  const keep = async (format, extension) => {
    close();
    setBusy(true);
    try {
      save(await session.exported(format), `${session.id}.${extension}`);
    } catch (problem) {
      told(problem);
    } finally {
      setBusy(false);
    }
  };
  return html`<details
    ref=${menu} class="menu" onKeyDown=${leave}
    onFocusOut=${({ relatedTarget }) => relatedTarget && !menu.current.contains(relatedTarget) && close()}
  >
    <summary class="icon-button" title="Export" aria-label="Export" aria-busy=${isBusy}>
      <${Icon} name="download" />
    </summary>
    <ul>
      ${FORMATS.map(([format, label, extension]) => html`
        <li key=${format}>
          <button type="button" disabled=${isBusy} onClick=${() => keep(format, extension)}>${label}</button>
        </li>`)}
    </ul>
  </details>`;
}

function save(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  // The browser has taken hold of it by the next turn of its loop.
  setTimeout(() => URL.revokeObjectURL(link.href));
}
