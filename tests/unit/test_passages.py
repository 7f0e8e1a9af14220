"""Passages: what Whisper hears at once is all speech, with little silence, wherever the clip starts."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediabuild.media.speech.passages import LEAST_S, LONE_S, MARK_S, Passage, pack, passages, spans

TIMES = st.lists(st.tuples(st.integers(112, 9_000), st.integers(1, 40_000)), max_size=40)
LONG = st.lists(st.tuples(st.integers(112, 9_000), st.integers(700, 40_000)), max_size=60)


def stretches(gaps: list[tuple[int, int]]) -> list[tuple[float, float]]:
    """Stretches of speech from pairs of a silence and a length, in ms."""
    found, at = [], 0
    for silence_ms, length_ms in gaps:
        found.append(((at + silence_ms) / 1000, (at + silence_ms + length_ms) / 1000))
        at += silence_ms + length_ms
    return found


@dataclass
class Said:
    """One of Whisper's segments."""

    start: float
    end: float


@given(gaps=TIMES, longest_s=st.sampled_from([10.0, 28.0]))
def test_windows_hold_all_speech_in_order_and_are_short(gaps: list[tuple[int, int]], longest_s: float) -> None:
    """Every stretch is in one window, in order; a window is too long only if a single stretch is."""
    speech = stretches(gaps)
    windows = pack(speech, longest_s)
    assert [part for window in windows for part in window] == speech
    assert all(len(window) == 1 or window[-1][1] - window[0][0] <= longest_s for window in windows)


@given(gaps=LONG, moved_ms=st.integers(1, 900_000))
def test_a_moved_clip_has_the_same_passages_after_a_minute(gaps: list[tuple[int, int]], moved_ms: int) -> None:
    """When the clip starts later, the passages from the second mark on are the same on the source's clock."""
    speech, moved_s = stretches(gaps), moved_ms / 1000
    left = [(a - moved_s, b - moved_s) for a, b in speech if a >= moved_s]
    mark_s = (((left[0][0] + moved_s) // MARK_S) + 2) * MARK_S if left else math.inf

    def after(found: list[Passage], start_s: float) -> list[list[tuple[int, int]]]:
        parts = [[(round(1000 * (a + start_s)), round(1000 * (b + start_s))) for a, b in one.speech] for one in found]
        return [part for part in parts if part[0][0] >= 1000 * mark_s]

    clip_s = speech[-1][1] + 1 if speech else 1.0
    assert after(passages(left, moved_s, clip_s - moved_s), moved_s) == after(passages(speech, 0.0, clip_s), 0.0)


@given(gaps=st.lists(st.tuples(st.integers(112, 5_000), st.integers(700, 28_000)), min_size=1, max_size=60))
def test_a_passage_is_a_minute_or_so(gaps: list[tuple[int, int]]) -> None:
    """None is so short that Whisper would hear it less well, unless there is no more speech; none takes minutes."""
    speech = stretches(gaps)
    found = passages(speech, 0.0, speech[-1][1] + 1)
    lengths_s = [part.speech[-1][1] - part.speech[0][0] for part in found]
    assert len(found) == 1 or min(lengths_s) >= 20
    assert len(found) == 1 or min(lengths_s[0], lengths_s[-1]) >= LEAST_S
    assert max(lengths_s) <= 2 * MARK_S + 2 * LEAST_S


@pytest.mark.parametrize(
    ("silences_s", "begins"),
    [
        ({}, 12),  # all alike: the first after the mark
        ({14: 2.0}, 14),  # the longest of those nearby
        ({11: 2.0}, 12),  # one before the mark counts not
        ({17: 2.0}, 12),  # nor one that is far behind it
    ],
)
def test_a_passage_begins_after_the_longest_silence_nearby(silences_s: dict[int, float], begins: int) -> None:
    """Speech in stretches of 4 s with a second between them, the first after the mark of a minute begins at 60 s."""
    speech = stretches([(int(1000 * silences_s.get(index, 1.0)), 4000) for index in range(25)])
    starts = [index for index, _ in enumerate(speech) if speech[index] == passages(speech, 0.0, 200.0)[1].speech[0]]
    assert starts == [begins]


@given(gaps=TIMES, end_ms=st.integers(0, 5_000))
def test_a_passage_hears_its_speech_and_little_silence(gaps: list[tuple[int, int]], end_ms: int) -> None:
    """Chunks lie in order in the clip, hold all speech of passages that aren't clicks alone, and no long silence."""
    speech = stretches(gaps)
    clip_s = (speech[-1][1] if speech else 0.0) + end_ms / 1000
    found = passages(speech, 0.0, clip_s)
    kept = [part for passage in found for part in passage.speech]
    assert set(speech) - set(kept) <= {(a, b) for a, b in speech if b - a < LONE_S}
    assert kept == [part for part in speech if part in kept]
    chunks = [chunk for passage in found for chunk in passage.chunks]
    assert all(0 <= a < b <= clip_s + 1e-9 for a, b in chunks)
    assert all(before[1] <= after[0] + 1e-9 for before, after in pairwise(chunks))
    assert all(any(a <= start and end <= b + 1e-9 for a, b in chunks) for start, end in kept)
    silent_s = sum(b - a for a, b in chunks) - sum(b - a for a, b in kept)
    assert silent_s <= 2.1 * len(kept) + 2


@given(gaps=TIMES.filter(bool), shares=st.lists(st.floats(0, 1), min_size=2, max_size=20).map(sorted))
def test_heard_time_runs_as_the_clips_does(gaps: list[tuple[int, int]], shares: list[float]) -> None:
    """A time in what is heard is a time in one of the chunks, in the same order."""
    speech = stretches(gaps)
    for passage in passages(speech, 0.0, speech[-1][1] + 5):
        length_s = sum(b - a for a, b in passage.chunks)
        times = [passage.on_clip(share * length_s) for share in shares]
        assert times == sorted(times)
        assert all(any(a - 1e-6 <= time_s <= b + 1e-6 for a, b in passage.chunks) for time_s in times)
        assert passage.on_clip(0.0) == passage.start_s
        assert passage.on_clip(length_s + 9) == passage.end_s


@given(gaps=TIMES.filter(bool), cuts=st.lists(st.integers(0, 300_000), max_size=20, unique=True).map(sorted))
def test_spans_are_all_of_a_passage(gaps: list[tuple[int, int]], cuts: list[int]) -> None:
    """Whatever Whisper's times are: each stretch and each segment is in one span, in order, and no span is empty."""
    speech = stretches(gaps)
    segments = [Said(a / 1000, b / 1000) for a, b in pairwise(cuts)]
    found = spans(speech, segments)
    assert [part for part, _ in found for part in part] == speech
    assert [said for _, part in found for said in part] == segments
    assert all(part for part, _ in found)


@pytest.mark.parametrize(("edge_s", "count"), [(5.0, 2), (3.9, 2), (3.0, 1), (6.3, 2), (7.0, 1)])
def test_a_span_ends_where_a_segment_ends_in_a_silence(edge_s: float, count: int) -> None:
    """Speech to 4 s and from 6 s on: a border of two segments counts within 0.45 s of that silence."""
    speech = [(0.5, 4.0), (6.0, 9.0)]
    assert len(spans(speech, [Said(0.5, edge_s), Said(edge_s, 9.0)])) == count
    assert len(spans(speech, [Said(0.5, 9.0)])) == 1
