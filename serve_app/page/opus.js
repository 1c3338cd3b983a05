// Opus by WebCodecs where the browser has it, plain samples where it has not: both ways.

import { pcmOf, samplesOf } from "./protocol.js";
import { Resampler } from "./resampler.js";

const BITRATE = 32000;

function encoderConfig(sampleRate) {
  return {
    codec: "opus", sampleRate, numberOfChannels: 1, bitrate: BITRATE,
    opus: { application: "voip", signal: "voice", frameDuration: 20000, complexity: 5 },
  };
}

function decoderConfig(sampleRate) {
  return { codec: "opus", sampleRate, numberOfChannels: 1 };
}

/** The parameters of the call's query that say how audio goes each way. */
export async function chooseCodecs(sampleRate) {
  const [up, down] = await Promise.all([
    supported(globalThis.AudioEncoder, encoderConfig(sampleRate)),
    supported(globalThis.AudioDecoder, decoderConfig(24000)),
  ]);
  const reply = down ? "opus" : "pcm16";
  return up ? { codec: "opus", reply } : { codec: "pcm16", rate: sampleRate, reply };
}

async function supported(codec, config) {
  try {
    return Boolean(codec && (await codec.isConfigSupported(config)).supported);
  } catch {
    return false; // an older browser's codec refuses what it does not know
  }
}

/** Frames of 20 ms → messages, given to `send`. */
export function newEncoder(codec, sampleRate, send) {
  return codec === "opus" ? new OpusEncoder(sampleRate, send) : {
    encode: (samples) => send(pcmOf(samples)),
    close() {},
  };
}

class OpusEncoder {
  constructor(sampleRate, send) {
    this.sampleRate = sampleRate;
    this.frames = 0;
    this.encoder = new AudioEncoder({
      output(chunk) {
        const packet = new ArrayBuffer(chunk.byteLength);
        chunk.copyTo(packet);
        send(packet);
      },
      error: (error) => console.error("Opus encoder:", error),
    });
    this.encoder.configure(encoderConfig(sampleRate));
  }

  encode(samples) {
    const data = new AudioData({
      format: "f32", sampleRate: this.sampleRate, numberOfChannels: 1,
      numberOfFrames: samples.length, timestamp: this.frames++ * 20000, data: samples,
    });
    this.encoder.encode(data);
    data.close();
  }

  close() {
    if (this.encoder.state !== "closed") this.encoder.close();
  }
}

/** One reply's audio messages → samples at `toRate`, given to `play` in order. */
export class ReplyDecoder {
  constructor(toRate, play) {
    this.toRate = toRate;
    this.play = play;
    this.packets = 0;
  }

  decode({ codec, rate, payload }) {
    if (codec === "pcm16") {
      this.emit(samplesOf(payload), rate);
      return;
    }
    this.opus ??= this.newOpus(rate);
    const timestamp = this.packets++ * 20000;
    this.opus.decode(new EncodedAudioChunk({ type: "key", timestamp, data: payload }));
  }

  newOpus(rate) {
    const decoder = new AudioDecoder({
      output: (data) => {
        const samples = new Float32Array(data.numberOfFrames);
        data.copyTo(samples, { planeIndex: 0, format: "f32-planar" });
        this.emit(samples, data.sampleRate);
        data.close();
      },
      error: (error) => console.error("Opus decoder:", error),
    });
    decoder.configure(decoderConfig(rate));
    return decoder;
  }

  emit(samples, rate) {
    if (this.closed) return;
    if (this.resampler?.from !== rate) this.resampler = new Resampler(rate, this.toRate);
    const made = this.resampler.push(samples);
    if (made.length) this.play(made);
  }

  /** Nothing more comes of it, not even what is being decoded. */
  close() {
    this.closed = true;
    if (this.opus && this.opus.state !== "closed") this.opus.close();
  }
}
