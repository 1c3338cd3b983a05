"""Voices: registration and its checks, deletion under a running phrase, stores that are shared."""

from __future__ import annotations

import logging
import multiprocessing
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployments.contracts import BadInput, Cloning, LoadFailed, SpeechRequest
from deployments.voice_catalogues import CatalogueLost
from deployments.voices import (
    MAX_VOICES,
    RATE,
    Voices,
    VoiceStore,
    check_length,
    check_name,
    recorded_s,
)
from tests import redis_server
from tests.recordings import tone_wav

CLONING = Cloning(min_s=3.0, max_s=20.0)
NOW = 1_700_000_000
WAV = tone_wav(4.0)
Machine = Callable[[str], Voices]


@pytest.fixture(params=["files", "redis"])
def machine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Machine]:
    """The voices of a replica on the machine of that name; with files there is but one machine."""
    with ExitStack() as stack:
        url = None
        if request.param == "redis":
            url = stack.enter_context(redis_server.running(tmp_path))

        def replica(name: str) -> Voices:
            folder = tmp_path / (name if url else "one")
            voices = Voices(VoiceStore(str(folder), url), CLONING, ("robot",))
            stack.callback(voices.close)
            return voices

        yield replica


@pytest.fixture
def voices(tmp_path: Path) -> Voices:
    """One replica's voices, in files."""
    return Voices(VoiceStore(str(tmp_path)), CLONING, ("robot",))


def asking(voice: str | None) -> SpeechRequest:
    """A phrase in a voice."""
    return SpeechRequest("Hello.", voice=voice)


def recording_of(voices: Voices, name: str) -> bytes:
    """What a phrase in a voice is given."""
    with voices.held(asking(name)) as held:
        assert held.recording is not None
        return Path(held.recording).read_bytes()


def test_every_replica_knows_a_voice_at_once(machine: Machine) -> None:
    """One that runs already, and one that starts later."""
    one, other = machine("a"), machine("b")
    voice = one.register("anna", WAV, NOW)
    assert (voice.name, voice.created_at, voice.seconds) == ("anna", NOW, 4.0)
    for replica in (one, other, machine("c")):
        assert replica.registered() == [voice]
        assert recording_of(replica, "anna") == WAV


def test_every_replica_forgets_a_voice_at_once(machine: Machine) -> None:
    """The error names it, and has a code of its own; the name is free again."""
    one, other = machine("a"), machine("b")
    one.register("anna", WAV, NOW)
    assert recording_of(other, "anna") == WAV
    other.delete("anna")
    for replica in (one, other):
        with (
            pytest.raises(BadInput, match="no registered voice 'anna'") as caught,
            replica.held(asking("anna")),
        ):
            pass
        assert caught.value.code == "voice_not_found"
    longer = tone_wav(5.0)
    one.register("anna", longer, NOW)
    assert recording_of(other, "anna") == longer


def test_what_was_derived_from_a_voice_goes_with_it(machine: Machine, tmp_path: Path) -> None:
    """On the machine that deletes at once, on the others when they next sweep."""
    one, other = machine("a"), machine("b")
    one.register("anna", WAV, NOW)
    for replica in (one, other):
        with replica.held(asking("anna")) as held:
            Path(str(held.recording)).with_name("murmur.npy").write_bytes(b"embedding")
    assert list(tmp_path.rglob("murmur.npy"))
    one.delete("anna")
    other.sweep()
    assert list(tmp_path.rglob("murmur.npy")) == []
    assert list(tmp_path.rglob("*.wav")) == []


def test_a_phrase_keeps_the_recording_of_a_deleted_voice(machine: Machine) -> None:
    """Two phrases at once: it is there until the last of them is over, and no longer."""
    one, other = machine("a"), machine("a")
    one.register("anna", WAV, NOW)
    with ExitStack() as last:
        with one.held(asking("anna")), ExitStack() as first:
            held = last.enter_context(other.held(asking("anna")))
            recording = Path(str(held.recording))
            other.delete("anna")
            one.sweep()
            first.close()
            assert recording.read_bytes() == WAV
        assert recording.read_bytes() == WAV
    assert not recording.parent.exists()


def test_a_voice_deleted_by_another_machine_stays_for_the_phrase(machine: Machine) -> None:
    """A sweep meanwhile does not take it."""
    one, other = machine("a"), machine("b")
    one.register("anna", WAV, NOW)
    with one.held(asking("anna")) as held:
        other.delete("anna")
        one.sweep()
        assert Path(str(held.recording)).read_bytes() == WAV
    assert not Path(str(held.recording)).parent.exists()


def _hold(folder: str, held: object, release: object) -> None:
    replica = Voices(VoiceStore(folder), CLONING, ())
    with replica.held(SpeechRequest("Hello.", voice="anna")):
        held.set()  # type: ignore[attr-defined]
        release.wait(30)  # type: ignore[attr-defined]


def test_a_phrase_in_another_process_keeps_its_recording(voices: Voices, tmp_path: Path) -> None:
    """And a process that is killed keeps nothing for ever."""
    voices.register("anna", WAV, NOW)
    context = multiprocessing.get_context("spawn")
    held, release = context.Event(), context.Event()
    process = context.Process(target=_hold, args=(str(tmp_path), held, release))
    process.start()
    try:
        assert held.wait(30)
        voices.delete("anna")
        assert len(list(tmp_path.rglob("*.wav"))) == 1
    finally:
        process.kill()
        process.join()
    voices.sweep()
    assert list(tmp_path.rglob("*.wav")) == []


def test_an_own_voice_needs_no_recording(voices: Voices) -> None:
    """Nor does the default one."""
    for voice in (None, "robot"):
        with voices.held(asking(voice)) as held:
            assert held.recording is None


def test_a_name_is_registered_once(voices: Voices) -> None:
    """The second leaves no recording behind."""
    voices.register("anna", WAV, NOW)
    with pytest.raises(BadInput) as caught:
        voices.register("anna", tone_wav(5.0), NOW)
    assert caught.value.code == "voice_exists"
    assert recording_of(voices, "anna") == WAV
    assert len(list(voices._recordings.iterdir())) == 1


@pytest.mark.parametrize("name", ["../anna", "", ".", "nobody", "robot", "x" * 65, "a\n", "*"])
def test_what_was_not_registered_cannot_be_deleted(voices: Voices, name: str) -> None:
    """Nor can a backend's own voice, nor a path."""
    with pytest.raises(BadInput) as caught:
        voices.delete(name)
    assert caught.value.code == "voice_not_found"


def test_there_is_a_limit(voices: Voices, monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk is not anybody's to fill."""
    assert MAX_VOICES == 1_000
    monkeypatch.setattr("deployments.voices.MAX_VOICES", 1)
    voices.register("anna", WAV, NOW)
    with pytest.raises(BadInput, match="delete one first"):
        voices.register("bert", WAV, NOW)


def test_another_model_may_need_a_longer_recording(voices: Voices, tmp_path: Path) -> None:
    """The voice is there, and the error says what it lacks."""
    voices.register("anna", WAV, NOW)
    stricter = Voices(VoiceStore(str(tmp_path)), Cloning(min_s=5.0), ())
    with pytest.raises(BadInput, match=r"4\.0 s long.*5 to 20 s"), stricter.held(asking("anna")):
        pass


def test_while_redis_is_gone_known_voices_go_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """What this machine holds is spoken with, and nothing changes; the log says so."""
    with redis_server.running(tmp_path) as url:
        voices = Voices(VoiceStore(str(tmp_path), url), CLONING, ())
        voices.register("anna", WAV, NOW)
        assert recording_of(voices, "anna") == WAV
    with caplog.at_level(logging.WARNING):
        assert recording_of(voices, "anna") == WAV
    assert "go on" in caplog.text
    for ask in (
        lambda: recording_of(voices, "bert"),
        lambda: voices.register("bert", WAV, NOW),
        lambda: voices.delete("anna"),
        voices.registered,
    ):
        with pytest.raises(CatalogueLost):
            ask()
    voices.sweep()
    assert recording_of(voices, "anna") == WAV
    voices.close()


def test_a_directory_that_cannot_be_made(tmp_path: Path) -> None:
    """The message names the setting and the path."""
    (tmp_path / "file").write_text("")
    with pytest.raises(LoadFailed, match="voices_dir"):
        Voices(VoiceStore(str(tmp_path / "file")), CLONING, ())


@pytest.mark.parametrize(
    "wav",
    [
        b"",
        b"RIFF",
        WAV[:20],
        tone_wav(4.0, rate=16_000),
        tone_wav(4.0, channels=2),
        tone_wav(4.0, width=1),
    ],
)
def test_only_the_agreed_form_is_kept(voices: Voices, wav: bytes) -> None:
    """The ingress converts; what else arrives is refused."""
    with pytest.raises(BadInput):
        voices.register("anna", wav, NOW)
    assert voices.registered() == []


@given(st.binary(max_size=200), st.integers(0, 60))
def test_bytes_that_are_no_recording(junk: bytes, cut: int) -> None:
    """BadInput and nothing but, wherever a file is broken."""
    with pytest.raises(BadInput):
        check_length(recorded_s(WAV[:cut] + junk), CLONING)


@given(st.integers(0, RATE))
def test_a_recording_is_as_long_as_its_samples(samples: int) -> None:
    """Whatever the length."""
    assert recorded_s(tone_wav(samples / RATE)) == samples / RATE


@pytest.mark.parametrize(
    ("seconds", "fits"), [(2.99, False), (3, True), (20, True), (20.01, False)]
)
def test_the_lengths_that_a_model_takes(seconds: float, fits: bool) -> None:
    """Both ends included; the message says what is and what must be."""
    if fits:
        check_length(seconds, CLONING)
        return
    with pytest.raises(BadInput, match="needs 3 to 20 s"):
        check_length(seconds, CLONING)


@given(st.from_regex(r"[A-Za-z0-9_-]{1,64}", fullmatch=True))
def test_names_that_can_be_had(name: str) -> None:
    """Letters, digits, '-' and '_'."""
    check_name(name, ())


@given(st.text(max_size=80).filter(lambda text: not text.isascii() or "/" in text or "." in text))
def test_names_that_cannot(name: str) -> None:
    """Nothing that a path or a key could be made of."""
    with pytest.raises(BadInput, match="letters, digits"):
        check_name(name, ())


@pytest.mark.parametrize("name", ["robot", "Robot", "ROBOT"])
def test_an_own_voices_name_is_taken(name: str) -> None:
    """In any case, or nobody could tell them apart."""
    with pytest.raises(BadInput, match="of its own") as caught:
        check_name(name, ("robot",))
    assert caught.value.code == "voice_exists"


def test_an_owners_voices(machine: Machine) -> None:
    """By who registered them, at every replica, with their recordings; the list tells nobody."""
    one, other = machine("a"), machine("b")
    one.register("anna", WAV, NOW, "anna")
    one.register("her-other", WAV, NOW, "anna")
    one.register("bert", WAV, NOW, "bert")
    assert other.of("anna") == ["anna", "her-other"]
    assert other.of("") == []
    assert other.recording("anna") == WAV
    other.delete("anna")
    assert one.of("anna") == ["her-other"]
    with pytest.raises(BadInput, match="no registered voice"):
        one.recording("anna")
