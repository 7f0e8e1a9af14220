"""How well the sample is understood, and whether its translation keeps to the glossary.

Reads what `doit` built for `media/sample.mp4` and prints the word error rate against
`media/sample.txt`, before and after the glossary's corrections, and the glossary adherence of the
Spanish translation. Exit status 1 if the rate is over 10 % or the adherence under 100 %.

    python benchmarks/sample.py

Not here: how words are compared (`scoring.py`), and many recordings beside faster-whisper by hand (`accuracy.py`).
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import jiwer
import msgspec
from scoring import words

from mediabuild.media import formats

ROOT = Path(__file__).parents[1]
MAX_WORD_ERRORS_PERCENT = 10.0
MIN_ADHERENCE_PERCENT = 100.0


def transcribed(path: Path) -> str:
    """The text of a `transcript.json`."""
    return " ".join(segment.text for segment in formats.read(path, formats.Transcript).segments)


def compare(reference: str, heard: str) -> tuple[float, list[str]]:
    """The word error rate in percent, and each difference as `was → heard`."""
    output = jiwer.process_words(" ".join(words(reference)), " ".join(words(heard)))
    said, written = output.references[0], output.hypotheses[0]
    differences = [
        f"{' '.join(said[part.ref_start_idx : part.ref_end_idx]) or '∅'} → "
        f"{' '.join(written[part.hyp_start_idx : part.hyp_end_idx]) or '∅'}"
        for part in output.alignments[0]
        if part.type != "equal"
    ]
    return 100 * output.wer, differences


def main() -> int:
    """Print the table; 0 if all limits hold."""
    parser = argparse.ArgumentParser(description="Word errors and glossary adherence of the built sample.")
    parser.add_argument("--job", type=Path, default=ROOT / "jobs/sample", help="the job's directory")
    parser.add_argument("--reference", type=Path, default=ROOT / "media/sample.txt", help="what is really said")
    options = parser.parse_args()
    job: Path = options.job
    if not (job / "translate/es/report.json").exists():
        print(f"{job}: not built yet\n  hint: doit", file=sys.stderr)
        return 1
    reference = options.reference.read_text(encoding="utf-8")
    holds = True
    for stage in ("transcribe", "glossary"):
        percent, differences = compare(reference, transcribed(job / stage / "transcript.json"))
        holds &= percent <= MAX_WORD_ERRORS_PERCENT
        print(f"word errors after {stage:<12}{percent:6.2f} %   {'; '.join(differences)}")
    report: dict[str, Any] = msgspec.json.decode((job / "translate/es/report.json").read_bytes())
    adherence = float(report["adherence_percent"])
    print(f"glossary adherence (es)       {adherence:6.2f} %   {report['term_occurrences']} occurrences of terms")
    for violation in report["violations"]:
        print(f"  {violation['term']!r} should be {violation['expected']!r} in: {violation['target']}")
    holds &= adherence >= MIN_ADHERENCE_PERCENT and report["term_occurrences"] > 0
    print(f"limits: at most {MAX_WORD_ERRORS_PERCENT:g} % word errors, {MIN_ADHERENCE_PERCENT:g} % adherence:", end=" ")
    print("kept" if holds else "BROKEN")
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main())
