"""One call: socket ⇄ dialect ⇄ turn machine ⇄ stages, in one task group.

The loop below never waits for a model: it takes the next event, lets the machine decide, and
performs the commands. Slow work runs in tasks whose results come back as events. Whatever the
call started is over when `run` returns.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import assert_never

from deployments.logs import logger
from serve_app import metrics, text_log
from serve_app.archive.recorder import Recorder
from serve_app.audio.downlink import Downlink
from serve_app.audio.uplink import Uplink
from serve_app.conversation import announcements as say
from serve_app.conversation import commands as do
from serve_app.conversation import events as ev
from serve_app.conversation.turn import TurnMachine
from serve_app.dialects import Answer, Dialect
from serve_app.errors import PeerError, StageError, StageOverloaded
from serve_app.load import Load, Shed
from serve_app.observation import Observation
from serve_app.outbox import CallSocket, ClientGone, Outbox
from serve_app.pause_judge import PauseJudge
from serve_app.reply import Reply, ReplyOptions
from serve_app.resume.keeping import Keeping
from serve_app.resume.line import Line
from serve_app.stages import Stages
from serve_app.voice_registration import VoiceRegistration

log = logger("call")

INBOX_LIMIT = 256
"""Events that may wait. Overflow policy: whoever has the next one waits."""
DRAIN_S = 1.0
BAD_AUDIO_REPORT_EVERY = 50
BAD_AUDIO_LIMIT = 250
"""Bad packets in a row that end a call: 5 s of 20 ms packets are no accident."""
UNSUPPORTED_DATA = 1003
SERVER_FAULT = 1011
SERVICE_RESTART = 1012
ON_ITS_WAY_S = 0.5
"""What a client sent before it was told that the call moves may take so long to be here."""
SUPERSEDED = 4001
"""Another connection goes on with the conversation."""


@dataclass(slots=True)
class CallParts:
    """What a call is made of; the ingress puts them together."""

    call_id: str
    socket: CallSocket
    dialect: Dialect
    machine: TurnMachine
    uplink: Uplink
    stages: Stages
    reply_options: ReplyOptions
    send_timeout_s: float
    registration: VoiceRegistration
    judge: PauseJudge | None = None
    """Says whether a pause ends a turn; without one the pause's length alone does."""
    load: Load = field(default_factory=Load)
    """The replica's: says what to do without."""
    line: Line | None = None
    """To where the conversation is kept, so that the client can come back to it."""
    recorder: Recorder = field(default_factory=Recorder)
    owner: str = ""
    """Whose key the call was made with: what it leaves is theirs."""


class Call:
    """Runs one conversation."""

    def __init__(self, parts: CallParts) -> None:
        self._id = parts.call_id
        self._socket = parts.socket
        self._dialect = parts.dialect
        self._machine = parts.machine
        self._uplink = parts.uplink
        self._stages = parts.stages
        self._registration = parts.registration
        self._recorder = parts.recorder
        self._owner = parts.owner
        self._judge = parts.judge
        self._load = parts.load
        self._judging: asyncio.Task[None] | None = None
        self._options = parts.reply_options
        self._transcriber = parts.stages.transcriber(parts.call_id, parts.reply_options.language)
        self._outbox = Outbox(parts.socket, parts.dialect, parts.send_timeout_s)
        self._keeping = Keeping(parts.line, parts.machine)
        ready = say.CallReady(
            self._id,
            self._options.voice,
            self._options.language,
            recordable=parts.recorder.offered,
        )
        for told in self._keeping.ready(ready):
            self._outbox.put(told)
        self._inbox: asyncio.Queue[ev.Event | None] = asyncio.Queue(INBOX_LIMIT)
        self._replies: dict[str, tuple[Reply, asyncio.Task[None]]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._alarm: asyncio.TimerHandle | None = None
        self._alarm_at = 0.0
        self._close_code = SERVER_FAULT
        self._moving = asyncio.Event()
        self._seen = Observation(parts.call_id)

    async def run(self) -> None:
        """Until the caller leaves, a limit ends the call, or the task is cancelled."""
        try:
            with self._seen.call():
                await self._converse()
        except* ClientGone as gone:
            log.info("call %s: %s", self._id, gone.exceptions[0])
        finally:
            if self._alarm:
                self._alarm.cancel()
            self._uplink.close()
            self._recorder.close()
            self._seen.ended(self._close_code, self._machine.speculation)
            self._keeping.leave()
            with suppress(TimeoutError):
                async with asyncio.timeout(DRAIN_S):
                    await self._socket.close(self._close_code)

    @property
    def returns(self) -> bool:
        """Its client can come back to the conversation."""
        return self._keeping.keeps

    @property
    def quiet(self) -> bool:
        """Nobody speaks, and nothing is owed."""
        return self._machine.between_turns

    def move(self) -> None:
        """This replica stops: the call ends here, and a client that can is told to come back."""
        self._moving.set()

    async def _converse(self) -> None:
        tasks = asyncio.TaskGroup()
        try:
            async with tasks:
                await self._take_turns(tasks)
        except BaseException as ended:  # noqa: BLE001  It goes on its way, lighter.
            # The group's own frame, which this traceback holds, holds the exception: together they
            # would keep the call until the collector comes by. So would the frame that the group
            # cancelled, by the exception's context. Those in the group keep their tracebacks.
            ended.__context__ = None
            raise ended.with_traceback(None) from None
        finally:
            del tasks

    async def _take_turns(self, tasks: asyncio.TaskGroup) -> None:
        self._keeping.begin()
        self._work(tasks.create_task(self._read()))
        self._work(tasks.create_task(self._mind_another()))
        self._work(tasks.create_task(self._mind_move()))
        writer = tasks.create_task(self._outbox.run())
        loop = asyncio.get_running_loop()
        while not self._machine.ended:
            self._wake_by(self._machine.deadline())
            event = await self._inbox.get()
            if event is None:  # The client is gone without a word, and may come back.
                self._keeping.leave()
                event = ev.HangUp()
            elif event == ev.Dismissed(SERVICE_RESTART):  # What came before it is in what is kept.
                self._keeping.leave()
            commands = self._machine.handle(event, loop.time())
            for command in commands:
                self._perform(command, tasks)
            self._keeping.mind(commands)
        for task in self._tasks:
            task.cancel()
        self._outbox.close()
        await asyncio.wait([writer], timeout=DRAIN_S)
        writer.cancel()

    async def _mind_another(self) -> None:
        await self._keeping.superseded()
        self.tell(say.CallError("superseded", "the call goes on at another connection"))
        await self._inbox.put(ev.Dismissed(SUPERSEDED))

    async def _mind_move(self) -> None:
        await self._moving.wait()
        for told in self._keeping.move():
            self.tell(told)
        await asyncio.sleep(ON_ITS_WAY_S)
        await self._inbox.put(ev.Dismissed(SERVICE_RESTART))

    def _wake_by(self, deadline: float | None) -> None:
        """A Tick comes by then. It may come sooner: moving the timer at each event costs more."""
        if deadline is None or (self._alarm and self._alarm_at <= deadline):
            return
        if self._alarm:
            self._alarm.cancel()
        # Kept here: uvloop's handle of a time that is due already does not know its own.
        self._alarm_at = deadline
        self._alarm = asyncio.get_running_loop().call_at(deadline, self._ring)

    def _ring(self) -> None:
        self._alarm = None
        # Where events wait, the loop comes by here again after the next.
        if not self._inbox.full():
            self._inbox.put_nowait(ev.Tick())

    def _perform(self, command: do.Command, tasks: asyncio.TaskGroup) -> None:
        match command:
            case do.Tell(announcement=announcement):
                self.tell(announcement)
            case do.Transcribe():
                with self._seen.transcribing(command):
                    self._work(tasks.create_task(self._transcribe(command)))
            case do.JudgePause():
                if self._judging:
                    self._judging.cancel()
                self._judging = tasks.create_task(self._judge_pause(command))
                self._work(self._judging)
            case do.StartReply():
                self._start_reply(command, tasks)
            case do.RunTool() | do.ContinueReply() | do.EndReply() | do.WakeReply():
                if command.reply_id in self._replies:
                    self._replies[command.reply_id][0].perform(command)
            case do.CancelReply(reply_id=reply_id):
                self._outbox.recall_audio(reply_id)
                if reply_id in self._replies:
                    self._replies[reply_id][1].cancel()
            case do.EndCall(close_code=code):
                self._close_code = code
            case _:
                assert_never(command)

    def tell(self, announcement: say.Announcement) -> None:
        """Send the client an announcement."""
        if isinstance(announcement, say.ReplyFlushed):
            self._outbox.recall_audio(announcement.reply_id)
            self._uplink.recall_overheard()
        if isinstance(announcement, say.CallError) and announcement.code == StageOverloaded.code:
            self._load.stage_refused(asyncio.get_running_loop().time())
        self._seen.told(announcement)
        text_log.note(self._id, announcement)
        self._recorder.told(announcement)
        self._outbox.put(announcement)

    def _start_reply(self, command: do.StartReply, tasks: asyncio.TaskGroup) -> None:
        reply = Reply(
            command.reply_id,
            command.playout,
            self._stages,
            replace(self._options, voice=command.voice or self._options.voice),
            Downlink(self._dialect.request.downlink, self._overhear),
            send=self._outbox.put,
            report=self._inbox.put,
        )
        with self._seen.replying(command.reply_id) as span:
            task = tasks.create_task(
                reply.run(
                    command.messages,
                    command.tools,
                    text=command.text,
                    speaks=command.speaks,
                    must_call=command.must_call,
                )
            )
        task.add_done_callback(lambda _: span.end())
        self._work(task)
        self._replies[command.reply_id] = (reply, task)
        task.add_done_callback(lambda _: self._replies.pop(command.reply_id, None))

    def _overhear(self, pcm: bytes, rate: int) -> None:
        self._uplink.overhear(pcm, rate)
        self._recorder.agent(pcm, rate)

    def _work(self, task: asyncio.Task[None]) -> None:
        """This task ends with the call."""
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _transcribe(self, command: do.Transcribe) -> None:
        luxury = not (command.final or self._replies or self._machine.needs_partials)
        if luxury and self._sheds(Shed.PARTIALS):
            without = ev.TranscriptFailed(
                command.window_id, StageOverloaded.code, "no partials now"
            )
            await self._inbox.put(without)
            return
        pcm = self._uplink.window(command.start_ms, command.end_ms)
        try:
            transcript = await self._transcriber.transcribe(
                pcm, command.turn_id, final=command.final
            )
        except StageError as error:
            log.warning("call %s: %s", self._id, error)
            sentence = "this was not understood: speech recognition is not available"
            await self._inbox.put(ev.TranscriptFailed(command.window_id, error.code, sentence))
        else:
            room = not self._sheds(Shed.SPECULATION)
            await self._inbox.put(ev.TranscriptReady(command.window_id, transcript, room=room))

    def _sheds(self, what: Shed) -> bool:
        return self._load.shed(asyncio.get_running_loop().time()) >= what

    async def _judge_pause(self, command: do.JudgePause) -> None:
        probability = None
        if self._judge and not self._sheds(Shed.JUDGED_PAUSES):
            pcm = self._uplink.window(command.start_ms, command.end_ms)
            probability = await self._judge.judge(pcm)
        metrics.pause_judged(probability)
        await self._inbox.put(ev.PauseJudged(command.pause_id, probability))

    async def _read(self) -> None:
        """The client's messages → events, until it leaves."""
        bad_audio = 0
        await self._take_in(self._dialect.request.opening)
        async for message in self._socket.messages():
            try:
                for event in self._dialect.decode(message):
                    await self._take_in(event)
                    if isinstance(event, ev.AudioReceived):
                        bad_audio = 0
            except PeerError as error:
                if error.code == "invalid_audio":
                    bad_audio += 1
                if error.code != "invalid_audio" or bad_audio % BAD_AUDIO_REPORT_EVERY == 1:
                    told = say.CallError(
                        error.code, error.message, cause=error.cause, param=error.param
                    )
                    self.tell(told)
                close_code = error.close_code
                if bad_audio >= BAD_AUDIO_LIMIT:
                    close_code = UNSUPPORTED_DATA
                if close_code is not None:
                    await self._inbox.put(ev.Dismissed(close_code))
                    return
        await self._inbox.put(None)

    async def _take_in(self, event: ev.ClientEvent | Answer) -> None:
        match event:
            case Answer():
                self._outbox.put(event)
                return
            case ev.AudioReceived(payload=payload):
                for frame in self._uplink.accept(payload, self._machine.frames_together):
                    await self._inbox.put(frame)
                return
            case ev.ConfigChanged():
                await self._configure(event)
            case ev.ReplyRequested():
                await self._check_request(event)
            case ev.TextTyped(text=text):
                self._recorder.typed(text)
            case ev.RecordingAnswered(given=given):
                self.tell(self._recorder.answer(given, self._uplink.received_ms))
                return
            case ev.VoiceOffered(name=name, recording=recording):
                # The socket is not read meanwhile: what follows may ask for the voice already.
                voice = await self._registration.offered(name, recording, self._owner)
                self.tell(say.VoiceRegistered(voice.name))
                return
            case _:
                pass
        for frame in self._uplink.judge_waiting():  # What came before it counts before it.
            await self._inbox.put(frame)
        await self._inbox.put(event)

    async def _check_request(self, request: ev.ReplyRequested) -> None:
        try:
            await self._stages.check(request.voice, None)
        except PeerError as error:
            error.cause = request.request_id
            raise

    async def _configure(self, change: ev.ConfigChanged) -> None:
        """Voice and language count from the next reply (and turn) on, audio formats at once."""
        await self._stages.check(change.voice, change.language, change.recogniser)
        self._uplink.use(self._dialect.request.uplink)
        if change.language is not None:
            self._transcriber = self._stages.transcriber(self._id, change.language)
        self._options = replace(
            self._options,
            voice=change.voice if change.voice is not None else self._options.voice,
            language=change.language if change.language is not None else self._options.language,
        )
