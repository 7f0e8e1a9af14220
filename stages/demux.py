"""Cut the recording's audio track out, as the WAV that the later stages read.

Sample 0 of the WAV is the clip's start on the source's clock, whose zero is where a player starts
the recording; the WAV is as long as the clip. Sound that starts late, holes in it, and sound that
ends before the picture become silence, so a time in the WAV is a time in the picture.

The track is decoded from its beginning whatever the clip (some hundred times faster than it
plays): a clip is then bit for bit a part of the whole, where a decoder that starts in the middle
adds other noise (AAC), and what was kept of a stretch of sound still fits when the clip moves.

Not here: any change to the sound, except that more than two channels are mixed down to two.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import msgspec

from mediabuild.errors import StageError
from mediabuild.media.ffmpeg import BITEXACT, run_ffmpeg
from mediabuild.media.formats import AudioTrack, Probe, VideoTrack, write
from mediabuild.media.languages import from_container, same_language
from mediabuild.media.recording import codec_of, is_cover, opened, packets_end_s, rate_varies, zero_s
from mediabuild.stage import Context, stage

# A file whose packets end this much before its header says is called truncated; containers round
# durations, and tracks that a player ignores end a little later than the rest.
TRUNCATED_S = 1.0
# The tail that is read to find where the packets end: longer than any usual keyframe interval.
TAIL_S = 10.0
# Holes from one frame of a 25/s picture up are filled; smaller ones are jitter of the timestamps.
HOLE_S = 0.04


class DemuxParams(msgspec.Struct, forbid_unknown_fields=True):
    """Which part of the recording, and which of its audio tracks."""

    clip_start_s: Annotated[float, msgspec.Meta(ge=0, description="where the clip starts, on the source's clock")] = 0.0
    clip_end_s: Annotated[float, msgspec.Meta(gt=0)] | None = None
    audio_track: Annotated[int, msgspec.Meta(ge=0)] | str | None = None


@stage(
    version=1,
    inputs={"media": "the recording"},
    outputs={"audio": "audio.wav", "probe": "probe.json"},
    tools=("av", "imageio-ffmpeg"),
)
def demux(ctx: Context, params: DemuxParams) -> None:
    """Cut the recording's audio track out, on the picture's clock, and say what the recording is."""
    media = ctx.input("media").absolute()
    remedy = f"doit ignore 'demux:{ctx.job}'"
    with opened(media, remedy) as container:
        start_s = zero_s(container)
        audio = [_audio_track(i, stream, start_s) for i, stream in enumerate(container.streams.audio)]
        track = _choose_track(media.name, audio, params.audio_track, remedy, _kinds(container))
        pictures = [stream for stream in container.streams.video if not is_cover(stream)]
        duration_s = _duration_s(container, bool(pictures), params, media.name, ctx.job, remedy)
        clip_start_s, clip_end_s = _clip(ctx, params, duration_s, media.name)
        video = [_video_track(i, container, stream, duration_s) for i, stream in enumerate(pictures)]
        kind = container.format.name.split(",")[0]
    _cut(ctx, media, track, start_s, clip_start_s, clip_end_s)
    probe = Probe(
        format=kind,
        duration_s=duration_s,
        clip_start_s=clip_start_s,
        clip_end_s=clip_end_s,
        audio_track=track.index,
        language=track.language,
        audio=audio,
        video=video,
    )
    write(ctx.output("probe"), probe)


def _kinds(container: Any) -> str:
    """What a container holds, for a message: `1 video, 2 subtitle`."""
    kinds = [stream.type for stream in container.streams]
    return ", ".join(f"{kinds.count(kind)} {kind}" for kind in dict.fromkeys(kinds)) or "nothing"


def _start_s(stream: Any, zero_s: float) -> float:
    """Where a stream starts, in seconds on the source's clock."""
    return round(float((stream.start_time or 0) * stream.time_base) - zero_s, 6)


def _audio_track(index: int, stream: Any, zero_s: float) -> AudioTrack:
    """An audio track; without channels and rate where nothing can decode it."""
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


def _video_track(index: int, container: Any, stream: Any, duration_s: float) -> VideoTrack:
    """A picture track; without a size where nothing can decode it."""
    known = stream.codec_context
    return VideoTrack(
        index=index,
        codec=codec_of(stream),
        width_px=known.width if known else 0,
        height_px=known.height if known else 0,
        start_s=_start_s(stream, zero_s(container)),
        frame_rate=round(float(stream.average_rate), 6) if stream.average_rate else None,
        variable_frame_rate=rate_varies(container, stream, duration_s),
        language=from_container(stream.metadata.get("language")),
    )


def _choose_track(name: str, tracks: list[AudioTrack], wanted: int | str | None, remedy: str, kinds: str) -> AudioTrack:
    """The audio track by its index or language; the default one, or else the first, where nothing is said."""
    if not tracks:
        raise StageError(f"{name}: has no audio track (it holds: {kinds})", remedy)
    if wanted is None:
        known = [track for track in tracks if track.rate_hz]
        found = [track for track in known if track.default] or known or tracks
    elif isinstance(wanted, int):
        found = [track for track in tracks if track.index == wanted]
    else:
        found = [track for track in tracks if track.language == wanted]
        found = found or [track for track in tracks if same_language(track.language or "", wanted)]
    if not found:
        listed = ", ".join(f"{track.index} ({track.language or 'no language'})" for track in tracks)
        raise StageError(
            f"{name}: audio_track = {wanted!r}: no such track; it has {listed}",
            f"doit demux.audio_track={tracks[0].index}",
        )
    if not found[0].rate_hz:
        raise StageError(f"{name}: audio track {found[0].index}: this ffmpeg has no decoder for it", remedy)
    return found[0]


def _clip(ctx: Context, params: DemuxParams, duration_s: float, name: str) -> tuple[float, float]:
    """The clip's start and end in seconds, inside the recording."""
    start_s, end_s = params.clip_start_s, params.clip_end_s
    if end_s is not None and start_s >= end_s:
        raise StageError(
            f"{name}: clip_start_s = {start_s:g} is not before clip_end_s = {end_s:g}",
            f"doit demux.clip_start_s={start_s:g} demux.clip_end_s={start_s + 30:g}",
        )
    if start_s >= duration_s:
        raise StageError(
            f"{name}: clip_start_s = {start_s:g} is beyond the recording's end at {duration_s:.3f} s",
            "doit demux.clip_start_s=0",
        )
    if end_s is not None and end_s > duration_s + TRUNCATED_S:
        ctx.warn(f"{name}: clip_end_s = {end_s:g} is beyond the recording's end at {duration_s:.3f} s, which is used")
    return start_s, min(end_s or duration_s, duration_s)


def _duration_s(container: Any, has_picture: bool, params: DemuxParams, name: str, job: str, remedy: str) -> float:
    """The recording's duration in seconds, checked against where its packets really end.

    A header is believed only where there is a picture: without one the whole file is read, which is
    quick, since an MP3's duration is often a guess from its bit rate.

    Raises:
        StageError: the file holds less than its header says, and the clip reaches past that.
    """
    import av

    header_s = container.duration / av.time_base if container.duration and has_picture else 0.0
    found_s = packets_end_s(container, header_s - TAIL_S) if header_s else None
    if found_s is None or found_s < header_s - TRUNCATED_S:
        found_s = packets_end_s(container)
    if not found_s:
        raise StageError(f"{name}: nothing in it can be read; it may be truncated", remedy)
    if abs(found_s - header_s) < TRUNCATED_S:
        return round(header_s, 6)
    if found_s < header_s and (params.clip_end_s is None or params.clip_end_s > found_s):
        usable_s = int(found_s * 10) / 10
        raise StageError(
            f"{name}: truncated: its header says {header_s:.1f} s, but it ends at {found_s:.1f} s",
            f'keep what there is: [jobs."{job}"] params.demux = {{ clip_end_s = {usable_s:g} }} in pipeline.toml',
        )
    return found_s


def _cut(ctx: Context, media: Path, track: AudioTrack, zero_s: float, start_s: float, end_s: float) -> None:
    """Decode the track onto the source's clock, and keep the clip's samples.

    `-copyts`: ffmpeg would otherwise move an MPEG-TS's zero to the start of the one track it reads.
    """
    rate_hz = track.rate_hz
    first, last = round(start_s * rate_hz), round(end_s * rate_hz)
    channels = min(track.channels, 2)
    chain = (
        f"asetpts=PTS-({zero_s:.6f})/TB",
        f"aresample=async=1:first_pts=0:min_hard_comp={HOLE_S}:rematrix_maxval=1",
        f"aformat=sample_fmts=s16:channel_layouts={'mono' if channels == 1 else 'stereo'}",
        f"apad=whole_len={last}",
        f"atrim=start_sample={first}:end_sample={last}",
    )
    args: list[str | Path] = ["-copyts", "-i", media, "-map", f"0:a:{track.index}", "-af", ",".join(chain)]
    args += ["-c:a", "pcm_s16le", "-rf64", "auto", *BITEXACT, ctx.output("audio")]
    said = run_ffmpeg(args, what=f"cutting the audio out of {media.name}")
    broken = [line for line in said.splitlines() if "error" in line.lower()]
    if broken:
        ctx.warn(f"{media.name}: {len(broken)} lines of errors while decoding; the first: {broken[0].strip()}")
