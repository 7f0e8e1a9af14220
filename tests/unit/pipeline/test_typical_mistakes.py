"""Typical mistakes with each key of `pipeline.toml`: what is said of them, word for word, as somebody looked at it.

`typical_mistakes/KEY.txt` has a pipeline that is right, and below it mistakes: what is written there (`-`), what
somebody writes instead (`+`), and the answer (`>`).

Not here: mistakes that have nothing to do with these keys (`tests/e2e/test_mistakes`).
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import jsonschema
import pytest

from mediabuild.build import Build
from mediabuild.commands.asking.idle import find_idle
from mediabuild.errors import PipelineError
from mediabuild.pipeline.options import Options

ROOT = Path(__file__).parents[3]
FEWEST = 10  # mistakes with a key
OF_SCHEMA = ("unknown key", "unknown table", "expected ")
OF_MORE = (" as '", "a list, a table of", ".csv", ".toml", ".params.level")  # what follows from another value, or file
CASES = Path(__file__).parent / "typical_mistakes"
KEYS = sorted(path.stem for path in CASES.glob("*.txt"))
PLACES = (
    "media/one.mp4", "media/two.mp4", "lines/tavern.csv", "slides/one.pdf", "wrong.toml", "jobs.txt", "cut.py",
    "albums/x/1.flac", "albums/x/2.flac", "albums/x/10.flac", "albums/x/cover.jpg", "albums/y/1.flac", "albums/y/1.wav",
)  # fmt: skip

CONTENTS = {
    "wrong.toml": "[one]\nparams.cut = { stat_s = 1 }\n[two]\nskp = 1\n",
    "lines/tavern.csv": "id,voice,text\ngreet,en,Hello\n",
}


@dataclass
class Case:
    """A mistake."""

    changes: list[tuple[str, str]] = field(default_factory=list)
    says: list[str] = field(default_factory=list)

    def applied(self, files: Mapping[str, str]) -> dict[str, str]:
        """The project's files with the mistake."""
        found = dict(files)
        for old, new in self.changes:
            name = next(name for name, text in found.items() if old in text)
            found[name] = found[name].replace(old, new, 1)
        return found


def read_cases(file: Path) -> tuple[dict[str, str], list[Case]]:
    """The files of a project that is right, and the mistakes."""
    files: dict[str, str] = {}
    cases: list[Case] = []
    name = mark = ""
    for line in file.read_text().splitlines(keepends=True):
        before, mark = mark, line[:1]
        if line.startswith("=== "):
            name = line[4:].strip()
            files[name] = ""
        elif mark not in "-+>":
            if not cases:
                files[name] += line
        elif mark == ">":
            cases[-1].says.append(line[2:].rstrip("\n"))
        else:
            if mark == "-" and before not in "-+":
                cases.append(Case())
            if mark == "-" and before != "-":
                cases[-1].changes.append(("", ""))
            old, new = cases[-1].changes[-1]
            text = line[1:].removeprefix(" ")
            cases[-1].changes[-1] = (old + text, new) if mark == "-" else (old, new + text)
    for case in cases:
        case.changes = [(old.removesuffix("\n"), new.removesuffix("\n")) for old, new in case.changes]
    return files, cases


def has(line: str, texts: Iterable[str]) -> bool:
    """Whether a line holds one of these texts."""
    return any(text in line for text in texts)


def lay(root: Path) -> None:
    """Lay the files of a project down, but for its pipeline."""
    for place in PLACES:
        (root / place).parent.mkdir(parents=True, exist_ok=True)
        (root / place).write_text(CONTENTS.get(place, ""))


def said(root: Path, files: Mapping[str, str]) -> list[str]:
    """What `validate` says of the project."""
    for name, text in files.items():
        (root / name).write_text(text)
    try:
        build = Build(root, Options(), commands=("status", "run"))
    except PipelineError as error:
        lines = str(error).splitlines()
        lines[0] = lines[0].removeprefix("pipeline.toml: ")
        return [line.removeprefix("  ") for line in lines if not line.endswith(" mistakes")]
    return [*find_idle(build.pipeline, build.jobs, build.tasks), *map(str, build.unread())]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A project without a pipeline."""
    lay(tmp_path / "project")
    return tmp_path / "project"


@pytest.mark.parametrize("key", KEYS)
def test_what_is_said_of_each_mistake(root: Path, key: str) -> None:
    """All that is wrong, once, where it is, with the nearest name or what to write; of what is right, nothing."""
    files, cases = read_cases(CASES / f"{key}.txt")
    assert said(root, files) == []
    assert len(cases) >= FEWEST
    for case in cases:
        assert said(root, case.applied(files)) == case.says, case.changes
        assert [line for line in case.says if not line.endswith((")", "?")) and ";" not in line] == [], "no hint"


@pytest.mark.parametrize("key", KEYS)
def test_an_editor_knows_it_too(key: str) -> None:
    """The schema takes what is right, and refuses each value of a wrong type and each unknown key."""
    validator = jsonschema.Draft202012Validator(json.loads((ROOT / "docs/pipeline.schema.json").read_text()))
    files, cases = read_cases(CASES / f"{key}.txt")
    validator.validate(tomllib.loads(files["pipeline.toml"]))
    for case in cases:
        document = tomllib.loads(case.applied(files)["pipeline.toml"])
        known = [line for line in case.says if has(line, OF_SCHEMA) and not has(line, OF_MORE)]
        assert not (known and validator.is_valid(document)), case.changes


@pytest.mark.parametrize("file", sorted((ROOT / "examples").glob("*/pipeline.toml")), ids=lambda file: file.parent.name)
def test_an_example_fits_the_schema(file: Path) -> None:
    """As an editor would say."""
    schema = json.loads((ROOT / "docs/pipeline.schema.json").read_text())
    jsonschema.Draft202012Validator(schema).validate(tomllib.loads(file.read_text()))


def test_each_key_is_described() -> None:
    """Completion in an editor tells what a key is for, and how its value may look."""
    schema = json.loads((ROOT / "docs/pipeline.schema.json").read_text())
    for table in ("PipelineTable", "StageTable", "JobTable", "CacheTable", "ResourcesTable"):
        for name, key in schema["$defs"][table]["properties"].items():
            assert key.get("description") and key.get("examples"), f"{table}.{name}"
