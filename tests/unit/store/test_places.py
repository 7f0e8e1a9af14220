"""Places: names below the jobs directory are spelled once, temporary names are strict, links are refused."""

from __future__ import annotations

import ast
import itertools
import os
from pathlib import Path

import pytest

from mediabuild.errors import StageError
from mediabuild.pipeline.model import StageSpec, Task
from mediabuild.store import inventory, places

PACKAGE = Path(__file__).parents[3] / "mediabuild"
NAMES = {*places.FOLDERS, "slots", "traces", "events.jsonl", "fresh.index", "stats.cache", "devices.json"}


def task_in(jobs: Path, job: str = "season/one", value: str = "") -> Task:
    """A task of a command stage."""
    stage = StageSpec("B", {}, {}, {})
    directory = jobs / job / "B" / value if value else jobs / job / "B"
    return Task("B", stage, job, directory, jobs / job, {}, {}, {}, value, "cpu", ())


def test_no_folder_is_named_anywhere_else() -> None:
    """As a part of a path, in no other module."""
    found = []
    for file in PACKAGE.rglob("*.py"):
        shown = file.relative_to(PACKAGE).as_posix()
        if shown == "store/places.py" or file.is_relative_to(PACKAGE / "media"):
            continue
        for node in ast.walk(ast.parse(file.read_text())):
            found += [(shown, part) for part in path_parts(node) if part in NAMES]
    assert found == []


def path_parts(node: ast.AST) -> list[str]:
    """What a piece of code joins to a path: `folder / "tmp"`, `"a/tmp/b"`, `"stats.cache"`."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div) and isinstance(node.right, ast.Constant):
        return [str(node.right.value)]
    text = node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""
    return text.split("/") if ("/" in text or "." in text) and not any(c in text for c in "\n `") else []


@pytest.mark.parametrize(
    "name", ["B.abcdef0", "B", "B.ABCDEFGH", "notes.txt", ".hidden", "B.abcdefgh.edited", "B.abcd/efg"]
)
def test_only_names_of_ours_are_leftovers(tmp_path: Path, name: str) -> None:
    """What a person put into `tmp` is no leftover."""
    (tmp_path / "one/.mediabuild/tmp" / name).mkdir(parents=True)
    assert inventory.leftovers(tmp_path / "one") == {}


def test_what_is_made_is_found_again(tmp_path: Path) -> None:
    """Directories and parts, by the key of their task, which may hold dots."""
    task = task_in(tmp_path, value="zh.x")
    made = places.make_temporary(task)
    part = places.part(task).with_name(f"{places.part(task).name}.abcd1234.part")
    part.touch()
    assert set(inventory.leftovers(task.job_dir)[task.key]) == {made, part}


@pytest.mark.parametrize("where", ["season", "season/one", "season/one/B", "season/one/.mediabuild", *places.FOLDERS])
def test_a_link_in_the_place_of_a_folder_is_refused(tmp_path: Path, where: str) -> None:
    """From below the jobs directory on; what it leads to is left alone."""
    jobs, elsewhere = tmp_path / "jobs", tmp_path / "elsewhere"
    elsewhere.mkdir()
    link = jobs / (f"season/one/.mediabuild/{where}" if where in places.FOLDERS else where)
    link.parent.mkdir(parents=True)
    link.symlink_to(elsewhere)
    with pytest.raises(StageError, match="is a link"):
        places.check(task_in(jobs))
    assert inventory.leftovers(jobs / "season/one") == {}
    assert os.listdir(elsewhere) == []


def test_the_jobs_directory_itself_may_be_a_link(tmp_path: Path) -> None:
    """Where it lies is the user's to say."""
    (tmp_path / "large disk").mkdir()
    (tmp_path / "jobs").symlink_to(tmp_path / "large disk")
    places.check(task_in(tmp_path / "jobs"))


def test_a_job_is_safe_where_every_folder_down_to_its_state_is_one(tmp_path: Path) -> None:
    """A link or a file in the place of any of them, from below the jobs directory on; other names don't count."""
    jobs, elsewhere = tmp_path / "jobs", tmp_path / "elsewhere"
    state = jobs / "season/one/.mediabuild"
    elsewhere.mkdir()
    assert places.is_safe(jobs / "season/one", jobs), "what isn't there may be made"
    (state / "units").mkdir(parents=True)
    (state / "mine").symlink_to(elsewhere)
    assert places.is_safe(jobs / "season/one", jobs)
    folders = (jobs / "season", jobs / "season/one", state, state / "units", state / "generations")
    for folder, is_link in itertools.product(folders, (True, False)):
        there, aside = folder.exists(), tmp_path / "aside"
        if there:
            folder.rename(aside)
        if is_link:
            folder.symlink_to(elsewhere)
        else:
            folder.touch()
        assert not places.is_safe(jobs / "season/one", jobs), folder
        folder.unlink()
        if there:
            aside.rename(folder)
    assert places.is_safe(jobs / "season/one", jobs)
