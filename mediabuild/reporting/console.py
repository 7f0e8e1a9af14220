"""How a line on the console looks: an aligned word and its text, coloured on a terminal.

Not here: what is said (`report`, `noop`). Only the standard library is imported, and little of it.
"""

from __future__ import annotations

import codecs
import contextlib
import io
import os
import re
import sys

from mediabuild.machine.visible import visible

TYPE_CHECKING = False  # not from typing, which takes a while: the no-op reads this module
if TYPE_CHECKING:
    from typing import IO, Any

LEVELS = ("debug", "info", "warning", "error")  # of lines, from the chattiest
SKIPS_SHOWN = 100  # above this they are summed up

PLAIN = {"→": "->", "…": "...", "×": "x", "–": "-", "µ": "u"}

COLOURS = {
    "SKIPPED": "2",
    "RUN": "36",
    "DONE": "32",
    "RESTORED": "32",
    "WARNING": "33",
    "KEPT": "33",
    "FAILED": "31",
    "BLOCKED": "31",
}


IN_NO_FILE = {  # what hints say of pipeline.toml → without one: what is typed stays by itself
    r"   \(to keep it: .*\)$": "",
    r'^(\w+) = "?([^" ]+)"? under \[stages\.(\w+)\](, or .*)?$': r"doit \3.\1=\2",
    r"\[jobs\.\S.*\] params\.(\w+) = \{ (\w+) = (\S+) \} in pipeline\.toml": r"doit \1.\2=\3",
    r"^jobs_dir = .* under \[pipeline\], a folder": "copy the recording into a folder",
}

_recordings: list[str] = []  # that were named without a project: no command works without them


def name_recordings(files: list[str]) -> None:
    """Recordings that were typed, and are no project's: hints name them, too."""
    _recordings.extend(files)


def program(recording: str = "") -> str:
    """The program that was typed, `doit` or `mediabuild`: hints name it, so that they can be typed.

    Args:
        recording: the name of the one that it is about, of those that were typed; if empty, all are meant.
    """
    import shlex  # only here: the no-op reads this module

    name = os.path.basename(sys.argv[0])
    about = [file for file in _recordings if os.path.basename(file) == os.path.basename(recording)] or _recordings
    words = [name if name in ("doit", "mediabuild") else "mediabuild", *map(shlex.quote, about)]
    return " ".join(words)


def typed(hint: str, recording: str = "") -> str:
    """A hint with the program that was typed, and the recording it is about: hints are written for `doit`."""
    for written, said in IN_NO_FILE.items() if _recordings else ():
        hint = re.sub(written, said, hint)
    named = program(recording)
    if named == "doit" or "doit" not in hint:
        return hint
    words = hint.split(" ")
    return " ".join(named + word[4:] if word in ("doit", "doit,") else word for word in words)


def colour_wanted(stream: IO[Any]) -> bool:
    """Colour on a terminal only, and never with `NO_COLOR` (no-color.org)."""
    return not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb" and stream.isatty()


def open_missing() -> None:
    """Give a program that was started without stdin, stdout or stderr (`>&-`) ones that hold and say nothing.

    Else the next file that is opened would get their place, and what is printed would land in it.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # it gets the lowest number that is free
    if sys.stdout is None:
        sys.stdout = open(1, "w", closefd=False)
    if sys.stderr is None:
        sys.stderr = open(2, "w", closefd=False)
    codecs.register_error("plain", _plain)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="plain")


def _plain(error: UnicodeError) -> tuple[str | bytes, int]:
    """For a console that can't show a sign: our own in plain letters, of others the number."""
    if isinstance(error, UnicodeEncodeError) and (plain := PLAIN.get(error.object[error.start])):
        return plain, error.start + 1
    if isinstance(error, UnicodeEncodeError) and 0xDC80 <= ord(error.object[error.start]) <= 0xDCFF:
        return f"\\x{ord(error.object[error.start]) - 0xDC00:02x}", error.start + 1  # a byte of a name that is no text
    return codecs.backslashreplace_errors(error)


def give_up(stream: IO[Any], error: Exception) -> None:
    """From here on, what is written to this stream is lost; that is said on stderr, unless its reader just went away.

    Args:
        stream: a console or a file that can't be written: a full disk, a closed pipe.
    """
    with contextlib.suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())  # what is buffered goes there at the end
        os.close(nowhere)
    if not isinstance(error, BrokenPipeError) and stream is not sys.stderr:
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.write(f"WARNING: the console can't be written: {error}; it goes on without\n")
            sys.stderr.flush()


def show(text: str) -> None:
    """Print a text whose reader may go away before its end (`mediabuild --help | head`)."""
    try:
        print(text)
        sys.stdout.flush()
    except OSError as error:
        give_up(sys.stdout, error)


class Steady:
    """A stream for a run's lines: where it can't be written, the run goes on without.

    Args:
        stream: the console, or a file.
    """

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream
        self._lost = False

    def write(self, text: str) -> int:
        """Write and flush."""
        if not self._lost:
            try:
                self._stream.write(text)
                self._stream.flush()
            except (OSError, ValueError) as error:
                self._lost = True
                give_up(self._stream, error)
        return len(text)

    def flush(self) -> None:
        """Nothing: all that is written is flushed."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def duration(seconds: float) -> str:
    """`4.1 s`, `12 min`, `3 h 05 min`."""
    if seconds < 120:
        return f"{seconds:.1f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60:02} min"


def ending(counts: str, seconds: float, spared_s: float) -> str:
    """A run's last line: what was done, how long that took, and how long what wasn't done again had taken."""
    spared = f"; {duration(spared_s)} of work spared" if spared_s >= 0.1 else ""
    return f"{counts} in {duration(seconds)}{spared}"


def shown(word: str, text: str, *, colour: bool) -> str:
    """A line of the console, without its end; of a text with several, the others stand behind a bar.

    So nothing that a stage says can be taken for what mediabuild says.
    """
    text, *more = visible(text).split("\n")
    text = "\n".join([text, *(f"{'':<7} | {line.removeprefix('    ')}" for line in more)])
    aligned = f"{word:<7}"
    if colour and word in COLOURS:
        aligned = f"\x1b[{COLOURS[word]}m{aligned}\x1b[0m"
    return f"{aligned} {text}"
