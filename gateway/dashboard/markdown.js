// Markdown of messages, as elements and never as HTML: paragraphs, headings, lists, code, quotes.
//
// What is not of this subset stays the text that it is. Every step is linear in the text's length
// and bounded in depth, since anybody may write anything.

import { html } from "./html.js";
import { inline } from "./markdown_inline.js";

const DEEPEST = 6;
const FENCE = /^ {0,3}(`{3,}|~{3,})\s*([\w+#.-]*)\s*$/;
const HEADING = /^ {0,3}(#{1,6})\s+(.*?)(?:\s#+)?\s*$/;
const RULE = /^ {0,3}([-*_])(?:\s*\1){2,}\s*$/;
const QUOTE = /^ {0,3}> ?/;
const ITEM = /^( *)(?:[-*+]|(\d{1,9})[.)])\s+/;

/** Return the elements of a text. */
export function markdown(text) {
  return blocks(text.replaceAll("\r\n", "\n").split("\n"), 0);
}

function blocks(lines, depth) {
  const found = [];
  let paragraph = [];
  const endParagraph = () => {
    if (paragraph.length) found.push(html`<p dir="auto">${inline(paragraph.join("\n"))}</p>`);
    paragraph = [];
  };
  for (let at = 0; at < lines.length; ) {
    const block = depth < DEEPEST ? blockAt(lines, at, depth, paragraph.length > 0) : null;
    if (block) {
      endParagraph();
      found.push(block.element);
      at = block.next;
    } else {
      if (lines[at].trim()) paragraph.push(lines[at]);
      else endParagraph();
      at += 1;
    }
  }
  endParagraph();
  return found;
}

/** The block, other than a paragraph, that begins at a line; null where none does. */
function blockAt(lines, at, depth, inParagraph) {
  const line = lines[at];
  const fence = FENCE.exec(line);
  if (fence) return fenced(lines, at, fence);
  const heading = HEADING.exec(line);
  if (heading) {
    // A message is not the page: its largest heading comes below those of the page.
    const level = Math.min(6, heading[1].length + 2);
    const element = html`<${`h${level}`} dir="auto">${inline(heading[2])}<//>`;
    return { element, next: at + 1 };
  }
  if (RULE.test(line)) return { element: html`<hr />`, next: at + 1 };
  if (QUOTE.test(line)) return quoted(lines, at, depth);
  const item = ITEM.exec(line);
  // A number at the beginning of a line within a paragraph is mostly just a number.
  if (item && !(inParagraph && item[2] !== undefined && item[2] !== "1")) {
    return listed(lines, at, item, depth);
  }
  return null;
}

function fenced(lines, at, [, mark, language]) {
  let end = at + 1;
  while (end < lines.length && !closes(lines[end], mark)) end += 1;
  const code = lines.slice(at + 1, end).join("\n");
  const label = language ? `Code, ${language}` : "Code";
  // What scrolls sideways must be reachable by keyboard.
  const element = html`<pre tabindex="0" role="region" aria-label=${label}><code>${code}</code></pre>`;
  return { element, next: end + 1 };
}

function closes(line, mark) {
  const bare = line.trim();
  return bare.length >= mark.length && bare === mark[0].repeat(bare.length);
}

function quoted(lines, at, depth) {
  let end = at;
  while (end < lines.length && QUOTE.test(lines[end])) end += 1;
  const inner = lines.slice(at, end).map((line) => line.replace(QUOTE, ""));
  return { element: html`<blockquote dir="auto">${blocks(inner, depth + 1)}</blockquote>`, next: end };
}

function listed(lines, at, first, depth) {
  const indent = first[1].length;
  const isOrdered = first[2] !== undefined;
  const items = [];
  let end = at;
  for (let item = first; item; item = itemLike(lines[end], indent, isOrdered)) {
    const inner = [lines[end].slice(item[0].length)];
    end += 1;
    while (end < lines.length && belongs(lines, end, indent)) {
      inner.push(lines[end].slice(Math.min(item[0].length, leading(lines[end]))));
      end += 1;
    }
    items.push(html`<li dir="auto">${unwrapped(blocks(inner, depth + 1))}</li>`);
    if (end >= lines.length) break;
  }
  const element = isOrdered
    ? html`<ol start=${first[2]} dir="auto">${items}</ol>`
    : html`<ul dir="auto">${items}</ul>`;
  return { element, next: end };
}

function itemLike(line, indent, isOrdered) {
  const item = ITEM.exec(line);
  const isNext = item && item[1].length === indent && (item[2] !== undefined) === isOrdered;
  return isNext ? item : null;
}

function leading(line) {
  return line.search(/\S|$/);
}

/** Whether a line goes on with a list's item: it is indented, or an empty line before such a one. */
function belongs(lines, at, indent) {
  if (lines[at].trim()) return leading(lines[at]) > indent;
  const after = lines[at + 1];
  return after !== undefined && after.trim() !== "" && leading(after) > indent;
}

/** An item of one paragraph needs no paragraph. */
function unwrapped(elements) {
  return elements.length && elements[0].type === "p"
    ? [elements[0].props.children, ...elements.slice(1)]
    : elements;
}
