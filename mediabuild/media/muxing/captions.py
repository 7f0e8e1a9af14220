"""The pipeline's subtitles as tracks of a new file: in which order, what they are called, which is shown.

Not here: the subtitles that a recording has already (`own_subtitles`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mediabuild.errors import StageError
from mediabuild.media.formats import Transcript
from mediabuild.media.languages import name_of, same_language

# A cue with a text: where nobody speaks there may be a file with an empty one.
WITH_TEXT = re.compile(r"-->[^\n]*\n[^\n]*\S")


@dataclass(frozen=True)
class Subtitles:
    """The pipeline's subtitles in one language; `title` is what a player calls them."""

    language: str
    title: str
    path: Path


def captions(
    files: Mapping[str, Path],
    transcript: Transcript | None,
    spoken: str | None,
    *,
    first: str | None,
    burnt: str | None,
    stage: str = "mux",
) -> list[Subtitles]:
    """Those that have cues; first the language that is to be shown, or else what is spoken.

    Args:
        files: SubRip files, named `*.LANGUAGE.srt`.
        transcript: tells what is spoken, and whether a person wrote it. spoken: where there is no transcript.
        first, burnt: the languages that `default_language` and `burn_in` name.
        stage: what the pipeline calls the stage, for hints.

    Raises:
        StageError: a file has another name, or there are no subtitles in a language that is named.
    """
    found = []
    for name, path in files.items():
        tag = re.search(r"\.([A-Za-z0-9-]+)\.srt$", path.name)
        if tag is None:
            raise StageError(f"mux: {name}: its name should end in .LANGUAGE.srt", 'subtitles = "subtitles.srt"')
        found.append(Subtitles(tag[1], _title(tag[1], transcript), path.absolute()))
    _expect(first, found, f"{stage}.default_language")
    _expect(burnt, found, f"{stage}.burn_in")
    shown = first or (transcript.language if transcript else spoken) or ""
    if not any(each.language == shown for each in found):
        shown = next((each.language for each in found if same_language(each.language, shown)), "")
    found.sort(key=lambda each: each.language != shown)
    return [each for each in found if _says_something(each.path)]


def _says_something(srt: Path) -> bool:
    """Whether a cue of the file has text: a track that shows none would only be in the way."""
    return bool(WITH_TEXT.search(srt.read_text(encoding="utf-8")))


def _title(language: str, transcript: Transcript | None) -> str:
    """What a player calls subtitles: `English (auto)`, `English` where a person wrote them, `Español (machine)`."""
    name = name_of(language)
    if transcript is None:
        return name
    made = "machine"
    if language == transcript.language:
        by_hand = all(segment.avg_logprob is None for segment in transcript.segments)
        made = "" if by_hand else "auto"
    inner = name.removesuffix(")") + ", " if name.endswith(")") else f"{name} ("
    return f"{inner}{made})" if made else name


def _expect(language: str | None, subtitles: list[Subtitles], param: str) -> None:
    """Raise a StageError where there are subtitles, but none in a language that a param names."""
    there = [shown.language for shown in subtitles]
    if there and language is not None and language not in there:
        raise StageError(
            f"{param} = {language!r}: there are no such subtitles; there are: {', '.join(there)}",
            f"doit {param}={there[0]}",
        )
