// Short notes at the edge of the page, some with one thing to do about them.

import { html } from "./html.js";
import { Model, useModel } from "./model.js";
import { IconButton } from "./parts.js";

const SHOWN_MS = 6000;

class Toasts extends Model {
  all = [];
  #last = 0;

  show({ text, action, ms = SHOWN_MS, isFailure = false }) {
    const id = (this.#last += 1);
    this.all = [...this.all, { id, text, action, isFailure }];
    setTimeout(() => this.dismiss(id), ms);
    this.changed();
  }

  dismiss(id) {
    this.all = this.all.filter((toast) => toast.id !== id);
    this.changed();
  }
}

export const toasts = new Toasts();

/** Show why something did not work. */
export function told(problem) {
  toasts.show({ text: problem.sentence ?? problem.message, isFailure: true });
}

export function ToastList() {
  useModel(toasts);
  const act = ({ id, action }) => {
    action.run();
    toasts.dismiss(id);
  };
  return html`<div class="toasts" role="status">
    ${toasts.all.map((toast) => html`
      <div class="toast ${toast.isFailure ? "is-failure" : ""}" key=${toast.id}>
        <span dir="auto">${toast.text}</span>
        ${toast.action && html`
          <button class="button is-quiet" onClick=${() => act(toast)}>${toast.action.label}</button>`}
        <${IconButton} icon="close" label="Dismiss" onClick=${() => toasts.dismiss(toast.id)} />
      </div>`)}
  </div>`;
}
