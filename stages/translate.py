"""Translate the transcript sentence by sentence, with the glossary's terms forced and the result verified.

Each sentence is translated by itself, so that an edit changes only its own translation. Terms keep
the glossary's wording, and the articles before them are mended to its gender (Spanish).

Two engines: apertium (rules, from the distribution's packages), or a local CTranslate2 folder of an
OPUS-MT model. Both run on the CPU, whatever `device` says. A neural model is given the forced
wording inside the source, which it usually copies; the report tells where it didn't.

Not here: when the translation is shown (`subtitles`).
"""

from __future__ import annotations

import contextlib
import hashlib
import html
import os
import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import msgspec

from mediabuild.errors import StageError
from mediabuild.media import formats
from mediabuild.media.formats import Sentence, Transcript, Translation
from mediabuild.media.languages import same_language, to_container
from mediabuild.media.sentences import sentence_spans, spoken_words
from mediabuild.media.terms import Term, read_terms
from mediabuild.media.words import text_of
from mediabuild.stage import Context, Lookup, ModelRef, stage

APERTIUM = "apertium"
TAG = "apertium-notrans"
FORCED = re.compile(f"<{TAG}>(.*?)</{TAG}>")
# Names that apertium leaves alone, put in a term's place before a possessive: a <notrans> followed
# by "'s" comes out as "Elinor Es la madre", "John's mother" as "La madre de John".
STAND_INS = ("John", "Edison", "Nelson", "Newton", "Lincoln")


class TranslateParams(msgspec.Struct, forbid_unknown_fields=True):
    """Into which language, and with what."""

    language: Annotated[
        str, msgspec.Meta(pattern=r"^[a-z]{2,3}(-[A-Za-z0-9]{2,8})*$", description="the target, a BCP 47 tag")
    ] = "es"
    model: Annotated[
        str, msgspec.Meta(min_length=1, description="`apertium`, or a local CTranslate2 folder of an OPUS-MT model")
    ] = APERTIUM
    max_sentence_words: Annotated[
        int, msgspec.Meta(ge=10, le=200, description="speech without punctuation is cut into sentences this long")
    ] = 60


@dataclass(frozen=True)
class Forced:
    """An occurrence of a term in a sentence: the wording that its translation must have."""

    term: str
    target: str
    gender: str
    plural: bool
    possessive: bool


class Violation(msgspec.Struct):
    """A sentence whose translation lacks a term's wording."""

    sentence: int
    start_s: float
    term: str
    expected: str
    source: str
    target: str


class Report(msgspec.Struct):
    """`report.json`: how the translation was made, and whether it keeps to the glossary."""

    language: str
    engine: str
    sentences: int
    term_occurrences: int
    adherence_percent: float
    violations: list[Violation]
    schema_version: int = formats.SCHEMA_VERSION


def find_models(params: TranslateParams, lookup: Lookup) -> dict[str, ModelRef]:
    """The model's folder, unless apertium translates."""
    if params.model == APERTIUM:
        return {}
    folder = lookup.local(params.model)
    if folder is None:
        raise StageError(f"translate: model {params.model!r} is no local folder", 'model = "./models/opus-mt-en-es"')
    return {"translate": ModelRef(params.model, folder)}


@stage(
    version=2,
    inputs={"transcript": "what was said, with word times"},
    optional={"terms": "the glossary's terms that occur: term, gender, a column per language"},
    outputs={"translation": "translation.json", "report": "report.json"},
    models=find_models,
    tools=("ctranslate2", "sentencepiece"),
)
def translate(ctx: Context, params: TranslateParams) -> None:
    """Translate the transcript sentence by sentence, with the glossary's terms forced."""
    transcript = formats.read(ctx.input("transcript"), Transcript)
    words = spoken_words(transcript)
    spans = sentence_spans(words, transcript.language, max_words=params.max_sentence_words)
    sources = [text_of(words[a : b + 1]) for a, b in spans]
    copied = same_language(transcript.language, params.language)
    terms = [] if copied else read_terms(ctx.inputs("terms"))
    parsed = [find_terms(source, terms, params.language) for source in sources]
    if copied or not sources:
        name, targets = "copy", sources
    else:
        if ctx.models:
            engine = _marian(ctx, params, sources, parsed)
        else:
            engine = _apertium(transcript.language, params.language, sources, parsed)
        name, targets = engine.name, _kept(ctx, engine, sources, parsed)
    sentences = [
        Sentence(index, source, target, *span)
        for index, (source, target, span) in enumerate(zip(sources, targets, spans, strict=True))
    ]
    formats.write(ctx.output("translation"), Translation(params.language, sentences))
    starts_s = [words[first].start_s for first, _ in spans]
    formats.write(ctx.output("report"), verified(params.language, name, sentences, parsed, starts_s))


def verified(
    language: str, engine: str, sentences: list[Sentence], parsed: list[list[str | Forced]], starts_s: list[float]
) -> Report:
    """Count, in the final text, the wordings that the glossary asks for."""
    occurrences, violations = 0, []
    for sentence, pieces, start_s in zip(sentences, parsed, starts_s, strict=True):
        wanted = Counter((piece.term, piece.target) for piece in pieces if isinstance(piece, Forced))
        for (term, expected), count in wanted.items():
            there = len(re.findall(rf"(?<!\w){re.escape(expected)}(?!\w)", sentence.target, re.IGNORECASE))
            occurrences += count
            missing = Violation(sentence.id, start_s, term, expected, sentence.source, sentence.target)
            violations += [missing] * max(0, count - there)
    percent = 100.0 if not occurrences else round(100 * (1 - len(violations) / occurrences), 2)
    return Report(language, engine, len(sentences), occurrences, percent, violations)


# Terms in a sentence


def find_terms(source: str, terms: list[Term], language: str) -> list[str | Forced]:
    """A sentence in pieces: plain text, and the terms that have a translation into `language`.

    A term is found in the plural, too, and a term in small letters with a capital; the person Will
    is not found in "will". The longest of two terms wins.
    """
    wordings = {_key(term.text): (term, wording) for term in terms if (wording := _wording(term, language))}
    if not wordings:
        return [source]
    spelt = "|".join(r"\s+".join(map(re.escape, key.split())) for key in sorted(wordings, key=len, reverse=True))
    pattern = re.compile(rf"(?<!\w)({spelt})(e?s)?(['’]s?(?=\s))?(?!\w)", re.IGNORECASE)
    pieces: list[str | Forced] = []
    done = 0
    for found in pattern.finditer(source):
        term, wording = wordings[_key(found[1])]
        if term.text[:1].isupper() and not found[1][:1].isupper():
            continue
        plural = bool(found[2])
        target = pluralised(wording, language) if plural else wording
        if target:
            pieces += [source[done : found.start()], Forced(term.text, target, term.gender, plural, bool(found[3]))]
            done = found.end()
    return [piece for piece in [*pieces, source[done:]] if piece]


def _key(text: str) -> str:
    return " ".join(text.casefold().split())


def _wording(term: Term, language: str) -> str:
    """A term's translation: for `es-419` the column of that name, or else `es`."""
    return term.translations.get(language) or term.translations.get(language.partition("-")[0], "")


def pluralised(wording: str, language: str) -> str:
    """A Spanish noun phrase in the plural, up to its preposition: `mapa de bits` → `mapas de bits`.

    A name stays as it is (`los Dashwood`). Empty for other languages: then plurals aren't forced.
    """
    if not same_language(language, "es"):
        return ""
    if wording[:1].isupper():
        return wording
    words = wording.split()
    end = next((i for i, word in enumerate(words) if word in ("a", "con", "de", "del", "en", "para", "por", "sin")), 99)
    return " ".join(_plural_word(word) if i < end else word for i, word in enumerate(words))


def _plural_word(word: str) -> str:
    if word.endswith(("ión", "én", "án", "ín", "ón")):
        bare = word[:-2] + word[-2].translate(str.maketrans("áéíó", "aeio")) + "n"
        return bare + "es"
    if word[-1] in "aeiouáéó":
        return word + "s"
    return word[:-1] + "ces" if word.endswith("z") else word if word.endswith("s") else word + "es"


# Engines


@dataclass(frozen=True)
class Engine:
    """What translates.

    Args:
        name: for the report. facts: what its work follows from, beside a sentence and its terms.
        make: numbers of sentences → their translations, as bytes.
    """

    name: str
    facts: str
    make: Callable[[list[int]], Iterable[bytes]]


def _kept(ctx: Context, engine: Engine, sources: list[str], parsed: list[list[str | Forced]]) -> list[str]:
    """All translations; a sentence with its terms is a unit, so only new ones are made."""
    facts = [
        [engine.facts, source, [piece if isinstance(piece, str) else asdict(piece) for piece in pieces]]
        for source, pieces in zip(sources, parsed, strict=True)
    ]
    found = []
    for unit in ctx.units(facts, engine.make):
        found.append(unit.decode())
        ctx.progress(len(found), len(sources))
    return found


def _apertium(source: str, target: str, sources: list[str], parsed: list[list[str | Forced]]) -> Engine:
    """Translates sentences in one call, one `<p>` a line, which keeps each to itself."""
    program = shutil.which(APERTIUM)
    pair = f"{to_container(source)}-{to_container(target)}"
    english_spanish = pair in ("eng-spa", "spa-eng")
    if program is None:
        hint = "sudo apt-get install apertium" + (" apertium-eng-spa" if english_spanish else "")
        raise StageError("translate: apertium is not installed", hint)
    mode = _mode(_output([program, "-l"]).split(), source, target)
    if mode is None:
        hint = "sudo apt-get install apertium-eng-spa" if english_spanish else "apt-cache search '^apertium-'"
        raise StageError(f"translate: apertium has no pair {pair} ({source} → {target})", hint)
    version = _output([program, "-V"]).split()[-1]

    def make(numbers: list[int]) -> list[bytes]:
        prepared = [_with_stand_ins(parsed[number]) for number in numbers]
        paragraphs = "".join(f"<p>{text}</p>\n" for text, _ in prepared)
        lines = _output([program, "-u", "-f", "html-noent", mode], paragraphs).splitlines()
        if len(lines) != len(numbers):
            raise StageError(f"translate: apertium returned {len(lines)} lines for {len(numbers)} sentences")
        targets = []
        for number, line, (_, stand_ins) in zip(numbers, lines, prepared, strict=True):
            marked = line.strip().removeprefix("<p>").removesuffix("</p>")
            for name, forced in stand_ins.items():
                marked = re.sub(rf"\b{name}\b", f"<{TAG}>{html.escape(forced.target, quote=False)}</{TAG}>", marked)
            targets.append(finished(marked, parsed[number], sources[number], target).encode())
        return targets

    return Engine(f"apertium {version} {mode}", f"apertium {version} {mode} {_pair_digest(program, mode)}", make)


def _pair_digest(program: str, mode: str) -> str:
    """A digest of a pair's dictionaries and rules: the files that apertium's `modes/NAME.mode` names.

    They come in packages of their own. Empty where they aren't found.
    """
    listing = Path(os.path.realpath(program)).parents[1] / "share/apertium/modes" / f"{mode}.mode"
    digest = hashlib.sha256()
    with contextlib.suppress(OSError):
        for name in re.findall(r"'(/[^']+)'", listing.read_text()):
            digest.update(Path(name).read_bytes())
    return digest.hexdigest()


def _output(command: list[str], text: str = "") -> str:
    # In the C locale apertium would read bytes instead of letters.
    environment = {**os.environ, "LC_ALL": "C.UTF-8"}
    done = subprocess.run(command, input=text.encode(), capture_output=True, check=False, env=environment)
    if done.returncode != 0:
        tail = done.stderr.decode(errors="replace").strip()[-500:]
        raise StageError(f"translate: {' '.join(command)} failed (exit {done.returncode})\n    {tail}")
    return done.stdout.decode()


def _mode(installed: Iterable[str], source: str, target: str) -> str | None:
    """apertium's name for a pair: three letters or two, with a region where there is one (`spa-eng_US`)."""
    installed = set(installed)
    region = target.partition("-")[2]
    long, short = (
        (to_container(source), to_container(target)),
        (source.split("-", maxsplit=1)[0], target.split("-", maxsplit=1)[0]),
    )
    for left, right in (long, short):
        for name in (f"{left}-{right}_{region}", f"{left}-{right}"):
            if name in installed:
                return name
    return None


def _with_stand_ins(pieces: list[str | Forced]) -> tuple[str, dict[str, Forced]]:
    """A sentence as apertium reads it, and which names in it stand for which possessive terms."""
    plain = " ".join(piece for piece in pieces if isinstance(piece, str))
    free = [name for name in STAND_INS if name not in plain]
    stand_ins: dict[str, Forced] = {}
    text = ""
    for piece in pieces:
        if isinstance(piece, str):
            text += html.escape(piece, quote=False)
        elif piece.possessive and len(stand_ins) < len(free):
            name = free[len(stand_ins)]
            stand_ins[name] = piece
            text += f"{name}'s"
        else:
            text += f"<{TAG}>{html.escape(piece.target, quote=False)}</{TAG}>"
    return text, stand_ins


def _marian(ctx: Context, params: TranslateParams, sources: list[str], parsed: list[list[str | Forced]]) -> Engine:
    """Translates with a CTranslate2 folder that holds `source.spm` and `target.spm` beside the model.

    One sentence a batch: in a larger one, padding changes the last bits of what a sentence gets.
    """
    folder = ctx.models["translate"].path
    assert folder is not None
    for name in ("model.bin", "config.json", "source.spm", "target.spm"):
        if not (folder / name).is_file():
            copy = "ct2-transformers-converter --model Helsinki-NLP/opus-mt-en-es --copy_files source.spm target.spm"
            raise StageError(f"translate: {folder} has no {name}", f"{copy} --output_dir {folder}")
    try:
        import ctranslate2
        import sentencepiece
    except ImportError as error:
        raise StageError(f"translate: {error.name} is missing", f"pip install {error.name}") from error

    def load(name: str) -> sentencepiece.SentencePieceProcessor:
        return sentencepiece.SentencePieceProcessor(model_file=str(folder / name))

    def load_translator() -> ctranslate2.Translator:
        return ctranslate2.Translator(str(folder), device="cpu", inter_threads=1, intra_threads=ctx.threads)

    def make(numbers: list[int]) -> Iterator[bytes]:
        translator = ctx.model(f"translate {folder}", load_translator)
        encoder, decoder = load("source.spm"), load("target.spm")
        # Some converters note that the model adds the end of a sentence by itself; the others leave it to us.
        config = msgspec.json.decode((folder / "config.json").read_bytes(), type=dict[str, object])
        end = [] if config.get("add_source_eos") else ["</s>"]
        for pieces, text in ((parsed[number], sources[number]) for number in numbers):
            forced = "".join(piece if isinstance(piece, str) else _plainly(piece) for piece in pieces)
            tokens = encoder.encode(forced, out_type=str) + end
            best = translator.translate_batch([tokens], beam_size=4, max_batch_size=1)[0].hypotheses[0]
            marked = html.escape(decoder.decode(best), quote=False)
            for target in {piece.target for piece in pieces if isinstance(piece, Forced)}:
                escaped = html.escape(target, quote=False)
                marked = re.sub(rf"(?<!\w){re.escape(escaped)}(?!\w)", f"<{TAG}>{escaped}</{TAG}>", marked)
            yield finished(marked, pieces, text, params.language).encode()

    return Engine(f"ctranslate2 {params.model}", "ctranslate2", make)


def _plainly(forced: Forced) -> str:
    return forced.target + ("'s" if forced.possessive else "")


# The finishing touch


def finished(marked: str, pieces: list[str | Forced], source: str, language: str) -> str:
    """The final text of a sentence.

    Args:
        marked: the engine's output, escaped, with forced terms between <apertium-notrans> tags.
        pieces: the sentence as `find_terms` returned it. source: its text.
        language: the target's tag.
    """
    marked = " ".join(marked.split())
    after = pieces[1] if len(pieces) > 1 and isinstance(pieces[0], Forced) and isinstance(pieces[1], str) else ""
    if str(after).strip()[:1].islower():  # apertium took the word after a leading term for the sentence's first
        marked = re.sub(rf"^(<{TAG}>.*?</{TAG}> )(\w)", lambda m: m[1] + m[2].lower(), marked)
    spanish = same_language(language, "es")
    if spanish:
        for forced in {piece.target: piece for piece in pieces if isinstance(piece, Forced)}.values():
            marked = agreeing(marked, forced)
    text = html.unescape(FORCED.sub(r"\1", marked))
    if source.lstrip("\"'“‘(¿¡")[:1].isupper():
        text = re.sub(r"^(\W*)(\w)", lambda m: m[1] + m[2].upper(), text)
    return _opened(text) if spanish else text


def _opened(text: str) -> str:
    """Spanish opens a question or an exclamation, too."""
    for closing, opening in ("?¿", "!¡"):
        if text.rstrip("\"'”’»)").endswith(closing) and opening not in text:
            text = re.sub(r"^([\"'“‘«(\s—-]*)", rf"\1{opening}", text, count=1)
    return text


# Masculine, feminine, masculine plural, feminine plural.
DETERMINERS = (
    ("el", "la", "los", "las"),
    ("un", "una", "unos", "unas"),
    ("este", "esta", "estos", "estas"),
    ("ese", "esa", "esos", "esas"),
    ("aquel", "aquella", "aquellos", "aquellas"),
    ("algún", "alguna", "algunos", "algunas"),
    ("ningún", "ninguna", "ningunos", "ningunas"),
    ("nuestro", "nuestra", "nuestros", "nuestras"),
)
NEUTER = {"lo": "el", "esto": "este", "eso": "ese", "aquello": "aquel"}  # pronouns, wherever no noun was seen
BEFORE_STRESSED_A = ("el", "un", "algún", "ningún")  # el agua, un alma


def agreeing(marked: str, forced: Forced) -> str:
    """Make the words before a forced term agree with it: `un viejo <voz>` → `una vieja <voz>`, `del` → `de la`.

    An engine that doesn't know the term takes it for a masculine, so that is what there is to mend.
    """
    if not forced.gender:
        return marked
    column = 2 * forced.plural + (forced.gender == "f")
    noun = rf"(?= <{TAG}>{re.escape(html.escape(forced.target, quote=False))}</{TAG}>)"

    def agree(match: re.Match[str]) -> str:
        was, adjective = match[1], match[2] or ""
        known = NEUTER.get(was.lower(), was.lower())
        row = next(row for row in DETERMINERS if known in row)
        now = row[column]
        if adjective:
            adjective = re.sub("os?$", ("o", "a", "os", "as")[column], adjective)
        elif column == 1 and row[0] in BEFORE_STRESSED_A and starts_with_stressed_a(forced.target):
            now = row[0]
        return (now.capitalize() if was[:1].isupper() else now) + adjective

    listed = "|".join([*NEUTER, *(word for row in DETERMINERS for word in row)])
    marked = re.sub(rf"\b([Dd]e|[Aa])l{noun}", r"\1 el", marked)
    marked = re.sub(rf"\b({listed})\b( \w+os?)?{noun}", agree, marked, flags=re.IGNORECASE)
    return re.sub(rf"\b([Dd]e|[Aa]) el{noun}", r"\1l", marked)


def starts_with_stressed_a(noun: str) -> bool:
    """Whether a Spanish noun begins with a stressed a: `agua`, `hacha`, `área`; not `abeja`, `acción`."""
    word = noun.split(maxsplit=1)[0]
    if re.match(r"h?á", word):
        return True
    if not re.match(r"h?a", word) or re.search("[áéíóú]", word):
        return False
    syllables = re.findall(r"[iu]?[aeo][iuy]?|[iu]+", word)
    return len(syllables) == 2 and word[-1] in "aeiouns"
