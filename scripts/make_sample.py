"""Make `media/sample.mp4` and its reference transcript: a short film to try the pipeline on.

A synthetic voice (hibari-tts) tells of a lighthouse, a LibriVox reader takes over for a sentence,
generated music plays far below both, and a generated picture of the lighthouse moves along. Every
seed is fixed: the same packages on the same machine write the same bytes.

    pip install -e '.[media,dev]' && python scripts/make_sample.py

Not here: what the sample's terms mean in Spanish (`glossary/terms.csv`), and how well it is
understood (`benchmarks/sample.py`).
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import soxr
from hibari import SAMPLE_RATE, Hibari  # type: ignore[import-untyped]

from mediabuild.media.ffmpeg import BITEXACT, ffmpeg_path

Array = Any  # a numpy array; shape and range are in the docstrings

ROOT = Path(__file__).parents[1]
READING = ROOT / "tests/speech/sense_and_sensibility_01_austen_64kb-0870.wav"

BEFORE = (
    "The lighthouse keeper has a house on a small island.",
    "Every evening, he climbs the stairs and cleans the Fresnel lens.",
    "In the logbook, he writes about the wind, the rain and the waves.",
    "Two ships are anchored behind the breakwater.",
    "From the window, he can see an oystercatcher on the beach.",
    "The tower is also the home of a barn owl.",
    "When the night is quiet, he reads an old novel.",
)
# What the LibriVox reader says; the case and the points are those of the book.
READ = (
    "And Mr. John Dashwood had then leisure to consider how much there might be prudently in his power to do for them."
)
AFTER = (
    "In the morning, the lighthouse keeper closes the book and goes to bed.",
    "The barn owl can sleep now, and the breakwater is quiet.",
)

RATE_HZ = 48_000
LEAD_IN_S = 1.0
PAUSE_S = 0.45  # between sentences
READER_PAUSE_S = 0.9  # before and after the LibriVox reader
LEAD_OUT_S = 1.8
VOICE_RMS = 0.08  # −22 dBFS, which keeps the loudest peak below −1 dBFS
MUSIC_BELOW_VOICE_DB = 14.0  # the music's loudest second, below the voice's average
CHORDS_HZ = ((220.00, 261.63, 329.63), (174.61, 220.00, 261.63), (196.00, 261.63, 329.63), (196.00, 246.94, 293.66))
CHORD_S = 4.0
NOTE_S = 0.5

WIDTH_PX, HEIGHT_PX, FRAMES_A_SECOND = 640, 360, 25
HORIZON_PX = 235
LAMP_X_PX, LAMP_Y_PX = 455, 104
BEAM_TURN_S = 8.0


@dataclass(frozen=True)
class Stems:
    """What is heard, apart.

    Args:
        voice: float32 [samples], −1…1, at `RATE_HZ`.
        music: float32 [samples, 2], −1…1, at `RATE_HZ`, as long as the voice.
    """

    voice: Array
    music: Array

    @property
    def mix(self) -> Array:
        """Both together: float32 [samples, 2]."""
        return self.voice[:, None] + self.music

    @property
    def duration_s(self) -> float:
        """How long it is, in seconds."""
        return len(self.voice) / RATE_HZ


def reference() -> str:
    """The words that are spoken, one sentence a line."""
    return "\n".join([*BEFORE, READ, *AFTER]) + "\n"


def record() -> Stems:
    """Speak the text, fit the reader in and put the music below them."""
    voice = _narration()
    music = _music(len(voice))
    loudest = max(_rms(second) for second in np.array_split(music, len(music) // RATE_HZ))
    return Stems(voice, (music * VOICE_RMS * 10 ** (-MUSIC_BELOW_VOICE_DB / 20) / loudest).astype(np.float32))


def _narration() -> Array:
    """The narrator and the reader, float32 [samples], each sentence at the same level."""
    speak = Hibari(threads=1)
    reader, reader_hz = soundfile.read(READING, dtype="float32")
    parts = [_silence(LEAD_IN_S)]
    for text in BEFORE:
        parts += [_levelled(speak(text, seed=0), SAMPLE_RATE), _silence(PAUSE_S)]
    parts += [_silence(READER_PAUSE_S), _levelled(reader, reader_hz), _silence(READER_PAUSE_S)]
    for text in AFTER:
        parts += [_levelled(speak(text, seed=0), SAMPLE_RATE), _silence(PAUSE_S)]
    return np.concatenate([*parts, _silence(LEAD_OUT_S)])


def _levelled(sound: Array, rate_hz: int) -> Array:
    """One sentence at `RATE_HZ` and `VOICE_RMS`."""
    resampled = soxr.resample(sound, rate_hz, RATE_HZ)
    return (resampled * (VOICE_RMS / _rms(resampled))).astype(np.float32)


def _silence(duration_s: float) -> Array:
    return np.zeros(round(duration_s * RATE_HZ), np.float32)


def _rms(sound: Array) -> float:
    return float(np.sqrt(np.mean(np.square(sound, dtype=np.float64))))


def _music(samples: int) -> Array:
    """Slow chords (A minor, F, C, G) under a plucked arpeggio, float64 [samples, 2], at any level."""
    time_s = np.arange(samples) / RATE_HZ
    sound = np.zeros((samples, 2))
    for number in range(int(time_s[-1] // CHORD_S) + 1):
        chord = CHORDS_HZ[number % len(CHORDS_HZ)]
        here = slice(round(number * CHORD_S * RATE_HZ), round((number + 1) * CHORD_S * RATE_HZ))
        local_s = time_s[here] - number * CHORD_S
        swell = np.sin(np.pi * np.clip(local_s / CHORD_S, 0, 1))
        for side, detune in enumerate((0.999, 1.001)):  # a little apart, which sounds wide
            for note_hz in chord:
                sound[here, side] += 0.25 * swell * np.sin(2 * np.pi * note_hz / 2 * detune * local_s)
    for number in range(int(time_s[-1] // NOTE_S)):
        chord = CHORDS_HZ[int(number * NOTE_S // CHORD_S) % len(CHORDS_HZ)]
        start = round(number * NOTE_S * RATE_HZ)
        sound[start:] += _pluck(2 * chord[(0, 1, 2, 1)[number % 4]], number, samples - start)
    fade = np.minimum(1, np.minimum(time_s / 2, (time_s[-1] - time_s) / 3))
    return sound * fade[:, None]


def _pluck(note_hz: float, number: int, samples: int) -> Array:
    """One plucked note, float64 [samples, 2], silent after two seconds; odd ones stand more to the right."""
    time_s = np.arange(min(samples, 2 * RATE_HZ)) / RATE_HZ
    strings = sum(np.sin(2 * np.pi * k * note_hz * time_s) * np.exp(-(2 + k) * time_s) / k**2 for k in (1, 2, 3))
    attack = np.minimum(1, time_s / 0.005) * np.clip((2 - time_s) / 0.2, 0, 1)
    right = 0.35 + 0.3 * (number % 2)
    note = np.zeros((samples, 2))
    note[: len(time_s)] = (0.5 * strings * attack)[:, None] * (1 - right, right)
    return note


def picture(duration_s: float) -> Iterator[Array]:
    """The lighthouse from night to morning: uint8 [height, width, 3] frames."""
    y, x = np.mgrid[0:HEIGHT_PX, 0:WIDTH_PX].astype(np.float32)
    stars = np.random.default_rng(7).random((HEIGHT_PX, WIDTH_PX)) > 0.9993
    count = round(duration_s * FRAMES_A_SECOND)
    for number in range(count):
        dawn = np.clip(2.5 * number / count - 1.5, 0, 1)  # the last two fifths
        colours = _landscape(x, y, stars, number / FRAMES_A_SECOND, float(dawn))
        colours += _light(x, y, number / FRAMES_A_SECOND)[..., None] * (1 - 0.6 * dawn) * (255, 240, 190)
        yield np.clip(_with_tower(colours, x, y), 0, 255).astype(np.uint8)


def _landscape(x: Array, y: Array, stars: Array, time_s: float, dawn: float) -> Array:
    """Sky, stars and waves, float [height, width, 3], 0…255."""
    top = np.array((8, 12, 38)) * (1 - dawn) + np.array((70, 110, 170)) * dawn
    low = np.array((30, 40, 80)) * (1 - dawn) + np.array((245, 170, 120)) * dawn
    height = np.clip(y / HORIZON_PX, 0, 1)[..., None]
    sky = top * (1 - height) + low * height + (160 * (1 - dawn) * stars)[..., None]
    depth = (y - HORIZON_PX) / (HEIGHT_PX - HORIZON_PX)
    waves = np.sin(x / 18 + 1.3 * time_s) * np.sin(y / 4 - 2 * time_s) * (4 + 12 * depth)
    sea = 0.55 * low + 0.2 * top + waves[..., None]
    return np.where((y < HORIZON_PX)[..., None], sky, sea)


def _light(x: Array, y: Array, time_s: float) -> Array:
    """The turning beam and the lamp's halo, float [height, width], 0…1."""
    turn = 2 * np.pi * time_s / BEAM_TURN_S
    aside, toward = np.cos(turn), max(0.0, float(np.sin(turn))) ** 6
    along = (x - LAMP_X_PX) * np.sign(aside)
    across = (y - LAMP_Y_PX) / (5 + 0.09 * np.abs(along))
    beam = (along > 0) * np.exp(-(across**2) - along / (40 + 420 * abs(aside))) * abs(aside)
    distance = np.hypot(x - LAMP_X_PX, y - LAMP_Y_PX)
    return 0.7 * beam + (0.5 + toward) * np.exp(-distance / (8 + 45 * toward))


def _with_tower(colours: Array, x: Array, y: Array) -> Array:
    """The rock and the striped tower in front of everything."""
    below = y - LAMP_Y_PX
    tower = (below > 10) & (y < 262) & (np.abs(x - LAMP_X_PX) < 11 + 0.07 * below)
    red = (below // 24 % 2 == 1)[..., None]
    painted = np.where(red, (150, 45, 40), (205, 200, 190)) * (0.75 - (x[..., None] - LAMP_X_PX) / 90)
    rock = (y > 250 + (x - LAMP_X_PX) ** 2 / 500) & (y < 292 + 4 * np.sin(x / 9))
    roof = (below > -24) & (below < -9) & (np.abs(x - LAMP_X_PX) < (below + 24) * 0.9)
    colours = np.where(rock[..., None], (26, 26, 34), colours)
    return np.where((tower & ~rock)[..., None], painted, np.where(roof[..., None], (60, 30, 35), colours))


def encode(stems: Stems, out: Path) -> None:
    """Write picture and sound as H.264 and AAC; one thread, since x264's choices depend on their number."""
    size = ("-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{WIDTH_PX}x{HEIGHT_PX}", "-r", str(FRAMES_A_SECOND))
    video = ("-c:v", "libx264", "-crf", "27", "-preset", "slow", "-pix_fmt", "yuv420p", "-threads", "1")
    audio = ("-c:a", "aac", "-b:a", "128k", "-metadata:s:a:0", "language=eng")
    flags = (*BITEXACT, "-map_metadata", "-1", "-movflags", "+faststart", "-t", f"{stems.duration_s:.3f}")
    with tempfile.TemporaryDirectory() as scratch:  # a WAV beside the film would be a source of its own
        sound = Path(scratch, "sample.wav")
        soundfile.write(sound, stems.mix, RATE_HZ, subtype="PCM_16")
        command = [ffmpeg_path(), "-hide_banner", "-loglevel", "error", "-y", *size, "-i", "-", "-i", str(sound)]
        command += ["-map", "0:v", "-map", "1:a", *video, *audio, *flags, str(out)]
        with subprocess.Popen(command, stdin=subprocess.PIPE) as ffmpeg:
            assert ffmpeg.stdin is not None
            for frame in picture(stems.duration_s):
                ffmpeg.stdin.write(frame.tobytes())
    if ffmpeg.returncode != 0:
        raise SystemExit(f"{out}: ffmpeg failed (exit {ffmpeg.returncode})")


def main() -> None:
    """Write the two files."""
    parser = argparse.ArgumentParser(description="Make media/sample.mp4 and media/sample.txt.")
    parser.add_argument("--out", type=Path, default=ROOT / "media", help="the folder to write to (default: media/)")
    folder = parser.parse_args().out
    stems = record()
    encode(stems, folder / "sample.mp4")
    (folder / "sample.txt").write_text(reference(), encoding="utf-8")
    print(f"{folder / 'sample.mp4'}: {stems.duration_s:.1f} s, {(folder / 'sample.mp4').stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
