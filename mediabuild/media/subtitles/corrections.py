"""A person's text for a recording: `corrections/JOB.json`, `.srt` or `.vtt`.

JSON is `transcript.json` or less of it: segments of `start_s`, `end_s` and `text`.

Times are on the source's clock, so that a file made for the whole recording fits a clip of it. A file made
for a clip says where that starts: `clip_start_s` in JSON (as every `transcript.json` does), a line
`NOTE clip_start_s: 90` in the others. `language` is said in the same two ways, or in WebVTT's `Language: es`.

Not here: how SRT and WebVTT are read (`subtitle_reading`), and when each word is spoken (the `align` stage).
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from pathlib import Path

import msgspec

from mediabuild.errors import StageError
from mediabuild.media import formats
from mediabuild.media.languages import language_of, standard
from mediabuild.media.subtitles.subtitle_reading import read_cues
from mediabuild.media.textfiles import check_characters, read_text

NAMED = 3  # so many cues are named in a warning


class CorrectedSegment(msgspec.Struct):
    """What a person says is spoken, and when; seconds as the file counts them."""

    start_s: float
    end_s: float
    text: str


class Correction(msgspec.Struct):
    """A person's text; `language` is None where the file doesn't say one. Other fields are ignored.

    `clip_start_s` is where the file's times start on the source's clock; `faults` names what was left out of it.
    """

    segments: list[CorrectedSegment]
    language: str | None = None
    clip_start_s: float = 0.0
    faults: list[str] = []


def read_correction(path: Path, name: str = "") -> Correction:
    """Read a person's text, its segments in order of time.

    Args:
        name: what messages call it, with its folder: a file has the recording's own name. If empty, the file's.

    Raises:
        StageError: the file can't be understood; names the line, or the place in the JSON.
    """
    name = name or path.name
    text = read_text(path, name)
    suffix = path.suffix.lower()
    correction = _read_json(name, text) if suffix == ".json" else _from_cues(name, text, suffix == ".vtt")
    if not math.isfinite(correction.clip_start_s):
        raise StageError(f"{name}: clip_start_s is {correction.clip_start_s}; expected seconds")
    if correction.language is not None:
        said = correction.language
        correction.language = standard(said)
        if correction.language is None and said != "und":
            raise StageError(f"{name}: language {said!r} is no language tag; expected one such as 'en' or 'es-419'")
    correction.segments.sort(key=lambda segment: segment.start_s)
    return correction


def corrected(
    transcript: formats.Transcript, correction: Correction, clip: tuple[float, float], recording_end_s: float
) -> tuple[formats.Transcript, list[str]]:
    """A person's text in a transcript's place, and what to warn of.

    Args:
        transcript: what was heard. correction: as it was read.
        clip, recording_end_s: as `fitted` takes them.
    """
    kept, warnings = fitted(correction, clip, recording_end_s)
    language, source = transcript.language, transcript.language_source
    said = " ".join(part.text for part in kept)
    if correction.language:
        language, source = correction.language, "param"
    elif language == "und" and said.strip():  # nothing was heard, so nobody has told the language
        language, probability = language_of(said)
        source = "detected"
        warnings.append(
            f"no speech was found in which to hear the language; by its letters ({probability:.0%}) it is {language!r};"
            f' where it isn\'t, say so: a line  NOTE language: TAG  in subtitles, "language": "TAG" in JSON'
        )
    segments = [
        formats.Segment(0, part.start_s, part.end_s, " ".join(part.text.split())) for part in kept if part.text.strip()
    ]
    return formats.Transcript(language, source, segments), [*correction.faults, *warnings]


def fitted(
    correction: Correction, clip: tuple[float, float], recording_end_s: float
) -> tuple[list[CorrectedSegment], list[str]]:
    """The segments that lie in the clip, on its clock, and what to warn of.

    Args:
        correction: as it was read.
        clip: its start and end on the source's clock, in seconds.
        recording_end_s: where the recording ends on that clock; what lies behind is a mistake, while what lies
            outside of the clip only is not.
    """
    start_s, end_s = clip
    kept: list[CorrectedSegment] = []
    lost: list[str] = []
    cut: list[str] = []
    for segment in correction.segments:
        first_s, last_s = segment.start_s + correction.clip_start_s, segment.end_s + correction.clip_start_s
        named = f"{segment.text[:30]!r} ({segment.start_s:g} s)"
        if first_s >= recording_end_s or (last_s > recording_end_s + 0.5):
            (lost if first_s >= recording_end_s else cut).append(named)
        # Of words at the clip's edge, the greater part is to be in it; what the recording's end cuts off is a mistake.
        inside_s = min(last_s, end_s, recording_end_s) - max(first_s, start_s)
        if inside_s > 0 and inside_s >= (min(last_s, recording_end_s) - first_s) / 2:
            begins_s, ends_s = round(max(0.0, first_s - start_s), 3), round(min(last_s, end_s) - start_s, 3)
            kept.append(CorrectedSegment(begins_s, ends_s, segment.text))
    warnings = []
    if lost:
        warnings.append(f"after the recording's end ({recording_end_s:.1f} s), left out: {_listed(lost)}")
    if cut:
        warnings.append(f"longer than the recording ({recording_end_s:.1f} s), cut there: {_listed(cut)}")
    if correction.segments and not kept and len(lost) < len(correction.segments):
        warnings.append(
            f"nothing of it lies in the clip ({start_s:g} to {end_s:g} s of the source); if its times count from the"
            f" clip's start, let it say so: a line  NOTE clip_start_s: {start_s:g}  in subtitles, clip_start_s in JSON"
        )
    return kept, warnings


def _listed(named: Sequence[str]) -> str:
    more = len(named) - NAMED
    return ", ".join(named[:NAMED]) + (f" and {more} more" if more > 0 else "")


def _read_json(name: str, text: str) -> Correction:
    raw = text.encode()
    try:
        correction = msgspec.json.decode(raw, type=Correction)
    except msgspec.DecodeError as error:
        offset = re.search(r"\(byte (\d+)\)", str(error))  # of a fault in the syntax; of the shape, it names the field
        line = f":{raw.count(bytes([10]), 0, int(offset[1])) + 1}" if offset else ""
        raise StageError(f"{name}{line}: {error}") from error
    correction.faults = []
    segments = []
    for index, segment in enumerate(correction.segments):
        where = f"{name}: segments[{index}]"
        times = f"it starts at {segment.start_s} s and ends at {segment.end_s} s"
        if not 0 <= segment.start_s <= segment.end_s < math.inf:
            raise StageError(f"{where}: {times}")
        check_characters(" ".join(segment.text.split()), where)
        if segment.start_s == segment.end_s:
            correction.faults.append(f"segments[{index}]: left out: {times}")
        else:
            segments.append(segment)
    correction.segments = segments
    return correction


def _from_cues(name: str, text: str, vtt: bool) -> Correction:
    read = read_cues(name, text, vtt=vtt)
    start = read.stated.get("clip_start_s", "0")
    try:
        start_s = float(start)
    except ValueError as error:
        raise StageError(f"{name}: clip_start_s is {start!r}; expected seconds") from error
    segments = [CorrectedSegment(cue.start_s, cue.end_s, cue.text) for cue in read.cues]
    return Correction(segments, read.stated.get("language"), start_s, read.faults)
