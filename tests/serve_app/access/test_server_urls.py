"""URLs that the server asks: each trick that makes one look like another."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from serve_app.access.server_urls import checked
from serve_app.admission import Admission
from serve_app.dialects import AudioFormat, CallRequest
from serve_app.errors import PeerError
from serve_app.settings import Settings

LISTED = "http://llm.internal:8000/v1"
REQUEST = CallRequest(AudioFormat("opus", None), AudioFormat("pcm16", None))
STAGES: dict[str, Any] = {stage: {"backend": "any"} for stage in ("stt", "llm", "tts")}

TRICKS = [
    "http://llm.internal:8000@evil.example/v1",
    "http://user:pass@llm.internal:8000/v1",
    "http://llm.internal:8000\\@evil.example/v1",
    "http://evil.example#@llm.internal:8000/v1",
    "http://evil.example?http://llm.internal:8000/v1",
    "http://llm.internal.:8000/v1",
    "http://LLM.internal:8000/v1",
    "HTTP://llm.internal:8000/v1",
    "https://llm.internal:8000/v1",
    "http://llm.internal:80/v1",
    "http://llm.internal/v1",
    "http://llm.internal:08000/v1",
    "http://llm.internal:8000/v1/../admin",
    "http://llm.internal:8000/v1/%2e%2e/admin",
    "http://llm.internal:8000/v1?x=1",
    "http://llm.internal:8000/v1#x",
    "http://llm.internal:8000/v1//",
    "http://llm.internal:8000//v1",
    "http://llm.internal:8000/V1",
    "http://ⅼlm.internal:8000/v1",
    "http://llm。internal:8000/v1",
    "http://xn--lm-xyz.internal:8000/v1",
    " http://llm.internal:8000/v1",
    "http://llm.internal:8000/v1\n",
    "http://llm.internal:8000/v1\r\nHost: evil.example",
    "http://llm.internal:8000\t/v1",
    "//llm.internal:8000/v1",
    "llm.internal:8000/v1",
    "file:///etc/passwd",
    "gopher://llm.internal:8000/v1",
    "http://127.0.0.1:8000/v1",
    "http://2130706433:8000/v1",
    "http://0x7f.1:8000/v1",
    "http://[::ffff:127.0.0.1]:8000/v1",
    "http://169.254.169.254/latest/meta-data/",
    "http://localhost:8265/api/jobs/",
    "",
    "/",
]


@pytest.mark.parametrize("url", TRICKS)
def test_a_caller_may_choose_a_listed_server_alone(url: str) -> None:
    """The text counts, not what somebody might read in it."""
    admission = Admission(1, (LISTED,))
    with pytest.raises(PeerError) as caught:
        admission.check(replace(REQUEST, llm_url=url))
    assert (caught.value.code, caught.value.status) == ("url_not_allowed", 403)


@given(st.text(max_size=20), st.integers(0, len(LISTED)))
def test_any_text_within_a_listed_url_makes_it_another(text: str, at: int) -> None:
    """But for the slash at its end."""
    url = LISTED[:at] + text + LISTED[at:]
    admission = Admission(1, (LISTED,))
    if url in (LISTED, LISTED + "/"):
        admission.check(replace(REQUEST, llm_url=url))
        return
    with pytest.raises(PeerError):
        admission.check(replace(REQUEST, llm_url=url))


@pytest.mark.parametrize(
    "url",
    [
        LISTED,
        LISTED + "/",
        "https://api.example.org",
        "http://10.0.0.7:8000/v1",
        "http://[fd00::1]:8000/v1",
        "http://xn--bcher-kva.example/v1",
        "http://localhost:65535/",
    ],
)
def test_an_operator_lists_what_is_meant(url: str) -> None:
    """Private addresses too: the list is the only thing that opens them."""
    assert Settings.model_validate({**STAGES, "vllm_urls": [url]}).vllm_urls == (url,)


@pytest.mark.parametrize(
    "url",
    [
        "http://a@b/v1",
        "http://A.example/v1",
        "http://a.example./v1",
        "http://bücher.example/v1",
        "http://a:0/v1",
        "http://a:65536/v1",
        "http://a:/v1",
        "http://a/../v1",
        "http://a/%2E%2e/v1",
        "http://a/v1?x",
        "http://a/v1#x",
        "http://a b/v1",
        "http://a\\b/v1",
        "http://",
        "http:///v1",
        "http://-a/v1",
        "ftp://a/v1",
        "a:8000/v1",
    ],
)
def test_a_list_that_may_be_misread_is_refused(url: str) -> None:
    """At the start, where the operator sees it; of tools as of models."""
    with pytest.raises(ValueError, match="not a server's URL"):
        checked(url)
    with pytest.raises(ValidationError, match="vllm_urls"):
        Settings.model_validate({**STAGES, "vllm_urls": [url]})


def test_a_tools_url_may_have_a_query() -> None:
    """A model server's may not: a path is put behind it."""
    assert checked("https://a.example/now?unit=c&n=1", query=True)
    tool = {"name": "a", "description": "a", "url": "http://a@b/now?unit=c"}
    with pytest.raises(ValidationError, match="not a server's URL"):
        Settings.model_validate({**STAGES, "tools": [tool]})
