"""What Whisper hears: passages of a recording, about a minute each, without the long silences in them.

A passage begins at a silence and holds what faster-whisper's own `vad_filter` would keep of it: chunks of speech with
some silence around them, one after the other. Passages are counted on the source's clock, so that a moved clip finds
most of them again.

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

MARK_S = 60.0  # a passage begins at the first silence after this, and after each multiple of it
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
    packed = pack(speech, clip_start_s, math.inf)
    found = []
    for index, stretches in enumerate(packed):
        before_s = packed[index - 1][-1][1] if index else None
        after_s = packed[index + 1][0][0] if index + 1 < len(packed) else None
        if any(end_s - start_s >= LONE_S for start_s, end_s in stretches):
            found.append(Passage(stretches, _chunks(stretches, before_s, after_s, clip_s)))
    return found


def pack(speech: Sequence[Stretch], clip_start_s: float, longest_s: float) -> list[list[Stretch]]:
    """Neighbouring stretches of speech in windows of at most `longest_s`, from first start to last end.

    A stretch that is longer makes a window of its own. The first stretch that starts after a mark (`MARK_S` of the
    source) starts a window, whatever came before: windows don't depend on where the clip starts.

    Args:
        speech: ordered, not overlapping, in seconds from the clip's start.
    """
    windows: list[list[Stretch]] = []
    mark = -1
    for start_s, end_s in speech:
        # Rounded: a time on the source's clock is a sum, and 299.99999999999997 is past no mark.
        stretch_mark = int(round(clip_start_s + start_s, 6) // MARK_S)
        if windows and stretch_mark == mark and end_s - windows[-1][0][0] <= longest_s:
            windows[-1].append((start_s, end_s))
        else:
            windows.append([(start_s, end_s)])
        mark = stretch_mark
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
