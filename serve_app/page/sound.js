// The browser's sound: one AudioContext, the microphone's frames, the loudspeaker's queue.

const CAPTURE = {
  echoCancellation: true, noiseSuppression: true, autoGainControl: true, channelCount: 1,
};

/** Why there is no microphone: `code` is one of `insecure`, `denied`, `missing`, `busy`. */
export class MicrophoneError extends Error {
  constructor(code, cause) {
    super(code, { cause });
    this.code = code;
  }
}

const CODES = {
  NotAllowedError: "denied", SecurityError: "denied", NotFoundError: "missing",
  OverconstrainedError: "missing",
};

/** Pages without a secure context have neither a microphone nor an audio thread. */
export function soundAvailable() {
  return isSecureContext && "AudioWorkletNode" in globalThis;
}

/** Whether the microphone may be used without a question to the caller. */
export async function microphoneGranted() {
  try {
    return (await navigator.permissions.query({ name: "microphone" })).state === "granted";
  } catch {
    return false; // browsers that do not tell ask when it comes to it
  }
}

export class Sound {
  /** `onPlayer` takes the player's messages, `onFrame` 20 ms of samples and when they ended. */
  constructor({ onPlayer, onFrame, onMicrophoneLost }) {
    this.context = new AudioContext({ latencyHint: "interactive" });
    this.onFrame = onFrame;
    this.onPlayer = onPlayer;
    this.onMicrophoneLost = onMicrophoneLost;
    this.untold = []; // messages for a player that is still being loaded
    this.ready = this.start();
  }

  get rate() {
    return this.context.sampleRate;
  }

  async start() {
    const module = new URL("worklets.js", import.meta.url);
    await this.context.audioWorklet.addModule(module);
    this.player = new AudioWorkletNode(this.context, "player", {
      numberOfInputs: 0, outputChannelCount: [1],
    });
    this.player.port.onmessage = ({ data }) => this.onPlayer(data);
    this.player.connect(this.context.destination);
    for (const [message, transfer] of this.untold.splice(0)) this.tell(message, transfer);
    await this.context.resume();
  }

  /** Begin to listen. Throws MicrophoneError. */
  async openMicrophone() {
    if (!navigator.mediaDevices?.getUserMedia) throw new MicrophoneError("insecure");
    try {
      this.stream = await navigator.mediaDevices.getUserMedia({ audio: CAPTURE });
    } catch (error) {
      throw new MicrophoneError(CODES[error.name] ?? "busy", error);
    }
    await this.ready;
    const [track] = this.stream.getAudioTracks();
    track.onended = () => this.onMicrophoneLost();
    const source = this.context.createMediaStreamSource(this.stream);
    const microphone = new AudioWorkletNode(this.context, "microphone", { numberOfOutputs: 0 });
    microphone.port.onmessage = ({ data }) => this.onFrame(data.samples, this.when(data.endsAt));
    source.connect(microphone);
  }

  get listening() {
    return Boolean(this.stream);
  }

  set muted(muted) {
    for (const track of this.stream?.getAudioTracks() ?? []) track.enabled = !muted;
  }

  /** A message for the player. */
  tell(message, transfer = []) {
    if (this.player) this.player.port.postMessage(message, transfer);
    else this.untold.push([message, transfer]);
  }

  /** A time of the audio thread as performance.now() counts. */
  when(contextTime) {
    return performance.now() + (contextTime - this.context.currentTime) * 1000;
  }

  /** How much later than the audio thread made it the loudspeaker plays a sample, in ms. */
  get outputMs() {
    return (this.context.outputLatency || this.context.baseLatency || 0) * 1000;
  }

  close() {
    for (const track of this.stream?.getTracks() ?? []) track.stop();
    this.stream = null;
    this.onFrame = this.onPlayer = () => {};
    if (this.context.state !== "closed") this.context.close();
  }
}

export function levelOf(samples) {
  let energy = 0;
  for (const sample of samples) energy += sample * sample;
  return Math.sqrt(energy / samples.length);
}
