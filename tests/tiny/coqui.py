"""An XTTS of random weights: the real classes, made small by their own settings.

Just the vocoder's width is in the library's source, so `shrink` must run before a model is made.
"""

from __future__ import annotations

import json
import os
from functools import partial
from importlib import import_module
from pathlib import Path
from string import ascii_lowercase
from typing import Any

import pytest

from tests.tiny.recording import write_recording

_WIDTH = 64
_STEPS = 40
"""Tokens of a phrase, about: random ones hardly ever end by themselves."""

_LATENTS, _SPEAKER_WIDTH = 32, 512
_LANGUAGES = ("en", "de")


def shrink() -> None:
    """Make the library's vocoder small."""
    import_module("tests.tiny.torchaudio_without_cuda")
    models = import_module("TTS.tts.models.xtts")
    if not isinstance(models.HifiDecoder, partial):
        models.HifiDecoder = partial(models.HifiDecoder, upsample_initial_channel_decoder=32)


def build(factory: pytest.TempPathFactory) -> dict[str, object]:
    """Write a checkpoint, once a session; the settings that load it here."""
    os.environ.update(environment())
    shrink()
    root = factory.getbasetemp() / "tiny-coqui"
    if not root.exists():
        write(root)
    return settings(root)


def environment() -> dict[str, str]:
    """The variables that a process needs to load a checkpoint of ours and nothing else."""
    return {"HF_HUB_OFFLINE": "1"}


def settings(root: Path) -> dict[str, object]:
    """The backend's settings for the checkpoint in this folder. A seed makes lengths repeat."""
    return {"model": str(root), "voice": "Ana", "seed": 0}


def write(root: Path) -> None:
    """Write a checkpoint, with the library made small."""
    torch = import_module("torch")
    torch.manual_seed(0)
    root.mkdir()
    configs = import_module("TTS.tts.configs.xtts_config")
    arguments = configs.XttsArgs(
        gpt_layers=1,
        gpt_n_model_channels=_WIDTH,
        gpt_n_heads=2,
        gpt_max_audio_tokens=_STEPS,
        decoder_input_dim=_WIDTH,
        d_vector_dim=_SPEAKER_WIDTH,
        gpt_use_perceiver_resampler=True,
    )
    config = configs.XttsConfig(model_args=arguments, languages=list(_LANGUAGES))
    config.save_json(str(root / "config.json"))
    (root / "vocab.json").write_text(json.dumps(_vocabulary()))
    torch.save({name: _speaker(torch) for name in ("Ana", "Ben")}, root / "speakers_xtts.pth")
    torch.save({"model": _model(config, root / "vocab.json").state_dict()}, root / "model.pth")
    write_recording(root / "voice.wav", 4.0)


def _model(config: Any, vocabulary: Path) -> Any:
    model = import_module("TTS.tts.models.xtts").Xtts(config)
    module = import_module("TTS.tts.layers.xtts.tokenizer")
    model.tokenizer = module.VoiceBpeTokenizer(vocab_file=str(vocabulary))
    model.init_models()
    return model


def _speaker(torch: Any) -> dict[str, Any]:
    return {
        "gpt_cond_latent": torch.randn(1, _LATENTS, _WIDTH),
        "speaker_embedding": torch.randn(1, _SPEAKER_WIDTH, 1),
    }


def _vocabulary() -> dict[str, Any]:
    """A token a letter, and those that the library asks for by name."""
    special = ["[STOP]", "[UNK]", "[SPACE]", "[START]", *(f"[{code}]" for code in _LANGUAGES)]
    letters = [*ascii_lowercase, *"'.,!?-"]
    tokenizers = import_module("tokenizers")
    vocabulary = {token: number for number, token in enumerate(special + letters)}
    model = tokenizers.models.BPE(vocab=vocabulary, merges=[], unk_token="[UNK]")
    tokenizer = tokenizers.Tokenizer(model)
    tokenizer.add_special_tokens(special)
    return json.loads(tokenizer.to_str())
