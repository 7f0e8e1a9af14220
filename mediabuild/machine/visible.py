"""Text from elsewhere on a console: control characters are shown, not obeyed, and the end of a log is found.

What programs, stages and files say may hold anything: codes that move the cursor or clear the screen, marks that turn
the order of letters round, megabytes without a line end.

Not here: what is said (`reporting`). Little is imported: the no-op reads this module.
"""

from __future__ import annotations

import re

TYPE_CHECKING = False  # not from typing, which takes a while: the no-op reads this module
if TYPE_CHECKING:
    from typing import IO

LOG_BYTES = 1 << 16  # of a log's end, which are looked at
LINE_CHARS = 500  # shown of a line
# patterns that are compiled when they are first used: not in the no-op
# what ffmpeg, ffprobe and ffplay say of themselves before anything else
BANNER = r"ff(mpeg|probe|play) version .* Copyright|  (built with |configuration: |lib(av|sw|post)\w+ +\d+\. *\d+\.)"
# all controls but the tab and the line end; line and paragraph separators; marks of direction; half characters
CONTROLS = r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"


def visible(text: str) -> str:
    r"""The text with control characters as they are written in Python (`\x1b`); line ends and tabs stay."""
    if text.isprintable():  # as nearly always: then it has none of them
        return text
    return re.sub(CONTROLS, lambda match: match[0].encode("unicode_escape").decode(), text)


def same_text(text: str) -> str:
    """The form that all texts share which look the same: a Mac's `é` is two characters, most others' one."""
    if text.isascii():
        return text
    import unicodedata  # only here: the no-op reads this module

    return unicodedata.normalize("NFC", text)


def one_line(text: str) -> str:
    r"""The whole text, made visible on one line: line ends are shown as `\n`."""
    return visible(text).replace("\n", "\\n")


def visible_line(text: str) -> str:
    """The first line of a text that says something, made visible."""
    return next((visible(line) for line in text.splitlines() if line.strip()), "")


def last_lines(log: IO[bytes], count: int) -> list[str]:
    r"""The last lines of a log that say something, from the oldest, made visible and cut where they are too long.

    Of a line that wrote itself anew (`\r`, as progress bars do), what it said last. What ffmpeg says of itself is left
    out, since it would be all that is seen of a short log.

    Args:
        log: can be sought; only its end is read.
    """
    size = log.seek(0, 2)
    log.seek(max(0, size - LOG_BYTES))
    lines = log.read().decode(errors="replace").split("\n")
    if size > LOG_BYTES and len(lines) > 1:
        del lines[0]  # its beginning is missing
    said = [next((part for part in reversed(line.split("\r")) if part.strip()), "") for line in lines]
    return [_cut(visible(line.rstrip())) for line in said if line.strip() and not re.match(BANNER, line)][-count:]


def _cut(line: str) -> str:
    return line if len(line) <= LINE_CHARS else f"… {line[-LINE_CHARS:]}"
