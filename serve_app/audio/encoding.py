"""Speech → the bytes of a file, as it is made: what comes out can be played while more is made.

By FFmpeg (PyAV), which has every format and its container in one library. Encoding a second of
speech takes up to 15 ms of a core, so it is done off the event loop.
"""

# PyAV's packets are typed in part.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, TypeAlias, cast, get_args

import av
from av.audio.stream import AudioStream

from serve_app.audio.resample import pcm_frame

RATE = 24_000
"""Sample rate of every file, in Hz; all are mono."""

FileFormat: TypeAlias = Literal["mp3", "opus", "aac", "flac", "wav", "pcm"]
FILE_FORMATS: tuple[FileFormat, ...] = get_args(FileFormat)


@dataclass(frozen=True, slots=True)
class _Form:
    """FFmpeg's names, and the bitrate in bits a second where there is a choice."""

    container: str
    codec: str
    bitrate: int | None = None
    options: dict[str, str] = field(default_factory=dict[str, str])


_FORMS: dict[FileFormat, _Form] = {
    # Tables of contents cannot be written before the end is known.
    "mp3": _Form("mp3", "libmp3lame", 64_000, {"write_xing": "0", "id3v2_version": "0"}),
    "opus": _Form("ogg", "libopus", 32_000, {"page_duration": "200000"}),
    "aac": _Form("adts", "aac", 64_000),
    "flac": _Form("flac", "flac"),
    "wav": _Form("wav", "pcm_s16le"),
    "pcm": _Form("s16le", "pcm_s16le"),
}

MEDIA_TYPES: dict[FileFormat, str] = {
    "mp3": "audio/mpeg",
    "opus": "audio/ogg",
    "aac": "audio/aac",
    "flac": "audio/flac",
    "wav": "audio/wav",
    "pcm": f"audio/pcm;rate={RATE}",
}


class FileEncoder:
    """One file, written from its beginning to its end."""

    def __init__(self, format: FileFormat) -> None:
        form = _FORMS[format]
        self._written = _Written()
        options = {"flush_packets": "1", **form.options}
        self._file = av.open(self._written, "w", format=form.container, options=options)
        stream = self._file.add_stream(form.codec, rate=RATE, layout="mono")
        self._stream = cast(AudioStream, stream)
        if form.bitrate is not None:
            self._stream.bit_rate = form.bitrate

    def push(self, pcm: bytes) -> bytes:
        """The bytes that the next speech, int16 mono PCM of `RATE`, adds; maybe none yet."""
        if pcm:
            self._file.mux(self._stream.encode(pcm_frame(pcm, RATE)))
        return self._written.take()

    def finish(self) -> bytes:
        """The file's last bytes. It is not used after."""
        self._file.mux(self._stream.encode(None))
        self._file.close()
        return self._written.take()


class _Written:
    """A file to FFmpeg, which cannot go back in it."""

    def __init__(self) -> None:
        self._bytes = bytearray()

    def write(self, data: bytes) -> int:
        self._bytes += data
        return len(data)

    def take(self) -> bytes:
        taken = bytes(self._bytes)
        self._bytes.clear()
        return taken
