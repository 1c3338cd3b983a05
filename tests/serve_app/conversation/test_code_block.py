"""Where a fenced code block ends."""

from __future__ import annotations

import pytest

from serve_app.conversation.code_block import CodeBlock


@pytest.mark.parametrize(
    ("fence", "lines", "ended"),
    [
        ("```", "x\n```\n", True),
        ("```", "```\n", True),
        ("```", "  ```  \n", True),
        ("```", "`````\n", True),
        ("````", "```\n", False),
        ("```", "```x\n", False),
        ("```", "x```\n", False),
        ("```", "~~~\n", False),
        ("~~~", "~~~\n", True),
        ("```", "```", False),
    ],
)
def test_a_block_ends_with_a_line_of_its_fence_alone(fence: str, lines: str, ended: bool) -> None:
    """As long as the fence that opened it, of the same character, at the end of the line."""
    block = CodeBlock(fence)
    assert [block.ends_with(character) for character in lines][-1] is ended


def test_a_line_that_does_not_close_leaves_the_next_one_free_to() -> None:
    """Each line is judged alone."""
    block = CodeBlock("```")
    assert not any(block.ends_with(character) for character in "a `` b\n``\n```")
    assert block.ends_with("\n")
