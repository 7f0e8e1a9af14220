"""The files that the media stages hand to each other: probe, segments, transcript, translation.

Times are seconds from the clip's start, as floats. Languages are BCP 47 tags (`en`, `es-419`).
Equal content is equal bytes: fields in the order of declaration, two spaces of indent, UTF-8, a
newline at the end. A change to one of these structs is a change to every stage that writes it:
raise those stages' versions.

Not here: subtitle formats (the `subtitles` stage) and glossary tables (the `glossary` stage).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal, TypeVar

import msgspec

from mediabuild.errors import StageError

SCHEMA_VERSION = 1


class AudioTrack(msgspec.Struct):
    """One audio track of a recording; `index` counts audio tracks from 0, `start_s` is on the source's clock."""

    index: int
    codec: str
    channels: int
    rate_hz: int
    start_s: float
    language: str | None = None
    default: bool = False


class VideoTrack(msgspec.Struct):
    """One picture track (never a cover image).

    `width_px` and `height_px` are those of the stored pictures; `shown_width_px` and `shown_height_px` those that
    a player shows: pixels that aren't square are made so, and the picture is turned by `rotation_deg`
    (counterclockwise, -180 to 180). `frame_rate` is the average, in frames a second; None where there is one still
    picture, or nothing tells.
    """

    index: int
    codec: str
    width_px: int
    height_px: int
    start_s: float
    frame_rate: float | None = None
    variable_frame_rate: bool = False
    language: str | None = None
    rotation_deg: int = 0
    shown_width_px: int = 0
    shown_height_px: int = 0


class Probe(msgspec.Struct):
    """`probe.json`: what the recording is, and which part of it the pipeline works on.

    `clip_start_s` and `clip_end_s` are on the source's clock; everything else in the pipeline
    counts from `clip_start_s`. `audio_track` is the index of the track that was cut out, and
    `language` its tag, None where it has none. `warnings` are what the console said of it, too: a file
    that is cut off, a clock that jumps, silence.
    """

    format: str
    duration_s: float
    clip_start_s: float
    clip_end_s: float
    audio_track: int
    language: str | None
    audio: list[AudioTrack]
    video: list[VideoTrack]
    schema_version: int = SCHEMA_VERSION
    warnings: list[str] = []


class Speech(msgspec.Struct):
    """`segments.json`: stretches of speech `[start_s, end_s]`, ordered, not overlapping."""

    segments: list[tuple[float, float]]
    schema_version: int = SCHEMA_VERSION


class Word(msgspec.Struct):
    """One word as it is shown, punctuation included; `aligned` is False where its times are guessed.

    `space_after` is False where the text goes on without a space (`words`).
    """

    text: str
    start_s: float
    end_s: float
    aligned: bool = True
    space_after: bool = True


class Segment(msgspec.Struct):
    """A stretch of transcript; `avg_logprob` is None for text that a person wrote."""

    id: int
    start_s: float
    end_s: float
    text: str
    avg_logprob: float | None = None
    words: list[Word] = []
    flags: list[str] = []


class Transcript(msgspec.Struct):
    """`transcript.json`. `words` are empty until `align` has run.

    `clip_start_s` is where the clip, from which times count, starts on the source's clock. `alignment` says by what
    the words were aligned: `pocketsphinx 5.1.1 en-us, espeak-ng 1.51`.
    """

    language: str
    language_source: Literal["param", "track", "detected", "assumed"]
    segments: list[Segment]
    clip_start_s: float = 0.0
    alignment: str | None = None
    schema_version: int = SCHEMA_VERSION


class Sentence(msgspec.Struct):
    """A sentence and its translation; words are counted over the whole transcript, from 0, both inclusive."""

    id: int
    source: str
    target: str
    first_word: int
    last_word: int


class Translation(msgspec.Struct):
    """`translation.json`: `language` is the target's."""

    language: str
    sentences: list[Sentence]
    schema_version: int = SCHEMA_VERSION


Document = TypeVar("Document", bound=msgspec.Struct)


def read(path: Path, kind: type[Document]) -> Document:
    """Read one of the documents above.

    Raises:
        StageError: the file is missing, is no JSON, or has another shape; names the file and the field.
    """
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except (OSError, msgspec.DecodeError) as error:
        raise StageError(f"{path.name}: {error}") from error


def read_optional(files: Mapping[str, Path], kind: type[Document]) -> Document | None:
    """Read an input that may be absent, as `ctx.inputs(NAME)` gives it; None where it is."""
    return read(next(iter(files.values())), kind) if files else None


def clip_start_s(files: Mapping[str, Path]) -> float:
    """Where the clip starts on the source's clock, in seconds, from the optional input `probe`; 0 without one."""
    probe = read_optional(files, Probe)
    return probe.clip_start_s if probe else 0.0


def write(path: Path, document: msgspec.Struct) -> None:
    """Write one of the documents above, so that equal content is equal bytes."""
    path.write_bytes(msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n")
