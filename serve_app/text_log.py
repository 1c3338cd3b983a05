"""What was said in calls, written to the log: only where the operator asks for it (`log_text`)."""

from __future__ import annotations

import logging

from serve_app.conversation.announcements import Announcement, FinalTranscript, ReplyDone

log = logging.getLogger("ray.serve.text")
"""Below Serve's own, whose handlers write what a replica says."""
log.disabled = True


def allow(wanted: bool) -> None:
    """Whether this process may log what is said; it may not unless it is told so."""
    log.disabled = not wanted


def note(call_id: str, announcement: Announcement) -> None:
    """Log the turns and replies among what a client is told, where that is allowed."""
    match announcement:
        case FinalTranscript(text=text):
            log.info("call %s: caller: %s", call_id, ascii(text))
        case ReplyDone(heard=heard):
            log.info("call %s: agent: %s", call_id, ascii(heard))
        case _:
            pass
