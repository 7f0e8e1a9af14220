"""What is done to a voice: noise, music, an echo, a telephone's band, little of it left.

Not here: who speaks (`recordings.py`).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

RATE_HZ = 16_000

Sound = np.ndarray  # float32 [samples] at RATE_HZ, −1…1
Condition = Callable[[Sound, np.random.Generator], Sound]


def mixed(sound: Sound, other: Sound, snr_db: float) -> Sound:
    """A voice over something else, at a ratio of their mean powers while somebody speaks."""
    voice, background = np.mean(sound[np.abs(sound) > 0.02] ** 2), np.mean(other**2)
    both = sound + other * np.sqrt(voice / background / 10 ** (snr_db / 10))
    louder: Sound = both / max(1.0, np.abs(both).max() / 0.95)
    return louder


def noisy(sound: Sound, rng: np.random.Generator) -> Sound:
    """Over white noise."""
    return mixed(sound, rng.standard_normal(len(sound)), 15)


def musical(sound: Sound, rng: np.random.Generator) -> Sound:
    """Over chords that change every half second, with overtones and a beat."""
    time_s = np.arange(len(sound)) / RATE_HZ
    bars = np.repeat(rng.integers(0, 12, len(sound) // 8000 + 1), 8000)[: len(sound)]
    tones = [110 * 2 ** ((bars + step) / 12) * overtone for step in (0, 4, 7) for overtone in (1, 2, 3)]
    chords = sum(np.sin(2 * np.pi * np.cumsum(hertz) / RATE_HZ) / (1 + index % 3) for index, hertz in enumerate(tones))
    beat = rng.standard_normal(len(sound)) * np.exp(-30 * (time_s % 0.5))
    return mixed(sound, chords * np.exp(-2 * (time_s % 0.5)) + 2 * beat, 10)


def echoing(sound: Sound, rng: np.random.Generator) -> Sound:
    """In a hall: half a second until the echo has lost 60 dB."""
    echo = rng.standard_normal(RATE_HZ) * np.exp(-13.8 * np.arange(RATE_HZ) / RATE_HZ)
    echo[0] = 4
    whole = np.fft.irfft(np.fft.rfft(sound, 2 * len(sound)) * np.fft.rfft(echo, 2 * len(sound)))[: len(sound)]
    hall: Sound = whole / np.abs(whole).max() / 2
    return hall


def telephone(sound: Sound, rng: np.random.Generator) -> Sound:
    """300 to 3,400 Hz."""
    spectrum = np.fft.rfft(sound)
    hertz = np.fft.rfftfreq(len(sound), 1 / RATE_HZ)
    spectrum[(hertz < 300) | (hertz > 3400)] = 0
    narrow: Sound = np.fft.irfft(spectrum, len(sound)) + rng.standard_normal(len(sound)) * 2e-4
    return narrow


def quiet(sound: Sound, rng: np.random.Generator) -> Sound:
    """34 dB lower than the others."""
    return sound / 50 + rng.standard_normal(len(sound)) * 2e-5


def same(sound: Sound, rng: np.random.Generator) -> Sound:
    """As it is."""
    return sound


def plain(sound: Sound, rng: np.random.Generator) -> Sound:
    """With a hiss that nobody hears."""
    return sound + rng.standard_normal(len(sound)) * 2e-4
