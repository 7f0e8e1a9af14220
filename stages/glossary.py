"""Correct the project's terms in the transcript, and list words that might become terms.

Only what the recogniser can't have meant is corrected (`mediabuild.media.text.spelling` has the principle). Each
correction is recorded, with what was there. A spelling under `alternatives` always counts. A second run over the
result would change nothing.

Not here: forcing the terms in a translation (`translate`).
"""

from __future__ import annotations

from typing import Annotated

import msgspec

from mediabuild.media import formats
from mediabuild.media.formats import Transcript
from mediabuild.media.speech.pronunciations import pronunciations
from mediabuild.media.text.candidates import candidates
from mediabuild.media.text.repairs import Corrections, repair
from mediabuild.media.text.spelling import Speller
from mediabuild.media.text.terms import read_terms, write_rows, write_terms
from mediabuild.stage import Context, stage


class GlossaryParams(msgspec.Struct, forbid_unknown_fields=True):
    """How eagerly terms are repaired, and how many new ones are proposed."""

    similarity: Annotated[
        float, msgspec.Meta(ge=0, le=100, description="how near a misheard word must be to a term, in percent")
    ] = 82.0
    min_letters: Annotated[
        int, msgspec.Meta(ge=2, le=40, description="shorter terms are only repaired where they sound the same")
    ] = 5
    max_candidates: Annotated[int, msgspec.Meta(ge=0, le=1000, description="how many new terms to propose")] = 40


@stage(
    version=2,
    inputs={"transcript": "what was said, with word times"},
    optional={"terms": "CSV files: term, a column per language, alternatives, gender, note"},
    outputs={
        "transcript": "transcript.json",
        "terms": "terms.csv",
        "candidates": "candidates.csv",
        "corrections": "corrections.json",
    },
    tools=("rapidfuzz", "yake", "pocketsphinx"),
)
def glossary(ctx: Context, params: GlossaryParams) -> None:
    """Correct the project's terms in the transcript, and list words that might become terms."""
    terms = read_terms(ctx.inputs("terms"))
    transcript = formats.read(ctx.input("transcript"), Transcript)
    english = transcript.language.partition("-")[0] == "en"
    known = ctx.model("pronunciations", pronunciations) if english else {}
    speller = Speller(terms, known, params.similarity, params.min_letters)
    corrections, occurring = repair(transcript, speller.matches)
    formats.write(ctx.output("transcript"), transcript)
    formats.write(ctx.output("corrections"), Corrections(corrections))
    write_terms(ctx.output("terms"), [term for term in terms if term.text in occurring])
    proposed = candidates(transcript, terms, known, params.max_candidates)
    write_rows(ctx.output("candidates"), [["candidate", "occurrences", "example"], *proposed])
