// Things that change by themselves, and the components that show them.

import { useLayoutEffect, useReducer } from "./html.js";

/** Something that tells who looks at it when it has changed. */
export class Model {
  #listeners = new Set();
  #version = 0;

  get version() {
    return this.#version;
  }

  subscribe(listener) {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  changed() {
    this.#version += 1;
    for (const listener of [...this.#listeners]) listener();
  }
}

/** Draw the component again whenever the model has changed. */
export function useModel(model) {
  const [, again] = useReducer((count) => count + 1, 0);
  const drawn = model.version;
  useLayoutEffect(() => {
    // It may have changed between drawing and here.
    if (model.version !== drawn) again();
    return model.subscribe(again);
  }, [model]);
  return model;
}
