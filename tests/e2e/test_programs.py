"""Programs and scripts of the project that commands run are facts of their results."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.e2e.conftest import Project
from tests.e2e.test_code import PIPELINE, same_moment

PROGRAMS = {
    "by its path": ('["./tool.sh", "{outputs.text}"]', "./tool.sh"),
    "as an argument": ('["sh", "tool.sh", "{outputs.text}"]', "./tool.sh"),
    "in a folder": ('["bin/tool", "{outputs.text}"]', "bin/tool"),
    "in a shell's line": ('["sh", "-c", \'if true; then bin/tool "$1"; fi\', "A", "{outputs.text}"]', "bin/tool"),
    "after a redirection": ('["sh", "-c", "sh<tool.sh -s - $1", "A", "{outputs.text}"]', "./tool.sh"),
    "a module beside a script": ('["PYTHON", "tools/tool.py", "{outputs.text}"]', "tools/words.py"),
    "a table as an argument": ('["cp", "tools/words.txt", "{outputs.text}"]', "tools/words.txt"),
    "a file without a suffix": ('["cp", "WORDS", "{outputs.text}"]', "./WORDS"),
    "a module that is run": ('["PYTHON", "-m", "tools.tool", "{outputs.text}"]', "tools/tool.py"),
}


@pytest.mark.parametrize("way", PROGRAMS)
def test_a_program_of_the_project_is_a_fact(project: Project, way: str) -> None:
    """A program that a command names, and what a script imports from beside it."""
    command, edited = PROGRAMS[way]
    project.write("pipeline.toml", f"""
[pipeline]
sources = ["media/*.txt"]
[stages.A]
command = {command.replace("PYTHON", sys.executable)}
inputs  = {{ text = "source" }}
outputs = {{ text = "a.txt" }}
""")  # fmt: skip
    project.write("media/a.txt", "a\n")
    for name in ("tool.sh", "bin/tool"):
        project.write(name, '#!/bin/sh\necho one > "$1"\n').chmod(0o755)
    project.write("tools/words.txt", "one\n")
    project.write("WORDS", "one\n")
    project.write("tools/words.py", "WORD = 'one'\n")
    imported = "from words import WORD" if "beside" in way else "WORD = 'one'"
    project.write("tools/tool.py", f"import sys\n{imported}\nopen(sys.argv[1], 'w').write(WORD + '\\n')\n")
    first = project.run()
    assert first.status == 0, first.out
    assert project.run().ran == []
    project.write(edited, project.read(edited).replace("one", "two"))
    changed = project.run()
    assert changed.reasons("A:a") == [f"stage.{edited}"], changed.out
    assert project.read("jobs/a/A/a.txt") == "two\n"
    assert project.run().ran == []


@pytest.mark.parametrize("prefix", ["", "cache"])
@pytest.mark.parametrize("way", ["beside a script", "run as a module"])
def test_bytecode_of_a_commands_program_does_not_decide(project: Project, way: str, prefix: str) -> None:
    """Somebody ran it by hand; the edit is of equal length, and leaves the file's time as it was."""
    argv = '"tools/tool.py"' if way == "beside a script" else '"-m", "tools.tool"'
    module = "words" if way == "beside a script" else "tools.words"
    project.write("pipeline.toml", f"""
[pipeline]
sources = ["media/*.txt"]
[stages.A]
command = ["{sys.executable}", {argv}, "{{outputs.text}}"]
inputs  = {{ text = "source" }}
outputs = {{ text = "a.txt" }}
""")  # fmt: skip
    project.write("media/a.txt", "a\n")
    file = project.write("tools/words.py", "WORD = 'one'\n")
    project.write("tools/tool.py", f"import sys\nfrom {module} import WORD\nopen(sys.argv[1], 'w').write(WORD)\n")
    if prefix:
        project.env["PYTHONPYCACHEPREFIX"] = str(project.root / prefix)
    for old, new in (("one", "two"), ("two", "one")):
        script = argv.replace('"', "").replace(",", "").split()
        by_hand = {**project.env, "PYTHONDONTWRITEBYTECODE": ""}
        subprocess.run([sys.executable, *script, "x"], cwd=project.root, env=by_hand, check=True)
        assert list(project.root.rglob("words.*.pyc"))
        same_moment(file, old, new)
        ran = project.run("--force", "--stages", "A")
        assert (ran.status, project.read("jobs/a/A/a.txt")) == (0, new), ran.out


def test_a_file_that_a_command_writes_is_no_program(project: Project) -> None:
    """A log that a command's line names, in the project: it grows with each run, and nothing is stale for it."""
    project.write("pipeline.toml", """
[pipeline]
sources = ["media/*.txt"]
[stages.A]
command = ["sh", "-c", 'echo x >> logs/runs.txt; cp "$1" "$2"', "A", "{inputs.text}", "{outputs.text}"]
inputs  = { text = "source" }
outputs = { text = "a.txt" }
""")  # fmt: skip
    project.write("media/a.txt", "a\n")
    project.write("logs/runs.txt", "")
    assert project.run().ran == ["A:a"]
    assert project.run().ran == []


def test_an_argument_that_a_command_writes(project: Project) -> None:
    """It changes both times the command runs; then it is known to be no fact, and nothing is stale for it."""
    project.write("pipeline.toml", """
[pipeline]
sources = ["media/*.txt"]
[stages.A]
command = ["sh", "-c", 'echo x >> "$3"; cat "$4" "$1" > "$2"', "A", "{inputs.text}", "{outputs.text}", "runs.log",
           "head.txt"]
inputs  = { text = "source" }
outputs = { text = "a.txt" }
""")  # fmt: skip
    project.write("media/a.txt", "a\n")
    project.write("head.txt", "head\n")
    for _ in range(2):
        run = project.run()
        assert run.status == 0, run.out
        assert set(run.ran) <= {"A:a"}
    assert project.run().ran == []
    project.write("runs.log", "mine\n")
    assert project.run().ran == []
    (project.root / "runs.log").unlink()
    assert project.run().ran == []
    project.write("head.txt", "another\n")
    run = project.run()
    assert (run.ran, run.reasons("A:a")) == (["A:a"], ["stage../head.txt"])
    assert project.read("jobs/a/A/a.txt") == "another\na\n"


def test_a_program_that_is_edited_while_it_runs(project: Project) -> None:
    """The command runs once more, on the program that is there then."""
    project.write("pipeline.toml", """
[pipeline]
sources = ["media/*.txt"]
[stages.A]
command = ["./tool.sh", "{outputs.text}"]
inputs  = { text = "source" }
outputs = { text = "a.txt" }
""")  # fmt: skip
    project.write("media/a.txt", "a\n")
    script = "#!/bin/sh\necho one > $1; [ -e done ] || { touch done; sed s/one/two/ tool.sh > t; mv t tool.sh; }\n"
    project.write("tool.sh", script).chmod(0o755)
    project.write("done.sh", "")
    first = project.run()
    assert first.status == 1 or first.ran == ["A:a", "A:a"]  # sed's copy can't be run
    (project.root / "tool.sh").chmod(0o755)
    assert project.run().status == 0
    assert project.read("jobs/a/A/a.txt") == "two\n"


def test_a_program_that_is_an_input_is_one_fact(project: Project) -> None:
    """Its change is said once, as the input's; who declared it before programs were facts builds nothing again."""
    pipeline = (
        PIPELINE[: PIPELINE.index("[stages")]
        + """[stages.page]
command = ["sh", "page.sh", "{outputs.text}"]
inputs = { text = "source", program = "./page.sh" }
outputs = { text = "page.txt" }
"""
    )
    project.write("pipeline.toml", pipeline)
    project.write("media/a.txt", "a\n")
    project.write("page.sh", 'echo one > "$1"\n')
    assert project.run().status == 0
    assert [name for name in code_of(project, "page") if "page.sh" in name] == []
    project.write("page.sh", 'echo two > "$1"\n')
    assert project.command("explain", "page:a").out.count("page.sh") == 1
    assert project.run().ran == ["page:a"]
    assert project.read("jobs/a/page/page.txt") == "two\n"


def code_of(project: Project, stage: str) -> dict[str, str]:
    """The recorded code of a stage."""
    found: dict[str, str] = json.loads(project.read(f"jobs/a/{stage}/manifest.json"))["code"]
    return found
