"""`/v1/audio/voices` over HTTP, by OpenAI's own client too; the stage is a fake one."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import openai
import pytest
from fastapi import FastAPI
from hypothesis import given
from hypothesis import strategies as st

from deployments.contracts import StageInfo
from serve_app import voice_registration
from serve_app.errors import StageLost, StageRefused
from serve_app.rest import voices as module
from serve_app.rest.voices import MAX_UPLOAD_BYTES
from tests.recordings import tone_wav
from tests.serve_app.rest.speech_stages import NOW, RestFakes, application

READ = b"what the checks made of the upload"
FORM = {"name": "anna", "consent": "true"}
Files = dict[str, tuple[str, bytes, str]]


@pytest.fixture(autouse=True)
def read(monkeypatch: pytest.MonkeyPatch) -> list[tuple[bytes, float, float]]:
    """Recordings are not looked at here; what was asked is kept."""
    asked: list[tuple[bytes, float, float]] = []

    def read_recording(data: bytes, min_s: float, max_s: float) -> bytes:
        asked.append((data, min_s, max_s))
        return READ

    monkeypatch.setattr(voice_registration, "read_recording", read_recording)
    return asked


@pytest.fixture
def stage() -> RestFakes:
    """The voice's stage."""
    return RestFakes()


@pytest.fixture
async def client(stage: RestFakes) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the endpoint."""
    transport = httpx.ASGITransport(application(stage))
    async with httpx.AsyncClient(transport=transport, base_url="http://parley") as client:
        yield client


def files(data: bytes = b"some audio") -> Files:
    """An upload."""
    return {"audio_sample": ("me.wav", data, "audio/wav")}


async def register(client: httpx.AsyncClient, **changes: str) -> httpx.Response:
    """Register a voice, with changes to the form."""
    form = {key: value for key, value in {**FORM, **changes}.items() if value}
    return await client.post("/v1/audio/voices", data=form, files=files())


def fault(response: httpx.Response) -> tuple[int, str]:
    """The status and code of an error in OpenAI's shape."""
    error = response.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["message"]
    return response.status_code, error["code"]


async def test_a_voice_is_registered(
    client: httpx.AsyncClient, stage: RestFakes, read: list[tuple[bytes, float, float]]
) -> None:
    """The upload is read for what the model needs, and what was made of it is kept."""
    response = await register(client)
    assert response.status_code == 200
    assert response.json() == {
        "id": "anna",
        "object": "audio.voice",
        "name": "anna",
        "created_at": NOW,
        "type": "audio_sample",
        "seconds": 4.0,
    }
    assert stage.kept == {"anna": READ}
    assert read == [(b"some audio", 3.0, 20.0)]


async def test_voices_are_listed(client: httpx.AsyncClient) -> None:
    """The model's own first."""
    await register(client)
    response = await client.get("/v1/audio/voices")
    data = response.json()["data"]
    assert [(voice["id"], voice["type"]) for voice in data] == [
        ("robot", "model"),
        ("anna", "audio_sample"),
    ]


async def test_a_long_list_is_compressed(client: httpx.AsyncClient) -> None:
    """Where the client can unpack it: a page with 130 voices loads in a tenth of the bytes."""
    path = "/v1/audio/voices"
    plain = await client.get(path, headers={"accept-encoding": "identity"})
    packed = await client.get(path, headers={"accept-encoding": "gzip, br"})
    assert "content-encoding" not in plain.headers
    assert packed.headers["content-encoding"] == "gzip"
    assert packed.headers["content-type"] == plain.headers["content-type"] == "application/json"
    assert packed.headers["vary"] == plain.headers["vary"] == "accept-encoding"
    assert packed.content == plain.content


async def test_a_voice_is_deleted_once(client: httpx.AsyncClient) -> None:
    """The second time there is none."""
    await register(client)
    response = await client.delete("/v1/audio/voices/anna")
    assert response.json() == {"id": "anna", "object": "audio.voice", "deleted": True}
    assert fault(await client.delete("/v1/audio/voices/anna")) == (404, "voice_not_found")


async def test_openais_client_registers_a_voice(stage: RestFakes) -> None:
    """Its `consent`, elsewhere the id of a recording, is 'true' here."""
    transport = application(stage)
    async with openai.AsyncOpenAI(
        base_url="http://parley/v1",
        api_key="none",
        http_client=openai.DefaultAsyncHttpxClient(
            transport=openai_transport(transport), base_url="http://parley/v1"
        ),
    ) as client:
        voice = await client.audio.voices.create(
            name="anna", audio_sample=("me.wav", b"some audio"), consent="true"
        )
    assert (voice.id, voice.created_at, voice.type) == ("anna", NOW, "audio_sample")


def openai_transport(app: FastAPI) -> Any:
    """An application as the client library's own HTTP package reaches it."""
    import httpx2

    return httpx2.ASGITransport(app)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"name": ""}, "missing_field"),
        ({"consent": ""}, "consent_required"),
        ({"consent": "false"}, "consent_required"),
        ({"consent": "cons_1234"}, "consent_required"),
    ],
)
async def test_what_a_form_must_have(
    client: httpx.AsyncClient, stage: RestFakes, changes: dict[str, str], code: str
) -> None:
    """A name, and consent in so many letters; nothing is kept without."""
    assert fault(await register(client, **changes)) == (400, code)
    assert stage.kept == {}


async def test_a_form_without_a_file(client: httpx.AsyncClient) -> None:
    """The recording is asked for by its field's name."""
    response = await client.post(
        "/v1/audio/voices", data={**FORM, "audio_sample": "x"}, files={"other": b"x"}
    )
    assert fault(response) == (400, "missing_field")
    assert "audio_sample" in response.json()["error"]["message"]


@pytest.mark.parametrize("content_type", ["application/json", "", "multipart/mixed"])
async def test_another_content_type(client: httpx.AsyncClient, content_type: str) -> None:
    """It is named what to send."""
    response = await client.post(
        "/v1/audio/voices", content=b"{}", headers={"content-type": content_type}
    )
    assert fault(response) == (415, "invalid_content_type")


@pytest.mark.parametrize("header", ["multipart/form-data", "multipart/form-data; boundary="])
async def test_a_form_without_a_boundary(client: httpx.AsyncClient, header: str) -> None:
    """It cannot be read."""
    response = await client.post("/v1/audio/voices", content=b"x", headers={"content-type": header})
    assert response.status_code == 400
    fault(response)


@given(st.binary(max_size=500))
def test_any_body_gets_a_typed_answer(body: bytes) -> None:
    """Nothing that is sent raises."""

    async def post() -> httpx.Response:
        transport = httpx.ASGITransport(application(RestFakes()))
        async with httpx.AsyncClient(transport=transport, base_url="http://parley") as client:
            return await client.post(
                "/v1/audio/voices",
                content=b"--x\r\n" + body,
                headers={"content-type": "multipart/form-data; boundary=x"},
            )

    response = asyncio.run(post())
    assert response.status_code == 400
    fault(response)


async def test_a_large_upload_is_refused_by_its_header(client: httpx.AsyncClient) -> None:
    """Before any of it is read."""
    response = await client.post(
        "/v1/audio/voices", data=FORM, files=files(bytes(MAX_UPLOAD_BYTES + 1))
    )
    assert fault(response) == (413, "upload_too_large")


async def test_a_large_upload_without_a_length_is_cut_off(client: httpx.AsyncClient) -> None:
    """As soon as it is over the limit."""
    sent = 0

    async def body() -> AsyncIterator[bytes]:
        nonlocal sent
        yield b'--x\r\ncontent-disposition: form-data; name="audio_sample"; filename="f"\r\n\r\n'
        for _ in range(100):
            sent += 1
            yield bytes(1024 * 1024)

    response = await client.post(
        "/v1/audio/voices",
        content=body(),
        headers={"content-type": "multipart/form-data; boundary=x"},
    )
    assert fault(response) == (413, "upload_too_large")
    assert sent == 10


async def test_a_slow_upload_times_out(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And its place is free again."""
    monkeypatch.setattr(module, "UPLOAD_S", 0.05)
    gone = asyncio.Event()

    async def body() -> AsyncIterator[bytes]:
        yield b"--x\r\n"
        await gone.wait()

    for _ in range(voice_registration.AT_ONCE + 1):
        response = await client.post(
            "/v1/audio/voices",
            content=body(),
            headers={"content-type": "multipart/form-data; boundary=x"},
        )
        assert fault(response) == (408, "upload_timeout")


async def test_few_uploads_are_taken_at_once(client: httpx.AsyncClient) -> None:
    """The next one is told to come again."""
    go_on = asyncio.Event()
    begun = asyncio.Semaphore(0)

    async def body() -> AsyncIterator[bytes]:
        begun.release()
        await go_on.wait()
        yield b"--x--"

    def post() -> asyncio.Task[httpx.Response]:
        headers = {"content-type": "multipart/form-data; boundary=x"}
        return asyncio.create_task(client.post("/v1/audio/voices", content=body(), headers=headers))

    waiting = [post() for _ in range(voice_registration.AT_ONCE)]
    for _ in waiting:
        await begun.acquire()
    refused = await register(client)
    assert fault(refused) == (429, "rate_limit_exceeded")
    assert refused.headers["retry-after"]
    go_on.set()
    await asyncio.gather(*waiting)
    assert (await register(client)).status_code == 200


@pytest.mark.parametrize(
    ("fault_", "status"),
    [("voice_exists", 409), ("invalid_value", 400), ("cloning_not_supported", 400)],
)
async def test_what_the_stage_refuses(
    client: httpx.AsyncClient, stage: RestFakes, fault_: Any, status: int
) -> None:
    """Its words and its code."""
    stage.error = StageRefused("tts", "as told", fault_)
    response = await register(client)
    assert fault(response) == (status, fault_)
    assert response.json()["error"]["message"] == "as told"


async def test_a_stage_that_fails(client: httpx.AsyncClient, stage: RestFakes) -> None:
    """A fixed sentence for each verb; what it said is not the client's."""
    stage.error = StageLost("tts", "secret path")
    answers = [
        await client.get("/v1/audio/voices"),
        await register(client),
        await client.delete("/v1/audio/voices/anna"),
    ]
    for response in answers:
        assert fault(response) == (503, "stage_unavailable")
        assert "secret" not in json.dumps(response.json())


async def test_a_model_that_does_not_clone(client: httpx.AsyncClient, stage: RestFakes) -> None:
    """It is said before anything is uploaded."""
    stage.info["tts"] = StageInfo("espeak")
    response = await register(client)
    assert fault(response) == (400, "cloning_not_supported")
    assert "espeak" in response.json()["error"]["message"]


async def test_while_the_models_load(client: httpx.AsyncClient, stage: RestFakes) -> None:
    """Come again."""
    stage.info.clear()
    assert fault(await register(client)) == (503, "not_ready")


async def test_the_checks_are_the_real_ones(
    client: httpx.AsyncClient,
    stage: RestFakes,
    monkeypatch: pytest.MonkeyPatch,
    real: Callable[..., bytes],
) -> None:
    """A tone is no voice."""
    monkeypatch.setattr(voice_registration, "read_recording", real)
    response = await client.post("/v1/audio/voices", data=FORM, files=files(tone_wav(4.0)))
    assert fault(response) == (400, "recording_without_speech")
    assert stage.kept == {}


@pytest.fixture
def real() -> Callable[..., bytes]:
    """The checks themselves."""
    from serve_app.audio.recording import read_recording

    return read_recording
