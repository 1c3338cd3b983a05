// The page: buttons and boxes on one side, a call and its conversation on the other.

import { Call } from "./call.js";
import { Consent } from "./consent.js";
import { Conversation } from "./conversation.js";
import { axisMs } from "./latency.js";
import { loadingOf, problemOf } from "./problems.js";
import { soundAvailable } from "./sound.js";
import { drawLatency, drawLevel, hideLatency, hideProblem, showProblem, TurnList } from "./view.js";

const READY_EVERY_MS = 1000;
const $ = (id) => document.getElementById(id);

const conversation = new Conversation();
const list = new TurnList();
const consent = new Consent((agreed) => call?.record(agreed));
let call = null;
let state = "idle";
let drawn = -1;
let key = "";
let speakingAfterMs;

/* The server: is it ready, and what does it offer? */

async function getJson(path) {
  const response = await fetch(path, { headers: key ? { authorization: `Bearer ${key}` } : {} });
  return { status: response.status, body: await response.json() };
}

async function watchReadiness() {
  try {
    const { body } = await getJson("readyz");
    if (body.ready) {
      hideWhenIdle();
      offerLanguages(body.languages ?? []);
      await offerVoices();
      return;
    }
    notYet("Loading", "The models are loading.", loadingOf(body.stages));
  } catch {
    notYet("Not connected", problemOf("unreachable").title, "Trying again.");
  }
  setTimeout(watchReadiness, READY_EVERY_MS);
}

function notYet(status, title, text) {
  if (call) return;
  $("status").textContent = status;
  showProblem(title, text, { busy: true });
}

function hideWhenIdle() {
  if (call) return;
  hideProblem();
  setState("idle");
}

async function offerVoices() {
  const { status, body } = await getJson("v1/audio/voices");
  if (status !== 200) return;
  offer("voice", body.data.map((voice) => [voice.name, voice.name]));
}

function offerLanguages(codes) {
  const names = new Intl.DisplayNames(undefined, { type: "language", fallback: "code" });
  offer("language", codes.map((code) => [code, names.of(code)]));
}

function offer(id, choices) {
  const select = $(id);
  const chosen = select.value || localStorage.getItem(id);
  select.length = 1;
  select.append(...choices.map(([value, name]) => new Option(name, value)));
  select.value = choices.some(([value]) => value === chosen) ? chosen : "";
}

/* The call. */

function settings() {
  return { voice: $("voice").value, language: $("language").value, key };
}

async function start({ speak }) {
  hideProblem();
  conversation.turns = [];
  const mine = new Call({
    pageUrl: location.href, settings, onEvent: (event) => mine === call && happened(event),
  });
  call = mine;
  conversation.silent = !soundAvailable();
  try {
    await mine.open({ speak });
  } catch (error) {
    microphoneFailed(mine, error);
  }
}

async function speakIn(typedCall) {
  const listening = typedCall.listen();
  setState(state);
  try {
    await listening;
  } catch (error) {
    microphoneFailed(typedCall, error);
  }
}

function microphoneFailed(failed, error) {
  if (failed !== call) return;
  if (!error.code) throw error;
  hangUp();
  const { title, text } = problemOf(error.code);
  showProblem(title, text);
}

function hangUp() {
  call?.end();
  call = null;
  consent.hide();
  conversation.breakOff();
  drawLevel("level-in", 0);
  drawLevel("level-out", 0);
  setState("idle");
}

function happened(event) {
  switch (event.type) {
    case "state": return connected(event.state);
    case "back": return conversation.note(event.resumed ? "The connection is back." : "The connection was lost. A new conversation begins.");
    case "retry": return retrying(event);
    case "ended": return ended(event);
    case "level": return drawLevel("level-in", event.level);
    case "speaking": speakingAfterMs = event.afterMs; return undefined;
    case "ready": consent.ask(event); return setState(state);
    case "recording": consent.changed(event); return setState(state);
    case "error": failed(event); break;
    case "reply_started": hideProblem(); break;
    case "played": playing(event); break;
    default:
  }
  conversation.apply(event);
  return undefined;
}

function connected(next) {
  setState(next);
  if (next === "live") hideProblem();
}

function failed({ code, message }) {
  const told = state !== "live" || code === "resume_unavailable";
  if (!told) showProblem("Something went wrong.", message);
  consent.show();
}

function retrying({ reason, waitMs }) {
  conversation.breakOff();
  if (consent.recorded) conversation.note("The recording ended with the connection.");
  consent.forget();
  setState(reason === "lost" ? "reconnecting" : "waiting");
  countDown(call, problemOf(reason), performance.now() + waitMs);
}

function countDown(waiting, { title, text }, until) {
  if (waiting !== call || state === "live") return;
  const left = Math.ceil((until - performance.now()) / 1000);
  // A screen reader is told once, and does not hear the seconds.
  $("countdown").textContent = left > 0 ? ` · trying again in ${left} s` : "";
  if (left < 1) return;
  if ($("problem").hidden || $("problem-title").textContent !== title) {
    showProblem(title, text, { busy: true, retry: true });
  }
  setTimeout(() => countDown(waiting, { title, text }, until), 250);
}

function ended({ code, message }) {
  hangUp();
  if (code === "hung_up") return;
  const { title, text, key: asks } = problemOf(code, message);
  showProblem(title, text, { key: asks });
}

function playing(event) {
  drawLevel("level-out", event.level);
  $("stop").disabled = event.reply === null;
  const { codec, reply } = call.codecs;
  const from = codec === "opus" ? "Opus" : "PCM";
  const to = reply === "opus" ? "Opus" : "PCM";
  const begun = speakingAfterMs === undefined ? "" : ` · sent after ${Math.round(speakingAfterMs)} ms`;
  const codecs = from === to ? `${to} both ways` : `${from} out, ${to} in`;
  const gaps = event.gaps === 1 ? "1 gap" : `${event.gaps} gaps`;
  $("line").textContent = `${codecs} · buffer ${Math.round(event.targetMs)} ms · ${gaps}${begun}`;
}

const STATUS = {
  idle: "Ready", connecting: "Connecting", live: "Listening", waiting: "Waiting for a line",
  reconnecting: "Reconnecting",
};

function setState(next) {
  state = next;
  $("countdown").textContent = "";
  const calling = state !== "idle";
  const speaking = Boolean(call?.speaks);
  document.body.className = [
    calling && speaking ? "calling" : "", state === "live" ? "live" : "",
    ["connecting", "waiting", "reconnecting"].includes(state) ? "trying" : "",
    consent.recorded ? "recorded" : "",
  ].join(" ");
  $("talk").lastElementChild.textContent = calling && speaking ? "Hang up" : "Talk";
  const status = state === "live" && !speaking ? "Typing only" : STATUS[state];
  $("status").textContent = consent.recorded ? `${status} · recorded` : status;
  consent.allow(state === "live");
  $("mute").disabled = !(calling && speaking);
  if (!calling) {
    setMuted(false);
    $("stop").disabled = true;
  }
}

function setMuted(muted) {
  $("mute").setAttribute("aria-pressed", muted);
  $("mute").lastElementChild.textContent = muted ? "Muted" : "Mute";
  call?.mute(muted);
}

/* The controls. */

$("talk").onclick = () => {
  if (!call) start({ speak: true });
  else if (!call.speaks) speakIn(call);
  else hangUp();
};
$("mute").onclick = () => setMuted($("mute").getAttribute("aria-pressed") !== "true");
$("stop").onclick = () => call?.interrupt();
$("retry").onclick = () => call?.hurry();
$("type").onsubmit = async (event) => {
  event.preventDefault();
  const text = $("text").value.trim();
  if (!text) return;
  $("text").value = "";
  if (!call) await start({ speak: false });
  await call?.whenLive;
  call?.typed(text);
};
$("key-form").onsubmit = (event) => {
  event.preventDefault();
  key = $("key").value;
  watchReadiness();
};
for (const id of ["voice", "language"]) {
  $(id).onchange = () => {
    const { value } = $(id);
    localStorage.setItem(id, value);
    if (value) call?.configure({ [id]: value });
  };
}
addEventListener("keydown", (event) => {
  if (event.key === "Escape" && !$("stop").disabled) call?.interrupt();
});
addEventListener("online", () => call?.hurry());
addEventListener("pagehide", () => call && hangUp());

/* The picture, once a frame. */

function draw() {
  const answers = conversation.turns.filter((turn) => turn.latency);
  const axis = axisMs(answers.map((turn) => turn.latency.totalMs));
  if (drawn !== conversation.revision) {
    drawn = conversation.revision;
    list.draw(conversation.turns, axis);
    if (conversation.settled && !answers.length) hideLatency();
    drawLatency(answers.at(-1)?.latency, conversation.waiting, performance.now(), axis);
  } else if (conversation.waiting) {
    drawLatency(null, conversation.waiting, performance.now(), axis);
  }
  requestAnimationFrame(draw);
}

setState("idle");
watchReadiness();
draw();
