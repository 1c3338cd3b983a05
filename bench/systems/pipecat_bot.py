"""The peer: pipecat at its lowest-latency setting, around the same timed stages.

Runs in the virtual environment of requirements/bench.txt. VAD stop and start as pipecat has them
(0.2 s), `SpeechTimeoutUserTurnStopStrategy(user_speech_timeout=0.0)`, no observers, no metrics, no
turn tracking, log level WARNING. With `--smart-turn` its default decides the end of turn. The
serializer speaks the least of Parley's native protocol.
"""

# pipecat is not installed where the types are checked.
# pyright: basic, reportMissingImports=false

from __future__ import annotations

import argparse
import asyncio
import json
import struct
import sys
from collections.abc import AsyncGenerator
from concurrent.futures import ThreadPoolExecutor

import uvicorn
from fastapi import FastAPI, WebSocket
from loguru import logger
from pipecat.audio.vad.silero import SileroVADAnalyzer
from pipecat.audio.vad.vad_analyzer import VADParams
from pipecat.frames.frames import (
    Frame,
    InputAudioRawFrame,
    InterruptionFrame,
    LLMContextFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    OutputAudioRawFrame,
    TranscriptionFrame,
    TTSAudioRawFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import (
    LLMContextAggregatorPair,
    LLMUserAggregatorParams,
)
from pipecat.processors.frame_processor import FrameDirection
from pipecat.serializers.base_serializer import FrameSerializer
from pipecat.services.llm_service import LLMService
from pipecat.services.settings import LLMSettings, STTSettings, TTSSettings
from pipecat.services.stt_service import SegmentedSTTService
from pipecat.services.tts_service import TTSService
from pipecat.transports.websocket.fastapi import (
    FastAPIWebsocketParams,
    FastAPIWebsocketTransport,
)
from pipecat.turns.user_stop import SpeechTimeoutUserTurnStopStrategy
from pipecat.turns.user_turn_strategies import UserTurnStrategies
from pipecat.utils.time import time_now_iso8601
from pipecat.workers.runner import WorkerRunner

from deployments.backends import create
from deployments.contracts import Message, ReplyRequest, SpeechRequest, SpeechWindow

THREADS = ThreadPoolExecutor(128)


class NativeSerializer(FrameSerializer):
    """PCM16 at 16 kHz in; `\\x01`, the rate and PCM16 out; an interruption is a `flush`."""

    async def serialize(self, frame: Frame) -> str | bytes | None:
        """See FrameSerializer."""
        if isinstance(frame, OutputAudioRawFrame):
            return struct.pack("<BI", 1, frame.sample_rate) + frame.audio
        if isinstance(frame, InterruptionFrame):
            return '{"type": "flush"}'
        return None

    async def deserialize(self, data: str | bytes) -> Frame | None:
        """See FrameSerializer."""
        if isinstance(data, str):
            return None
        return InputAudioRawFrame(audio=data, sample_rate=16_000, num_channels=1)


class TimedStt(SegmentedSTTService):
    """The timed recogniser; no silence is added to what it hears."""

    def __init__(self, backend) -> None:
        super().__init__(
            trailing_silence_secs=0.0,
            ttfs_p99_latency=0.0,
            settings=STTSettings(model=None, language=None),
        )
        self._backend = backend

    @property
    def wants_wav_segments(self) -> bool:
        """PCM, not a file."""
        return False

    async def run_stt(self, audio: bytes) -> AsyncGenerator[Frame, None]:
        """One window, one transcript."""
        loop = asyncio.get_running_loop()
        windows = [SpeechWindow(audio, final=True)]
        heard = await loop.run_in_executor(THREADS, self._backend.transcribe, windows)
        yield TranscriptionFrame(heard[0].text, "", time_now_iso8601())


class TimedLlm(LLMService):
    """The timed model, a frame a token."""

    def __init__(self, backend) -> None:
        super().__init__(
            settings=LLMSettings(
                model=None,
                system_instruction=None,
                temperature=None,
                max_tokens=None,
                top_p=None,
                top_k=None,
                frequency_penalty=None,
                presence_penalty=None,
                seed=None,
                filter_incomplete_user_turns=None,
                user_turn_completion_config=None,
            )
        )
        self._backend = backend

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """A context is answered; anything else passes."""
        await super().process_frame(frame, direction)
        if not isinstance(frame, LLMContextFrame):
            await self.push_frame(frame, direction)
            return
        await self.push_frame(LLMFullResponseStartFrame())
        try:
            async for delta in self._backend.reply(ReplyRequest((Message("user", "?"),))):
                await self._push_llm_text(delta.text)
        finally:
            await self.push_frame(LLMFullResponseEndFrame())


class TimedTts(TTSService):
    """The timed voice, a sentence at a time."""

    def __init__(self, backend) -> None:
        super().__init__(
            push_start_frame=True,
            push_stop_frames=True,
            settings=TTSSettings(model=None, voice=None, language=None),
        )
        self._backend = backend

    async def run_tts(self, text: str, context_id: str) -> AsyncGenerator[Frame, None]:
        """The sentence's audio as it is made."""
        loop = asyncio.get_running_loop()
        chunks = self._backend.speak(SpeechRequest(text))
        step = None
        try:
            while True:
                step = loop.run_in_executor(THREADS, next, chunks, None)
                chunk = await asyncio.shield(step)
                if chunk is None:
                    return
                yield TTSAudioRawFrame(
                    audio=chunk.pcm,
                    sample_rate=chunk.rate,
                    num_channels=1,
                    context_id=context_id,
                )
        finally:
            if step is None or step.done():
                chunks.close()
            else:
                step.add_done_callback(lambda _: chunks.close())


def application(settings: dict[str, dict[str, object]], *, smart_turn: bool) -> FastAPI:
    """One pipeline a call; the three backends are shared by all calls of the process."""
    stt, llm, tts = (create(stage, "timed", settings[stage]) for stage in ("stt", "llm", "tts"))
    app = FastAPI()

    @app.websocket("/ws")
    async def ws(websocket: WebSocket) -> None:
        await websocket.accept()
        transport = FastAPIWebsocketTransport(
            websocket=websocket,
            params=FastAPIWebsocketParams(
                audio_in_enabled=True,
                audio_out_enabled=True,
                add_wav_header=False,
                serializer=NativeSerializer(),
            ),
        )
        user, assistant = LLMContextAggregatorPair(
            LLMContext(),
            user_params=LLMUserAggregatorParams(
                vad_analyzer=SileroVADAnalyzer(params=VADParams(stop_secs=0.2)),
                user_turn_strategies=UserTurnStrategies(
                    # None: its default, Smart Turn.
                    stop=None
                    if smart_turn
                    else [SpeechTimeoutUserTurnStopStrategy(user_speech_timeout=0.0)]
                ),
            ),
        )
        stages = [TimedStt(stt), user, TimedLlm(llm), TimedTts(tts)]
        worker = PipelineWorker(
            Pipeline([transport.input(), *stages, transport.output(), assistant]),
            params=PipelineParams(audio_in_sample_rate=16_000, audio_out_sample_rate=24_000),
            enable_turn_tracking=False,
            enable_rtvi=False,
            idle_timeout_secs=None,
        )

        @transport.event_handler("on_client_disconnected")
        async def left(_transport, _websocket) -> None:
            await worker.cancel()

        runner = WorkerRunner(handle_sigint=False)
        await runner.add_workers(worker)
        await runner.run()

    return app


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="bench.systems.pipecat_bot")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--stages", type=json.loads, required=True)
    parser.add_argument("--smart-turn", action="store_true")
    options = parser.parse_args()
    logger.remove()
    logger.add(sys.stderr, level="WARNING")
    uvicorn.run(
        application(options.stages, smart_turn=options.smart_turn),
        host="127.0.0.1",
        port=options.port,
        loop="uvloop",
        log_level="warning",
        ws_per_message_deflate=False,
        timeout_graceful_shutdown=2,
    )
