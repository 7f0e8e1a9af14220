"""The recording again, with the subtitles of every language in it.

Without a clip nothing is encoded again that a copy can hold: picture, sound, cover, chapters and the
recording's own subtitles are copied. A clip is encoded again, so that its first picture is the one that is shown
at the clip's start; a copy could only start at a keyframe. Lossless sound stays lossless then, with
up to 24 bits; a picture of more than 8 bits becomes HEVC of 10, and HDR stays HDR. Sound without a
picture becomes an `.m4a` (or `.mp4`), whose subtitles most video players show.

What the new file doesn't hold as the recording did is said, and is in `mux.report.json`.

Not here: how cues are cut and timed (`subtitles`); their times count from the clip's start.
"""

from __future__ import annotations

import re
import shlex
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from mediabuild.errors import StageError
from mediabuild.media import formats
from mediabuild.media.ffmpeg import BITEXACT, run_ffmpeg
from mediabuild.media.formats import Probe, Transcript
from mediabuild.media.languages import to_container
from mediabuild.media.muxing import encoding
from mediabuild.media.muxing.captions import Subtitles, captions
from mediabuild.media.muxing.containers import MP4_COVERS, MP4_DATA, layout
from mediabuild.media.muxing.losses import Report, Told, heard
from mediabuild.media.muxing.own_subtitles import add_own_subtitles
from mediabuild.media.muxing.plan import Plan
from mediabuild.media.muxing.soundtrack import soundtrack
from mediabuild.media.muxing.tags import lost_tags
from mediabuild.media.recordings.recording import opened, video_track
from mediabuild.media.recordings.tracks import Recording, Track, pictures_in, recording
from mediabuild.media.subtitles.canvas import Canvas
from mediabuild.stage import Context, stage

# What libass says where it finds no font at all, and where no font has some character.
NO_FONT, NO_GLYPH = "Failed to load fontconfig fonts", "failed to find any fallback"
# What ffmpeg says where Matroska can't hold a copied picture or sound.
NO_CODEC_TAG = re.compile(r"codec tag found for codec (\w+)")


class MuxParams(msgspec.Struct, forbid_unknown_fields=True):
    """The container, which subtitles are shown first or burnt in, and how a clip's picture is encoded."""

    container: Annotated[
        Literal["auto", "mp4", "mkv"],
        msgspec.Meta(description="auto: mkv from Matroska or for what mp4 can't hold, otherwise mp4"),
    ] = "auto"
    default_language: (
        Annotated[str, msgspec.Meta(description="shown unless the viewer chooses; else the one that is spoken")] | None
    ) = None
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
class Order:
    """What shall be made, from what; `folder` takes small files that ffmpeg reads."""

    source: Recording
    subtitles: list[Subtitles]
    burnt: Subtitles | None
    params: MuxParams
    told: Told
    folder: Path
    canvas: Canvas


@stage(
    version=9,
    inputs={"media": "the recording", "subtitles": "SubRip files, named *.LANGUAGE.srt"},
    optional={
        "probe": "the clip, from demux; without it the whole recording is kept",
        "transcript": "which language is spoken, and whether a person wrote it",
    },
    outputs={"video": "video.*", "report": "mux.report.json"},
    tools=("av", "imageio-ffmpeg"),
)
def mux(ctx: Context, params: MuxParams) -> None:
    """The recording again, with the subtitles of every language in it."""
    media = ctx.input("media").absolute()
    told = Told(media.name, ctx.warn, ctx.stage)
    probe = formats.read_optional(ctx.inputs("probe"), Probe)
    remedy = shlex.join(["doit", "ignore", f"{ctx.stage}:{ctx.job}"])
    with opened(media, remedy) as container:
        source = recording(container, media, _part(probe), probe.duration_s if probe else None)
    source = _known(source, told)
    if not source.pictures and not source.sounds:
        raise StageError(f"{media.name}: has neither sound nor picture", remedy)
    transcript = formats.read_optional(ctx.inputs("transcript"), Transcript)
    languages = {"first": params.default_language, "burnt": params.burn_in}
    spoken = probe.language if probe else None
    subtitles = captions(ctx.inputs("subtitles"), transcript, spoken, **languages, stage=ctx.stage)
    burnt = _burnt(params, subtitles, source, told)
    with tempfile.TemporaryDirectory(dir=ctx.out) as folder:  # sound is large
        _write(Order(source, subtitles, burnt, params, told, Path(folder), _canvas(source, probe)), ctx.out)
    formats.write(ctx.output("report"), Report(told.lines))


def _canvas(source: Recording, probe: Probe | None) -> Canvas:
    """What subtitles are painted on: the first picture as it is shown."""
    if probe and probe.video:
        return Canvas.of(probe)
    for track in source.pictures[:1]:
        with opened(source.path, "") as container:
            return Canvas.showing(video_track(0, container, container.streams[track.index], 0.0))
    return Canvas.of(None)


def _known(source: Recording, told: Told) -> Recording:
    """The recording without tracks that ffmpeg can't read; attachments and what is data need no decoder."""
    unknown = [t for t in source.tracks if t.codec == "unknown" and t.kind in ("audio", "video", "subtitle")]
    for track in unknown:
        told.tell(f"{track.kind} in track {track.index} is of no codec that ffmpeg knows: left out")
    return replace(source, tracks=tuple(track for track in source.tracks if track not in unknown))


def _part(probe: Probe | None) -> tuple[float, float] | None:
    """Where the clip starts and ends that `demux` cut; None where it is the whole recording."""
    if probe is None:
        return None
    whole = probe.clip_start_s <= 0 and probe.clip_end_s >= probe.duration_s
    return None if whole else (probe.clip_start_s, probe.clip_end_s)


def _burnt(params: MuxParams, subtitles: list[Subtitles], source: Recording, told: Told) -> Subtitles | None:
    """The subtitles to paint into the picture; None where there are none to paint."""
    if params.burn_in is None:
        return None
    if not source.pictures:
        raise StageError(
            f"{told.name}: burn_in = {params.burn_in!r}: it has no picture", f"doit {told.stage}.burn_in=null"
        )
    found = [shown for shown in subtitles if shown.language == params.burn_in]
    if not found:
        told.tell(f"burn_in = {params.burn_in!r}: nothing to burn in, there are no cues")
    return found[0] if found else None


def _write(order: Order, out: Path, refused: frozenset[str] = frozenset()) -> None:
    """Write the new file; once more, with what ffmpeg can't copy encoded, where it says so.

    Args:
        refused: the codecs that it couldn't copy.
    """
    source, told = order.source, order.told
    copied, burnt = order.params.clip == "copy", order.burnt is not None
    suffix, encoded, clip = layout(source, order.params.container, copied, burnt, refused, told)
    # A player would show subtitles beside it, under its own name, over those that are painted in.
    name = f"video.burnt-{order.burnt.language}.{suffix}" if order.burnt else f"video.{suffix}"
    plan = Plan(suffix, source, clip, out / name, order.folder)
    _add_pictures_and_sounds(plan, encoded, order)
    for number, shown in enumerate(each for each in order.subtitles if each != order.burnt):
        flags = {"default"} if number == 0 and not burnt else set()
        plan.add_subtitles(shown.path, "srt", to_container(shown.language), shown.title, flags)
    add_own_subtitles(plan, burnt, told)
    _add_the_rest(plan, told)
    try:
        said = run_ffmpeg(
            [*plan.arguments(), *BITEXACT, plan.path, *plan.aside()], what=f"putting {told.name} together"
        )
    except StageError as error:
        found = NO_CODEC_TAG.search(str(error))
        if found is None or found[1] in refused:
            raise
        plan.path.unlink(missing_ok=True)
        _write(order, out, refused | {found[1]})
        return
    plan.finish()
    if NO_FONT in said:
        raise StageError(f"{told.name}: burn_in: no font on this machine", "sudo apt-get install fonts-dejavu-core")
    if NO_GLYPH in said:
        told.tell("burn_in: no font here has all its characters; fonts-noto-core has most")
    heard(said, told, plan.suffix)
    for number, track in enumerate(source.pictures):
        if track.index in encoded and said.strip():
            _count(plan, track, number, told)


def _count(plan: Plan, track: Track, number: int, told: Told) -> None:
    """Say how many of a picture's frames are gone, which is the `number`th in the new file."""
    there = pictures_in(plan.recording.path, track.index, plan.clip)
    gone = there - pictures_in(plan.path, number, None)
    if gone > 0:
        told.tell(f"{gone} of {there} pictures are damaged and not there; the ones before them stay on show")


def _add_pictures_and_sounds(plan: Plan, encoded: set[int], order: Order) -> None:
    """All pictures, then all sounds, each copied or encoded; where none is the default, the first is."""
    quality, told = encoding.Quality(order.params.crf, order.params.preset), order.told
    burnt = encoding.Painted(order.burnt.path, order.canvas) if order.burnt else None
    for tracks in (plan.recording.pictures, plan.recording.sounds):
        chosen = any("default" in track.flags for track in tracks)
        for number, track in enumerate(tracks):
            options = [("c", "copy"), *plan.last_picture(track)]
            codec = track.codec
            if track.index in encoded and track.look:
                codec = encoding.picture_codec(track.look)
                options = encoding.picture_options(track.look, plan.clip, burnt, quality)
                for lost in encoding.picture_losses(track.look):
                    told.tell(f"the picture is encoded: {lost}")
            if codec == "hevc" and plan.suffix != "mkv":
                options.append(("tag", "hvc1"))  # Apple's players take no other
            options += plan.timecode(track)
            flags = track.flags | ({"default"} if number == 0 and not chosen else set())
            if track.index in encoded and track.kind == "audio":
                made = soundtrack(plan.recording, track, plan.folder, told)
                plan.add_sound(track, made, encoding.sound_options(track), flags)
            else:
                plan.add(track, options, flags)
    covers = [track for track in plan.recording.tracks if track.cover is not None and plan.suffix != "mkv"]
    for track in covers:
        if track.codec in MP4_COVERS:
            plan.add(track, [("c", "copy")], track.flags)
        else:
            told.tell(f"its cover in track {track.index} ({track.codec}) doesn't fit in {plan.suffix}: left out")


def _add_the_rest(plan: Plan, told: Told) -> None:
    """Its data, as far as the new file can hold them, and a word on all that it can't."""
    where = "a clip" if plan.clip else plan.suffix
    for track in plan.recording.tracks:
        if track.kind == "data" and not track.hidden:
            if track.tag in MP4_DATA and plan.suffix != "mkv" and not plan.clip:
                plan.add(track, [("c", "copy")], track.flags)
            else:
                what = track.tag or track.codec
                told.tell(f"the data in track {track.index} ({what}) don't fit in {where}: left out")
        elif track.kind == "attachment" and plan.suffix != "mkv":
            name = track.tags.get("filename", track.codec)
            told.tell(f"what is attached to it ({name}) doesn't fit in {plan.suffix}: left out")
    lost = lost_tags(plan.recording.tags, plan.suffix)
    if lost:
        told.tell(f"its tags {', '.join(lost)} don't fit in {plan.suffix}: left out")
