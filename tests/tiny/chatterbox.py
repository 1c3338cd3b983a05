"""A Chatterbox Turbo of random weights: the real classes, made small.

Its sizes are in the library's source, so `shrink` must run before a model is made: here, and by
`tests/tiny/site` in processes that a test starts.
"""

from __future__ import annotations

import os
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from tests.tiny.recording import write_recording

_WIDTH = 64
_STEPS = 40
_VOCABULARY = 50_276


def shrink() -> None:
    """Make the library's models small, and its phrases short: random ones do not end."""
    import_module("tests.tiny.torchaudio_without_cuda")
    configs = import_module("chatterbox.models.t3.llama_configs").LLAMA_CONFIGS["GPT2_medium"]
    if configs["n_embd"] == _WIDTH:
        return
    configs.update(n_embd=_WIDTH, hidden_size=_WIDTH, n_head=2, n_layer=2)
    codec = import_module("chatterbox.models.s3gen.s3gen")
    _narrow(codec, "UpsampleConformerEncoder", num_blocks=1, linear_units=_WIDTH)
    _narrow(
        codec,
        "ConditionalDecoder",
        n_blocks=1,
        num_mid_blocks=1,
        num_heads=1,
        attention_head_dim=32,
    )
    _shrink_tokenizer()
    model = import_module("chatterbox.models.t3.t3").T3
    generate = model.inference_turbo
    model.inference_turbo = lambda self, *args, **settings: generate(
        self, *args, **settings, max_gen_len=_STEPS
    )


def build(factory: pytest.TempPathFactory) -> dict[str, object]:
    """Write a checkpoint, once a session; the settings that load it here."""
    os.environ.update(environment())
    shrink()
    root = factory.getbasetemp() / "tiny-chatterbox"
    if not root.exists():
        write(root)
    return settings(root)


def environment() -> dict[str, str]:
    """The variables that a process needs to load a checkpoint of ours and nothing else."""
    return {"HF_HUB_OFFLINE": "1"}


def settings(root: Path) -> dict[str, object]:
    """The backend's settings for the checkpoint in this folder. A seed makes lengths repeat."""
    return {"model": str(root), "voice": str(root / "voice.wav"), "seed": 0}


def write(root: Path) -> None:
    """Write a checkpoint, with the library made small."""
    import_module("torch").manual_seed(0)
    root.mkdir()
    library = import_module("chatterbox.tts_turbo")
    sizes = library.T3Config(text_tokens_dict_size=_VOCABULARY)
    sizes.llama_config_name = "GPT2_medium"
    sizes.speech_tokens_dict_size = 6_563
    sizes.input_pos_emb = None
    sizes.speech_cond_prompt_len = 375
    sizes.use_perceiver_resampler = False
    sizes.emotion_adv = False
    _save(library.VoiceEncoder(), root / "ve.safetensors")
    _save(library.T3(sizes), root / "t3_turbo_v1.safetensors")
    _save(library.S3Gen(meanflow=True), root / "s3gen_meanflow.safetensors")
    _tokenizer().save_pretrained(root)
    write_recording(root / "voice.wav", 6.0)


def _narrow(module: Any, name: str, **sizes: int) -> None:
    full = getattr(module, name)
    setattr(module, name, lambda *args, **settings: full(*args, **(settings | sizes)))


def _shrink_tokenizer() -> None:
    """Of speech: a model of its own, whose sizes are the defaults of its arguments."""
    base = import_module("s3tokenizer.model_v2")
    tokenizer = import_module("chatterbox.models.s3tokenizer.s3tokenizer").S3Tokenizer
    sizes = base.ModelConfig(n_audio_state=_WIDTH, n_audio_head=1, n_audio_layer=1)
    make = tokenizer.__init__

    def make_small(self: Any, name: str = "speech_tokenizer_v2_25hz", config: Any = sizes) -> None:
        make(self, name, config)

    tokenizer.__init__ = make_small
    base.S3TokenizerV2.__init__.__defaults__ = (sizes,)


def _tokenizer() -> Any:
    """Of text: a token a byte, and the rest of the vocabulary unused."""
    tokenizers = import_module("tokenizers")
    alphabet = sorted(tokenizers.pre_tokenizers.ByteLevel.alphabet())
    unused = [f"<{index}>" for index in range(len(alphabet), _VOCABULARY)]
    vocabulary = {token: index for index, token in enumerate(alphabet + unused)}
    tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = tokenizers.decoders.ByteLevel()
    return import_module("transformers").PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token=unused[-1]
    )


def _save(model: Any, path: Path) -> None:
    state = {name: values.contiguous().clone() for name, values in model.state_dict().items()}
    import_module("safetensors.torch").save_file(state, path)
