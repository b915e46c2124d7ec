// Server-sent events out of a response's body, wherever the network cut it.
// https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream

/** The data of every complete event in `stream` (of bytes), in order. Leaving the loop early ends the stream. */
export async function* events(stream) {
  const reader = stream.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  let data = [];
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      const lines = (rest + value).split(/\r\n|\n|\r(?!$)/);
      rest = lines.pop();
      for (const line of lines) {
        if (line === "" && data.length) yield data.join("\n");
        if (line === "") data = [];
        else if (line.startsWith("data:")) data.push(line.slice(line[5] === " " ? 6 : 5));
      }
    }
  } finally {
    await reader.cancel().catch(() => {});
  }
}
