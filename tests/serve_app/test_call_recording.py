"""A call that is recorded: what is written, from when, and both sides in time."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from unittest.mock import MagicMock, call

import numpy as np

from serve_app.archive import playback
from serve_app.archive.recorder import Recorder
from serve_app.dialects.twilio import TwilioDialect
from tests.archives import KEY, NOW, WrittenAtOnce, archive_in, only, sides
from tests.fake_socket import FakeSocket
from tests.fakes import RATE, FakeStages, audio_of
from tests.open_call import open_call
from tests.virtual_time import in_virtual_time

ABOUT = ("call", "anna", "/ws")


def files_in(directory: Path) -> list[Path]:
    """All, however deep."""
    return [path for path in directory.rglob("*") if path.is_file()]


async def agreed(client: FakeSocket) -> float:
    """The caller agrees; when that was."""
    client.say("record", consent=True)
    return (await client.until("recording")).at


@in_virtual_time
async def test_both_sides_are_aligned_to_the_sample(tmp_path: Path) -> None:
    """The caller's turn lies where it was said and the answer where it was heard; the transcript
    has both."""
    archive = archive_in(tmp_path)
    async with open_call(recorder=Recorder(archive, ABOUT)) as talk:
        began = await agreed(talk.client)
        await talk.client.be_silent(320)
        await talk.client.turn(640)
        await talk.client.until("reply_done")
        heard_at = talk.client.of("audio")[0].at
        await talk.client.be_silent(320)
    caller, agent = sides(only(archive))
    spoken = np.flatnonzero(caller)
    assert (spoken[0], spoken[-1] + 1) == (320 * RATE // 1000, 960 * RATE // 1000)
    assert set(caller[spoken]) == {1000}
    answer = np.frombuffer(audio_of("Good morning to you."), "<i2")
    start = round((heard_at - began) * RATE)
    assert np.array_equal(agent[start : start + len(answer)], answer)
    assert np.count_nonzero(agent) == len(answer)
    told = playback.read(only(archive), KEY).told()
    assert told == {
        "call_id": "call",
        "owner": "anna",
        "path": "/ws",
        "consented_at": NOW,
        "ended_at": NOW,
        "complete": True,
        "seconds": len(caller) / RATE,
        "transcript": [
            {"at_ms": 320, "who": "caller", "text": "hello there"},
            {"at_ms": start * 1000 // RATE, "who": "agent", "text": "Good morning to you."},
        ],
    }


@in_virtual_time
async def test_an_interrupted_reply_is_kept_as_far_as_it_was_heard(tmp_path: Path) -> None:
    """What the flush dropped was not played."""
    archive = archive_in(tmp_path)
    stages = FakeStages(replies=[["One two three four five six seven eight nine ten."], ["Yes."]])
    async with open_call(stages, recorder=Recorder(archive, ABOUT)) as talk:
        began = await agreed(talk.client)
        talk.client.say("text", text="count")
        heard_at = (await talk.client.until("audio")).at
        await talk.client.be_silent(480)
        await talk.client.speak(640)
        flushed_at = (await talk.client.until("flush")).at
        await talk.client.be_silent(600)
        await talk.client.until("reply_done", 2)
    _, agent = sides(only(archive))
    first = round((heard_at - began) * RATE)
    cut = round((flushed_at - began) * RATE)
    whole = np.frombuffer(audio_of("One two three four five six seven eight nine ten."), "<i2")
    assert np.array_equal(agent[first:cut], whole[: cut - first])
    assert not agent[cut : cut + RATE // 10].any()


@in_virtual_time
async def test_nothing_is_written_before_the_caller_agrees(tmp_path: Path) -> None:
    """Nor of a turn or a reply that began before, words least of all."""
    archive = archive_in(tmp_path)
    stages = FakeStages(finals=[[0.3, "before"], ["after"]], replies=[["Early."], ["Late."]])
    async with open_call(stages, recorder=Recorder(archive, ABOUT)) as talk:
        ready = await talk.client.until("ready")
        assert ready.fields["recordable"] is True
        await talk.client.turn(320)
        assert files_in(tmp_path) == []
        await talk.client.until("final")
        await agreed(talk.client)
        await talk.client.until("reply_done")
        await talk.client.turn(320)
        await talk.client.until("reply_done", 2)
    lines = playback.read(only(archive), KEY).lines
    assert [(line.who, line.text) for line in lines] == [("caller", "after"), ("agent", "Late.")]


@in_virtual_time
async def test_taking_it_back_deletes_it(tmp_path: Path, no_metrics: MagicMock) -> None:
    """At once, and nothing is written any more; agreeing again begins a new one."""
    archive = archive_in(tmp_path)
    async with open_call(recorder=Recorder(archive, ABOUT)) as talk:
        await agreed(talk.client)
        await talk.client.turn(2_000)
        first = only(archive)
        talk.client.say("record", consent=False)
        told = await talk.client.until("recording", 2)
        assert told.fields == {"type": "recording", "on": False, "keep_days": None}
        assert archive.shelf.of("anna") == []
        await talk.client.turn(640)
        assert archive.shelf.of("anna") == []
        talk.client.say("record", consent=True)
        await talk.client.until("recording", 3)
        talk.client.say("record", consent=True)
        await talk.client.until("recording", 4)
        assert only(archive) != first
    outcomes = no_metrics.recordings.inc.mock_calls
    assert outcomes == [call(tags={"outcome": name}) for name in ("withdrawn", "written")]


@in_virtual_time
async def test_a_server_that_records_nothing_says_so() -> None:
    """A typed error, and the call goes on; refusing is never wrong."""
    async with open_call() as talk:
        assert (await talk.client.until("ready")).fields["recordable"] is False
        talk.client.say("record", consent=True)
        await talk.client.until("error")
        assert talk.client.errors == ["recording_not_offered"]
        talk.client.say("record", consent=False)
        assert (await talk.client.until("recording")).fields["on"] is False
        talk.client.say("text", text="hi")
        await talk.client.until("reply_done")


@in_virtual_time
async def test_what_the_disk_has_no_room_for(tmp_path: Path, no_metrics: MagicMock) -> None:
    """Is lost, the call goes on, and the recording says that it is not whole, in its time."""
    archive = archive_in(tmp_path)
    assert isinstance(archive.writer, WrittenAtOnce)
    async with open_call(recorder=Recorder(archive, ABOUT)) as talk:
        await agreed(talk.client)
        await talk.client.speak(3_200)
        archive.writer.full = True
        await talk.client.speak(3_200)
        archive.writer.full = False
        await talk.client.speak(3_200)
        talk.client.say("commit")
        await talk.client.until("reply_done")
    told = playback.read(only(archive), KEY).told()
    assert told["complete"] is False
    caller, _ = sides(only(archive))
    assert 2 * RATE <= np.count_nonzero(caller[: 9_600 * RATE // 1000] == 0) <= 4 * RATE
    assert caller[9 * RATE] == 1000
    assert no_metrics.recordings.inc.mock_calls == [call(tags={"outcome": "incomplete"})]


@in_virtual_time
async def test_only_what_the_operator_keeps(tmp_path: Path) -> None:
    """Words without sound."""
    archive = archive_in(tmp_path, keep=["transcript"])
    async with open_call(recorder=Recorder(archive, ABOUT)) as talk:
        await agreed(talk.client)
        await talk.client.turn()
        await talk.client.until("reply_done")
    recording = playback.read(only(archive), KEY)
    assert (recording.moments, len(recording.lines)) == (0, 2)


@in_virtual_time
async def test_erased_while_it_is_written(tmp_path: Path, no_metrics: MagicMock) -> None:
    """Nothing of it is left once the call is over."""
    archive = archive_in(tmp_path)
    async with open_call(recorder=Recorder(archive, ABOUT)) as talk:
        await agreed(talk.client)
        await talk.client.speak(3_200)
        assert archive.shelf.erase("anna") == 1
        await talk.client.speak(3_200)
    assert files_in(tmp_path) == []
    assert no_metrics.recordings.inc.mock_calls == [call(tags={"outcome": "erased"})]


@in_virtual_time
async def test_a_disk_that_fails_costs_the_call_nothing(
    tmp_path: Path, no_metrics: MagicMock
) -> None:
    """There is no recording, and that is counted."""
    (tmp_path / "taken").write_text("")
    archive = archive_in(tmp_path / "taken")
    async with open_call(recorder=Recorder(archive, ABOUT)) as talk:
        await agreed(talk.client)
        await talk.client.turn()
        await talk.client.until("reply_done")
    assert no_metrics.recordings.inc.mock_calls == [call(tags={"outcome": "failed"})]


@in_virtual_time
async def test_a_telephone_call(tmp_path: Path) -> None:
    """Mu-law at 8 kHz, recorded as the ear and the loudspeaker have it."""
    archive = archive_in(tmp_path)
    start = {
        "streamSid": "MZ1",
        "customParameters": {"record": "true"},
        "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
    }
    async with open_call(dialect=TwilioDialect(), recorder=Recorder(archive, ABOUT)) as talk:
        talk.client.put('{"event": "connected"}')
        talk.client.put(json.dumps({"event": "start", "start": start}))
        for _ in range(100):
            await asyncio.sleep(0.02)
            media = {"payload": "AAAA" * 53 + "AA=="}
            talk.client.put(json.dumps({"event": "media", "media": media}))
        talk.client.put('{"event": "stop"}')
        await talk.over()
    caller, _ = sides(only(archive))
    assert abs(len(caller) - 2 * RATE) < RATE // 20
    assert np.count_nonzero(caller) > 1.9 * RATE
