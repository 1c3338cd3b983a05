"""The page: complete, well formed, and without a request to anywhere."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest

from loadtest.charts import Chart, Series, columns, distribution, lines, ranges
from loadtest.graph import ROOT
from loadtest.outcome import Outcome
from loadtest.records import StepBegan
from loadtest.slo import Objectives, read_objectives
from tests.loadtest.made import run, wrong

VOID = {"meta", "br"}


@pytest.fixture
def objectives() -> Objectives:
    """Those that are shipped."""
    return read_objectives((ROOT / "loadtest" / "slo.toml").read_text())


class Reader(HTMLParser):
    """Balanced tags, and what the page would load."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.loads: list[str] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in VOID:
            self.open.append(tag)
        self.loads += [tag] if tag in ("script", "link", "img", "iframe") else []
        self.loads += [f"{name}={value}" for name, value in attrs if name in ("src", "href")]

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        del tag, attrs

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def read(html: str) -> str:
    """The page's text, once it is known to be well formed and alone."""
    reader = Reader()
    reader.feed(html)
    assert reader.open == []
    assert reader.loads == []
    assert "url(" not in html
    assert "@import" not in html
    return " ".join(reader.text)


def test_a_good_run(objectives: Objectives) -> None:
    """All charts have data, and all objectives are kept."""
    text = read(Outcome(objectives, run()).page("ws://127.0.0.1:8000/ws"))
    assert "All objectives kept" in text
    assert "not measured" not in text
    assert "15.0" in text


def test_a_bad_run_says_what_was_wrong(objectives: Objectives) -> None:
    """What callers report is text, not markup."""
    page = Outcome(objectives, [*run(), *wrong()]).page("ws://<host>/ws")
    text = read(page)
    assert "leaks: 1, at most 0" in text
    assert "no answer <within> 10 s" in text
    assert "zqaaaaab, not zqaaaaac" in text


def test_a_ramp_shows_its_knee(objectives: Objectives) -> None:
    """The first step holds, the second does not."""
    first, second = run(1_000.0, 4), run(1_060.5, 8, 2_500.0)
    records = [StepBegan(1_000.0, 4), *first, StepBegan(1_060.2, 8), *second]
    text = read(Outcome(objectives, records).page("ws://127.0.0.1:8000/ws"))
    assert "4 calls" in text
    assert "first_audio_p95_ms: 25" in text


def test_a_run_of_nothing_has_a_page_too(objectives: Objectives) -> None:
    """As at its beginning."""
    assert "not measured" in read(Outcome(objectives).page(""))


def test_the_summary_names_what_was_not_kept(
    objectives: Objectives, capsys: pytest.CaptureFixture[str]
) -> None:
    """In one line each; the exit status is 1 then, and 0 if nothing was."""
    good, bad = Outcome(objectives, run()), Outcome(objectives, [*run(), *wrong()])
    good.print_summary("page.html")
    assert capsys.readouterr().err == ""
    bad.print_summary("page.html")
    assert (good.exit_status, bad.exit_status) == (0, 1)
    said = capsys.readouterr().err.splitlines()
    assert "loadtest: SLO not kept: leaks: 1, at most 0" in said
    assert all(line.startswith("loadtest: SLO not kept: ") for line in said)


@pytest.mark.parametrize("value", [0.0, 1e-6, 0.4, 7.0, 1e9])
def test_charts_of_any_value_stay_inside(value: float) -> None:
    """Nothing is drawn outside of the picture, or not a number."""
    chart = Chart("A <chart>", "ms", limit=(100.0, "a bound"))
    points = [(0.0, value), (3.0, value / 2)]
    for svg in (
        lines(chart, [Series("one", points)], [1.0]),
        columns(chart, points, 3.0),
        distribution(chart, [value, value / 2]),
        ranges(chart, [("STT", value / 2, value)]),
    ):
        assert "nan" not in svg
        assert 'y="-' not in svg
        assert "A &lt;chart&gt;" in svg
