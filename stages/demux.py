"""Cut the recording's audio track out, as the WAV that the later stages read.

Sample 0 of the WAV is the clip's start on the source's clock, whose zero is where a player starts
the recording; the WAV is as long as the clip. Sound that starts late, holes in it, and sound that
ends before the picture become silence, so a time in the WAV is a time in the picture. Sound that
changes its format in the middle is brought to the track's first rate and to its channels.

The track is decoded from its beginning whatever the clip (some hundred times faster than it
plays): a clip is then bit for bit a part of the whole, where a decoder that starts in the middle
adds other noise (AAC), and what was kept of a stretch of sound still fits when the clip moves.

Not here: any change to the sound, except that more than two channels are mixed down to two, and
that floating point sound over full scale is lowered.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import msgspec

from mediabuild.errors import StageError
from mediabuild.media.formats import AudioTrack, Probe, VideoTrack, write
from mediabuild.media.languages import same_language
from mediabuild.media.recordings.clock import BrokenClock, is_bare, zero_s
from mediabuild.media.recordings.cutting import cut
from mediabuild.media.recordings.extent import Extent, extent
from mediabuild.media.recordings.recording import audio_track, is_cover, opened, video_track
from mediabuild.media.speech.voices import first_that_speaks
from mediabuild.stage import Context, stage

# A clip may end this much after the recording does; containers round durations.
ROUNDED_S = 1.0


class DemuxParams(msgspec.Struct, forbid_unknown_fields=True):
    """Which part of the recording, and which of its audio tracks."""

    clip_start_s: Annotated[float, msgspec.Meta(ge=0, description="where the clip starts, on the source's clock")] = 0.0
    clip_end_s: Annotated[float, msgspec.Meta(gt=0)] | None = None
    audio_track: Annotated[int, msgspec.Meta(ge=0)] | str | None = None

    def __post_init__(self) -> None:
        if self.clip_end_s is not None and self.clip_start_s >= self.clip_end_s:
            raise ValueError(f"clip_start_s = {self.clip_start_s:g} is not before clip_end_s = {self.clip_end_s:g}")


@stage(
    version=5,
    inputs={"media": "the recording"},
    outputs={"audio": "audio.wav", "probe": "probe.json"},
    tools=("av", "soundfile", "soxr"),
)
def demux(ctx: Context, params: DemuxParams) -> None:
    """Cut the recording's audio track out, on the picture's clock, and say what the recording is."""
    media = ctx.input("media").absolute()
    remedy = f"doit ignore {_quoted(f'{ctx.stage}:{ctx.job}')}"
    with opened(media, remedy) as container:
        audio = [audio_track(i, stream, zero_s(container)) for i, stream in enumerate(container.streams.audio)]
        wanted = _wanted_tracks(ctx, media.name, audio, params.audio_track, remedy, _kinds(container))
        pictures = [i for i, stream in enumerate(container.streams.video) if not is_cover(stream)]
        kind = container.format.name.split(",")[0]
        open_end = params.clip_end_s is None and not pictures and is_bare(container)
    whole = extent(media, remedy)
    told = [*whole.jumps, *_damage(whole), *_missing(ctx, whole, params, media.name, remedy)]
    clip_s = _clip(ctx, params, whole.duration_s, media.name)
    track = _choose(wanted, media, clip_s, remedy, told)
    try:
        end_s = cut(media, track, clip_s, ctx.output("audio"), remedy, told, ctx.progress, open_end=open_end)
    except BrokenClock as error:
        hint = _clip_hint(ctx, error.at_s) if error.at_s >= 1 else remedy
        raise StageError(f"{media.name}: {error.message}", hint) from error
    if open_end:  # how long bare sound is, only its decoder knows
        clip_s, whole = (clip_s[0], end_s), replace(whole, duration_s=end_s)
    probe = Probe(
        format=kind,
        duration_s=whole.duration_s,
        clip_start_s=clip_s[0],
        clip_end_s=clip_s[1],
        audio_track=track.index,
        language=track.language,
        audio=audio,
        video=[_picture(media, number, i, whole.duration_s, remedy) for number, i in enumerate(pictures)],
        warnings=told,
    )
    write(ctx.output("probe"), probe)
    for line in told:
        ctx.warn(f"{media.name}: {line}")


def _kinds(container: Any) -> str:
    """What a container holds, for a message: `1 video, 2 subtitle`."""
    kinds = [stream.type for stream in container.streams]
    return ", ".join(f"{kinds.count(kind)} {kind}" for kind in dict.fromkeys(kinds)) or "nothing"


def _picture(media: Path, number: int, index: int, duration_s: float, remedy: str) -> VideoTrack:
    with opened(media, remedy) as container:
        return video_track(number, container, container.streams.video[index], duration_s)


def _wanted_tracks(
    ctx: Context, name: str, tracks: list[AudioTrack], wanted: int | str | None, remedy: str, kinds: str
) -> list[AudioTrack]:
    """The audio track by its index or language; where nothing is said all that can be read, the default one first."""
    if not tracks:
        raise StageError(f"{name}: has no audio track (it holds: {kinds})", remedy)
    if wanted is None:
        known = [track for track in tracks if track.rate_hz] or tracks
        found = sorted(known, key=lambda track: not track.default)
    elif isinstance(wanted, int):
        found = [track for track in tracks if track.index == wanted]
    else:
        found = [track for track in tracks if track.language == wanted]
        found = found or [track for track in tracks if same_language(track.language or "", wanted)]
    if not found:
        listed = ", ".join(_described(track) for track in tracks)
        raise StageError(
            f"{name}: audio_track = {wanted!r}: no such track; it has {listed}",
            f"doit {ctx.stage}.audio_track={tracks[0].index}",
        )
    if not found[0].rate_hz:
        raise StageError(f"{name}: audio track {found[0].index}: this ffmpeg has no decoder for it", remedy)
    return found


def _described(track: AudioTrack) -> str:
    return f"{track.index} ({track.language or 'no language'})"


def _choose(
    tracks: list[AudioTrack], media: Path, clip_s: tuple[float, float], remedy: str, told: list[str]
) -> AudioTrack:
    """The first of several tracks, unless nobody speaks in it and somebody does in another, which is told."""
    if len(tracks) == 1:
        return tracks[0]
    index = first_that_speaks(media, [track.index for track in tracks], clip_s, remedy)
    track = next(track for track in tracks if track.index == index)
    if track is not tracks[0]:
        told.append(
            f"nobody speaks in audio track {_described(tracks[0])}, so track {_described(track)} is used; "
            f"audio_track = {tracks[0].index} takes it all the same"
        )
    return track


def _damage(whole: Extent) -> list[str]:
    if not whole.complaints:
        return []
    return [f"{len(whole.complaints)} errors while it was read; the first: {whole.complaints[0]}"]


def _missing(ctx: Context, whole: Extent, params: DemuxParams, name: str, remedy: str) -> list[str]:
    """What is to be told of a file of which something is missing, if the clip reaches that far.

    Raises:
        StageError: there is nothing in it, or there is a picture whose header promises more.
    """
    if not whole.duration_s:
        raise StageError(f"{name}: nothing in it can be read; it may be truncated", remedy)
    if whole.missing is None or (params.clip_end_s is not None and params.clip_end_s <= whole.duration_s):
        return []
    if whole.is_short:
        raise StageError(f"{name}: {whole.missing}", _clip_hint(ctx, whole.duration_s))
    return [f"it is {whole.missing}"]


def _clip_hint(ctx: Context, end_s: float) -> str:
    usable_s = int(end_s * 10) / 10
    name = msgspec.json.encode(ctx.job).decode()  # a string of JSON is one of TOML
    return f"keep what there is: [jobs.{name}] params.{ctx.stage} = {{ clip_end_s = {usable_s:g} }} in pipeline.toml"


def _quoted(word: str) -> str:
    """A word as a shell takes it, in quotes even where it needs none."""
    return "'" + word.replace("'", "'\\''") + "'"


def _clip(ctx: Context, params: DemuxParams, duration_s: float, name: str) -> tuple[float, float]:
    """The clip's start and end in seconds, inside the recording."""
    start_s, end_s = params.clip_start_s, params.clip_end_s
    if start_s >= duration_s:
        raise StageError(
            f"{name}: clip_start_s = {start_s:g} is beyond the recording's end at {duration_s:.3f} s",
            f"doit {ctx.stage}.clip_start_s=0",
        )
    if end_s is not None and end_s > duration_s + ROUNDED_S:
        ctx.warn(f"{name}: clip_end_s = {end_s:g} is beyond the recording's end at {duration_s:.3f} s, which is used")
    return start_s, min(end_s or duration_s, duration_s)
