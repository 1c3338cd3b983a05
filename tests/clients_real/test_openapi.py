"""Requests that schemathesis makes of the OpenAPI document, right and wrong ones: every answer is
one that the document has, and none is a server's fault."""

from __future__ import annotations

import hypothesis
import pytest
import schemathesis
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.e2e.graph import Graph

EXAMPLES = max(10, hypothesis.settings.default.max_examples // 20)
"""Of each endpoint and kind; thousands in `make soak`."""
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]


@pytest.mark.timeout(0 if EXAMPLES > 10 else 600)
@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
def test_any_request_has_a_described_answer(embedded: Graph, mode: GenerationMode) -> None:
    """Of every endpoint, whatever is sent."""
    schema = schemathesis.openapi.from_url(f"http://{embedded.host}/openapi.json")
    if mode is GenerationMode.NEGATIVE:
        # Nothing can be wrong with a request that has no content.
        schema = schema.include(method="POST")
    operations = [result.ok() for result in schema.get_all_operations()]
    assert len(operations) >= 5
    for operation in operations:

        @hypothesis.settings(max_examples=EXAMPLES, print_blob=False)
        @hypothesis.given(case=operation.as_strategy(generation_mode=mode))
        def ask(case: schemathesis.Case) -> None:
            response = case.call()
            # What is no HTTP stays at the front door, which answers in a page of its own.
            hypothesis.assume("Your browser sent an invalid request" not in response.text)
            case.validate_response(response, checks=CHECKS)

        ask()
