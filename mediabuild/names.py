"""Names that people type and names that go to disk: nearest spelling, percent-encoding, braces.

Not here: which names exist; the callers know.
"""

from __future__ import annotations

import difflib
import itertools
import re
from collections.abc import Iterable

RESERVED = re.compile(r"[%:=*\x00-\x1f\x7f]")
NAMES_SHOWN = 20
WILDCARDS = re.compile(r"[*?\[{]")


def nearest(name: str, known: Iterable[str]) -> str:
    """`did you mean 'demux'?`, or the list of what there is (the first of them), or nothing."""
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    if close:
        return f"did you mean {close[0]!r}?"
    shown = ", ".join(names[:NAMES_SHOWN]) + (" …" if len(names) > NAMES_SHOWN else "")
    return f"there is: {shown}" if names else ""


def suffixes(path: str) -> str:
    """A file's name from its first dot on: `subs/subtitles.es.srt` → `.es.srt`; `.NAME` where it has none."""
    name = path.rpartition("/")[2]
    return name[name.index(".") :] if "." in name else f".{name}"


def encode_name(text: str) -> str:
    """A job's or value's name for doit and for the disk: `% : = *` and control characters become `%XX`.

    The mapping is one to one, since `%` itself is encoded.
    """
    return RESERVED.sub(lambda match: f"%{ord(match[0]):02X}", text)


def expand_braces(pattern: str) -> list[str]:
    """`a.{mp4,mkv}` → `a.mp4`, `a.mkv`; several sets multiply, nothing nests, `{job}` is no set."""
    parts = re.split(r"\{([^{}]*,[^{}]*)\}", pattern)
    choices = [part.split(",") if index % 2 else [part] for index, part in enumerate(parts)]
    return ["".join(chosen) for chosen in itertools.product(*choices)]


def fixed_part(pattern: str) -> str:
    """The leading folders of a glob that hold no wildcard: `media/**/*.mp4` → `media`."""
    folders = pattern.split("/")[:-1]
    fixed = itertools.takewhile(lambda folder: not WILDCARDS.search(folder), folders)
    return "/".join(fixed)
