"""What a media file says of itself, read with PyAV: its clock, where it ends, its frames.

Times are seconds on the source's clock, whose zero is where a player starts the recording (a
container's own zero may lie elsewhere: an MPEG-TS starts at any time).

Not here: decoding and encoding, which ffmpeg does.
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

# Frame intervals are looked at in three places, since a recording may vary only later on.
RATE_PLACES, RATE_PACKETS = 3, 600
# Frames are stored out of order: the first and the last ones read have gaps between them.
REORDERED_FRAMES = 16
# Matroska counts in milliseconds, so equal intervals may differ by one.
RATE_JITTER_S = 0.002
# How far before a time the search for its frame begins, where a seek may land anywhere (MPEG-TS).
SEARCH_S = 10.0
# ffmpeg seeks this much earlier where frames are stored out of order (`dts_heuristic` in its ffmpeg_demux.c).
COPY_MARGIN_S = 3 / 23


# So many frames are decoded to see whether they are two fields.
INTERLACED_FRAMES = 8


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
        raise StageError(f"{media.name}: ffmpeg can't read it: {error.strerror}{_cut_off(media)}", hint) from error


def _cut_off(media: Path) -> str:
    """What ails an MP4 that begins as one and can't be read; nothing for others."""
    with contextlib.suppress(OSError), media.open("rb") as file:
        if file.read(8)[4:] == b"ftyp":
            return "; it was cut off, its index is missing"
    return ""


def zero_s(container: Any) -> float:
    """The source's zero on the container's clock, in seconds."""
    import av

    return float((container.start_time or 0) / av.time_base)


def is_cover(stream: Any) -> bool:
    """Whether a stream is a picture attached to the recording, such as an album's cover."""
    from av.stream import Disposition

    return stream.type == "video" and bool(stream.disposition & Disposition.attached_pic)


def codec_of(stream: Any) -> str:
    """The codec's name as ffmpeg has it; `unknown` where this ffmpeg has no decoder for it."""
    return str(stream.codec_context.codec.canonical_name) if stream.codec_context else "unknown"


def seek(container: Any, time_s: float) -> None:
    """Go to a keyframe before a time; where there is no index, somewhere near it."""
    import av

    container.seek(int((max(0.0, time_s) + zero_s(container)) * av.time_base), backward=True)


def packets_end_s(container: Any, from_s: float = 0.0) -> float | None:
    """When the last packet of any track ends, reading on from a time; None where there is no packet."""
    import av

    end_s, start_s = None, zero_s(container)
    seek(container, from_s)
    try:
        for packet in container.demux():
            stamp = packet.pts if packet.pts is not None else packet.dts
            if stamp is not None and not packet.is_discard:
                packet_end_s = float((stamp + (packet.duration or 0)) * packet.time_base) - start_s
                end_s = packet_end_s if end_s is None else max(end_s, packet_end_s)
    except av.FFmpegError:  # the file breaks off: what was found so far is the answer
        pass
    return end_s if end_s is None else round(end_s, 6)


def rate_varies(container: Any, stream: Any, duration_s: float) -> bool:
    """Whether more than one frame interval in a hundred differs from the usual one.

    Looks at a bounded number of packets, so that it is quick on a long recording.
    """
    intervals: list[float] = []
    for place in range(RATE_PLACES):
        seek(container, duration_s * place / RATE_PLACES)
        times = sorted(_shown(itertools.islice(container.demux(stream), RATE_PACKETS)))
        whole = times[REORDERED_FRAMES:-REORDERED_FRAMES] if len(times) > 4 * REORDERED_FRAMES else times
        intervals += [later - earlier for earlier, later in itertools.pairwise(whole)]
    if not intervals:
        return False
    usual_s = statistics.median(intervals)
    return sum(abs(interval - usual_s) > RATE_JITTER_S for interval in intervals) > len(intervals) / 100


def _shown(packets: Iterable[Any]) -> Iterator[float]:
    """When each frame is shown, on the container's clock; frames that an edit list hides are left out."""
    return (float(p.pts * p.time_base) for p in packets if p.pts is not None and not p.is_discard)


def frames_before(container: Any, picture: Any, time_s: float) -> tuple[float, float]:
    """When the frame that is shown at a time begins, and the keyframe at which a copy from that time starts.

    Each is the time itself where there is no such frame: the picture starts later.
    """
    from av.format import Flags

    start_s = zero_s(container)
    reordered = picture.codec_context.has_b_frames and not container.format.flags & Flags.seek_to_pts.value
    copied_s = time_s - (COPY_MARGIN_S if reordered else 0)
    shown_s, keyframe_s = [], []
    seek(container, time_s - SEARCH_S)
    for packet in container.demux(picture):
        decoded, shown = packet.dts, packet.pts if packet.pts is not None else packet.dts
        if decoded is not None and float(decoded * packet.time_base) - start_s > time_s:
            break
        if shown is None:
            continue
        frame_s = float(shown * packet.time_base) - start_s
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
