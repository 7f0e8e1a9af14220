"""The order in which people count: `ch2` before `ch10`, for all that is listed or handed to a stage.

Not here: what a digest or a manifest is made of; there names are sorted letter by letter, so that equal facts stay
equal bytes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import TypeVar

DIGITS = re.compile(r"([0-9]+)")
Item = TypeVar("Item")


def natural(name: str) -> tuple[list[tuple[int, str]], str]:
    """A key for sorting: digits that stand together count as one number, all else letter by letter.

    No two names share a key: `ch02` stands before `ch2`.
    """
    parts = DIGITS.split(name)
    for place in range(1, len(parts), 2):
        parts[place] = parts[place].lstrip("0")
    return [(len(part) if place % 2 else 0, part) for place, part in enumerate(parts)], name


def in_order(items: Iterable[Item], name: Callable[[Item], str] = str) -> list[Item]:
    """The items in natural order.

    Args:
        name: what an item is called; its text if left out.
    """
    return sorted(items, key=lambda item: natural(name(item)))
