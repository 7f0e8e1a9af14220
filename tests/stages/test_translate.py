"""Translation by the real apertium: sentences, forced terms and their articles, and the report."""

from __future__ import annotations

import json
import shlex
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from mediabuild.errors import StageError
from mediabuild.media import formats
from mediabuild.media.formats import Segment, Transcript, Translation, Word
from mediabuild.pipeline.code_of_stages.loading import load_stage
from mediabuild.stage import Lookup

STAGE = load_stage(Path(__file__).parents[2] / "stages" / "translate.py")
assert STAGE.run is not None
made: Any = sys.modules[STAGE.run.__module__]
needs_apertium = pytest.mark.skipif(
    shutil.which("apertium") is None, reason="apt-get install apertium apertium-eng-spa"
)

TERMS = """\
term,gender,es
Elinor,f,Elinor
Norland Park,m,Norland Park
Will,m,Will
axe,f,hacha
round table,f,mesa redonda
stage,f,etapa
voice,f,voz
wave file,m,archivo WAV
"""


def said(*segments: str, language: str = "en", pause_s: float = 0.5) -> Transcript:
    """A transcript whose words take 0.3 s each, with a pause after each segment."""
    made_segments, now_s = [], 0.0
    for index, text in enumerate(segments):
        words = []
        for word in text.split():
            words.append(Word(word, round(now_s, 3), round(now_s + 0.25, 3)))
            now_s += 0.3
        made_segments.append(Segment(index, words[0].start_s, words[-1].end_s, text, words=words))
        now_s += pause_s
    return Transcript(language, "param", made_segments)


@pytest.fixture
def translated(run_stage: Any, tmp_path: Path) -> Any:
    """``translated(transcript, terms, **params)`` → the translation, the report."""

    def run(transcript: Transcript, terms: str | None = None, **params: Any) -> tuple[Translation, dict[str, Any]]:
        formats.write(tmp_path / "transcript.json", transcript)
        inputs = {"transcript": tmp_path / "transcript.json"}
        if terms is not None:
            (tmp_path / "terms.csv").write_text(terms, encoding="utf-8")
            inputs["terms"] = tmp_path / "terms.csv"
        out = run_stage("translate", inputs, **params).out
        return formats.read(out / "translation.json", Translation), json.loads((out / "report.json").read_text())

    return run


@needs_apertium
def test_one_changed_term_translates_only_its_sentences_again(run_stage: Any, tmp_path: Path) -> None:
    """A sentence with its terms is a unit; a new sentence in the middle costs itself alone."""
    units = tmp_path / "state" / "units" / "translate"
    (tmp_path / "state" / "tmp").mkdir(parents=True)
    first = ("Elinor heard a voice.", "The stage was empty.", "Nobody came.")
    longer = (first[0], "It was late.", *first[1:])

    def run(texts: tuple[str, ...], terms: str, **options: Any) -> Any:
        formats.write(tmp_path / "transcript.json", said(*texts))
        (tmp_path / "terms.csv").write_text(terms, encoding="utf-8")
        inputs = {"transcript": tmp_path / "transcript.json", "terms": tmp_path / "terms.csv"}
        return run_stage("translate", inputs, **options)

    changed = TERMS.replace("etapa", "escena")
    for texts, terms, fresh in ((first, TERMS, 3), (first, changed, 1), (longer, changed, 1), (longer, TERMS, 0)):
        done, clean = run(texts, terms, units=units), run(texts, terms)
        assert (done.kept.made, done.kept.made + done.kept.reused) == (fresh, len(texts))
        for name in ("translation", "report"):
            assert done.output(name).read_bytes() == clean.output(name).read_bytes()
    assert "etapa" in done.output("translation").read_text()


@needs_apertium
def test_forced_terms_with_their_articles(translated: Any) -> None:
    """Terms keep the glossary's words, articles, contractions and adjectives before them agree, plurals are plural."""
    expected = {
        "The voice is here.": "La voz es aquí.",
        "The voices of the round table.": "Las voces de la mesa redonda.",
        "A voice from the round table, to the voice.": "Una voz de la mesa redonda, a la voz.",
        "This is an old voice.": "Esto es una vieja voz.",
        "The axe is in the wave file.": "El hacha es en el archivo WAV.",
        "Elinor's mother saw the gate of Norland Park.": "La madre de Elinor vio la puerta de Norland Park.",
        "Will will go.": "Will irá.",
        "Where is the stage?": "¿Dónde es la etapa?",
    }
    translation, report = translated(said(*expected), TERMS)
    assert {sentence.source: sentence.target for sentence in translation.sentences} == expected
    assert (report["adherence_percent"], report["term_occurrences"]) == (100.0, 13)
    assert report["violations"] == []


@needs_apertium
def test_apertium_alone_gets_the_terms_wrong(translated: Any) -> None:
    """What the glossary is for: without it, the name of a house is translated."""
    text = "Elinor's mother saw the gate of Norland Park."
    translation, report = translated(said(text))
    assert "Norland Park" not in translation.sentences[0].target
    assert report["term_occurrences"] == 0


@needs_apertium
def test_a_sentence_alone_is_translated_as_among_others(translated: Any) -> None:
    """No word wanders from one sentence to the next: each gets what it gets by itself."""
    texts = (
        "And Mr. John Dashwood had then leisure to consider how much there might be prudently in his power.",
        "He was not an ill disposed young man",
        "Unless to be rather cold hearted and rather selfish is to be ill disposed.",
        "The voice, I said!",
        "In a very long letter.",
    )
    together, _ = translated(said(*texts, pause_s=4), TERMS)
    alone = [translated(said(text), TERMS)[0].sentences[0].target for text in texts]
    assert [sentence.target for sentence in together.sentences] == alone


@needs_apertium
def test_word_spans_and_markup_survive(translated: Any) -> None:
    """A sentence may run over two segments, and `<`, `&` and quotes come back as they were, in single spaces."""
    translation, _ = translated(said('"Peace & war", he', "said: 1 < 2. Yes — <p>no</p>."))
    assert [(s.first_word, s.last_word) for s in translation.sentences] == [(0, 7), (8, 10)]
    assert translation.sentences[0].target.startswith('"Guerra & de paz",')
    assert translation.sentences[0].target.endswith("1 < 2.")
    assert "<p>" in translation.sentences[1].target
    assert not any("  " in sentence.target for sentence in translation.sentences)


IDENTIFIERS = [
    "/etc/hosts", "~/notes/todo.txt", "./build.sh", "src/main.py", "report-final.docx", "C:\\Users\\Public\\My",
    "john.doe+x@example.com", "@open_source", "#HelloWorld", "user_name", "maxSpeed", "$HOME", "${PATH}", "{name}",
    "{count}", "https://example.com/the/house?open=door", "get_user()", "--dry-run", "`open door`", "MP3", "Node.js",
]  # fmt: skip


@needs_apertium
def test_identifiers_survive(translated: Any) -> None:
    """Paths, files, addresses, handles, variables and placeholders: at a sentence's start, inside it, at its end."""
    texts = [
        f"{one} is open; the house of {other} and {third}."
        for one, other, third in zip(
            IDENTIFIERS, IDENTIFIERS[7:] + IDENTIFIERS[:7], IDENTIFIERS[3:] + IDENTIFIERS[:3], strict=True
        )
    ]
    translation, report = translated(said(*texts), "term,es\nhosts,anfitriones\nname,nombre\n")
    for sentence in translation.sentences:
        assert all(text in sentence.target for text in IDENTIFIERS if text in sentence.source), sentence
        assert "casa" in sentence.target
    assert (report["identifiers"], report["violations"]) == (3 * len(IDENTIFIERS), [])


@needs_apertium
def test_terms_with_digits_and_symbols(translated: Any) -> None:
    """A 3D printer has a plural, 3D has none; "C" is no "C#", and a term beats the identifier that it looks like."""
    terms = "term,gender,es\n3D printer,f,impresora 3D\n50,,50\nC#,,Do sostenido\nGitHub,,EjeGit\nGPU,f,GPU\n"
    texts = (
        "The 3D printers are here.",
        "There are 50 houses and 50% more.",
        "We like C and C#.",
        "See GitHub.",
        "The GPUs are old.",
    )
    translation, report = translated(said(*texts), terms)
    targets = [sentence.target for sentence in translation.sentences]
    assert targets[0].startswith("Las impresoras 3D ")
    assert "50 casas" in targets[1]
    assert "C y Do sostenido." in targets[2]
    assert "EjeGit" in targets[3]
    assert targets[4].startswith("Las GPU ")
    assert (report["adherence_percent"], report["term_occurrences"]) == (100.0, 5)


def test_the_same_language_is_copied(translated: Any) -> None:
    """English into British English needs no engine."""
    translation, report = translated(said("The voice is here."), TERMS, language="en-GB")
    assert translation.sentences[0].target == "The voice is here."
    assert report["engine"] == "copy"


def test_nothing_said_is_translated_to_nothing(translated: Any) -> None:
    """A silent recording has a translation without sentences, and no violation."""
    translation, report = translated(Transcript("en", "assumed", []), TERMS)
    assert translation.sentences == []
    assert report["adherence_percent"] == 100.0


@needs_apertium
def test_a_pair_that_is_not_installed_says_what_to_type(translated: Any) -> None:
    """English to Swahili is not there; the message names the pair and a command."""
    with pytest.raises(StageError, match="eng-swa") as caught:
        translated(said("Good morning."), language="sw")
    assert caught.value.hint.startswith("apt-cache search")


def test_without_apertium_the_message_has_the_apt_line(translated: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a machine that has no apertium."""
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(StageError, match="not installed") as caught:
        translated(said("Good morning."))
    assert caught.value.hint == "sudo apt-get install apertium apertium-eng-spa"


def test_a_model_folder_is_declared_and_checked(translated: Any, tmp_path: Path) -> None:
    """A folder that is there is what the stage loads; one that lacks the model, or isn't there, is a clear error."""
    params = made.TranslateParams(model=str(tmp_path))
    assert made.find_models(params, Lookup(tmp_path, tmp_path))["translate"].path == tmp_path
    with pytest.raises(StageError, match=r"no model\.bin"):
        translated(said("Good morning."), model=str(tmp_path))
    with pytest.raises(StageError, match="no file or folder") as caught:
        translated(said("Good morning."), model="./nowhere")
    assert caught.value.hint == "ls ./nowhere"


@pytest.mark.parametrize(
    ("folder", "wanted"),
    [
        ("of mine", "opus-mt-de-fr"),
        ("opus-mt-en-jap", "opus-mt-en-jap"),
        ("opus-mt-tc-big-de-zle.ct2", "opus-mt-tc-big-de-zle"),
    ],
)
def test_the_hint_converts_the_model_that_is_wanted(translated: Any, tmp_path: Path, folder: str, wanted: str) -> None:
    """The one that the folder is called after, else the one of the languages; a shell takes it as it is printed."""
    (tmp_path / folder).mkdir()
    with pytest.raises(StageError, match=r"no model\.bin") as caught:
        translated(said("Guten Morgen.", language="de"), model=str(tmp_path / folder), language="fr-CA")
    words = shlex.split(caught.value.hint)
    assert words[:3] == ["ct2-transformers-converter", "--model", f"Helsinki-NLP/{wanted}"]
    assert words[words.index("--output_dir") + 1] == str(tmp_path / folder)


@pytest.mark.parametrize(
    ("model", "hint"),
    [
        ("Helsinki-NLP/opus-mt-de-fr", 'model = "./models/opus-mt-de-fr", or model = "apertium"'),
        ("opus-mt-de-fr", 'model = "./models/opus-mt-de-fr", or model = "apertium"'),
        ("Apertium", 'model = "./models/NAME", or model = "apertium"'),
        (
            "./models/opus-mt-de-fr",
            "ct2-transformers-converter --model Helsinki-NLP/opus-mt-de-fr --output_dir ./models/opus-mt-de-fr "
            "--copy_files source.spm target.spm --force",
        ),
    ],
)
def test_the_hint_keeps_the_models_name(tmp_path: Path, model: str, hint: str) -> None:
    """Where there is no such folder."""
    with pytest.raises(StageError) as caught:
        made.find_models(made.TranslateParams(model=model, language="fr"), Lookup(tmp_path, tmp_path))
    assert caught.value.hint == hint and model in caught.value.message
