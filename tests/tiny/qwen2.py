"""A tiny Qwen2 checkpoint whose weights make it speak: what it says is known beforehand.

Attention and feed-forward add nothing, so a token's logits depend on that token alone, and the
output layer holds for each token the one that follows: a chain. The real class, tokenizer and
chat template run; the words are `SAID`, over and over. Asked with tools it calls the first one
(`CALLED`), and with a result it speaks again.
"""

from __future__ import annotations

import os
from itertools import pairwise
from pathlib import Path

import pytest

SAID = (" Well", ",", " I", " am", " listening", " to", " everything", " you", " say", ".")
CALLED = '{"name": "weather", "arguments": {"place": "Oslo"}}'

_ROWS = 640
_HIDDEN = 64
_SPEAK, _CALL = "<|speak|>", "<|call|>"
_END, _TURN, _PAD = "<|im_end|>", "<|im_start|>", "<|endoftext|>"
_CALL_PIECES = ("<tool_call>", "\n" + CALLED[:9], CALLED[9:20], CALLED[20:] + "\n", "</tool_call>")

_TEMPLATE = """
{%- if tools %}<|im_start|>system
Tools:{% for tool in tools %}
{{ tool | tojson }}{% endfor %}<|im_end|>
{% endif %}
{%- for message in messages %}<|im_start|>{{ message.role }}
{{ message.content }}{% for call in message.tool_calls or [] %}
<tool_call>{{ call.function | tojson }}</tool_call>{% endfor %}<|im_end|>
{% endfor %}
{%- if add_generation_prompt %}<|im_start|>assistant
{% if tools and messages[-1].role != "tool" %}<|call|>{% else %}<|speak|>{% endif %}{% endif %}"""


def build(factory: pytest.TempPathFactory) -> dict[str, object]:
    """The backend's settings, with the checkpoint made."""
    return settings(make(factory.mktemp("qwen2")))


def settings(directory: Path, **others: object) -> dict[str, object]:
    """Settings for a checkpoint that `make` made: a small engine, on any machine."""
    os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0"  # or the CPU's engine refuses "uni"
    small = {
        "model": str(directory),
        "max_model_len": 1024,
        "max_num_seqs": 8,
        "max_tokens": 24,
        "kv_cache_memory_bytes": 64 << 20,
        "enforce_eager": True,
        "temperature": 0.0,
        # One process less: the CPU's worker is otherwise one of its own.
        "engine": {"distributed_executor_backend": "uni"},
    }
    return {**small, **others}


def make(directory: Path) -> Path:
    """Write the checkpoint (0.3 MB); the directory it is in."""
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    _write_tokenizer(directory)
    _write_weights(directory)
    return directory


def _write_tokenizer(directory: Path) -> None:
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=_ROWS - 64,
        special_tokens=[_PAD, _TURN, _END, _SPEAK, _CALL],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )
    tokenizer.train_from_iterator(["".join(SAID)] * 50, trainer)
    tokenizer.add_tokens([AddedToken(p, normalized=False) for p in (*SAID, *_CALL_PIECES)])
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token=_END,
        pad_token=_PAD,
        additional_special_tokens=[_TURN, _SPEAK, _CALL],
    )
    fast.chat_template = _TEMPLATE
    fast.save_pretrained(directory)


def _write_weights(directory: Path) -> None:
    import torch
    from transformers import AutoTokenizer, Qwen2Config, Qwen2ForCausalLM

    tokenizer = AutoTokenizer.from_pretrained(directory)
    assert len(tokenizer) <= _ROWS
    torch.manual_seed(0)
    config = Qwen2Config(
        vocab_size=_ROWS,
        hidden_size=_HIDDEN,
        intermediate_size=_HIDDEN,
        num_hidden_layers=2,
        num_attention_heads=2,  # heads of 32: the smallest that the attention kernels have
        num_key_value_heads=1,
        max_position_embeddings=4096,
        bos_token_id=tokenizer.convert_tokens_to_ids(_PAD),
        eos_token_id=tokenizer.convert_tokens_to_ids(_END),
        tie_word_embeddings=False,
    )
    model = Qwen2ForCausalLM(config)
    with torch.no_grad():
        for layer in model.model.layers:
            layer.self_attn.o_proj.weight.zero_()
            layer.mlp.down_proj.weight.zero_()
        tokens = torch.nn.functional.normalize(torch.randn(_ROWS, _HIDDEN), dim=1)
        model.model.embed_tokens.weight.copy_(tokens)
        model.lm_head.weight.zero_()
        for before, after in _chain(tokenizer):
            model.lm_head.weight[after] += 8 * tokens[before]
    model.to(torch.bfloat16).save_pretrained(directory)


def _chain(tokenizer: object) -> list[tuple[int, int]]:
    said = [_SPEAK, *SAID, SAID[0]]
    called = [_CALL, *_CALL_PIECES, _END]
    links = [*pairwise(said), *pairwise(called)]
    ids = tokenizer.convert_tokens_to_ids  # type: ignore[attr-defined]
    return [(ids(before), ids(after)) for before, after in links]
