"""Say when each word is spoken: pocketsphinx forces the text onto the sound, a segment at a time.

Numbers, money, dates and abbreviations are forced as they are spoken, in whichever of their readings fits the sound.
A word that the dictionary lacks is pronounced by espeak-ng, where it is installed, or else by its letters; so are all
words of other languages, by espeak-ng alone. `transcript.json` says by what (`alignment`).

Every word stays, with its punctuation. A sign that nobody speaks, and a number that isn't found, get the time between
their neighbours. In a segment that can't be aligned the words share the time in which somebody speaks. Both are
marked: `aligned` is false, and such a segment's flags say `unaligned`.

A person's corrections, when there are any, replace the segments' texts and times before that.

Not here: what the right words are (`transcribe`, `glossary`), what a correction may look like
(`mediabuild.media.subtitles.corrections`), and cues (`subtitles`).
"""

from __future__ import annotations

import hashlib
import math
import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from mediabuild.errors import StageError
from mediabuild.media import formats
from mediabuild.media.recordings.sound import SPEECH_HZ, Sound
from mediabuild.media.speech import forcing
from mediabuild.media.speech.onsets import out_of_silence
from mediabuild.media.speech.placing import Stretch, in_speech, place, shared, spoken_parts
from mediabuild.media.speech.pronunciations import installed, pronounced
from mediabuild.media.speech.readings import readings
from mediabuild.media.subtitles.corrections import corrected, read_correction
from mediabuild.media.text.words import split_words
from mediabuild.stage import Context, NoParams, stage

if TYPE_CHECKING:
    import numpy as np

# How a segment is tried, until its words are found: with how much sound around it (its times are off by up to this),
# and how likely a silence is between two words. Of 54 segments that one step lost, the others found 20.
LADDER = ((0.3, forcing.SILENCE), (0.3, 0.005), (0.0, forcing.SILENCE), (1.0, forcing.SILENCE))
# Written without spaces, and read from characters that espeak-ng hardly knows.
SPACELESS = {"zh", "yue", "ja", "th", "lo", "km", "my"}


@stage(
    version=7,
    inputs={"audio": "the recording's sound, WAV", "transcript": "what is said"},
    optional={
        "speech": "where somebody speaks",
        "probe": "where the clip starts, for corrections",
        "corrections": "a person's text: JOB.json, .srt or .vtt",
    },
    outputs={"transcript": "transcript.json"},
    tools=("pocketsphinx", "num2words"),
)
def align(ctx: Context, params: NoParams) -> None:
    """Find each word's time."""
    probe = formats.read_optional(ctx.inputs("probe"), formats.Probe)
    with Sound(ctx.input("audio"), probe.clip_start_s if probe else 0.0) as sound:
        heard = formats.read(ctx.input("transcript"), formats.Transcript)
        transcript = _corrected(ctx, heard, sound.duration_s, probe)
        _align(ctx, sound, transcript)
    formats.write(ctx.output("transcript"), transcript)


def _align(ctx: Context, sound: Sound, transcript: formats.Transcript) -> None:
    """Give the transcript's segments their words, with times."""
    speech = formats.read_optional(ctx.inputs("speech"), formats.Speech)
    stretches = speech.segments if speech else []
    texts = [split_words(segment.text, transcript.language) for segment in transcript.segments]
    grammars, transcript.alignment = _grammars(
        ctx, [[piece.text for piece in text] for text in texts], transcript.language
    )

    previous_end_s = 0.0
    for segment, pieces, words in zip(transcript.segments, texts, grammars, strict=True):
        times = _aligned(ctx, words, sound, (segment.start_s, segment.end_s))
        # The first and last word like to reach into the silence around them.
        times = times and [time and in_speech(time, stretches) for time in times]
        segment.words = [
            formats.Word(piece.text, *time, known is not None, piece.space_after)
            for piece, time, known in zip(
                pieces,
                _placed(segment, times, [len(piece.text) for piece in pieces], stretches, previous_end_s),
                times or [None] * len(pieces),
                strict=True,
            )
        ]
        segment.start_s, segment.end_s = segment.words[0].start_s, segment.words[-1].end_s
        if times is None:
            segment.flags = [*segment.flags, "unaligned"]
        previous_end_s = segment.end_s
        ctx.progress(min(segment.end_s, sound.duration_s), sound.duration_s)


def _grammars(ctx: Context, texts: Sequence[Sequence[str]], language: str) -> tuple[list[forcing.Grammar], str | None]:
    """How the words of each text may be spoken, and by what they are aligned; None where nothing can."""
    from importlib.metadata import version

    pocketsphinx = _decoder(ctx)
    said = [readings(words, language) for words in texts]
    english = language.partition("-")[0].lower() == "en"
    if english:
        strange = {word for ways in said for word in forcing.unknown(pocketsphinx, ways)}
    else:
        strange = {word for ways in said for way in ways for one in way for word in one}
    known, by = pronounced(strange, language) if language.partition("-")[0].lower() not in SPACELESS else ({}, None)
    if texts and not english and by is None:
        hint = "" if installed() else "sudo apt-get install espeak-ng"
        ctx.warn(f"align: nothing here knows how {language!r} sounds: words share their segment's time", hint)
    method = f"pocketsphinx {version('pocketsphinx')} en-us" + (f", {by}" if strange and by else "")
    can = bool(texts) and (english or by is not None)
    return [forcing.grammar(pocketsphinx, ways, known) if can else [[] for _ in ways] for ways in said], (
        method if can else None
    )


def _placed(
    segment: formats.Segment,
    times: Sequence[Stretch | None] | None,
    lengths: Sequence[int],
    speech: Sequence[Stretch],
    earliest_s: float,
) -> list[Stretch]:
    """A time for each of a segment's words, from `earliest_s` on."""
    known = [time for time in times or [] if time is not None]
    if known and times:
        # Signs at the ends have no time: they stay beside their word.
        start_s, end_s = max(known[0][0], earliest_s), max(known[-1][1], earliest_s)
        return place(times, lengths, start_s, max(start_s, end_s))
    start_s, end_s = in_speech((segment.start_s, segment.end_s), speech)
    start_s = max(start_s, earliest_s)
    parts = shared(lengths, spoken_parts((start_s, max(start_s, end_s)), speech))
    return [(round(first_s, 3), round(last_s, 3)) for first_s, last_s in parts]


def _decoder(ctx: Context) -> Any:
    return ctx.model("pocketsphinx en-us", forcing.decoder)


def _aligned(ctx: Context, words: forcing.Grammar, sound: Sound, told: Stretch) -> list[Stretch | None] | None:
    """When each word of a segment is spoken; None where that can't be found. A segment is a unit.

    Args:
        told: where the segment is, more or less.
    """
    if not any(words):
        return None
    # Where each step of the ladder begins and ends, in whole frames of the source: where a segment was told to be
    # some ms earlier, or the clip starts elsewhere, its words are found at the same times.
    clip_s = sound.first_frame / sound.rate_hz
    earliest = math.ceil(clip_s / forcing.FRAME_S)
    frames = [
        [
            max(earliest, round(edge_s / forcing.FRAME_S))
            for edge_s in (clip_s + told[0] - by_s, clip_s + told[1] + by_s)
        ]
        for by_s, _ in LADDER
    ]
    first, last = min(low for low, _ in frames), max(high for _, high in frames)
    start_s = first * forcing.FRAME_S - clip_s
    heard = _whole(sound, start_s, min(sound.duration_s, last * forcing.FRAME_S - clip_s))
    steps = [[(edge - first) * forcing.FRAME_SAMPLES for edge in step] for step in frames]

    def make() -> bytes:
        return msgspec.json.encode(_climbed(_decoder(ctx), words, heard, steps))

    unit = ctx.unit([hashlib.sha256(heard.tobytes()).hexdigest(), words, steps], make)
    times = msgspec.json.decode(unit, type=list[Stretch | None] | None)
    return times and [time and (start_s + time[0], start_s + time[1]) for time in times]


def _climbed(
    pocketsphinx: Any, words: forcing.Grammar, heard: np.ndarray, steps: Sequence[Sequence[int]]
) -> list[Stretch | None] | None:
    """The words' times by the first step of the ladder that finds them, in seconds, to the tenth of a ms.

    When none does, a number may not have been spoken at all: then those words alone whose sound is no guess.
    """
    tries = [(words, step, silence) for step, (_, silence) in zip(steps, LADDER, strict=True)]
    for said, (first, last), silence in [*tries, (forcing.certain(words), steps[0], forcing.SILENCE)]:
        times = forcing.forced(pocketsphinx, said, heard[first:last], silence)
        if times is not None:
            before_s = first / SPEECH_HZ
            found = out_of_silence([time and (before_s + time[0], before_s + time[1]) for time in times], heard)
            return [time and (round(time[0], 4), round(time[1], 4)) for time in found]
    return None


def _whole(sound: Sound, start_s: float, end_s: float) -> np.ndarray:
    """A piece of the recording as pocketsphinx hears it: 16 kHz, mono, int16 [samples]."""
    import numpy as np

    heard = sound.as_speech(sound.between(start_s, end_s))
    whole: np.ndarray = np.rint(np.clip(heard, -1, 1) * 32767).astype("<i2")
    return whole


def _corrected(
    ctx: Context, transcript: formats.Transcript, duration_s: float, probe: formats.Probe | None
) -> formats.Transcript:
    """The transcript, or a person's in its place; segments without words, or after the end, are left out."""
    files = ctx.inputs("corrections")
    if len(files) > 1:
        remedy = shlex.join(["rm", str(list(files.values())[-1])])
        raise StageError(f"align: {ctx.job} has several corrections: {', '.join(files)}", remedy)
    start_s, source_end_s = (probe.clip_start_s, probe.duration_s) if probe else (0.0, duration_s)
    for name, path in files.items():
        clip = (start_s, start_s + duration_s)
        transcript, warnings = corrected(transcript, read_correction(path, name), clip, max(source_end_s, clip[1]))
        for warning in warnings:
            ctx.warn(f"align: {name}: {warning}")
    kept = [part for part in transcript.segments if part.text.strip() and part.start_s < duration_s]
    for index, part in enumerate(kept):
        part.id = index
    return formats.Transcript(transcript.language, transcript.language_source, kept, round(start_s, 6))
