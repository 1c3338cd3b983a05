// What to tell a person when something is wrong. Pure.

const TYPING = "You can still type.";

const PROBLEMS = {
  denied: ["The microphone is blocked.", `Allow it for this page in the browser, then press Talk. ${TYPING}`],
  missing: ["No microphone was found.", `Connect one, then press Talk. ${TYPING}`],
  busy: ["The microphone cannot be opened.", `Another program may be using it. ${TYPING}`],
  insecure: ["No microphone without https.", `Browsers allow it on https and on localhost only. ${TYPING}`],
  microphone_lost: ["The microphone went away.", "Connect it again, then press Talk."],
  at_capacity: ["All lines are busy.", "Others are talking right now."],
  not_ready: ["The models are loading.", "The call begins as soon as they are there."],
  stopping: ["The server is being replaced.", "The call begins at the next one."],
  rate_limit_exceeded: ["Too many calls.", "The server asks for a moment's patience."],
  lost: ["The connection broke.", "It is being made again."],
  unreachable: ["The server does not answer.", "Check the network, then press Talk."],
  session_expired: ["The call has ended.", "It reached the server's limit of silence or length. Press Talk for another."],
  superseded: ["The call goes on elsewhere.", "Another window has taken it over."],
  refused: ["The server refused the call.", ""],
};


/** {title, text, key}: `key` where the server asks who calls. `message` is the server's own. */
export function problemOf(code, message = "") {
  if (code === "invalid_api_key") {
    return { title: "This server asks for a key.", text: message, key: true };
  }
  const [title, text] = PROBLEMS[code] ?? [PROBLEMS.refused[0], message];
  return { title, text: text || message, key: false };
}

const STAGES = { stt: "Speech recognition", llm: "Language model", tts: "Voice" };

/** What the stages of /readyz still do, in a sentence. */
export function loadingOf(stages = {}) {
  const waiting = Object.entries(stages).filter(([, state]) => state !== "ready");
  return waiting.map(([stage, state]) => `${STAGES[stage] ?? stage}: ${state}`).join(" · ");
}
