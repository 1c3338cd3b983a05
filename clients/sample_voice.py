"""A caller's question spoken by an embedded voice, for those who have no recording at hand.

libespeak-ng comes in the wheel of espeakng-loader, so nothing has to be installed by hand.
"""

from __future__ import annotations

import ctypes
import importlib
from typing import Final, Protocol, cast

from clients.audio_file import resampled

SAMPLE_QUESTION: Final = "I want to talk about my mother"
"""The embedded recogniser understands it through Opus, too, and ELIZA has an answer."""

VOICE: Final = "en-us+klatt4"
WORDS_PER_MINUTE: Final = 160

_SYNCHRONOUS = 2  # AUDIO_OUTPUT_SYNCHRONOUS
_BUFFER_MS = 100
_OPTIONS = 0x8000  # espeakINITIALIZE_DONT_EXIT: an error is returned, not an exit
_RATE_PARAMETER = 1  # espeakRATE
_CHARACTERS = 1  # POS_CHARACTER
_UTF8 = 1  # espeakCHARS_UTF8
_CALLBACK = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p
)


class SampleVoiceMissing(Exception):
    """The embedded voice cannot be loaded. The text is one line."""


class _Loader(Protocol):
    """The module espeakng_loader, which has no types."""

    def get_library_path(self) -> str: ...

    def get_data_path(self) -> str: ...


def speak(text: str, rate: int) -> bytes:
    """The text as int16 mono samples at `rate` Hz. Raises SampleVoiceMissing.

    The library keeps one voice for the whole process: not for two threads at once.
    """
    library, own_rate = _load()
    chunks: list[bytes] = []

    def collect(wav: object, samples: int, _events: object) -> int:
        if wav and samples > 0:
            chunks.append(ctypes.string_at(cast("int", wav), samples * 2))
        return 0

    callback = _CALLBACK(collect)
    library.espeak_SetSynthCallback(callback)
    if library.espeak_SetVoiceByName(VOICE.encode()) != 0:
        raise SampleVoiceMissing(f"espeak-ng has no voice {VOICE}")
    library.espeak_SetParameter(_RATE_PARAMETER, WORDS_PER_MINUTE, 0)
    data = text.encode() + b"\0"
    library.espeak_Synth(data, ctypes.c_size_t(len(data)), 0, _CHARACTERS, 0, _UTF8, None, None)
    return resampled(b"".join(chunks), own_rate, rate)


def _load() -> tuple[ctypes.CDLL, int]:
    try:
        loader = cast("_Loader", importlib.import_module("espeakng_loader"))
        library = ctypes.CDLL(loader.get_library_path())
    except (ImportError, OSError) as error:
        raise SampleVoiceMissing(f"the embedded voice cannot be loaded: {error}") from error
    data = loader.get_data_path().encode()
    rate = library.espeak_Initialize(_SYNCHRONOUS, _BUFFER_MS, data, _OPTIONS)
    if rate <= 0:
        raise SampleVoiceMissing("the embedded voice's data cannot be loaded")
    return library, rate
