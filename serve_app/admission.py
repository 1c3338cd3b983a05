"""Who may call: pure decisions, made before anything is spent on the call."""

from __future__ import annotations

from serve_app.dialects import CallRequest
from serve_app.errors import PeerError
from serve_app.load import Shed


class Admission:
    """Counts the calls of one replica and refuses what it should not take."""

    def __init__(self, max_calls: int, llm_urls: tuple[str, ...]) -> None:
        self._max_calls = max_calls
        self._llm_urls = frozenset(url.rstrip("/") for url in llm_urls)
        self.calls = 0

    def admit(self, shed: Shed = Shed.NOTHING) -> None:
        """Count a call in. Raises PeerError at capacity; pair it with `release`.

        A replica without a call takes one, whatever loads it: no other caller would suffer.
        """
        full = self.calls >= self._max_calls
        if full or (self.calls and shed >= Shed.NEW_CALLS):
            raise PeerError(
                "at_capacity", "all lines are busy, try again soon", close_code=1013, status=503
            )
        self.calls += 1

    def release(self) -> None:
        """A call that was admitted is over."""
        self.calls -= 1

    def check(self, request: CallRequest) -> None:
        """Raises PeerError where a call asks for what the operator does not allow."""
        url = request.llm_url
        if url is not None and url.removesuffix("/") not in self._llm_urls:
            raise PeerError(
                "url_not_allowed",
                "vllm_url is not on this server's list of allowed servers",
                close_code=1008,
                status=403,
            )
