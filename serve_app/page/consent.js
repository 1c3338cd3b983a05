// The box that asks whether a call may be recorded: on each connection anew, ticked by the caller alone.

const $ = (id) => document.getElementById(id);

export class Consent {
  /** `answer(agreed)` is called when the caller ticks the box or empties it. */
  constructor(answer) {
    this.recorded = false; // by the server's own word
    $("record").onchange = () => answer($("record").checked);
  }

  /** A connection is open: `ready` says whether it can be recorded. */
  ask({ recordable = false }) {
    this.forget();
    $("consent").hidden = !recordable;
  }

  /** The server records from now on, or does not any more. */
  changed({ on, keep_days: days }) {
    this.recorded = on;
    const kept = days === 1 ? "1 day" : `${days} days`;
    this.show(on ? `Kept for ${kept}.` : "Recording deleted.");
  }

  /** There is no connection that anything could be recorded of. */
  forget() {
    this.recorded = false;
    this.show("");
  }

  /** Something was refused: the box shows again how it is. */
  show(text = $("recorded").textContent) {
    $("record").checked = this.recorded;
    $("recorded").textContent = text;
  }

  /** Only an open connection can be answered on. */
  allow(open) {
    $("record").disabled = !open;
  }

  hide() {
    this.forget();
    $("consent").hidden = true;
  }
}
