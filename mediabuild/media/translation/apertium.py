"""Translation by apertium: rules, from the distribution's packages.

Sentences go through it in one call, one `<p>` a line, which keeps each to itself. What it must not touch stands in
`<apertium-notrans>`.

Not here: sentences and their pieces (`pieces`), and neural models (`marian`).
"""

from __future__ import annotations

import contextlib
import hashlib
import html
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from mediabuild.errors import StageError
from mediabuild.media.languages import to_container
from mediabuild.media.translation.finishing import finished, marked_up
from mediabuild.media.translation.pieces import Forced, Piece, plain

# Names that apertium leaves alone, put in a term's place before a possessive: a <notrans> followed
# by "'s" comes out as "Elinor Es la madre", "John's mother" as "La madre de John".
STAND_INS = ("John", "Edison", "Nelson", "Newton", "Lincoln")


@dataclass(frozen=True)
class Engine:
    """What translates.

    Args:
        name: for the report. facts: what its work follows from, beside a sentence and its terms.
        make: numbers of sentences → their translations, as bytes.
    """

    name: str
    facts: str
    make: Callable[[list[int]], Iterable[bytes]]


def apertium(source: str, target: str, sources: list[str], parsed: list[list[Piece]]) -> Engine:
    """The engine for a pair of languages.

    Args:
        source, target: tags. sources: the sentences. parsed: the same in pieces.

    Raises:
        StageError: apertium or the pair isn't installed, or it fails.
    """
    program = shutil.which("apertium")
    pair = f"{to_container(source)}-{to_container(target)}"
    english_spanish = pair in ("eng-spa", "spa-eng")
    if program is None:
        hint = "sudo apt-get install apertium" + (" apertium-eng-spa" if english_spanish else "")
        raise StageError("translate: apertium is not installed", hint)
    mode = _mode(_output([program, "-l"]).split(), source, target)
    if mode is None:
        hint = "sudo apt-get install apertium-eng-spa" if english_spanish else "apt-cache search '^apertium-'"
        raise StageError(f"translate: apertium has no pair {pair} ({source} → {target})", hint)
    version = _output([program, "-V"]).split()[-1]

    def make(numbers: list[int]) -> list[bytes]:
        prepared = [_with_stand_ins(parsed[number]) for number in numbers]
        paragraphs = "".join(f"<p>{text}</p>\n" for text, _ in prepared)
        lines = _output([program, "-u", "-f", "html-noent", mode], paragraphs).splitlines()
        if len(lines) != len(numbers):
            raise StageError(f"translate: apertium returned {len(lines)} lines for {len(numbers)} sentences")
        targets = []
        for number, line, (_, stand_ins) in zip(numbers, lines, prepared, strict=True):
            marked = line.strip().removeprefix("<p>").removesuffix("</p>")
            for name, forced in stand_ins.items():
                marked = re.sub(rf"\b{name}\b", marked_up(forced.target).replace("\\", r"\\"), marked)
            targets.append(finished(marked, parsed[number], sources[number], target).encode())
        return targets

    return Engine(f"apertium {version} {mode}", f"apertium {version} {mode} {_pair_digest(program, mode)}", make)


def _pair_digest(program: str, mode: str) -> str:
    """A digest of a pair's dictionaries and rules: the files that apertium's `modes/NAME.mode` names.

    They come in packages of their own. Empty where they aren't found.
    """
    listing = Path(os.path.realpath(program)).parents[1] / "share/apertium/modes" / f"{mode}.mode"
    digest = hashlib.sha256()
    with contextlib.suppress(OSError):
        for name in re.findall(r"'(/[^']+)'", listing.read_text()):
            digest.update(Path(name).read_bytes())
    return digest.hexdigest()


def _output(command: list[str], text: str = "") -> str:
    # In the C locale apertium would read bytes instead of letters.
    environment = {**os.environ, "LC_ALL": "C.UTF-8"}
    done = subprocess.run(command, input=text.encode(), capture_output=True, check=False, env=environment)
    if done.returncode != 0:
        tail = done.stderr.decode(errors="replace").strip()[-500:]
        raise StageError(f"translate: {' '.join(command)} failed (exit {done.returncode})\n    {tail}")
    return done.stdout.decode()


def _mode(installed: Iterable[str], source: str, target: str) -> str | None:
    """apertium's name for a pair: three letters or two, with a region where there is one (`spa-eng_US`)."""
    installed = set(installed)
    region = target.partition("-")[2]
    long, short = (
        (to_container(source), to_container(target)),
        (source.split("-", maxsplit=1)[0], target.split("-", maxsplit=1)[0]),
    )
    for left, right in (long, short):
        for name in (f"{left}-{right}_{region}", f"{left}-{right}"):
            if name in installed:
                return name
    return None


def _with_stand_ins(pieces: Sequence[Piece]) -> tuple[str, dict[str, Forced]]:
    """A sentence as apertium reads it, and which names in it stand for which possessive terms."""
    spoken = " ".join(plain(piece) for piece in pieces)
    free = [name for name in STAND_INS if name not in spoken]
    stand_ins: dict[str, Forced] = {}
    text = ""
    for piece in pieces:
        if isinstance(piece, str) or (isinstance(piece, Forced) and piece.free):
            text += html.escape(plain(piece), quote=False)
        elif isinstance(piece, Forced) and piece.possessive and len(stand_ins) < len(free):
            name = free[len(stand_ins)]
            stand_ins[name] = piece
            text += f"{name}'s"
        else:
            text += marked_up(piece.target if isinstance(piece, Forced) else piece.text)
    return text, stand_ins
