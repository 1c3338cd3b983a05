"""pocketsphinx: its pool of decoders, and what a stream gives."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from deployments.backends.stt_pocketsphinx import Pocketsphinx
from deployments.contracts import BackendError, BadInput, Overloaded


@pytest.fixture(scope="module")
def stt() -> Iterator[Pocketsphinx]:
    """One that allows two streams."""
    backend = Pocketsphinx(max_streams=2)
    backend.load()
    yield backend
    backend.close()


def test_streams_are_bounded_and_used_again(stt: Pocketsphinx) -> None:
    """A third stream is refused until one is closed."""
    first, second = stt.open(None), stt.open("en")
    with pytest.raises(Overloaded, match="all 2"):
        stt.open(None)
    first.close()
    third = stt.open(None)
    assert third._decoder is first._decoder
    second.close()
    third.finish()
    third.close()


@pytest.mark.parametrize("language", ["de", "eng", "fr-FR", ""])
def test_only_english_is_known(stt: Pocketsphinx, language: str) -> None:
    """Another language is refused, and takes no decoder."""
    for _ in range(3):
        with pytest.raises(BadInput):
            stt.open(language)
    stt.open("en-GB").close()


def test_a_stream_that_begins_closed_has_no_words(stt: Pocketsphinx) -> None:
    """Nothing heard is no text."""
    stream = stt.open(None)
    assert stream.finish().text == ""
    stream.close()


def test_a_broken_decoder_is_not_used_again(stt: Pocketsphinx) -> None:
    """A decoder that fails is lost to its stream alone: another takes its place."""
    stream = stt.open(None)
    broken = stream._decoder
    broken.end_utt()  # so that ending it once more fails
    with pytest.raises(BackendError):
        stream.close()
    streams = [stt.open(None), stt.open(None)]
    assert broken not in [stream._decoder for stream in streams]
    for stream in streams:
        stream.close()


def test_marks_and_alternates_are_not_words(stt: Pocketsphinx) -> None:
    """Silence and pronunciations do not show in the text."""
    stream = stt.open(None)
    stream.feed(bytes(32_000))
    transcript = stream.finish()
    stream.close()
    assert "<" not in transcript.text
    assert "(" not in transcript.text
