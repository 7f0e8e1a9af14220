"""Names of machines in a text: addresses, paths, files, variables, placeholders. No translation may touch them.

Not here: how an engine is kept from it (`apertium`), and whether they came back (`adherence`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

_END = r"[^\s.,;:!?…)\]}\"'”’»>]"  # what an address ends with: punctuation behind it is the sentence's
_PART = r"[\w.@%+~#=&-]"
# "etc." and "p.m." are words; "main.py", "example.com", "Node.js", "ASP.NET" and "v2.1.0" are not.
_SUFFIX = r"(?:[a-z][a-z0-9]+|[A-Z][A-Z0-9]+|[a-z](?=[^\w.]|$))"
_PATTERNS = (
    r"`[^`\s](?:[^`]*[^`\s])?`",  # code
    rf"(?:[a-z][a-z0-9+.-]*://|www\.|mailto:)\S*{_END}/?",  # addresses of the web and others
    r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+",  # e-mail
    r"\$?\{\{?[^{}\s]*\}?\}|%(?:\d*\.\d+)?[sdif](?!\w)",  # placeholders
    r"\$[A-Za-z_]\w*(?:/[\w.-]*\w)*|%[A-Za-z_]\w*%",  # variables
    rf"[A-Za-z]:\\(?:[^\s\\]+\\)*(?:[^\s\\]*{_END})?|\\\\[^\s\\]+(?:\\[^\s\\]*{_END})+",  # paths of Windows
    rf"(?<![\w/<])(?:~|\.{{1,2}})?/(?:{_PART}+/)*{_PART}*[\w~]/?(?![\w/])",  # /etc/hosts, ~/notes, ./run.sh
    rf"(?<![\w/])(?:{_PART}*\w/)+{_PART}*[\w-]+\.{_SUFFIX}(?!\w)",  # src/main.py
    r"(?<![\w/])[\w-]+(?:/[\w-]+){2,}/?(?!\w)",  # src/main/java
    r"(?<!\w)[@#][A-Za-z_]\w+(?:\.\w+)*",  # handles, hashtags
    r"(?<!\w)[A-Za-z_][\w.]*\w\(\)",  # calls
    r"(?<![\w-])--[A-Za-z][\w-]*(?:=[^\s,;]*[\w/])?",  # options
    rf"(?<![\w.-])(?=[\w.-]*[A-Za-z])[\w-]{{2,}}(?:\.[\w-]+)*\.{_SUFFIX}(?![\w.-]*\w)",  # files, domains
    r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b",  # UUIDs
    r"(?<![\w.-])v?\d+(?:\.\d+){2,}(?::\d+|-[A-Za-z]\w*)?|(?<!\w)v\d+(?:\.\d+)+(?:-[A-Za-z]\w*)?",  # versions, IP
    r"\b(?=\w*[A-Za-z])\w*[A-Za-z0-9]_\w+|(?<!\w)_\w*[A-Za-z]\w*",  # snake_case
    r"\b[a-z]+[A-Z]\w*|\b[A-Z][a-z0-9]+(?:[A-Z][a-z0-9]+)+\b",  # camelCase, PascalCase
    r"\b(?=[0-9a-f]*[a-f])(?=[0-9a-f]*\d)[0-9a-f]{7,40}\b|\b0x[0-9A-Fa-f]+\b",  # digests, hexadecimal numbers
    r"\b[A-Za-z]{1,10}-?\d(?:[\w.-]*\w)?\b|\b[A-Z]\.\d+\b",  # GPT-4, MP3, H.264
)
_IDENTIFIER = re.compile("|".join(f"(?:{pattern})" for pattern in _PATTERNS))
_WORDS_WITH_SLASHES = re.compile(r"[a-z]{1,4}(?:/[a-z]{1,4})+", re.IGNORECASE)  # he/she/it


def identifiers(text: str) -> Iterator[tuple[int, int]]:
    """Where the identifiers of a text begin and end, in order, not overlapping."""
    for found in _IDENTIFIER.finditer(text):
        if not _WORDS_WITH_SLASHES.fullmatch(found[0]):
            yield found.span()
