"""How a line on the console looks: an aligned word and its text, coloured on a terminal.

Not here: what is said (`report`, `noop`). Only the standard library is imported, and little of it.
"""

from __future__ import annotations

import os
import sys
from typing import IO, Any

LEVELS = ("debug", "info", "warning", "error")  # of lines, from the chattiest
SKIPS_SHOWN = 100  # above this they are summed up

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


def program() -> str:
    """The program that was typed, `doit` or `mediabuild`: hints name it, so that they can be typed."""
    name = os.path.basename(sys.argv[0])
    return name if name in ("doit", "mediabuild") else "mediabuild"


def typed(hint: str) -> str:
    """A hint with the program that was typed: hints are written for `doit`."""
    if program() == "doit" or "doit" not in hint:
        return hint
    words = hint.split(" ")
    return " ".join(program() + word[4:] if word in ("doit", "doit,") else word for word in words)


def colour_wanted(stream: IO[Any]) -> bool:
    """Colour on a terminal only, and never with `NO_COLOR` (no-color.org)."""
    return not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb" and stream.isatty()


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
    """A line of the console, without its end."""
    aligned = f"{word:<7}"
    if colour and word in COLOURS:
        aligned = f"\x1b[{COLOURS[word]}m{aligned}\x1b[0m"
    return f"{aligned} {text}"
