"""A picture that is encoded again: HDR, bits, fields and shape, and exactly the frames of the clip."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mediabuild.stage import Context
from tests.stages.looking import clip_probe, new_file, pictures_of, warnings_of

Run = Callable[..., Context]

PQ, HLG, BT2020, BT2020_NC, BT709 = 16, 18, 9, 9, 1  # ITU-T H.273
HDR = "color_primaries=bt2020:colorspace=bt2020nc"


def film(rec: Any, path: Path, picture: str, *encoder: str, seconds: float = 2) -> Path:
    """A moving test picture from a filter graph, with a tone."""
    rec.ffmpeg(
        *("-f", "lavfi", "-i", picture, "-f", "lavfi", "-i", f"sine=d={seconds}", "-t", str(seconds)),
        *("-c:a", "aac", *encoder, path),
    )
    return path


@pytest.fixture
def subtitles(rec: Any, tmp_path: Path) -> Path:
    """One cue from 0.5 s to 1.5 s."""
    path: Path = rec.write_srt(tmp_path / "subtitles.en.srt", [(0.5, 1.5, "Good morning, it rains.")])
    return path


def picture_of(path: Path) -> tuple[str, str, tuple[int, int, int], bool]:
    """Codec, pixel format, colours (primaries, transfer, matrix) of the picture, and whether a frame is interlaced."""
    import av

    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        known = stream.codec_context
        colours = int(known.color_primaries), int(known.color_trc), int(known.colorspace)
        interlaced = any(frame.interlaced_frame for frame in container.decode(stream))
        return known.codec.canonical_name, known.pix_fmt, colours, interlaced


@pytest.mark.parametrize("params", [{"burn_in": "en"}, {}])
@pytest.mark.parametrize(("name", "transfer"), [("smpte2084", PQ), ("arib-std-b67", HLG)])
def test_hdr_stays_hdr(
    rec: Any, run_stage: Run, subtitles: Path, tmp_path: Path, name: str, transfer: int, params: dict[str, str]
) -> None:
    """Ten bits and the tags that players go by; painted text doesn't dazzle: it is far below the brightest white."""
    import av

    picture = f"color=0x404040:s=640x360:r=25,format=yuv420p10le,setparams=color_trc={name}:{HDR}"
    media = film(
        rec, tmp_path / "hdr.mp4", picture, "-c:v", "libx265", "-x265-params", "log-level=error", "-tag:v", "hvc1"
    )
    inputs = {"media": media, "subtitles": subtitles}
    if not params:
        inputs["probe"] = clip_probe(tmp_path, 0.4, 1.6, 2.0)
    context = run_stage("mux", inputs, preset="ultrafast", **params)
    assert picture_of(new_file(context))[:3] == ("hevc", "yuv420p10le", (BT2020, transfer, BT2020_NC))
    assert warnings_of(context) == []
    if params:
        with av.open(str(new_file(context))) as container:
            brightest = max(
                int(frame.reformat(format="gray10le").to_ndarray().max()) for frame in container.decode(video=0)
            )
        assert 500 < brightest < 850  # of 940, which is 10,000 cd/m² in PQ


@pytest.mark.parametrize(
    ("picture", "encoder", "made", "said"),
    [
        ("format=yuv420p10le", ("libx264",), ("hevc", "yuv420p10le"), []),
        ("format=yuv422p10le", ("libx264",), ("hevc", "yuv420p10le"), ["4:2:2 becomes 4:2:0"]),
        ("format=yuv444p", ("libx264",), ("h264", "yuv420p"), ["4:4:4 becomes 4:2:0"]),
        ("format=yuv420p12le", ("ffv1",), ("hevc", "yuv420p10le"), ["12 bits become 10"]),
        ("format=yuva420p", ("ffv1",), ("h264", "yuv420p"), ["its transparency is gone"]),
        ("format=yuva420p", ("libvpx-vp9", "-b:v", "500k"), ("h264", "yuv420p"), ["its transparency is gone"]),
        ("format=bgr0", ("ffv1",), ("h264", "yuv420p"), ["RGB becomes 4:2:0"]),
        ("format=gray", ("ffv1",), ("h264", "yuv420p"), []),
        ("format=yuvj420p", ("libx264",), ("h264", "yuvj420p"), []),
    ],
)
def test_bits_and_colours_are_kept_or_named(
    rec: Any,
    run_stage: Run,
    subtitles: Path,
    tmp_path: Path,
    picture: str,
    encoder: tuple[str, ...],
    made: tuple[str, str],
    said: list[str],
) -> None:
    """Ten bits stay ten; 4:2:0 is what players show; what isn't kept is said."""
    media = film(rec, tmp_path / "film.mkv", f"testsrc2=s=320x180:r=25,{picture}", "-c:v", *encoder)
    context = run_stage("mux", {"media": media, "subtitles": subtitles}, burn_in="en", preset="ultrafast")
    assert picture_of(new_file(context))[:2] == made
    assert warnings_of(context) == [f"film.mkv: the picture is encoded: {line}" for line in said]


def test_a_screen_recording_keeps_its_colours(rec: Any, run_stage: Run, subtitles: Path, tmp_path: Path) -> None:
    """RGB becomes what players take an untold picture for, and is tagged so."""
    import av

    media = film(rec, tmp_path / "screen.mov", "color=0xC82828:s=1280x720:r=25", "-c:v", "qtrle", "-pix_fmt", "rgb24")
    video = new_file(run_stage("mux", {"media": media, "subtitles": subtitles}, burn_in="en", preset="ultrafast"))
    assert picture_of(video)[2][2] == BT709
    with av.open(str(video)) as container:
        shown = next(container.decode(video=0)).reformat(format="rgb24", src_colorspace="ITU709").to_ndarray()
    assert shown[0, 0] == pytest.approx([0xC8, 0x28, 0x28], abs=4)


@pytest.mark.parametrize("params", [{"burn_in": "en"}, {}])
@pytest.mark.parametrize(
    ("suffix", "encoder"), [("ts", ("mpeg2video", "-b:v", "4M")), ("mp4", ("libx264",)), ("mkv", ("ffv1",))]
)
def test_an_interlaced_picture_is_deinterlaced(
    rec: Any,
    run_stage: Run,
    subtitles: Path,
    tmp_path: Path,
    suffix: str,
    encoder: tuple[str, ...],
    params: dict[str, str],
) -> None:
    """No comb is left, no frame is lost, and it is said."""
    import av

    fields = "testsrc2=s=720x576:r=50,tinterlace=interleave_top,setfield=tff,format=yuv420p"
    media = film(
        rec, tmp_path / f"tape.{suffix}", fields, "-c:v", *encoder, "-flags", "+ildct+ilme", "-field_order", "tt"
    )
    inputs = {"media": media, "subtitles": subtitles}
    if not params:
        inputs["probe"] = clip_probe(tmp_path, 0.4, 1.6, 2.0)
    context = run_stage("mux", inputs, preset="ultrafast", **params)
    assert f"{media.name}: the picture is encoded: interlaced, each two fields become one picture" in warnings_of(
        context
    )
    assert picture_of(new_file(context))[3] is False

    def combs(path: Path) -> float:
        with av.open(str(path)) as container:
            frames = [frame.to_ndarray(format="gray").astype(int) for frame in container.decode(video=0)]
        return float(np.mean([np.abs(f[1:-1:2] * 2 - f[:-2:2] - f[2::2]).mean() for f in frames]))

    assert combs(new_file(context)) < 0.6 * combs(media)
    with av.open(str(new_file(context))) as container:
        assert sum(1 for packet in container.demux(video=0) if packet.size) in ((50,) if params else (30, 31))


@pytest.mark.parametrize("container", ["mp4", "mkv"])
@pytest.mark.parametrize("rate", ["24", "25", "50", "24000/1001", "30000/1001", "varying"])
def test_a_clip_has_exactly_its_frames(
    rec: Any, run_stage: Run, subtitles: Path, tmp_path: Path, rate: str, container: str
) -> None:
    """From the one on show at its start up to the last that begins before its end; each at its time."""
    if rate == "varying":
        times_s = [0.0]
        while times_s[-1] < 6:
            times_s.append(round(times_s[-1] + (0.033, 0.041, 0.017, 0.1)[len(times_s) % 4], 3))
    else:
        times_s = [float(n / Fraction(rate)) for n in range(round(6 * Fraction(rate)))]
    pictures = rec.write_pictures(tmp_path / "pictures.mp4", times_s, gop=60)
    media = tmp_path / "film.mkv"
    rec.ffmpeg("-i", pictures, "-f", "lavfi", "-i", "sine=d=6", "-c:v", "copy", "-c:a", "aac", media)
    for start_s, end_s in ((0.0, 2.5), (1.5, 4.0), (2.002, 5.005)):
        inputs = {"media": media, "subtitles": subtitles, "probe": clip_probe(tmp_path, start_s, end_s, 6.1)}
        shown = pictures_of(rec, new_file(run_stage("mux", inputs, container=container, preset="ultrafast")))
        first = max(n for n, time_s in enumerate(times_s) if time_s < start_s + 0.002)
        last = max(n for n, time_s in enumerate(times_s) if time_s < end_s - 0.002)
        assert [number for _, number in shown] == list(range(first, last + 1))
        where_s = [max(0.0, times_s[n] - start_s) for n in range(first, last + 1)]
        assert [time_s for time_s, _ in shown] == pytest.approx(where_s, abs=0.002)


@pytest.mark.parametrize("container", ["mp4", "mkv"])
def test_the_last_picture_ends_with_the_clip(
    rec: Any, run_stage: Run, subtitles: Path, tmp_path: Path, container: str
) -> None:
    """Slides stay for long; the file isn't longer for it."""
    import av

    slides = rec.write_pictures(tmp_path / "slides.mp4", [0, 1.0, 9.0, 11.9], gop=100)
    media = tmp_path / "talk.mp4"
    rec.ffmpeg("-i", slides, "-f", "lavfi", "-i", "sine=d=12", "-c:v", "copy", "-c:a", "aac", media)
    inputs = {"media": media, "subtitles": subtitles, "probe": clip_probe(tmp_path, 0.5, 3.0)}
    video = new_file(run_stage("mux", inputs, container=container, preset="ultrafast"))
    assert [number for _, number in pictures_of(rec, video)] == [0, 1]
    with av.open(str(video)) as file:
        assert file.duration / av.time_base == pytest.approx(2.5, abs=0.05)


@pytest.mark.parametrize("turned", [False, True])
def test_text_in_an_upright_picture_is_as_wide_as_it_is(rec: Any, run_stage: Run, tmp_path: Path, turned: bool) -> None:
    """A line that fits an upright picture stays one line; it was four, in letters made for a wide picture."""
    import av

    line = "He walked along the river until"  # what fits into 1080 pixels
    srt = rec.write_srt(tmp_path / "subtitles.en.srt", [(0.0, 2.0, line)])
    upright = film(rec, tmp_path / "upright.mp4", "color=gray:s=360x640:r=25", "-c:v", "libx264", "-pix_fmt", "yuv420p")
    media = tmp_path / "phone.mp4"
    if turned:
        wide = film(rec, tmp_path / "wide.mp4", "color=gray:s=640x360:r=25", "-c:v", "libx264", "-pix_fmt", "yuv420p")
        rec.ffmpeg("-display_rotation", "90", "-i", wide, "-c", "copy", media)
    else:
        media = upright
    inputs = {"media": media, "subtitles": srt}
    video = new_file(run_stage("mux", inputs, burn_in="en", preset="ultrafast"))
    with av.open(str(video)) as container:
        frame = next(container.decode(video=0)).to_ndarray(format="gray").astype(int)
    assert frame.shape == (640, 360)
    rows = np.flatnonzero((frame > 200).sum(axis=1))
    columns = np.flatnonzero((frame > 200).sum(axis=0))
    assert rows.max() - rows.min() < 30  # of 640: one line
    assert 100 < columns.max() - columns.min() < 340
    assert columns.min() > 10  # inside the picture
    assert columns.max() < 350


def test_the_same_hdr_picture_gives_the_same_bytes(rec: Any, run_stage: Run, subtitles: Path, tmp_path: Path) -> None:
    """x265 works in threads, too."""
    picture = f"testsrc2=s=640x360:r=25,format=yuv420p10le,setparams=color_trc=smpte2084:{HDR}"
    media = film(rec, tmp_path / "hdr.mp4", picture, "-c:v", "libx265", "-x265-params", "log-level=error")
    inputs = {"media": media, "subtitles": subtitles, "probe": clip_probe(tmp_path, 0.4, 1.6, 2.0)}
    one, two = (new_file(run_stage("mux", inputs, burn_in="en")).read_bytes() for _ in range(2))
    assert one == two
