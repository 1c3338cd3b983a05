"""A Pocket TTS of 0.2 million random weights: every phrase is 30 frames, 2.4 s, of noise."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from tests.recordings import tone_wav

FRAMES_AFTER_END = 24
"""The model may end after 6 frames, and its last layer is made to do so: 2.4 s in all."""


def build(factory: pytest.TempPathFactory) -> dict[str, object]:
    """The backend's settings: a checkpoint, its tokenizer and a recording for the default voice."""
    folder = factory.mktemp("pocket")
    _tokenizer(folder / "tokenizer.json")
    config = folder / "tiny.yaml"
    config.write_text(_config(folder, weights=""))
    _weights(config, folder / "model.safetensors")
    config.write_text(_config(folder, weights=f"weights_path: {folder}/model.safetensors"))
    (folder / "voice.wav").write_bytes(tone_wav(3.0))
    return {"model": str(config), "voice": str(folder / "voice.wav")}


def _tokenizer(path: Path) -> None:
    """One token a character."""
    from tokenizers import Regex, Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Split

    characters = [chr(code) for code in range(32, 127)]
    words = {character: number for number, character in enumerate(["<unk>", *characters])}
    tokenizer = Tokenizer(WordLevel(words, unk_token="<unk>"))
    tokenizer.pre_tokenizer = Split(Regex("."), "isolated")
    tokenizer.save(str(path))


def _weights(config: Path, path: Path) -> None:
    import safetensors.torch
    import torch
    from pocket_tts import TTSModel

    torch.manual_seed(0)
    logging.getLogger("pocket_tts").setLevel(logging.ERROR)  # It warns of a model without weights.
    model = TTSModel.load_model(config=str(config))
    with torch.no_grad():
        model.flow_lm.speaker_proj_weight.normal_(std=0.1)
        model.flow_lm.out_eos.weight.zero_()
        model.flow_lm.out_eos.bias.fill_(1.0)
    safetensors.torch.save_file(model.state_dict(), path)


def _config(folder: Path, weights: str) -> str:
    return f"""
{weights}
model_recommended_frames_after_eos: {FRAMES_AFTER_END}
flow_lm:
  insert_bos_before_voice: true
  dtype: float32
  flow: {{depth: 1, dim: 32}}
  transformer: {{d_model: 32, hidden_scale: 2, max_period: 10000, num_heads: 2, num_layers: 1}}
  lookup_table:
    dim: 32
    n_bins: 96
    tokenizer: tokenizers
    tokenizer_path: {folder}/tokenizer.json
mimi:
  dtype: float32
  sample_rate: 24000
  inner_dim: 8
  outer_dim: 32
  channels: 1
  frame_rate: 12.5
  seanet:
    dimension: 32
    channels: 1
    n_filters: 4
    n_residual_layers: 1
    ratios: [6, 5, 4]
    kernel_size: 7
    residual_kernel_size: 3
    last_kernel_size: 3
    dilation_base: 2
    pad_mode: constant
    compress: 2
  transformer:
    d_model: 32
    num_heads: 2
    num_layers: 1
    layer_scale: 0.01
    context: 50
    dim_feedforward: 64
    input_dimension: 32
    output_dimensions: [32]
  quantizer: {{dimension: 8, output_dimension: 32}}
"""
