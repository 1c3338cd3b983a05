// One conversation: microphone and loudspeaker ⇄ socket ⇄ server, reconnected when it breaks.

import { Backoff } from "./backoff.js";
import { chooseCodecs, newEncoder, ReplyDecoder } from "./opus.js";
import { callUrl, parse } from "./protocol.js";
import { levelOf, microphoneGranted, MicrophoneError, Sound, soundAvailable } from "./sound.js";

const KEPT_FRAMES = 150; // 3 s of speech before the call is open; older frames are dropped
const PLAYED_EVERY_MS = 250;
const SERVER_FULL_MS = 5000; // where the server does not say when to try again
const KEY_PROTOCOL = "openai-insecure-api-key.";

const RETRIED = new Set(["at_capacity", "not_ready", "stopping", "rate_limit_exceeded"]);
const LOST_CLOSES = new Set([1005, 1006, 1011, 1012, 1013]); // any other is the server's decision

/**
 * `onEvent` takes what happens: the server's events, with local times in ms (`now`, and `voiceAt`
 * for the caller's last sound), and the call's own: state, back, typed, speaking, sounded, played, flushed, level, retry, ended.
 */
export class Call {
  constructor({ pageUrl, settings, onEvent }) {
    this.pageUrl = pageUrl;
    this.settings = settings; // () → {voice, language, key}
    this.emit = (event) => onEvent({ now: performance.now(), ...event });
    this.backoff = new Backoff();
    this.early = [];
    this.sentMs = 0;
    this.muted = false;
    this.speaks = false;
    this.resume = null;
    this.unanswered = null; // a typed turn that nothing was heard about yet
    this.reply = null;
    /** Resolved when it is open for the first time, or over. */
    this.whenLive = new Promise((resolve) => { this.arrived = resolve; });
  }

  /** Open it; with `speak`, the microphone too. Throws MicrophoneError. */
  async open({ speak }) {
    this.pressedAt = performance.now();
    this.speaks = speak;
    this.emit({ type: "state", state: "connecting" });
    if (soundAvailable()) {
      this.sound = new Sound({
        onPlayer: (message) => this.playerSaid(message),
        onFrame: (samples, endedAt) => this.frame(samples, endedAt),
        onMicrophoneLost: () => this.fail("microphone_lost"),
      });
      this.codecs = await chooseCodecs(this.sound.rate);
    } else {
      this.codecs = { codec: "pcm16", reply: "pcm16" };
    }
    if (speak && !(await microphoneGranted())) await this.listen();
    if (this.over) return;
    this.connect();
    if (speak && !this.sound?.listening) await this.listen();
    else await this.sound?.ready;
  }

  /** Open the microphone, also in the middle of a typed call. Throws MicrophoneError. */
  async listen() {
    if (!this.sound) throw new MicrophoneError("insecure");
    this.speaks = true;
    await this.sound.openMicrophone();
    if (this.over) this.sound.close();
    else this.mute(this.muted);
  }

  connect() {
    const { voice, language, key } = this.settings();
    this.asked = this.resume;
    const url = callUrl(this.pageUrl, { ...this.codecs, voice, language, resume: this.resume });
    const socket = new WebSocket(url, key ? ["parley", KEY_PROTOCOL + key] : []);
    socket.binaryType = "arraybuffer";
    this.socket = socket;
    this.refusal = null;
    socket.onmessage = ({ data }) => socket === this.socket && this.received(parse(data));
    socket.onclose = ({ code }) => socket === this.socket && this.closed(code);
  }

  received(event) {
    if (!event) return;
    if (event.type === "audio") {
      this.decoder?.decode(event);
      return;
    }
    this.react(event);
    const voiceAt = "at_ms" in event ? this.localTime(event.at_ms) : undefined;
    this.emit({ ...event, voiceAt });
  }

  react(event) {
    switch (event.type) {
      case "ready": return this.begin(event);
      case "resumed": return this.back(true, event.last_turn);
      case "reply_started":
        this.unanswered = null;
        return this.play(event.reply_id, 0);
      case "reply_resumed": return this.play(event.reply_id, event.from_ms);
      case "flush": return this.flush(event.reply_id);
      case "reply_done": return this.sound?.tell({ do: "end", reply: event.reply_id });
      case "error":
        this.refusal = event;
        return event.code === "resume_unavailable" ? this.back(false) : undefined;
      case "moving": this.resume = event.resume ?? this.resume; return undefined;
      default: return undefined;
    }
  }

  begin(ready) {
    const isNew = this.lost && !this.asked;
    this.lost = false;
    this.refusal = null;
    this.backoff.reset();
    this.resume = ready.resume ?? null;
    this.sentMs = 0;
    this.encoder?.close();
    this.encoder = newEncoder(this.codecs.codec, this.sound?.rate, (message) => this.send(message));
    this.open_ = true;
    this.arrived();
    this.emit({ type: "state", state: "live" });
    if (isNew) this.back(false);
    for (const { samples, endedAt } of this.early.splice(0)) this.frame(samples, endedAt);
  }

  /** The line was made again: what was typed and not taken is said once more. */
  back(resumed, lastTurn = null) {
    this.emit({ type: "back", resumed });
    if (this.unanswered !== null && this.unanswered !== lastTurn) {
      this.say({ type: "text", text: this.unanswered });
    }
  }

  frame(samples, endedAt) {
    this.emit({ type: "level", level: this.muted ? 0 : levelOf(samples) });
    if (!this.open_) {
      this.early.push({ samples, endedAt });
      if (this.early.length > KEPT_FRAMES) this.early.shift();
      return;
    }
    this.encoder.encode(samples);
    this.sentMs += 20;
    this.sentAt = endedAt;
  }

  /** When the caller made the sound that is `atMs` into the call's audio. */
  localTime(atMs) {
    return this.sentAt === undefined ? performance.now() : this.sentAt - (this.sentMs - atMs);
  }

  play(reply, fromMs) {
    const { sound } = this;
    this.reply = reply;
    if (!sound) return;
    // The decoder of the reply before is left to finish what it has: its sound comes first.
    sound.tell({ do: "begin", reply, fromMs });
    this.decoder = new ReplyDecoder(
      sound.rate, (samples) => sound.tell({ do: "push", samples }, [samples.buffer]),
    );
  }

  flush(reply) {
    this.decoder?.close();
    this.decoder = null;
    this.sound?.tell({ do: "flush", reply });
  }

  playerSaid(message) {
    switch (message.type) {
      case "sounded":
        this.emit({ ...message, at: this.sound.when(message.at) + this.sound.outputMs });
        return;
      case "flushed":
        this.report(message);
        this.emit(message);
        return;
      case "played":
        if (message.reply && performance.now() - (this.reportedAt ?? 0) > PLAYED_EVERY_MS) {
          this.report(message);
        }
        this.emit({ ...message, playedMs: this.audibleMs(message.playedMs) });
    }
  }

  /** What was made is heard only when it has passed the browser's and the card's buffers. */
  audibleMs(playedMs) {
    return Math.max(0, playedMs - this.sound.outputMs);
  }

  report({ reply, playedMs }) {
    this.reportedAt = performance.now();
    this.say({ type: "played", reply_id: reply, ms: Math.round(this.audibleMs(playedMs)) });
  }

  closed(code) {
    const wasOpen = this.open_;
    this.open_ = false;
    if (this.over) return;
    if (this.reply) this.flush(this.reply);
    const { refusal } = this;
    if (refusal && RETRIED.has(refusal.code) && !wasOpen) {
      const leastMs = (refusal.retry_after_s ?? SERVER_FULL_MS / 1000) * 1000;
      this.again(refusal.code, leastMs);
    } else if (LOST_CLOSES.has(code)) {
      this.lost ||= wasOpen;
      this.again("lost", 0);
    } else {
      this.fail(code === 1000 ? "hung_up" : refusal?.code ?? "refused", refusal?.message);
    }
  }

  again(reason, leastMs) {
    const waitMs = this.backoff.next(leastMs);
    if (waitMs === null) {
      this.fail(reason === "lost" ? "unreachable" : reason);
      return;
    }
    this.emit({ type: "retry", reason, waitMs });
    this.retry = setTimeout(() => this.connect(), waitMs);
  }

  /** The network is back, or the caller is impatient: try now. */
  hurry() {
    if (!this.retry || this.socket.readyState !== WebSocket.CLOSED) return;
    clearTimeout(this.retry);
    this.connect();
  }

  typed(text) {
    this.unanswered = text;
    this.say({ type: "text", text });
    this.emit({ type: "typed", text });
  }

  interrupt() {
    this.say({ type: "interrupt" });
  }

  configure(settings) {
    this.say({ type: "config", ...settings });
  }

  /** The caller agrees that the call is recorded, or takes that back; `recording` answers. */
  record(consent) {
    this.say({ type: "record", consent });
  }

  mute(muted) {
    this.muted = muted;
    if (this.sound) this.sound.muted = muted;
  }

  say(message) {
    if (this.open_) this.send(JSON.stringify(message));
  }

  send(message) {
    if (this.socket.readyState !== WebSocket.OPEN) return;
    this.socket.send(message);
    if (typeof message !== "string" && this.firstAudioMs === undefined) {
      this.firstAudioMs = performance.now() - this.pressedAt;
      this.emit({ type: "speaking", afterMs: this.firstAudioMs });
    }
  }

  fail(code, message) {
    if (this.over) return;
    this.end();
    this.emit({ type: "ended", code, message });
  }

  /** Hang up; nothing is said of it but by whoever asks. */
  end() {
    this.over = true;
    this.arrived();
    clearTimeout(this.retry);
    this.say({ type: "end" });
    this.open_ = false;
    this.socket?.close();
    this.encoder?.close();
    this.decoder?.close();
    this.sound?.close();
  }
}
