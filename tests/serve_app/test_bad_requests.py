"""A written list of requests that should not be, to every endpoint of one server that takes a body.

Each gets its status and its typed error; a call beside them is answered all along.
"""

from __future__ import annotations

import io
import json
import struct
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from tests.ingress import open_ingress, web
from tests.recordings import tone_wav
from tests.serve_app.bad_json import ANY_JSON, witness

INVALID, TOO_BIG = "invalid_request_error", "message_too_big"
MIB = 1024 * 1024


@pytest.fixture
async def app() -> AsyncIterator[Any]:
    """One server for all of a test's calls."""
    async with open_ingress() as app:
        yield app


def wav_of(samples: bytes, form: int, bits: int) -> bytes:
    """A wav file with a format code of its own: 3 is IEEE floats."""
    size = bits // 8
    head = struct.pack("<4sIHHIIHH", b"fmt ", 16, form, 1, 24_000, 24_000 * size, size, bits)
    body = b"WAVE" + head + struct.pack("<4sI", b"data", len(samples)) + samples
    return struct.pack("<4sI", b"RIFF", len(body)) + body


def long_silence() -> bytes:
    """Ten minutes of nothing, which a lossless codec makes very small."""
    import av

    out = io.BytesIO()
    with av.open(out, "w", format="flac") as file:
        stream = file.add_stream("flac", rate=24_000, layout="mono")
        block = np.zeros((1, 24_000 * 10), dtype=np.int16)
        for _ in range(60):
            frame = av.AudioFrame.from_ndarray(block, format="s16", layout="mono")
            frame.sample_rate = 24_000
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    return out.getvalue()


def _lying_wav() -> bytes:
    """A header that promises four gigabytes."""
    good = bytearray(tone_wav(0.2))
    struct.pack_into("<I", good, 40, 0xFFFF_FFF0)
    return bytes(good)


def _form(boundary: str = "b", **fields: bytes) -> bytes:
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"'.encode()
        + (b'; filename="a.wav"' if name == "audio_sample" else b"")
        + b"\r\n\r\n"
        + value
        + b"\r\n"
        for name, value in fields.items()
    ]
    return b"".join(parts) + f"--{boundary}--\r\n".encode()


@dataclass(frozen=True)
class Request:
    """An HTTP request, and the status and code of its answer."""

    what: str
    method: str
    path: str
    body: bytes
    status: int
    code: str | None
    headers: tuple[tuple[str, str], ...] = ()


SECRETS, VOICES, TWIML = "/v1/realtime/client_secrets", "/v1/audio/voices", "/twilio/answer"
MULTIPART = (("content-type", "multipart/form-data; boundary=b"),)


def _upload(what: str, code: str, sample: bytes | None = None, status: int = 400, **fields: bytes):
    whole = {"name": b"anna", "consent": b"true", **fields}
    if sample is not None:
        whole["audio_sample"] = sample
    return Request(what, "POST", VOICES, _form(**whole), status, code, MULTIPART)


REQUESTS = [
    *(
        Request(what, "POST", SECRETS, message.encode("utf-8", "surrogatepass"), 400, INVALID)
        for what, message in ANY_JSON[:8]
        if isinstance(message, str) and message
    ),
    Request("nesting", "POST", SECRETS, b'{"a":' * 10_000, 400, INVALID),
    Request("a body too big", "POST", SECRETS, b"x" * 70_000, 413, TOO_BIG),
    Request("no UTF-8", "POST", SECRETS, b"\xff\xfe\x00", 400, INVALID),
    Request("a life of no time", "POST", SECRETS, b'{"expires_after": {"seconds": -1}}', 400, INVALID),
    Request("a life for ever", "POST", SECRETS, b'{"expires_after": {"seconds": 1e300}}', 400, INVALID),
    Request("a life of NaN", "POST", SECRETS, b'{"expires_after": {"seconds": NaN}}', 400, INVALID),
    Request("a session that is text", "POST", SECRETS, b'{"session": "x"}', 400, INVALID),
    Request("a session of 5 KB", "POST", SECRETS, json.dumps({"session": {"instructions": "x" * 5_000}}).encode(), 400, INVALID),
    Request("TwiML asked with too much", "POST", TWIML, b"x" * 70_000, 413, TOO_BIG),
    Request("no form", "POST", VOICES, b"{}", 415, "invalid_content_type", (("content-type", "application/json"),)),
    Request("a form without a boundary", "POST", VOICES, b"", 400, "invalid_form", (("content-type", "multipart/form-data"),)),
    Request("a form cut short", "POST", VOICES, _form(name=b"anna")[:-30], 400, "missing_field", MULTIPART),
    Request("another boundary", "POST", VOICES, _form("other", name=b"a"), 400, "invalid_form", MULTIPART),
    Request("a length that lies upwards", "POST", VOICES, b"", 413, "upload_too_large", (*MULTIPART, ("content-length", str(10**12)))),
    Request("too many fields", "POST", VOICES, _form(**{f"f{n}": b"" for n in range(33)}), 400, "invalid_form", MULTIPART),
    Request("too much of a form", "POST", VOICES, b"--b\r\n" + b"x" * (10 * MIB), 413, "upload_too_large", MULTIPART),
    _upload("no recording", "missing_field"),
    _upload("a recording of nothing", "recording_undecodable", b""),
    _upload("text as a recording", "recording_undecodable", b"hello" * 100),
    _upload("a wav header alone", "recording_undecodable", tone_wav(1)[:44]),
    _upload("a wav cut in its header", "recording_undecodable", tone_wav(1)[:30]),
    _upload("a header that lies", "recording_too_short", _lying_wav()),
    _upload("NaN floats", "recording_undecodable", wav_of(struct.pack("<f", float("nan")) * 24_000 * 4, 3, 32)),
    _upload("infinite floats", "recording_undecodable", wav_of(struct.pack("<f", float("inf")) * 24_000 * 4, 3, 32)),
    _upload("a playlist", "recording_undecodable", b"#EXTM3U\nfile:///etc/passwd\n"),
    _upload("minutes in some kilobytes", "recording_too_long", long_silence()),
    _upload("a second of silence", "recording_too_quiet", tone_wav(4, amplitude=0.0)),
    _upload("no consent", "consent_required", tone_wav(4), consent=b"yes"),
    _upload("no name", "missing_field", tone_wav(4), name=b""),
    Request("a method of nobody's", "PATCH", VOICES, b"", 405, None),
    Request("no such path", "GET", "/v1/audio/voice", b"", 404, None),
    Request("a path that climbs", "GET", "/v1/../../etc/passwd", b"", 404, None),
]  # fmt: skip


async def test_bad_requests(app: Any) -> None:
    """Each has its status and its code; nothing is a fault of the server's."""
    wrong: dict[str, Any] = {}
    async with witness(app), web(app) as client:
        for bad in REQUESTS:
            response = await client.request(
                bad.method, bad.path, content=bad.body, headers=dict(bad.headers)
            )
            body = response.json()
            code = body["error"]["code"] if "error" in body else None
            if (response.status_code, code) != (bad.status, bad.code):
                wrong[bad.what] = (response.status_code, code)
    assert wrong == {}


async def test_a_body_that_never_ends(app: Any) -> None:
    """No more of it is read than may be."""
    read = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal read
        while True:
            read += 64 * 1024
            yield b"x" * 64 * 1024

    async with web(app) as client:
        for path in (SECRETS, TWIML):
            read = 0
            response = await client.post(path, content=endless())
            assert (response.status_code, read <= 256 * 1024) == (413, True)


def test_minutes_of_silence_are_small() -> None:
    """Else the list's own bomb is none."""
    assert len(long_silence()) < 200_000
