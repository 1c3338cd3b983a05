"""`python -m bench.capacity`: plays everything, and writes the tables of docs/capacity.md.

    python -m bench.capacity            a minute of computing; the words around the tables stay

It reads bench/results/bench.json, serve_config.yaml and every CSV of bench/capacity/loads.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

from bench.capacity.measured import NotMeasured, read
from bench.capacity.replicas import LOADS, ROOT, BadLoad, configured
from bench.capacity.report import begin, end, tables
from bench.report import replaced

DOCUMENT = ROOT / "docs" / "capacity.md"


class NoPlace(ValueError):
    """The page has no marks for a table."""


def filled(document: str, made: Mapping[str, str]) -> str:
    """The page with its tables. Raises NoPlace."""
    for name, table in made.items():
        if begin(name) not in document or end(name) not in document:
            raise NoPlace(f"no marks for the table {name!r}")
        document = replaced(document, table, begin(name), end(name))
    return document


def main(document: Path = DOCUMENT) -> int:
    """0, or 1 with a line that says what is missing."""
    try:
        made = tables(read(), configured(), sorted(LOADS.glob("*.csv")))
        document.write_text(filled(document.read_text(), made))
    except (NotMeasured, BadLoad, NoPlace) as error:
        print(f"capacity: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
