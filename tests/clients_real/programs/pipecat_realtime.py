"""A pipecat pipeline around OpenAIRealtimeLLMService: `HOST SPEECH_DIRECTORY`."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

from caller import FRAME_S, RATE, Caller
from loguru import logger
from pipecat.adapters.llm.schemas.function_schema import FunctionSchema
from pipecat.adapters.llm.schemas.tools_schema import ToolsSchema
from pipecat.frames.frames import (
    BotStoppedSpeakingFrame,
    ErrorFrame,
    Frame,
    InputAudioRawFrame,
    InterruptionFrame,
    LLMContextFrame,
    OutputAudioRawFrame,
    StartFrame,
    TranscriptionFrame,
    TTSTextFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import LLMContextAggregatorPair
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.services.llm_service import FunctionCallParams
from pipecat.services.openai.realtime.events import (
    AudioConfiguration,
    AudioInput,
    InputAudioTranscription,
    SessionProperties,
)
from pipecat.services.openai.realtime.llm import OpenAIRealtimeLLMService
from pipecat.transports.base_input import BaseInputTransport
from pipecat.transports.base_output import BaseOutputTransport
from pipecat.transports.base_transport import TransportParams
from pipecat.workers.runner import WorkerRunner

PARAMS = TransportParams(
    audio_in_enabled=True,
    audio_in_sample_rate=RATE,
    audio_out_enabled=True,
    audio_out_sample_rate=RATE,
)
WEATHER = FunctionSchema("get_weather", "The weather.", {"place": {"type": "string"}}, ["place"])


class Microphone(BaseInputTransport):
    """The caller's voice."""

    def __init__(self, caller: Caller) -> None:
        super().__init__(PARAMS)
        self._caller = caller
        self._listening: asyncio.Task[None] | None = None

    async def start(self, frame: StartFrame) -> None:
        """Speak from now on."""
        await super().start(frame)
        await self.set_transport_ready(frame)
        self._listening = self.create_task(self._listen())

    async def cleanup(self) -> None:
        """Speak no more."""
        if self._listening:
            await self.cancel_task(self._listening)
        await super().cleanup()

    async def _listen(self) -> None:
        async for pcm in self._caller.frames():
            await self.push_audio_frame(InputAudioRawFrame(pcm, RATE, 1))


class Loudspeaker(BaseOutputTransport):
    """What the caller hears, at the pace it is heard."""

    def __init__(self, caller: Caller) -> None:
        super().__init__(PARAMS)
        self._caller = caller
        self._due = 0.0

    async def start(self, frame: StartFrame) -> None:
        """Play from now on."""
        await super().start(frame)
        await self.set_transport_ready(frame)

    async def write_audio_frame(self, frame: OutputAudioRawFrame) -> bool:
        """Play a piece."""
        loop = asyncio.get_running_loop()
        self._caller.hear(frame.audio, frame.sample_rate)
        self._due = max(self._due, loop.time()) + len(frame.audio) / 2 / frame.sample_rate
        await asyncio.sleep(max(0.0, self._due - loop.time() - FRAME_S))
        return True


class Ear(FrameProcessor):
    """Reports the frames that an application looks at."""

    def __init__(self, caller: Caller) -> None:
        super().__init__()
        self._caller = caller
        self._text = ""

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Every frame goes on."""
        await super().process_frame(frame, direction)
        if isinstance(frame, TranscriptionFrame) and direction is FrameDirection.UPSTREAM:
            self._caller.tell("heard", text=frame.text)
        if direction is FrameDirection.DOWNSTREAM:
            self._heard(frame)
        if isinstance(frame, ErrorFrame):
            self._caller.tell("error", text=frame.error)
        await self.push_frame(frame, direction)

    def _heard(self, frame: Frame) -> None:
        match frame:
            case TTSTextFrame(text=text):
                self._text += text
            case InterruptionFrame():
                if self._text:
                    self._caller.tell("interrupted")
            case BotStoppedSpeakingFrame():
                text, self._text = self._text, ""
                self._caller.tell("replied", text=text)
            case _:
                pass


async def main(host: str, speech: Path) -> None:
    """One conversation."""
    caller = Caller(speech)

    async def weather(params: FunctionCallParams) -> None:
        caller.tell("called", name=params.function_name, arguments=params.arguments)
        await params.result_callback("raining")

    session = SessionProperties(
        audio=AudioConfiguration(
            input=AudioInput(transcription=InputAudioTranscription("whisper-1"))
        )
    )
    settings: Any = OpenAIRealtimeLLMService.Settings(
        model="parley", system_instruction="Be kind.", session_properties=session
    )
    llm = OpenAIRealtimeLLMService(
        api_key="any", base_url=f"ws://{host}/v1/realtime", settings=settings
    )
    llm.register_function("get_weather", weather)
    context = LLMContext(tools=ToolsSchema([WEATHER]))
    aggregators = LLMContextAggregatorPair(context)
    worker = PipelineWorker(
        Pipeline(
            [
                Microphone(caller),
                aggregators.user(),
                Ear(caller),
                llm,
                Loudspeaker(caller),
                Ear(caller),
                aggregators.assistant(),
            ]
        ),
        params=PipelineParams(audio_in_sample_rate=RATE, audio_out_sample_rate=RATE),
    )
    runner = WorkerRunner(handle_sigint=False)
    async with asyncio.TaskGroup() as tasks:
        await runner.add_workers(worker)
        tasks.create_task(runner.run())
        await worker.queue_frames([LLMContextFrame(context)])
        await caller.until_said("Hello there.")
        await caller.converse()
        await worker.stop_when_done()
    caller.tell("closed")


logger.remove()
logger.add(sys.stderr, level="WARNING")
asyncio.run(main(sys.argv[1], Path(sys.argv[2])))
