// The two ends of the sound, on the audio thread: the microphone's frames and the loudspeaker.

import { JitterBuffer } from "./jitter_buffer.js";

const REPORT_QUANTA = 12; // 32 ms at 48 kHz

class Microphone extends AudioWorkletProcessor {
  constructor() {
    super();
    this.frame = new Float32Array(Math.round(sampleRate / 50));
    this.filled = 0;
  }

  process([[input]]) {
    for (let at = 0; input && at < input.length;) {
      const count = Math.min(input.length - at, this.frame.length - this.filled);
      this.frame.set(input.subarray(at, at + count), this.filled);
      this.filled += count;
      at += count;
      if (this.filled === this.frame.length) this.post(currentTime + at / sampleRate);
    }
    return true;
  }

  post(endsAt) {
    this.port.postMessage({ samples: this.frame, endsAt }, [this.frame.buffer]);
    this.frame = new Float32Array(Math.round(sampleRate / 50));
    this.filled = 0;
  }
}

class Player extends AudioWorkletProcessor {
  constructor() {
    super();
    this.buffer = new JitterBuffer(sampleRate);
    this.quanta = 0;
    this.energy = 0;
    this.port.onmessage = ({ data }) => this[data.do](data);
  }

  begin({ reply, fromMs }) {
    this.buffer.begin(reply, fromMs);
  }

  push({ samples }) {
    this.buffer.push(samples);
  }

  end({ reply }) {
    this.buffer.end(reply);
  }

  flush({ reply }) {
    this.port.postMessage({ type: "flushed", reply, playedMs: this.buffer.flush(reply) });
    this.report();
  }

  process(_, [[out]]) {
    this.buffer.pull(out);
    for (const sample of out) this.energy += sample * sample;
    const { sounded } = this.buffer;
    if (sounded) {
      const at = currentTime + sounded.at / sampleRate;
      this.port.postMessage({ type: "sounded", reply: sounded.reply, at });
    }
    this.quanta += 1;
    if (this.quanta === REPORT_QUANTA) this.report();
    return true;
  }

  report() {
    const { buffer } = this;
    const reply = buffer.current?.reply ?? null;
    this.port.postMessage({
      type: "played",
      reply,
      playedMs: reply === null ? 0 : buffer.playedMs(reply),
      level: Math.sqrt(this.energy / Math.max(1, this.quanta * 128)),
      queuedMs: buffer.queuedMs,
      targetMs: buffer.targetMs,
      gaps: buffer.gaps,
      total: buffer.total,
    });
    this.quanta = this.energy = 0;
  }
}

registerProcessor("microphone", Microphone);
registerProcessor("player", Player);
