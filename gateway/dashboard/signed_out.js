// What is shown to who is not signed in, or soon is not any more.

import { html, useState } from "./html.js";

export function SignedOut({ signIn }) {
  return html`<main id="main" class="door">
    <div class="door-card">
      <span class="brand"><img src="/dashboard/icon.svg" alt="" />sessiond</span>
      <h1>Sign in</h1>
      ${signIn.url && !signIn.problem
        ? html`<p role="status">On the way to the sign-in page…</p>`
        : html`<p>Go on where you left off, in any session of yours.</p>`}
      ${signIn.problem && html`<p class="error" role="alert">${signIn.problem}</p>`}
      ${signIn.url
        ? html`<button class="button is-primary" onClick=${() => signIn.go()}>Sign in</button>`
        : html`<${TokenForm} signIn=${signIn} />`}
    </div>
  </main>`;
}

/** The banner of a token that ends: everything stays on the page, what is typed too. */
export function SignInEnds({ signIn }) {
  if (signIn.standing === "good") return null;
  return html`<div class="banner is-warning" role="alert">
    <span>
      ${signIn.standing === "ending" ? "Your sign-in ends within a minute." : "Your sign-in has ended."}
      ${" "}What you typed is kept.
    </span>
    ${signIn.url
      ? html`<button class="button is-quiet" onClick=${() => signIn.go()}>Sign in again</button>`
      : html`<${TokenForm} signIn=${signIn} />`}
  </div>`;
}

function TokenForm({ signIn }) {
  const [token, setToken] = useState("");
  const submit = (event) => {
    event.preventDefault();
    if (signIn.take(token)) setToken("");
  };
  return html`<form class="token-form" onSubmit=${submit}>
    <label>
      <span>Bearer token</span>
      <input
        class="field" type="password" autocomplete="off" required value=${token}
        onInput=${({ target }) => setToken(target.value)}
      />
    </label>
    <button class="button is-primary">Sign in</button>
  </form>`;
}
