"""Recordings made for the tests, whose every picture and every second of sound says when it is.

A picture carries its number as twelve black or white blocks, so a decoded frame can be told from
its neighbours; the sound is quiet but for a beep of 10 ms at each whole second.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from mediabuild.media.ffmpeg import ffmpeg_path

BLOCK_PX, BITS = 16, 12


def ffmpeg(*args: str | Path) -> None:
    """Run ffmpeg, or fail with what it said."""
    command = [ffmpeg_path(), "-hide_banner", "-loglevel", "error", "-nostdin", "-y", *map(str, args)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def write_pictures(path: Path, times_s: Sequence[float], gop: int = 50, first: int = 0) -> Path:
    """H.264, a picture at each time, numbered from `first`, a keyframe every `gop`, out-of-order frames in between."""
    import av

    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=1000, options={"preset": "veryfast", "sc_threshold": "0"})
        stream.width, stream.height, stream.pix_fmt = BLOCK_PX * BITS, 64, "yuv420p"
        stream.codec_context.gop_size = gop
        stream.codec_context.max_b_frames = 2
        stream.time_base = stream.codec_context.time_base = Fraction(1, 1000)
        for number, time_s in enumerate(times_s, start=first):
            bits = [255 * (number >> bit & 1) for bit in range(BITS)]
            luma = np.repeat(np.repeat([bits], BLOCK_PX, axis=1), 64, axis=0).astype(np.uint8)
            frame = av.VideoFrame.from_ndarray(np.repeat(luma[:, :, None], 3, axis=2), format="rgb24")
            frame.pts, frame.time_base = round(time_s * 1000), Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def number_of(frame: Any) -> int:
    """The number that a decoded picture carries."""
    luma = frame.to_ndarray(format="gray")[24:40]
    return sum((luma[:, bit * BLOCK_PX + 4 : bit * BLOCK_PX + 12].mean() > 128) << bit for bit in range(BITS))


def write_sound(path: Path, seconds: float, *, rate_hz: int = 48000, channels: int = 1) -> Path:
    """WAV, a beep at 0, 1, 2 … s in every channel, over noise that is 40 dB below it."""
    import soundfile

    times_s = np.arange(round(seconds * rate_hz)) / rate_hz
    beeps = 0.5 * np.sin(2 * np.pi * 1000 * times_s) * (times_s % 1 < 0.01)
    noise = np.random.default_rng(1).normal(0, 0.005, times_s.size)
    soundfile.write(path, np.repeat((beeps + noise)[:, None], channels, axis=1), rate_hz, subtype="PCM_16")
    return path


def write_joined(path: Path, parts: Sequence[Path]) -> Path:
    """One file after the other, byte by byte, as `cat` does."""
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    return path


def write_beeps(path: Path, seconds: float, *, rate_hz: int = 48000, channels: int = 1) -> Path:
    """WAV, a beep of 50 ms of 1 kHz at 0, 1, 2 … s in every channel, over faint noise."""
    import soundfile

    times_s = np.arange(round(seconds * rate_hz)) / rate_hz
    beeps = 0.5 * np.sin(2 * np.pi * 1000 * times_s) * (times_s % 1 < 0.05)
    noise = np.random.default_rng(1).normal(0, 0.001, times_s.size)
    soundfile.write(path, np.repeat((beeps + noise)[:, None], channels, axis=1), rate_hz, subtype="PCM_16")
    return path


def move_packets(source: Path, target: Path, by_s: Callable[[float], float], **options: str) -> Path:
    """A copy whose packets have other stamps: each is moved by what `by_s` says for its time."""
    import av

    with av.open(str(source)) as given, av.open(str(target), "w", options=options) as made:
        streams = {stream.index: made.add_stream_from_template(stream) for stream in given.streams}
        for packet in given.demux():
            if packet.dts is None:
                continue
            ticks = round(by_s(float(packet.dts * packet.time_base)) / packet.time_base)
            packet.dts += ticks
            packet.pts = packet.dts if packet.pts is None else packet.pts + ticks
            packet.stream = streams[packet.stream_index]
            made.mux(packet)
    return target


def beeps_s(sound: np.ndarray, rate_hz: int) -> list[float]:
    """Where beeps start, in seconds; sound: float [samples] or [samples, channels]."""
    loud = np.flatnonzero(np.abs(sound if sound.ndim == 1 else sound[:, 0]) > 0.2) / rate_hz
    return [float(time) for i, time in enumerate(loud) if i == 0 or time - loud[i - 1] > 0.5]


def shown_s(media: Path, folder: Path) -> list[tuple[float, int]]:
    """When each numbered picture is shown, as ffmpeg has it that reads pictures and sound from the file's beginning."""
    import av

    raw = folder / "shown.nut"
    ffmpeg(
        *("-i", media, "-map", "0:v", "-map", "0:a", "-c:v", "rawvideo", "-pix_fmt", "gray"),
        *("-fps_mode", "passthrough", "-c:a", "copy", raw),
    )
    with av.open(str(raw)) as container:
        return [(frame.time, number_of(frame)) for frame in container.decode(video=0)]


def write_srt(path: Path, cues: Sequence[tuple[float, float, str]]) -> Path:
    """SubRip from `(start_s, end_s, text)`."""

    def stamp(time_s: float) -> str:
        ms = round(time_s * 1000)
        return f"{ms // 3600000:02}:{ms // 60000 % 60:02}:{ms // 1000 % 60:02},{ms % 1000:03}"

    blocks = [f"{i}\n{stamp(start)} --> {stamp(end)}\n{text}\n" for i, (start, end, text) in enumerate(cues, 1)]
    path.write_text("\n".join(blocks), encoding="utf-8")
    return path
