"""The front of the graph: routes, admission, and one `Call` for every WebSocket."""

# Ray's decorators and handles are typed in part.
# pyright: reportUnknownMemberType=false, reportUntypedClassDecorator=false

# Serve ships the class as its module is at the decorator, so what it uses is imported, not
# defined below it; and FastAPI reads the routes' annotations there, so none is postponed.
import asyncio
import time
import uuid
from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeVar, cast

from fastapi import FastAPI, Request, Response, WebSocket
from fastapi.responses import JSONResponse
from ray import serve
from ray.serve.handle import DeploymentHandle

from deployments import process_metrics, progress
from deployments.contracts import SPEECH_RATE
from deployments.logs import logger
from serve_app import metrics, stop_notice, text_log
from serve_app.access.door import Door, Doorkeeper, knock_of, visitor_of
from serve_app.admission import Admission
from serve_app.archive.archive import SWEEP_S, new_archive
from serve_app.archive.recorder import Recorder
from serve_app.audio.codecs import new_decoder
from serve_app.audio.echo import EchoGuard
from serve_app.audio.end_of_turn import DETECTORS
from serve_app.audio.level import LevelTracker
from serve_app.audio.pcm import BYTES_PER_SAMPLE
from serve_app.audio.uplink import Uplink
from serve_app.audio.vad import EnergyVad, SileroVad
from serve_app.audio.vad_batch import VadBatch
from serve_app.autoscaling import QUEUE_AGE
from serve_app.call import Call, CallParts
from serve_app.collector import keep_what_is_loaded
from serve_app.conversation import announcements as say
from serve_app.conversation.turn import TurnMachine
from serve_app.dialects import CallRequest, Dialect
from serve_app.dialects.registry import POSTS, ROUTES
from serve_app.dialects.routes import Handshake, Post
from serve_app.drain_watch import DrainWatch
from serve_app.draining import Draining, check_budget
from serve_app.errors import PeerError, Stage, StageError
from serve_app.load import Load
from serve_app.load_watch import watch
from serve_app.outbox import ClientGone
from serve_app.page import router as page_router
from serve_app.pause_judge import PauseJudge, ThreadedJudge
from serve_app.reply import ReplyOptions
from serve_app.rest.body import read_body
from serve_app.rest.endpoints import Service
from serve_app.rest.entrance import Entrance
from serve_app.rest.registry import mounted
from serve_app.resume.line import Line
from serve_app.resume.lines import new_lines
from serve_app.settings import Settings, endpoints, front_door
from serve_app.stages import RayStages
from serve_app.tools import HttpTools
from serve_app.voice_registration import VoiceRegistration
from serve_app.websocket import StarletteSocket, accept, refuse

log = logger("ingress")

STAGES: tuple[Stage, ...] = ("stt", "llm", "tts")
MAX_MESSAGE_MS = 10_000
"""Audio in one message: hearing it takes the loop that all calls share."""


_ROUTES = {route.path: route for route in ROUTES}
_POSTS = {route.path: route for route in POSTS}


def _new_judge(name: str) -> PauseJudge | None:
    """The replica's judge of pauses, warm; None where the pause alone decides."""
    if name not in DETECTORS:
        return None
    detector = DETECTORS[name]()
    detector.probability(bytes(SPEECH_RATE * BYTES_PER_SAMPLE))
    return ThreadedJudge(detector)


def _door() -> Door:
    """That of the replica that this process is."""
    return cast(Any, serve.get_replica_context()).servable_object.door


api = FastAPI(title="Parley", docs_url=None, redoc_url=None)
api.add_middleware(Doorkeeper, door=_door)
api.include_router(page_router)
Endpoint = TypeVar("Endpoint", bound=Callable[..., Any])


def _on_every_socket(endpoint: Endpoint) -> Endpoint:
    for path in _ROUTES:
        api.add_api_websocket_route(path, endpoint)
    return endpoint


def _on_every_post(endpoint: Endpoint) -> Endpoint:
    for path in _POSTS:
        api.add_api_route(path, endpoint, methods=["POST"], include_in_schema=False)
    return endpoint


GRACE_S = 3_600.0
"""Behind Serve's own proxy a replica that is to stop lives for so long, at most: until the longest
call (`limits.max_call_s`) has ended. Without calls it ends at once."""


@serve.deployment(name="Ingress", graceful_shutdown_timeout_s=GRACE_S)
@serve.ingress(api)
class Ingress:
    """One replica: holds its calls' sockets, ears and conversations."""

    async def __init__(  # pyright: ignore[reportGeneralTypeIssues]  Serve awaits constructors.
        self,
        settings: Settings,
        stt: DeploymentHandle[Any],
        llm: DeploymentHandle[Any],
        tts: DeploymentHandle[Any],
    ) -> None:
        self._settings = settings
        door = front_door()
        grace_s = door.grace_s(stop_notice.graceful_shutdown_timeout_s())
        check_budget(settings.limits.drain_s, grace_s, door.grace_setting)
        text_log.allow(settings.log_text)
        self._keys = settings.keys()
        self.door = Door(settings.auth, self._keys, ROUTES, POSTS)
        self._stages = RayStages((stt, settings.stt), (llm, settings.llm), (tts, settings.tts))
        self._registration = VoiceRegistration(self._stages)
        self._admission = Admission(settings.limits.max_calls, settings.vllm_urls)
        # What every call shares is loaded before the first call.
        SileroVad()
        new_decoder()
        self._vads = VadBatch()
        self._judge = _new_judge(settings.turn.end_of_turn)
        self._lines = new_lines(settings.resume)
        self._tools = HttpTools(endpoints(settings.tools)) if settings.tools else None
        self._load = Load(settings.limits.load())
        self._archive = new_archive(settings.recording)
        service = Service(
            self._stages,
            settings,
            self._registration,
            self._load,
            self._archive,
            self._lines.store if self._lines else None,
        )
        self._entrance = Entrance(service)
        self._warming = asyncio.ensure_future(self._warm_up())
        self._drain = DrainWatch(Draining(settings.limits.drain_s, grace_s))
        self._watching = asyncio.ensure_future(self._watch())

    async def _watch(self) -> None:
        async with asyncio.TaskGroup() as watches:
            watches.create_task(self._watch_load())
            watches.create_task(self._sweep_recordings())
            watches.create_task(self._drain.run())
            watches.create_task(stop_notice.follow(self._drain.told))

    async def _sweep_recordings(self) -> None:
        while self._archive is not None:
            await asyncio.to_thread(self._archive.sweep)
            await asyncio.sleep(SWEEP_S)

    async def _watch_load(self) -> None:
        """Loading is no load: it is over before the first call."""
        await asyncio.wait([self._warming])
        await watch(self._load, self._stages.voice_wait_ms)

    async def _warm_up(self) -> None:
        """Ask each stage until it answers: from then on calls are taken."""
        for stage in STAGES:
            while stage not in self._stages.info:
                try:
                    await self._stages.describe(stage)
                except StageError as error:
                    log.info("waiting for %s: %s", stage, error)
        keep_what_is_loaded()

    async def check_health(self) -> None:
        """Serve asks this every few seconds.

        Raises what ended the watches: without them nothing is shed and no call is moved, so that
        another replica takes this one's place.
        """
        if self._watching.done():
            self._watching.result()
        process_metrics.tell()
        now = asyncio.get_running_loop().time()
        metrics.calls(self._admission.calls)
        metrics.load(self._load.lag_ms(now), self._load.shed(now))

    def record_autoscaling_stats(self) -> dict[str, float]:
        """How late this replica's event loop is: the age of what waits in it."""
        return {QUEUE_AGE: self._load.lag_ms(asyncio.get_running_loop().time())}

    @api.get("/healthz")
    async def healthz(self) -> dict[str, str]:
        """This replica is alive."""
        return {"status": "ok"}

    @api.get("/readyz")
    async def readyz(self) -> JSONResponse:
        """200 once every stage is loaded and warm, 503 before; what each stage does.

        `languages`: those that a call may ask for; none listed: any.
        """
        ready = self._warming.done()
        told = {} if ready else await asyncio.to_thread(progress.told)
        stages = {
            stage: "ready" if stage in self._stages.info else told.get(stage, "starting")
            for stage in STAGES
        }
        return JSONResponse(
            {
                "ready": ready,
                "stages": stages,
                "calls": self._admission.calls,
                "languages": self._stages.languages(),
            },
            status_code=200 if ready else 503,
        )

    @mounted(api)
    async def rest(self, request: Request) -> Response:
        """What the stages do by HTTP (docs/protocol-openai-audio.md)."""
        return self._entrance.answer(request)

    @_on_every_socket
    async def call(self, websocket: WebSocket) -> None:
        """A call in the dialect of its path (docs/protocol-*.md)."""
        route = _ROUTES[websocket.scope["path"].removeprefix(websocket.scope.get("root_path", ""))]
        handshake = self._handshake(websocket)
        try:
            self._drain.check()
            route.check(handshake, self._keys)
            dialect = route.open(handshake)
            await self._check(dialect)
            self._admission.admit(self._load.shed(asyncio.get_running_loop().time()))
        except PeerError as error:
            metrics.refused(error.code)
            retry_after_s = self._settings.limits.retry_after_s
            await refuse(websocket, route, handshake, error, retry_after_s)
            return
        began_at = asyncio.get_running_loop().time()
        metrics.call_begun(route.path)
        metrics.calls(self._admission.calls)
        try:
            line = await self._line(dialect.request, handshake.owner)
            await accept(websocket, route, handshake)
            call = self._call(websocket, dialect, handshake, line)
            with self._drain.holding(call):
                await call.run()
        except ClientGone as gone:
            log.info("call %s: %s", handshake.call_id, gone)
        finally:
            self._admission.release()
            metrics.calls(self._admission.calls)
            metrics.call_ended(route.path, asyncio.get_running_loop().time() - began_at)

    @_on_every_post
    async def post(self, request: Request) -> Response:
        """What a dialect's clients ask by HTTP (docs/protocol-*.md)."""
        url = request.url
        route = _POSTS[url.path.removeprefix(request.scope.get("root_path", ""))]
        url_path = f"{url.path}?{url.query}" if url.query else url.path
        try:
            body = await read_body(request)
            key = visitor_of(request.scope).key
            key_id = key.id if key else ""
            asked = Post(url_path, dict(request.headers), body, int(time.time()), key_id)
            page = route.answer(asked, self._keys)
        except PeerError as error:
            told = {"code": error.code, "message": error.message}
            return JSONResponse({"error": told}, error.status)
        return Response(page.body, media_type=page.media_type)

    def _handshake(self, websocket: WebSocket) -> Handshake:
        knock = knock_of(websocket)
        return replace(
            knock,
            call_id=uuid.uuid4().hex,
            expires_at=knock.now + round(self._settings.limits.max_call_s),
            owner=visitor_of(websocket.scope).owner,
        )

    async def _check(self, dialect: Dialect) -> None:
        if not self._warming.done():
            raise PeerError("not_ready", "the models are loading", close_code=1013, status=503)
        self._admission.check(dialect.request)
        request = dialect.request
        await self._stages.check(request.voice, request.language)
        await self._stages.check(request.opening.voice, request.opening.language)

    async def _line(self, request: CallRequest, owner: str) -> Line | None:
        if self._lines is None or not request.returns:
            return None
        return await self._lines.line(request.resume, owner)

    def _call(
        self, websocket: WebSocket, dialect: Dialect, handshake: Handshake, line: Line | None
    ) -> Call:
        settings, request = self._settings, dialect.request
        if line and line.resumed:
            settled = line.resumed.config
            request = replace(request, voice=settled.voice, language=settled.language)
        now = asyncio.get_running_loop().time()
        about = (handshake.call_id, handshake.owner, handshake.path)
        recorder = Recorder(self._archive, about)
        recogniser = self._stages.info["stt"]
        language = request.language or settings.language
        if language is None and len(recogniser.languages) == 1:
            [language] = recogniser.languages
        policy = settings.turn_policy(
            incremental=recogniser.incremental,
            language=language,
            resumes=request.resumes,
            paced=request.paced,
        )
        call = Call(
            CallParts(
                call_id=handshake.call_id,
                socket=StarletteSocket(websocket),
                dialect=dialect,
                machine=TurnMachine(policy, settings.instructions, now),
                uplink=Uplink(
                    request.uplink,
                    SileroVad() if settings.turn.vad == "silero" else EnergyVad(),
                    policy.max_turn_ms + policy.prefix_ms,
                    max_message_ms=MAX_MESSAGE_MS,
                    echo=EchoGuard() if settings.turn.echo_guard else None,
                    level=LevelTracker() if settings.turn.speculation != "off" else None,
                    batch=self._vads,
                    hear=recorder.caller,
                ),
                stages=self._stages,
                reply_options=ReplyOptions(
                    voice=request.voice or settings.voice,
                    language=request.language or settings.language,
                    llm_url=request.llm_url,
                    apology=settings.apology,
                    tools=self._tools,
                ),
                send_timeout_s=settings.limits.send_timeout_s,
                judge=self._judge,
                load=self._load,
                line=line,
                registration=self._registration,
                recorder=recorder,
                owner=handshake.owner,
            )
        )
        if request.resume is not None and not (line and line.resumed):
            gone = "there is no such call, or no more; a new one began"
            call.tell(say.CallError("resume_unavailable", gone))
        return call
