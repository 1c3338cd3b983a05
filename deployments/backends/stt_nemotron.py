"""NVIDIA's Nemotron streaming recogniser: English, decoded while the caller speaks."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from deployments.backends import BackendConfigError, register
from deployments.contracts import (
    SPEECH_RATE,
    BadInput,
    LoadFailed,
    Overloaded,
    StageInfo,
    Transcript,
)
from deployments.language_tags import primary_language
from deployments.speech import Guess, noise, samples, words_in_order
from deployments.torch_models import torch_device

_LOOKAHEADS = {80: 0, 160: 1, 560: 6, 1120: 13}
"""Frames of the encoder that it sees ahead, by the milliseconds of audio that a step takes."""

_MODULE = "transformers.models.nemotron_asr_streaming"


@register("stt", "nemotron", presets={"nemo": {}})
class Nemotron:
    """One model; each stream has caches of its own, so at most `max_streams` speak at once.

    `model` is a hub id or a folder. `step_ms` of audio are decoded at once, 80, 160, 560 or 1120:
    more is more exact, and later. `device`: `auto`, `cuda` or `cpu`.
    """

    requires: ClassVar[tuple[str, ...]] = ("transformers", "torch", "librosa")

    def __init__(
        self,
        *,
        model: str = "nvidia/nemotron-speech-streaming-en-0.6b",
        device: str = "auto",
        step_ms: int = 160,
        max_streams: int = 16,
    ) -> None:
        if step_ms not in _LOOKAHEADS:
            raise BackendConfigError(
                f"stt backend 'nemotron': step_ms is one of {', '.join(map(str, _LOOKAHEADS))}"
            )
        self._name = model
        self._device = device
        self._lookahead = _LOOKAHEADS[step_ms]
        self._max_streams = max_streams
        self._lock = threading.Lock()
        self._open = 0

    def load(self) -> StageInfo:
        """Load the model and decode a second of noise. Raises LoadFailed."""
        try:
            self._network = _Network(self._name, self._device, self._lookahead)
        except (ImportError, OSError, ValueError, RuntimeError) as error:
            raise LoadFailed(
                f"stt model {self._name!r} did not load: {error}. `model` is a hub id, fetched "
                f"once from the Hugging Face hub (without a network: from the cache at HF_HOME), "
                f"or a folder; it needs transformers 5.19 or later"
            ) from error
        warm = self.open(None)
        warm.feed(noise())
        warm.finish()
        warm.close()
        details = {"model": self._name, "device": self._network.device}
        return StageInfo(backend="nemotron", incremental=True, languages=("en",), details=details)

    def open(self, language: str | None) -> NemotronStream:
        """A stream that has heard nothing. Raises BadInput (not English), Overloaded (no room)."""
        if language is not None and primary_language(language) != "en":
            raise BadInput(f"nemotron knows English, not {language!r}")
        with self._lock:
            if self._open >= self._max_streams:
                raise Overloaded(f"all {self._max_streams} nemotron streams are in use")
            self._open += 1
        return NemotronStream(self._network, self._give_back)

    def close(self) -> None:
        """Free the model, once its streams are closed."""
        del self._network

    def _give_back(self) -> None:
        with self._lock:
            self._open -= 1


class NemotronStream:
    """One caller's caches, and the words so far: they never change, more are added."""

    def __init__(self, network: _Network, give_back: Callable[[], None]) -> None:
        self._network = network
        self._give_back = give_back
        self._state = network.fresh()
        self._heard = 0
        self._pending: NDArray[np.float32] = np.zeros(0, np.float32)

    def feed(self, pcm: bytes) -> Transcript:
        """Decode the next samples, in whole steps. Raises BadInput for half a sample."""
        sound = samples(pcm)
        self._heard += len(sound)
        self._decode(sound)
        return self._transcript()

    def finish(self) -> Transcript:
        """The final transcript: silence makes the last step full, and lets the last word out."""
        if self._heard:
            self._decode(np.zeros(2 * self._network.step, np.float32))
        return self._transcript()

    def close(self) -> None:
        """Drop the caches."""
        del self._state
        self._give_back()

    def _decode(self, sound: NDArray[np.float32]) -> None:
        pending = np.concatenate([self._pending, sound])
        self._pending = self._network.decode(self._state, pending)

    def _transcript(self) -> Transcript:
        words = words_in_order(self._network.words(self._state), self._heard / SPEECH_RATE)
        return Transcript(" ".join(word.text for word in words), words, language="en")


class _State:
    """What the network remembers of a stream."""

    def __init__(self, decoder: Any, token: Any) -> None:
        self.attention: Any = None
        self.padding: Any = None
        self.decoder = decoder
        self.last = token
        self.steps = 0
        self.frames = 0
        self.tokens: list[tuple[int, int, float]] = []
        """Each token, the frame that it was heard in, and how sure the network was of it."""


class _Network:
    """The model: audio in, tokens out, with all state outside, so that streams share it.

    The library's own loop (`generate` with a generator of audio) keeps the stream on the model, so
    it would take a copy of the weights and a thread for each caller.
    """

    def __init__(self, name: str, device: str, lookahead: int) -> None:
        self._torch = import_module("torch")
        library = import_module("transformers")
        self.device = torch_device(device)
        kind = self._torch.bfloat16 if self.device == "cuda" else self._torch.float32
        model = library.NemotronAsrStreamingForRNNT.from_pretrained(name, dtype=kind)
        self._model = model.to(self.device).eval()
        self._cache = import_module(f"{_MODULE}.generation_nemotron_asr_streaming")
        self._processor = library.NemotronAsrStreamingProcessor.from_pretrained(name)
        self._processor.set_num_lookahead_tokens(lookahead)
        self._lookahead = lookahead
        extractor = self._processor.feature_extractor
        mel = extractor.hop_length
        self.step: int = self._processor.num_mel_frames_per_audio_chunk * mel
        # A step after the first also reads what its first frame reaches back to.
        self._reach = extractor.n_fft // 2
        self._first = self._processor.num_mel_frames_first_audio_chunk
        self._first_samples: int = self._processor.num_samples_first_audio_chunk
        self._next_samples: int = self._processor.num_samples_per_audio_chunk
        self._frame_s = mel * self._model.config.encoder_config.subsampling_factor / SPEECH_RATE

    def fresh(self) -> _State:
        """The state of a stream that has heard nothing."""
        config = self._model.config
        blank = self._torch.full((1, 1), config.blank_token_id, device=self.device)
        return _State(self._cache.NemotronAsrStreamingRNNTDecoderCache(config), blank)

    def decode(self, state: _State, sound: NDArray[np.float32]) -> NDArray[np.float32]:
        """Decode what whole steps there are of the sound; what the next one needs is returned."""
        with self._torch.inference_mode():
            while len(sound) >= (self._next_samples if state.steps else self._first_samples):
                needed = self._next_samples if state.steps else self._first_samples
                mels = self._mels(sound[:needed], first=not state.steps)
                for frame in self._encode(state, mels):
                    self._emit(state, frame)
                    state.frames += 1
                taken = self.step
                if not state.steps:
                    taken = self._first * self._processor.feature_extractor.hop_length - self._reach
                sound = sound[taken:]
                state.steps += 1
        return sound

    def words(self, state: _State) -> Iterator[Guess]:
        """The words so far; a token that begins with a mark begins one."""
        tokenizer = self._processor.tokenizer
        word: list[tuple[int, int, float]] = []
        for token in [*state.tokens, None]:
            begins = token is None or tokenizer.convert_ids_to_tokens(token[0]).startswith("▁")
            if begins and word:
                text = tokenizer.decode([t for t, _, _ in word], group_tokens=False)
                sure = sum(p for _, _, p in word) / len(word)
                start, end = word[0][1] * self._frame_s, (word[-1][1] + 1) * self._frame_s
                yield Guess(text, start, end, sure)
                word = []
            if token is not None:
                word.append(token)

    def _mels(self, sound: NDArray[np.float32], *, first: bool) -> Any:
        features = self._processor(
            sound, sampling_rate=SPEECH_RATE, is_streaming=True, is_first_audio_chunk=first
        )["input_features"]
        return features[:, : self._first] if first else features

    def _encode(self, state: _State, mels: Any) -> Any:
        encoded = self._model.get_audio_features(
            input_features=mels.to(self.device, self._model.dtype),
            past_key_values=state.attention,
            padding_cache=state.padding,
            num_lookahead_tokens=self._lookahead,
            use_cache=True,
            output_attention_mask=False,
        )
        state.attention, state.padding = encoded.past_key_values, encoded.padding_cache
        return encoded.pooler_output[0]

    def _emit(self, state: _State, frame: Any) -> None:
        """The frame's tokens, the likeliest each time, up to the first blank."""
        for _ in range(self._model.max_symbols_per_step):
            predicted = self._model.decoder(state.last, cache=state.decoder)
            logits = self._model.joint(predicted, frame[None, None])[0, -1]
            sure, token = logits.float().softmax(-1).max(-1)
            state.last = token.view(1, 1)
            if token.item() == self._model.config.blank_token_id:
                return
            state.tokens.append((int(token.item()), state.frames, float(sure.item())))
