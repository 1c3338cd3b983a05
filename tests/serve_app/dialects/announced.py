"""Announcements of every kind, with any fields that a call may give them."""

from __future__ import annotations

import json
from typing import get_args

from hypothesis import strategies as st

from deployments.contracts import Word
from serve_app.conversation.announcements import (
    Announcement,
    CallError,
    ConversationResumed,
    FinalTranscript,
    PhraseBegun,
    ReplyAudio,
    ReplyResumed,
    ReplyStarted,
    SilenceTimedOut,
    SpeechStarted,
    SpeechStopped,
    ToolCalled,
)

_ms = st.integers(min_value=0, max_value=2**53)
_ids = st.sampled_from(["reply-1", "reply-2"]) | st.text()
_words = st.lists(st.builds(Word, st.text(), _ms, _ms, st.floats(0, 1)), max_size=3).map(tuple)
_arguments = st.dictionaries(st.text(), st.text() | st.integers(), max_size=3).map(json.dumps)
_special = {
    ConversationResumed: st.builds(ConversationResumed, _ms, _ms, st.text(), st.text()),
    SpeechStarted: st.builds(SpeechStarted, _ms),
    SpeechStopped: st.builds(SpeechStopped, _ms),
    SilenceTimedOut: st.builds(SilenceTimedOut, _ms, _ms),
    FinalTranscript: st.builds(FinalTranscript, st.text(), _ms, _ms, _words),
    # A request's id comes from the dialect itself: none, or one that `/v1/tts` gives.
    ReplyStarted: st.builds(ReplyStarted, _ids, st.sampled_from([None, "whole", "25"])),
    PhraseBegun: st.builds(PhraseBegun, _ids, st.text(), _ms),
    ReplyResumed: st.builds(ReplyResumed, _ids, _ms),
    ReplyAudio: st.builds(ReplyAudio, _ids, st.integers(1, 2**32 - 1), st.binary()),
    ToolCalled: st.builds(ToolCalled, _ids, st.text(), st.text(), _arguments),
    CallError: st.builds(CallError, st.text(), st.text(), st.none() | _ms),
}

announcements: st.SearchStrategy[Announcement] = st.one_of(
    *(_special.get(kind, st.from_type(kind)) for kind in get_args(Announcement))
)
