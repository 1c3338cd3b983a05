// Decides when received audio is played: as early as the network's unevenness allows. Pure.

const FADE = 96; // samples that a beginning takes, so that it does not click
const AUDIBLE = 1e-3;

/**
 * Replies play one after the other. `targetMs` of audio are gathered before one begins; a gap
 * lengthens that by what was missing, a reply that came with room to spare shortens it.
 */
export class JitterBuffer {
  constructor(rate, { leastMs = 20, mostMs = 240 } = {}) {
    this.rate = rate;
    this.leastMs = leastMs;
    this.mostMs = mostMs;
    this.targetMs = leastMs;
    this.gaps = 0;
    this.total = 0; // samples of replies that were played
    this.sounded = null; // {reply, at}: the first audible sample of a reply, as pull() just met it
    this.open = null;
    this.current = null;
    this.queue = [];
    this.queued = 0;
    this.playing = false;
    this.waited = 0;
    this.dry = 0;
    this.gain = 0;
    this.last = 0;
  }

  get queuedMs() {
    return this.queued / this.rate * 1000;
  }

  /** The audio that is pushed from now on is this reply's, from `fromMs` into it. */
  begin(reply, fromMs = 0) {
    const before = this.open;
    if (before && !before.gaps && before.spareMs > 40 && before.spareMs < Infinity) {
      this.targetMs = Math.max(this.leastMs, this.targetMs * 0.7);
    }
    const silent = fromMs === 0;
    this.open = { reply, fromMs, played: 0, gaps: 0, spareMs: Infinity, ended: false, silent };
  }

  /** More audio of the reply that was begun last. */
  push(samples) {
    const stream = this.open;
    if (!stream || stream.dropped || !samples.length) return;
    const ran = this.current === stream && !this.queued;
    if (ran) {
      const missingMs = this.dry / this.rate * 1000;
      stream.gaps += 1;
      this.gaps += 1;
      this.targetMs = Math.min(this.mostMs, this.targetMs + missingMs);
      this.waited = 0;
    } else if (this.current === stream) {
      stream.spareMs = Math.min(stream.spareMs, this.queuedMs);
    }
    this.queue.push({ stream, samples, at: 0 });
    this.queued += samples.length;
  }

  /** No more of this reply will come. */
  end(reply) {
    if (this.open?.reply === reply) this.open.ended = true;
  }

  /** Drop what is left of this reply. Returns how much of it was played, in ms. */
  flush(reply) {
    this.queue = this.queue.filter((chunk) => chunk.stream.reply !== reply);
    this.queued = this.queue.reduce((sum, chunk) => sum + chunk.samples.length - chunk.at, 0);
    if (this.open?.reply === reply) this.open.dropped = true;
    const playedMs = this.playedMs(reply);
    if (this.current?.reply === reply) this.current = null;
    if (!this.queued) this.playing = false;
    return playedMs;
  }

  /** How much of a reply was played, in ms of its audio; 0 for one that is long over. */
  playedMs(reply) {
    const stream = [this.current, this.open].find((one) => one?.reply === reply);
    return stream ? stream.fromMs + stream.played / this.rate * 1000 : 0;
  }

  /** Fill `out` with what is due, else with silence. */
  pull(out) {
    this.sounded = null;
    if (!this.playing) this.playing = this.mayStart(out.length);
    let filled = 0;
    while (this.playing && filled < out.length && this.queue.length) {
      filled = this.take(out, filled);
    }
    this.total += filled;
    if (!this.queue.length) {
      if (this.playing) this.dry = this.waited = 0;
      this.playing = false;
      this.dry += out.length - filled;
    }
    if (filled < out.length) this.gain = 0;
    for (let i = filled; i < out.length; i++) out[i] = this.last *= 0.9;
    if (filled === out.length) this.last = out[filled - 1];
  }

  mayStart(length) {
    if (!this.queue.length) return false;
    const wanted = this.targetMs / 1000 * this.rate;
    const enough = this.queued >= wanted || this.waited >= wanted || this.queue[0].stream.ended;
    this.waited += length;
    return enough;
  }

  take(out, from) {
    const chunk = this.queue[0];
    const { stream, samples } = chunk;
    const count = Math.min(out.length - from, samples.length - chunk.at);
    this.current = stream;
    for (let i = 0; i < count; i++) {
      const sample = samples[chunk.at + i];
      if (stream.silent && Math.abs(sample) > AUDIBLE) {
        stream.silent = false;
        this.sounded = { reply: stream.reply, at: from + i };
      }
      this.gain = Math.min(1, this.gain + 1 / FADE);
      out[from + i] = sample * this.gain;
    }
    this.last = out[from + count - 1];
    chunk.at += count;
    stream.played += count;
    this.queued -= count;
    if (chunk.at === samples.length) this.queue.shift();
    return from + count;
  }
}
