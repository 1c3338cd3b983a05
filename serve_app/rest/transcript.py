"""What was heard in a recording, put together from its windows, and the forms it is told in. Pure.

Times are ms of the recording.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from deployments.contracts import Task, Transcript, Word
from serve_app.conversation.unspaced_scripts import is_unspaced

_SENTENCE_ENDS: Final = frozenset(".!?…。！？")
_GAP_MS: Final = 700
"""A pause that parts two segments."""
_LONGEST_MS: Final = 7_000
_LONGEST_CHARS: Final = 84
"""Two lines of a subtitle."""
_LEAST_CONFIDENCE: Final = 1e-5


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch to be shown at once."""

    text: str
    start_ms: int
    end_ms: int
    confidence: float = 1.0


@dataclass(slots=True)
class Heard:
    """All that was heard so far."""

    text: str = ""
    language: str | None = None
    words: list[Word] = field(default_factory=list[Word])
    segments: list[Segment] = field(default_factory=list[Segment])

    def add(self, transcript: Transcript, start_ms: int, end_ms: int) -> str:
        """The next window; what it adds to the text, a space before it included."""
        self.language = self.language or transcript.language
        text = transcript.text.strip()
        if not text:
            return ""
        words = [
            replace(word, start_ms=word.start_ms + start_ms, end_ms=word.end_ms + start_ms)
            for word in transcript.words
        ]
        self.words += words
        whole = Segment(text, start_ms, end_ms, transcript.confidence)
        self.segments += _segments(text, words) if words else [whole]
        delta = _apart(self.text, text) + text
        self.text += delta
        return delta


def srt(segments: Iterable[Segment]) -> str:
    """SubRip subtitles."""
    cues = (
        f"{number}\n{_clock(s.start_ms, ',')} --> {_clock(s.end_ms, ',')}\n{s.text}\n\n"
        for number, s in enumerate(segments, start=1)
    )
    return "".join(cues)


def vtt(segments: Iterable[Segment]) -> str:
    """WebVTT subtitles."""
    cues = (
        f"{_clock(s.start_ms, '.')} --> {_clock(s.end_ms, '.')}\n{_escaped(s.text)}\n\n"
        for s in segments
    )
    return "WEBVTT\n\n" + "".join(cues)


def verbose(
    heard: Heard, seconds: float, granularities: Sequence[str], task: Task
) -> dict[str, object]:
    """OpenAI's `verbose_json`. What no recogniser here tells of a segment stands at 0, or 1."""
    told: dict[str, object] = {
        "task": task,
        "language": heard.language or "und",
        "duration": round(seconds, 3),
        "text": heard.text,
    }
    if "word" in granularities:
        told["words"] = [
            {"word": word.text, "start": word.start_ms / 1000, "end": word.end_ms / 1000}
            for word in heard.words
        ]
    if "segment" in granularities or not granularities:
        told["segments"] = [
            {
                "id": number,
                "seek": 0,
                "start": segment.start_ms / 1000,
                "end": segment.end_ms / 1000,
                "text": segment.text,
                "tokens": [],
                "temperature": 0.0,
                "avg_logprob": math.log(max(segment.confidence, _LEAST_CONFIDENCE)),
                "compression_ratio": 1.0,
                "no_speech_prob": 0.0,
            }
            for number, segment in enumerate(heard.segments)
        ]
    return told


def _segments(text: str, words: Sequence[Word]) -> list[Segment]:
    """The text of a window, parted where its words show that it may be."""
    starts = _places(text, words)
    segments: list[Segment] = []
    first = 0
    for at in range(1, len(words) + 1):
        if at == len(words) or _parts(text[starts[first] : starts[at]], words[first : at + 1]):
            end = starts[at] if at < len(words) else len(text)
            shown = words[first:at]
            confidence = sum(word.confidence for word in shown) / len(shown)
            piece = text[starts[first] if first else 0 : end].strip()
            if piece:
                segments.append(
                    Segment(piece, shown[0].start_ms, max(w.end_ms for w in shown), confidence)
                )
            first = at
    return segments


def _parts(text: str, words: Sequence[Word]) -> bool:
    """Whether a segment of `text` ends before the last of `words`."""
    *shown, following = words
    return (
        text.rstrip()[-1:] in _SENTENCE_ENDS
        or following.start_ms - shown[-1].end_ms >= _GAP_MS
        or following.end_ms - shown[0].start_ms > _LONGEST_MS
        or len(text.rstrip()) + 1 + len(following.text) > _LONGEST_CHARS
    )


def _places(text: str, words: Sequence[Word]) -> list[int]:
    """Where each word begins in the text; one that is not found there begins with the one before
    it."""
    places: list[int] = []
    at = 0
    for word in words:
        found = text.find(word.text, at)
        places.append(found if found >= 0 else places[-1] if places else 0)
        at = found + len(word.text) if found >= 0 else at
    return places


def _apart(before: str, after: str) -> str:
    """What stands between two windows' texts."""
    return " " if before and not (is_unspaced(before[-1]) or is_unspaced(after[0])) else ""


def _clock(ms: int, point: str) -> str:
    seconds, ms = divmod(ms, 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{seconds:02}{point}{ms:03}"


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
