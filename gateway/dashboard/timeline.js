// What a conversation shows, in order: messages, and outputs where they were submitted.
//
// It is cut into chunks by seq, so that neither a new message at the end nor older ones at the
// beginning move the bounds: a chunk that is the same as before is the same object, and need not be
// drawn again.

import { dayOf } from "./relative_time.js";

const CHUNK = 50;
const TOGETHER_MS = 5 * 60_000;

/**
 * Return the chunks, {id, items}. An item is {key, seq, at, message} or {key, seq, at, outputId,
 * output}, with `opensDay` on the first one of a day, and `goesOn` where the same one speaks.
 */
export function timeline({ messages, outputs, hasOlder }, before = []) {
  const known = new Map(before.map((chunk) => [chunk.id, chunk]));
  const chunks = [];
  for (const item of marked(merged(messages, outputs, hasOlder))) {
    const id = Math.floor(item.seq / CHUNK);
    if (chunks.at(-1)?.id !== id) chunks.push({ id, items: [] });
    chunks.at(-1).items.push(item);
  }
  return chunks.map((chunk) => (isSame(known.get(chunk.id), chunk) ? known.get(chunk.id) : chunk));
}

function merged(messages, outputs, hasOlder) {
  const first = messages[0]?.timestamp ?? "";
  const shown = Object.entries(outputs)
    // What lies before the messages that are here comes with them.
    .filter(([, { generatedAt, status }]) => !hasOlder || generatedAt >= first || status === "pending")
    .sort(([, one], [, other]) => (one.generatedAt < other.generatedAt ? -1 : 1));
  const items = [];
  let seq = messages[0]?.seq ?? 0;
  const put = ([outputId, output]) =>
    items.push({ key: `output ${outputId}`, seq, at: output.generatedAt, outputId, output });
  let next = 0;
  for (const message of messages) {
    while (next < shown.length && shown[next][1].generatedAt < message.timestamp) put(shown[next++]);
    seq = message.seq;
    items.push({ key: message.id, seq, at: message.timestamp, message });
  }
  shown.slice(next).forEach(put);
  return items;
}

function marked(items) {
  let last = null;
  for (const item of items) {
    item.opensDay = !last || dayOf(last.at) !== dayOf(item.at);
    item.goesOn = !item.opensDay && isSameVoice(last, item);
    last = item;
  }
  return items;
}

function isSameVoice({ message: one, at }, { message: other, at: later }) {
  return Boolean(one && other)
    && one.sender === other.sender
    && one.agentId === other.agentId
    && one.userId === other.userId
    && Date.parse(later) - Date.parse(at) < TOGETHER_MS;
}

function isSame(one, other) {
  return one?.items.length === other.items.length
    && one.items.every((item, index) => {
      const { message, output, opensDay, goesOn } = other.items[index];
      return item.message === message && item.output === output
        && item.opensDay === opensDay && item.goesOn === goesOn;
    });
}
