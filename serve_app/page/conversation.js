// What was said, by whom, and how long each answer took: the server's events as turns. Pure.

import { partsOf } from "./latency.js";
import { Pace, SpokenText } from "./spoken.js";

/** Turns are {id, who: "you" | "agent" | "note", text, state, ...}; a change makes `revision` grow. */
export class Conversation {
  constructor() {
    this.turns = [];
    this.revision = 0;
    this.pace = new Pace();
    this.silent = false; // nothing can be played: text is shown as it is written
    this.added = 0;
    this.waiting = null; // {from, pauseEnds}: since when an answer is waited for
    this.hearing = false;
  }

  apply(event) {
    const handler = this[`on_${event.type}`];
    if (!handler) return;
    this.revision += 1;
    handler.call(this, event);
  }

  add(turn) {
    this.turns.push({ id: this.added++, text: "", ...turn });
    return this.turns.at(-1);
  }

  replyOf(event) {
    const id = event.reply_id ?? event.reply;
    return this.turns.findLast((turn) => turn.reply === id && turn.state !== "lost");
  }

  /** Nothing is waited for, being said or being heard. */
  get settled() {
    return !this.waiting && this.turns.every(({ state }) => state === "done" || state === "lost");
  }

  note(text) {
    this.revision += 1;
    this.add({ who: "note", text, state: "done" });
  }

  /** The line broke: what was going on then will not end. */
  breakOff() {
    this.revision += 1;
    this.waiting = null;
    this.hearing = false;
    for (const turn of this.turns) {
      if (turn.state !== "done") turn.state = "lost";
    }
    this.turns = this.turns.filter((turn) => turn.text || turn.who === "note");
  }

  on_speech_started() {
    this.hearing = true;
    this.waiting = null;
    const open = this.openTurn();
    if (open) open.state = "stopped";
  }

  on_speech_stopped({ voiceAt, now }) {
    this.hearing = false;
    this.waiting = { from: voiceAt, pauseEnds: now };
  }

  openTurn() {
    return this.turns.findLast((turn) => turn.who === "you" && turn.state === "speaking");
  }

  on_partial({ text }) {
    const turn = this.openTurn() ?? this.add({ who: "you", state: "speaking" });
    turn.text += text;
  }

  on_final({ text }) {
    const open = this.turns.find(({ who, state }) => (
      who === "you" && (state === "speaking" || state === "stopped")
    ));
    if (!text) {
      this.turns = this.turns.filter((turn) => turn !== open);
      return;
    }
    const turn = open ?? this.add({ who: "you" });
    Object.assign(turn, { text, state: "done" });
  }

  on_typed({ text, now }) {
    this.add({ who: "you", text, state: "done" });
    this.waiting = { from: now, pauseEnds: now };
  }

  on_reply_started({ reply_id, now }) {
    const from = this.waiting?.from ?? now;
    this.add({
      who: "agent", reply: reply_id, state: "thinking", from, spoken: new SpokenText(this.pace),
    });
  }

  on_reply_text(event) {
    const turn = this.replyOf(event);
    if (!turn) return;
    turn.spoken.write(event.delta);
    if (this.silent) turn.text = turn.spoken.written;
  }

  on_phrase(event) {
    this.replyOf(event)?.spoken.phrase(event.text, event.start_ms);
  }

  on_timings(event) {
    this.measure(this.replyOf(event), { timings: event });
  }

  on_sounded(event) {
    const turn = this.replyOf(event);
    if (!turn || turn.soundedAt) return;
    this.waiting = null;
    if (turn.state !== "done") turn.state = "speaking"; // a short one may be over by then
    this.measure(turn, { soundedAt: event.at });
  }

  measure(turn, known) {
    if (!turn) return;
    Object.assign(turn, known);
    if (!turn.timings || !turn.soundedAt) return;
    const parts = partsOf(turn.timings, turn.soundedAt - turn.from);
    turn.latency = { parts, totalMs: parts.reduce((sum, part) => sum + part.ms, 0) };
  }

  on_played(event) {
    const turn = event.reply && this.replyOf(event);
    if (!turn || turn.state === "done") return;
    turn.playedMs = event.playedMs;
    turn.text = turn.spoken.at(event.playedMs);
  }

  on_flush(event) {
    const turn = this.replyOf(event);
    if (turn) turn.state = "paused";
  }

  on_flushed(event) {
    const turn = this.replyOf(event);
    if (turn) turn.flushedMs = event.playedMs;
  }

  on_reply_resumed(event) {
    const turn = this.replyOf(event);
    if (turn) turn.state = "speaking";
  }

  on_reply_done(event) {
    const turn = this.replyOf(event);
    if (!turn) return;
    this.waiting = null;
    turn.status = event.status;
    turn.state = "done";
    turn.text = event.status === "completed"
      ? turn.spoken.end(turn.playedMs ?? 0)
      : turn.spoken.heard(event.heard);
    if (!turn.text) this.turns = this.turns.filter((one) => one !== turn);
  }
}
