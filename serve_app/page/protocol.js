// The native protocol (docs/protocol-native.md), seen from a page. Pure.

/** The address of a call; `options` are the parameters of its query, empty ones left out. */
export function callUrl(pageUrl, options) {
  const url = new URL("ws", pageUrl);
  url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  for (const [name, value] of Object.entries(options)) {
    if (value) url.searchParams.set(name, value);
  }
  return url.href;
}

/**
 * The event of a server message; null for one that says again in bytes what JSON said, or that is
 * of no kind known here. Audio is {type: "audio", codec, rate, payload}.
 */
export function parse(message) {
  return typeof message === "string" ? parseJson(message) : parseBinary(message);
}

function parseJson(text) {
  let event;
  try {
    event = JSON.parse(text);
  } catch {
    return null;
  }
  return event && typeof event.type === "string" ? event : null;
}

function parseBinary(buffer) {
  if (buffer.byteLength < 5) return null;
  const view = new DataView(buffer);
  const codec = { 1: "pcm16", 4: "opus" }[view.getUint8(0)];
  const rate = view.getUint32(1, true);
  return codec && rate ? { type: "audio", codec, rate, payload: buffer.slice(5) } : null;
}

/** Samples from -1 to 1 as int16 little endian. */
export function pcmOf(samples) {
  const view = new DataView(new ArrayBuffer(samples.length * 2));
  samples.forEach((sample, i) => {
    view.setInt16(i * 2, Math.max(-1, Math.min(1, sample)) * 0x7fff, true);
  });
  return view.buffer;
}

/** int16 little endian as samples from -1 to 1; half a sample at the end is dropped. */
export function samplesOf(pcm) {
  const view = new DataView(pcm);
  return Float32Array.from(
    { length: pcm.byteLength >> 1 }, (_, i) => view.getInt16(i * 2, true) / 0x8000,
  );
}
