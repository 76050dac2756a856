// Server-sent events over fetch: the browser's own client cannot send a bearer token.

const SILENCE_MS = 45_000; // the server says something every 15 s

/**
 * Yield the events of an answer, {kind, id, data}, until it ends. `silent` is called when nothing
 * has come for so long that nothing will.
 */
export async function* eventsOf(answer, silent) {
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let timer = setTimeout(silent, SILENCE_MS);
  let rest = "";
  let event = { kind: "message", id: "", data: [] };
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      clearTimeout(timer);
      timer = setTimeout(silent, SILENCE_MS);
      const lines = (rest + value).split("\n");
      rest = lines.pop();
      for (const line of lines) {
        if (line !== "") {
          note(event, line);
          continue;
        }
        if (event.data.length > 0) yield { ...event, data: JSON.parse(event.data.join("\n")) };
        event = { kind: "message", id: "", data: [] };
      }
    }
  } finally {
    clearTimeout(timer);
    reader.cancel().catch(() => {});
  }
}

function note(event, line) {
  const colon = line.indexOf(":");
  const field = colon < 0 ? line : line.slice(0, colon);
  const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
  if (field === "event") event.kind = value;
  else if (field === "id") event.id = value;
  else if (field === "data") event.data.push(value);
}
