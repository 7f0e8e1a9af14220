"""A Python stage's code is a fact of its result, whatever way it is loaded; what ran is what is recorded."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.e2e.conftest import Project

STAGE = '''"""A stage of the project's own."""

import os
from pathlib import Path

from mediabuild.stage import Context, NoParams, stage
{top}


@stage(version=1, inputs={{"text": "a text"}}, outputs={{"text": "a.txt"}})
def own(ctx: Context, params: NoParams) -> None:
    during()
    {body}
    ctx.output("text").write_text(word)


def during() -> None:
    hook = Path("during.sh")
    if hook.exists():
        hook.rename("during.done")
        os.system("sh during.done")
'''
PIPELINE = '[pipeline]\nsources = ["media/*.txt"]\n[stages.own]\ninputs = { text = "source" }\n'


def write(project: Project, body: str = 'word = "one"', top: str = "", jobs: str = "a") -> None:
    """A project with one stage that writes `word`."""
    project.write("stages/own.py", STAGE.format(top=top, body=body))
    project.write("pipeline.toml", PIPELINE)
    for job in jobs:
        project.write(f"media/{job}.txt", f"{job}\n")


def same_moment(file: Path, old: str, new: str) -> None:
    """An edit of equal length that leaves the file's time as it was: as bytecode sees it, nothing happened."""
    stats, text = file.stat(), file.read_text()
    assert len(old) == len(new)
    assert old in text
    file.write_text(text.replace(old, new))
    os.utime(file, ns=(stats.st_atime_ns, stats.st_mtime_ns))


def output(project: Project, job: str = "a") -> str:
    """What the stage wrote."""
    return project.read(f"jobs/{job}/own/a.txt")


def code(project: Project, job: str = "a") -> dict[str, str]:
    """The facts of the stage's code, as they are recorded."""
    return dict(json.loads(project.read(f"jobs/{job}/own/manifest.json"))["code"])


IMPORTS = {
    "at the top": ("import _words", "word = _words.WORD"),
    "from, at the top": ("from _words import WORD", "word = WORD"),
    "in the function": ("", "from _words import WORD as word"),
    "on one line": ("", "import os; import _words; word = _words.WORD"),
    "in brackets": ("from _words import (\n    WORD,\n)", "word = WORD"),
    "by a name that is put together": ("", "import importlib; word = importlib.import_module('_wor' + 'ds').WORD"),
    "by a path": (
        "",
        "import importlib.util as u; s = u.spec_from_file_location('w', ctx.stage_dir / '_words.py'); "
        "m = u.module_from_spec(s); s.loader.exec_module(m); word = m.WORD",
    ),
    "executed": ("", "space = {}; exec((ctx.stage_dir / '_words.py').read_text(), space); word = space['WORD']"),
    "run": ("", "import runpy; word = runpy.run_path(str(ctx.stage_dir / '_words.py'))['WORD']"),
    "by a module between": ("import _between", "word = _between.word()"),
    "of a package": ("from _pack.inner import WORD", "word = WORD"),
    "of a package, relative": ("import _pack", "word = _pack.outer.WORD"),
    "from elsewhere": ("", "import sys; sys.path.insert(0, 'lib'); import words; word = words.WORD"),
    "read": ("", "word = (ctx.stage_dir / 'words.txt').read_text()"),
}
WHERE = {
    "of a package": "stages/_pack/inner.py",
    "of a package, relative": "stages/_pack/outer.py",
    "from elsewhere": "lib/words.py",
    "read": "stages/words.txt",
}


@pytest.mark.parametrize("way", IMPORTS)
def test_a_module_of_the_project_is_a_fact(project: Project, way: str) -> None:
    """Edited, with its length and time kept, it makes the stage stale; changed back, the earlier result comes back."""
    top, body = IMPORTS[way]
    write(project, body, top, "ab")
    project.write("stages/_between.py", "def word():\n    import _words\n    return _words.WORD\n")
    project.write("stages/_pack/__init__.py", "from . import outer\n")
    project.write("stages/_pack/outer.py", "from .inner import WORD\n")
    project.write("stages/_pack/inner.py", 'WORD = "one"\n')
    where = WHERE.get(way, "stages/_words.py")
    file = project.write(where, "one" if way == "read" else 'WORD = "one"\n')
    first = project.run("-n1")
    assert first.status == 0, first.out
    assert project.run().ran == []
    assert where in code(project)
    assert code(project, "a") == code(project, "b")
    same_moment(file, "one", "two")
    changed = project.run("-n1")
    assert changed.ran == ["own:a", "own:b"], changed.out
    assert f"stage.{where}" in changed.reasons("own:a")
    assert [output(project, job) for job in "ab"] == ["two", "two"]
    same_moment(file, "two", "one")
    assert project.run().ran == []
    assert output(project) == "one"
    assert project.run().skipped == ["own:a", "own:b"]


@pytest.mark.parametrize("way", ["checksum", "reset-dep"])
def test_what_was_loaded_stays_a_fact_of_a_record_that_is_written_anew(project: Project, way: str) -> None:
    """By another algorithm, or of outputs that are adopted: a module that only a run finds is still looked at."""
    top, body = IMPORTS["by a name that is put together"]
    write(project, body, top)
    file = project.write("stages/_words.py", 'WORD = "one"\n')
    assert project.run().status == 0
    if way == "checksum":
        project.write("pipeline.toml", PIPELINE.replace("[pipeline]", '[pipeline]\nchecksum = "sha256"'))
        assert project.run().ran == []
    else:
        project.write("jobs/a/own/a.txt", "mine")
        assert project.command("reset-dep", "own:a").status == 0
        assert project.run().ran == []
    assert "stages/_words.py" in code(project)
    same_moment(file, "one", "two")
    assert project.run().ran == ["own:a"]
    assert output(project) == "two"


@pytest.mark.parametrize("index", [True, False])
def test_the_stages_own_file_is_never_old_bytecode(project: Project, index: bool) -> None:
    """An edit of equal length under the same time: the new code runs, and is what is recorded."""
    write(project)
    assert project.run().status == 0
    assert project.run().ran == []
    if not index:
        (project.root / "jobs/.mediabuild/fresh.index").unlink()
    same_moment(project.root / "stages/own.py", '"one"', '"two"')
    assert project.run().ran == ["own:a"]
    assert output(project) == "two"
    assert not list(project.root.glob("stages/**/*.pyc"))


def test_bytecode_that_lies_there_does_not_decide(project: Project) -> None:
    """Somebody compiled the stages' folder."""
    write(project, "word = WORD", "from _words import WORD")
    file = project.write("stages/_words.py", 'WORD = "one"\n')
    import compileall

    compileall.compile_dir(str(project.root / "stages"), quiet=1)
    same_moment(file, "one", "two")
    assert project.run().status == 0
    assert output(project) == "two"


EDITS = {
    "before it is loaded": "sed -i s/one/two/ stages/_words.py",
    "and back": "cd stages; cp -p _words.py keep; sed -i s/one/two/ _words.py; (sleep 0.4; cp -p keep _words.py) &",
}


@pytest.mark.parametrize("edit", EDITS)
@pytest.mark.parametrize("way", ["in the function", "by a name that is put together", "executed"])
def test_a_module_that_is_edited_before_it_is_loaded(project: Project, edit: str, way: str) -> None:
    """The job runs once more: what is recorded is what ran, in every job."""
    top, body = IMPORTS[way]
    write(project, body, top, "ab")
    project.write("stages/_words.py", 'WORD = "one"\n')
    project.write("during.sh", EDITS[edit])
    assert project.run("-n1").status == 0
    left = project.run()
    assert left.status == 0
    word = project.read("stages/_words.py")[8:11]
    assert [output(project, job) for job in "ab"] == [word, word], left.out
    assert project.run().ran == []


def test_the_stages_file_is_edited_between_look_and_load(project: Project) -> None:
    """A first task edits the file of the stage that follows it: what is recorded is what was loaded."""
    write(project)
    project.write(
        "pipeline.toml",
        PIPELINE.replace('"source"', '"A.text"')
        + """
[stages.A]
command = ["sh", "-c", 'cp "$1" "$2"; [ -e once ] || sh edit; touch once', "A", "{inputs.text}", "{outputs.text}"]
inputs  = { text = "source" }
outputs = { text = "a.txt" }
""",
    )
    project.write("edit", """sed -i 's/"one"/"two"/' stages/own.py\n""")
    first = project.run()
    assert first.status == 0, first.out
    assert output(project) == "two"
    assert project.run().ran == []


def test_a_warm_worker_runs_no_older_code(project: Project) -> None:
    """The stage's file and its module are edited while a run goes from job to job."""
    write(project, 'word = "one" + WORD', "from _words import WORD", "abc")
    project.write("stages/_words.py", 'WORD = "one"\n')
    project.write("during.sh", """sed -i 's/"one"/"two"/' stages/own.py stages/_words.py""")
    assert project.run("-n1").status == 0
    assert project.run().status == 0
    assert [output(project, job) for job in "abc"] == ["twotwo"] * 3
    assert project.run().ran == []


def test_units_are_not_kept_for_a_module_that_nobody_knew_of(project: Project) -> None:
    """A piece of work whose module shows in no line: after an edit of it, the piece isn't taken for the new one."""
    body = """made = ctx.unit("piece", lambda: __import__("importlib").import_module("_wor" + "ds").WORD.encode())
    if Path("fail").exists():
        raise SystemExit(1)
    word = made.decode()"""
    write(project, body)
    project.write("stages/_words.py", 'WORD = "one"\n')
    project.write("fail", "")
    assert project.run().status == 1
    (project.root / "fail").unlink()
    project.write("stages/_words.py", 'WORD = "two"\n')
    assert project.run().status == 0
    assert output(project) == "two"


def test_a_kept_model_of_a_module_that_nobody_knew_of(project: Project) -> None:
    """A model that a worker keeps is dropped when the module that made it changes from one job to the next."""
    body = """word = ctx.model("m", lambda: __import__("importlib").import_module("_wor" + "ds").WORD)
    if ctx.input("text").read_text() == "a\\n":
        during_late()"""
    write(project, body, "def during_late():\n    os.system('sed -i s/one/two/ stages/_words.py')\n", "ab")
    project.write("stages/_words.py", 'WORD = "one"\n')
    assert project.run("-n1").status == 0
    assert output(project, "b") == "two"


def test_a_module_that_is_no_shared_one_says_where_it_belongs(project: Project) -> None:
    """`import helper` finds nothing in the project's folder, and the message says what to type."""
    write(project, "import helper; word = helper.WORD")
    project.write("helper.py", 'WORD = "one"\n')
    failed = project.run()
    assert failed.status == 1
    assert "No module named 'helper'" in failed.out
    assert "mv helper.py stages/_helper.py" in failed.out
    write(project, "word = helper.WORD", "import helper")
    asked = project.command("validate")
    assert asked.status == 3
    assert "mv helper.py stages/_helper.py" in asked.err
    (project.root / "helper.py").rename(project.root / "stages/_helper.py")
    write(project, "word = _helper.WORD", "import _helper")
    assert project.run().status == 0


def test_shared_modules_are_no_stages(project: Project) -> None:
    """A name that begins with `_` is no stage, and one of Python's own names is a mistake."""
    write(project)
    project.write("stages/_words.py", "raise RuntimeError\n")
    assert project.run().status == 0
    project.write("stages/_csv.py", "")
    asked = project.command("validate")
    assert asked.status == 3
    assert "stages/_csv.py" in asked.err
