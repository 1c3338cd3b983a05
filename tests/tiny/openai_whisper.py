"""Whisper with random weights, in a checkpoint as OpenAI writes them."""

from __future__ import annotations

import warnings

import pytest

from tests.tiny.whisper import UNGUARDED


def build(factory: pytest.TempPathFactory) -> dict[str, object]:
    """Settings for the backend `openai-whisper`: a checkpoint as OpenAI writes them."""
    import torch
    from whisper.model import ModelDimensions, Whisper
    from whisper.tokenizer import get_encoding

    with warnings.catch_warnings():
        # It leaves the file of its vocabulary open, which it reads once.
        warnings.simplefilter("ignore", ResourceWarning)
        get_encoding(name="multilingual", num_languages=99)
    torch.manual_seed(0)
    dimensions = {
        "n_mels": 80,
        "n_vocab": 51_865,
        "n_audio_ctx": 1500,
        "n_audio_state": 64,
        "n_audio_head": 2,
        "n_audio_layer": 1,
        "n_text_ctx": 448,
        "n_text_state": 64,
        "n_text_head": 2,
        "n_text_layer": 1,
    }
    model = Whisper(ModelDimensions(**dimensions))
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.02)
    path = factory.mktemp("whisper") / "tiny.pt"
    torch.save({"dims": dimensions, "model_state_dict": model.state_dict()}, path)
    return {"model": str(path), "device": "cpu", **UNGUARDED}
