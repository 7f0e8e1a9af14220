"""Music and noise for the embedded separator: random MIDI through a soundfont, and what numpy can make alone.

Everything follows from a seed. Training renders with TimGM6mb, measuring with FluidR3, another set of
recordings of other instruments. Voice-like instruments (choirs) are left out: they'd be neither voice nor music.

Not here: voices, and what is done to both before they are mixed.
"""

from __future__ import annotations

import struct
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import soxr

Array = Any  # a numpy array; shape and range are in the docstrings
Event = tuple[int, bytes]  # ticks from the start, MIDI message

RATE_HZ = 16_000
TRAINING_SOUNDFONT = Path("/usr/share/sounds/sf2/TimGM6mb.sf2")
HELD_OUT_SOUNDFONT = Path("/usr/share/sounds/sf2/FluidR3_GM.sf2")
LEVEL_RMS = 0.08
BEAT_TICKS = 480

SCALES = ((0, 2, 4, 5, 7, 9, 11), (0, 2, 3, 5, 7, 8, 10), (0, 2, 3, 5, 7, 9, 10), (0, 2, 4, 6, 7, 9, 11))
PROGRESSIONS = ((0, 4, 5, 3), (0, 5, 3, 4), (5, 3, 0, 4), (0, 3, 0, 4), (1, 4, 0, 0), (0, 2, 3, 4))
# General MIDI programs, from 0; 52–54, 85 and 91 sound like voices.
CHORD_PROGRAMS = (0, 1, 2, 4, 5, 6, 11, 16, 18, 19, 21, 24, 25, 26, 27, 46, 48, 49, 50, 51, 61, 62, 88, 89, 90, 92, 95)
LEAD_PROGRAMS = (
    0,
    8,
    9,
    11,
    12,
    13,
    22,
    24,
    26,
    29,
    30,
    40,
    41,
    42,
    56,
    57,
    60,
    64,
    65,
    66,
    68,
    70,
    71,
    73,
    75,
    80,
    81,
)
BASS_PROGRAMS = (32, 33, 34, 35, 36, 38, 39, 43, 58)
KICK, SNARE, HAT, CRASH = 36, 38, 42, 49


def compose(seed: int, duration_s: float) -> bytes:
    """A random piece as a standard MIDI file (format 0): chords, bass, a melody, drums, some of them absent."""
    rng = np.random.default_rng(seed)
    tempo_bpm = rng.uniform(60, 165)
    beats = int(duration_s * tempo_bpm / 60)
    key, scale = 48 + int(rng.integers(12)), SCALES[rng.integers(len(SCALES))]
    progression = PROGRESSIONS[rng.integers(len(PROGRESSIONS))]

    def pitch(step: int, octave: int = 0) -> int:
        return int(np.clip(key + 12 * (octave + step // 7) + scale[step % 7], 0, 127))

    tempo_us = round(60e6 / tempo_bpm)
    events: list[Event] = [(0, b"\xff\x51\x03" + tempo_us.to_bytes(3, "big"))]
    programs = (CHORD_PROGRAMS, BASS_PROGRAMS, LEAD_PROGRAMS)
    events += [(0, bytes([0xC0 | number, p[rng.integers(len(p))]])) for number, p in enumerate(programs)]
    parts = rng.random(4) < (0.85, 0.8, 0.65, 0.6)
    parts[0] |= not parts.any()
    arpeggio, busy = rng.random() < 0.45, rng.uniform(0.3, 0.9)
    for beat in range(beats):
        root = progression[beat // 4 % 4]
        at = beat * BEAT_TICKS
        if parts[0] and (arpeggio or beat % 4 == 0):
            for number in range(3):
                start = at + (number * BEAT_TICKS // 3 if arpeggio else 0)
                events += _note(
                    0, pitch(root + 2 * number), start, 0.3 if arpeggio else 3.9, int(rng.integers(50, 100))
                )
        if parts[1] and rng.random() < busy:
            events += _note(1, pitch(root, -1), at, 0.9, int(rng.integers(70, 115)))
        if parts[2]:
            for half in range(2):
                if rng.random() < busy:
                    step = root + int(rng.integers(-2, 6))
                    events += _note(2, pitch(step, 1), at + half * BEAT_TICKS // 2, rng.uniform(0.2, 1.2), 90)
        if parts[3]:
            events += _drums(beat, at, rng)
    return _midi_file(events)


def _note(channel: int, pitch: int, at: int, beats: float, velocity: int) -> list[Event]:
    end = at + round(beats * BEAT_TICKS)
    return [(at, bytes([0x90 | channel, pitch, velocity])), (end, bytes([0x80 | channel, pitch, 0]))]


def _drums(beat: int, at: int, rng: np.random.Generator) -> list[Event]:
    events = _note(9, KICK if beat % 2 == 0 else SNARE, at, 0.2, int(rng.integers(80, 120)))
    events += _note(9, HAT, at, 0.1, 70) + _note(9, HAT, at + BEAT_TICKS // 2, 0.1, int(rng.integers(40, 80)))
    return events + (_note(9, CRASH, at, 1, 80) if beat % 16 == 0 else [])


def _midi_file(events: list[Event]) -> bytes:
    """The bytes of a format 0 file ("Standard MIDI Files 1.0", MIDI Manufacturers Association)."""
    track, now = bytearray(), 0
    for at, message in sorted(events, key=lambda event: event[0]):
        track += _variable_length(at - now) + message
        now = at
    track += b"\x00\xff\x2f\x00"
    return b"MThd" + struct.pack(">IHHH", 6, 0, 1, BEAT_TICKS) + b"MTrk" + struct.pack(">I", len(track)) + bytes(track)


def _variable_length(number: int) -> bytes:
    """Seven bits a byte, the highest first; all but the last have their top bit set."""
    digits = [number & 0x7F]
    while number := number >> 7:
        digits.append(0x80 | number & 0x7F)
    return bytes(reversed(digits))


def render(seed: int, duration_s: float, soundfont: Path) -> Array:
    """A random piece as fluidsynth plays it: float32 [samples] at `RATE_HZ` and `LEVEL_RMS`, mono."""
    if not soundfont.exists():
        raise SystemExit(f"{soundfont}: no such soundfont\n  hint: see the packages in train_separator.py --help")
    with tempfile.TemporaryDirectory() as folder:
        midi, wav = Path(folder) / "piece.mid", Path(folder) / "piece.wav"
        midi.write_bytes(compose(seed, duration_s))
        command = ["fluidsynth", "-ni", "-q", "-g", "0.5", "-r", "32000", "-F", str(wav), str(soundfont), str(midi)]
        subprocess.run(command, check=True, capture_output=True, stdin=subprocess.DEVNULL)
        sound, rate_hz = soundfile.read(wav, dtype="float32", always_2d=True)
    return _levelled(soxr.resample(sound.mean(axis=1), rate_hz, RATE_HZ)[: round(duration_s * RATE_HZ)])


def synthesise(seed: int, duration_s: float) -> Array:
    """Electronic music out of partials, filtered noise and slow changes: as `render`, with no program."""
    rng = np.random.default_rng(seed)
    frames = round(duration_s * RATE_HZ)
    time_s = np.arange(frames) / RATE_HZ
    beat_s = rng.uniform(0.3, 0.9)
    sound = np.zeros(frames)
    steps = rng.choice([0, 3, 5, 7, 10, 12, 15], size=int(duration_s / beat_s) + 1)
    for octave in range(int(rng.integers(1, 4))):
        hz = rng.uniform(50, 130) * 2**octave * 2 ** (steps[(time_s / beat_s).astype(int)] / 12)
        phase = 2 * np.pi * np.cumsum(hz) / RATE_HZ
        bend = rng.uniform(0, 3) * np.sin(phase * rng.integers(1, 5))  # frequency modulation
        partials = sum(np.sin(k * phase + bend) / k ** rng.uniform(0.6, 2) for k in range(1, int(rng.integers(2, 8))))
        decay = np.exp(-rng.uniform(0, 6) * (time_s % beat_s))
        sound += rng.uniform(0.3, 1) * partials * decay
    if rng.random() < 0.5:
        burst = np.exp(-25 * ((time_s + rng.uniform(0, beat_s)) % (beat_s / 2)))
        sound += rng.uniform(0.2, 1) * rng.standard_normal(frames) * burst
    return _levelled(sound)


def noise(seed: int, duration_s: float) -> Array:
    """Hiss, rumble, wind or hum: coloured noise that swells, and mains partials. As `render`."""
    rng = np.random.default_rng(seed)
    frames = round(duration_s * RATE_HZ)
    spectrum = np.fft.rfft(rng.standard_normal(frames))
    hz = np.fft.rfftfreq(frames, 1 / RATE_HZ)
    sound = np.fft.irfft(spectrum / np.maximum(hz, 30) ** rng.uniform(0, 1.2), frames)
    time_s = np.arange(frames) / RATE_HZ
    sound *= 1 + rng.uniform(0, 0.9) * np.sin(2 * np.pi * rng.uniform(0.05, 1.5) * time_s)
    sound /= np.std(sound)
    if rng.random() < 0.4:
        sound += rng.uniform(0.2, 1) * sum(np.sin(2 * np.pi * 50 * k * time_s) / k for k in (1, 2, 3, 5))
    return _levelled(sound)


def _levelled(sound: Array) -> Array:
    sound = np.asarray(sound, np.float32)
    return np.clip(sound * LEVEL_RMS / (np.sqrt(np.mean(sound**2)) + 1e-9), -1, 1).astype(np.float32)
