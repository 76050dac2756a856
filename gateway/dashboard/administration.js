// What administrators look after: everybody's sessions, erasures, the change feed.

import { Everybody } from "./all_sessions.js";
import { Changes } from "./change_tail.js";
import { EraseUser } from "./erasing.js";
import { html, useEffect } from "./html.js";
import { Link } from "./navigation.js";

export const ADMINISTRATION = "/administration";

const PLACES = [
  [ADMINISTRATION, "All sessions", Everybody],
  [`${ADMINISTRATION}/erasure`, "Erase a user", EraseUser],
  [`${ADMINISTRATION}/changes`, "Changes", Changes],
];

export const isAdministration = (path) => PLACES.some(([at]) => at === path);

export function Administration({ path, rest, workflows, token }) {
  const [, title, Place] = PLACES.find(([at]) => at === path);
  useEffect(() => {
    document.title = `${title} · Administration · sessiond`;
  }, [title]);
  return html`<main id="main" class="page" tabindex="-1">
    <div class="page-head">
      <h1>Administration</h1>
      <nav class="page-acts" aria-label="Administration">
        ${PLACES.map(([at, label]) => html`
          <${Link} key=${at} class="button" href=${at} aria-current=${at === path ? "page" : undefined}>
            ${label}
          <//>`)}
      </nav>
    </div>
    <${Place} rest=${rest} workflows=${workflows} token=${token} />
  </main>`;
}
