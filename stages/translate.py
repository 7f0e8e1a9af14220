"""Translate the transcript sentence by sentence, with the glossary's terms forced and the result verified.

Each sentence is translated by itself, so that an edit changes only its own translation. Terms keep
the glossary's wording, and the articles before them are mended to its gender (Spanish). Identifiers (addresses, paths,
variables) stay as they are.

Two engines: apertium (rules, from the distribution's packages), or a local CTranslate2 folder of an
OPUS-MT model. Both run on the CPU, whatever `device` says.

Not here: when the translation is shown (`subtitles`).
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import msgspec

from mediabuild.errors import StageError
from mediabuild.media import formats
from mediabuild.media.formats import Sentence, Transcript, Translation
from mediabuild.media.languages import TAG, same_language, tag_for
from mediabuild.media.text.sentences import sentence_spans, spoken_words
from mediabuild.media.text.terms import read_terms
from mediabuild.media.text.words import text_of
from mediabuild.media.translation.adherence import verified
from mediabuild.media.translation.apertium import Engine, apertium
from mediabuild.media.translation.marian import converting, marian, model_called
from mediabuild.media.translation.pieces import Piece, Wordings
from mediabuild.stage import Context, Lookup, ModelRef, stage

APERTIUM = "apertium"


class TranslateParams(msgspec.Struct, forbid_unknown_fields=True):
    """Into which language, and with what."""

    language: Annotated[
        str,
        msgspec.Meta(
            pattern=TAG,
            description="the target, a BCP 47 tag",
            extra={"hint": tag_for},
        ),
    ] = "es"
    model: Annotated[
        str, msgspec.Meta(min_length=1, description="`apertium`, or a local CTranslate2 folder of an OPUS-MT model")
    ] = APERTIUM
    max_sentence_words: Annotated[
        int, msgspec.Meta(ge=10, le=200, description="speech without punctuation is cut into sentences this long")
    ] = 60


def find_models(params: TranslateParams, lookup: Lookup) -> dict[str, ModelRef]:
    """The model's folder, unless apertium translates."""
    if params.model == APERTIUM:
        return {}
    called = model_called(params.model)
    try:
        folder = lookup.local(params.model)
    except StageError as error:
        raise StageError(error.message, converting(called, params.model) if called else error.hint) from error
    if folder is None:
        hint = f'model = "./models/{called or "NAME"}", or model = "{APERTIUM}"'
        raise StageError(f"translate: model {params.model!r} is no local folder", hint)
    return {"translate": ModelRef(params.model, folder)}


@stage(
    version=2,
    inputs={"transcript": "what was said, with word times"},
    optional={"terms": "the glossary's terms that occur: term, gender, a column per language"},
    outputs={"translation": "translation.json", "report": "report.json"},
    models=find_models,
    tools=("ctranslate2", "sentencepiece"),
)
def translate(ctx: Context, params: TranslateParams) -> None:
    """Translate the transcript sentence by sentence, with the glossary's terms forced."""
    transcript = formats.read(ctx.input("transcript"), Transcript)
    words = spoken_words(transcript)
    spans = sentence_spans(words, transcript.language, max_words=params.max_sentence_words)
    sources = [text_of(words[a : b + 1]) for a, b in spans]
    copied = same_language(transcript.language, params.language)
    wordings = Wordings([] if copied else read_terms(ctx.inputs("terms")), params.language)
    parsed = [[] if copied else wordings.pieces(source) for source in sources]
    if copied or not sources:
        name, targets = "copy", sources
    else:
        engine = _engine(ctx, params, transcript.language, sources, parsed)
        name, targets = engine.name, _kept(ctx, engine, sources, parsed)
    sentences = [
        Sentence(index, source, target, *span)
        for index, (source, target, span) in enumerate(zip(sources, targets, spans, strict=True))
    ]
    formats.write(ctx.output("translation"), Translation(params.language, sentences))
    starts_s = [words[first].start_s for first, _ in spans]
    formats.write(ctx.output("report"), verified(params.language, name, sentences, parsed, starts_s))


def _engine(
    ctx: Context, params: TranslateParams, source: str, sources: list[str], parsed: list[list[Piece]]
) -> Engine:
    """The model's folder, or apertium."""
    if not ctx.models:
        return apertium(source, params.language, sources, parsed)
    folder = ctx.models["translate"].path
    assert folder is not None
    return marian(
        folder,
        source,
        params.language,
        sources,
        parsed,
        name=params.model,
        kept=ctx.model,
        threads=ctx.threads,
    )


def _kept(ctx: Context, engine: Engine, sources: list[str], parsed: list[list[Piece]]) -> list[str]:
    """All translations; a sentence with its terms is a unit, so only new ones are made."""
    facts = [
        [engine.facts, source, [piece if isinstance(piece, str) else asdict(piece) for piece in pieces]]
        for source, pieces in zip(sources, parsed, strict=True)
    ]
    found = []
    for unit in ctx.units(facts, engine.make):
        found.append(unit.decode())
        ctx.progress(len(found), len(sources))
    return found
