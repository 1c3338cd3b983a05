"""Speaks argv[1] with espeak-ng; int16 mono PCM at 22 050 Hz on stdout.

A script of its own: libespeak-ng is one global object a process, and other tests load it too.
"""

from __future__ import annotations

import ctypes
import sys

import espeakng_loader

RETRIEVAL = 1
UTF8 = 1
AudioCallback = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p
)


def main(text: str) -> None:
    library = ctypes.CDLL(espeakng_loader.get_library_path())
    rate = library.espeak_Initialize(RETRIEVAL, 0, espeakng_loader.get_data_path().encode(), 0)
    if rate != 22_050:
        raise SystemExit(f"espeak-ng did not start: {rate}")

    @AudioCallback
    def on_audio(samples: object, count: int, _events: object) -> int:
        if samples and count > 0:
            sys.stdout.buffer.write(ctypes.string_at(samples, count * 2))
        return 0

    library.espeak_SetSynthCallback(on_audio)
    spoken = text.encode() + b"\0"
    library.espeak_Synth(spoken, len(spoken), 0, 1, 0, UTF8, None, None)
    library.espeak_Synchronize()


if __name__ == "__main__":
    main(sys.argv[1])
