"""Language tags, as callers write them and as models compare them."""

from __future__ import annotations


def primary_language(tag: str) -> str:
    """The language of a tag: `en-US` is `en`."""
    return tag.replace("_", "-").partition("-")[0].lower()
