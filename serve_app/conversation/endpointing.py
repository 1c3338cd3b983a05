"""Where the caller's speech starts and how long a pause has lasted, from voice frames alone."""

from __future__ import annotations

from dataclasses import dataclass, replace

from serve_app.conversation.events import VoiceFrame

FRAME_MS = 32


@dataclass(frozen=True, slots=True)
class EndpointingPolicy:
    """When a frame is voice, and how much voice is speech.

    Two thresholds (hysteresis) keep a trailing syllable from flickering; `start_ms` of voice
    begins speech, `resume_ms` of it ends a pause: a lone click does neither.
    """

    voice_probability: float = 0.5
    silence_probability: float = 0.35
    start_ms: int = 96
    resume_ms: int = 64


@dataclass(frozen=True, slots=True)
class FramesTogether:
    """How many frames may be judged together with no decision coming later for it.

    `silent`: where the last frame was surely no voice; `voiced`: where it surely was.
    """

    silent: int
    voiced: int


ONE_BY_ONE = FramesTogether(1, 1)


class Endpointer:
    """Follows one call's voice frames. Times are milliseconds of the call's audio."""

    def __init__(self, policy: EndpointingPolicy) -> None:
        self._policy = policy
        self._run_start_ms: int | None = None
        self.now_ms = 0
        """End of the last frame heard."""
        self.start_ms: int | None = None
        """Where the present speech began; None while there is none."""
        self.voice_end_ms = 0
        """End of the last voice that counted as speech."""

    @property
    def speaking(self) -> bool:
        """Speech has begun and was not yet closed."""
        return self.start_ms is not None

    @property
    def pause_ms(self) -> int:
        """Time since the last voice; 0 while there is no speech."""
        return self.now_ms - self.voice_end_ms if self.speaking else 0

    @property
    def resuming(self) -> bool:
        """The last frame was voice, in a pause that it has not ended yet."""
        return self.speaking and self._run_start_ms is not None and self.voice_end_ms < self.now_ms

    @property
    def speech_ms(self) -> int:
        """Length of the present speech, pauses inside it included."""
        return self.voice_end_ms - self.start_ms if self.start_ms is not None else 0

    def hear(self, frame: VoiceFrame) -> None:
        """Take in the next frame."""
        self.now_ms = frame.end_ms
        if not self._is_voice(frame.probability):
            self._run_start_ms = None
            return
        if self._run_start_ms is None:
            self._run_start_ms = frame.end_ms - FRAME_MS
        run_ms = frame.end_ms - self._run_start_ms
        if self.start_ms is None:
            if run_ms >= self._policy.start_ms:
                self.start_ms = self._run_start_ms
                self.voice_end_ms = frame.end_ms
        elif self._run_start_ms <= self.voice_end_ms or run_ms >= self._policy.resume_ms:
            self.voice_end_ms = frame.end_ms

    def set_voice_probability(self, probability: float) -> None:
        """What counts as voice from now on; silence stays as far below it as it was."""
        policy = self._policy
        hysteresis = policy.voice_probability - policy.silence_probability
        silence = max(0.0, probability - hysteresis)
        self._policy = replace(policy, voice_probability=probability, silence_probability=silence)

    def close(self) -> None:
        """The speech is over (its turn was committed); the next voice starts afresh."""
        self.start_ms = None
        self._run_start_ms = None

    def _is_voice(self, probability: float) -> bool:
        in_voice = self._run_start_ms is not None
        policy = self._policy
        return probability >= (policy.silence_probability if in_voice else policy.voice_probability)
