// Draws the conversation and its latency. Knows the document, decides nothing.

import { axisMs } from "./latency.js";

const NAMES = {
  pause: "Pause", stt: "Hearing", llm: "Thinking", tts: "Speaking", net: "Network",
};
const LONG_NAMES = {
  pause: "pause that ends a turn", stt: "speech recognition", llm: "language model",
  tts: "voice", net: "network and sound buffers",
};
const $ = (id) => document.getElementById(id);

function make(tag, text = "", className = "") {
  const element = document.createElement(tag);
  if (className) element.className = className;
  element.textContent = text;
  return element;
}

/** The conversation as a list; elements are kept, so that nothing a reader stands on moves. */
export class TurnList {
  constructor() {
    this.items = new Map();
  }

  draw(turns, axis) {
    const log = $("talk-log");
    const atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 60;
    $("welcome").hidden = turns.length > 0;
    const ids = new Set(turns.map((turn) => turn.id));
    for (const [id, item] of this.items) {
      if (!ids.has(id)) {
        item.element.remove();
        this.items.delete(id);
      }
    }
    for (const turn of turns) this.drawTurn(turn, axis);
    if (atEnd) log.scrollTop = log.scrollHeight;
  }

  drawTurn(turn, axis) {
    const item = this.items.get(turn.id) ?? this.add(turn);
    const cut = turn.status === "interrupted" ? "cut" : "";
    item.element.className = [turn.who, turn.state, cut].filter(Boolean).join(" ");
    this.write(item, turn.text);
    if (turn.latency && item.axis !== axis) this.drawPast(item, turn.latency, axis);
  }

  add(turn) {
    const element = make("li");
    const words = make("p");
    const label = { you: "You", agent: "Parley" }[turn.who];
    if (label) element.append(make("b", label));
    element.append(words);
    $("turns").append(element);
    const item = { element, words, text: "" };
    this.items.set(turn.id, item);
    return item;
  }

  /** Words that are added fade in; a text that was replaced is written anew. */
  write(item, text) {
    if (text === item.text) return;
    if (text.startsWith(item.text)) item.words.append(make("span", text.slice(item.text.length)));
    else item.words.textContent = text;
    item.text = text;
  }

  drawPast(item, latency, axis) {
    item.past?.remove();
    item.axis = axis;
    item.past = make("div", "", "past");
    const bar = make("div", "", "bar");
    bar.setAttribute("role", "img");
    drawBar(bar, latency.parts, axis);
    item.past.append(bar, make("span", `${Math.round(latency.totalMs)} ms`));
    item.element.append(item.past);
  }
}

/** Parts of a wait side by side, what was hidden in the pause as a thin line in it. */
function drawBar(bar, parts, axis) {
  const segments = [];
  let at = 0;
  let hiddenEnd = parts[0].ms;
  for (const { name, ms } of parts) {
    segments.push({ name, at, ms });
    at += ms;
  }
  for (const { name, hiddenMs } of [...parts].reverse()) {
    const ms = Math.min(hiddenMs, hiddenEnd);
    if (ms < 1) continue;
    hiddenEnd -= ms;
    segments.push({ name, at: hiddenEnd, ms, hidden: true });
  }
  while (bar.children.length > segments.length) bar.lastChild.remove();
  while (bar.children.length < segments.length) bar.append(make("i"));
  segments.forEach(({ name, at: from, ms, hidden }, i) => {
    const segment = bar.children[i];
    segment.dataset.part = name;
    segment.toggleAttribute("data-hidden", Boolean(hidden));
    segment.style.setProperty("--at", from / axis);
    segment.style.setProperty("--of", ms / axis);
  });
  bar.setAttribute("aria-label", inWords(parts));
}

function inWords(parts) {
  const total = parts.reduce((sum, part) => sum + part.ms, 0);
  const each = parts.map((part) => `${LONG_NAMES[part.name]} ${Math.round(part.ms)}`);
  return `Answered after ${Math.round(total)} milliseconds: ${each.join(", ")}`;
}

/** The card of the last answer; `latency` is told, or `waiting` goes on at `now`. */
export function drawLatency(latency, waiting, now, axis) {
  const card = $("latency");
  if (!latency && !waiting) return;
  card.hidden = false;
  const parts = waiting ? running(waiting, now) : latency.parts;
  const total = parts.reduce((sum, part) => sum + part.ms, 0);
  const wide = Math.max(axis, axisMs([total]));
  $("total").textContent = Math.round(total);
  $("bar").classList.toggle("running", Boolean(waiting));
  drawBar($("bar"), parts, wide);
  if (waiting) $("bar").setAttribute("aria-label", "Waiting for the answer");
  drawAxis(wide);
  if (!waiting) drawLegend(parts);
}

/** There was no answer to measure. */
export function hideLatency() {
  $("latency").hidden = true;
}

function running({ from, pauseEnds }, now) {
  const pause = Math.max(0, pauseEnds - from);
  return [
    { name: "pause", ms: pause, hiddenMs: 0 },
    { name: "net", ms: Math.max(0, now - from - pause), hiddenMs: 0 },
  ];
}

function drawAxis(wide) {
  const axis = $("axis");
  if (axis.dataset.wide === String(wide)) return;
  axis.dataset.wide = wide;
  const steps = { 1000: 4, 1500: 3, 2000: 4, 3000: 3 }[wide] ?? 5;
  axis.replaceChildren(...Array.from({ length: steps + 1 }, (_, i) => {
    const tick = make("span", i ? `${+(wide * i / steps / 1000).toFixed(2)} s` : "0");
    tick.style.setProperty("--at", i / steps);
    return tick;
  }));
}

function drawLegend(parts) {
  $("legend").replaceChildren(...parts.map(({ name, ms, hiddenMs }) => {
    const entry = make("div");
    entry.dataset.part = name;
    const hidden = hiddenMs >= 1 ? `, and ${Math.round(hiddenMs)} ms more during the pause` : "";
    entry.title = `${LONG_NAMES[name]}: ${Math.round(ms)} ms${hidden}`;
    entry.append(make("dt", NAMES[name]), make("dd", `${Math.round(ms)}`));
    return entry;
  }));
}

/** Levels from 0 to 1 as the eye likes them: -54 dB is nothing, -6 dB all. */
export function drawLevel(id, level) {
  const shown = Math.max(0, Math.min(1, (20 * Math.log10(level + 1e-6) + 54) / 48));
  $(id).style.setProperty("--level", shown.toFixed(3));
  if (id === "level-in") $("talk").style.setProperty("--ring", shown.toFixed(3));
}

export function showProblem(title, text, { busy = false, key = false, retry = false } = {}) {
  write("problem-title", title);
  write("problem-text", text);
  $("problem").classList.toggle("busy", busy);
  $("key-form").hidden = !key;
  $("retry").hidden = !retry;
  $("problem").hidden = false;
}

/** What stays as it is is not written: a live region would read it out again. */
function write(id, text) {
  if ($(id).textContent !== text) $(id).textContent = text;
}

export function hideProblem() {
  $("problem").hidden = true;
}
