"""The pages agree with the program: links, commands, options, stages, params, fields, and code that works."""

from __future__ import annotations

import re
import shlex
import shutil
import tomllib
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest
import tomli_w
from doit.cmdparse import CmdParse

from mediabuild.commands.asking.status import TaskStatus
from mediabuild.commands.main import PLUGINS, MediabuildMain
from mediabuild.freshness.verdicts import State
from mediabuild.pipeline.code_of_stages.loading import builtin_stages_dir, load_stage, stage_files
from mediabuild.pipeline.config import load_pipeline
from mediabuild.pipeline.model import ReasonKind
from mediabuild.reporting.events import AnyEvent
from mediabuild.store.manifest import Manifest
from tests.e2e.conftest import Project

ROOT = Path(__file__).parents[2]
PAGES = [
    *sorted(ROOT.glob("*.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / "media").glob("*.md")),
]
QUICKSTART = (ROOT / "docs/QUICKSTART.md").read_text()
STAGES = sorted(stage_files(builtin_stages_dir().parent))
PROGRAMS = ("doit", "mediabuild")
LONGEST_LINE = 120  # characters, as in the code


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """An empty project."""
    root = tmp_path / "project"
    root.mkdir()
    return Project(root)


def page_id(page: Path) -> str:
    """A page's name in a test's name."""
    return str(page.relative_to(ROOT))


def fences(page: Path, language: str) -> list[str]:
    """The code blocks of a page in one language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", page.read_text(), re.DOTALL | re.MULTILINE)


def table_keys(text: str) -> set[str]:
    """What stands in backticks in the first column of any table."""
    rows = re.findall(r"^\| (`[^|]*) \|", text, re.MULTILINE)
    return {word for row in rows for word in re.findall(r"`([^`]+)`", row)}


def anchor(heading: str) -> str:
    """The anchor that GitHub gives a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def commands() -> dict[str, Any]:
    """Command name → its class, as the program knows them."""
    program = MediabuildMain()
    return dict(program.get_cmds().to_dict())


def parser(name: str) -> CmdParse:
    """The parser of a command's options."""
    program = MediabuildMain()
    found = program.get_cmds()
    made = found.get_plugin(name)(
        task_loader=program.task_loader, cmds=found, bin_name="doit", config=program.config, opt_vals={}
    )
    return made.cmdparser


def shown_commands() -> list[Any]:
    """Every line of a shell block that calls the program, with its words."""
    found = []
    for page in PAGES:
        for line in (line for block in fences(page, "sh") for line in block.replace("\\\n", " ").splitlines()):
            words = shlex.split(line, comments=True)
            words = [word for word in words if word != "!"]
            words = words[: words.index("||")] if "||" in words else words
            if words and words[0].rpartition("/")[2] in PROGRAMS:
                found.append(pytest.param(words[1:], id=f"{page_id(page)}: {' '.join(words)}"))
    return found


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_links_resolve(page: Path) -> None:
    """Every relative link of a page leads to a file that is there, and to a heading of it."""
    text = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if target.startswith(("http://", "https://")):
            continue
        name, _, heading = target.partition("#")
        file = (page.parent / name).resolve() if name else page
        assert file.exists(), target
        if heading:
            headings = re.findall(r"^#+ (.*)$", file.read_text(), re.MULTILINE)
            assert heading in map(anchor, headings), target


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_no_line_is_too_long(page: Path) -> None:
    """A page can be read in an editor and in a diff: its lines are as short as the code's, except for URLs."""
    lines = re.sub(r"https?://[^\s)>\"]+", "", page.read_text()).splitlines()
    assert [line for line in lines if len(line) > LONGEST_LINE] == []


def test_every_page_is_in_the_index() -> None:
    """docs/INDEX.md links each page and each schema of docs/."""
    index = (ROOT / "docs/INDEX.md").read_text()
    files = [file for kind in ("*.md", "*.schema.json") for file in sorted((ROOT / "docs").rglob(kind))]
    for name in (str(file.relative_to(ROOT / "docs")) for file in files):
        assert name == "INDEX.md" or f"({name})" in index, name


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_is_documented_with_its_outputs_and_params(stage: str) -> None:
    """The quickstart's list has an item "`stage` makes …", a line "Params: …" in it, and these name all of them."""
    item = re.search(rf"^- `{stage}` makes (.*(?:\n  .*)*)", QUICKSTART, re.MULTILINE)
    assert item is not None
    makes, _, takes = item[1].partition("\n  Params: ")
    declared = load_stage(builtin_stages_dir() / f"{stage}.py")
    params = {field.name for field in msgspec.structs.fields(declared.params)}
    named = set(re.findall(r"`([a-z_]+)`", takes))
    assert params <= named, params - named
    for path in declared.outputs.values():
        ending = path.rpartition("*")[2] if "*" in path else path
        assert ending.strip(".") in makes or "video" in path, path


def test_every_command_is_documented() -> None:
    """The quickstart's tables have a row for each command that the program knows, `init` too."""
    known = {*PLUGINS["COMMAND"], *commands(), "init"}
    rows = {key.split()[0] for key in table_keys(QUICKSTART)}
    assert known <= rows, known - rows


def test_every_option_is_documented() -> None:
    """The quickstart names every option that is ours rather than doit's."""
    ours = {
        option.long for name in PLUGINS["COMMAND"] for option in parser(name).options if option.section == "mediabuild"
    }
    assert {option for option in ours if f"--{option}" not in QUICKSTART} == set()


@pytest.mark.parametrize("words", shown_commands())
def test_a_shown_command_can_be_parsed(words: list[str]) -> None:
    """The command and its options exist, and a stage that it names does too."""
    if words == ["--version"]:
        return
    if words[:1] == ["init"]:
        assert words[1:] in ([], *(["--example", path.name] for path in (ROOT / "examples").iterdir()))
        return
    known = commands()
    name = words[0] if words and words[0] in known else "run"
    rest = words[1:] if words and words[0] in known else words
    options = {option.long: option for option in parser(name).options}
    short = {option.short: option for option in parser(name).options if option.short}
    names, waiting = [], False
    for word in rest:
        if waiting:
            waiting = False
        elif word.startswith("--"):
            key, equals, _ = word[2:].partition("=")
            assert key in options, word
            waiting = not equals and options[key].type is not bool
        elif word.startswith("-"):
            assert word[1] in short, word
            waiting = len(word) == 2 and short[word[1]].type is not bool
        elif "=" not in word:
            names.append(word)
    names = [named for named in names if named != "talk.mp4"]  # a recording
    for named in (named for named in names if name != "help" and "/" not in named):
        stage = named.partition(":")[0]
        assert stage in [*STAGES, "*", "loudness", "louder"], named


def test_shown_scripts_exist() -> None:
    """Every script and file of the project that a shell block calls is there."""
    for page in PAGES:
        for block in fences(page, "sh"):
            for path in re.findall(r"(?<![\w/])(?:scripts|benchmarks|tests)/[\w./]+", block):
                assert (ROOT / path).exists(), f"{page_id(page)}: {path}"


@pytest.mark.parametrize(
    "block",
    [
        pytest.param(block, id=f"{page_id(page)}-{number}")
        for page in PAGES
        for number, block in enumerate(fences(page, "toml"))
    ],
)
def test_a_shown_pipeline_is_one(block: str, tmp_path: Path) -> None:
    """A TOML block is a pipeline that loads; a part of one does when it stands in the project's own."""
    shown = tomllib.loads(block)
    if "pipeline" not in shown:
        whole = tomllib.loads((ROOT / "pipeline.toml").read_text())
        shown = {**whole, **shown, "stages": {**whole["stages"], **shown.get("stages", {})}}
    for table in shown["stages"].values():
        if "python" in table:
            (tmp_path / table["python"] / "bin").mkdir(parents=True)
            (tmp_path / table["python"] / "bin/python").touch()
    if "jobs" in shown["pipeline"]:
        (tmp_path / shown["pipeline"]["jobs"]).write_text("job\n")
    (tmp_path / "stages").mkdir()
    (tmp_path / "stages/louder.py").write_text(fences(ROOT / "docs/DEVELOPER_GUIDE.md", "python")[0])
    (tmp_path / "pipeline.toml").write_bytes(tomli_w.dumps(shown).encode())
    assert set(shown["stages"]) == set(load_pipeline(tmp_path / "pipeline.toml", commands=tuple(commands())).stages)


def test_the_stage_of_the_developer_guide_works(project: Project) -> None:
    """The file and the table that the guide shows, on real sound: it runs, delivers, is skipped, obeys its param."""
    guide = ROOT / "docs/DEVELOPER_GUIDE.md"
    table = next(block for block in fences(guide, "toml") if "[stages.louder]" in block)
    first = '[pipeline]\nsources = ["media/*.wav"]\n\n[stages.demux]\ninputs = { media = "source" }\n\n'
    project.write("pipeline.toml", first + table)
    project.write("stages/louder.py", fences(guide, "python")[0])
    (project.root / "media").mkdir()
    shutil.copy(next((ROOT / "tests/speech").glob("*0870.wav")), project.root / "media/reading.wav")

    built = project.run()
    assert built.status == 0, built.out + built.err
    assert built.ran == ["demux:reading", "louder:reading"]
    quiet = (project.root / "jobs/reading/louder/loud.wav").read_bytes()
    assert (project.root / "out/reading.wav").read_bytes() == quiet
    assert project.run().skipped == ["demux:reading", "louder:reading"]

    louder = project.run("louder", "louder.lufs=-12")
    assert louder.reasons("louder:reading") == ["params.lufs"]
    assert (project.root / "out/reading.wav").read_bytes() != quiet
    back = project.run()
    assert "the override is gone" in back.out
    assert (project.root / "out/reading.wav").read_bytes() == quiet


def test_the_picture_of_the_pipeline_is_current(project: Project) -> None:
    """The README's picture is what `graph --format mermaid` prints."""
    shutil.copy(ROOT / "pipeline.toml", project.root)
    project.write("media/sample.mp4", b"")
    project.write("glossary/hotwords.txt", "")
    drawn = project.command("graph", "--format", "mermaid")
    assert drawn.status == 0, drawn.err
    assert fences(ROOT / "README.md", "mermaid") == [drawn.out]


def test_the_layers_in_the_guide_are_those_that_are_checked() -> None:
    """The developer guide shows the layers of `[tool.importlinter]`, line by line."""
    table = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    layers = next(contract["layers"] for contract in table["contracts"] if contract["type"] == "layers")
    assert "\n".join(["```", *layers, "```"]) in (ROOT / "docs/DEVELOPER_GUIDE.md").read_text()


def test_every_field_of_the_manifest_is_documented() -> None:
    """DESIGN has a row for each field of the manifest."""
    fields = {field.name for field in msgspec.structs.fields(Manifest)}
    assert fields <= table_keys((ROOT / "docs/DESIGN.md").read_text())


def test_every_kind_of_reason_is_documented() -> None:
    """DESIGN has a row for each kind, and no others."""
    section = (ROOT / "docs/DESIGN.md").read_text().partition("## What makes a task stale")[2].partition("\n## ")[0]
    assert table_keys(section) == set(get_args(ReasonKind))


@pytest.mark.parametrize("event", get_args(AnyEvent), ids=lambda event: event.__struct_config__.tag)
def test_every_event_is_documented(event: type[msgspec.Struct]) -> None:
    """EVENTS has a row for each event, with its fields."""
    page = (ROOT / "docs/EVENTS.md").read_text()
    row = re.search(rf"^\| `{event.__struct_config__.tag}` \|.*$", page, re.MULTILINE)
    assert row is not None
    own = {field.name for field in msgspec.structs.fields(event)} - {"ts", "run"}
    assert own <= set(re.findall(r"`(\w+)`", row[0]))


def test_every_field_and_state_of_the_status_is_documented() -> None:
    """EVENTS names each field of the JSON of `status`, and each state."""
    page = (ROOT / "docs/EVENTS.md").read_text()
    assert {field.name for field in msgspec.structs.fields(TaskStatus)} <= table_keys(page)
    row = re.search(r"^\| `state` \|.*$", page, re.MULTILINE)
    assert row is not None
    assert set(re.findall(r"`(\w+)`", row[0])) == {"state", *get_args(State)}
