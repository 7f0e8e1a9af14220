"""Translation by a local CTranslate2 folder of an OPUS-MT model.

The model is given the terms' wording and the identifiers inside the source, which it usually copies; the report tells
where it didn't.

Not here: sentences and their pieces (`pieces`), and apertium.
"""

from __future__ import annotations

import html
import re
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from mediabuild.errors import StageError
from mediabuild.media.languages import standard
from mediabuild.media.translation.apertium import Engine
from mediabuild.media.translation.finishing import finished, marked_up
from mediabuild.media.translation.pieces import Forced, Kept, Piece, plain

CALLED = re.compile(r"opus-mt-(tc-big-|tc-base-)?[A-Za-z_]+-[A-Za-z_]+")  # as Helsinki-NLP names its models
NEEDED = ("model.bin", "config.json", "source.spm", "target.spm")


def model_called(folder: str) -> str:
    """The model that a folder is called after: `./models/opus-mt-en-fr` → `opus-mt-en-fr`; empty where it is none."""
    found = CALLED.match(Path(folder).name)
    return found[0] if found else ""


def converting(model: str, folder: str | Path) -> str:
    """The command that fetches an OPUS-MT model, such as `opus-mt-en-fr`, and converts it into a folder."""
    words = ("ct2-transformers-converter", "--model", f"Helsinki-NLP/{model}", "--output_dir", str(folder))
    return shlex.join([*words, "--copy_files", "source.spm", "target.spm", "--force"])


def marian(
    folder: Path,
    source: str,
    target: str,
    sources: list[str],
    parsed: list[list[Piece]],
    *,
    name: str,
    kept: Callable[[str, Callable[[], Any]], Any],
    threads: int,
) -> Engine:
    """The engine of a folder that holds `source.spm` and `target.spm` beside the model.

    One sentence a batch: in a larger one, padding changes the last bits of what a sentence gets.

    Args:
        source, target: the languages' tags. sources: the sentences. parsed: the same in pieces.
        name: what the user calls the model. kept: keeps what it loads for the worker's next job. threads: for one.

    Raises:
        StageError: the folder lacks a file, or a library isn't installed; later, if the model can't be loaded.
    """
    pair = "-".join((standard(tag) or tag).partition("-")[0] for tag in (source, target))
    hint = converting(model_called(name) or f"opus-mt-{pair}", folder)
    for file in NEEDED:
        if not (folder / file).is_file():
            raise StageError(f"translate: {folder} has no {file}", hint)
    try:
        import ctranslate2
        import sentencepiece
    except ImportError as error:
        raise StageError(f"translate: {error.name} is missing", f"pip install {error.name}") from error

    def load(file: str) -> sentencepiece.SentencePieceProcessor:
        return sentencepiece.SentencePieceProcessor(model_file=str(folder / file))

    def load_translator() -> ctranslate2.Translator:
        return ctranslate2.Translator(str(folder), device="cpu", inter_threads=1, intra_threads=threads)

    def make(numbers: list[int]) -> Iterator[bytes]:
        try:
            translator = kept(f"translate {folder}", load_translator)
            encoder, decoder = load("source.spm"), load("target.spm")
        except RuntimeError as error:  # a file that is missing, cut off, or of another model
            raise StageError(f"translate: params.model {name!r} can't be loaded: {error}", hint) from error
        # Some converters note that the model adds the end of a sentence by itself; the others leave it to us.
        config = msgspec.json.decode((folder / "config.json").read_bytes(), type=dict[str, object])
        end = [] if config.get("add_source_eos") else ["</s>"]
        for pieces, text in ((parsed[number], sources[number]) for number in numbers):
            tokens = encoder.encode("".join(map(_given, pieces)), out_type=str) + end
            best = translator.translate_batch([tokens], beam_size=4, max_batch_size=1)[0].hypotheses[0]
            yield finished(_marked(decoder.decode(best), pieces), pieces, text, target).encode()

    return Engine(f"ctranslate2 {name}", "ctranslate2", make)


def _given(piece: Piece) -> str:
    """A piece as the model reads it."""
    if isinstance(piece, Forced) and not piece.free:
        return piece.target + ("'s" if piece.possessive else "")
    return plain(piece)


def _marked(text: str, pieces: list[Piece]) -> str:
    """The model's output with the terms and identifiers that it copied marked as such."""
    marked = html.escape(text, quote=False)
    untouched = {piece.target for piece in pieces if isinstance(piece, Forced) and not piece.free}
    untouched |= {piece.text for piece in pieces if isinstance(piece, Kept)}
    if not untouched:
        return marked
    listed = "|".join(re.escape(html.escape(each, quote=False)) for each in sorted(untouched, key=len, reverse=True))
    return re.sub(rf"(?<!\w)({listed})(?!\w)", lambda found: marked_up(html.unescape(found[0])), marked)
