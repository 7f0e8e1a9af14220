"""Language tags: the BCP 47 that the pipeline speaks, the ISO 639-2 that containers hold, and names for people.

MP4 and Matroska know three letters only (mp4 silently drops `en` and `es-419`), so a region is
lost on the way into a file; the pipeline's own files keep it, and the name of a track shows it.
Which tags there are is known to langcodes, which holds IANA's registry of language subtags.

Not here: which language a recording is in (`transcribe`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# What containers write where they know no language; qaa to qtz are for private use.
LONGEST_TAG = 12  # of what somebody means as a tag, though it isn't written as one: `ESP`, `pt_BR`
# ISO 639-1, and what it withdrew (iw, in, ji, jw, mo, sh): other pairs of letters name no language, mostly a country.
TWO_LETTERS = (
    "aa|ab|ae|af|ak|am|an|ar|as|av|ay|az|ba|be|bg|bh|bi|bm|bn|bo|br|bs|ca|ce|ch|co|cr|cs|cu|cv|cy|da|de|dv|dz|ee|"
    "el|en|eo|es|et|eu|fa|ff|fi|fj|fo|fr|fy|ga|gd|gl|gn|gu|gv|ha|he|hi|ho|hr|ht|hu|hy|hz|ia|id|ie|ig|ii|ik|in|io|"
    "is|it|iu|iw|ja|ji|jv|jw|ka|kg|ki|kj|kk|kl|km|kn|ko|kr|ks|ku|kv|kw|ky|la|lb|lg|li|ln|lo|lt|lu|lv|mg|mh|mi|mk|"
    "ml|mn|mo|mr|ms|mt|my|na|nb|nd|ne|ng|nl|nn|no|nr|nv|ny|oc|oj|om|or|os|pa|pi|pl|ps|pt|qu|rm|rn|ro|ru|rw|sa|sc|"
    "sd|se|sg|sh|si|sk|sl|sm|sn|so|sq|sr|ss|st|su|sv|sw|ta|te|tg|th|ti|tk|tl|tn|to|tr|ts|tt|tw|ty|ug|uk|ur|uz|ve|"
    "vi|vo|wa|wo|xh|yi|yo|za|zh|zu"
)
TAG = rf"^({TWO_LETTERS}|[a-z]{{3}})(-[A-Za-z0-9]{{2,8}})*$"  # in lower case, as a folder is called
ANY_TAG = rf"^({TWO_LETTERS}|{TWO_LETTERS.upper()}|[A-Za-z]{{3}})(-[A-Za-z0-9]+)*$"
_NO_LANGUAGE = {"und", "mis", "mul", "zxx"}


def standard(tag: str) -> str | None:
    """A tag as BCP 47 writes it (`ES` → `es`, `eng` → `en`, `zh_tw` → `zh-TW`), or None where it names no language.

    Only language, script and region are kept; whatever else a tag may hold says nothing about the words.
    """
    found = _parsed(tag)
    if found is None:
        return None
    import langcodes

    parts = langcodes.Language.make(found.language, script=found.script, territory=found.territory)
    return str(parts.to_tag())


def from_container(code: str | None) -> str | None:
    """The BCP 47 tag of a container's code: `eng` → `en`, `ger` → `de`, `en-US` as it is.

    None where the code says nothing: `und` and its like, what is no language (`english`, `xx`), or no code at all.
    """
    return standard(code) if code else None


def to_container(tag: str) -> str:
    """The ISO 639-2/T code of a BCP 47 tag: `en` → `eng`, `es-419` → `spa`; `und` where there is none."""
    found = _parsed(tag)
    return str(found.to_alpha3()) if found else "und"


def same_language(one: str, other: str) -> bool:
    """Whether two tags, of either kind, name one language; regions don't count: `spa` and `es-419`."""
    return to_container(one) == to_container(other) != "und"


def language_of(text: str) -> tuple[str, float]:
    """The language that a text is written in, as a tag, and how probable that is, 0…1."""
    from py3langid import langid

    found, probability = langid.LanguageIdentifier.from_model_file(langid.MODEL_FILE, norm_probs=True).classify(text)
    return standard(found) or "en", float(probability)


def name_of(tag: str) -> str:
    """What people call the language of a BCP 47 tag, in that language: `Español (Latinoamérica)`, `中文 (简体)`.

    In English where the Unicode CLDR has no name in the language itself; the tag where it has none at all.
    """
    from babel import Locale, UnknownLocaleError

    try:
        locale = Locale.parse(tag, sep="-")
        name = locale.get_display_name(locale)
    except (UnknownLocaleError, ValueError):
        name = Locale("en").languages.get(tag.partition("-")[0].lower())
    return name[:1].upper() + name[1:] if name else tag


def tag_for(name: object) -> str:
    """What to type for a language that is called by its name, in English or its own: `Spanish` → `"es"`; else nothing.

    A hint for people: a name that nobody knows, or no babel, is no hint.
    """
    try:
        from babel import Locale, UnknownLocaleError
    except ImportError:
        return ""
    wanted = str(name).strip().casefold().replace("_", "-")
    tags = {called.casefold(): tag for tag, called in Locale("en").languages.items()}
    found = tags.get(wanted)
    for tag in () if found else sorted(Locale("en").languages):
        try:
            own = Locale.parse(tag).get_language_name()
        except (UnknownLocaleError, ValueError):
            continue
        if own and own.casefold() == wanted:
            found = tag
            break
    found = found or (standard(wanted) if len(wanted) <= LONGEST_TAG else None) or _guessed(wanted, tags)
    return f'type "{found}"' if found else ""


def _guessed(text: str, tags: Mapping[str, str]) -> str:
    """The language of a country (`jp` → `ja`), or the only one whose English name begins so (`sp` → `es`).

    Nothing where neither is sure: who writes `esp` doesn't mean Esperanto.

    Args:
        tags: English name in lower case → tag.
    """
    from babel.core import get_global

    likely = get_global("likely_subtags").get(f"und_{text.upper()}", "")
    names = {tag for name, tag in tags.items() if name.startswith(text)} if len(text) == 2 else set()
    return str(likely).partition("_")[0] or (names.pop() if len(names) == 1 else "")


def _parsed(tag: str) -> Any:
    """A valid tag taken apart, macrolanguages in place of their main members (`cmn` → `zh`), or None."""
    import langcodes

    tag = tag.strip()
    if not tag.isascii() or not langcodes.tag_is_valid(tag):
        return None
    found = langcodes.Language.get(tag)
    language = found.language
    if not language or len(language) > 3 or language in _NO_LANGUAGE or "qaa" <= language <= "qtz":
        return None  # longer ones are private, too: x-foo
    return found.prefer_macrolanguage() if language == "cmn" else found
