"""Who may call."""

from __future__ import annotations

from dataclasses import replace

import pytest

from serve_app.admission import Admission
from serve_app.dialects import AudioFormat, CallRequest
from serve_app.errors import PeerError
from serve_app.load import Shed

REQUEST = CallRequest(AudioFormat("opus", None), AudioFormat("pcm16", None))


def test_calls_are_taken_up_to_the_limit() -> None:
    """The next one is refused with what it needs to know, and counts for nothing."""
    admission = Admission(2, ())
    admission.admit()
    admission.admit()
    with pytest.raises(PeerError) as caught:
        admission.admit()
    assert (caught.value.code, caught.value.status, caught.value.close_code) == (
        "at_capacity",
        503,
        1013,
    )
    assert admission.calls == 2


@pytest.mark.parametrize("shed", [step for step in Shed if step < Shed.NEW_CALLS])
def test_a_loaded_replica_takes_calls_until_nothing_else_can_be_spared(shed: Shed) -> None:
    """And then refuses them as a full one does."""
    admission = Admission(2, ())
    admission.admit(shed)
    with pytest.raises(PeerError) as caught:
        admission.admit(Shed.NEW_CALLS)
    assert caught.value.code == "at_capacity"
    assert admission.calls == 1


def test_an_empty_replica_takes_a_call_whatever_loads_it() -> None:
    """There is nobody whom the call could disturb."""
    admission = Admission(2, ())
    admission.admit(Shed.NEW_CALLS)
    assert admission.calls == 1


def test_a_call_that_is_over_makes_room() -> None:
    """One out, one in."""
    admission = Admission(1, ())
    admission.admit()
    admission.release()
    admission.admit()
    assert admission.calls == 1


@pytest.mark.parametrize("url", ["http://llm:8000/v1", "http://llm:8000/v1/"])
def test_a_server_on_the_list_may_be_chosen(url: str) -> None:
    """A slash at the end is not another server."""
    Admission(1, ("http://llm:8000/v1/",)).check(replace(REQUEST, llm_url=url))


@pytest.mark.parametrize(
    "url",
    [
        "http://llm:8000/v1/../admin",
        "http://llm:8000",
        "http://llm:8000/v1?x=1",
        "https://llm:8000/v1",
        "http://169.254.169.254/",
        "file:///etc/passwd",
        "/",
    ],
)
def test_any_other_server_is_refused(url: str) -> None:
    """The list is of whole addresses: no prefix, no other scheme."""
    with pytest.raises(PeerError) as caught:
        Admission(1, ("http://llm:8000/v1",)).check(replace(REQUEST, llm_url=url))
    assert (caught.value.code, caught.value.status) == ("url_not_allowed", 403)
    assert url not in caught.value.message


def test_a_call_that_chooses_no_server_is_fine() -> None:
    """Whatever the list says."""
    Admission(1, ()).check(REQUEST)
