"""Requests that schemathesis makes of the OpenAPI document, right and wrong ones: every answer is
one that the document has, and none is a server's fault."""

from __future__ import annotations

from typing import Any

import hypothesis
import pytest
import schemathesis
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.e2e.graph import Graph

EXAMPLES = 15
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]

pytestmark = pytest.mark.timeout(0)


@pytest.fixture
def openapi(embedded: Graph) -> Any:
    """The document of a running graph."""
    return schemathesis.openapi.from_url(f"http://{embedded.host}/openapi.json")


schema = schemathesis.pytest.from_fixture("openapi")


@schema.parametrize()
@hypothesis.settings(max_examples=max(EXAMPLES, hypothesis.settings.default.max_examples // 20))
def test_any_request_has_a_described_answer(case: schemathesis.Case) -> None:
    """Of every endpoint, whatever is sent."""
    case.call_and_validate(checks=CHECKS)
