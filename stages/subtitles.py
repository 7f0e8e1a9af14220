"""Write the subtitles of every language: SubRip, WebVTT, ASS, plain text, words, and what is wrong with them.

Cues are built from words and the ends of sentences. A translation is spread over the time in which
its sentence is spoken, by length, and then treated like words, so one set of rules serves both.
The rules are those of Netflix's timed text guides: two lines of 42 characters, a cue for 5/6 to
7 s, so many characters a second, two frames between cues. What can't be kept is in the QC report.

Not here: putting subtitles into a video (`mux`).
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from mediabuild.errors import StageError
from mediabuild.media import formats
from mediabuild.media.formats import Probe, Transcript, Translation
from mediabuild.media.subtitles import cue_rules
from mediabuild.media.subtitles.canvas import Canvas
from mediabuild.media.subtitles.cues import build_cues
from mediabuild.media.subtitles.quality import Quality, broken_rules, summary
from mediabuild.media.subtitles.spreading import spread
from mediabuild.media.subtitles.subtitle_files import rendered
from mediabuild.media.subtitles.tokens import Token, cut_wide, spoken
from mediabuild.media.text.sentences import spoken_words
from mediabuild.stage import Context, stage


class SubtitlesParams(cue_rules.CueParams, forbid_unknown_fields=True):
    """The rules that cues keep, and what a recording gets in which nobody speaks."""

    if_silent: Annotated[
        Literal["nothing", "empty"],
        msgspec.Meta(description="where nobody speaks: nothing writes no subtitles, empty valid files without text"),
    ] = "nothing"


@stage(
    version=2,
    inputs={"transcript": "what was said, with word times"},
    optional={"translations": "translations of it", "probe": "the recording's frame rate, length and shape"},
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
    probe = formats.read_optional(ctx.inputs("probe"), Probe)
    languages = _languages(ctx, params)
    if not any(languages.values()) and params.if_silent == "nothing":
        ctx.warn("subtitles: nothing is said in it, so there are none")
        languages = {}
    quality = Quality([], [])
    for language, words in languages.items():
        rules = cue_rules.rules_for(language, params, probe)
        tokens = cut_wide(words, rules.line_columns)
        cues = build_cues(tokens, rules)
        for suffix, text in rendered(language, tokens, cues, Canvas.of(probe)).items():
            (ctx.out / f"subtitles.{language}.{suffix}").write_bytes(text.encode())
        violations = list(broken_rules(tokens, cues, rules))
        quality.violations += violations
        quality.summary.append(summary(tokens, cues, len(violations), rules))
    formats.write(ctx.output("qc"), quality)


def _languages(ctx: Context, params: SubtitlesParams) -> dict[str, list[Token]]:
    """What is shown in each language: what was said, and its translations."""
    transcript = formats.read(ctx.input("transcript"), Transcript)
    originals = spoken(spoken_words(transcript), transcript.language)
    languages = {transcript.language: [token for token in originals if token.text]}
    for key, path in ctx.inputs("translations").items():
        translation = formats.read(path, Translation)
        language = translation.language
        if language == transcript.language:
            continue  # the translation of a language into itself is a copy
        if language in languages:
            raise StageError(f"subtitles: two translations into {language}, the second is {key}")
        languages[language] = spread(translation.sentences, originals, language, round(params.max_pause_s * 1000))
    return languages
