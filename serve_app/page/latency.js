// Where the time between the caller's last sound and the agent's first one went. Pure.

/**
 * The parts of a wait, in order, which add up to `waitedMs` (never less than the server's share).
 *
 * `told` is the server's `timings`. Its stages may have worked while the pause that ends a turn
 * was still being waited for: that part of them costs nothing, and is `hiddenMs`. What the server
 * does not account for is the network and the sound buffers at both ends.
 */
export function partsOf(told, waitedMs) {
  let left = told.pipeline_ms;
  const visible = {};
  for (const stage of ["tts", "llm", "stt"]) {
    visible[stage] = Math.min(told[`${stage}_ms`], left);
    left -= visible[stage];
  }
  const stage = (name, ms = visible[name]) => (
    { name, ms, hiddenMs: told[`${name}_ms`] - visible[name] }
  );
  return [
    { name: "pause", ms: told.pause_ms, hiddenMs: 0 },
    stage("stt"),
    // What is left of the server's time is the model's: it writes a phrase before one is spoken.
    stage("llm", visible.llm + left),
    stage("tts"),
    { name: "net", ms: Math.max(0, waitedMs - told.pause_ms - told.pipeline_ms), hiddenMs: 0 },
  ];
}

/** The length of a bar's axis: a round figure that the longest of the waits fits in, in ms. */
export function axisMs(waits) {
  const longest = Math.max(0, ...waits);
  return [500, 1000, 1500, 2000, 3000, 5000, 10000].find((ms) => ms >= longest) ?? longest;
}
