"""The tracks of a recording, as whoever puts a new file together wants to know them.

Not here: which of them a container can hold (`containers`), and how they are encoded (`encoding`).
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mediabuild.errors import StageError
from mediabuild.media.ffmpeg import described
from mediabuild.media.recordings.channels import names_of
from mediabuild.media.recordings.clock import jumps_are_closed, packets, zero_s
from mediabuild.media.recordings.looks import Look, look_of
from mediabuild.media.recordings.recording import adts_format, codec_of, frames_before, has_times, is_cover, opened

HIDDEN = 48  # AVDISCARD_ALL: the text track that holds an mp4's chapters, which ffmpeg reads as chapters
# Times of frames are rounded, to milliseconds in Matroska: two that are nearer than this are one. No frame is shorter.
SAME_TIME_S = 0.002


@dataclass(frozen=True)
class SoundFormat:
    """What a sound is when it is decoded.

    Args:
        names: of its channels, as ffmpeg calls them. layout: ffmpeg's name of all of them; None where it isn't told.
        bits: of a sample; 32 for floating point.
    """

    rate_hz: int
    names: tuple[str, ...]
    layout: str | None
    bits: int
    is_float: bool


@dataclass(frozen=True)
class Track:
    """One track of the recording.

    Args:
        index: counts all its tracks. kind: `video`, `audio`, `subtitle`, `data` or `attachment`.
        codec: ffmpeg's name; `unknown` where it has no decoder.
        tag: the four characters that name a data track's content in an mp4; empty for others.
        flags: ffmpeg's names of its dispositions: `default`, `forced`, `hearing_impaired` …
        number: counts the tracks of its kind, from 0.
        tags: its metadata. cover: an attached picture's bytes; None for other tracks.
        hidden: holds the chapters, or the timecode, which are written anew.
        uncopied: why a copy would be wrong, in words; empty where it isn't.
    """

    index: int
    kind: str
    codec: str
    number: int = 0
    tag: str = ""
    flags: frozenset[str] = frozenset()
    tags: Mapping[str, str] = field(default_factory=dict)
    sound: SoundFormat | None = None
    cover: bytes | None = None
    look: Look | None = None
    hidden: bool = False
    uncopied: str = ""


def tracks_of(container: Any, media: Path) -> list[Track]:
    """All tracks of an opened recording, in its order; reads covers, and decodes the first frames of pictures."""
    said = described(media) if any(stream.type in ("data", "video") for stream in container.streams) else {}
    seams = _seams(container, media)
    return [_track(container, stream, media, said.get(stream.index, ""), seams) for stream in container.streams]


def _track(container: Any, stream: Any, media: Path, said: str, seams: Seams) -> Track:
    cover, look = None, None
    if is_cover(stream):
        cover = _cover(media, stream.index)
    elif stream.type == "video" and stream.codec_context:
        look = look_of(container, stream, said)
    known = stream.codec_context
    tag = re.match(r"Data: \S+ \((\S{4}) / 0x", said)
    return Track(
        index=stream.index,
        kind=stream.type,
        codec=(stream.name or "unknown") if stream.type == "data" else codec_of(stream),
        tag=tag[1] if tag else "",
        flags=frozenset(flag.name for flag in type(stream.disposition) if flag in stream.disposition),
        tags=dict(stream.metadata),
        number=[other.index for other in container.streams if other.type == stream.type].index(stream.index),
        sound=_sound_format(known) if stream.type == "audio" and known else None,
        cover=cover,
        look=look,
        hidden=stream.type == "data" and (stream.discard == HIDDEN or "timecode" in stream.metadata),
        uncopied=_uncopied(container, stream, media, seams),
    )


def _cover(media: Path, index: int) -> bytes:
    """An attached picture, which ffmpeg gives once, before all else: whoever decoded a frame before it is too late."""
    with opened(media, "") as fresh:
        return next((bytes(packet) for packet in fresh.demux(fresh.streams[index]) if packet.size), b"")


def _sound_format(known: Any) -> SoundFormat:
    names = names_of([channel.name for channel in known.layout.channels])
    layout = known.layout.name
    kind = known.format.name.removesuffix("p") if known.format else "flt"
    return SoundFormat(
        rate_hz=known.sample_rate,
        names=names,
        layout=layout if layout and "channels" not in layout else None,
        bits={"u8": 8, "s16": 16}.get(kind, 32),
        is_float=kind in ("flt", "dbl"),
    )


def _uncopied(container: Any, stream: Any, media: Path, seams: Seams) -> str:
    """Why a copy of a track would be wrong.

    In a copy AAC has one description for all of it, what was joined overlaps by some frames, and pictures that are
    stored out of order need their own times: ffmpeg makes up those of MPEG-2 and MPEG-4, not of H.264 and HEVC.
    """
    if stream.type == "audio" and len(seams.formats.get(stream.index, ())) > 1:
        return "its format changes, or it is damaged"
    if stream.type == "audio" and seams.jumps:
        return "its clock jumps"
    if stream.type == "video" and codec_of(stream) in ("h264", "hevc") and not is_cover(stream):
        with opened(media, "") as fresh:
            if not has_times(fresh, stream.index):
                return "its pictures have no times of their own"
    return ""


@dataclass(frozen=True)
class Seams:
    """Where a recording was joined: jumps of its clock, and the formats of AAC whose frames say theirs, by track."""

    jumps: list[str]
    formats: Mapping[int, set[tuple[int, int] | None]]


def _seams(container: Any, media: Path) -> Seams:
    """Reads the whole file where a recording may have been joined, and nothing else."""
    framed = [s for s in container.streams.audio if codec_of(s) == "aac" and not s.codec_context.extradata]
    seams = Seams([], {stream.index: set() for stream in framed})
    if framed or jumps_are_closed(container):
        with contextlib.suppress(StageError), opened(media, "") as fresh:  # what there is until it breaks off
            for packet in packets(fresh, jumps=seams.jumps):
                if packet.stream_index in seams.formats and packet.size:
                    seams.formats[packet.stream_index].add(adts_format(bytes(memoryview(packet)[:4])))
    return seams


@dataclass(frozen=True)
class Clip:
    """The part of the recording that is kept, in seconds on its clock.

    Args:
        start_s, end_s: the clip.
        shown_s: when the frame that is shown at `start_s` begins.
        seek_s: where reading starts; what lies before the clip is cut off by filters.
        keyframe_s: where a copy starts.
    """

    start_s: float
    end_s: float
    shown_s: float
    seek_s: float
    keyframe_s: float


@dataclass(frozen=True)
class Recording:
    """What is read, and the part of it that is kept; `clip` is None for all of it.

    Args:
        matroska: whether it is an MKV or a WebM. zero_s: the source's zero on the container's clock.
        tags, chapters: of the whole file, as PyAV has them.
        duration_s: None where nothing told it.
        jumps: whether ffmpeg closes jumps of its clock while it reads.
    """

    path: Path
    tracks: tuple[Track, ...]
    matroska: bool
    zero_s: float
    clip: Clip | None
    tags: Mapping[str, str]
    chapters: Sequence[Mapping[str, Any]]
    duration_s: float | None = None
    jumps: bool = False

    @property
    def pictures(self) -> list[Track]:
        """Its pictures, covers aside."""
        return [track for track in self.tracks if track.kind == "video" and track.cover is None]

    @property
    def sounds(self) -> list[Track]:
        """Its sounds."""
        return [track for track in self.tracks if track.kind == "audio"]


def recording(container: Any, path: Path, part_s: tuple[float, float] | None, duration_s: float | None) -> Recording:
    """All that a new file is made from; `part_s` is where the clip starts and ends, None for all of it."""
    return Recording(
        path=path,
        tracks=tuple(tracks_of(container, path)),
        matroska="matroska" in container.format.name,
        zero_s=zero_s(container),
        clip=_clip(path, *part_s) if part_s else None,
        tags=dict(container.metadata),
        chapters=container.chapters(),
        duration_s=duration_s,
        jumps=jumps_are_closed(container),
    )


def _clip(path: Path, start_s: float, end_s: float) -> Clip:
    """A clip, with the frames that matter for it; the recording is opened anew, to be read from its beginning."""
    with opened(path, "") as container:
        shown_s = keyframe_s = start_s
        picture = next((stream for stream in container.streams.video if not is_cover(stream)), None)
        if picture is not None and start_s > 0:
            shown_s, keyframe_s = frames_before(container, picture, start_s + SAME_TIME_S)
            shown_s, keyframe_s = (min(start_s, time_s) for time_s in (shown_s, keyframe_s))
        # Where ffmpeg closes jumps it has to read from the beginning; and MPEG has no index to search in.
        seek_s = 0.0 if jumps_are_closed(container) else max(0.0, shown_s - SAME_TIME_S)
    return Clip(start_s, end_s, shown_s, seek_s, keyframe_s)


def pictures_in(path: Path, index: int, clip: Clip | None) -> int:
    """How many pictures a track of a file has, in a clip or altogether; reads the whole file."""
    count = 0
    with opened(path, "") as container:
        for packet in packets(container, container.streams[index]):
            stamp = packet.pts if packet.pts is not None else packet.dts
            if packet.size and stamp is not None and not packet.is_discard:
                time_s = float(stamp * packet.time_base)
                inside = clip is None or clip.shown_s - SAME_TIME_S < time_s < clip.end_s - SAME_TIME_S
                count += inside
    return count
