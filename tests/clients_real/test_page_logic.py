"""The page's modules that know no document, run by the browser that they are for."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.clients_real.browser import Tab, browsing
from tests.clients_real.page_server import Peer, serving

pytestmark = pytest.mark.timeout(120)


async def nobody(peer: Peer) -> None:
    """No call is made."""
    raise AssertionError(peer.query)


@pytest.fixture
async def tab(tmp_path: Path) -> AsyncIterator[Tab]:
    """A tab with the page in it."""
    async with serving(nobody) as server, browsing(tmp_path / "profile") as tab:
        await tab.open(server.url)
        yield tab


async def run(tab: Tab, module: str, script: str) -> Any:
    """What a script returns that has a module's exports as `it`."""
    return await tab.evaluate(f"import('/page/{module}').then((it) => {{ {script} }})")


async def test_the_jitter_buffer(tab: Tab) -> None:
    """It plays at once, waits longer after a gap, counts what it played and drops what it must."""
    told = await run(
        tab,
        "jitter_buffer.js",
        """
        const rate = 16000, told = {};
        const ms = (count) => new Float32Array(count * 16).fill(0.5);
        const played = (buffer, count) => {
          let loud = 0;
          for (let at = 0; at < count; at += 8) {
            const out = new Float32Array(128);
            buffer.pull(out);
            loud += out.filter((sample) => sample > 0.45).length / 16;
          }
          return Math.round(loud);
        };
        const buffer = new it.JitterBuffer(rate);
        buffer.begin("r1");
        buffer.push(ms(80));
        const out = new Float32Array(128);
        buffer.pull(out);
        told.sounded = buffer.sounded;
        told.fades = out[0] < 0.1;
        told.first = played(buffer, 72);
        told.playedMs = buffer.playedMs("r1");
        told.silence = played(buffer, 80);         // 80 ms late:
        buffer.push(ms(80));
        told.gaps = buffer.gaps;
        told.target = buffer.targetMs;
        told.waits = played(buffer, 16);            // less than the new target is there,
        buffer.push(ms(40));                        // and now it is
        told.goesOn = played(buffer, 56) > 40;
        told.flushed = buffer.flush("r1");
        buffer.push(ms(500));                       // what was under way is dropped
        told.afterFlush = played(buffer, 40);
        buffer.begin("r1", 140);
        buffer.push(ms(300));
        played(buffer, 160);
        told.resumed = buffer.playedMs("r1") > 160;
        buffer.begin("r2");                         // waits behind the end of r1
        buffer.push(ms(40));
        buffer.end("r2");
        told.stillFirst = buffer.current.reply;
        played(buffer, 400);
        told.then = buffer.current.reply;
        told.r2 = buffer.playedMs("r2");
        told.unknown = buffer.playedMs("r9");
        return told;
        """,
    )
    assert told["sounded"] == {"reply": "r1", "at": 0}
    assert told["fades"]
    assert told["first"] == 72
    assert told["playedMs"] == 80
    assert told["silence"] <= 1  # It dies away over a few samples.
    assert (told["gaps"], told["target"], told["waits"]) == (1, 100, 0)
    assert told["goesOn"]
    assert 80 < told["flushed"] <= 140
    assert told["afterFlush"] <= 1
    assert told["resumed"]
    assert (told["stillFirst"], told["then"], told["r2"]) == ("r1", "r2", 40)
    assert told["unknown"] == 0


async def test_the_jitter_buffer_trusts_a_network_again(tab: Tab) -> None:
    """Replies that come with room to spare take the wait back, to what is always waited."""
    target, gaps = await run(
        tab,
        "jitter_buffer.js",
        """
        const buffer = new it.JitterBuffer(16000);
        buffer.targetMs = 200;
        const out = new Float32Array(128);
        for (let reply = 0; reply < 12; reply++) {
          buffer.begin(`r${reply}`);
          for (let at = 0; at < 400; at += 8) {
            if (at % 80 === 0) buffer.push(new Float32Array(at ? 1280 : 4000).fill(0.5));
            buffer.pull(out);
          }
          while (buffer.queued) buffer.pull(out);
        }
        return [buffer.targetMs, buffer.gaps];
        """,
    )
    assert (target, gaps) == (20, 0)


async def test_resampling_keeps_the_tone(tab: Tab) -> None:
    """Rates and pieces of any size: the same sine comes out, and nothing else."""
    for start, end in ((22_050, 48_000), (24_000, 44_100), (48_000, 16_000), (16_000, 16_000)):
        count, error = await run(
            tab,
            "resampler.js",
            f"""
            const from = {start}, to = {end}, resampler = new it.Resampler(from, to), made = [];
            const tone = Float32Array.from({{length: from}}, (_, i) =>
              Math.sin(2 * Math.PI * 1000 * i / from));
            for (let at = 0, size = 7; at < from; at += size, size = size * 3 % 1013 + 1) {{
              made.push(...resampler.push(tone.subarray(at, at + size)));
            }}
            const error = made.slice(200, -200).map((sample, i) =>
              Math.abs(sample - Math.sin(2 * Math.PI * 1000 * (i + 200) / to)));
            return [made.length, Math.max(...error)];
            """,
        )
        assert end - 60 <= count <= end
        assert error < 0.01, (start, end)


async def test_where_the_time_went(tab: Tab) -> None:
    """The parts add up to the wait; what was done during the pause costs nothing."""
    waits = await run(
        tab,
        "latency.js",
        """
        const told = (pause_ms, stt_ms, llm_ms, tts_ms, pipeline_ms) =>
          ({pause_ms, stt_ms, llm_ms, tts_ms, pipeline_ms});
        return [
          it.partsOf(told(500, 40, 90, 50, 200), 760),   // one after the other
          it.partsOf(told(200, 90, 140, 60, 100), 330),  // begun during the pause
          it.partsOf(told(0, 0, 8, 80, 90), 20),         // a clock that is behind
        ].map((parts) => Object.fromEntries(parts.map((p) => [p.name, [p.ms, p.hiddenMs]])));
        """,
    )
    assert waits[0] == {
        "pause": [500, 0],
        "stt": [40, 0],
        "llm": [110, 0],  # 20 ms for the rest of the first phrase
        "tts": [50, 0],
        "net": [60, 0],
    }
    assert waits[1] == {
        "pause": [200, 0],
        "stt": [0, 90],
        "llm": [40, 100],
        "tts": [60, 0],
        "net": [30, 0],
    }
    assert waits[2]["net"] == [0, 0]
    assert await run(
        tab, "latency.js", "return [[], [700], [1001], [99000]].map((w) => it.axisMs(w));"
    ) == [500, 1000, 1500, 99000]


async def test_words_keep_pace_with_the_voice(tab: Tab) -> None:
    """Phrases say where the voice is, in a text that has figures and markup which they have not."""
    told = await run(
        tab,
        "spoken.js",
        """
        const text = new it.SpokenText(new it.Pace()), told = [];
        text.write("It costs **$5** a day. Shall I ");
        text.write("book it for you?");
        told.push(text.at(0), text.at(200));
        text.phrase("It costs five dollars a day.", 0);
        text.phrase("Shall I book it for you?", 2000);
        told.push(text.at(1000), text.at(2000), text.at(1500), text.at(99000), text.heard("It"));
        const cut = new it.SpokenText(new it.Pace());
        cut.write("One two three four");
        told.push(cut.at(0), cut.heard("One two"));
        const pace = new it.Pace();
        for (let i = 0; i < 9; i++) pace.learn(100, 10000);
        told.push(Math.round(pace.charsPerMs * 1000));
        return told;
        """,
    )
    first, begun, middle, second, not_back, all_, after = told[:7]
    assert first == ""
    assert begun == "It costs"[: len(begun)] != ""
    assert middle.startswith("It costs **$5**")
    assert not middle.endswith("Shall")
    assert second.startswith("It costs **$5** a day. Shall")
    assert "book" not in second
    assert not_back == second
    assert all_ == after == "It costs **$5** a day. Shall I book it for you?"
    assert told[7:] == ["", "One two", 10]


async def test_the_conversation_in_any_order(tab: Tab) -> None:
    """A final that comes late, a cough, a nod, an interruption and a lost line leave no mess."""
    turns = await run(
        tab,
        "conversation.js",
        """
        const talk = new it.Conversation();
        const say = (...events) => events.forEach((e) => talk.apply({now: 0, ...e}));
        say({type: "speech_started"}, {type: "partial", text: "one "},
            {type: "speech_stopped", voiceAt: 100, now: 600},
            {type: "speech_started"}, {type: "partial", text: "two"},
            {type: "final", text: "one."},
            {type: "speech_stopped", voiceAt: 1000, now: 1500}, {type: "final", text: "two."},
            {type: "reply_started", reply_id: "r1", now: 1510},
            {type: "reply_text", reply_id: "r1", delta: "Both of them are words."},
            {type: "sounded", reply: "r1", at: 1700},
            {type: "timings", reply_id: "r1", pause_ms: 500, stt_ms: 1, llm_ms: 1, tts_ms: 1,
             pipeline_ms: 100},
            {type: "played", reply: "r1", playedMs: 400},
            {type: "speech_started"}, {type: "flush", reply_id: "r1"},
            {type: "flushed", reply: "r1", playedMs: 420},
            {type: "final", text: ""},
            {type: "reply_resumed", reply_id: "r1"}, {type: "played", reply: "r1", playedMs: 700},
            {type: "reply_done", reply_id: "r1", status: "interrupted", heard: "Both of"},
            {type: "reply_started", reply_id: "r2"},
            {type: "reply_done", reply_id: "r2", status: "interrupted", heard: ""},
            {type: "partial", text: "and"});
        talk.breakOff();
        say({type: "reply_started", reply_id: "r1"}, 
            {type: "reply_text", reply_id: "r1", delta: "New"}, {type: "weather"});
        return talk.turns.map((turn) => [turn.who, turn.text, turn.state, turn.status ?? "",
          turn.latency?.totalMs ?? 0]);
        """,
    )
    assert turns[0][:3] == ["you", "one.", "done"]
    assert turns[1][:3] == ["you", "two.", "done"]
    who, text, state, status, total = turns[2]
    assert (who, state, status, total) == ("agent", "done", "interrupted", 700)
    assert text.startswith("Both of")
    assert text != "Both of them are words."
    assert turns[3][:3] == ["you", "and", "lost"]
    assert turns[4][:3] == ["agent", "", "thinking"]
    assert len(turns) == 5


async def test_a_reply_that_is_over_before_it_sounds(tab: Tab) -> None:
    """It stays over, its time is known, and nothing is waited for any more."""
    told = await run(
        tab,
        "conversation.js",
        """
        const talk = new it.Conversation();
        const say = (...events) => events.forEach((e) => talk.apply({now: 0, ...e}));
        say({type: "typed", text: "hello"}, {type: "reply_started", reply_id: "r1"},
            {type: "reply_text", reply_id: "r1", delta: "Yes."},
            {type: "phrase", reply_id: "r1", text: "Yes.", start_ms: 0},
            {type: "timings", reply_id: "r1", pause_ms: 0, stt_ms: 0, llm_ms: 1, tts_ms: 1,
             pipeline_ms: 100});
        const waits = talk.settled;
        say({type: "reply_done", reply_id: "r1", status: "completed", heard: "Yes."});
        const over = talk.settled;
        say({type: "sounded", reply: "r1", at: 300},
            {type: "played", reply: "r1", playedMs: 200});
        const [, {text, state, latency}] = talk.turns;
        return [waits, over, text, state, latency.totalMs];
        """,
    )
    assert told == [False, True, "Yes.", "done", 300]


async def test_tries_are_spaced_and_end(tab: Tab) -> None:
    """Each wait is up to twice the last one, never less than the server asked for."""
    waits = await run(
        tab,
        "backoff.js",
        """
        const backoff = new it.Backoff({tries: 6, random: () => 0.5});
        const waits = [0, 0, 0, 5000, 0, 0, 0].map((least) => backoff.next(least));
        backoff.reset();
        return [...waits, backoff.next()];
        """,
    )
    assert waits == [250, 500, 1000, 5000, 4000, 8000, None, 250]


async def test_messages_of_the_protocol(tab: Tab) -> None:
    """Addresses, JSON, audio, and what is none of these."""
    told = await run(
        tab,
        "protocol.js",
        """
        const bytes = (...values) => new Uint8Array(values).buffer;
        const audio = it.parse(bytes(1, 0x80, 0x3e, 0, 0, 0xe8, 3, 0x18, 0xfc));
        return {
          url: it.callUrl("https://voice.example/agent/?a#b", {codec: "opus", rate: undefined,
            voice: "en-us+f2", language: ""}),
          audio: [audio.type, audio.codec, audio.rate,
            ...it.samplesOf(audio.payload).map((s) => Math.round(s * 32768))],
          none: [it.parse(bytes(2, 72, 105, 33, 33)), it.parse(bytes(1)), it.parse("{"),
            it.parse("[]"), it.parse("null"), it.parse(bytes(4, 0, 0, 0, 0, 1))],
          pcm: [...new Int16Array(it.pcmOf(Float32Array.of(0, 1, -2, 0.5)))],
        };
        """,
    )
    assert told == {
        "url": "wss://voice.example/agent/ws?codec=opus&voice=en-us%2Bf2",
        "audio": ["audio", "pcm16", 16000, 1000, -1000],
        "none": [None] * 6,
        "pcm": [0, 32767, -32767, 16383],
    }
