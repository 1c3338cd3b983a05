// Samples at one rate → samples at another: a windowed sinc, one stream at a time. Pure.

const REACH = 12; // zero crossings to each side
const PHASES = 256;

export class Resampler {
  constructor(from, to) {
    this.from = from;
    this.step = from / to;
    this.scale = Math.min(1, to / from);
    this.half = Math.ceil(REACH / this.scale);
    this.kernel = kernel(this.half, this.scale);
    this.rest = new Float32Array(this.half);
    this.at = this.half; // place in `rest` of the next sample made
  }

  push(samples) {
    if (this.step === 1) return samples;
    const input = new Float32Array(this.rest.length + samples.length);
    input.set(this.rest);
    input.set(samples, this.rest.length);
    const out = [];
    for (; this.at + this.half < input.length; this.at += this.step) out.push(this.sample(input));
    const keep = Math.max(0, Math.floor(this.at) - this.half);
    this.rest = input.slice(keep);
    this.at -= keep;
    return Float32Array.from(out);
  }

  sample(input) {
    const whole = Math.floor(this.at);
    const phase = Math.round((this.at - whole) * PHASES);
    let sum = 0;
    for (let tap = 1 - this.half; tap <= this.half; tap++) {
      const weight = this.kernel[Math.abs(tap * PHASES - phase)];
      if (weight && whole + tap >= 0) sum += weight * input[whole + tap];
    }
    return sum;
  }
}

function kernel(half, scale) {
  return Float32Array.from({ length: half * PHASES + 1 }, (_, i) => {
    const x = i / PHASES * scale * Math.PI;
    const window = Math.cos(i / (half * PHASES) * Math.PI / 2) ** 2;
    return (x ? Math.sin(x) / x : 1) * window * scale;
  });
}
