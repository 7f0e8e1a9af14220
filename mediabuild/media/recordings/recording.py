"""What a media file says of itself, read with PyAV: its tracks, the shape and the rate of its pictures.

Not here: its clock (`clock`), decoding (`decoding`) and encoding, which ffmpeg does.
"""

from __future__ import annotations

import contextlib
import itertools
import statistics
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mediabuild.errors import StageError
from mediabuild.media.formats import AudioTrack, VideoTrack
from mediabuild.media.languages import from_container
from mediabuild.media.recordings.clock import packets, read, seek, zero_s
from mediabuild.media.recordings.endings import lacks_index

QUARTER_DEG = 90
# A picture without a keyframe at its start is looked at for this many packets.
FIRST_PACKETS = 300
# Frame intervals are looked at in three places, since a recording may vary only later on.
RATE_PLACES, RATE_PACKETS = 3, 600
# Frames are stored out of order: the first and the last ones read have gaps between them.
REORDERED_FRAMES = 16
# Matroska counts in milliseconds, so equal intervals may differ by one.
RATE_JITTER_S = 0.002
# So many frames are decoded to see whether they are two fields.
INTERLACED_FRAMES = 8
# The first bits of an ADTS frame, with its layer.
ADTS_SYNC, ADTS_SYNC_LOW, ADTS_MASK = 0xFF, 0xF0, 0xF6
# How far before a time the search for its frame begins, where a seek may land anywhere (MPEG-TS).
SEARCH_S = 10.0
# ffmpeg seeks this much earlier where frames are stored out of order (`dts_heuristic` in its ffmpeg_demux.c).
COPY_MARGIN_S = 3 / 23


@contextmanager
def opened(media: Path, hint: str) -> Iterator[Any]:
    """A recording as PyAV's container.

    Raises:
        StageError: ffmpeg can't open or read it, with the hint.
    """
    import av

    try:
        with av.open(str(media), metadata_errors="replace") as container:
            yield container
    except av.FFmpegError as error:
        raise StageError(f"{media.name}: ffmpeg can't read it: {error.strerror}{_why(media)}", hint) from error


def _why(media: Path) -> str:
    """What ails a file that can't be read: it is empty, or an MP4 whose index isn't there; of others nothing."""
    if not media.stat().st_size:
        return "; it is empty"
    return "; it was cut off, its index is missing" if lacks_index(media) else ""


def is_cover(stream: Any) -> bool:
    """Whether a stream is a picture attached to the recording, such as an album's cover."""
    from av.stream import Disposition

    return stream.type == "video" and bool(stream.disposition & Disposition.attached_pic)


def codec_of(stream: Any) -> str:
    """The codec's name as ffmpeg has it; `unknown` where this ffmpeg has no decoder for it."""
    return str(stream.codec_context.codec.canonical_name) if stream.codec_context else "unknown"


def audio_track(index: int, stream: Any, zero_s: float) -> AudioTrack:
    """An audio track; without channels and rate where nothing can decode it.

    Args:
        index: among the recording's audio tracks, from 0.
        zero_s: the source's zero on the container's clock.
    """
    from av.stream import Disposition

    known = stream.codec_context
    return AudioTrack(
        index=index,
        codec=codec_of(stream),
        channels=known.channels if known else 0,
        rate_hz=known.sample_rate if known else 0,
        start_s=_start_s(stream, zero_s),
        language=from_container(stream.metadata.get("language")),
        default=bool(stream.disposition & Disposition.default),
    )


def video_track(index: int, container: Any, stream: Any, duration_s: float) -> VideoTrack:
    """A picture track; without a size where nothing can decode it.

    Args:
        index: among the recording's picture tracks, covers left out, from 0.
        container: what `stream` is of, just opened.
    """
    known = stream.codec_context
    width_px, height_px = (known.width, known.height) if known else (0, 0)
    rotation_deg = _rotation_deg(container, stream)
    wide_px = round(width_px * float(stream.sample_aspect_ratio or 1)) if known else 0
    shown_px = (height_px, wide_px) if rotation_deg % 180 == QUARTER_DEG else (wide_px, height_px)
    frame_rate, varies = _frame_rate(container, stream, duration_s)
    return VideoTrack(
        index=index,
        codec=codec_of(stream),
        width_px=width_px,
        height_px=height_px,
        start_s=_start_s(stream, zero_s(container)),
        frame_rate=frame_rate,
        variable_frame_rate=varies,
        language=from_container(stream.metadata.get("language")),
        rotation_deg=rotation_deg,
        shown_width_px=shown_px[0],
        shown_height_px=shown_px[1],
    )


def _start_s(stream: Any, zero_s: float) -> float:
    """Where a stream starts, in seconds on the source's clock."""
    return round(float((stream.start_time or 0) * stream.time_base) - zero_s, 6)


def _rotation_deg(container: Any, stream: Any) -> int:
    """By how much a player turns a picture, counterclockwise, to the nearest quarter of a turn; -180 to 180.

    The first picture is decoded for it, since a stream may say so in its header, or each picture for itself.
    """
    import av

    for packet in itertools.islice(read(container, [stream]), FIRST_PACKETS if stream.codec_context else 0):
        frame = None
        with contextlib.suppress(av.FFmpegError):  # it begins before the first whole picture
            frame = next(iter(packet.decode()), None)
        if frame is not None:
            return QUARTER_DEG * round(float(frame.rotation) / QUARTER_DEG)
    return 0


def _frame_rate(container: Any, stream: Any, duration_s: float) -> tuple[float | None, bool]:
    """Frames a second on average, and whether more than one interval in a hundred differs from the usual one.

    Looks at a bounded number of packets, so that it is quick on a long recording.
    """
    intervals: list[float] = []
    for place in range(RATE_PLACES):
        seek(container, duration_s * place / RATE_PLACES)
        times = sorted(_shown(itertools.islice(read(container, [stream]), RATE_PACKETS)))
        whole = times[REORDERED_FRAMES:-REORDERED_FRAMES] if len(times) > 4 * REORDERED_FRAMES else times
        intervals += [later - earlier for earlier, later in itertools.pairwise(whole)]
    if not intervals:
        return None, False
    usual_s = statistics.median(intervals)
    rate = float(stream.average_rate) if stream.average_rate else (1 / usual_s if usual_s > 0 else None)
    varies = sum(abs(interval - usual_s) > RATE_JITTER_S for interval in intervals) > len(intervals) / 100
    return rate if rate is None else round(rate, 6), varies


def _shown(packets: Iterable[Any]) -> Iterator[float]:
    """When each frame is shown, on the container's clock, up to where the file can't be read on; frames that an edit
    list hides are left out."""
    import av

    with contextlib.suppress(av.FFmpegError):
        for packet in packets:
            if packet.pts is not None and not packet.is_discard:
                yield float(packet.pts * packet.time_base)


def frames_before(container: Any, picture: Any, time_s: float) -> tuple[float, float]:
    """When the frame that is shown at a time begins, and the keyframe at which a copy from that time starts.

    Each is the time itself where there is no such frame: the picture starts later.

    Args:
        container: just opened.
        picture: one of its pictures.
        time_s: on the source's clock, as the results are.
    """
    from av.format import Flags

    reordered = picture.codec_context.has_b_frames and not container.format.flags & Flags.seek_to_pts.value
    copied_s = time_s - (COPY_MARGIN_S if reordered else 0)
    shown_s, keyframe_s = [], []
    for packet in packets(container, picture, from_s=time_s - SEARCH_S):
        decoded, shown = packet.dts, packet.pts if packet.pts is not None else packet.dts
        if decoded is not None and float(decoded * packet.time_base) > time_s:
            break
        if shown is None:
            continue
        frame_s = float(shown * packet.time_base)
        if frame_s <= time_s and not packet.is_discard:
            shown_s.append(frame_s)
        if frame_s <= copied_s and packet.is_keyframe:
            keyframe_s.append(frame_s)
    return max(shown_s, default=time_s), max(keyframe_s, default=time_s)


def is_interlaced(container: Any, stream: Any) -> bool:
    """Whether some of the first frames, or of those in the middle, are two fields each."""
    import av

    duration_s = (container.duration or 0) / av.time_base
    for place_s in (0.0, duration_s / 2):
        try:
            seek(container, place_s)
            frames = itertools.islice(container.decode(stream), INTERLACED_FRAMES)
            if any(frame.interlaced_frame for frame in frames):
                return True
        except av.FFmpegError:  # damage is no reason to fail here: what can't be decoded isn't shown either
            continue
    return False


def has_times(container: Any, index: int) -> bool:
    """Whether the packets of a track say when they are shown, and not only when they are decoded.

    Args:
        container: just opened.
    """
    from av.container import Flags

    container.flags &= ~Flags.gen_pts.value  # PyAV makes times up
    first = itertools.islice(read(container, [container.streams[index]]), REORDERED_FRAMES)
    return all(packet.pts is not None for packet in first if packet.size)


def adts_format(packet: bytes) -> tuple[int, int] | None:
    """What an ADTS frame says of itself: profile, rate and channels; None where it is none.

    ISO/IEC 13818-7, 6.2: after 12 bits of ones come version, layer, protection, profile, rate and channels.
    """
    head = packet[:4].ljust(4, b"\0")
    if head[0] != ADTS_SYNC or head[1] & ADTS_MASK != ADTS_SYNC_LOW:
        return None
    return head[2] & 0xFD, head[3] & 0xC0
