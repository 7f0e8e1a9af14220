"""The finishing touch on an engine's translation: agreement with the terms, capitals, marks.

Not here: the engines (`apertium`, `marian`), and what is Spanish about it (`spanish`).
"""

from __future__ import annotations

import html
import re
from collections.abc import Sequence

from mediabuild.media.languages import same_language
from mediabuild.media.translation.pieces import Forced, Kept, Piece
from mediabuild.media.translation.spanish import agreeing, opened

TAG = "apertium-notrans"
UNTOUCHED = re.compile(f"<{TAG}>(.*?)</{TAG}>")


def marked_up(text: str) -> str:
    """What must not be touched, as an engine's output holds it: escaped, between tags."""
    return f"<{TAG}>{html.escape(text, quote=False)}</{TAG}>"


def finished(marked: str, pieces: Sequence[Piece], source: str, language: str) -> str:
    """The final text of a sentence.

    Args:
        marked: the engine's output, escaped, with terms and identifiers between <apertium-notrans> tags.
        pieces: the sentence as it was taken apart. source: its text.
        language: the target's tag.
    """
    marked = " ".join(marked.split())
    after = pieces[1] if len(pieces) > 1 and not isinstance(pieces[0], str) and isinstance(pieces[1], str) else ""
    if str(after).strip()[:1].islower():  # apertium took the word after a leading term for the sentence's first
        marked = re.sub(rf"^(<{TAG}>.*?</{TAG}> )(\w)", lambda m: m[1] + m[2].lower(), marked)
    spanish = same_language(language, "es")
    if spanish:
        for forced in {piece.target: piece for piece in pieces if isinstance(piece, Forced) and piece.gender}.values():
            marked = agreeing(
                marked,
                re.escape(marked_up(forced.target)),
                forced.target,
                feminine=forced.gender == "f",
                plural=forced.plural,
            )
    text = html.unescape(UNTOUCHED.sub(r"\1", marked))
    if source.lstrip("\"'“‘(¿¡")[:1].isupper() and not (pieces and isinstance(pieces[0], Kept)):
        text = re.sub(r"^(\W*)(\w)", lambda m: m[1] + m[2].upper(), text)
    return opened(text) if spanish else text
