"""How like two spellings are: by their letters and as they sound, what they share, and when one is made from the other.

Not here: whether a term was meant (`spelling`), how words sound by a dictionary (`speech.pronunciations`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from mediabuild.media.text.forms import Form

# A small word beside a term is itself, not the term's broken-off beginning ("to Norland", "a Dean").
_FUNCTION_WORDS = """
a an the this that of to in on at by for from with and or but nor so as if not no is are was were be been do did has had
have will can may i we you he she it they me us him them my our your his her its their all up out
"""
FUNCTION_WORDS = frozenset(_FUNCTION_WORDS.split())
# Nor are these and a neighbour one word: "back up" is no "backup", "every day" no "everyday".
_LOOSE = "off down over away back through about around under every some any one day time way more well else"
LOOSE_WORDS = FUNCTION_WORDS | frozenset(_LOOSE.split())
DERIVATION = re.compile(r"(e?rs?|ians?|ish|ing|ed|ly|like|ness|esque)")


def sounded(folded: str) -> str:
    """Letters as they sound: "fotosynthesis" is "photosynthesis"."""
    return folded.replace("ph", "f")


def ratio(one: str, other: str) -> float:
    """How like two words are, 0 … 100, by their letters or as they sound (InDel similarity, normalized)."""
    from rapidfuzz import fuzz

    return max(float(fuzz.ratio(one, other)), float(fuzz.ratio(sounded(one), sounded(other))))


def letters(words: Iterable[str]) -> str:
    """The letters and digits of words, without what lies between."""
    return "".join(c for word in words for c in word if c.isalnum())


def is_joint(heard: tuple[str, ...], meant: tuple[str, ...], form: Form) -> bool:
    """Whether plain words are a term written apart: "photo synthesis", or "git hub" at the capital of GitHub."""
    if len(heard) <= len(meant) or "".join(heard) != "".join(meant) or LOOSE_WORDS & set(heard):
        return False
    written = "".join(c for c in "".join(form.words) if c.isalnum())
    joints, at = [], 0
    for word in heard[:-1]:
        at += len(letters([word]))
        joints.append(at)
    return written.islower() or all(written[joint : joint + 1].isupper() for joint in joints)


def derived(heard: tuple[str, ...], meant: tuple[str, ...]) -> bool:
    """Whether the word is made from the term, as "Londoner" and "PyTorch" are: a word of its own."""
    before, whole, after = heard[0].partition(meant[0])
    return len(heard) == 1 and bool(whole) and (len(before) > 1 or bool(DERIVATION.fullmatch(after)))


def anchors(heard: tuple[str, ...], meant: tuple[str, ...]) -> tuple[int, int]:
    """How many words both share at their beginning, and at their end."""
    shorter = min(len(heard), len(meant))
    left = next((i for i in range(shorter) if heard[i] != meant[i]), shorter)
    right = next((i for i in range(shorter - left) if heard[-1 - i] != meant[-1 - i]), shorter - left)
    return left, right
