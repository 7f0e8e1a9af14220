"""The recording again, with the subtitles of every language in it.

Without a clip nothing is encoded again: picture, sound, cover, chapters and the recording's own
subtitles are copied. A clip is encoded again, so that its first picture is the one that is shown
at the clip's start; a copy could only start at a keyframe. Sound without a picture becomes an
`.m4a` (or `.mp4`), whose subtitles most video players show.

Not here: how cues are cut and timed (`subtitles`); their times count from the clip's start.
"""

from __future__ import annotations

import re
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from mediabuild.errors import StageError
from mediabuild.ffmpeg import BITEXACT, run_ffmpeg
from mediabuild.formats import Probe, read
from mediabuild.languages import to_container
from mediabuild.stage import Context, stage

# What mp4 holds and common players play from it; anything else goes to Matroska.
MP4_PICTURE = {"h264", "hevc", "av1", "vp9", "mpeg4", "mpeg2video", "mpeg1video", "mjpeg"}
MP4_SOUND = {"aac", "alac", "mp3", "mp2", "ac3", "eac3", "opus", "flac"}
M4A_SOUND = {"aac", "alac"}
TEXT_SUBTITLES = {"mov_text", "subrip", "ass", "webvtt", "text"}
# Fixed, because the number of threads changes x264's bits.
X264_THREADS = "4"
# AAC-LC is transparent for most material from here up; twice that for stereo.
AAC_BITS_PER_CHANNEL = 96_000
# A frame's time is a rounded fraction: look for it from a little earlier on, less than any frame lasts.
EARLIER_S = 0.001
# How far before the clip the search for the frame shown at its start begins, where there is no index.
SEARCH_S = 10.0
NO_FONT = re.compile(r"fontselect: (failed|unable)|no usable font", re.IGNORECASE)


class MuxParams(msgspec.Struct, forbid_unknown_fields=True):
    """The container, which subtitles are shown first or burnt in, and how a clip's picture is encoded."""

    container: Annotated[
        Literal["auto", "mp4", "mkv"],
        msgspec.Meta(description="auto: mkv from Matroska or for what mp4 can't hold, otherwise mp4"),
    ] = "auto"
    default_language: Annotated[str, msgspec.Meta(description="shown unless the viewer chooses")] | None = None
    burn_in: Annotated[str, msgspec.Meta(description="the language to paint into the picture")] | None = None
    clip: Annotated[
        Literal["encode", "copy"],
        msgspec.Meta(description="copy: quick, but starts at the keyframe before the clip; not with burn_in"),
    ] = "encode"
    crf: Annotated[int, msgspec.Meta(ge=0, le=51, description="x264's quality, less is better")] = 20
    preset: Annotated[
        Literal["ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow"],
        msgspec.Meta(description="x264's speed, slower is smaller"),
    ] = "veryfast"


@dataclass(frozen=True)
class Track:
    """One track of the recording; `index` counts all its tracks, `picture` is the cover's own bytes."""

    index: int
    kind: str
    codec: str
    channels: int = 0
    cover: bytes | None = None


@dataclass(frozen=True)
class Clip:
    """The part of the recording that is kept, in seconds on its clock.

    Args:
        start_s, end_s: the clip.
        seek_s: where decoding has to start: at the frame that is shown at `start_s`.
        keyframe_s: where a copy starts.
    """

    start_s: float
    end_s: float
    seek_s: float
    keyframe_s: float


@dataclass
class Plan:
    """An ffmpeg command in the making: the tracks of the new file in their order.

    Args:
        suffix: the new file's.
        inputs: the arguments that name what is read.
        tracks: per track what it is mapped from, and its options without their track number.
    """

    suffix: str
    inputs: list[str] = field(default_factory=list)
    tracks: list[tuple[str, dict[str, str]]] = field(default_factory=list)

    def arguments(self) -> list[str]:
        """The arguments between ffmpeg and the file to write."""
        args = list(self.inputs)
        for number, (source, options) in enumerate(self.tracks):
            args += ["-map", source]
            for name, value in options.items():
                args += [f"-{name}:{number}", value]
        return args


@stage(
    version=1,
    inputs={"media": "the recording", "subtitles": "SubRip files, named *.LANGUAGE.srt"},
    optional={"probe": "the clip, from demux; without it the whole recording is kept"},
    outputs={"video": "video.*"},
    tools=("av", "imageio-ffmpeg"),
)
def mux(ctx: Context, params: MuxParams) -> None:
    """The recording again, with the subtitles of every language in it."""
    media = ctx.input("media").absolute()
    subtitles = _subtitles(ctx, params)
    tracks, matroska, clip = _inspect(media, _wanted_clip(ctx), ctx.job)
    pictures = [track for track in tracks if track.kind == "video" and track.cover is None]
    burnt = _burnt(ctx, params, subtitles, pictures, media.name)
    encode_clip = clip is not None and (params.clip == "encode" or burnt is not None)
    encoded = {t.index for t in tracks if encode_clip or (burnt and t in pictures)}
    plan = Plan(_suffix(ctx, params, tracks, encoded, matroska, media.name))
    if clip and not encode_clip and pictures:
        ctx.warn(f"{media.name}: copied from the keyframe at {clip.keyframe_s:.2f} s on: "
                 f"{clip.start_s - clip.keyframe_s:.2f} s before the clip's start")
    _read_media(plan, media, clip, encode_clip)
    _add_sound_and_picture(plan, tracks, encoded, clip if encode_clip else None, burnt, params)
    _add_subtitles(plan, subtitles, default=burnt is None)
    if clip is None:
        _add_own_subtitles(ctx, plan, tracks, media.name)
    _write(ctx, plan, tracks, media.name)
