// The conversation, newest at the bottom: it stays there while one is there, and stays put while
// one reads further up.

import { Component, html, useEffect, useLayoutEffect, useMemo, useRef, useState } from "./html.js";
import { Message, Outgoing, voiceOf, Writing, YOU } from "./message.js";
import { Output } from "./outputs.js";
import { Icon } from "./parts.js";
import { dayName, dayOf, useNow } from "./relative_time.js";
import { timeline } from "./timeline.js";

const NEAR_PX = 80;
const EARLY_PX = 600;
const SAID_CHARACTERS = 300;

export function Messages({ session }) {
  const { conversation, outbox, older, subject } = session;
  const { messages, outputs, hasOlder, drafts } = conversation;
  const now = useNow();
  const today = dayOf(now);
  const before = useRef([]);
  const chunks = useMemo(() => {
    before.current = timeline({ messages, outputs, hasOlder }, before.current);
    return before.current;
  }, [messages, outputs, hasOlder]);
  const { scroller, content, isAway, scrolled, toEnd } = useScrolling(session);
  const outgoing = outbox.items.filter(({ kind }) => kind === "append");
  const isEmpty = !messages.length && !outgoing.length && !chunks.length && !drafts.size;
  return html`<div class="conversation">
    <div
      class="scroller" ref=${scroller} onScroll=${scrolled}
      tabindex="0" role="region" aria-label="Conversation"
    >
      <div class="messages" ref=${content}>
        <${Older} older=${older} hasOlder=${hasOlder} load=${() => session.loadOlder()} />
        ${chunks.map((chunk) => html`
          <${Chunk}
            key=${chunk.id} chunk=${chunk} today=${today}
            session=${session} subject=${subject}
          />`)}
        ${outgoing.map((item) => html`
          <${Outgoing} key=${item.opId} item=${item} session=${session} />`)}
        ${[...drafts.values()].map((draft) => html`
          <${Writing}
            key=${draft.turnId} draft=${draft} agent=${conversation.session.currentAgent}
          />`)}
        ${isEmpty && html`
          <p class="beginning">
            This is the beginning.${session.may("write") && " Say what you want to work on."}
          </p>`}
      </div>
    </div>
    ${isAway && html`
      <button class="to-end" onClick=${toEnd}><${Icon} name="down" /> Newest</button>`}
    <${Announcer} messages=${messages} subject=${subject} />
  </div>`;
}

/** Drawn again only when it is another one: a pending output looks after itself. */
class Chunk extends Component {
  shouldComponentUpdate({ chunk, today }) {
    const isSame = chunk === this.props.chunk && today === this.props.today;
    return !isSame || chunk.items.some(({ output }) => output?.status === "pending");
  }

  render({ chunk, session, subject }) {
    return html`<div class="chunk" style=${{ "--items": chunk.items.length }}>
      ${chunk.items.flatMap((item) => [
        item.opensDay && html`
          <h2 class="day" key=${`day ${item.key}`}><span>${dayName(item.at, Date.now())}</span></h2>`,
        item.message
          ? html`<${Message}
              key=${item.key} message=${item.message} goesOn=${item.goesOn}
              voice=${voiceOf(item.message, subject)}
              lookBack=${session.isPast ? null : () => session.lookBack({ seq: item.seq })}
            />`
          : html`<${Output}
              key=${item.key} outputId=${item.outputId} output=${item.output} session=${session}
            />`,
      ])}
    </div>`;
  }
}

function Older({ older, hasOlder, load }) {
  if (!hasOlder) return null;
  if (older.state === "failed") {
    return html`<p class="beginning" role="alert">
      Older messages did not load.
      <button class="button is-quiet" onClick=${load}>Try again</button>
    </p>`;
  }
  return html`<p class="beginning">
    <button class="button is-quiet" disabled=${older.state === "loading"} onClick=${load}>
      ${older.state === "loading" ? "Loading older messages…" : "Load older messages"}
    </button>
  </p>`;
}

/**
 * At the end one stays at the end; further up, what one reads stays where it is. Whatever changes
 * its height above, the browser does not move it: not all browsers do, and none at the very top.
 */
function useScrolling(session) {
  const scroller = useRef();
  const content = useRef();
  const isAtEnd = useRef(true);
  const lastTop = useRef(0);
  const anchor = useRef(null);
  const [isAway, setAway] = useState(false);

  const toEnd = () => {
    isAtEnd.current = true;
    setAway(false);
    scroller.current.scrollTop = scroller.current.scrollHeight;
  };
  const scrolled = () => {
    const { scrollTop, scrollHeight, clientHeight } = scroller.current;
    const below = scrollHeight - scrollTop - clientHeight;
    // Who scrolls up by a little means it, also while an answer pushes the end away.
    const wentUp = scrollTop < lastTop.current && below > 1;
    isAtEnd.current = below < NEAR_PX && !wentUp;
    lastTop.current = scrollTop;
    setAway(!isAtEnd.current);
    anchor.current = topmost(scroller.current, content.current);
    if (scrollTop < EARLY_PX && session.older.state === "idle") session.loadOlder();
  };
  useLayoutEffect(() => {
    const watching = new ResizeObserver(() => {
      const { element, top } = anchor.current ?? {};
      if (isAtEnd.current) toEnd();
      else if (element?.isConnected) {
        scroller.current.scrollTop += topOf(element, scroller.current) - top;
      }
    });
    watching.observe(content.current);
    watching.observe(scroller.current);
    return () => watching.disconnect();
  }, []);
  return { scroller, content, isAway, scrolled, toEnd };
}

function topOf(element, scroller) {
  return element.getBoundingClientRect().top - scroller.getBoundingClientRect().top;
}

/** The first thing said in sight, and where it is. What lies in chunks out of sight is not measured. */
function topmost(scroller, content) {
  const edge = scroller.getBoundingClientRect().top;
  const isInSight = (element) => element.getBoundingClientRect().bottom > edge;
  const said = content.querySelectorAll(":scope > .chunk, :scope > .message");
  const found = Array.from(said).find(isInSight);
  // A day's mark goes elsewhere when older messages of that day come.
  const within = found?.matches(".chunk") ? found.querySelectorAll(":scope > :not(.day)") : [];
  const element = Array.from(within).find(isInSight) ?? found;
  return element ? { element, top: topOf(element, scroller) } : null;
}

/** Tells those who listen of each new message, whole and once. */
function Announcer({ messages, subject }) {
  const seen = useRef(messages.at(-1)?.seq ?? 0);
  const [said, setSaid] = useState("");
  useEffect(() => {
    const fresh = messages.filter(({ seq }) => seq > seen.current);
    seen.current = messages.at(-1)?.seq ?? 0;
    const others = fresh.filter((each) => voiceOf(each, subject) !== YOU);
    if (others.length) setSaid(others.map((each) => spoken(each, subject)).join(" "));
  }, [messages]);
  return html`<div class="unseen" aria-live="polite">${said}</div>`;
}

function spoken(message, subject) {
  const { content } = message;
  const text = content.length > SAID_CHARACTERS ? `${content.slice(0, SAID_CHARACTERS)}…` : content;
  return `${voiceOf(message, subject)}: ${text}`;
}
