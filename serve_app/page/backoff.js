// How long to wait before the next try. Pure.

export class Backoff {
  constructor({ firstMs = 250, mostMs = 8000, tries = 12, random = Math.random } = {}) {
    Object.assign(this, { firstMs, mostMs, tries, random, count: 0 });
  }

  /** The next wait in ms, at least `leastMs`, with jitter; null once there were enough. */
  next(leastMs = 0) {
    if (this.count >= this.tries) return null;
    const grown = Math.min(this.mostMs, this.firstMs * 2 ** this.count);
    this.count += 1;
    return Math.max(leastMs, grown * (0.75 + this.random() / 2));
  }

  reset() {
    this.count = 0;
  }
}
