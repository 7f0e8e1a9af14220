"""What a new file says of itself: metadata, chapters, the timecode.

ffmpeg carries most metadata over by itself. Here is what it drops or invents.

Not here: the languages and names of tracks (the `mux` stage).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from fractions import Fraction
from typing import Any

# Of the mp4 file that was read, not of the recording; Matroska would show them as tags.
OF_THE_FILE = ("major_brand", "minor_version", "compatible_brands")
# Which program wrote the file that was read.
PROGRAM = ("encoder", "software", "encoding_tool", "tsse", "tenc", "writing_frontend")
OF_THE_TRACK = ("handler_name", "vendor_id", "name")
# What the list of tags holds that most players read in an mp4 (movenc.c: mov_write_ilst_tag, mov_write_udta_tag).
MP4_TAGS = frozenset(
    """
    title artist album_artist composer album date encoder comment genre copyright grouping lyrics description
    synopsis show episode_id network keywords episode_sort season_number media_type hd_video gapless_playback
    compilation rating track disc tmpo location location-eng creation_time timecode
    """.split()  # noqa: SIM905 (one word a tag)
)
CAMERA = re.compile(r"com\.(apple\.quicktime|android)\.|(make|model)$")
TIMECODE = re.compile(r"(\d\d):(\d\d):(\d\d)([:;.])(\d\d)")


def file_tags(tags: Mapping[str, str], suffix: str) -> list[str]:
    """ffmpeg's options for the metadata of the whole file.

    `creation_time` is dropped by ffmpeg unless it is told. Camera, date and place as phones write them need
    an mp4's other list of tags; where there are none the usual list is better, which more players read.
    """
    args = []
    if tags.get("creation_time"):
        args += ["-metadata", f"creation_time={tags['creation_time']}"]
    if suffix == "mkv":
        return args + [part for name in tags if name.lower() in OF_THE_FILE for part in ("-metadata", f"{name}=")]
    if has_camera(tags):
        args += ["-movflags", "+use_metadata_tags"]
    return args


def has_camera(tags: Mapping[str, str]) -> bool:
    """Whether a recording says which camera made it."""
    return any(CAMERA.match(name) for name in tags)


def lost_tags(tags: Mapping[str, str], suffix: str) -> list[str]:
    """The names of tags that the new file won't have."""
    if suffix == "mkv" or has_camera(tags):
        return []
    return sorted(name for name in tags if name.lower() not in MP4_TAGS.union(OF_THE_FILE, PROGRAM))


def track_tags(tags: Mapping[str, str], suffix: str) -> list[tuple[str, str]]:
    """ffmpeg's options for the metadata of one copied track; an mp4's `name` is called `title` everywhere else."""
    options = []
    if tags.get("name") and not tags.get("title"):
        options.append(("metadata:s", f"title={tags['name']}"))
    if suffix == "mkv":
        options += [("metadata:s", f"{name}=") for name in tags if name.lower() in OF_THE_TRACK]
    return options


def chapters_text(chapters: Iterable[Mapping[str, Any]], zero_s: float, start_s: float, end_s: float) -> str:
    """The chapters of a clip as an FFMETADATA file: those that it touches, cut at its ends.

    Args:
        chapters: as PyAV has them, on the container's clock, whose zero lies at `zero_s` of the source's.
        start_s, end_s: the clip, in seconds on the source's clock.

    https://ffmpeg.org/ffmpeg-formats.html#Metadata-2
    """
    lines = [";FFMETADATA1"]
    for chapter in chapters:
        begin, end = (round(1000 * (float(chapter[edge] * chapter["time_base"]) - zero_s)) for edge in ("start", "end"))
        first, last = max(begin, round(1000 * start_s)), min(end, round(1000 * end_s))
        if first < last:
            shift = round(1000 * start_s)
            lines += ["[CHAPTER]", "TIMEBASE=1/1000", f"START={first - shift}", f"END={last - shift}"]
            lines += [f"{_escaped(key)}={_escaped(value)}" for key, value in chapter["metadata"].items()]
    return "\n".join(lines) + "\n"


def _escaped(text: str) -> str:
    return re.sub(r"([=;#\\\n])", r"\\\1", text)


def moved_timecode(timecode: str, frames: int, rate: Fraction) -> str | None:
    """A timecode so many frames later; None where it is none.

    With `;` before the frames it drops numbers, two a minute at 30 and four at 60 frames a second, but not in every
    tenth minute (SMPTE ST 12-1).
    """
    found = TIMECODE.fullmatch(timecode.strip())
    if found is None:
        return None
    hours, minutes, seconds, number = (int(found[group]) for group in (1, 2, 3, 5))
    per_second = round(rate)
    dropped = round(per_second / 15) if found[4] != ":" else 0
    total_minutes = 60 * hours + minutes
    count = (60 * total_minutes + seconds) * per_second + number - dropped * (total_minutes - total_minutes // 10)
    count += frames
    if dropped:
        tens, rest = divmod(count, 600 * per_second - 9 * dropped)
        minute = max(0, rest - dropped) // (60 * per_second - dropped)
        count += dropped * (9 * tens + minute)
    seconds, number = divmod(count, per_second)
    return f"{seconds // 3600 % 24:02}:{seconds // 60 % 60:02}:{seconds % 60:02}{found[4]}{number:02}"
