// Where in the page one is: the path, kept in the browser's history.

import { html } from "./html.js";
import { Model } from "./model.js";
import { isLost, LOST } from "./rest.js";
import { toasts } from "./toasts.js";

class Place extends Model {
  constructor() {
    super();
    addEventListener("popstate", () => this.changed());
  }

  get path() {
    return location.pathname;
  }

  go(path) {
    if (path === this.path) return;
    if (isLost(path)) {
      toasts.show({ text: LOST, isFailure: true });
      return;
    }
    history.pushState(null, "", path);
    this.changed();
  }
}

export const place = new Place();

export const chatPath = (sessionId) => `/chat/${encodeURIComponent(sessionId)}`;

/** A link within the page; a click that asks for a tab of its own gets one. */
export function Link({ href, children, ...rest }) {
  const follow = (event) => {
    if (event.button !== 0 || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    place.go(href);
  };
  return html`<a href=${href} onClick=${follow} ...${rest}>${children}</a>`;
}
