"""The recording again, with the subtitles of every language in it.

Without a clip nothing is encoded again: picture, sound, cover, chapters and the recording's own
subtitles are copied. A clip is encoded again, so that its first picture is the one that is shown
at the clip's start; a copy could only start at a keyframe. Lossless sound stays lossless then, with
up to 24 bits; a picture of more than 8 bits becomes HEVC of 10, and HDR stays HDR. Sound without a
picture becomes an `.m4a` (or `.mp4`), whose subtitles most video players show.

What the new file doesn't hold as the recording did is said, and is in `mux.report.json`.

Not here: how cues are cut and timed (`subtitles`); their times count from the clip's start.
"""

from __future__ import annotations

import re
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from mediabuild.errors import StageError
from mediabuild.media import encoding, formats
from mediabuild.media.containers import MP4_COVERS, MP4_DATA, layout, subtitle_codec
from mediabuild.media.ffmpeg import BITEXACT, run_ffmpeg
from mediabuild.media.formats import Probe, Transcript
from mediabuild.media.languages import name_of, same_language, to_container
from mediabuild.media.losses import Report, Told, heard
from mediabuild.media.plan import Plan
from mediabuild.media.recording import opened
from mediabuild.media.tags import lost_tags
from mediabuild.media.tracks import Recording, recording
from mediabuild.stage import Context, stage

# What libass says where it finds no font at all, and where no font has some character.
NO_FONT, NO_GLYPH = "Failed to load fontconfig fonts", "failed to find any fallback"


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
class Subtitles:
    """The pipeline's subtitles in one language; `title` is what a player calls them."""

    language: str
    title: str
    path: Path


@stage(
    version=2,
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
    told = Told(media.name, ctx.warn)
    remedy = f"doit ignore 'mux:{ctx.job}'"
    with opened(media, remedy) as container:
        source = recording(container, media, _part(ctx))
    source = _known(source, told)
    if not source.pictures and not source.sounds:
        raise StageError(f"{media.name}: has neither sound nor picture", remedy)
    subtitles = _subtitles(ctx, params)
    burnt = _burnt(params, subtitles, source, told)
    suffix, encoded, clip = layout(source, params.container, params.clip == "copy", burnt is not None, told)
    plan = Plan(suffix, source, clip)
    _add_pictures_and_sounds(plan, encoded, burnt, params, told)
    for number, shown in enumerate(s for s in subtitles if s != burnt):
        language = to_container(shown.language)
        plan.add_subtitles(shown.path, language, shown.title, default=number == 0 and burnt is None)
    _add_the_rest(plan, burnt is not None, told)
    # A player would show subtitles beside it, under its own name, over those that are painted in.
    _write(plan, ctx.out / (f"video.burnt-{burnt.language}.{suffix}" if burnt else f"video.{suffix}"), told)
    formats.write(ctx.output("report"), Report(told.lines))


def _known(source: Recording, told: Told) -> Recording:
    """The recording without tracks that ffmpeg can't read; attachments and what is data need no decoder."""
    unknown = [t for t in source.tracks if t.codec == "unknown" and t.kind in ("audio", "video", "subtitle")]
    for track in unknown:
        told.tell(f"{track.kind} in track {track.index} is of no codec that ffmpeg knows: left out")
    return replace(source, tracks=tuple(track for track in source.tracks if track not in unknown))


def _part(ctx: Context) -> tuple[float, float] | None:
    """Where the clip starts and ends that `demux` cut; None where it is the whole recording."""
    probe = formats.read_optional(ctx.inputs("probe"), Probe)
    if probe is None:
        return None
    whole = probe.clip_start_s <= 0 and probe.clip_end_s >= probe.duration_s
    return None if whole else (probe.clip_start_s, probe.clip_end_s)


def _subtitles(ctx: Context, params: MuxParams) -> list[Subtitles]:
    """The pipeline's subtitles, those to be shown first: `default_language`, or else what is spoken."""
    transcript = formats.read_optional(ctx.inputs("transcript"), Transcript)
    probe = formats.read_optional(ctx.inputs("probe"), Probe)
    spoken = transcript.language if transcript else (probe.language if probe else None) or ""
    found = []
    for name, path in ctx.inputs("subtitles").items():
        tag = re.search(r"\.([A-Za-z0-9-]+)\.srt$", path.name)
        if tag is None:
            raise StageError(f"mux: {name}: its name should end in .LANGUAGE.srt", 'subtitles = "subtitles.srt"')
        found.append(Subtitles(tag[1], _title(tag[1], transcript), path.absolute()))
    _expect(params.default_language, found, "default_language")
    _expect(params.burn_in, found, "burn_in")
    first = params.default_language or spoken
    if not any(shown.language == first for shown in found):
        first = next((shown.language for shown in found if same_language(shown.language, first)), "")
    found.sort(key=lambda shown: shown.language != first)
    return [shown for shown in found if "-->" in shown.path.read_text(encoding="utf-8")]


def _title(language: str, transcript: Transcript | None) -> str:
    """What a player calls subtitles: `English (auto)`, `English` where a person wrote them, `Español (machine)`."""
    name = name_of(language)
    if transcript is None:
        return name
    made = "machine"
    if language == transcript.language:
        by_hand = all(segment.avg_logprob is None for segment in transcript.segments)
        made = "" if by_hand else "auto"
    inner = name.removesuffix(")") + ", " if name.endswith(")") else f"{name} ("
    return f"{inner}{made})" if made else name


def _expect(language: str | None, subtitles: list[Subtitles], param: str) -> None:
    """Raise a StageError where there are subtitles, but none in a language that a param names."""
    there = [shown.language for shown in subtitles]
    if there and language is not None and language not in there:
        raise StageError(
            f"mux: {param} = {language!r}: there are no such subtitles; there are: {', '.join(there)}",
            f"doit mux.{param}={there[0]}",
        )


def _burnt(params: MuxParams, subtitles: list[Subtitles], source: Recording, told: Told) -> Subtitles | None:
    """The subtitles to paint into the picture; None where there are none to paint."""
    if params.burn_in is None:
        return None
    if not source.pictures:
        raise StageError(f"{told.name}: burn_in = {params.burn_in!r}: it has no picture", "doit mux.burn_in=null")
    found = [shown for shown in subtitles if shown.language == params.burn_in]
    if not found:
        told.tell(f"burn_in = {params.burn_in!r}: nothing to burn in, there are no cues")
    return found[0] if found else None


def _add_pictures_and_sounds(
    plan: Plan, encoded: set[int], burnt: Subtitles | None, params: MuxParams, told: Told
) -> None:
    """All pictures, then all sounds, each copied or encoded; where none is the default, the first is."""
    quality = encoding.Quality(params.crf, params.preset)
    for tracks in (plan.recording.pictures, plan.recording.sounds):
        chosen = any("default" in track.flags for track in tracks)
        for number, track in enumerate(tracks):
            options = [("c", "copy")]
            codec = track.codec
            if track.index in encoded and track.look:
                codec = encoding.picture_codec(track.look)
                options = encoding.picture_options(track.look, plan.clip, burnt.path if burnt else None, quality)
                for lost in encoding.picture_losses(track.look):
                    told.tell(f"the picture is encoded: {lost}")
            elif track.index in encoded:
                options = encoding.sound_options(track, plan.clip)
            if codec == "hevc" and plan.suffix != "mkv":
                options.append(("tag", "hvc1"))  # Apple's players take no other
            options += plan.timecode(track)
            plan.add(track, options, track.flags | ({"default"} if number == 0 and not chosen else set()))
    covers = [track for track in plan.recording.tracks if track.cover is not None and plan.suffix != "mkv"]
    for track in covers:
        if track.codec in MP4_COVERS:
            plan.add(track, [("c", "copy")], track.flags)
        else:
            told.tell(f"its cover in track {track.index} ({track.codec}) doesn't fit in {plan.suffix}: left out")


def _add_the_rest(plan: Plan, burnt: bool, told: Told) -> None:
    """The subtitles and data that the recording had, after the pipeline's, as far as the new file can hold them."""
    for track in plan.recording.tracks:
        codec = subtitle_codec(plan.suffix, track.codec) if track.kind == "subtitle" else None
        where = "a clip" if plan.clip else plan.suffix
        if track.kind == "subtitle" and (plan.clip or codec is None):
            told.tell(f"its own subtitles in track {track.index} ({track.codec}) don't fit in {where}: left out")
        elif codec is not None:
            shown = track.flags - {"default"} if burnt else track.flags
            plan.add(track, [("c", "copy")] if codec == "copy" else plan.text_codec(codec), shown)
        elif track.kind == "data" and not track.hidden:
            if track.tag in MP4_DATA and plan.suffix != "mkv" and not plan.clip:
                plan.add(track, [("c", "copy")], track.flags)
            else:
                what = track.tag or track.codec
                told.tell(f"the data in track {track.index} ({what}) don't fit in {where}: left out")
        elif track.kind == "attachment" and plan.suffix != "mkv":
            name = track.tags.get("filename", track.codec)
            told.tell(f"what is attached to it ({name}) doesn't fit in {where}: left out")
    lost = lost_tags(plan.recording.tags, plan.suffix)
    if lost:
        told.tell(f"its tags {', '.join(lost)} don't fit in {plan.suffix}: left out")


def _write(plan: Plan, path: Path, told: Told) -> None:
    """Run ffmpeg, and read what it says."""
    with tempfile.TemporaryDirectory() as folder:
        args = plan.arguments(Path(folder))
        said = run_ffmpeg([*args, *BITEXACT, path], what=f"putting {told.name} together")
    plan.finish(path)
    if NO_FONT in said:
        raise StageError(f"{told.name}: burn_in: no font on this machine", "sudo apt-get install fonts-dejavu-core")
    if NO_GLYPH in said:
        told.tell("burn_in: no font here has all its characters; fonts-noto-core has most")
    heard(said, told, plan.suffix)
