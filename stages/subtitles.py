"""Write the subtitles of every language: SubRip, WebVTT, ASS, plain text, words, and what is wrong with them.

Cues are built from words and the ends of sentences. A translation is spread over the time in which
its sentence is spoken, by length, and then treated like words, so one set of rules serves both.
The rules are those of Netflix's timed text guides: two lines of 42 characters, a cue for 5/6 to
7 s, so many characters a second, two frames between cues. What can't be kept is in the QC report.

Not here: putting subtitles into a video (`mux`). Times inside are int milliseconds.
"""

from __future__ import annotations

import html
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Annotated

import msgspec

from mediabuild.errors import StageError
from mediabuild.media import formats
from mediabuild.media.formats import Probe, Sentence, Transcript, Translation, Word
from mediabuild.media.sentences import CLOSING, sentence_spans, spoken_words
from mediabuild.stage import Context, stage

# Characters a second that adults read comfortably, by language (Netflix's timed text style guides).
CHARS_PER_SECOND = {"ar": 20, "en": 20, "hi": 22, "ja": 4, "ko": 12, "zh": 9}
OTHER_CHARS_PER_SECOND = 17
GAP_MS = 83  # two frames at 24 a second, where the recording's own rate is unknown or varies
FLICKER_MS = 500  # a shorter hole between two cues is closed, down to the gap

# A line or a cue rather ends before one of these than after it; no language is asked, they rarely clash.
_JOINING = """
and but or nor so because that which who when where while if than as of to in on at by for with from into
y e o u pero que porque cuando donde mientras si como de del a al en con por para desde sin
"""
JOINING = frozenset(_JOINING.split())
# And never after one of these, which belong to what follows.
_CLINGING = """
the a an my your his her its our their this that these those no mr mrs ms dr st
el la los las un una unos unas mi tu su este esta ese esa sr sra
"""
CLINGING = frozenset(_CLINGING.split())


class SubtitlesParams(msgspec.Struct, forbid_unknown_fields=True):
    """The rules that cues keep."""

    max_line_chars: Annotated[int, msgspec.Meta(ge=10, le=100, description="characters in a line")] = 42
    max_lines: Annotated[int, msgspec.Meta(ge=1, le=3, description="lines in a cue")] = 2
    min_s: Annotated[float, msgspec.Meta(ge=0.1, le=5, description="a cue is shown at least this long")] = 0.833
    max_s: Annotated[float, msgspec.Meta(ge=1, le=30, description="a cue is shown at most this long")] = 7.0
    chars_per_second: (
        Annotated[int, msgspec.Meta(ge=4, le=60, description="reading speed, instead of the language's own")] | None
    ) = None
    gap_frames: Annotated[int, msgspec.Meta(ge=0, le=24, description="frames between two cues")] = 2
    max_pause_s: Annotated[
        float, msgspec.Meta(ge=0.2, le=10, description="a longer pause ends a cue, so that none is shown in silence")
    ] = 1.0


@dataclass(frozen=True)
class Rules:
    """The params for one language, in milliseconds; `end_ms` is the recording's, infinite if unknown."""

    max_line_chars: int
    max_lines: int
    min_ms: int
    max_ms: int
    chars_per_second: int
    gap_ms: int
    max_pause_ms: int
    end_ms: float = math.inf


@dataclass(frozen=True)
class Token:
    """A word with its time; `ends` is True for the last of a sentence."""

    text: str
    start_ms: int
    end_ms: int
    ends: bool = False
    aligned: bool = True


@dataclass(frozen=True)
class Cue:
    """What is shown at once; `first` and `last` count tokens, both inclusive."""

    start_ms: int
    end_ms: int
    lines: tuple[str, ...]
    first: int
    last: int

    @property
    def chars(self) -> int:
        return sum(map(len, self.lines)) + len(self.lines) - 1


class Violation(msgspec.Struct):
    """A rule that a cue breaks: `cue` counts from 1, as in the files."""

    language: str
    cue: int
    start_s: float
    rule: str
    value: float
    limit: float


class Summary(msgspec.Struct):
    """One language in numbers."""

    language: str
    cues: int
    words: int
    violations: int
    shown_s: float
    mean_chars_per_second: float
    max_chars_per_second: float


class Quality(msgspec.Struct):
    """`subtitles.qc.json`."""

    summary: list[Summary]
    violations: list[Violation]
    schema_version: int = formats.SCHEMA_VERSION


class ShownWord(msgspec.Struct):
    """A word, when it is spoken, and the cue that shows it."""

    text: str
    start_s: float
    end_s: float
    aligned: bool
    cue: int


class Words(msgspec.Struct):
    """`subtitles.LANGUAGE.words.json`; the times of a translation's words are spread, never aligned."""

    language: str
    words: list[ShownWord]
    schema_version: int = formats.SCHEMA_VERSION


@stage(
    version=1,
    inputs={"transcript": "what was said, with word times"},
    optional={"translations": "translations of it", "probe": "the recording's frame rate and length"},
    outputs={
        "srt": "subtitles.*.srt",
        "vtt": "subtitles.*.vtt",
        "ass": "subtitles.*.ass",
        "text": "subtitles.*.txt",
        "words": "subtitles.*.words.json",
        "qc": "subtitles.qc.json",
    },
)
def subtitles(ctx: Context, params: SubtitlesParams) -> None:
    """Write the subtitles of every language, in every format, and a report of their quality."""
    transcript = formats.read(ctx.input("transcript"), Transcript)
    words = spoken_words(transcript)
    probe = formats.read_optional(ctx.inputs("probe"), Probe)
    languages = {transcript.language: [token for token in spoken(words) if token.text]}
    for key, path in ctx.inputs("translations").items():
        translation = formats.read(path, Translation)
        if translation.language == transcript.language:
            continue  # the translation of a language into itself is a copy
        if translation.language in languages:
            raise StageError(f"subtitles: two translations into {translation.language}, the second is {key}")
        languages[translation.language] = spread(translation.sentences, words, params.max_pause_s)
    quality = Quality([], [])
    for language, tokens in languages.items():
        rules = rules_for(language, params, probe)
        cues = build_cues(tokens, rules)
        for suffix, text in rendered(language, tokens, cues).items():
            (ctx.out / f"subtitles.{language}.{suffix}").write_bytes(text.encode())
        violations = list(broken_rules(language, cues, rules))
        quality.violations += violations
        quality.summary.append(summary(language, tokens, cues, len(violations)))
    formats.write(ctx.output("qc"), quality)


def rules_for(language: str, params: SubtitlesParams, probe: Probe | None) -> Rules:
    """The rules for a language, with the recording's own frames for the gap."""
    video = probe.video[0] if probe and probe.video else None
    steady = video.frame_rate if video and not video.variable_frame_rate else None
    gap_ms = math.ceil(1000 * params.gap_frames / steady) if steady else math.ceil(GAP_MS * params.gap_frames / 2)
    return Rules(
        max_line_chars=params.max_line_chars,
        max_lines=params.max_lines,
        min_ms=round(params.min_s * 1000),
        max_ms=round(params.max_s * 1000),
        chars_per_second=params.chars_per_second
        or CHARS_PER_SECOND.get(language.partition("-")[0], OTHER_CHARS_PER_SECOND),
        gap_ms=gap_ms,
        max_pause_ms=round(params.max_pause_s * 1000),
        end_ms=int((probe.clip_end_s - probe.clip_start_s) * 1000) if probe else math.inf,
    )


# Tokens


def spoken(words: Sequence[Word]) -> list[Token]:
    """The words of a transcript as tokens in order, one each, none before the one before it."""
    ends = {last for _, last in sentence_spans(words)}
    tokens: list[Token] = []
    for index, word in enumerate(words):
        earliest_ms = tokens[-1].start_ms if tokens else 0
        start_ms = max(earliest_ms, round(word.start_s * 1000))
        end_ms = max(start_ms, round(word.end_s * 1000))
        tokens.append(Token(" ".join(word.text.split()), start_ms, end_ms, index in ends, word.aligned))
    return tokens


def spread(sentences: Sequence[Sentence], words: Sequence[Word], max_pause_s: float) -> list[Token]:
    """A translation's words, each with its share of the time in which its sentence is spoken.

    Long pauses get no share: a word belongs to one side of a pause or the other.
    """
    originals = spoken(words)
    tokens: list[Token] = []
    for sentence in sentences:
        texts = sentence.target.split()
        if not texts:
            continue
        said = originals[sentence.first_word : sentence.last_word + 1]
        if not said:
            raise StageError(
                f"subtitles: sentence {sentence.id} of a translation has no words in the transcript",
                'transcript = "glossary.transcript"',
            )
        times = _shares([len(text) + 1 for text in texts], _talk(said, round(max_pause_s * 1000)))
        last = len(texts) - 1
        tokens += [
            Token(text, *span, at == last, False) for at, (text, span) in enumerate(zip(texts, times, strict=True))
        ]
    return tokens


def _talk(said: Sequence[Token], max_pause_ms: int) -> list[tuple[int, int]]:
    """The stretches `(start_ms, end_ms)` of a sentence between its long pauses."""
    stretches = [(said[0].start_ms, said[0].end_ms)]
    for token in said[1:]:
        start_ms, end_ms = stretches[-1]
        if token.start_ms - end_ms >= max_pause_ms:
            stretches.append((token.start_ms, token.end_ms))
        else:
            stretches[-1] = (start_ms, max(end_ms, token.end_ms))
    return stretches


def _shares(lengths: list[int], stretches: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Times in `stretches` for words of these lengths, in order; each lies within one stretch."""
    bounds = [0, *accumulate(lengths)]
    talk_ms = sum(end - start for start, end in stretches)
    times, passed_ms, at = [], 0, 0
    for left, right in pairwise(bounds):
        begin_ms, finish_ms = (talk_ms * bound // bounds[-1] for bound in (left, right))
        middle_ms = (begin_ms + finish_ms) / 2
        while at < len(stretches) - 1 and middle_ms >= passed_ms + stretches[at][1] - stretches[at][0]:
            passed_ms += stretches[at][1] - stretches[at][0]
            at += 1
        start_ms, end_ms = stretches[at]
        times.append(
            (
                min(end_ms, max(start_ms, start_ms + begin_ms - passed_ms)),
                min(end_ms, max(start_ms, start_ms + finish_ms - passed_ms)),
            )
        )
    return times


# Cues


def build_cues(tokens: Sequence[Token], rules: Rules) -> list[Cue]:
    """Cues that show every token once and in order, never overlap, and keep the rules where they can."""
    spans: list[tuple[int, int]] = []
    first = 0
    for index, token in enumerate(tokens):
        following = tokens[index + 1] if index + 1 < len(tokens) else None
        if following is None or following.start_ms - token.end_ms >= rules.max_pause_ms:
            spans += _cut(tokens, first, index, rules)
            first = index + 1
    return _timed(tokens, spans, rules)


def _cut(tokens: Sequence[Token], first: int, last: int, rules: Rules) -> list[tuple[int, int]]:
    """Cut a stretch without long pauses into cues: the cheapest of all ways, by dynamic programming."""
    best: list[tuple[float, int]] = [(0.0, first)]  # best[i]: the cost of tokens[first : first + i], its last cue
    for stop in range(first + 1, last + 2):
        options = []
        chars = -1
        for start in range(stop - 1, first - 1, -1):
            chars += len(tokens[start].text) + 1
            if start < stop - 1 and not _fits(tokens[start:stop], chars, rules):
                break
            end_ms = tokens[stop].start_ms - rules.gap_ms if stop <= last else tokens[stop - 1].end_ms + FLICKER_MS
            cost = best[start - first][0] + _cue_cost(tokens[start:stop], chars, end_ms, rules)
            options.append((cost + (_break_cost(tokens, stop - 1) if stop <= last else 0.0), start))
        best.append(min(options))
    spans = []
    stop = last + 1
    while stop > first:
        start = best[stop - first][1]
        spans.append((start, stop - 1))
        stop = start
    return spans[::-1]


def _fits(shown: Sequence[Token], chars: int, rules: Rules) -> bool:
    """Whether these tokens may be one cue at all."""
    if shown[-1].end_ms - shown[0].start_ms > rules.max_ms:
        return False
    return chars <= rules.max_line_chars or (
        chars <= (rules.max_line_chars + 1) * rules.max_lines
        and len(_filled([token.text for token in shown], rules.max_line_chars)) <= rules.max_lines
    )


def _cue_cost(shown: Sequence[Token], chars: int, end_ms: int, rules: Rules) -> float:
    """What is wrong with these tokens as a cue that may last until `end_ms`; 1 is a blemish, 10 a fault."""
    time_ms = max(1, end_ms - shown[0].start_ms)
    cost = 1.0  # each cue: fewer are calmer
    cost += 10 * max(0.0, 1 - time_ms / rules.min_ms)
    cost += 10 * max(0.0, 1000 * chars / rules.chars_per_second / time_ms - 1)
    cost += 1.5 * sum(token.ends for token in shown[:-1])
    if any(token.ends for token in shown[:-1]) and not shown[-1].ends:
        cost += 3  # the beginning of a sentence at the end of a cue
    return cost


def _break_cost(tokens: Sequence[Token], index: int) -> float:
    """How badly text is broken after a token: nothing after a sentence, much after an article."""
    if tokens[index].ends:
        return 0.0
    if _plain(tokens[index].text) in CLINGING:
        return 8.0
    if tokens[index].text.rstrip(CLOSING).endswith((",", ";", ":", "—", "–", "!", "?", "…")):
        return 1.0
    pause_ms = tokens[index + 1].start_ms - tokens[index].end_ms
    joined = 2.0 if _plain(tokens[index + 1].text) in JOINING else 4.0
    after_joint = 2.0 if _plain(tokens[index].text) in JOINING else 0.0
    name = 2.0 if tokens[index].text[:1].isupper() and tokens[index + 1].text[:1].isupper() else 0.0
    return max(1.0, joined + after_joint + name - pause_ms / 200)


def _plain(text: str) -> str:
    return re.sub(r"\W", "", text).lower()


def _timed(tokens: Sequence[Token], spans: Sequence[tuple[int, int]], rules: Rules) -> list[Cue]:
    """Give cues their times: from the first word to the last, longer where there is room to be read."""
    cues: list[Cue] = []
    free_ms = 0
    for at, (first, last) in enumerate(spans):
        shown = tokens[first : last + 1]
        lines = broken(shown, rules)
        chars = sum(map(len, lines)) + len(lines) - 1
        start_ms = max(free_ms, shown[0].start_ms)
        read_ms = max(rules.min_ms, math.ceil(1000 * chars / rules.chars_per_second))
        wanted_ms = max(start_ms + read_ms, *(token.end_ms for token in shown))
        limit_ms = rules.end_ms
        if at + 1 < len(spans):
            limit_ms = tokens[spans[at + 1][0]].start_ms - rules.gap_ms
            if limit_ms - wanted_ms < FLICKER_MS:
                wanted_ms = int(limit_ms)
        end_ms = min(wanted_ms, limit_ms, start_ms + rules.max_ms)
        end_ms = max(int(end_ms), start_ms + 1)  # words without a time of their own still get a cue
        cues.append(Cue(start_ms, end_ms, lines, first, last))
        free_ms = end_ms + rules.gap_ms
    return cues


def broken(shown: Sequence[Token], rules: Rules) -> tuple[str, ...]:
    """A cue's lines: one if it fits, else broken where the sense allows, of like length, the lower one longer."""
    texts = [token.text for token in shown]
    if len(" ".join(texts)) <= rules.max_line_chars or len(texts) == 1 or rules.max_lines == 1:
        return (" ".join(texts),)
    fewest = min(len(_filled(texts, rules.max_line_chars)), rules.max_lines)
    breaks = min(_ways(len(texts), fewest), key=lambda ways: (_lines_cost(shown, ways, rules), ways))
    bounds = [0, *breaks, len(texts)]
    return tuple(" ".join(texts[a:b]) for a, b in pairwise(bounds))


def _ways(count: int, lines: int, start: int = 0) -> Iterator[tuple[int, ...]]:
    """All ways to break `count` words into so many lines: where each line but the first begins."""
    if lines == 1:
        yield ()
        return
    for at in range(start + 1, count - lines + 2):
        for rest in _ways(count, lines - 1, at):
            yield (at, *rest)


def _lines_cost(shown: Sequence[Token], breaks: tuple[int, ...], rules: Rules) -> float:
    bounds = [0, *breaks, len(shown)]
    lengths = [sum(len(token.text) + 1 for token in shown[a:b]) - 1 for a, b in pairwise(bounds)]
    cost = sum(1000.0 for length in lengths if length > rules.max_line_chars)
    cost += sum(_break_cost(shown, at - 1) for at in breaks)
    cost += 6 * (max(lengths) - min(lengths)) / rules.max_line_chars
    return cost + 0.5 * sum(upper > lower for upper, lower in pairwise(lengths))


def _filled(texts: Sequence[str], width: int) -> list[int]:
    """The lengths of the lines when each is filled before the next: the fewest there can be."""
    lengths: list[int] = []
    for text in texts:
        if lengths and lengths[-1] + 1 + len(text) <= width:
            lengths[-1] += 1 + len(text)
        else:
            lengths.append(len(text))
    return lengths


# Quality


def broken_rules(language: str, cues: Sequence[Cue], rules: Rules) -> Iterator[Violation]:
    """Each rule that a cue doesn't keep."""
    for number, cue in enumerate(cues, 1):
        time_ms = cue.end_ms - cue.start_ms
        measured = (
            ("line_chars", max(map(len, cue.lines)), rules.max_line_chars, 1),
            ("lines", len(cue.lines), rules.max_lines, 1),
            ("min_s", time_ms / 1000, rules.min_ms / 1000, -1),
            ("max_s", time_ms / 1000, rules.max_ms / 1000, 1),
            ("chars_per_second", round(1000 * cue.chars / time_ms, 2), rules.chars_per_second, 1),
            ("end_s", cue.end_ms / 1000, rules.end_ms / 1000, 1),
        )
        for rule, value, limit, sign in measured:
            if sign * (value - limit) > 0:
                yield Violation(language, number, cue.start_ms / 1000, rule, float(value), float(limit))


def summary(language: str, tokens: Sequence[Token], cues: Sequence[Cue], violations: int) -> Summary:
    """One language in numbers; zeros where there are no cues."""
    shown_ms = sum(cue.end_ms - cue.start_ms for cue in cues)
    return Summary(
        language=language,
        cues=len(cues),
        words=len(tokens),
        violations=violations,
        shown_s=shown_ms / 1000,
        mean_chars_per_second=round(1000 * sum(cue.chars for cue in cues) / max(1, shown_ms), 2),
        max_chars_per_second=max((round(1000 * c.chars / (c.end_ms - c.start_ms), 2) for c in cues), default=0.0),
    )


# Formats

JOINER = "\u2060"  # WORD JOINER: no width, and what follows it is no longer markup
BRACES = str.maketrans("{}", "❴❵")  # ASS has no escape that every player knows; DejaVu has these two
ASS_HEADER = """\
[Script Info]
ScriptType: v4.00+
PlayResX: 1920
PlayResY: 1080
WrapStyle: 2
ScaledBorderAndShadow: yes

[V4+ Styles]
Format: Name, Fontname, Fontsize, PrimaryColour, SecondaryColour, OutlineColour, BackColour, Bold, Italic, Underline, \
StrikeOut, ScaleX, ScaleY, Spacing, Angle, BorderStyle, Outline, Shadow, Alignment, MarginL, MarginR, MarginV, Encoding
Style: Default,DejaVu Sans,54,&H00FFFFFF,&H000000FF,&H00000000,&H80000000,0,0,0,0,100,100,0,0,1,3,1,2,60,60,60,1

[Events]
Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text
"""


def rendered(language: str, tokens: Sequence[Token], cues: Sequence[Cue]) -> dict[str, str]:
    """The text of each file, by suffix; all of them valid when there are no cues."""
    return {
        "srt": "".join(f"{number}\n{srt_times(cue)}\n{srt_text(cue.lines)}\n\n" for number, cue in enumerate(cues, 1)),
        "vtt": "WEBVTT\n" + "".join(f"\n{vtt_times(cue)}\n{vtt_text(cue.lines)}\n" for cue in cues),
        "ass": ASS_HEADER
        + "".join(f"Dialogue: 0,{ass_times(cue)},Default,,0,0,0,,{ass_text(cue.lines)}\n" for cue in cues),
        "txt": "".join(token.text + ("\n" if token.ends else " ") for token in tokens),
        "words.json": words_json(language, tokens, cues),
    }


def _clock(time_ms: int, point: str) -> str:
    seconds, ms = divmod(time_ms, 1000)
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}{point}{ms:03}"


def srt_times(cue: Cue) -> str:
    """`00:00:01,000 --> 00:00:02,500`"""
    return f"{_clock(cue.start_ms, ',')} --> {_clock(cue.end_ms, ',')}"


def vtt_times(cue: Cue) -> str:
    """`00:00:01.000 --> 00:00:02.500`"""
    return f"{_clock(cue.start_ms, '.')} --> {_clock(cue.end_ms, '.')}"


def ass_times(cue: Cue) -> str:
    """`0:00:01.00,0:00:02.50`: hundredths, rounded down, so that the order and the gaps stay."""
    return ",".join(_clock(time_ms, ".").removeprefix("0")[:-1] for time_ms in (cue.start_ms, cue.end_ms))


def srt_text(lines: Sequence[str]) -> str:
    """SubRip has no escapes: a joiner takes tags (`<i>`), entities (`&lt;`) and `\\N` apart, `{` becomes `❴`."""
    text = "\n".join(lines).translate(BRACES).replace("<", "<" + JOINER)
    return re.sub(r"(&)(?=#?\w+;)|(\\)(?=[Nnh])", rf"\g<0>{JOINER}", text)


def vtt_text(lines: Sequence[str]) -> str:
    """https://www.w3.org/TR/webvtt1/#webvtt-cue-text-span: `&`, `<` and (for `-->`) `>`."""
    return html.escape("\n".join(lines), quote=False)


def ass_text(lines: Sequence[str]) -> str:
    """`{…}` would be an override and `\\N` a new line; `<` and `&` mean nothing."""
    return "\\N".join(re.sub(r"\\(?=[Nnh])", rf"\\{JOINER}", line.translate(BRACES)) for line in lines)


def words_json(language: str, tokens: Sequence[Token], cues: Sequence[Cue]) -> str:
    """Every word with its time and its cue."""
    cue_of = {index: number for number, cue in enumerate(cues, 1) for index in range(cue.first, cue.last + 1)}
    words = [
        ShownWord(token.text, token.start_ms / 1000, token.end_ms / 1000, token.aligned, cue_of[index])
        for index, token in enumerate(tokens)
    ]
    return msgspec.json.format(msgspec.json.encode(Words(language, words)), indent=2).decode() + "\n"
