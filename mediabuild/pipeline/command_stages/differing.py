"""Shows of two long values just what differs: the words of a command, the keys of a table, the middle of a text.

Not here: which values changed (`freshness.rebuilder`).
"""

from __future__ import annotations

import difflib
import json
from typing import Any

LONG = 80  # characters of both that are shown in full
AROUND = 12  # characters that are shown before and after what differs in a text
GAP = "…"


def differing(was: str, now: str) -> tuple[str, str]:
    """Two values, as the text that a reason shows; where they are long, only what differs of each."""
    if len(was) + len(now) <= LONG:
        return was, now
    before, after = _parsed(was), _parsed(now)
    if isinstance(before, list) and isinstance(after, list):
        return _of_lists([_text(word) for word in before], [_text(word) for word in after])
    if isinstance(before, dict) and isinstance(after, dict):
        keys = [key for key in before | after if before.get(key) != after.get(key)]
        return _of_table(before, after, keys), _of_table(after, before, keys)
    if isinstance(before, str) and isinstance(after, str):
        return _of_texts(was, now)
    return was, now


def _of_lists(was: list[str], now: list[str]) -> tuple[str, str]:
    """The words that differ; of one word in the place of another, what differs of it."""
    found: tuple[list[str], list[str]] = ([], [])
    matcher = difflib.SequenceMatcher(a=was, b=now, autojunk=False)
    for operation, start, stop, begin, end in matcher.get_opcodes():
        if operation == "equal":
            for words in found:
                if words[-1:] != [GAP]:
                    words.append(GAP)
        elif stop - start == end - begin:
            for one, other in zip(was[start:stop], now[begin:end], strict=True):
                for words, word in zip(found, _of_texts(one, other), strict=True):
                    words.append(word)
        else:
            found[0].extend(was[start:stop])
            found[1].extend(now[begin:end])
    return " ".join(found[0]), " ".join(found[1])


def _of_texts(was: str, now: str) -> tuple[str, str]:
    """Two texts without most of the beginning and the end that they share."""
    if len(was) + len(now) <= LONG:
        return was, now
    shortest = min(len(was), len(now))
    start = next((i for i in range(shortest) if was[i] != now[i]), shortest)
    end = next((i for i in range(shortest - start) if was[-1 - i] != now[-1 - i]), shortest - start)
    return _middle(was, start, len(was) - end), _middle(now, start, len(now) - end)


def _middle(text: str, start: int, stop: int) -> str:
    first, last = max(0, start - AROUND), min(len(text), stop + AROUND)
    return GAP * (first > 0) + text[first:last] + GAP * (last < len(text))


def _of_table(table: dict[str, Any], other: dict[str, Any], keys: list[str]) -> str:
    shown = []
    for key in keys:
        if key in table:
            value, against = _text(table[key]), _text(other.get(key, ""))
            shown.append(f"{key} = {differing(value, against)[0]}")
    return "{" + ", ".join(shown) + "}"


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
