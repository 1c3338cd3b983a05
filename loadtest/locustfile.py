"""locust's side: each user makes call after call; what comes of them is counted and written down.

    python -m locust -f loadtest/locustfile.py --timed -H ws://host:8000/ws    its page at :8089
    … --master, and on each machine: … --worker --master-host MASTER

`make loadtest` starts it with a server. `ramp.py` beside it (`-f …,loadtest/ramp.py`) goes up in
steps. The report so far is at /report of locust's page.
"""

# locust is in an environment of its own (requirements/loadtest.txt): its types are not at hand.
# pyright: basic, reportMissingImports=false

from __future__ import annotations

import itertools
import threading
import time
from pathlib import Path

from locust import User, between, events, task
from locust.runners import MasterRunner, WorkerRunner

from loadtest.bridge import Bridge, CallersGone
from loadtest.locust_requests import requests_of
from loadtest.outcome import Outcome
from loadtest.records import Record, ServerCpu, from_line, to_line
from loadtest.server_cpu import ServerCpuClock
from loadtest.slo import read_objectives

HERE = Path(__file__).parent
CPU_EVERY_S = 2.0
APART = 1_000_003
"""Between the numbers of two workers' callers, so that each has marks of its own."""


class Caller(User):
    """One caller at a time; the next rings a little later."""

    wait_time = between(0.2, 1.0)

    @task
    def call(self):
        """Make the next call of this worker."""
        state = self.environment.parley
        if state.bridge is None:
            return
        try:
            state.bridge.call(next(state.numbers))
        except CallersGone as error:
            _fire(self.environment, "error", "callers gone", None, str(error))
            self.environment.runner.quit()


class State:
    """Of one locust process: its callers if it makes calls, the outcome if it is in charge."""

    def __init__(self, environment):
        self.environment = environment
        self.bridge = None
        self.numbers = itertools.count()
        self.unsent = []
        self.running = threading.Event()
        self.outcome = None

    def begin(self):
        """A test starts."""
        options = self.environment.parsed_options
        if not isinstance(self.environment.runner, WorkerRunner):
            self.outcome = Outcome(read_objectives(Path(options.slo).read_text()))
            self.running.set()
            if options.server_session:
                threading.Thread(
                    target=self._watch_server, args=(self.outcome,), daemon=True
                ).start()
        if not isinstance(self.environment.runner, MasterRunner):
            index = getattr(self.environment.runner, "worker_index", 0)
            self.numbers = itertools.count(max(0, index) * APART)
            arguments = ["--url", self.environment.host, *(["--timed"] if options.timed else [])]
            self.bridge = Bridge(arguments, self.take)

    def end(self):
        """The test has ended: no user is left."""
        self.running.clear()
        if self.bridge is not None:
            self.bridge.close()
            self.bridge = None

    def take(self, record: Record):
        """A record of this process's callers."""
        for request in requests_of(record):
            _fire(self.environment, request.type, request.name, request.ms, request.failure)
        if self.outcome is not None:
            self.outcome.records.append(record)
        else:
            self.unsent.append(to_line(record))

    def finish(self):
        """Write the page, and say whether the objectives were kept."""
        if self.outcome is None:
            return
        options = self.environment.parsed_options
        target = Path(options.report)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(self.outcome.page(self.environment.host or ""))
        target.with_suffix(".jsonl").write_text(self.outcome.lines())
        self.environment.process_exit_code = self.outcome.exit_status

    def tell(self):
        """On the terminal, after locust's own tables."""
        if self.outcome is not None:
            self.outcome.print_summary(self.environment.parsed_options.report)

    def _watch_server(self, outcome):
        clock = ServerCpuClock(self.environment.parsed_options.server_session)
        while self.running.is_set():
            outcome.records.append(ServerCpu(time.time(), clock.read()))
            time.sleep(CPU_EVERY_S)


def _fire(environment, kind, name, ms, failure):
    environment.events.request.fire(
        request_type=kind,
        name=name,
        response_time=ms,
        response_length=0,
        exception=Failed(failure) if failure else None,
        context={},
    )


class Failed(Exception):
    """What locust counts as a failure."""


@events.init_command_line_parser.add_listener
def _options(parser):
    parser.add_argument(
        "--timed",
        action="store_true",
        help="the server runs loadtest/timed.yaml: what is said tells callers apart",
    )
    parser.add_argument("--slo", default=str(HERE / "slo.toml"), help="objectives (TOML)")
    parser.add_argument("--report", default=".run/loadtest/report.html", help="the page to write")
    parser.add_argument(
        "--server-session", type=int, default=0, help="session id of a server here: its CPU counts"
    )
    parser.add_argument("--step-users", type=int, default=4, help="of a ramp: calls more a step")
    parser.add_argument("--step-seconds", type=float, default=30.0, help="of a ramp: a step's time")


@events.init.add_listener
def _init(environment, **_):
    environment.parley = state = State(environment)
    environment.events.test_start.add_listener(lambda **_: state.begin())
    environment.events.test_stop.add_listener(lambda **_: state.end())
    environment.events.quitting.add_listener(lambda **_: state.finish())

    environment.events.quit.add_listener(lambda **_: state.tell())

    def report(client_id, data):  # noqa: ARG001  locust names it
        data["parley"], state.unsent = state.unsent, []

    def received(client_id, data):  # noqa: ARG001  locust names it
        if state.outcome is not None:
            state.outcome.records += [from_line(line) for line in data.get("parley", [])]

    environment.events.report_to_master.add_listener(report)
    environment.events.worker_report.add_listener(received)
    if environment.web_ui:

        @environment.web_ui.app.route("/report")
        def _report():
            return state.outcome.page(environment.host or "") if state.outcome else "no test yet"
