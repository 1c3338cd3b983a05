"""One call between a scripted client and scripted stages; all between them is the real thing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from serve_app.archive.recorder import Recorder
from serve_app.audio.uplink import Uplink
from serve_app.call import Call, CallParts
from serve_app.conversation.policy import TurnPolicy
from serve_app.conversation.turn import TurnMachine
from serve_app.dialects import Dialect
from serve_app.dialects.native import NativeDialect
from serve_app.load import Load
from serve_app.pause_judge import PauseJudge
from serve_app.reply import ReplyOptions
from serve_app.resume.line import Line
from serve_app.tools import ToolRunner
from serve_app.voice_registration import VoiceRegistration
from tests.fake_socket import FakeSocket
from tests.fakes import FakeStages, ScriptedVad

APOLOGY = "Sorry, something went wrong."
SEND_TIMEOUT_S = 10.0


@dataclass(slots=True)
class OpenCall:
    """A call in progress."""

    client: FakeSocket
    stages: FakeStages
    task: asyncio.Task[None]

    async def over(self) -> None:
        """Wait for the call to end; raises what it raised."""
        await self.task


def made(
    stages: FakeStages,
    client: FakeSocket,
    policy: TurnPolicy | None = None,
    *,
    query: Mapping[str, str] | None = None,
    instructions: str = "",
    call_id: str = "call",
    judge: PauseJudge | None = None,
    dialect: Dialect | None = None,
    tools: ToolRunner | None = None,
    load: Load | None = None,
    line: Line | None = None,
    recorder: Recorder | None = None,
) -> Call:
    """A call over PCM16 at 16 kHz, in the native dialect unless another is given."""
    policy = policy or TurnPolicy()
    dialect = dialect or NativeDialect({"codec": "pcm16", **(query or {})})
    request = dialect.request
    now = asyncio.get_running_loop().time()
    parts = CallParts(
        call_id=call_id,
        socket=client,
        dialect=dialect,
        machine=TurnMachine(policy, instructions, now),
        uplink=Uplink(
            request.uplink,
            ScriptedVad(),
            policy.max_turn_ms + policy.prefix_ms,
            hear=recorder.caller if recorder else None,
        ),
        stages=stages,
        reply_options=ReplyOptions(
            request.voice, request.language, request.llm_url, APOLOGY, tools
        ),
        send_timeout_s=SEND_TIMEOUT_S,
        registration=VoiceRegistration(stages),
        judge=judge,
        load=load or Load(),
        line=line,
        recorder=recorder or Recorder(),
    )
    return Call(parts)


def start(
    stages: FakeStages, client: FakeSocket, *arguments: Any, **options: Any
) -> asyncio.Task[None]:
    """Run a call as `made` makes it."""
    return asyncio.create_task(made(stages, client, *arguments, **options).run())


@asynccontextmanager
async def open_call(
    stages: FakeStages | None = None,
    policy: TurnPolicy | None = None,
    *,
    query: Mapping[str, str] | None = None,
    instructions: str = "",
    judge: PauseJudge | None = None,
    dialect: Dialect | None = None,
    tools: ToolRunner | None = None,
    load: Load | None = None,
    recorder: Recorder | None = None,
) -> AsyncGenerator[OpenCall, None]:
    """A call; the client hangs up at the end, and no stage may still be working then."""
    stages, client = stages or FakeStages(), FakeSocket()
    task = start(
        stages,
        client,
        policy,
        query=query,
        instructions=instructions,
        judge=judge,
        dialect=dialect,
        tools=tools,
        load=load,
        recorder=recorder,
    )
    try:
        yield OpenCall(client, stages, task)
    finally:
        client.vanish()
        await asyncio.wait([task])
    await task
    assert stages.running == []
