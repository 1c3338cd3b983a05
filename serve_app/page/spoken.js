// How much of a reply's text has been spoken, by how much of its audio was played. Pure.

const STARTING_PACE = 0.0145; // characters a millisecond, until a voice has shown its own
const LOOK_AHEAD = 12; // words that a phrase may begin later than where the last one ended

/** The pace of a voice, learnt from phrases whose length is known. */
export class Pace {
  constructor() {
    this.charsPerMs = STARTING_PACE;
  }

  learn(chars, ms) {
    if (chars < 8 || ms < 300) return;
    const seen = Math.max(0.004, Math.min(0.04, chars / ms));
    this.charsPerMs += (seen - this.charsPerMs) * 0.5;
  }
}

/** One reply: its text as it is written, and where in it the voice is. */
export class SpokenText {
  constructor(pace) {
    this.pace = pace;
    this.written = "";
    this.anchors = [{ at: 0, ms: 0, until: 0 }];
    this.shown = 0;
  }

  write(delta) {
    this.written += delta;
  }

  /** A phrase, as the voice says it, begins `ms` into the reply's audio. */
  phrase(text, ms) {
    const last = this.anchors.at(-1);
    const at = this.find(text, last.until);
    if (ms > last.ms) this.pace.learn(at - last.at, ms - last.ms);
    const anchor = { at, ms, until: Math.min(this.written.length, at + text.length) };
    if (ms <= last.ms) this.anchors.pop();
    this.anchors.push(anchor);
  }

  /** Where the phrase is in what was written, which has markup and figures that it has not. */
  find(phrase, from) {
    const first = plain(phrase.split(/\s+/, 1)[0]);
    const words = [...this.written.slice(from).matchAll(/\S+/g)].slice(0, LOOK_AHEAD);
    const found = words.find((word) => plain(word[0]) === first) ?? words[0];
    return from + (found?.index ?? 0);
  }

  /** The text that was spoken when `ms` of the reply's audio were played: it only ever grows. */
  at(ms) {
    const index = this.anchors.findLastIndex((anchor) => anchor.ms <= ms);
    const [anchor, next] = this.anchors.slice(Math.max(0, index));
    const gone = ms - anchor.ms;
    const chars = next
      ? (next.at - anchor.at) * gone / (next.ms - anchor.ms)
      : Math.min(gone * this.pace.charsPerMs, (anchor.until || this.written.length) - anchor.at);
    const to = ms > 0 ? this.endOfWord(anchor.at + chars) : 0;
    this.shown = Math.max(this.shown, Math.min(to, this.written.length));
    return this.written.slice(0, this.shown);
  }

  /** All of it, `ms` long, has been played. */
  end(ms) {
    const last = this.anchors.at(-1);
    this.pace.learn(this.written.length - last.at, ms - last.ms);
    this.shown = this.written.length;
    return this.written;
  }

  /** `heard`, which the server is sure of, was spoken: at least so many words are shown. */
  heard(heard) {
    const count = heard.split(/\s+/).filter(Boolean).length;
    const words = [...this.written.matchAll(/\S+/g)].slice(0, count);
    const last = words.at(-1);
    if (last) this.shown = Math.max(this.shown, last.index + last[0].length);
    return this.written.slice(0, this.shown);
  }

  endOfWord(at) {
    const rest = this.written.slice(Math.floor(at)).search(/\s/);
    return rest < 0 ? this.written.length : Math.floor(at) + rest;
  }
}

function plain(word) {
  return word.toLowerCase().replace(/[^\p{L}\p{N}]/gu, "");
}
