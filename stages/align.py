"""Say when each word is spoken: pocketsphinx forces the text onto the sound, a segment at a time.

Every word stays, with its punctuation. One that isn't in the dictionary gets the time between its
neighbours; a segment that can't be aligned, or isn't English, keeps its own times and its words
share them. Both are marked: `aligned` is false, and such a segment's flags say `unaligned`.

A person's corrections, when there are any, replace the segments' texts and times before that.

Not here: what the right words are (`transcribe`, `glossary`), what a correction may look like
(`mediabuild.media.subtitles.corrections`), and cues (`subtitles`).
"""

from __future__ import annotations

import hashlib
import re
import shlex
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from mediabuild.errors import StageError
from mediabuild.media import formats
from mediabuild.media.recordings.sound import Sound
from mediabuild.media.subtitles.corrections import corrected, read_correction
from mediabuild.media.text.words import split_words
from mediabuild.stage import Context, NoParams, stage

if TYPE_CHECKING:
    import numpy as np

FRAME_S = 0.01  # of pocketsphinx
AROUND_S = 0.3  # a segment's own times are off by about this
SHORT_S = 0.05  # a word with less room than this takes some from its neighbour

Stretch = tuple[float, float]


@stage(
    version=4,
    inputs={"audio": "the recording's sound, WAV", "transcript": "what is said"},
    optional={
        "speech": "where somebody speaks",
        "probe": "where the clip starts, for corrections",
        "corrections": "a person's text: JOB.json, .srt or .vtt",
    },
    outputs={"transcript": "transcript.json"},
    tools=("pocketsphinx",),
)
def align(ctx: Context, params: NoParams) -> None:
    """Find each word's time."""
    with Sound(ctx.input("audio")) as sound:
        transcript = _corrected(ctx, formats.read(ctx.input("transcript"), formats.Transcript), sound.duration_s)
        _align(ctx, sound, transcript)
    formats.write(ctx.output("transcript"), transcript)


def _align(ctx: Context, sound: Sound, transcript: formats.Transcript) -> None:
    """Give the transcript's segments their words, with times."""
    speech = formats.read_optional(ctx.inputs("speech"), formats.Speech)
    stretches = speech.segments if speech else []
    english = transcript.language.partition("-")[0].lower() == "en"
    if transcript.segments and not english:
        ctx.warn(f"align: only English can be aligned: words in {transcript.language!r} share their segment's time")

    previous_end_s = 0.0
    for segment in transcript.segments:
        pieces = split_words(segment.text, transcript.language)
        words = [piece.text for piece in pieces]
        around = (max(previous_end_s, segment.start_s - AROUND_S), min(sound.duration_s, segment.end_s + AROUND_S))
        times = _aligned(ctx, words, _whole(sound, *around), around[0]) if english else None
        # The first and last word like to reach into the silence around them.
        times = times and [time and in_speech(time, stretches) for time in times]
        bounds = _bounds(segment, times, stretches, previous_end_s)
        placed = place(times or [None] * len(words), [len(word) for word in words], *bounds)
        aligned = [time is not None for time in times or [None] * len(words)]
        segment.words = [
            formats.Word(piece.text, *time, found, piece.space_after)
            for piece, time, found in zip(pieces, placed, aligned, strict=True)
        ]
        segment.start_s, segment.end_s = placed[0][0], placed[-1][1]
        if times is None:
            segment.flags = [*segment.flags, "unaligned"]
        previous_end_s = segment.end_s
        ctx.progress(min(segment.end_s, sound.duration_s), sound.duration_s)


def place(known: Sequence[Stretch | None], lengths: Sequence[int], start_s: float, end_s: float) -> list[Stretch]:
    """Times for all words: ordered, not overlapping, between `start_s` and `end_s`.

    Args:
        known: the times of the words that could be aligned, None for the others.
        lengths: each word's length, in letters; neighbours without times share their room by it.
        start_s, end_s: the segment's bounds; known times are clipped to them.

    Returns:
        One `(start_s, end_s)` a word, rounded to ms.
    """
    placed: list[Stretch] = []
    run = 0  # words without times that wait for the next one with
    previous_s = start_s
    for index, time in enumerate([*known, (end_s, end_s)]):
        if time is None:
            run += 1
            continue
        low_s = min(max(time[0], previous_s), max(end_s, start_s))
        high_s = min(max(time[1], low_s), max(end_s, start_s))
        if run:
            room_s = low_s - previous_s
            if room_s < run * SHORT_S and placed:  # most likely their sound was taken for the word before
                previous_s = sum(placed[-1]) / 2
                placed[-1] = (placed[-1][0], previous_s)
            elif room_s < run * SHORT_S:
                low_s = (low_s + high_s) / 2
            placed += _shared(lengths[index - run : index], previous_s, low_s)
            run = 0
        placed.append((low_s, high_s))
        previous_s = high_s
    return [(round(first_s, 3), round(last_s, 3)) for first_s, last_s in placed[: len(known)]]


def _shared(lengths: Sequence[int], start_s: float, end_s: float) -> Iterator[Stretch]:
    """A stretch divided in proportion to the lengths."""
    done, total = 0, sum(lengths)
    for length in lengths:
        first_s = start_s + (end_s - start_s) * done / total
        done += length
        yield first_s, start_s + (end_s - start_s) * done / total


def in_speech(time: Stretch, speech: Sequence[Stretch]) -> Stretch:
    """A time without the silence at its ends; as it is where no speech was detected."""
    inside = [part for part in speech if part[0] < time[1] and part[1] > time[0]]
    return (max(time[0], inside[0][0]), min(time[1], inside[-1][1])) if inside else time


def _bounds(
    segment: formats.Segment, times: Sequence[Stretch | None] | None, speech: Sequence[Stretch], earliest_s: float
) -> Stretch:
    """Between which times a segment's words lie: where the aligned ones reach, or else where somebody speaks."""
    start_s, end_s = segment.start_s, segment.end_s
    known = [time for time in times or [] if time is not None]
    if known and times:
        start_s = known[0][0] if times[0] else min(start_s, known[0][0])
        end_s = known[-1][1] if times[-1] else max(end_s, known[-1][1])
    else:
        start_s, end_s = in_speech((start_s, end_s), speech)
    start_s = max(start_s, earliest_s)
    return start_s, max(end_s, start_s)


def _decoder(ctx: Context) -> Any:
    """pocketsphinx with its American English model; no language model, the text is given."""
    from pocketsphinx import Decoder

    return ctx.model("pocketsphinx en-us", lambda: Decoder(lm=None, loglevel="FATAL"))


def _aligned(ctx: Context, words: Sequence[str], sound: np.ndarray, start_s: float) -> list[Stretch | None] | None:
    """The times of the words that the dictionary knows; None when they can't be aligned. A segment is a unit.

    Args:
        sound: int16 [samples] at 16 kHz, which starts at `start_s`.
    """

    def make() -> bytes:
        return msgspec.json.encode(_frames(_decoder(ctx), words, sound))

    unit = ctx.unit([hashlib.sha256(sound.tobytes()).hexdigest(), words], make)
    frames = msgspec.json.decode(unit, type=list[tuple[int, int] | None] | None)
    if frames is None:
        return None
    return [f and (start_s + f[0] * FRAME_S, start_s + (f[1] + 1) * FRAME_S) for f in frames]


def _frames(decoder: Any, words: Sequence[str], sound: np.ndarray) -> list[tuple[int, int] | None] | None:
    """Each word's first and last frame."""
    spoken = [_spoken(decoder, word) for word in words]
    text = " ".join(part for parts in spoken for part in parts)
    if not text or not len(sound):
        return None
    decoder.reinit_feat()  # or the result depends on what was aligned before
    try:
        decoder.set_align_text(text)
        decoder.start_utt()
        decoder.process_raw(sound.tobytes(), full_utt=True)
        decoder.end_utt()
    except RuntimeError:
        return None
    # Read in one go: list(alignment) crashes, and the segmentation dies with the next utterance.
    found = [
        (part.start_frame, part.end_frame)
        for part in decoder.seg() or ()
        if not part.word.startswith(("<", "[", "+"))  # <sil>, [NOISE], ++COUGH++
    ]
    if len(found) != sum(map(len, spoken)):
        return None
    remaining = iter(found)
    frames = [[next(remaining) for _ in parts] for parts in spoken]
    return [(parts[0][0], parts[-1][1]) if parts else None for parts in frames]


def _spoken(decoder: Any, word: str) -> list[str]:
    """A word as the dictionary has it, in several parts where it has a hyphen; none if it isn't there."""
    plain = word.lower().replace("’", "'")
    for parts in ([plain], re.split(r"[-–—/]+", plain)):
        bare = [part for part in (re.sub(r"^[^\w']+|[^\w']+$", "", part) for part in parts) if part]
        bare = [part if decoder.lookup_word(part) else part.strip("'") for part in bare]
        if bare and all(part and decoder.lookup_word(part) for part in bare):
            return bare
    return []


def _whole(sound: Sound, start_s: float, end_s: float) -> np.ndarray:
    """A piece of the recording as pocketsphinx hears it: 16 kHz, mono, int16 [samples]."""
    import numpy as np

    heard = sound.as_speech(sound.between(start_s, end_s))
    whole: np.ndarray = np.rint(np.clip(heard, -1, 1) * 32767).astype("<i2")
    return whole


def _corrected(ctx: Context, transcript: formats.Transcript, duration_s: float) -> formats.Transcript:
    """The transcript, or a person's in its place; segments without words, or after the end, are left out."""
    files = ctx.inputs("corrections")
    if len(files) > 1:
        remedy = shlex.join(["rm", str(list(files.values())[-1])])
        raise StageError(f"align: {ctx.job} has several corrections: {', '.join(files)}", remedy)
    probe = formats.read_optional(ctx.inputs("probe"), formats.Probe)
    start_s, source_end_s = (probe.clip_start_s, probe.duration_s) if probe else (0.0, duration_s)
    for path in files.values():
        clip = (start_s, start_s + duration_s)
        transcript, warnings = corrected(transcript, read_correction(path), clip, max(source_end_s, clip[1]))
        for warning in warnings:
            ctx.warn(f"align: {path.name}: {warning}")
    kept = [part for part in transcript.segments if part.text.strip() and part.start_s < duration_s]
    for index, part in enumerate(kept):
        part.id = index
    return formats.Transcript(transcript.language, transcript.language_source, kept, round(start_s, 6))
