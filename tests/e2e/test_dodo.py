"""doit's own command line beside a pipeline: what it means in doit it means here, or it is refused by name.

Each run is a process of the real `doit`, with the project's `[tool.doit]`.

Not here: doit's commands (`test_doit_commands`), what own tasks start (`test_own_tasks`).
"""

from __future__ import annotations

import json
import sys
import time
import tomllib
from pathlib import Path

import pytest
import tomli_w

from tests.e2e.conftest import CHAIN, Project, Ran

CLONE = Path(__file__).parents[2]
DODO = """
from doit import create_after, task_params

def task_hello():
    return {"actions": ["echo 'hello %(who)s %(loud)s' >> said.txt"],
            "params": [{"name": "who", "short": "w", "long": "who", "default": "you"},
                       {"name": "loud", "short": "l", "long": "loud", "type": bool, "default": False}]}

def task_list_all():
    return {"actions": ["echo '%(words)s' >> said.txt"], "pos_arg": "words"}

@task_params([{"name": "size", "long": "size", "type": int, "default": 1}])
def task_sized(size):
    return {"actions": [f"echo size {size} >> said.txt"]}

def task_first():
    return {"actions": ["echo late > names.txt"], "targets": ["names.txt"], "file_dep": ["dodo.py"]}

@create_after(executed="first", target_regex=r"late.*\\.txt")
def task_later():
    for name in open("names.txt").read().split():
        yield {"name": name, "actions": [f"echo {name} > {name}.txt"], "targets": [f"{name}.txt"]}
"""


@pytest.fixture
def doit(project: Project) -> Project:
    """A pipeline beside the dodo file, run by `doit`."""
    config = tomllib.loads((CLONE / "pyproject.toml").read_text())["tool"]["doit"]
    project.write("pyproject.toml", tomli_w.dumps({"tool": {"doit": config}}))
    project.program = [str(Path(sys.executable).with_name("doit"))]
    project.write("dodo.py", DODO)
    project.write("pipeline.toml", CHAIN)
    project.write("media/one.txt", "hello\n")
    return project


def said(project: Project, *args: str) -> str:
    """What the own tasks of a run write; the run must end well."""
    (project.root / "said.txt").unlink(missing_ok=True)
    done = project.command(*args)
    assert done.status == 0, done.out + done.err
    return project.read("said.txt") if (project.root / "said.txt").exists() else ""


def test_params_of_a_task(doit: Project) -> None:
    """Behind its name, short, long and joined; the run's own options, stages and other tasks may follow."""
    assert said(doit, "hello", "-w", "bob") == "hello bob False\n"
    assert said(doit, "hello", "--who=bob", "-l", "--no-wait", "A:one", "-n", "2") == "hello bob True\n"
    assert (doit.root / "jobs/one/A/a.txt").exists()
    assert said(doit, "hello", "sized", "--size", "3", "--log-level", "error") == "hello you False\nsize 3\n"
    wrong = doit.command("hello", "--whom=bob")
    assert wrong.status == 3
    assert "--whom: there is no such option" in wrong.err


def test_positional_arguments_of_a_task(doit: Project) -> None:
    """All that follows its name is its own, names of stages and what looks like an option too; or nothing does."""
    assert said(doit, "list_all", "A:one", "b") == "A:one b\n"
    assert said(doit, "list_all", "--", "--force") == "--force\n"
    assert said(doit, "list_al*", "hello") == "\nhello you False\n"
    assert not (doit.root / "jobs").exists() or not (doit.root / "jobs/one/A/a.txt").exists()


def test_what_is_made_later(doit: Project) -> None:
    """By target, by name and by the name of its family; before that, those that only look say that it follows."""
    asked = doit.command("later", "--dry-run")
    assert (asked.status, "FOLLOW  later" in asked.out) == (0, True)
    assert doit.command("status").status == 0
    assert doit.command("late.txt").status == 0
    assert doit.read("late.txt") == "late\n"
    (doit.root / "late.txt").unlink()
    assert doit.command("later:late").status == 0
    assert (doit.root / "late.txt").exists()
    assert "later:late" in doit.command("list", "--all").out
    unknown = doit.command("never.txt")
    assert unknown.status == 3
    assert "'never.txt' is no task, command or target" in unknown.err


ABOUT = """
DOIT_CONFIG = {{{config}}}

def task_about():
    return {{"actions": ["pwd >> {said}"], "verbosity": 2}}
"""


def test_where_the_dodo_file_is(doit: Project) -> None:
    """`-f FILE` finds the pipeline beside that file, `-d DIR` runs there, `-k` looks upwards; not behind names."""
    doit.write("dodo.py", ABOUT.format(config="", said="said.txt"))
    doit.write("below/readme", "")
    outside, inside = doit.root.parent, doit.root
    config = (inside / "pyproject.toml").read_text()
    (outside / "pyproject.toml").write_text(config)
    doit.write("below/pyproject.toml", config)

    def run_in(folder: Path, *args: str) -> Ran:
        elsewhere = Project(folder)
        elsewhere.program = doit.program
        return elsewhere.command(*args)

    for folder, args in (
        (outside, ("-f", "project/dodo.py")),
        (outside, ("-d", "project")),
        (inside / "below", ("-k",)),
    ):
        ran = run_in(folder, *args, "about", "A:one")
        assert ran.status == 0, ran.out + ran.err
        assert (inside / "said.txt").read_text() == f"{inside}\n"
        (inside / "said.txt").unlink()
        (inside / "jobs/one/A/a.txt").unlink()
    elsewhere = run_in(inside, "-d", "below", "about", "A:one")
    assert elsewhere.status == 0, elsewhere.out + elsewhere.err
    assert (inside / "below/said.txt").read_text() == f"{inside}/below\n"
    assert (inside / "jobs/one/A/a.txt").exists()
    assert "-d: nowhere is no directory" in run_in(outside, "-d", "nowhere", "about").err
    behind = run_in(outside, "about", "-d", "project")
    assert behind.status == 3


def test_configuration_of_the_dodo_file(doit: Project) -> None:
    """DOIT_CONFIG and `-r`: default tasks, records and checks are as it says; what can't be is refused by name."""
    config = '"default_tasks": ["about"], "dep_file": "records.json", "num_process": 2, "verbosity": 2'
    doit.write("dodo.py", ABOUT.format(config=config, said="said.txt"))
    assert said(doit) == f"{doit.root}\n"
    assert not (doit.root / "jobs/one/A/a.txt").exists()
    assert (doit.root / "records.json").exists()
    assert [line.split()[1] for line in doit.command("check").out.splitlines()[:-1]] == ["about"]
    assert said(doit, "--from", "A", "--to", "B") == ""
    assert (doit.root / "jobs/one/B/b.txt").exists()
    wrong_ones = {"reporter": "zero", "par_type": "process", "backend": "nope", "action_string_formatting": "no"}
    for key, value in wrong_ones.items():
        doit.write("dodo.py", ABOUT.format(config=f'"{key}": "{value}"', said="said.txt"))
        refused = doit.command("about")
        assert (refused.status, value in refused.err, "Traceback" in refused.err) == (3, True, False), refused.err
    doit.write("dodo.py", ABOUT.format(config="", said="said.txt"))
    refused = doit.command("-r", "json", "about")
    assert (refused.status, "-r json" in refused.err, "--events" in refused.err) == (3, True, True)


def test_strace(doit: Project) -> None:
    """doit's `strace` lists the files of an own task; a stage is refused by name, with what to type instead."""
    doit.write("dodo.py", "def task_mine():\n    return {'actions': ['cat media/one.txt > mine.txt']}\n")
    traced = doit.command("strace", "mine")
    assert traced.status == 0, traced.out + traced.err
    if "strace: not found" not in traced.out + traced.err:
        assert f"R {doit.root}/media/one.txt" in traced.out
    for name in ("A:one", "A"):
        refused = doit.command("strace", name)
        assert refused.status == 3
        assert "is no task of dodo.py" in refused.err
    doit.write("dodo.py", "def task_mine():\n    return {'actions': ['true'], 'file_dep': ['jobs/one/A/a.txt']}\n")
    assert "needs A:one" in doit.command("strace", "mine").err


def test_records_of_two_runs(doit: Project) -> None:
    """A `forget` of an own task while another run is at work isn't undone by it, nor what that run recorded by it."""
    doit.write(
        "dodo.py",
        """
def task_early():
    return {"actions": ["true"], "file_dep": ["media/one.txt"]}

def task_quick():
    return {"actions": ["true"], "file_dep": ["media/one.txt"]}

def task_slow():
    return {"actions": ["touch begun; while ! test -e end; do sleep 0.02; done"], "file_dep": ["media/one.txt"]}
""",
    )
    assert doit.command("early").status == 0
    run = doit.start("quick", "slow")
    while not (doit.root / "begun").exists():
        assert run.poll() is None
        time.sleep(0.01)
    assert doit.command("forget", "early").status == 0
    doit.write("end", "")
    run.communicate(timeout=60)
    assert set(json.loads(doit.read(".doit.json"))) == {"quick", "slow"}


FAULTS = {
    "def task_x(:\n": "SyntaxError",
    "import not_there_at_all\n": "not_there_at_all",
    "def helper():\n    return {}['x']\n\ndef task_x():\n    return helper()\n": "KeyError: 'x'",
    "def task_x():\n    yield 1 / 0\n": "ZeroDivisionError",
}


def test_a_fault_of_the_dodo_file_is_told_as_one(project: Project) -> None:
    """With its own lines and none of ours; a file that is no Python is refused by name."""
    project.write("pipeline.toml", CHAIN)
    project.write("media/one.txt", "hello\n")
    for dodo, said in FAULTS.items():
        project.write("dodo.py", dodo)
        refused = project.command("check")
        assert refused.status == 3
        assert refused.err.startswith("ERROR: dodo.py: can't be loaded\n")
        assert said in refused.err
        assert "mediabuild/" not in refused.err.replace(str(project.root), "")
    (project.root / "dodo.py").unlink()
    for name in ("pipeline.toml", "media"):
        refused = project.command("-f", name, "check")
        assert (refused.status, refused.err.splitlines()[0]) == (3, f"ERROR: -f: {name} is no file of Python")
