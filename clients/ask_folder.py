"""A folder of recordings, each answered once: a few at a time, with progress, and resumed.

<out>/<path of the recording>.mp3    its answer, there once it is whole
<out>/<path of the recording>.json   what was heard and said, there once all is done
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TextIO

import httpx2

from clients.speech_to_speech import RECORDINGS, Answer, NoAnswer, Wishes, ask


@dataclass(frozen=True)
class Batch:
    """Which recordings, where their answers go, and how many are asked at once."""

    questions: Path
    out: Path
    suffix: str
    at_once: int

    def recordings(self) -> list[Path]:
        """In order of their names, those of folders within included; not the answers' folder."""
        return sorted(
            path
            for path in self.questions.rglob("*")
            if path.suffix.lower() in RECORDINGS
            and path.is_file()
            and not path.is_relative_to(self.out)
        )

    def answer_to(self, question: Path) -> Path:
        """Where its answer goes."""
        within = question.relative_to(self.questions)
        return self.out / within.with_name(within.name + self.suffix)


async def ask_folder(
    client: httpx2.AsyncClient, batch: Batch, wishes: Wishes, screen: TextIO
) -> int:
    """Ask what has no answer yet. How many got none; these are listed. Raises NoAnswer."""
    recordings = batch.recordings()
    if not recordings:
        raise NoAnswer(f"{batch.questions}: no recordings in it")
    waiting = [path for path in recordings if not _note_of(batch.answer_to(path)).exists()]
    ready = len(recordings) - len(waiting)
    if ready:
        print(f"{ready} of {len(recordings)} are answered already", file=screen, flush=True)
    failures: list[str] = []
    done = ready

    def tell(question: Path, told: str) -> None:
        nonlocal done
        done += 1
        name = question.relative_to(batch.questions)
        print(f"{done}/{len(recordings)}  {name}: {told}", file=screen, flush=True)

    async with asyncio.TaskGroup() as tasks:
        for _ in range(min(batch.at_once, len(waiting))):
            tasks.create_task(_work(client, batch, wishes, waiting, tell, failures))
    answered = len(recordings) - len(failures)
    print(f"{answered} of {len(recordings)} answered in {batch.out}", file=screen)
    for failure in failures:
        print(f"failed: {failure}", file=screen)
    return len(failures)


async def _work(
    client: httpx2.AsyncClient,
    batch: Batch,
    wishes: Wishes,
    waiting: list[Path],
    tell: Callable[[Path, str], None],
    failures: list[str],
) -> None:
    """Answer what waits until nothing does."""
    while waiting:
        question = waiting.pop(0)
        out = batch.answer_to(question)
        try:
            out.parent.mkdir(parents=True, exist_ok=True)
            answer = await ask(client, question, out, wishes)
            _note(out, question, answer)
        except (NoAnswer, OSError) as error:
            failures.append(f"{question}: {error}")
            tell(question, f"failed: {error}")
        else:
            tell(question, f"{answer.transcript} → {answer.reply}")


def _note(out: Path, question: Path, answer: Answer) -> None:
    told = {"question": str(question), **asdict(answer)}
    _note_of(out).write_text(json.dumps(told, ensure_ascii=False, indent=1) + "\n")


def _note_of(out: Path) -> Path:
    return out.with_suffix(".json")
