"""ffmpeg's options for a picture and a sound that are encoded again: what is kept, and what isn't.

Not here: which tracks are encoded (the `mux` stage).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from mediabuild.media.recordings.looks import Look
from mediabuild.media.recordings.tracks import SAME_TIME_S, Clip, Track
from mediabuild.media.subtitles.canvas import FONT_PX, Canvas

# Fixed, because the number of threads changes x264's bits.
THREADS = "4"
# AAC-LC is transparent for most material from here up; twice that for stereo.
AAC_BITS_PER_CHANNEL = 96_000
# White that doesn't dazzle among HDR pictures: 203 cd/m², 58 % of PQ's range and 75 % of HLG's (ITU-R BT.2408).
HDR_WHITE = {"smpte2084": "&H00949494", "arib-std-b67": "&H00BFBFBF"}
# Of painted subtitles, as in the pipeline's `.ass` files (`subtitle_files.ass_header`).
FONT, OUTLINE_PX, SHADOW_PX = "DejaVu Sans", 3, 1
LOSSLESS = {"flac", "wavpack", "tta", "truehd", "mlp", "ape", "tak", "shorten", "s302m"}
MOST_BITS, MOST_CHANNELS = 24, 8  # of FLAC as ffmpeg writes it


@dataclass(frozen=True)
class Quality:
    """x264's and x265's `crf` and `preset`."""

    crf: int
    preset: str


def picture_codec(look: Look | None) -> str:
    """What a picture becomes: H.264, which everything plays, and HEVC where it has more than 8 bits."""
    return "hevc" if look and look.bits > 8 else "h264"


@dataclass(frozen=True)
class Painted:
    """Subtitles to paint into a picture: a SubRip file, and what they are painted on."""

    path: Path
    canvas: Canvas


def picture_options(look: Look, clip: Clip | None, burnt: Painted | None, quality: Quality) -> list[tuple[str, str]]:
    """Options that encode a picture: cut to the clip's frames, one picture of two fields, subtitles painted in."""
    chain = []
    if look.fields:
        unmarked = look.fields == "unmarked"
        chain.append(f"bwdif=mode=send_frame:deint={'all' if unmarked else 'interlaced'}")
    if clip:
        first_s = max(0.0, clip.shown_s - clip.seek_s - SAME_TIME_S / 2)
        last_s = clip.end_s - clip.seek_s - SAME_TIME_S
        chain += [
            f"trim=start={first_s:.6f}:end={last_s:.6f}",
            f"setpts=max(PTS-{clip.start_s - clip.seek_s:.6f}/TB\\,0)",
        ]
    if burnt:
        chain.append(f"subtitles=filename={_escaped(burnt.path)}:force_style='{_style(burnt.canvas, look)}'")
    length_s = clip.end_s - clip.start_s if clip else 0.0
    # The last picture ends with the clip, and not where the next one would have followed.
    ends = [("bsf", f"setts=pts=PTS:dts=DTS:duration=clip(DURATION\\,0\\,{length_s:.6f}/TB-PTS)")] if clip else []
    deep = picture_codec(look) == "hevc"
    if look.chroma == "RGB":  # what players take for granted where nothing is said, in all but the smallest pictures
        chain.append("scale=out_color_matrix=bt709:out_range=tv")
    chain += ["crop=trunc(iw/2)*2:trunc(ih/2)*2", f"format={'yuv420p10le' if deep else 'yuv420p'}"]
    encoder = [("c", "libx265"), ("x265-params", "log-level=error")] if deep else [("c", "libx264")]
    return [
        *encoder,
        *ends,
        ("crf", str(quality.crf)),
        ("preset", quality.preset),
        ("threads", THREADS),
        # The source's own time base: otherwise every frame moves to the nearest tick of the average rate.
        ("fps_mode", "vfr"),
        ("enc_time_base", "demux"),
        ("filter", ",".join(chain)),
    ]


def _style(canvas: Canvas, look: Look) -> str:
    """The look of the `.ass` files that the pipeline writes, for libass."""
    style = {
        "PlayResX": canvas.width_px,
        "PlayResY": canvas.height_px,
        "WrapStyle": 0,
        "ScaledBorderAndShadow": "yes",
        "FontName": FONT,
        "FontSize": FONT_PX,
        "Outline": OUTLINE_PX,
        "Shadow": SHADOW_PX,
        "MarginL": canvas.side_px,
        "MarginR": canvas.side_px,
        "MarginV": canvas.bottom_px,
    }
    if look.transfer:
        style["PrimaryColour"] = HDR_WHITE[look.transfer]
    return ",".join(f"{name}={value}" for name, value in style.items())


def picture_losses(look: Look) -> list[str]:
    """What a picture is no more when it is encoded, in a few words each."""
    lost = []
    deepest = 10 if picture_codec(look) == "hevc" else 8
    if look.bits > deepest:
        lost.append(f"{look.bits} bits become {deepest}")
    if look.chroma not in ("4:2:0", "grey"):
        lost.append(f"{look.chroma} becomes 4:2:0")
    if look.alpha:
        lost.append("its transparency is gone")
    if look.dolby_vision:
        lost.append("Dolby Vision is gone")
    if look.fields:
        lost.append("interlaced, each two fields become one picture")
    return lost


def sound_codec(track: Track) -> str:
    """What a sound becomes: lossless what was lossless, otherwise AAC."""
    few = track.sound is not None and len(track.sound.names) <= MOST_CHANNELS
    if few and track.codec == "alac":
        return "alac"
    lossless = track.codec in LOSSLESS or track.codec.startswith("pcm_")
    return "flac" if few and lossless else "aac"


def sound_options(track: Track) -> list[tuple[str, str]]:
    """Options that encode a sound from its WAV."""
    if sound_codec(track) != "aac":
        return [("c", sound_codec(track))]
    channels = len(track.sound.names) if track.sound else 2
    return [("c", "aac"), ("b", str(AAC_BITS_PER_CHANNEL * channels))]


def _escaped(path: Path) -> str:
    """A path as a filter's option in a filter graph: escaped once for each of the two.

    https://ffmpeg.org/ffmpeg-filters.html#Notes-on-filtergraph-escaping
    """
    option = re.sub(r"([\\':])", r"\\\1", str(path))
    return re.sub(r"([\\'\[\],;])", r"\\\1", option)
