"""A model on this machine by vLLM: continuous batching, a prefix cache, replies it can abort."""

from __future__ import annotations

import asyncio
import json
import os
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing
from functools import lru_cache
from importlib import import_module
from typing import ClassVar, cast

from deployments.backends import register
from deployments.chat_messages import ChatObject, chat_messages, chat_tools
from deployments.contracts import (
    BackendError,
    BadInput,
    LoadFailed,
    Message,
    ReplyItem,
    ReplyRequest,
    StageInfo,
    TextDelta,
)
from deployments.history_budget import MESSAGE_TOKENS, within_budget
from deployments.leash import Leash
from deployments.vllm_engine import Engine, find_tool_parser, start, stop
from deployments.written_calls import WrittenCalls

_TEMPLATE_TOKENS = 64
"""What a chat template adds of its own: a default system prompt, a date, the reply's opening."""

_WARM_UP = ReplyRequest((Message("system", "You are a voice."), Message("user", "Hello.")))

_QWEN: Mapping[str, object] = {"tool_parser": "hermes"}


@register(
    "llm",
    "vllm",
    presets={
        "qwen2.5-7b": {"model": "Qwen/Qwen2.5-7B-Instruct", **_QWEN},
        "qwen2.5-7b-awq": {"model": "Qwen/Qwen2.5-7B-Instruct-AWQ", "quantization": None, **_QWEN},
        "qwen2.5-1.5b": {"model": "Qwen/Qwen2.5-1.5B-Instruct", **_QWEN},
        "qwen2.5-0.5b": {"model": "Qwen/Qwen2.5-0.5B-Instruct", **_QWEN},
        "phi3": {"model": "microsoft/Phi-3-mini-4k-instruct", "tool_parser": None},
        "llama": {"model": "meta-llama/Llama-3.1-8B-Instruct", "tool_parser": "llama3_json"},
    },
)
class Vllm:
    """Writes replies with a model on this machine; docs/backends.md explains the settings.

    `temperature`, `top_p` None: the model's own. `history_tokens` None: all that `max_model_len`
    leaves. `engine`: more of vLLM's engine arguments, by vLLM's names.
    """

    requires: ClassVar[tuple[str, ...]] = ("vllm",)

    def __init__(
        self,
        *,
        model: str = "Qwen/Qwen2.5-7B-Instruct",
        dtype: str = "auto",
        quantization: str | None = None,
        max_model_len: int | None = 4096,
        max_num_seqs: int = 64,
        gpu_memory_utilization: float | None = None,
        kv_cache_memory_bytes: int | None = None,
        enforce_eager: bool = False,
        enable_prefix_caching: bool = True,
        tensor_parallel_size: int = 1,
        load_format: str = "auto",
        engine: Mapping[str, object] | None = None,
        temperature: float | None = None,
        top_p: float | None = None,
        max_tokens: int = 300,
        history_tokens: int | None = None,
        tool_parser: str | None = "hermes",
    ) -> None:
        self._named: dict[str, object] = {
            "model": model,
            "dtype": dtype,
            "quantization": quantization,
            "max_model_len": max_model_len,
            "max_num_seqs": max_num_seqs,
            "gpu_memory_utilization": gpu_memory_utilization,
            "kv_cache_memory_bytes": kv_cache_memory_bytes,
            "enforce_eager": enforce_eager,
            "enable_prefix_caching": enable_prefix_caching,
            "tensor_parallel_size": tensor_parallel_size,
            "load_format": load_format,
        }
        self._extra = dict(engine or {})
        sampling = {"temperature": temperature, "top_p": top_p, "max_tokens": max_tokens}
        self._sampling = {key: value for key, value in sampling.items() if value is not None}
        self._max_tokens = max_tokens
        self._history_tokens = history_tokens
        self._tool_parser = tool_parser
        self._engine: Engine | None = None
        self._leash: Leash | None = None
        self._aborting: set[asyncio.Future[None]] = set()

    async def load(self) -> StageInfo:
        """Start the engine, in a thread as it takes seconds to minutes, and warm it up.

        Raises LoadFailed, which says what to change.
        """
        # vLLM reports the machine and the model to its makers unless told not to; it reads these
        # when it is imported.
        os.environ.setdefault("VLLM_NO_USAGE_STATS", "1")
        os.environ.setdefault("VLLM_DO_NOT_TRACK", "1")
        # This process has threads, so it must not fork; nor does the leash hold what is forked.
        os.environ["VLLM_WORKER_MULTIPROC_METHOD"] = "spawn"
        self._leash = Leash()
        try:
            self._engine = await asyncio.to_thread(start, self._named, self._extra, self._leash)
            self._prepare(self._engine)
            # The second reply finds the first one's prefix in the cache.
            for _ in range(2):
                async for _ in self.reply(_WARM_UP):
                    pass
        except LoadFailed:
            await self.close()
            raise
        except Exception as error:
            await self.close()
            raise LoadFailed(f"the first reply failed: {_line(error)}") from error
        return StageInfo(backend="vllm", details={"model": str(self._named["model"])})

    async def reply(self, request: ReplyRequest) -> AsyncIterator[ReplyItem]:
        """The reply as it is written; closing the iterator aborts it in the engine.

        Raises BadInput (it does not fit the model), BackendError.
        """
        engine, errors = self._running(), import_module("vllm.exceptions")
        request_id, over, said = uuid.uuid4().hex, False, False
        try:
            tools = chat_tools(request.tools) if self._parser else []
            messages = self._messages(request, tools)
            calls = self._calls(messages, tools)
            prompt = await self._prompt(engine, messages, tools)
            sampling = self._sampling_params(calls)
            async with aclosing(engine.generate(prompt, sampling, request_id)) as outputs:
                async for output in outputs:
                    piece = output.outputs[0]
                    text = calls.feed(piece.text, list(piece.token_ids)) if calls else piece.text
                    if text:
                        said = True
                        yield TextDelta(text)
            over = True
            called = calls.calls() if calls else []
            if calls and not called and not said:
                raise BackendError("the reply ended inside a tool call: max_tokens is too low")
            for call in called:
                yield call
        except errors.VLLMClientError as error:
            raise BadInput(f"the model refuses the request: {_line(error)}") from error
        except errors.VLLMServerError as error:
            raise BackendError(f"the engine failed: {_line(error)}") from error
        finally:
            if not over:
                await self._abort(engine, request_id)

    @property
    def unfinished(self) -> int:
        """Replies that the engine was given, and that neither ended nor were aborted."""
        return self._engine.get_num_unfinished_requests() if self._engine else 0

    async def check_health(self) -> None:
        """Raises BackendError once the engine's process is dead."""
        try:
            await self._running().check_health()
        except import_module("vllm.exceptions").VLLMServerError as error:
            raise BackendError(f"the engine is dead: {_line(error)}") from error

    async def close(self) -> None:
        """End the engine's process; it and its tasks are gone when this returns."""
        engine, self._engine = self._engine, None
        if self._aborting:
            await asyncio.wait(self._aborting)
        if engine is not None:
            await stop(engine)
        if self._leash is not None:
            await asyncio.to_thread(self._leash.release)
            self._leash = None

    def _running(self) -> Engine:
        if self._engine is None:
            raise BackendError("the engine is not running")
        return self._engine

    def _prepare(self, engine: Engine) -> None:
        """What every reply needs of the loaded model."""
        tokenizer = engine.renderer.get_tokenizer()
        self._max_len = int(engine.model_config.max_model_len)
        room = self._max_len - self._max_tokens - _TEMPLATE_TOKENS
        if room <= 0:
            raise LoadFailed(
                f"max_model_len {self._max_len} leaves no room for a conversation beside "
                f"max_tokens {self._max_tokens}: lower max_tokens, or raise max_model_len"
            )
        self._room = room if self._history_tokens is None else min(room, self._history_tokens)
        # A model's own sampling comes with it, in generation_config.json.
        own = cast(Mapping[str, object], engine.model_config.get_diff_sampling_param())
        self._sampling = {**own, **self._sampling}

        @lru_cache(maxsize=4096)
        def tokens(text: str) -> int:
            return len(tokenizer.encode(text, add_special_tokens=False))

        self._tokens = tokens
        self._tokenizer = tokenizer
        self._parser = find_tool_parser(self._tool_parser) if self._tool_parser else None

    def _messages(self, request: ReplyRequest, tools: list[ChatObject]) -> list[ChatObject]:
        """The conversation, cut to what fits beside the tools."""
        room = self._room - (self._tokens(json.dumps(tools)) if tools else 0)
        return chat_messages(within_budget(request.messages, room, self._count))

    def _calls(self, messages: list[ChatObject], tools: list[ChatObject]) -> WrittenCalls | None:
        """What finds the tool calls in a reply that may have some."""
        return WrittenCalls(self._parser, self._tokenizer, messages, tools) if tools else None

    def _count(self, message: Message) -> int:
        calls = "".join(call.name + call.arguments_json for call in message.tool_calls)
        return self._tokens(message.content) + self._tokens(calls) + MESSAGE_TOKENS

    async def _prompt(
        self, engine: Engine, messages: list[ChatObject], tools: list[ChatObject]
    ) -> object:
        """The conversation in the model's own format, as tokens."""
        params = import_module("vllm.renderers").ChatParams(
            chat_template_kwargs={"add_generation_prompt": True, "tools": tools or None}
        )
        _, [prompt] = await engine.renderer.render_chat_async([messages], params)
        if len(prompt["prompt_token_ids"]) >= self._max_len:
            raise BadInput(f"the conversation does not fit the model's {self._max_len} tokens")
        return prompt

    def _sampling_params(self, calls: WrittenCalls | None) -> object:
        vllm = import_module("vllm")
        return vllm.SamplingParams(
            **self._sampling,
            skip_special_tokens=calls.skip_special_tokens if calls else True,
            output_kind=import_module("vllm.sampling_params").RequestOutputKind.DELTA,
        )

    async def _abort(self, engine: Engine, request_id: str) -> None:
        """Take the request back, to the end even if this is cancelled too.

        vLLM does so itself, but not for a request that was cancelled while it was being added.
        """
        aborting = asyncio.ensure_future(engine.abort(request_id))
        self._aborting.add(aborting)
        aborting.add_done_callback(self._aborting.discard)
        await asyncio.shield(aborting)


def _line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
