"""Language tags: the BCP 47 that the pipeline speaks, the ISO 639-2 that containers hold, and names for people.

MP4 and Matroska know three letters only (mp4 silently drops `en` and `es-419`), so a region is
lost on the way into a file; the pipeline's own files keep it, and the name of a track shows it.

Not here: which language a recording is in.
"""

from __future__ import annotations

# ISO 639-1 and ISO 639-2/T, `en` and `eng`; the Library of Congress' table of ISO 639-2.
_PAIRS = """
aa-aar ab-abk ae-ave af-afr ak-aka am-amh an-arg ar-ara as-asm av-ava ay-aym az-aze ba-bak be-bel bg-bul bi-bis bm-bam
bn-ben bo-bod br-bre bs-bos ca-cat ce-che ch-cha co-cos cr-cre cs-ces cu-chu cv-chv cy-cym da-dan de-deu dv-div dz-dzo
ee-ewe el-ell en-eng eo-epo es-spa et-est eu-eus fa-fas ff-ful fi-fin fj-fij fo-fao fr-fra fy-fry ga-gle gd-gla gl-glg
gn-grn gu-guj gv-glv ha-hau he-heb hi-hin ho-hmo hr-hrv ht-hat hu-hun hy-hye hz-her ia-ina id-ind ie-ile ig-ibo ii-iii
ik-ipk io-ido is-isl it-ita iu-iku ja-jpn jv-jav ka-kat kg-kon ki-kik kj-kua kk-kaz kl-kal km-khm kn-kan ko-kor kr-kau
ks-kas ku-kur kv-kom kw-cor ky-kir la-lat lb-ltz lg-lug li-lim ln-lin lo-lao lt-lit lu-lub lv-lav mg-mlg mh-mah mi-mri
mk-mkd ml-mal mn-mon mr-mar ms-msa mt-mlt my-mya na-nau nb-nob nd-nde ne-nep ng-ndo nl-nld nn-nno no-nor nr-nbl nv-nav
ny-nya oc-oci oj-oji om-orm or-ori os-oss pa-pan pi-pli pl-pol ps-pus pt-por qu-que rm-roh rn-run ro-ron ru-rus rw-kin
sa-san sc-srd sd-snd se-sme sg-sag si-sin sk-slk sl-slv sm-smo sn-sna so-som sq-sqi sr-srp ss-ssw st-sot su-sun sv-swe
sw-swa ta-tam te-tel tg-tgk th-tha ti-tir tk-tuk tl-tgl tn-tsn to-ton tr-tur ts-tso tt-tat tw-twi ty-tah ug-uig uk-ukr
ur-urd uz-uzb ve-ven vi-vie vo-vol wa-wln wo-wol xh-xho yi-yid yo-yor za-zha zh-zho zu-zul
"""
# The older, bibliographic codes of ISO 639-2/B, which Matroska writes.
_BIBLIOGRAPHIC = """
alb-sqi arm-hye baq-eus bur-mya chi-zho cze-ces dut-nld fre-fra geo-kat ger-deu gre-ell ice-isl mac-mkd mao-mri
may-msa per-fas rum-ron slo-slk tib-bod wel-cym
"""
_TO_639_2 = dict(pair.split("-") for pair in _PAIRS.split())
_TO_639_1 = {three: two for two, three in _TO_639_2.items()}
_TERMINOLOGICAL = dict(pair.split("-") for pair in _BIBLIOGRAPHIC.split())
_NO_LANGUAGE = {"", "und", "mis", "mul", "zxx", "qaa"}


def from_container(code: str | None) -> str | None:
    """The BCP 47 tag of a container's code: `eng` → `en`, `ger` → `de`, `en-US` as it is.

    None where the code says nothing: `und` and its like, or no code at all.
    """
    first, _, rest = (code or "").strip().replace("_", "-").partition("-")
    first = first.lower()
    if first in _NO_LANGUAGE:
        return None
    first = _TERMINOLOGICAL.get(first, first)
    first = _TO_639_1.get(first, first)
    return f"{first}-{rest}" if rest else first


def to_container(tag: str) -> str:
    """The ISO 639-2/T code of a BCP 47 tag: `en` → `eng`, `es-419` → `spa`; `und` where there is none."""
    first = tag.partition("-")[0].lower()
    if len(first) == 3:
        return _TERMINOLOGICAL.get(first, first)
    return _TO_639_2.get(first, "und")


def same_language(one: str, other: str) -> bool:
    """Whether two tags, of either kind, name one language; regions don't count: `spa` and `es-419`."""
    return to_container(one) == to_container(other) != "und"


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
