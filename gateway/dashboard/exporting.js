// A session as a file: which formats there are, and how the browser comes to keep one.

import { html, useState } from "./html.js";
import { Icon, Menu } from "./parts.js";
import { told } from "./toasts.js";

const FORMATS = [
  ["pdf", "PDF", "pdf"],
  ["markdown", "Markdown", "md"],
  ["json", "JSON, with every event", "json"],
  ["ndjson", "NDJSON, one event a line", "ndjson"],
];

export function ExportMenu({ session }) {
  const [isBusy, setBusy] = useState(false);
  const keep = async (format, extension) => {
    setBusy(true);
    try {
      save(await session.exported(format), `${session.id}.${extension}`);
    } catch (problem) {
      told(problem);
    } finally {
      setBusy(false);
    }
  };
  const face = html`<${Icon} name="download" />`;
  return html`<${Menu} label="Export" face=${face} isBusy=${isBusy} kind="icon-button">
    ${FORMATS.map(([format, label, extension]) => html`
      <li key=${format}>
        <button type="button" disabled=${isBusy} onClick=${() => keep(format, extension)}>${label}</button>
      </li>`)}
  <//>`;
}

function save(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  // The browser has taken hold of it by the next turn of its loop.
  setTimeout(() => URL.revokeObjectURL(link.href));
}
