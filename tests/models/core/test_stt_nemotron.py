"""The streaming recogniser against the library's own loop, on random weights."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from deployments import backends
from deployments.contracts import SPEECH_RATE, Overloaded
from tests.tiny import nemotron

pytestmark = pytest.mark.timeout(600)
"""To build a checkpoint takes most of it, on a machine that has much to do."""

PCM = np.random.default_rng(3).normal(0, 3000, 3 * SPEECH_RATE).astype(np.int16).tobytes()


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    """A tiny checkpoint."""
    return nemotron.build(tmp_path_factory)


@pytest.fixture(scope="module")
def backend(settings: dict[str, object]) -> Iterator[Any]:
    """Loaded."""
    loaded: Any = backends.create("stt", "nemotron", settings)
    loaded.load()
    yield loaded
    loaded.close()


def hear(backend: Any, piece: int) -> Any:
    """The words of PCM, fed in pieces of that many bytes."""
    stream = backend.open(None)
    partials = [stream.feed(PCM[at : at + piece]) for at in range(0, len(PCM), piece)]
    final = stream.finish()
    stream.close()
    return partials, final


@pytest.mark.filterwarnings("ignore:Using the model-agnostic default")
def test_same_words_as_the_librarys_loop(settings: dict[str, object], backend: Any) -> None:
    """`generate` with a generator of audio gives the tokens that the stream holds."""
    import torch
    from transformers import NemotronAsrStreamingForRNNT, NemotronAsrStreamingProcessor

    processor = NemotronAsrStreamingProcessor.from_pretrained(settings["model"])
    model = NemotronAsrStreamingForRNNT.from_pretrained(settings["model"]).eval()
    processor.set_num_lookahead_tokens(1)
    sound = np.frombuffer(PCM, np.int16).astype(np.float32) / 32768

    def mels() -> Iterator[Any]:
        first = processor.num_mel_frames_first_audio_chunk
        begin = sound[: processor.num_samples_first_audio_chunk]
        options = {"sampling_rate": SPEECH_RATE, "is_streaming": True}
        yield processor(begin, **options)["input_features"][:, :first]
        at = first * 160 - 256
        while at + processor.num_samples_per_audio_chunk <= len(sound):
            piece = sound[at : at + processor.num_samples_per_audio_chunk]
            yield processor(piece, is_first_audio_chunk=False, **options)["input_features"]
            at += processor.num_mel_frames_per_audio_chunk * 160

    with torch.inference_mode():
        theirs = model.generate(input_features=mels(), num_lookahead_tokens=1).sequences[0]
    blank = model.config.blank_token_id
    expected = [int(token) for token in theirs if int(token) != blank]
    stream = backend.open(None)
    stream.feed(PCM)
    ours = [token for token, _, _ in stream._state.tokens]
    stream.close()
    assert len(ours) > 5
    assert ours == expected


def test_pieces_do_not_matter_and_partials_are_stable(backend: Any) -> None:
    """However the audio is cut, the words are the same, and each partial begins the next."""
    partials, final = hear(backend, 3210)
    assert hear(backend, 32_000)[1] == hear(backend, len(PCM))[1] == final
    texts = [partial.text for partial in partials] + [final.text]
    assert all(later.startswith(earlier) for earlier, later in pairwise(texts))
    assert len({*texts}) > 2


def test_no_more_streams_than_configured(settings: dict[str, object]) -> None:
    """The next is refused, and taken once one is closed."""
    backend: Any = backends.create("stt", "nemotron", {**settings, "max_streams": 2})
    backend.load()
    streams = [backend.open("en-US"), backend.open(None)]
    with pytest.raises(Overloaded):
        backend.open(None)
    streams.pop().close()
    streams.append(backend.open(None))
    for stream in streams:
        stream.close()
    backend.close()
