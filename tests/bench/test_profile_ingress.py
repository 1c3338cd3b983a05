"""bench.profile_ingress: which part a sampled stack belongs to."""

from __future__ import annotations

import pytest

from bench.profile_ingress import part_of, samples_by_part

READ = "Call._read (serve_app/call.py:9);Uplink.accept (serve_app/audio/uplink.py:5)"


@pytest.mark.parametrize(
    ("stack", "part"),
    [
        (f"{READ};SileroVad.push (serve_app/audio/vad.py:4)", "voice detection"),
        (f"{READ};to_float (serve_app/audio/pcm.py:4)", "framing"),
        ("Call._read (serve_app/call.py:9);Queue.put (asyncio/queues.py:1)", "call loop"),
        ("f (uvicorn/server.py:1);Call.run (serve_app/call.py:9)", "call loop"),
        ("Reply._speak (serve_app/reply.py:9);f (serve_app/hop.py:2)", "handles"),
        ("f (ray/serve/_private/router.py:1);g (uuid.py:2)", "handles"),
        ("f (uvicorn/server.py:1)", "socket"),
        ("f (json.py:1)", "other"),
        ("f (uvicorn/server.py:1);Thread.run (threading.py:9)", None),
        ("", None),
    ],
)
def test_the_part_nearest_to_the_leaf_counts(stack: str, part: str | None) -> None:
    """Whoever called it; a thread that waits is of no part."""
    assert part_of(stack) == part


def test_samples_are_added_up() -> None:
    """Frames have blanks in them; the count is what follows the last."""
    lines = [f"{READ} 3", "Call.run (serve_app/call.py:9) 2", f"{READ} 1", " 58"]
    assert samples_by_part(lines) == {"framing": 4, "call loop": 2}
