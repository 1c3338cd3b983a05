"""A VoXtream2 of random weights, a few hundred kilobytes: the real classes, made small.

Its sizes are in the library's source, so `shrink` must run before that is imported: here, and by
`tests/tiny/site` in processes that a test starts. The speaker encoder comes through torch.hub.
"""

from __future__ import annotations

import json
import os
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from tests.tiny.recording import write_recording

_WIDTH = 64
_FULL_WIDTH = 1024
_CODEC_WIDTH = 32
_WORDS = (
    "the quick brown fox jumps over a lazy dog hello how are you today I am very well thank you "
    "weather measure church judge thing this ring yes house boy now bird care near pure sofa"
)
_SPECIAL = {".": 117, ",": 118, "?": 119, "sil": 120, "!": 121, "unk": 122, "bos": 123, "eos": 124}
_CONFIG = {
    "phone_former": "phone_former",
    "temp_former": "temp_former",
    "dep_former": "dep_former_csm",
    "phone_vocab_size": 128,
    "audio_vocab_size": 2050,
    "audio_pad_size": 0,
    "embedding_dim": _WIDTH,
    "spk_embedding_dim": 192,
    "num_codebooks": 16,
    "num_phone_states": 6,
    "amortization_divisor": 8,
    "max_look_ahead": 10,
    "audio_window_size": 1024,
    "phone_window_size": 1024,
}
_SPEAKER_ENCODER = """
import torch
dependencies = ["torch"]

class Encoder(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.spec = torch.nn.Conv1d(1, 16, 400, stride=160)
        self.bn = torch.nn.BatchNorm1d(16)
        self.fc = torch.nn.Linear(16, 192)

    def forward(self, samples):
        return self.fc(self.bn(self.spec(samples.unsqueeze(1)).abs()).mean(-1))

def ReDimNet(model_name, train_type, dataset):
    torch.manual_seed(0)
    return Encoder()
"""


def shrink() -> None:
    """Make the library's models small. Call it before `voxtream` is imported."""
    import_module("tests.tiny.torchaudio_without_cuda")
    llama = import_module("torchtune.models.llama3_2")
    full = llama.llama3_2
    if getattr(full, "tiny", False):
        return

    def tiny(*, max_seq_len: int, **_: object) -> Any:
        return full(
            vocab_size=8,
            num_layers=1,
            num_heads=4,
            num_kv_heads=2,
            embed_dim=_WIDTH,
            intermediate_dim=2 * _WIDTH,
            max_seq_len=max_seq_len,
        )

    tiny.tiny = True  # type: ignore[attr-defined]
    llama.llama3_2 = tiny
    # Word lists of a phonemiser that is not used.
    import_module("nltk").download = lambda *_: False
    loaders = import_module("moshi.models.loaders")
    width = _CODEC_WIDTH
    loaders._mimi_config = loaders._mimi_config | {
        "seanet": loaders._seanet_kwargs | {"dimension": width, "n_filters": 2},
        "quantizer": loaders._quantizer_kwargs
        | {"dimension": 8, "input_dimension": width, "output_dimension": width},
        "transformer": loaders._transformer_kwargs
        | {
            "d_model": width,
            "num_heads": 2,
            "num_layers": 1,
            "dim_feedforward": 2 * width,
            "input_dimension": width,
            "output_dimensions": [width],
        },
    }


def build(factory: pytest.TempPathFactory) -> dict[str, object]:
    """Write a checkpoint, once a session; the settings that load it here."""
    shrink()
    root = factory.getbasetemp() / "tiny-voxtream"
    os.environ.update(environment(root))
    if not root.exists():
        write(root)
    return settings(root)


def full(root: Path) -> dict[str, object]:
    """Write a checkpoint of the published sizes; the settings that load it here."""
    os.environ.update(environment(root))
    import_module("nltk").download = lambda *_: False
    write(root, width=_FULL_WIDTH)
    return settings(root)


def environment(root: Path) -> dict[str, str]:
    """The variables with which the libraries find the checkpoint, and nothing else."""
    return {"HF_HUB_OFFLINE": "1", "NO_TORCH_COMPILE": "1", "TORCH_HOME": str(root / "torch")}


def settings(root: Path) -> dict[str, object]:
    """The backend's settings for the checkpoint in this folder. A seed makes lengths repeat."""
    return {
        "model": str(root / "model"),
        "codec": str(root / "model"),
        "speaker_encoder": "tests/tiny:main",
        "voice": str(root / "voice.wav"),
        "seed": 0,
    }


def write(root: Path, width: int = _WIDTH) -> None:
    """Write a checkpoint of this width, to which the library was made small, or was not."""
    torch = import_module("torch")
    torch.manual_seed(0)
    generator = json.loads(Path("deployments/backends/voxtream/generator.json").read_text())
    folder = root / "model"
    folder.mkdir(parents=True)
    config = _CONFIG | {"embedding_dim": width}
    (folder / generator["model_config_name"]).write_text(json.dumps(config))
    (folder / generator["phoneme_dict_name"]).write_text(json.dumps(_phones()))
    _save(_model(config), folder / generator["model_name"])
    _save(_codec(generator["num_codebooks"]), folder / generator["mimi_name"])
    encoder = root / "torch" / "hub" / "tests_tiny_main"
    encoder.mkdir(parents=True)
    (encoder / "hubconf.py").write_text(_SPEAKER_ENCODER)
    write_recording(root / "voice.wav", 4.0)


def _model(config: dict[str, object]) -> Any:
    module = import_module("voxtream.model")
    model = module.Model(module.ModelConfig(**config))
    init = import_module("torch").nn.init
    init.normal_(model.audio_head, std=0.05)
    init.normal_(model.spk_emb_proj.weight, std=20.0)  # so that recordings make a difference
    return model


def _codec(codebooks: int) -> Any:
    """Its codebooks are zeros until they are trained."""
    codec = import_module("moshi.models.loaders").get_mimi(None, num_codebooks=codebooks)
    for name, values in codec.state_dict().items():
        if "embedding_sum" in name:
            values.normal_()
        if "cluster_usage" in name or name.endswith("_initialized"):
            values.fill_(1.0)
    return codec


def _phones() -> dict[str, int]:
    """What espeak-ng writes for some words, numbered as the published checkpoints do."""
    espeak = import_module("voxtream.utils.text.phonemizer").ESpeak()
    spoken = espeak.phonemize(_WORDS, language="en-us").replace("|", " ").split()
    phones = list(dict.fromkeys(spoken))[:116]
    return {phone: token for token, phone in enumerate(phones)} | _SPECIAL


def _save(model: Any, path: Path) -> None:
    state = {name: values.contiguous().clone() for name, values in model.state_dict().items()}
    import_module("safetensors.torch").save_file(state, path)
