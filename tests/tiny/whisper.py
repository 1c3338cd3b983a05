"""Whisper with random weights, converted for CTranslate2 as faster-whisper reads it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

_TEXT_TOKENS = 50_257

UNGUARDED: dict[str, object] = {"log_prob_threshold": -1e9, "compression_ratio_threshold": 1e9}
"""A model of random weights repeats itself and is unsure of it, which its backend holds back."""


def build(factory: pytest.TempPathFactory) -> dict[str, object]:
    """Settings for the backend `faster-whisper`: a folder that CTranslate2 reads."""
    from ctranslate2.converters import TransformersConverter

    folder = factory.mktemp("whisper")
    source = _transformers_model(folder / "transformers")
    copied = ["tokenizer.json", "preprocessor_config.json"]
    TransformersConverter(str(source), copy_files=copied).convert(str(folder / "ct2"))
    return {"model": str(folder / "ct2"), "device": "cpu", "cpu_threads": 1, **UNGUARDED}


def _transformers_model(folder: Path) -> Path:
    import torch
    from transformers import (
        GenerationConfig,
        WhisperConfig,
        WhisperFeatureExtractor,
        WhisperForConditionalGeneration,
    )

    tokenizer = _tokenizer()
    ids = tokenizer.get_vocab()
    end, start = ids["<|endoftext|>"], ids["<|startoftranscript|>"]
    torch.manual_seed(0)
    model = WhisperForConditionalGeneration(
        WhisperConfig(
            vocab_size=len(ids),
            d_model=64,
            encoder_layers=1,
            decoder_layers=1,
            encoder_attention_heads=2,
            decoder_attention_heads=2,
            encoder_ffn_dim=128,
            decoder_ffn_dim=128,
            bos_token_id=end,
            eos_token_id=end,
            pad_token_id=end,
            decoder_start_token_id=start,
        )
    )
    # What the converter reads of a real checkpoint: where words are aligned, which ids are tongues.
    model.generation_config = GenerationConfig(
        alignment_heads=[[0, 0], [0, 1]],
        lang_to_id={name: ids[name] for name in _language_tokens()},
        suppress_tokens=[],
        begin_suppress_tokens=[end],
        decoder_start_token_id=start,
    )
    model.save_pretrained(folder)
    WhisperFeatureExtractor(feature_size=80).save_pretrained(folder)
    tokenizer.save(str(folder / "tokenizer.json"))
    special = {f"{name}_token": "<|endoftext|>" for name in ("bos", "eos", "unk")}
    (folder / "tokenizer_config.json").write_text(
        json.dumps({"tokenizer_class": "PreTrainedTokenizerFast", **special})
    )
    return folder


def _tokenizer() -> Any:
    """Bytes and made-up words, then special tokens, all at the ids that large-v3 has them at."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    words = [f"Ġword{number}" for number in range(_TEXT_TOKENS - len(letters) - 1)]
    # By the last, which is empty, CTranslate2 tells a model of many languages from one of English.
    pieces = [*letters, *words, ""]
    tokenizer: Any = Tokenizer(models.BPE({piece: at for at, piece in enumerate(pieces)}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    marks = ["translate", "transcribe", "startoflm", "startofprev", "nospeech", "notimestamps"]
    tokenizer.add_special_tokens(
        ["<|endoftext|>", "<|startoftranscript|>", *_language_tokens()]
        + [f"<|{mark}|>" for mark in marks]
    )
    times = [f"<|{step * 0.02:.2f}|>" for step in range(1501)]
    tokenizer.add_tokens([AddedToken(time, special=False, normalized=False) for time in times])
    return tokenizer


def _language_tokens() -> list[str]:
    from faster_whisper.tokenizer import _LANGUAGE_CODES

    return [f"<|{code}|>" for code in _LANGUAGE_CODES]
