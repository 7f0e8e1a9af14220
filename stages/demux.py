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
from mediabuild.media.clock import jumps_are_closed, packets_end_s, zero_s
from mediabuild.media.ffmpeg import BITEXACT, run_ffmpeg
from mediabuild.media.formats import AudioTrack, Probe, write
from mediabuild.media.languages import same_language
from mediabuild.media.recording import audio_track, is_cover, opened, video_track
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
    version=2,
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
        audio = [audio_track(i, stream, start_s) for i, stream in enumerate(container.streams.audio)]
        track = _choose_track(media.name, audio, params.audio_track, remedy, _kinds(container))
        pictures = [i for i, stream in enumerate(container.streams.video) if not is_cover(stream)]
        kind = container.format.name.split(",")[0]
    duration_s = _duration_s(media, bool(pictures), params, ctx.job, remedy)
    clip_start_s, clip_end_s = _clip(ctx, params, duration_s, media.name)
    video = []
    for number, index in enumerate(pictures):
        with opened(media, remedy) as container:
            video.append(video_track(number, container, container.streams.video[index], duration_s))
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


def _duration_s(media: Path, has_picture: bool, params: DemuxParams, job: str, remedy: str) -> float:
    """The recording's duration in seconds, checked against where its packets really end.

    A header is believed only where there is a picture and a clock that runs on: otherwise the whole file is read,
    since an MP3's duration is often a guess from its bit rate, and a header doesn't know of jumps.

    Raises:
        StageError: the file holds less than its header says, and the clip reaches past that.
    """
    import av

    header_s, found_s = 0.0, None
    with opened(media, remedy) as container:
        if has_picture and not jumps_are_closed(container):
            header_s = (container.duration or 0) / av.time_base
            found_s = packets_end_s(container, header_s - TAIL_S)
            late_s = zero_s(container)  # some Matroska headers count the time before the start, too
    if found_s is None or max(found_s, found_s + late_s) < header_s - TRUNCATED_S:
        with opened(media, remedy) as container:
            found_s = packets_end_s(container)
    if not found_s:
        raise StageError(f"{media.name}: nothing in it can be read; it may be truncated", remedy)
    if abs(found_s - header_s) < TRUNCATED_S:
        return round(header_s, 6)
    cut_off = header_s and max(found_s, found_s + late_s) < header_s - TRUNCATED_S
    if cut_off and (params.clip_end_s is None or params.clip_end_s > found_s):
        usable_s = int(found_s * 10) / 10
        raise StageError(
            f"{media.name}: truncated: its header says {header_s:.1f} s, but it ends at {found_s:.1f} s",
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
