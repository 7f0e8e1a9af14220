"""What Whisper hears: passages of a recording, about a minute each, without the long silences in them.

A passage begins after a long silence and holds what faster-whisper's own `vad_filter` would keep of it: chunks of
speech with some silence around them, one after the other. Passages are counted on the source's clock, so that a moved
clip finds most of them again.

Spans are the parts of a passage that can be heard again by themselves: they begin and end at silences in which one of
Whisper's segments begins or ends, too.

Not here: where somebody speaks (the `detect_speech` stage), and what is heard (`transcribe`).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

MARK_S = 60.0  # a passage begins soon after each multiple of this:
REACH_S = 20.0  # after the longest silence this near, or else the first one
LEAST_S = 30.0  # what is shorter than one of Whisper's windows costs as much, and is heard less well
JOIN_S = 1.632  # a shorter silence stays: `min_silence_duration_ms` of 2000, in windows of 32 ms, less 200 ms each side
AROUND_S = 0.2  # heard at both ends of a chunk besides what `detect_speech` added: its 200 ms make 400
LONE_S = 0.65  # no passage is made of shorter stretches alone (their silence included): a click, a drum
NEAR_S = 0.45  # Whisper's times are off by up to this beside a silence

Stretch = tuple[float, float]


@dataclass(frozen=True)
class Passage:
    """A passage; times are seconds from the clip's start.

    Args:
        speech: the detected stretches in it. chunks: what is heard, one after the other.
    """

    speech: Sequence[Stretch]
    chunks: Sequence[Stretch]

    @property
    def start_s(self) -> float:
        """Where the first chunk begins."""
        return self.chunks[0][0]

    @property
    def end_s(self) -> float:
        """Where the last chunk ends."""
        return self.chunks[-1][1]

    def on_clip(self, heard_s: float) -> float:
        """The clip's time of a time in what is heard."""
        for start_s, end_s in self.chunks:
            if heard_s <= end_s - start_s:
                return start_s + max(0.0, heard_s)
            heard_s -= end_s - start_s
        return self.end_s


def passages(speech: Sequence[Stretch], clip_start_s: float, clip_s: float) -> list[Passage]:
    """All detected speech in passages, in order.

    Args:
        speech: ordered, not overlapping, in seconds from the clip's start.
        clip_start_s: where the clip starts, on the source's clock. clip_s: how long it is.
    """
    parts = _split(speech, clip_start_s)
    found = []
    for index, stretches in enumerate(parts):
        before_s = parts[index - 1][-1][1] if index else None
        after_s = parts[index + 1][0][0] if index + 1 < len(parts) else None
        if any(end_s - start_s >= LONE_S for start_s, end_s in stretches):
            found.append(Passage(stretches, _chunks(stretches, before_s, after_s, clip_s)))
    return found


def _split(speech: Sequence[Stretch], clip_start_s: float) -> list[list[Stretch]]:
    """The speech in parts of about `MARK_S`, each of which begins after the longest silence nearby.

    Where parts begin doesn't depend on where the clip does, except at its ends: a part there that is shorter than
    `LEAST_S` belongs to its neighbour, and the first mark is none.
    """
    begins: dict[int, int] = {}  # mark → which stretch begins a part
    marks = [_mark(clip_start_s + start_s) for start_s, _ in speech]
    for index in range(1, len(speech)):
        mark, after_s = marks[index]
        known = begins.get(mark)
        nearby = after_s < REACH_S and known is not None and _silence_s(speech, index) > _silence_s(speech, known)
        if mark != marks[0][0] and (known is None or nearby):
            begins[mark] = index
    cuts = [0, *begins.values(), len(speech)]
    while len(cuts) > 2 and round(speech[-1][1] - speech[cuts[-2]][0], 3) < LEAST_S:
        del cuts[-2]
    if len(cuts) > 2 and round(speech[cuts[1] - 1][1] - speech[0][0], 3) < LEAST_S:
        del cuts[1]
    return [list(speech[first:last]) for first, last in itertools.pairwise(cuts)] if speech else []


def _mark(time_s: float) -> tuple[int, float]:
    """Which mark of the source a time follows, and by how many seconds."""
    # Rounded: a time on the source's clock is a sum, and 299.99999999999997 is past no mark.
    mark, after_s = divmod(round(time_s, 6), MARK_S)
    return int(mark), after_s


def _silence_s(speech: Sequence[Stretch], index: int) -> float:
    """How long the silence before a stretch is, in whole milliseconds: it is a difference of sums."""
    return round(speech[index][0] - speech[index - 1][1], 3)


def pack(speech: Sequence[Stretch], longest_s: float) -> list[list[Stretch]]:
    """Neighbouring stretches of speech in windows of at most `longest_s`, from first start to last end.

    A stretch that is longer makes a window of its own.

    Args:
        speech: ordered, not overlapping.
    """
    windows: list[list[Stretch]] = []
    for start_s, end_s in speech:
        if windows and end_s - windows[-1][0][0] <= longest_s:
            windows[-1].append((start_s, end_s))
        else:
            windows.append([(start_s, end_s)])
    return windows


def _chunks(
    speech: Sequence[Stretch], before_s: float | None, after_s: float | None, clip_s: float
) -> Sequence[Stretch]:
    """Stretches joined where the silence between them is short, with more silence at their ends.

    Args:
        before_s, after_s: where the speech before ends, and the speech after starts; None where there is none.
    """
    joined = [list(speech[0])]
    for start_s, end_s in speech[1:]:
        if start_s - joined[-1][1] < JOIN_S:
            joined[-1][1] = end_s
        else:
            joined.append([start_s, end_s])
    if after_s is None and clip_s - joined[-1][1] < JOIN_S + AROUND_S:
        joined[-1][1] = clip_s  # as vad_filter does: a short silence at the end isn't cut off
    edges = [before_s, *itertools.chain.from_iterable(joined), after_s]
    return [
        around((edges[2 * index + 1], edges[2 * index + 2]), edges[2 * index], edges[2 * index + 3], clip_s)  # type: ignore[arg-type]
        for index in range(len(joined))
    ]


def around(part: Stretch, before_s: float | None, after_s: float | None, clip_s: float) -> Stretch:
    """A part with up to `AROUND_S` more at both ends, half the silence to its neighbours at most."""
    low_s = part[0] - (part[0] if before_s is None else (part[0] - before_s) / 2)
    high_s = part[1] + (clip_s - part[1] if after_s is None else (after_s - part[1]) / 2)
    return max(low_s, part[0] - AROUND_S), min(high_s, part[1] + AROUND_S)


class Timed(Protocol):
    """Anything with a start and an end in seconds."""

    start: float
    end: float


Segment = TypeVar("Segment", bound=Timed)


def spans(speech: Sequence[Stretch], segments: Sequence[Segment]) -> list[tuple[list[Stretch], list[Segment]]]:
    """A passage's speech and Whisper's segments of it, in parts that belong together; all of both, in order.

    Args:
        speech: the detected stretches. segments: with times on the same clock.
    """
    edges = sorted({edge for part in segments for edge in (part.start, part.end)})
    cuts = []  # (how many stretches are before it, when it is)
    for index, ((_, silence_s), (next_s, _)) in enumerate(itertools.pairwise(speech)):
        near = [edge for edge in edges if silence_s - NEAR_S <= edge <= next_s + NEAR_S]
        middle = min(near, key=lambda edge: abs(edge - (silence_s + next_s) / 2), default=None)
        if middle is not None and not any(part.start < middle - 0.01 and part.end > middle + 0.01 for part in segments):
            cuts.append((index + 1, middle))
    found = []
    for (first, from_s), (last, to_s) in itertools.pairwise([(0, -math.inf), *cuts, (len(speech), math.inf)]):
        inside = [part for part in segments if from_s <= (part.start + part.end) / 2 < to_s]
        found.append((list(speech[first:last]), inside))
    return found
