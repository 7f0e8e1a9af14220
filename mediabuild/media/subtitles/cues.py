"""Cues: which words are shown at once, cut where they can be read, with times in which they can be read.

A long pause ends a cue. Between long pauses the cheapest of all ways to cut is found by dynamic programming: in it a
fault costs more than a blemish. Then times: from the first word to the last, longer where there is room, and up to
`max_shift_ms` earlier or later where a cue needs time that its neighbours don't.

Not here: lines (`lines`), and what can't be kept (`quality`). Times are int milliseconds.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from mediabuild.media.subtitles.cue_rules import FLICKER_MS, Rules
from mediabuild.media.subtitles.lines import Layout
from mediabuild.media.subtitles.tokens import Token
from mediabuild.media.text.sentences import PAUSE_S

# Costs: 1 is a blemish, 10 a fault.
CUE = 1.0  # each: fewer are calmer
ONE_WORD, ONE_WORD_SENTENCE = 25.0, 4.0
TOO_FAST = 3.0  # and 10 for each time that the time is missing
SENTENCE_INSIDE, SENTENCE_BEGUN = 1.5, 3.0
PAUSE_INSIDE = 8.0
LINES = 0.5  # of what the breaks of its lines cost
HURRIED = 0.85  # of the time that a cue needs, where there isn't enough for it and the next
BRIDGED = 2  # times the longest pause: a shorter one may lie inside a cue where no break is good
MOVED_WORDS = 5  # so many words at most move over a pause to what they belong to


@dataclass(frozen=True)
class Cue:
    """What is shown at once; `first` and `last` count tokens, both inclusive."""

    start_ms: int
    end_ms: int
    lines: tuple[str, ...]
    first: int
    last: int


def build_cues(tokens: Sequence[Token], rules: Rules) -> list[Cue]:
    """Cues that show every token once and in order, never overlap, and keep the rules where they can."""
    if not tokens:
        return []
    layout = Layout(tokens, rules)
    spans = [span for stretch in _stretches(layout) for span in _cut(layout, *stretch)]
    times = _times(layout, spans)
    return [
        Cue(*time, layout.lines(first, last + 1), first, last) for (first, last), time in zip(spans, times, strict=True)
    ]


def _pause_ms(layout: Layout, at: int) -> int:
    """The silence before a token."""
    return layout.tokens[at].start_ms - layout.tokens[at - 1].end_ms


def _stretches(layout: Layout) -> list[tuple[int, int]]:
    """First and last token between long pauses; a small word goes to what follows, a lonely one to its neighbours."""
    starts = [0]
    for at in range(1, len(layout.tokens)):
        if _pause_ms(layout, at) >= layout.rules.max_pause_ms:
            divided = _divided_near(layout, starts[-1], at)
            starts += [divided] if divided else []
    starts.append(len(layout.tokens))
    kept = [0]
    for before, at, after in zip(starts, starts[1:], starts[2:], strict=False):
        lonely = _is_fragment(layout, before, at) or _is_fragment(layout, at, after)
        if not (lonely and _pause_ms(layout, at) < 1000 * PAUSE_S and not layout.tokens[at - 1].ends):
            kept.append(at)
    return [(a, b - 1) for a, b in zip(kept, [*kept[1:], len(layout.tokens)], strict=True)]


def _divided_near(layout: Layout, first: int, at: int) -> int | None:
    """Where a text is divided that has a long pause before a token: there, or before the small words that lead to it.

    None where that would leave a word alone, and the pause isn't very long: then it lies inside a cue.
    """
    for moved in range(at, max(first, at - MOVED_WORDS), -1):
        if not layout.faults[moved - 1] and (moved == at or moved - first > 1):
            return moved
    return None if _pause_ms(layout, at) < BRIDGED * layout.rules.max_pause_ms else at


def _is_fragment(layout: Layout, first: int, stop: int) -> bool:
    """Whether this is one word of a longer sentence."""
    whole = layout.tokens[first].ends and (first == 0 or layout.tokens[first - 1].ends)
    return stop - first == 1 and not whole


def _cut(layout: Layout, first: int, last: int) -> list[tuple[int, int]]:
    """Cut a stretch into cues: the cheapest of all ways, by dynamic programming."""
    best: list[tuple[float, int]] = [(0.0, first)]  # best[i]: the cost of tokens[first : first + i], its last cue
    for stop in range(first + 1, last + 2):
        options = []
        for start in range(stop - 1, first - 1, -1):
            if start < stop - 1 and not _fits(layout, start, stop):
                break
            cost = best[start - first][0] + _cue_cost(layout, start, stop, at_start=start == first)
            options.append((cost + (layout.costs[stop - 1] if stop <= last else 0.0), start))
        best.append(min(options))
    spans = []
    stop = last + 1
    while stop > first:
        start = best[stop - first][1]
        spans.append((start, stop - 1))
        stop = start
    return spans[::-1]


def _fits(layout: Layout, first: int, stop: int) -> bool:
    """Whether these tokens may be one cue at all."""
    tokens, rules = layout.tokens, layout.rules
    if tokens[stop - 1].end_ms - tokens[first].start_ms > rules.max_ms:
        return False
    wide = layout.width(first, stop)
    return wide <= rules.line_columns or (
        wide <= (rules.line_columns + 1) * rules.max_lines and layout.lines_needed(first, stop) <= rules.max_lines
    )


def _cue_cost(layout: Layout, first: int, stop: int, *, at_start: bool) -> float:
    """What is wrong with these tokens as a cue."""
    shown, rules = layout.tokens[first:stop], layout.rules
    time_ms = max(1, _room_ms(layout, first, stop, at_start))
    read_ms = rules.read_ms(layout.width(first, stop) / rules.char_columns)
    cost = CUE + 10 * max(0.0, 1 - time_ms / rules.min_ms)
    if read_ms > time_ms:
        cost += TOO_FAST + 10 * (read_ms / time_ms - 1)
    inside = sum(token.ends for token in shown[:-1])
    cost += SENTENCE_INSIDE * inside + SENTENCE_BEGUN * bool(inside and not shown[-1].ends)
    if len(shown) == 1:
        cost += ONE_WORD if _is_fragment(layout, first, stop) else ONE_WORD_SENTENCE
    cost += PAUSE_INSIDE * sum(_pause_ms(layout, at) >= rules.max_pause_ms for at in range(first + 1, stop))
    return cost + LINES * layout.best_breaks(first, stop)[0]


def _room_ms(layout: Layout, first: int, stop: int, at_start: bool) -> float:
    """How long these tokens could be shown, from their first word to the next cue; after a long pause, a bit before."""
    tokens, rules = layout.tokens, layout.rules
    end_ms = tokens[stop].start_ms - rules.gap_ms if stop < len(tokens) else rules.end_ms
    early_ms = min(rules.max_shift_ms, tokens[first].start_ms) if at_start else 0
    return min(end_ms - tokens[first].start_ms + early_ms, rules.max_ms)


# Times


def _times(layout: Layout, spans: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """When each cue is shown."""
    rules = layout.rules
    spoken = [_spoken_ms(layout, *span) for span in spans]
    needed = [min(rules.max_ms, rules.read_ms(rules.chars(*layout.lines(first, last + 1)))) for first, last in spans]
    starts = _starts(spoken, needed, rules)
    times = []
    for at, (start_ms, (_, last_ms), read_ms) in enumerate(zip(starts, spoken, needed, strict=True)):
        wanted_ms: float = max(start_ms + read_ms, last_ms)
        limit_ms = rules.end_ms
        if at + 1 < len(starts):
            limit_ms = starts[at + 1] - rules.gap_ms
            if limit_ms - wanted_ms < FLICKER_MS:
                wanted_ms = limit_ms
        end_ms = min(wanted_ms, limit_ms, start_ms + rules.max_ms)
        times.append((start_ms, max(int(end_ms), start_ms + 1)))  # words without a time of their own still get a cue
    return times


def _spoken_ms(layout: Layout, first: int, last: int) -> tuple[int, int]:
    """When a cue's words are spoken; small words that a long pause cuts off from the rest don't begin it."""
    tokens = layout.tokens
    end_ms = max(token.end_ms for token in tokens[first : last + 1])
    while first < last and layout.faults[first] and _pause_ms(layout, first + 1) >= layout.rules.max_pause_ms:
        first += 1
    return tokens[first].start_ms, end_ms


def _starts(spoken: Sequence[tuple[int, int]], needed: Sequence[int], rules: Rules) -> list[int]:
    """When each cue begins: with its first word, or up to `max_shift_ms` away where it or a neighbour needs time.

    Backwards: the latest start that leaves all that follows time enough. Forwards: the nearest to the first word
    between what the cue before needs and that.
    """
    shift_ms, latest = rules.max_shift_ms, [0.0] * len(spoken)
    following: float = rules.end_ms + rules.gap_ms
    for at in range(len(spoken) - 1, -1, -1):
        start_ms = spoken[at][0]
        latest[at] = max(start_ms - shift_ms, min(start_ms + shift_ms, following - rules.gap_ms - needed[at]), 0)
        following = latest[at]
    starts: list[int] = []
    for at, (start_ms, _) in enumerate(spoken):
        soonest, free = float(max(0, start_ms - shift_ms)), 0
        if starts:
            free = starts[-1] + 1 + rules.gap_ms
            soonest = max(soonest, free, min(starts[-1] + needed[at - 1] + rules.gap_ms, start_ms + shift_ms))
            # Where there is too little for both, the cue before is read a bit too fast: better one than two.
            hurried = starts[-1] + HURRIED * needed[at - 1] + rules.gap_ms
            soonest = max(free, min(soonest, max(latest[at], hurried)))
        starts.append(int(max(soonest, min(start_ms, latest[at]))))
    return _before(starts, rules)


def _before(starts: list[int], rules: Rules) -> list[int]:
    """The same starts, none at the recording's end or behind it: a text that is too long is pushed together."""
    if math.isinf(rules.end_ms):
        return starts
    bound = int(rules.end_ms) - 1
    for at in range(len(starts) - 1, -1, -1):
        if starts[at] <= bound:
            break
        starts[at] = max(0, bound)
        bound = starts[at] - rules.gap_ms - 1
    return starts
