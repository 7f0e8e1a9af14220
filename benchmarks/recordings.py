"""Recordings with known words: the repository's own, and voices that read texts under all sorts of conditions.

hibari-tts comes with the development packages; flite and espeak-ng read too where they are installed. Each set has
texts of its own (benchmarks/texts), so that what is tuned on one is judged by the other. What was made is kept in a
folder, and made again when the code or the texts change. Everything follows from names and seeds.

Not here: what is measured on them (`accuracy.py`).
"""

from __future__ import annotations

import functools
import hashlib
import json
import re
import shutil
import subprocess
import tempfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import soundfile
import soxr
from conditions import RATE_HZ, Condition, Sound, echoing, musical, noisy, plain, quiet, same, telephone

ROOT = Path(__file__).parents[1]
TEXTS = ROOT / "benchmarks/texts"
SOURCES = b"".join(file.read_bytes() for file in (Path(__file__), Path(__file__).with_name("conditions.py")))
AUDIBLE = 0.01
TIMES = "times"  # what begins the names of recordings that are read word by word
SETS = ("tuning", "held-back")


@dataclass
class Recording:
    """A WAV and what is said in it.

    Args:
        sentences: `(start_s, end_s, text)` of what is read one by one; empty where only the text is known.
        starts_s: when each written word begins; None for one that isn't spoken; empty where that isn't known.
    """

    path: Path
    text: str
    sentences: list[tuple[float, float, str]] = field(default_factory=list)
    starts_s: list[float | None] = field(default_factory=list)


def say(voice: str, text: str, speed: float = 1.0) -> Sound:
    """A voice reads a text: `hibari`, `flite NAME` or `espeak NAME`; as loud as all others, without silence around."""
    engine, _, name = voice.partition(" ")
    if engine == "hibari":
        from hibari import SAMPLE_RATE

        sound, rate_hz = _hibari()(text, speed=speed, seed=0), SAMPLE_RATE
    else:
        with tempfile.NamedTemporaryFile(suffix=".wav") as file:
            command = {
                "flite": ["flite", "-voice", name, "--setf", f"duration_stretch={1 / speed}", "-o", file.name, "-t"],
                "espeak": ["espeak-ng", "-v", name, "-s", str(round(160 * speed)), "-w", file.name],
            }[engine]
            subprocess.run([*command, text], check=True)
            sound, rate_hz = soundfile.read(file.name, dtype="float32")
    sound = soxr.resample(np.asarray(sound, np.float32), rate_hz, RATE_HZ)
    sound = sound / np.abs(sound).max() / 2
    loud = np.flatnonzero(np.abs(sound) > AUDIBLE)
    spoken: Sound = sound[loud[0] : loud[-1] + 1]
    return spoken


@functools.cache
def _hibari() -> Any:
    from hibari import Hibari

    return Hibari()


# name → voices, how fast, pauses in seconds, what is done to it; two texts each, in their order
READINGS: list[tuple[str, list[str], float, tuple[float, float], Condition]] = [
    ("clean", ["hibari"], 1.0, (0.3, 1.0), plain),
    ("fast", ["hibari"], 1.25, (0.03, 0.15), plain),
    ("pauses", ["hibari"], 0.9, (2.0, 8.0), plain),
    ("music", ["hibari"], 1.0, (0.2, 0.8), musical),
    ("noise", ["hibari"], 1.0, (0.2, 1.5), noisy),
    ("echo", ["hibari"], 1.0, (0.3, 0.9), echoing),
    ("telephone", ["hibari"], 0.95, (0.3, 1.5), telephone),
    ("quiet", ["hibari"], 1.0, (0.2, 2.2), quiet),
    ("flite", ["flite slt"], 1.0, (0.3, 1.0), plain),
    ("flite-fast", ["flite rms"], 1.2, (0.03, 0.2), plain),
    ("flite-noise", ["flite awb"], 1.0, (0.2, 0.8), noisy),
    ("espeak", ["espeak en-us"], 0.95, (0.3, 1.0), plain),
    ("espeak-pauses", ["espeak en-gb"], 0.9, (1.0, 4.0), plain),
    ("two-voices", ["hibari", "flite rms"], 1.0, (0.1, 0.5), plain),
]


def installed(voice: str) -> bool:
    """Whether a voice's program is."""
    program = {"flite": "flite", "espeak": "espeak-ng"}.get(voice.partition(" ")[0])
    return program is None or shutil.which(program) is not None


def recordings(which: str, folder: Path) -> list[Recording]:
    """All recordings of a set; those that `folder` lacks are made there."""
    seed = SETS.index(which)
    texts = [line.partition(": ")[2] for line in _lines(f"{which}.txt")]
    timed = _lines(f"timed-{which}.txt")
    found = own(which, folder)
    for index, (name, voices, speed, pause_s, change) in enumerate(READINGS):
        if all(map(installed, voices)):
            spoken = [texts[(2 * index + seed + step) % len(texts)] for step in range(2)]
            said = [part for text in spoken for part in _split(text)]
            found.append(_kept(folder / f"{name}.wav", _read_aloud, said, voices, speed, pause_s, change, seed))
    for voice in filter(installed, ("hibari", "flite slt", "espeak en-us")):
        path = folder / f"{TIMES}-{voice.replace(' ', '-')}.wav"
        found.append(_kept(path, _read_word_by_word, timed, voice, seed))
    return found


def sentences() -> list[str]:
    """What the texts of both sets say, sentence by sentence."""
    texts = [line.partition(": ")[2] for which in SETS for line in _lines(f"{which}.txt")]
    return [part for text in texts for part in _split(text)]


def _lines(name: str) -> list[str]:
    return (TEXTS / name).read_text(encoding="utf-8").splitlines()


def _split(text: str) -> list[str]:
    return re.split(r"(?<!Mr\.)(?<!Mrs\.)(?<=[.?!]) ", text)


def own(which: str, folder: Path) -> list[Recording]:
    """The readings of tests/speech: one by one in one set, and all of them in noise and by telephone in the other."""
    files = sorted((ROOT / "tests/speech").glob("*.wav"))
    if which == SETS[1]:
        changes = {"reader": plain, "reader-noise": noisy, "reader-telephone": telephone}
        return [_kept(folder / f"{name}.wav", _joined, files, change) for name, change in changes.items()]
    found = [_kept(folder / f"reader-{number}.wav", _joined, [file], same) for number, file in enumerate(files, 1)]
    for recording, file in zip(found, files, strict=True):
        speech_s = float(file.with_suffix(".lab").read_text().split()[0])
        recording.sentences = [(0.0, soundfile.info(file).duration, recording.text)]
        recording.starts_s = [speech_s, *[None] * (len(recording.text.split()) - 1)]
    return found


def _kept(path: Path, make: Callable[..., tuple[Sound, Recording]], *given: Any) -> Recording:
    """A recording, made once: its facts lie beside it."""
    told = [arg.__name__ if callable(arg) else str(arg) for arg in given]
    made_by = hashlib.sha256(SOURCES + json.dumps(told).encode()).hexdigest()
    beside = path.with_suffix(".json")
    if beside.exists():
        facts = json.loads(beside.read_text())
        if facts[0] == made_by:
            return msgspec.convert(facts[1], Recording, dec_hook=lambda kind, value: kind(value))
    sound, recording = make(path, *given)
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, sound, RATE_HZ, subtype="PCM_16")
    beside.write_bytes(msgspec.json.encode((made_by, recording), enc_hook=str))
    return recording


def _rng(path: Path, seed: int) -> np.random.Generator:
    return np.random.default_rng([zlib.crc32(path.stem.encode()), seed])


def _read_aloud(
    path: Path,
    sentences: list[str],
    voices: list[str],
    speed: float,
    pause_s: tuple[float, float],
    change: Condition,
    seed: int,
) -> tuple[Sound, Recording]:
    """Voices in turn, a sentence each, with pauses between them."""
    rng = _rng(path, seed)
    parts = [np.zeros(RATE_HZ // 2, np.float32)]
    for index, sentence in enumerate(sentences):
        parts.append(say(voices[index % len(voices)], sentence, speed))
        parts.append(np.zeros(int(rng.uniform(*pause_s) * RATE_HZ), np.float32))
    return change(np.concatenate(parts), rng), Recording(path, " ".join(sentences))


def _read_word_by_word(path: Path, lines: list[str], voice: str, seed: int) -> tuple[Sound, Recording]:
    """Each word by itself as it is spoken, `{written|spoken}`, with short silences: when each begins is known."""
    rng = _rng(path, seed)
    parts, at = [np.zeros(RATE_HZ // 2, np.float32)], RATE_HZ // 2
    recording = Recording(path, "")
    for line in lines:
        written, begins = [], at / RATE_HZ
        for both, word in re.findall(r"\{([^}]*)\}|(\S+)", line):
            shown, _, spoken = both.partition("|") if both else (word, "", word)
            written.append(shown)
            recording.starts_s.append(at / RATE_HZ if spoken else None)
            if spoken:
                parts += [say(voice, spoken), np.zeros(int(rng.uniform(0.05, 0.3) * RATE_HZ), np.float32)]
                at += len(parts[-2]) + len(parts[-1])
        recording.sentences.append((begins, (at - len(parts[-1])) / RATE_HZ, " ".join(written)))
        parts.append(np.zeros(RATE_HZ // 2, np.float32))
        at += len(parts[-1])
    recording.text = " ".join(text for _, _, text in recording.sentences)
    return plain(np.concatenate(parts), rng), recording


def _joined(path: Path, files: list[Path], change: Condition) -> tuple[Sound, Recording]:
    """Readings one after the other."""
    sounds = [soundfile.read(file, dtype="float32")[0] for file in files]
    text = " ".join(file.with_suffix(".txt").read_text(encoding="utf-8").strip() for file in files)
    return change(np.concatenate(sounds), _rng(path, 1)), Recording(path, text)
