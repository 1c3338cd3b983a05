"""Which characters belong to scripts written without spaces: Han, kana, Thai and their like.

Knows nothing of markup or phrases; where a word ends there is a matter of length, not of spaces.
"""

from __future__ import annotations

import re

UNSPACED = (
    "\u0e00-\u0eff"  # Thai, Lao
    "\u1000-\u109f"  # Myanmar
    "\u1780-\u17ff"  # Khmer
    "\u2e80-\u2fdf\u3005-\u3007\u3041-\u30fa\u30fc-\u312f\u31a0-\u31ff\u3400-\u9fff"  # Han, kana
    "\uf900-\ufaff\uff66-\uff9f\U00020000-\U0003ffff"
)
"""A regular expression's character class, without its brackets. Hangul is not in it: it spaces."""

_UNSPACED = re.compile(f"[{UNSPACED}]")


def is_unspaced(character: str) -> bool:
    """Whether one character is of a script that has no spaces between words."""
    return character >= "\u0e00" and _UNSPACED.match(character) is not None
