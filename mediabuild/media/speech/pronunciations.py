"""How English words are spoken: CMUdict, from pocketsphinx's package.

Not here: when they are spoken (the `align` stage).
"""

from __future__ import annotations

from pathlib import Path

from mediabuild.errors import StageError

Pronunciations = dict[str, list[str]]


def pronunciations() -> Pronunciations:
    """Words, folded → phones, without the vowels that nobody tells apart unstressed.

    Raises:
        StageError: pocketsphinx isn't installed.
    """
    try:
        from pocketsphinx import get_model_path
    except ImportError as error:
        raise StageError("glossary: pocketsphinx is missing", "pip install 'mediabuild[media]'") from error
    found: Pronunciations = {}
    punctuation = str.maketrans("", "", ".-_")
    for line in Path(get_model_path("en-us/cmudict-en-us.dict")).read_text(encoding="utf-8").splitlines():
        word, phones = line.split(" ", 1)
        spelling = word.partition("(")[0].translate(punctuation).strip("'")  # as `fold` would, but faster
        found.setdefault(spelling, []).append(phones.replace("AH", "IH"))
    return found


def sounds(words: tuple[str, ...], known: Pronunciations) -> set[str]:
    """All ways in which words can be spoken one after the other; none where one isn't known."""
    found = {""}
    for word in words:
        found = {f"{sound} {phones}" for sound in found for phones in known.get(word, ())}
    return found
