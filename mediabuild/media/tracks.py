"""The tracks of a recording, as whoever puts a new file together wants to know them.

Not here: which of them a container can hold (`containers`), and how they are encoded (`encoding`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

from mediabuild.media.clock import jumps_are_closed, packets, zero_s
from mediabuild.media.ffmpeg import described
from mediabuild.media.recording import codec_of, frames_before, has_times, is_cover, is_interlaced, one_format, opened

HIDDEN = 48  # AVDISCARD_ALL: the text track that holds an mp4's chapters, which ffmpeg reads as chapters
FIELD_ORDERS = {2, 3, 4, 5}  # AVFieldOrder: any but unknown and progressive
HDR_TRANSFERS = {16: "smpte2084", 18: "arib-std-b67"}  # AVColorTransferCharacteristic: PQ and HLG, ITU-R BT.2100
# Times of frames are rounded, to milliseconds in Matroska: two that are nearer than this are one. No frame is shorter.
SAME_TIME_S = 0.002
ALPHA_ASIDE = {"1"}  # `alpha_mode` of VP8 and VP9 in WebM, whose transparency ffmpeg doesn't decode


@dataclass(frozen=True)
class Look:
    """What encoding a picture has to mind.

    Args:
        bits: of each component. chroma: `4:2:0` and the like, `RGB`, or `grey`.
        transfer: ffmpeg's name of an HDR transfer, `smpte2084` (PQ) or `arib-std-b67` (HLG); None for SDR.
        start_s: of its first frame, on the source's clock. rate: its average, in frames a second.
        fields: `interlaced` where the decoder marks frames as two fields, `unmarked` where only the file says so.
    """

    bits: int = 8
    chroma: str = "4:2:0"
    alpha: bool = False
    transfer: str | None = None
    dolby_vision: bool = False
    fields: str | None = None
    width_px: int = 0
    height_px: int = 0
    start_s: float = 0.0
    rate: Fraction | None = None


@dataclass(frozen=True)
class Track:
    """One track of the recording.

    Args:
        index: counts all its tracks. kind: `video`, `audio`, `subtitle`, `data` or `attachment`.
        codec: ffmpeg's name; `unknown` where it has no decoder.
        tag: the four characters that name a data track's content in an mp4; empty for others.
        flags: ffmpeg's names of its dispositions: `default`, `forced`, `hearing_impaired` …
        tags: its metadata. cover: an attached picture's bytes; None for other tracks.
        hidden: holds the chapters, or the timecode, which are written anew.
        uncopied: why a copy would be wrong, in words; empty where it isn't.
    """

    index: int
    kind: str
    codec: str
    tag: str = ""
    flags: frozenset[str] = frozenset()
    tags: Mapping[str, str] = field(default_factory=dict)
    channels: int = 0
    cover: bytes | None = None
    look: Look | None = None
    hidden: bool = False
    uncopied: str = ""


def tracks_of(container: Any, media: Path) -> list[Track]:
    """All tracks of an opened recording, in its order; reads covers, and decodes the first frames of pictures."""
    said = described(media) if any(stream.type in ("data", "video") for stream in container.streams) else {}
    return [_track(container, stream, media, said.get(stream.index, "")) for stream in container.streams]


def _track(container: Any, stream: Any, media: Path, said: str) -> Track:
    cover, look = None, None
    if is_cover(stream):
        cover = next((bytes(packet) for packet in container.demux(stream) if packet.size), b"")
    elif stream.type == "video" and stream.codec_context:
        look = _look(container, stream, said)
    known = stream.codec_context
    tag = re.match(r"Data: \S+ \((\S{4}) / 0x", said)
    return Track(
        index=stream.index,
        kind=stream.type,
        codec=(stream.name or "unknown") if stream.type == "data" else codec_of(stream),
        tag=tag[1] if tag else "",
        flags=frozenset(flag.name for flag in type(stream.disposition) if flag in stream.disposition),
        tags=dict(stream.metadata),
        channels=known.channels if stream.type == "audio" and known else 0,
        cover=cover,
        look=look,
        hidden=stream.type == "data" and (stream.discard == HIDDEN or "timecode" in stream.metadata),
        uncopied=_uncopied(container, stream, media),
    )


def _uncopied(container: Any, stream: Any, media: Path) -> str:
    """Why a copy of a track would be wrong.

    In a copy AAC has one description for all of it, and pictures that are stored out of order need their own times:
    ffmpeg makes up those of MPEG-2 and MPEG-4, not of H.264 and HEVC.
    """
    if stream.type == "audio" and codec_of(stream) == "aac" and not stream.codec_context.extradata:
        with opened(media, "") as fresh:
            if not one_format(fresh, stream.index):
                return "its format changes, or it is damaged"
    if stream.type == "video" and codec_of(stream) in ("h264", "hevc") and not is_cover(stream):
        with opened(media, "") as fresh:
            if not has_times(fresh, stream.index):
                return "its pictures have no times of their own"
    return ""


def _look(container: Any, stream: Any, said: str) -> Look:
    known = stream.codec_context
    shape = known.format
    parts = shape.components if shape else ()
    fields = "interlaced" if is_interlaced(container, stream) else None
    if fields is None and known.field_order in FIELD_ORDERS:
        fields = "unmarked"
    return Look(
        bits=max((part.bits for part in parts), default=8),
        chroma=_chroma(shape) if shape else "4:2:0",
        alpha=any(part.is_alpha for part in parts) or stream.metadata.get("alpha_mode") in ALPHA_ASIDE,
        transfer=HDR_TRANSFERS.get(int(known.color_trc or 0)),
        dolby_vision="DOVI" in said,
        fields=fields,
        width_px=known.width,
        height_px=known.height,
        start_s=float((stream.start_time or 0) * stream.time_base) - zero_s(container),
        rate=stream.average_rate,
    )


def _chroma(shape: Any) -> str:
    """How much colour a pixel format keeps, as people write it."""
    if shape.is_rgb or shape.has_palette:
        return "RGB"
    if sum(not part.is_alpha for part in shape.components) == 1:
        return "grey"
    across, down = shape.chroma_width(16), shape.chroma_height(16)
    return {(16, 16): "4:4:4", (8, 16): "4:2:2", (8, 8): "4:2:0", (4, 16): "4:1:1"}.get((across, down), "4:2:0")


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
    """

    path: Path
    tracks: tuple[Track, ...]
    matroska: bool
    zero_s: float
    clip: Clip | None
    tags: Mapping[str, str]
    chapters: Sequence[Mapping[str, Any]]

    @property
    def pictures(self) -> list[Track]:
        """Its pictures, covers aside."""
        return [track for track in self.tracks if track.kind == "video" and track.cover is None]

    @property
    def sounds(self) -> list[Track]:
        """Its sounds."""
        return [track for track in self.tracks if track.kind == "audio"]


def recording(container: Any, path: Path, part_s: tuple[float, float] | None) -> Recording:
    """All that a new file is made from; `part_s` is where the clip starts and ends, None for all of it."""
    return Recording(
        path=path,
        tracks=tuple(tracks_of(container, path)),
        matroska="matroska" in container.format.name,
        zero_s=zero_s(container),
        clip=_clip(path, *part_s) if part_s else None,
        tags=dict(container.metadata),
        chapters=container.chapters(),
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
