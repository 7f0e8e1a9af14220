"""A cue's text in SubRip, WebVTT and ASS, and back: what is text is never taken for markup.

SubRip and ASS have no escapes that players agree on. A word joiner (U+2060), which has no width, takes
what would be markup apart (`<` + joiner + `i>`), and `{ }`, which begin an override in most players, become the
look-alikes `❴ ❵`. Reading undoes both; a joiner or look-alike of the text's own is written with one joiner more.

Not here: times and files (`subtitle_files`, `corrections`).
"""

from __future__ import annotations

import html
import re
from collections.abc import Sequence
from html.entities import html5

JOINER = "\u2060"
_TO_BRACES, _FROM_BRACES = dict(zip("{}", "❴❵", strict=True)), dict(zip("❴❵", "{}", strict=True))
_SRT_TAG = re.compile(r"</?(?:[ibus]|font)>|<font\s[^<>=]*=[^<>]*>|\{\\[^}]*\}", re.IGNORECASE)
_VTT_TAG = re.compile(r"</?(?:i|b|u|c|v|ruby|rt|lang)(?:[ \t.][^<>]*)?>|<(?:\d+:)?\d\d:\d\d\.\d{3}>")
_ENTITY = re.compile(r"&(?:#\d+|#[xX][0-9a-fA-F]+|\w+);")


def srt_text(lines: Sequence[str]) -> str:
    """The lines of a cue as SubRip: none of it is a tag, an entity, an override, `\\N` or a cue's times."""
    return "\n".join(_taken_apart(line, r"<|&(?=#?\w+;)|\\(?=[Nnh])|--(?=>)") for line in lines)


def ass_text(lines: Sequence[str]) -> str:
    """The lines of a cue as ASS: none of it is an override or `\\N`; `<` and `&` mean nothing there."""
    return "\\N".join(_taken_apart(line, r"\\(?=[Nnh])") for line in lines)


def vtt_text(lines: Sequence[str]) -> str:
    """https://www.w3.org/TR/webvtt1/#webvtt-cue-text-span: `&`, `<` and (for `-->`) `>`."""
    return html.escape("\n".join(lines), quote=False)


def _taken_apart(line: str, markup: str) -> str:
    line = re.sub(f"[❴❵{JOINER}]", rf"\g<0>{JOINER}", line)
    line = re.sub(markup, rf"\g<0>{JOINER}", line)
    return re.sub("[{}]", lambda brace: _TO_BRACES[brace[0]], line)


def plain_srt(text: str) -> str:
    """What `srt_text` made of a line, or a person wrote, without tags and positions; entities undone."""
    return _put_together(_ENTITY.sub(_character, _SRT_TAG.sub("", text)))


def plain_vtt(text: str) -> str:
    """The same for WebVTT, whose entities say everything."""
    return _ENTITY.sub(_character, _VTT_TAG.sub("", text))


def _character(entity: re.Match[str]) -> str:
    """Only an entity that HTML knows: its own rules would read `&section;` as `§ion;`."""
    name = entity[0][1:]
    return html.unescape(entity[0]) if name.startswith("#") or name in html5 else entity[0]


def _put_together(text: str) -> str:
    def undo(found: re.Match[str]) -> str:
        brace, joiners = found[1], len(found[2])
        if brace and joiners % 2 == 0:
            brace = _FROM_BRACES[brace]
        return brace + JOINER * (joiners // 2)

    return re.sub(f"([❴❵]?)({JOINER}*)", undo, text)
