"""Text files that a person wrote: read whatever an editor or a spreadsheet made of them, or say what to type.

Not here: what the text means (`corrections`, `terms`).
"""

from __future__ import annotations

import codecs
import re
import shlex
import unicodedata
from pathlib import Path

from mediabuild.errors import StageError

# The first that fits is taken; UTF-32's mark begins with UTF-16's.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
# Encodings in which people still have files, and what iconv calls those that Python calls otherwise.
_LATIN = ["cp1252", "cp1250", "cp1254", "cp850", "mac_roman", "utf_16_le", "utf_16_be"]
_ENCODINGS = [
    *_LATIN,
    *(
        "cp1251",
        "cp1253",
        "cp1255",
        "cp1256",
        "cp874",
        "koi8_r",
        "cp866",
        "cp932",
        "euc_jp",
        "gb18030",
        "big5",
        "cp949",
    ),
]
_ICONV = {"mac_roman": "MACINTOSH", "utf_16_le": "UTF-16LE", "utf_16_be": "UTF-16BE"}
_SHOWN_CHARS = 40


def read_text(path: Path, name: str) -> str:
    """A file's text: without byte order marks, its lines ended by `\\n`.

    Args:
        path: the file. name: what messages call it.

    Raises:
        StageError: it is a folder, it is neither UTF-8 nor marked as UTF-16 or UTF-32, or it holds a control character
            such as NUL or ESC; names the line, and in the hint what to type.
    """
    if path.is_dir():
        raise StageError(f"{name}: is a folder, and a file is read")
    raw = path.read_bytes()
    encoding = next((encoding for mark, encoding in _MARKS if raw.startswith(mark)), "utf-8")
    try:
        text = raw.decode(encoding)
    except UnicodeDecodeError as error:
        raise _undecoded(path, name, raw, encoding, error) from error
    text = text.replace("\ufeff", "").replace("\r\n", "\n").replace("\r", "\n")
    check_characters(text, name, path)
    return text


def check_characters(text: str, name: str, path: Path | None = None) -> None:
    """Refuse control characters, which no subtitle format can hold.

    Raises:
        StageError: there is one; names its line. With the file's path, the hint says how to take them out.
    """
    for number, line in enumerate(text.split("\n"), start=1):
        for character in line:
            if character != "\t" and unicodedata.category(character) == "Cc":
                hint = ""
                if path and character < " ":
                    hint = _replacing(path, "tr -d '\\000-\\010\\013\\014\\016-\\037' <")
                raise StageError(f"{name}:{number}: a control character (U+{ord(character):04X})", hint)


def _undecoded(path: Path, name: str, raw: bytes, encoding: str, error: UnicodeDecodeError) -> StageError:
    """What to say of a file in another encoding: which it seems to be, and how its line reads in it."""
    if encoding != "utf-8":
        return StageError(f"{name}: marked as {encoding.upper()}, and isn't")
    line = raw.count(b"\n", 0, error.start) + 1
    guessed = guessed_encoding(raw)
    if guessed is None:
        return StageError(f"{name}:{line}: not UTF-8")
    reads = raw.decode(guessed).replace("\r\n", "\n").replace("\r", "\n").split("\n")[line - 1].strip()
    message = f"{name}:{line}: not UTF-8; as {_iconv(guessed)} it reads {reads[:_SHOWN_CHARS]!r}"
    return StageError(message, _replacing(path, f"iconv -f {_iconv(guessed)} -t UTF-8"))


def guessed_encoding(raw: bytes) -> str | None:
    """The encoding that the bytes are most likely in; Western Europe's wherever another says the same."""
    import charset_normalizer

    accented = b"".join(re.findall(rb"[A-Za-z\x80-\xff]*[\x80-\xff][A-Za-z\x80-\xff]*", raw))
    latin = 2 * sum(byte >= 0x80 for byte in accented) <= len(accented)  # such words are mostly plain letters: "señor"
    found = charset_normalizer.from_bytes(raw, cp_isolation=_LATIN if latin else _ENCODINGS)
    best = found.best()
    if best is None:
        return None
    # Where a few letters can't tell, Western Europe's is meant.
    equal = [each for each in found if (each.chaos, each.coherence) == (best.chaos, best.coherence)]
    western = any(each.encoding == "cp1252" or "cp1252" in each.could_be_from_charset for each in equal)
    return "cp1252" if western else str(best.encoding)


def _iconv(encoding: str) -> str:
    return _ICONV.get(encoding, encoding.upper().replace("_", "-"))


def _replacing(path: Path, filtering: str) -> str:
    """A command that puts a file through a filter."""
    old, new = (shlex.quote(str(p)) for p in (path, path.with_name(path.name + ".new")))
    return f"{filtering} {old} > {new} && mv {new} {old}"
