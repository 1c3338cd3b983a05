"""Nemotron's streaming recogniser with random weights."""

from __future__ import annotations

import pytest


def build(factory: pytest.TempPathFactory) -> dict[str, object]:
    """Settings for the backend `nemotron`: a folder as `save_pretrained` writes it."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import (
        NemotronAsrStreamingConfig,
        NemotronAsrStreamingForRNNT,
        NemotronAsrStreamingProcessor,
    )
    from transformers.models.nemotron_asr_streaming import (
        feature_extraction_nemotron_asr_streaming as features,
    )
    from transformers.models.parakeet.tokenization_parakeet import ParakeetTokenizer

    pieces = Tokenizer(models.BPE(unk_token="<unk>"))
    pieces.pre_tokenizer = pre_tokenizers.Metaspace()
    pieces.decoder = decoders.Metaspace()
    trainer = trainers.BpeTrainer(
        vocab_size=64, special_tokens=["<pad>", "<unk>"], show_progress=False
    )
    pieces.train_from_iterator(["hello how are you today"] * 20, trainer)
    pieces.add_special_tokens(["<blank>"])
    tokenizer = ParakeetTokenizer(tokenizer_object=pieces, pad_token="<pad>", unk_token="<unk>")
    blank = tokenizer.convert_tokens_to_ids("<blank>")
    encoder = {
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 64,
        "subsampling_conv_channels": 16,
        "num_mel_bins": 80,
    }
    torch.manual_seed(0)
    model = NemotronAsrStreamingForRNNT(
        NemotronAsrStreamingConfig(
            vocab_size=len(tokenizer),
            blank_token_id=blank,
            pad_token_id=0,
            decoder_hidden_size=32,
            num_decoder_layers=1,
            encoder_config=encoder,
        )
    )
    model.generation_config.decoder_start_token_id = blank
    model.generation_config.pad_token_id = 0
    # Random weights emit something in every frame; a real model mostly the blank. This does both.
    model.joint.head.bias.data[blank] = 0.02
    folder = factory.mktemp("nemotron")
    model.save_pretrained(folder)
    extractor = features.NemotronAsrStreamingFeatureExtractor(feature_size=80)
    NemotronAsrStreamingProcessor(extractor, tokenizer).save_pretrained(folder)
    return {"model": str(folder), "device": "cpu"}
