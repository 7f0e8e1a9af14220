"""The commands of the pages work: each page's shell blocks are run in the order in which they stand.

A block behind `<!-- not in a test: WHY -->` can't be run here; the blocks that say so are listed below. What the text
between the blocks tells a reader to do (edit a term, add the TOML that is shown) stands in `BEFORE`.

Not here: whether each command's words exist (`tests/unit/test_docs`).
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import pytest
import soundfile

from mediabuild.media.ffmpeg import ffmpeg_path

ROOT = Path(__file__).parents[2]
SPEECH = [ROOT / f"tests/speech/sense_and_sensibility_01_austen_64kb-08{number}.wav" for number in (80, 70, 90, 70)]
BLOCK = re.compile(
    r"(?:^<!-- not in a test: (?P<why>.*?) -->\n\n)?^```(?P<kind>sh|toml|python)\n(?P<text>.*?)^```$",
    re.DOTALL | re.MULTILINE,
)
NOT_RUN = {
    "CONTRIBUTING.md": ["installs packages, and runs the tests"],
    "README.md": ["installs packages", "installs packages, and runs the tests"],
    "docs/APPLE_SILICON.md": ["installs packages"],
    "docs/DEVELOPER_GUIDE.md": ["writes the clone's record", "installs packages", "runs the tests"],
    "docs/EVENTS.md": [],
    "docs/EXAMPLES.md": [],
    "docs/GPU.md": ["downloads 600 MB"],
    "docs/LANGUAGES.md": [
        "installs system packages", "installs system packages", "needs the network and torch", "needs the network",
        "needs the network",
    ],
    "docs/QUICKSTART.md": ["installs packages", "builds a package", "installs packages"],
    "docs/SEPARATOR.md": ["trains for hours"],
    "docs/TROUBLESHOOTING.md": [],
    "docs/UPKEEP.md": ["builds and installs packages", "builds and installs packages", "removes the installation"],
}  # fmt: skip
ADD = 'cat "$TOML" >> pipeline.toml'  # the TOML block that stands before
SEPARATE = """[stages.separate]
command = ["cp", "{inputs.audio}", "{outputs.vocals}"]
inputs = { audio = "demux.audio" }
outputs = { vocals = "vocals.wav" }"""
MADE = {
    "README.md": ["project/talk.en.srt", "project/talks/out/talk.en.srt"],
    "docs/EXAMPLES.md": ["project/podcast/feed/one.mp3"],
    "docs/QUICKSTART.md": ["talks/out/talk.en.srt", "project/out/sample.wav"],
}
TRANSLATION = "jobs/sample/translate/es/translation.json"

# What the text says is done before a block, which is named by its first command; in order, where it stands twice.
BEFORE = {
    "docs/DEVELOPER_GUIDE.md": {"doit validate": [f'cp "$PYTHON" stages/louder.py; {ADD}']},
    "docs/EVENTS.md": {
        "doit --events events.jsonl": ["doit forget mux"],
        "python -m mediabuild.commands.schema docs": ["mkdir docs"],
    },
    "docs/QUICKSTART.md": {
        "mediabuild talk.mp4": ["mkdir ../alone; cp ../talk.mp4 ../alone/; cd ../alone"],
        "doit": ["cd ../project"],
        "doit check": ["sed -i s/caballero/hombre/ glossary/terms.csv", "cd ../project; doit"],
        "doit reset-dep translate:sample:es": [f"sed -i s/hombre/señor/ {TRANSLATION}"],
        "doit loudness": [ADD],
        "mediabuild": ['cp "$HOME/talk.mp4" media/'],
    },
}

# The exit status that a page promises where it isn't 0, one after another; "any" where it depends on the machine.
STATUS: dict[str, dict[str, list[str]]] = {
    "docs/QUICKSTART.md": {"doit check": ["1", "0"], "doit doctor": ["any"], "doit language=es,ca": ["any"]},
}
PREAMBLE = """set -euxo pipefail
exits() {
    local wanted=$1 status=0
    shift
    "$@" || status=$?
    [ "$wanted" = any ] || [ "$status" = "$wanted" ] || { echo "exit $status, not $wanted: $*"; exit 99; }
}
"""


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with one short recording, built once; `separate`, which is tried elsewhere, is a copy here."""
    project = tmp_path_factory.mktemp("pages") / "project"
    project.mkdir()
    assert run(project, "mediabuild init").returncode == 0
    text = (project / "pipeline.toml").read_text()
    start = text.index("[stages.separate]")
    end = text.index("\n\n", start)
    text = text[:start] + SEPARATE + text[end:]
    if shutil.which("apertium") is None:
        text = text.replace('language = ["es"]', "language = []")
    (project / "pipeline.toml").write_text(text)
    (project / "glossary/terms.csv").write_text("term,es\nyoung man,caballero\n")
    (project / "stages").mkdir()
    video(SPEECH[:1], project.parent / "talk.mp4")
    video(SPEECH, project / "media/sample.mp4")
    done = run(project, "mediabuild")
    assert done.returncode == 0, done.stdout + done.stderr
    return project


def video(sounds: list[Path], file: Path) -> None:
    """A small one of some readings, one after the other."""
    read = [option for sound in sounds for option in ("-i", sound)]
    joined = f"{''.join(f'[{number}:a]' for number in range(len(sounds)))}concat=n={len(sounds)}:v=0:a=1[sound]"
    seconds = sum(soundfile.info(sound).duration for sound in sounds)
    picture = ["-f", "lavfi", "-i", f"color=size=160x90:rate=5:duration={seconds}"]
    streams = ["-filter_complex", joined, "-map", f"{len(sounds)}:v", "-map", "[sound]"]
    subprocess.run([ffmpeg_path(), "-v", "error", *read, *picture, *streams, "-pix_fmt", "yuv420p", file], check=True)


def run(folder: Path, script: str) -> subprocess.CompletedProcess[str]:
    """Run shell lines in a folder, with this test's programs, and with the folder above as home."""
    path = os.pathsep.join([f"{sys.prefix}/bin", os.environ["PATH"]])
    own = {"PATH": path, "NO_COLOR": "1", "HF_HUB_OFFLINE": "1", "HOME": str(folder.parent)}
    return subprocess.run(
        ["bash", "-c", PREAMBLE + script], cwd=folder, env={**os.environ, **own}, capture_output=True, text=True,
        check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip


def script_of(page: str) -> tuple[list[str], str]:
    """Why blocks aren't run, and a script of all others, with what their page says is done before each."""
    before = {name: iter(steps) for name, steps in BEFORE.get(page, {}).items()}
    statuses = {name: iter(each) for name, each in STATUS.get(page, {}).items()}
    left_out, script = [], []
    for number, block in enumerate(BLOCK.finditer((ROOT / page).read_text())):
        lines = block["text"].splitlines()
        if block["kind"] != "sh":
            script += [f"{block['kind'].upper()}=$HOME/shown.{number}", f"cat > $HOME/shown.{number} <<'SHOWN'", *lines]
            script.append("SHOWN")
        elif block["why"]:
            left_out.append(block["why"])
        else:
            script += [next(before.get(typed(lines[0]), iter([])), "")]
            script += [checked(line, statuses) for line in lines]
    assert [*chain(*before.values()), *chain(*statuses.values())] == [], f"{page} has no such blocks"
    return left_out, "\n".join(script)


def typed(line: str) -> str:
    """A line without its comment."""
    return line.partition("  #")[0].strip()


def checked(line: str, statuses: dict[str, Iterator[str]]) -> str:
    """A line, made to fail where its exit status isn't what the page promises."""
    command = typed(line)
    if command.startswith("! "):
        return f"exits 1 {command[2:]}"
    status = next(statuses.get(command, iter([])), "")
    return f"exits {status} {command}" if status else line


def test_each_page_with_commands_is_here() -> None:
    """A new page with a shell block has its commands run, too."""
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "media").glob("*.md")]
    assert {str(page.relative_to(ROOT)) for page in pages if "\n```sh\n" in page.read_text()} == set(NOT_RUN)


@pytest.mark.parametrize("page", NOT_RUN)
def test_the_commands_of_a_page(built: Path, tmp_path: Path, page: str) -> None:
    """All that can be run here, one after another; what can't be is marked, with why, and listed."""
    left_out, script = script_of(page)
    assert left_out == NOT_RUN[page]
    if page == "docs/QUICKSTART.md" and shutil.which("apertium") is None:
        pytest.skip("apertium isn't installed: the page corrects a translation")
    folder = tmp_path / "project"
    if page in ("README.md", "docs/EXAMPLES.md"):  # they begin with nothing but a recording
        folder.mkdir()
        shutil.copy(built.parent / "talk.mp4", folder)
    else:
        shutil.copytree(built, folder, symlinks=True)
    shutil.copy(built.parent / "talk.mp4", tmp_path)
    done = run(folder, script)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    for file in MADE.get(page, []):
        assert (tmp_path / file).exists(), file
    if page == "docs/UPKEEP.md":
        assert "jobs/sample/demux/manifest.json" in done.stdout


TINY = """
import json, sys
from pathlib import Path

import sentencepiece
import torch
from transformers import MarianConfig, MarianMTModel

folder, text = Path(sys.argv[1]), sys.argv[2]
folder.mkdir()
for side in ("source", "target"):
    sentencepiece.SentencePieceTrainer.train(
        input=text, model_prefix=str(folder / side), vocab_size=200, hard_vocab_limit=False, minloglevel=2)
    (folder / f"{side}.model").rename(folder / f"{side}.spm")
read = sentencepiece.SentencePieceProcessor(model_file=str(folder / "source.spm"))
pieces = [read.id_to_piece(number) for number in range(3, read.vocab_size())]
names = dict.fromkeys(["</s>", "<unk>", *pieces, "<pad>"])
(folder / "vocab.json").write_text(json.dumps({piece: number for number, piece in enumerate(names)}))
languages = {"source_lang": "en", "target_lang": "fr", "tokenizer_class": "MarianTokenizer"}
(folder / "tokenizer_config.json").write_text(json.dumps(languages))
torch.manual_seed(0)
last = len(names) - 1
sizes = {"d_model": 32, "max_position_embeddings": 256} | {
    f"{side}_{what}": value for side in ("encoder", "decoder")
    for what, value in {"layers": 1, "attention_heads": 4, "ffn_dim": 64}.items()}
config = MarianConfig(vocab_size=last + 1, pad_token_id=last, eos_token_id=0, bos_token_id=0, forced_eos_token_id=0,
                      decoder_start_token_id=last, activation_function="swish", **sizes)
MarianMTModel(config).save_pretrained(folder)
"""  # of the kind and with the files of Helsinki-NLP/opus-mt-en-fr


def test_french_in_three_commands(built: Path, tmp_path: Path) -> None:
    """The conversion of an OPUS-MT model as LANGUAGES has it typed, and the run with it; the model is a tiny one."""
    pytest.importorskip("transformers", reason="transformers isn't installed: it converts models")
    text = (ROOT / "docs/LANGUAGES.md").read_text()
    section = text[text.index("## French in three commands") :]
    block = next(found["text"] for found in BLOCK.finditer(section))
    first, _, others = block.partition("\n")
    assert "pip install" in first and "Helsinki-NLP/opus-mt-en-fr" in others
    folder = shutil.copytree(built, tmp_path / "project", symlinks=True)
    (folder / "tiny.py").write_text(TINY)
    make = f"python tiny.py {tmp_path}/opus-mt-en-fr {ROOT}/docs/DESIGN.md\n"
    done = run(folder, make + others.replace("Helsinki-NLP/", f"{tmp_path}/"))
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads((folder / "jobs/sample/translate/fr/report.json").read_text())
    assert report["engine"] == "ctranslate2 ./models/opus-mt-en-fr"
    assert (folder / "out/sample.fr.srt").stat().st_size > 0
    (folder / "models/opus-mt-en-fr/shared_vocabulary.json").unlink()  # as in a copy that was made by hand
    failed = run(folder, "mediabuild translate --language fr translate.model=./models/opus-mt-en-fr")
    assert failed.returncode == 1 and "Traceback" not in failed.stdout
    assert "'./models/opus-mt-en-fr' can't be loaded" in failed.stdout and "hint: ct2-" in failed.stdout, failed.stdout


def test_the_table_of_commands(tmp_path: Path) -> None:
    """What COMING_FROM tells those who come from make to type: its pipeline, then its table from top to bottom."""
    page = (ROOT / "docs/COMING_FROM.md").read_text()
    (tmp_path / "media").mkdir()
    shutil.copy(SPEECH[0], tmp_path / "media/a.wav")
    (tmp_path / "pipeline.toml").write_text(next(block["text"] for block in BLOCK.finditer(page)))
    commands = re.findall(r"\| `(mediabuild[^`]*)` \|$", page, re.MULTILINE)
    assert len(commands) > 8
    status = {"mediabuild check": ["1"]}  # `clean` stands before it
    done = run(
        tmp_path, "\n".join(checked(line, {name: iter(each) for name, each in status.items()}) for line in commands)
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "RUN     mp3:a" in done.stdout and "bitrate" in done.stdout


def test_the_file_formats_in_the_guide(built: Path, tmp_path: Path) -> None:
    """The developer guide's Python lines read what a run made, and the next run takes in what they wrote."""
    guide = (ROOT / "docs/DEVELOPER_GUIDE.md").read_text()
    section = guide[guide.index("## Reading and writing the files") : guide.index("## Raising a stage's version")]
    blocks = re.findall(r"^```python\n(.*?)^```$", section, re.DOTALL | re.MULTILINE)
    folder = shutil.copytree(built, tmp_path / "project", symlinks=True)
    (folder / "lines.py").write_text("\n".join(blocks))
    done = run(folder, f"PYTHONPATH={ROOT} python lines.py")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "stretches of speech" in done.stdout
    planned = run(folder, "mediabuild --dry-run").stdout
    assert "RUN     align:sample  inputs.corrections: corrections/sample.json added" in planned
    assert "glossary/people.csv added" in planned
