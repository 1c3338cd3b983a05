"""`python -m serve_app.archive`: lists, reads and erases recordings where they lie.

list [--owner NAME]      one JSON object a recording, as its transcript is
wav FILE OUT.wav         its sound: the caller left, the agent right
erase --owner NAME       removes an owner's; those of no owner: --owner ''
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from serve_app.archive import playback
from serve_app.archive.sealed import Unreadable
from serve_app.archive.settings import RecordingSettings, sealing_key
from serve_app.archive.shelf import Shelf
from serve_app.errors import ConfigError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line. The exit status is 1, after one line, where something went wrong."""
    options = _options(arguments)
    settings = RecordingSettings(directory=options.directory, key_file=options.key_file)
    try:
        key = sealing_key(settings)
        shelf = Shelf(settings.directory, key)
        match options.command:
            case "list":
                return _list(shelf, key, options.owner)
            case "wav":
                _wav(Path(options.file), key, Path(options.out))
            case _:
                print(f"{shelf.erase(options.owner)} recordings erased")
    except (ConfigError, Unreadable, OSError) as error:
        print(f"archive: {error}", file=sys.stderr)
        return 1
    return 0


def _list(shelf: Shelf, key: bytes, owner: str | None) -> int:
    failed = 0
    for path in sorted(shelf.all()) if owner is None else shelf.of(owner):
        try:
            told = playback.read(path, key).told()
        except Unreadable as error:
            print(f"archive: {path}: {error}", file=sys.stderr)
            failed = 1
            continue
        print(json.dumps({"file": str(path), **told}, ensure_ascii=False))
    return failed


def _wav(path: Path, key: bytes, out: Path) -> None:
    moments = playback.read(path, key).moments
    # Not for everybody's eyes, wherever it is put.
    out.touch(mode=0o600)
    with out.open("wb") as file:
        file.writelines(playback.wav(path, key, moments))


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    usual = RecordingSettings()
    parser = argparse.ArgumentParser(
        prog="archive", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--directory", default=usual.directory, help="recording.directory")
    parser.add_argument("--key-file", help=f"recording.key_file; by default {usual.key_env}")
    commands = parser.add_subparsers(required=True, dest="command")
    commands.add_parser("list", help="all, or one owner's").add_argument("--owner")
    wav = commands.add_parser("wav", help="one recording's sound")
    wav.add_argument("file")
    wav.add_argument("out")
    commands.add_parser("erase", help="one owner's").add_argument("--owner", required=True)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
