// Markdown within a line: emphasis, code and links. The rest stays text.

import { html } from "./html.js";

const DEEPEST = 8;
const LONGEST = 500; // pieces that stand between two marks of emphasis
const TAGS = { "**": "strong", __: "strong", "*": "em", _: "em", "~~": "s" };
const SAFE = new Set(["http:", "https:", "mailto:"]);

// An escaped character, code, a link, a bare address, or a mark of emphasis.
const TOKEN = new RegExp(
  [
    /\\([\\`*_~[\]()#+.!>-])/,
    /(`+)/,
    /\[([^[\]\n]{1,500})\]\(([^()\s]{1,2000}(?:\([^()\s]{0,200}\)[^()\s]{0,500})?)\)/,
    /<?(https?:\/\/[^\s<>"'`]{1,2000})>?/,
    /(\*\*|\*|__|_|~~)/,
  ].map((part) => part.source).join("|"),
  "g",
);

/** Return the elements of a text without blocks. */
export function inline(text) {
  const line = new Line();
  const codes = new CodeMarks(text);
  const token = new RegExp(TOKEN);
  let at = 0;
  for (let found = token.exec(text); found; found = token.exec(text)) {
    const [whole, escaped, ticks, label, target, address, mark] = found;
    line.text(text.slice(at, found.index));
    at = token.lastIndex;
    if (escaped) {
      line.text(escaped);
    } else if (ticks) {
      const end = codes.after(at, ticks.length);
      if (end < 0) {
        line.text(whole);
      } else {
        line.element(html`<code>${text.slice(at, end).replace(/^ (.*\S.*) $/, "$1")}</code>`);
        token.lastIndex = at = end + ticks.length;
      }
    } else if (label !== undefined) {
      line.link(target, label, whole);
    } else if (address) {
      const bare = whole.startsWith("<") ? address : address.replace(/[.,;:!?)*_~\]]+$/, "");
      if (bare !== address) token.lastIndex = at = found.index + bare.length;
      line.link(bare, bare, bare);
    } else {
      line.mark(mark, text[found.index - 1] ?? " ", text[at] ?? " ");
    }
  }
  line.text(text.slice(at));
  return line.nodes.map(({ node }) => node);
}

/** What has been found so far, and the marks of emphasis that still wait for their partners. */
class Line {
  nodes = [];
  #open = new Map(Object.keys(TAGS).map((mark) => [mark, []]));

  text(text) {
    if (!text) return;
    // A single line break is one, as in chats.
    text.split("\n").forEach((part, index) => {
      if (index > 0) this.element(html`<br />`);
      if (part) this.nodes.push({ node: part, depth: 0 });
    });
  }

  element(node) {
    this.nodes.push({ node, depth: 0 });
  }

  link(target, label, whole) {
    const url = URL.canParse(target) ? new URL(target) : null;
    if (!url || !SAFE.has(url.protocol)) return this.text(whole);
    this.element(
      html`<a href=${url.href} target="_blank" rel="noopener noreferrer"><bdi>${label}</bdi></a>`,
    );
  }

  mark(mark, before, after) {
    const isWord = mark.startsWith("_");
    const canClose = /\S/.test(before) && !(isWord && /[\p{L}\p{N}]/u.test(after));
    const canOpen = /\S/.test(after) && !(isWord && /[\p{L}\p{N}]/u.test(before));
    if (canClose && this.#close(mark)) return;
    if (canOpen) this.#open.get(mark).push(this.nodes.length);
    this.nodes.push({ node: mark, depth: 0 });
  }

  #close(mark) {
    const at = this.#open.get(mark).pop();
    if (at === undefined || this.nodes.length - at > LONGEST) return false;
    const inner = this.nodes.slice(at + 1);
    const depth = 1 + inner.reduce((most, each) => Math.max(most, each.depth), 0);
    if (!inner.length || depth > DEEPEST) return false;
    this.nodes.length = at;
    // Marks between the two have no partner any more.
    for (const places of this.#open.values()) {
      while (places.length && places.at(-1) >= at) places.pop();
    }
    const node = html`<${TAGS[mark]}>${inner.map((each) => each.node)}<//>`;
    this.nodes.push({ node, depth });
    return true;
  }
}

/** Where the runs of backticks of each length are; asked for from left to right. */
class CodeMarks {
  #places = new Map();

  constructor(text) {
    for (const { index, 0: { length } } of text.matchAll(/`+/g)) {
      if (!this.#places.has(length)) this.#places.set(length, []);
      this.#places.get(length).push(index);
    }
    for (const places of this.#places.values()) places.reverse();
  }

  after(at, length) {
    const places = this.#places.get(length);
    while (places.length && places.at(-1) < at) places.pop();
    return places.length ? places.pop() : -1;
  }
}
