"""Voice detectors of one event loop, run together: whoever is due brings the others along.

After a wait the network's weights have left the processor's caches, so the first frame costs three
times what each frame right after it does. So where one call's frames are due, those of the other
calls that wait are judged too, and their probabilities are kept until they are asked for.
"""

from __future__ import annotations

from serve_app.audio.pcm import Samples
from serve_app.audio.vad import VoiceDetector


class VadBatch:
    """The detectors of one event loop. Not to be shared by threads."""

    def __init__(self) -> None:
        self._unjudged: dict[BatchedVad, None] = {}

    def join(self, detector: VoiceDetector) -> BatchedVad:
        """One call's detector, as a member. It leaves by being forgotten."""
        return BatchedVad(detector, self._unjudged)


class BatchedVad:
    """One call's detector: frames are heard one by one, and judged when anybody's are due."""

    def __init__(self, detector: VoiceDetector, unjudged: dict[BatchedVad, None]) -> None:
        self._detector = detector
        self._everybody = unjudged
        self._frames: list[Samples] = []
        self._probabilities: list[float] = []

    def hear(self, frame: Samples) -> None:
        """The next 512 samples, shape (512,). The caller bounds how many wait for `judge`."""
        self._frames.append(frame)
        self._everybody[self] = None

    def judge(self) -> list[float]:
        """Probability of speech in each frame heard since the last `judge`, in order."""
        while self._everybody:
            self._everybody.popitem()[0].catch_up()
        probabilities, self._probabilities = self._probabilities, []
        return probabilities

    def catch_up(self) -> None:
        """Judge the frames that wait; what comes of it is kept."""
        self._probabilities += [self._detector.push(frame) for frame in self._frames]
        self._frames.clear()
