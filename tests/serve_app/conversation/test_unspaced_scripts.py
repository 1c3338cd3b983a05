"""Which scripts have no spaces between words."""

from __future__ import annotations

import pytest

from serve_app.conversation.unspaced_scripts import is_unspaced


@pytest.mark.parametrize("character", "字かカー々ไທမខ㐀𠀀ｶ")
def test_characters_of_scripts_without_spaces(character: str) -> None:
    """Han, kana, Thai, Lao, Burmese, Khmer."""
    assert is_unspaced(character)


@pytest.mark.parametrize("character", "aéж1 .한अع。，「・🎉")
def test_characters_of_scripts_with_spaces_and_all_punctuation(character: str) -> None:
    """Hangul spaces its words; punctuation is not a word in any script."""
    assert not is_unspaced(character)
