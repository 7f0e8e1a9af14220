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
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from mediabuild.errors import StageError
from mediabuild.media.ffmpeg import BITEXACT, run_ffmpeg
from mediabuild.media.formats import Probe, read_optional
from mediabuild.media.languages import to_container
from mediabuild.media.recording import codec_of, frames_before, is_cover, opened
from mediabuild.stage import Context, stage

# What mp4 holds and common players play from it; anything else goes to Matroska.
MP4_PICTURE = {"h264", "hevc", "av1", "vp9", "mpeg4", "mpeg2video", "mpeg1video", "mjpeg"}
MP4_SOUND = {"aac", "alac", "mp3", "mp2", "ac3", "eac3", "opus", "flac"}
M4A_SOUND = {"aac", "alac"}
TEXT_SUBTITLES = {"mov_text", "subrip", "ass", "webvtt", "text"}
BITMAP_SUBTITLES = {"hdmv_pgs_subtitle", "dvd_subtitle", "dvb_subtitle"}
COVERS = {"mjpeg": ("jpg", "image/jpeg"), "png": ("png", "image/png")}
# Fixed, because the number of threads changes x264's bits.
X264_THREADS = "4"
# AAC-LC is transparent for most material from here up; twice that for stereo.
AAC_BITS_PER_CHANNEL = 96_000
# A frame's time is a rounded fraction: look for it from a little earlier on, less than any frame lasts.
EARLIER_S = 0.001
# What libass says where it finds no font at all, and where no font has some character.
NO_FONT, NO_GLYPH = "Failed to load fontconfig fonts", "failed to find any fallback"


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
    """One track of the recording; `index` counts all its tracks, `cover` is an attached picture's bytes."""

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
        shown_s: when the frame that is shown at `start_s` begins.
        seek_s: where reading starts; what lies before the clip is cut off by filters.
        keyframe_s: where a copy starts.
    """

    start_s: float
    end_s: float
    shown_s: float
    seek_s: float
    keyframe_s: float


@dataclass
class Plan:
    """An ffmpeg command in the making: what is read, and the tracks of the new file in their order.

    `tracks` holds what each is mapped from, and its options without their track number.
    """

    suffix: str
    inputs: list[str] = field(default_factory=list)
    tracks: list[tuple[str, dict[str, str]]] = field(default_factory=list)

    def arguments(self) -> list[str]:
        """ffmpeg's arguments before the file to write."""
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
    tracks, matroska, clip = _inspect(ctx, media)
    pictures = {track.index for track in tracks if track.kind == "video" and track.cover is None}
    burnt = _burnt(ctx, params, subtitles, media.name, bool(pictures))
    encoded = pictures if burnt else set()
    if clip and (params.clip == "encode" or params.burn_in):
        encoded = {track.index for track in tracks}
    elif clip:
        lead_s = clip.start_s - clip.keyframe_s
        clip = replace(clip, shown_s=clip.start_s, seek_s=clip.start_s)
        if lead_s > 0:
            ctx.warn(f"{media.name}: the clip is a copy, which starts {lead_s:.2f} s early, at a keyframe")
    suffix, unfit = _container(ctx, params, tracks, encoded, matroska, media.name)
    plan = Plan(suffix, _reading(media, clip))
    _add_picture_and_sound(plan, tracks, encoded | unfit, clip, burnt, params)
    _add_subtitles(plan, {tag: path for tag, path in subtitles.items() if path != burnt}, shown=burnt is None)
    _add_own_subtitles(ctx, plan, tracks, media.name, clip)
    _write(ctx, plan, tracks, media.name)


def _subtitles(ctx: Context, params: MuxParams) -> dict[str, Path]:
    """Language → SubRip file, the default language first."""
    found = {}
    for name, path in ctx.inputs("subtitles").items():
        tag = re.search(r"\.([A-Za-z0-9-]+)\.srt$", path.name)
        if tag is None:
            raise StageError(f"mux: {name}: its name should end in .LANGUAGE.srt", 'subtitles = "subtitles.srt"')
        found[tag.group(1)] = path.absolute()
    first = params.default_language
    if first is not None:
        _expect(first, found, "default_language")
        found = {first: found[first]} | found
    return found


def _expect(language: str, subtitles: dict[str, Path], param: str) -> None:
    """Raise a StageError where there are no subtitles in a language that a param names."""
    if language not in subtitles:
        there = ", ".join(subtitles) or "none"
        hint = f"doit mux.{param}={next(iter(subtitles))}" if subtitles else ""
        raise StageError(f"mux: {param} = {language!r}: there are no such subtitles; there are: {there}", hint)


def _burnt(ctx: Context, params: MuxParams, subtitles: dict[str, Path], name: str, picture: bool) -> Path | None:
    """The subtitles to paint into the picture; None where there are none to paint."""
    if params.burn_in is None:
        return None
    _expect(params.burn_in, subtitles, "burn_in")
    if not picture:
        raise StageError(f"{name}: burn_in = {params.burn_in!r}: it has no picture", "doit mux.burn_in=null")
    path = subtitles[params.burn_in]
    if not path.read_text(encoding="utf-8").strip():  # libass can't open an empty file
        ctx.warn(f"{name}: nothing to burn in, the subtitles are empty")
        return None
    return path


def _inspect(ctx: Context, media: Path) -> tuple[list[Track], bool, Clip | None]:
    """The recording's tracks, whether it is a Matroska file, and its clip."""
    remedy = f"doit ignore 'mux:{ctx.job}'"
    with opened(media, remedy) as container:
        tracks = [_track(stream) for stream in container.streams]
        for track in tracks:
            if track.codec == "unknown" and track.kind in ("audio", "video", "subtitle"):
                ctx.warn(
                    f"{media.name}: {track.kind} in track {track.index} is of no codec that ffmpeg knows: left out"
                )
        tracks = [track for track in tracks if track.codec != "unknown" or track.kind == "attachment"]
        if not any(track.kind in ("audio", "video") for track in tracks):
            raise StageError(f"{media.name}: has neither sound nor picture", remedy)
        return tracks, "matroska" in container.format.name, _clip(ctx, container)


def _track(stream: Any) -> Track:
    """What mux wants to know of a stream."""
    cover = None
    if is_cover(stream):
        cover = next((bytes(packet) for packet in stream.container.demux(stream) if packet.size), b"")
    channels = stream.codec_context.channels if stream.type == "audio" and stream.codec_context else 0
    return Track(stream.index, stream.type, codec_of(stream), channels, cover)


def _clip(ctx: Context, container: Any) -> Clip | None:
    """The clip that `demux` cut, with the frames that matter for it; None where it is the whole recording."""
    probe = read_optional(ctx.inputs("probe"), Probe)
    if probe is None:
        return None
    start_s, end_s = probe.clip_start_s, probe.clip_end_s
    if start_s <= 0 and end_s >= probe.duration_s:
        return None
    shown_s = keyframe_s = start_s
    picture = next((stream for stream in container.streams.video if not is_cover(stream)), None)
    if picture is not None and start_s > 0:
        shown_s, keyframe_s = frames_before(container, picture, start_s)
    # MPEG has no index: a search in it lands anywhere, so there it is read from its beginning.
    seek_s = 0.0 if "mpeg" in container.format.name else max(0.0, shown_s - EARLIER_S)
    return Clip(start_s, end_s, shown_s, seek_s, keyframe_s)


def _container(
    ctx: Context, params: MuxParams, tracks: list[Track], encoded: set[int], matroska: bool, name: str
) -> tuple[str, set[int]]:
    """The new file's suffix, and the tracks that have to be encoded because it can't hold them."""
    if params.container == "mkv" or (params.container == "auto" and matroska):
        return "mkv", set()
    copied = [track for track in tracks if track.index not in encoded and track.cover is None]
    holds = {"video": MP4_PICTURE, "audio": MP4_SOUND}
    unfit = [track for track in copied if track.kind in holds and track.codec not in holds[track.kind]]
    if unfit:
        codecs = ", ".join(sorted({track.codec for track in unfit}))
        if params.container == "auto":
            ctx.warn(f"{name}: mp4 can't hold {codecs}, so this is an mkv")
            return "mkv", set()
        ctx.warn(f"{name}: mp4 can't hold {codecs}, which is encoded again")
        return "mp4", {track.index for track in unfit}
    pictures = [track for track in tracks if track.kind == "video" and track.cover is None]
    sounds = {track.codec for track in copied if track.kind == "audio"}
    return ("m4a" if params.container == "auto" and not pictures and sounds <= M4A_SOUND else "mp4"), set()


def _reading(media: Path, clip: Clip | None) -> list[str]:
    """How ffmpeg reads the recording; seconds with six digits, since it knows no more."""
    if clip is None:
        return ["-i", str(media)]
    return ["-ss", f"{clip.seek_s:.6f}", "-t", f"{clip.end_s - clip.seek_s:.6f}", "-i", str(media)]


def _add_picture_and_sound(
    plan: Plan, tracks: list[Track], encoded: set[int], clip: Clip | None, burnt: Path | None, params: MuxParams
) -> None:
    """All pictures, then all sounds, each copied or encoded; covers are copied, in mkv by `_write`."""
    for track in sorted(tracks, key=lambda track: track.kind != "video"):
        if track.kind not in ("video", "audio") or (track.cover is not None and plan.suffix == "mkv"):
            continue
        options = {"c": "copy"}
        if track.index in encoded and track.cover is None:
            options = _picture(clip, burnt, params) if track.kind == "video" else _sound(track, clip)
        elif track.codec == "hevc" and plan.suffix == "mp4":
            options["tag"] = "hvc1"  # Apple's players take no other
        plan.tracks.append((f"0:{track.index}", options))


def _picture(clip: Clip | None, burnt: Path | None, params: MuxParams) -> dict[str, str]:
    """Options that encode a picture: cut at the clip's start, subtitles painted in, even in size."""
    chain = []
    if clip:
        first_s = max(0.0, clip.shown_s - clip.seek_s - EARLIER_S)
        chain = [f"trim=start={first_s:.6f}", f"setpts=max(PTS-{clip.start_s - clip.seek_s:.6f}/TB\\,0)"]
    if burnt:
        chain.append(f"subtitles=filename={_escaped(burnt)}:force_style='FontName=DejaVu Sans'")
    chain += ["crop=trunc(iw/2)*2:trunc(ih/2)*2", "format=yuv420p"]
    # The source's own time base: otherwise every frame moves to the nearest tick of the average rate.
    times = {"fps_mode": "vfr", "enc_time_base": "demux"}
    x264 = {"c": "libx264", "crf": str(params.crf), "preset": params.preset, "threads": X264_THREADS}
    return x264 | times | {"filter": ",".join(chain)}


def _sound(track: Track, clip: Clip | None) -> dict[str, str]:
    """Options that encode a sound: cut at the clip's start, silence where it starts late or has holes."""
    chain = []
    if clip:
        lead_s = clip.start_s - clip.seek_s
        chain = [f"atrim=start={lead_s:.6f}", f"asetpts=PTS-{lead_s:.6f}/TB"]
    chain.append("aresample=async=1:first_pts=0")
    return {"c": "aac", "b": str(AAC_BITS_PER_CHANNEL * (track.channels or 2)), "filter": ",".join(chain)}


def _escaped(path: Path) -> str:
    """A path as a filter's option in a filter graph: escaped once for each of the two.

    https://ffmpeg.org/ffmpeg-filters.html#Notes-on-filtergraph-escaping
    """
    option = re.sub(r"([\\':])", r"\\\1", str(path))
    return re.sub(r"([\\'\[\],;])", r"\\\1", option)


def _add_subtitles(plan: Plan, subtitles: dict[str, Path], *, shown: bool) -> None:
    """The pipeline's subtitles; the first is the default one, unless others are painted in already.

    (In mp4 the first is always the default; those that are painted in are left out.)
    """
    for number, (language, path) in enumerate(subtitles.items()):
        plan.inputs += ["-f", "srt", "-i", str(path)]  # an empty file is no SubRip that ffmpeg would recognise
        options = {
            "c": "srt" if plan.suffix == "mkv" else "mov_text",
            "metadata:s": f"language={to_container(language)}",
            "disposition": "default" if shown and number == 0 else "0",
        }
        plan.tracks.append((f"{number + 1}:s", options))


def _add_own_subtitles(ctx: Context, plan: Plan, tracks: list[Track], name: str, clip: Clip | None) -> None:
    """The subtitles that the recording had, after the pipeline's, as far as the new file can hold them."""
    for track in tracks:
        if track.kind != "subtitle":
            continue
        text = track.codec in TEXT_SUBTITLES
        if clip or not (text or (plan.suffix == "mkv" and track.codec in BITMAP_SUBTITLES)):
            where = "a clip" if clip else plan.suffix
            ctx.warn(f"{name}: its own subtitles in track {track.index} ({track.codec}) don't fit in {where}: left out")
        elif plan.suffix == "mkv":
            codec = "srt" if track.codec == "mov_text" else "copy"
            plan.tracks.append((f"0:{track.index}", {"c": codec, "disposition": "0"}))
        else:
            plan.tracks.append((f"0:{track.index}", {"c": "mov_text", "disposition": "0"}))


def _write(ctx: Context, plan: Plan, tracks: list[Track], name: str) -> None:
    """Run ffmpeg; in mkv, attachments are kept, and a cover becomes one."""
    with tempfile.TemporaryDirectory() as folder:
        args = plan.arguments()
        if plan.suffix == "mkv":
            attached = [track for track in tracks if track.kind == "attachment"]
            args += [part for track in attached for part in ("-map", f"0:{track.index}")]
            for number, track in enumerate((t for t in tracks if t.cover), start=len(attached)):
                suffix, mime = COVERS.get(track.codec, ("jpg", "image/jpeg"))
                cover = Path(folder, f"cover{number}.{suffix}")
                cover.write_bytes(track.cover or b"")
                args += ["-attach", str(cover), f"-metadata:s:t:{number}", f"mimetype={mime}"]
                args += [f"-metadata:s:t:{number}", f"filename=cover.{suffix}"]
        else:
            args += ["-movflags", "+faststart"]
        said = run_ffmpeg([*args, *BITEXACT, ctx.out / f"video.{plan.suffix}"], what=f"putting {name} together")
    if NO_FONT in said:
        raise StageError(f"{name}: burn_in: no font on this machine", "sudo apt-get install fonts-dejavu-core")
    if NO_GLYPH in said:
        ctx.warn(f"{name}: burn_in: no font here has all its characters; fonts-noto-core has most")
