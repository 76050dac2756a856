// The page: who is signed in, and which of its places is shown.

import { ADMINISTRATION, Administration, isAdministration } from "./administration.js";
import { Chat, NotFound } from "./chat.js";
import { ErasureButton } from "./erasing.js";
import { html, render, useEffect, useErrorBoundary, useMemo, useState } from "./html.js";
import { useModel } from "./model.js";
import { Link, place } from "./navigation.js";
import { Avatar, Notice } from "./parts.js";
import { Rest } from "./rest.js";
import { has } from "./rights.js";
import { SessionList } from "./session_list.js";
import { Sessions } from "./sessions.js";
import { keepInvitation, takeInvitation } from "./sharing.js";
import { SignIn } from "./sign_in.js";
import { SignedOut, SignInEnds } from "./signed_out.js";
import { ToastList, told } from "./toasts.js";

const CHAT = /^\/chat\/([^/]+)\/?$/;

function Page({ signIn }) {
  useModel(signIn);
  const [error] = useErrorBoundary((failure) => console.error(failure));
  if (error) {
    return html`<main class="page"><${Notice} icon="warning" title="The page has broken" level="1">
      <p>Nothing that was stored is lost. Loading it again should help.</p>
      <button class="button" onClick=${() => location.reload()}>Load again</button>
    <//></main>`;
  }
  if (!signIn.bearer) return html`<${SignedOut} signIn=${signIn} />`;
  return html`<${SignedIn} key=${signIn.bearer.subject} signIn=${signIn} />`;
}

function SignedIn({ signIn }) {
  useModel(place);
  const { subject, role, token, inDevelopment } = signIn.bearer;
  const rest = useMemo(() => new Rest(signIn), [signIn]);
  const list = useMemo(() => new SessionList(rest, subject), [rest, subject]);
  const [workflows, setWorkflows] = useState([]);
  // The list shows workflows by their ids until their names are here.
  const loadWorkflows = () =>
    rest.get("/api/workflows").then((answer) => setWorkflows(answer.workflows), told);
  useEffect(() => {
    loadWorkflows();
    const take = () => takeInvitation(rest).catch(told);
    take();
    addEventListener("hashchange", take);
    return () => removeEventListener("hashchange", take);
  }, [rest]);
  useEffect(() => {
    // Who listens hears where they are.
    if (place.version > 0) document.getElementById("main")?.focus();
  }, [place.path]);

  const chat = CHAT.exec(place.path);
  const isAdministrator = has(role, "administer");
  return html`
    <a class="skip" href="#main">Skip to the content</a>
    <header class="top">
      <${Link} href="/" class="brand"><img src="/dashboard/icon.svg" alt="" />sessiond<//>
      <div class="top-user">
        <${Avatar} name=${subject} kind="user" />
        <bdi class="top-name">${subject}</bdi>
        ${isAdministrator && html`
          <${Link} class="button is-quiet" href=${ADMINISTRATION}>Administration<//>`}
        <${ErasureButton} rest=${rest} subject=${subject} />
        <button
          class="button is-quiet"
          onClick=${() => (signIn.url ? signIn.go({ asAnother: true }) : signIn.leave())}
        >${signIn.url ? "Switch user" : "Sign out"}</button>
      </div>
    </header>
    <${SignInEnds} signIn=${signIn} />
    ${chat
      ? html`<${Chat} sessionId=${unescaped(chat[1])} rest=${rest} signIn=${signIn} />`
      : place.path === "/"
        ? html`<${Sessions}
            list=${list} workflows=${workflows} loadWorkflows=${loadWorkflows}
            token=${token} inDevelopment=${inDevelopment}
          />`
        : isAdministrator && isAdministration(place.path)
          ? html`<${Administration} path=${place.path} rest=${rest} workflows=${workflows} token=${token} />`
          : html`<${NotFound} />`}
    <${ToastList} />`;
}

function unescaped(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

const { content: url } = document.querySelector("meta[name=sessiond-sign-in]");
const signIn = new SignIn(url);
keepInvitation();
// Who follows a link where the page is open already changes nothing but the fragment.
addEventListener("hashchange", keepInvitation);
signIn.arrive();
render(html`<${Page} signIn=${signIn} />`, document.getElementById("app"));
