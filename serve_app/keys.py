"""`python -m serve_app.keys new NAME`: makes an API key, shows it once and keeps its hash."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from serve_app.access.key_ring import new_key
from serve_app.access.settings import KEYS_FILE, KeyLimits

MOST_DAYS: Final = 36_500


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line. The exit status is 1, after one line, where no key was made."""
    options = _options(arguments)
    if not options.file:
        return _fail(f"name the file: --file keys.jsonl, or {KEYS_FILE}")
    if options.days is not None and options.days not in range(1, MOST_DAYS + 1):
        return _fail(f"--days is from 1 to {MOST_DAYS}")
    now = datetime.now(UTC).replace(microsecond=0)
    expires = None if options.days is None else now + timedelta(days=options.days)
    try:
        limits = KeyLimits(
            calls=options.calls,
            calls_per_minute=options.calls_per_minute,
            requests_per_minute=options.requests_per_minute,
        )
        shown, line = new_key(options.name, options.owner or options.name, expires, limits)
        _append(Path(options.file), line)
    except ValidationError as error:
        first = error.errors()[0]
        return _fail(f"{'.'.join(map(str, first['loc']))}: {first['msg']}")
    except OSError as error:
        return _fail(f"{options.file}: {error.strerror}")
    print(shown)
    print(f"kept as a hash in {options.file}: the key itself is shown this once", file=sys.stderr)
    return 0


def _append(path: Path, line: str) -> None:
    """Add a line in one write, so that no reader sees half of it; for its owner's eyes alone."""
    descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        size = os.fstat(descriptor).st_size
        whole_lines = size == 0 or os.pread(descriptor, 1, size - 1) == b"\n"
        os.write(descriptor, (line if whole_lines else f"\n{line}").encode())
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _fail(message: str) -> int:
    print(f"keys: {message}", file=sys.stderr)
    return 1


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="keys", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="new")
    new = commands.add_parser("new", help="make a key")
    add = new.add_argument
    add("name", help="what it is for")
    add("--owner", help="whose it is; by default its name")
    add("--days", type=int, help="until it expires")
    add("--calls", type=int, help="calls at once")
    add("--calls-per-minute", type=int)
    add("--requests-per-minute", type=int)
    add("--file", default=os.environ.get(KEYS_FILE), help=f"the key file; by default {KEYS_FILE}")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
