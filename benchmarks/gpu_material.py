"""What is worked on where a GPU is measured: one long recording, and a model as large as htdemucs.

Not here: measuring (`gpu.py`).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

MUSIC_HZ = 44_100
NOISE = 0.001
HTDEMUCS = {
    "sources": ["drums", "bass", "other", "vocals"],
    "samplerate": MUSIC_HZ,
    "segment": {"_type": "fraction", "numerator": 39, "denominator": 5},
    "bottom_channels": 512,
    "t_layers": 5,
}


@dataclass(frozen=True)
class Sound:
    """A recording that is measured: its WAV, how long it is, and what is said in it."""

    path: Path
    length_s: float
    text: str


def repeated(recording: Path, out: Path, minutes: float, rate_hz: int, channels: int) -> Sound:
    """Write a recording again and again as one WAV, for about so many minutes, over noise that never repeats."""
    import numpy as np
    import soundfile
    import soxr

    heard, heard_hz = soundfile.read(recording, dtype="float32", always_2d=True)
    mono = soxr.resample(heard.mean(axis=1), heard_hz, rate_hz)
    times = max(1, round(minutes * 60 * rate_hz / len(mono)))
    random = np.random.default_rng(0)
    with soundfile.SoundFile(out, "w", rate_hz, channels, subtype="PCM_16") as file:
        for _ in range(times):
            noise = random.standard_normal((len(mono), channels), dtype=np.float32)
            file.write(mono[:, None] + NOISE * noise)
    text = recording.with_suffix(".txt").read_text(encoding="utf-8")
    return Sound(out, times * len(mono) / rate_hz, " ".join([text] * times))


def random_htdemucs(path: Path) -> None:
    """Write a model of htdemucs' size as demucs' own are on the hub, the class and its arguments with the weights."""
    import torch
    from demucs.htdemucs import HTDemucs
    from safetensors.torch import save_file

    torch.manual_seed(0)
    kwargs = HTDEMUCS | {"segment": Fraction(39, 5)}
    weights = {name: tensor.contiguous() for name, tensor in HTDemucs(**kwargs).state_dict().items()}
    about = {"klass": "demucs.htdemucs.HTDemucs", "args": "[]", "kwargs": json.dumps(HTDEMUCS)}
    save_file(weights, path, metadata=about)
