"""What a person sees of a call."""

from __future__ import annotations

import io

from clients import events
from clients.screen import Screen


def _shown(*shown: events.Event) -> list[str]:
    out = io.StringIO()
    screen = Screen(out)
    for event in shown:
        screen.show(event)
    screen.close()
    return out.getvalue().splitlines()


def test_a_turn():
    """Partials grow one line, the final transcript has its own, the reply grows another."""
    assert _shown(
        events.Ready("c1", None, None, "opus", None, "pcm16"),
        events.SpeechStarted(0),
        events.Partial("I need"),
        events.Partial(" a"),
        events.SpeechStopped(9),
        events.Final("I need a holiday", 0, 9),
        events.TranscriptBytes("I need a holiday"),
        events.ReplyStarted("r1"),
        events.ReplyText("r1", "Why do"),
        events.Audio(b"", 16000, "r1", 0.0),
        events.ReplyText("r1", " you\nneed it?"),
        events.ReplyDone("r1", "completed", "Why do you need it?"),
    ) == [
        "connected   call c1, voice default",
        "hearing     I need a",
        "you         I need a holiday",
        "agent       Why do you need it?",
    ]


def test_what_goes_wrong():
    """Interruptions, failures and errors end the line that was growing."""
    assert _shown(
        events.ReplyText("r1", "Why"),
        events.Flush("r1"),
        events.ReplyResumed("r1", 40),
        events.ReplyText("r1", " do you"),
        events.ReplyDone("r1", "interrupted", "Why do"),
        events.Final("", 0, 0),
        events.ReplyDone("r2", "failed", ""),
        events.ServerError("stage_timeout", "No answer."),
        events.ErrorBytes("No answer."),
        events.Unknown("weather"),
    ) == [
        "agent       Why",
        "            (stops)",
        "            (goes on)",
        "agent       do you",
        "            (interrupted; heard: Why do)",
        "you         (no words)",
        "            (the reply failed)",
        "error       No answer. (stage_timeout)",
    ]


def test_a_recording():
    """Whether the call is recorded, and for how long that is kept."""
    assert _shown(
        events.Recording(True, 30.0), events.Recording(True, None), events.Recording(False, None)
    ) == [
        "            (recorded from now on, kept for 30 days)",
        "            (recorded from now on)",
        "            (not recorded any more; what there was is deleted)",
    ]


def test_a_block():
    """It stands alone."""
    out = io.StringIO()
    screen = Screen(out)
    screen.grow("agent", "Why")
    screen.block("a table\nof two rows")
    assert out.getvalue() == "agent       Why\n\na table\nof two rows\n"
