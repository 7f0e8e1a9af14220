"""What Whisper hears in a passage, and a second hearing of what it isn't sure of.

The first hearing is faster-whisper's own, on the sound that its `vad_filter` would give it, so it is as good as that.
Whisper now and then skips a sentence, loops or guesses wildly: such a span is heard once more with other borders, and
the text that is longer and likelier of the two is kept. What is merely less likely than clean speech isn't: over 60
recordings, a second hearing of it cost as much as the first, and changed one word.

Not here: which sound makes a passage or a span (`passages`), models and languages (the `transcribe` stage).
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import msgspec

from mediabuild.media.recordings.sound import Sound
from mediabuild.media.speech.passages import Passage, Stretch, around, pack, spans

if TYPE_CHECKING:
    import numpy as np

REPETITIVE = 2.4  # text that compresses better than this is usually a loop (Whisper's own threshold)
UNSURE = -1.0  # mean log probability of a token; what is below is a guess (Whisper's own threshold)
SPARSE_BYTES_S = 5  # text of a second of speech; people say 10 to 20 letters
BETTER = 1.1  # what a second hearing must be worth to be preferred; less is as often worse as better


class Heard(msgspec.Struct):
    """One of Whisper's segments, with its times in seconds."""

    start: float
    end: float
    text: str
    avg_logprob: float
    compression_ratio: float


# Sound as float32 [samples] at 16 kHz → what is said in it, in seconds from its start.
Whisper = Callable[["np.ndarray"], Iterable[Heard]]


def hear(whisper: Whisper, sound: Sound, passage: Passage, longest_s: float) -> Iterator[Heard]:
    """What is said in a passage, in order, in seconds from the clip's start.

    Args:
        longest_s: a second hearing hears at most this much at once.
    """
    import numpy as np

    pieces = [sound.as_speech(sound.between(*chunk)) for chunk in passage.chunks]
    first = [
        msgspec.structs.replace(part, start=passage.on_clip(part.start), end=passage.on_clip(part.end))
        for part in whisper(np.concatenate(pieces))
    ]
    waiting: tuple[list[Stretch], list[Heard]] = ([], [])  # doubtful spans that follow each other
    before: list[Heard] = []  # what was kept last
    for stretches, heard in [*spans(passage.speech, first), ([], [])]:
        if stretches and _doubtful(stretches, heard):
            waiting[0].extend(stretches)
            waiting[1].extend(heard)
            continue
        if waiting[0]:
            again = list(_again(whisper, sound, passage, waiting[0], longest_s))
            kept = waiting[1]
            if _worth(again) > BETTER * _worth(kept):
                kept = _between(before, again, heard, kept)
            yield from kept
            waiting, before = ([], []), kept or before
        yield from heard
        before = heard or before


def _between(
    before: Sequence[Heard], again: Sequence[Heard], after: Sequence[Heard], instead_of: Sequence[Heard]
) -> list[Heard]:
    """A second hearing without the words at its ends that its neighbours have already.

    Whisper's times are off by some tenths of a second, so a word at the border may have been heard in the sure text
    beside it; that the first hearing has it twice, too, tells that it was said twice.
    """
    earlier, found, old, later = map(_words, (before, again, instead_of, after))
    first, last = _common(earlier, found), _common(found, later)
    words = len(found) - (last if last > _common(old, later) else 0)
    skipped = first if first > _common(earlier, old) else 0
    kept, at = [], 0
    for part in again:
        own = part.text.split()
        text = " ".join(own[max(0, skipped - at) : max(0, words - at)])
        at += len(own)
        if text:
            kept.append(msgspec.structs.replace(part, text=text))
    return kept


def _words(heard: Sequence[Heard]) -> list[str]:
    """Words as they are compared: in small letters, without punctuation."""
    return [re.sub(r"\W", "", word).lower() for part in heard for word in part.text.split()]


def _common(before: Sequence[str], after: Sequence[str]) -> int:
    """How many words one text ends and the other begins with; a border has cut through few."""
    return max((count for count in (1, 2, 3) if list(before[-count:]) == list(after[:count])), default=0)


def _again(
    whisper: Whisper, sound: Sound, passage: Passage, stretches: Sequence[Stretch], longest_s: float
) -> Iterator[Heard]:
    """The same speech in windows that begin and end at silences."""
    ends = [passage.start_s, *(end_s for _, end_s in passage.speech)]
    starts = [*(start_s for start_s, _ in passage.speech), passage.end_s]
    for window in pack(stretches, longest_s):
        start_s, end_s = window[0][0], window[-1][1]
        before_s = max(time_s for time_s in ends if time_s <= start_s)
        after_s = min(time_s for time_s in starts if time_s >= end_s)
        piece = around((start_s, end_s), before_s, after_s, passage.end_s)
        for part in whisper(sound.as_speech(sound.between(*piece))):
            yield msgspec.structs.replace(part, start=piece[0] + part.start, end=piece[0] + part.end)


def _doubtful(stretches: Sequence[Stretch], heard: Sequence[Heard]) -> bool:
    """Whether a span deserves a second hearing: guessed, looped, or with too little text for its speech."""
    size = sum(map(_size, heard))
    speech_s = sum(end_s - start_s for start_s, end_s in stretches)
    return (
        size < SPARSE_BYTES_S * speech_s
        or any(part.compression_ratio > REPETITIVE for part in heard)
        or _logprob(heard) < UNSURE
    )


def _worth(heard: Sequence[Heard]) -> float:
    """How much is said, times how sure Whisper is of it; loops are worth nothing."""
    size = sum(_size(part) for part in heard if part.compression_ratio <= REPETITIVE)
    return size * math.exp(_logprob(heard)) if size else 0.0


def _logprob(heard: Sequence[Heard]) -> float:
    size = sum(map(_size, heard))
    return sum(part.avg_logprob * _size(part) for part in heard) / size if size else -math.inf


def _size(part: Heard) -> int:
    return len(part.text.encode())  # bytes: a Chinese character says as much as some letters
