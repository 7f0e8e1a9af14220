"""Commands in a folder of their own: no job's name enters, so that results come back under another."""

from __future__ import annotations

import subprocess
import sys

import pytest

from mediabuild.media.ffmpeg import ffmpeg_path
from tests.e2e.conftest import Project

PIPELINE = """
[pipeline]
sources = ["media/*.txt"]
isolate = true

[stages.A]
command = ["sh", "-ec", 'find . | sort > "$2"; echo "$@" >> "$2"; cat "$1" >> "$2"; touch scratch', "A",
           "{inputs.text}", "{outputs.text}", "{inputs.notes}", "{inputs.parts}"]
inputs  = { text = "source", notes = "?./notes/{job}.md", parts = "./parts/*.*" }
outputs = { text = "a.txt" }
deliver = "out/{job}"

[stages.B]
command = ["sh", "-ec", 'test -d out/b; cp "$1" "$2/b/x"; pwd -P | grep -c jobs', "B", "{inputs.a}", "{out}"]
inputs  = { a = "A.text" }
outputs = { b = "b/", list = "list.txt" }
stdout  = "list"
"""


@pytest.fixture
def isolated(project: Project) -> Project:
    """Built once, for a job whose name no filter graph could bear."""
    project.write("pipeline.toml", PIPELINE)
    project.write("media/it's [1].txt", "hello\n")
    project.write("parts/p10.JPG", "ten")
    project.write("parts/p9.tar.gz", "nine")
    run = project.run()
    assert run.status == 0, run.out
    return project


def test_what_a_command_finds(isolated: Project) -> None:
    """Links called after its inputs, in order; the outputs' directory; its scratch files go."""
    lines = isolated.read("jobs/it's [1]/A/a.txt").splitlines()
    assert lines[:-2] == [".", "./out", "./parts", "./parts/0001.gz", "./parts/0002.jpg", "./text.txt"]
    assert lines[-2:] == ["text.txt out/a.txt  parts/0001.gz parts/0002.jpg", "hello"]
    assert isolated.read("jobs/it's [1]/B/b/x") == isolated.read("jobs/it's [1]/A/a.txt")
    assert not list((isolated.root / "jobs").rglob("scratch"))
    assert not list((isolated.root / "jobs").glob("*/.mediabuild/tmp/*"))
    assert isolated.run().ran == []


def test_results_come_back_under_another_name(isolated: Project) -> None:
    """After a rename, and for a second copy; with what lies beside it under the job's name; nothing runs."""
    isolated.write("notes/it's [1].md", "a note")
    assert isolated.run().ran == ["A:it's [1]", "B:it's [1]"]
    (isolated.root / "media/it's [1].txt").rename(isolated.root / "media/two.txt")
    (isolated.root / "notes/it's [1].md").rename(isolated.root / "notes/two.md")
    run = isolated.run()
    assert (run.status, run.ran) == (0, [])
    assert run.tasks("stage_restored") == ["A:two", "B:two"]
    assert isolated.read("out/two.txt").endswith("hello\n")
    isolated.write("media/three.txt", "hello\n")
    isolated.write("notes/three.md", "another note")
    run = isolated.run()
    assert run.ran == ["A:three"] + ["B:three"] * ("B:three" in run.ran)
    isolated.write("media/four.txt", "hello\n")
    isolated.write("notes/four.md", "a note")
    assert isolated.run().ran == []
    assert isolated.read("jobs/four/A/a.txt") == isolated.read("jobs/two/A/a.txt")


def test_a_directory_of_its_own_name_and_one_of_another(project: Project) -> None:
    """What lies in a directory has its names, which are facts; the directory's own isn't."""
    project.write(
        "pipeline.toml",
        """
[pipeline]
sources = ["media/*.txt"]
[stages.A]
isolate = true
command = ["ls", "{inputs.frames}"]
inputs  = { text = "source", frames = "./frames/{job}" }
outputs = { list = "list.txt" }
stdout  = "list"
""",
    )
    for job, frame in (("a", "1.jpg"), ("b", "1.jpg"), ("c", "2.jpg")):
        project.write(f"media/{job}.txt", "same")
        project.write(f"frames/{job}/{frame}", "same")
        run = project.run()
        assert run.status == 0
        assert run.ran == ([] if job == "b" else [f"A:{job}"])
    assert [project.read(f"jobs/{job}/A/list.txt") for job in "abc"] == ["1.jpg\n", "1.jpg\n", "2.jpg\n"]


def test_programs_of_the_project_are_there(project: Project) -> None:
    """Under their own names, with what they import; an edit is a reason; what isn't named isn't there."""
    text = f"""
[pipeline]
sources = ["media/*.txt"]
isolate = true
[stages.A]
command = ["{sys.executable}", "tools/page.py", "{{inputs.text}}", "{{outputs.text}}", "show/head.html"]
inputs  = {{ text = "source" }}
outputs = {{ text = "a.txt" }}
[stages.B]
command = ["bin/tool", "{{outputs.text}}"]
outputs = {{ text = "b.txt" }}
"""
    project.write("pipeline.toml", text)
    project.write("media/a.txt", "a\n")
    project.write("show/head.html", "<b>")
    project.write("tools/words.py", "WORD = 'one'\n")
    page = "import sys\nimport words\nopen(sys.argv[2], 'w').write(open(sys.argv[3]).read() + words.WORD)\n"
    project.write("tools/page.py", page)
    project.write("bin/tool", '#!/bin/sh\ntest ! -e media && test ! -e show && echo hi > "$1"\n').chmod(0o755)
    run = project.run()
    assert run.status == 0, run.out
    assert project.read("jobs/a/A/a.txt") == "<b>one"
    for edited in ("show/head.html", "tools/words.py", "tools/page.py"):
        project.write(edited, project.read(edited) + "\n")
        run = project.run()
        assert (run.ran, run.reasons("A:a")) == (["A:a"], [f"stage.{edited}"])


def test_filter_graphs_do_not_break(project: Project) -> None:
    """ffmpeg reads a file whose path stands in a filter, whatever the job is called."""
    project.write(
        "pipeline.toml",
        """
[pipeline]
sources = ["media/*.srt"]
[stages.burn]
command = ["{ffmpeg}", "-nostdin", "-v", "error", "-f", "lavfi", "-i", "color=s=64x36:d=0.2",
           "-vf", "subtitles=filename={inputs.words}", "-frames:v", "1", "-update", "1", "{outputs.png}"]
inputs  = { words = "source" }
outputs = { png = "x.png" }
""",
    )
    if b" subtitles " not in subprocess.run([ffmpeg_path(), "-filters"], capture_output=True, check=True).stdout:
        pytest.skip("this ffmpeg has no subtitles filter")
    project.write("media/it's a [live], one:2;.srt", "1\n00:00:00,000 --> 00:00:01,000\nHi\n")
    assert project.run().status == 1
    text = project.read("pipeline.toml")
    project.write("pipeline.toml", text.replace("[stages.burn]", "[stages.burn]\nisolate = true"))
    run = project.run()
    assert run.status == 0, run.out


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('"{outputs.text}"', '"{job}"', "stages.A.command: {job} in a command that is to know no job's name"),
        ('command = ["sh"', 'env = { J = "x{job}" }\ncommand = ["sh"', "stages.A.env.J: {job} in a command"),
        ('text = "source"', 'out = "source"', "stages.A.inputs.out: no name for a file in a folder of its own"),
        ('text = "source"', '"a b" = "source"', "stages.A.inputs.a b: no name for a file"),
        ("isolate = true", "isolated = true", "pipeline.isolated: unknown key (did you mean 'isolate'?)"),
        ("isolate = true", 'isolate = "yes"', "pipeline.isolate"),
        ("[stages.A]", "[stages.A]\nisolate = 1", "stages.A.isolate"),
        ("[stages.A]", "[stages.demux]\nisolate = true\ninputs = { media = 'source' }\n[stages.A]", "only a command"),
    ],
)
def test_mistakes(project: Project, old: str, new: str, said: str) -> None:
    """Each by its place."""
    project.write("pipeline.toml", PIPELINE.replace(old, new, 1))
    project.write("media/one.txt", "x")
    project.write("parts/a.b", "x")
    ran = project.command("validate")
    assert ran.status == 3
    assert said in ran.err


def test_a_stage_may_say_otherwise(project: Project) -> None:
    """`isolate = false` beside the pipeline's true; which of the two it is, is a fact."""
    text = PIPELINE.partition("[stages.B]")[0].replace("[stages.A]", "[stages.A]\nisolate = false")
    project.write(
        "pipeline.toml", text.replace('"{outputs.text}"', '"{outputs.text}", "{job}"').replace("touch s", ": s")
    )
    project.write("media/one.txt", "x")
    project.write("parts/a.b", "x")
    assert project.run().status == 0
    assert "media/one.txt" in project.read("jobs/one/A/a.txt")
    project.write("pipeline.toml", text.replace("touch s", ": s"))
    assert project.run().ran == ["A:one"]
    project.write("pipeline.toml", text.replace("touch s", ": s").replace("isolate = false", ""))
    run = project.run()
    assert run.reasons("A:one") == ["stage.isolate"]
