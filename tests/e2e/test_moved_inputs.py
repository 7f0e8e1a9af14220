"""A stage that moves or links what it should only read: the recording goes back to its place, and it fails."""

from __future__ import annotations

import os
import shutil
import signal
import time
from pathlib import Path

import pytest

from tests.e2e.conftest import Project

PIPELINE = """
[pipeline]
sources = ["media/*.txt"]

[stages.A]
command = ["sh", "-e", "make.sh", "{inputs.text}", "{outputs.text}"]
inputs  = { text = "source" }
outputs = { text = "a.txt" }
"""
WAYS = {
    "mv": 'mv "$1" "$2"',
    "and then a failure": 'mv "$1" "$2"; false',
    "under another name": 'mv "$1" "${2%/*}/raw"; tr a-z A-Z < "${2%/*}/raw" > "$2"',
    "to a folder": 'mkdir "${2%/*}/d"; mv "$1" "${2%/*}/d"; echo x > "$2"',
    "and changed": 'mv "$1" "${2%/*}/raw"; echo more >> "${2%/*}/raw"; echo x > "$2"',
    "killed": 'mv "$1" "$2"; kill -9 $$',
    "a link of it": 'ln -s x "${2%/*}/l"; mv "$1" "$2"',
}


@pytest.fixture
def moving(project: Project) -> Project:
    """A stage that does something to its input."""
    project.write("pipeline.toml", PIPELINE)
    project.write("media/a.txt", "precious\n")
    return project


def failed(project: Project, task: str = "A:a") -> str:
    """Run: the task fails by name, and nothing of it is left; the console's lines."""
    ran = project.run()
    assert (ran.status, ran.tasks("stage_failed")) == (1, [task]), ran.out
    assert "Traceback" not in ran.err
    stage, _, job = task.partition(":")
    assert not (project.root / f"jobs/{job}/{stage}").exists()
    assert not list((project.root / f"jobs/{job}/.mediabuild/tmp").iterdir())
    assert not list((project.root / "jobs/.mediabuild/handed").iterdir())
    return ran.out


@pytest.mark.parametrize("way", WAYS)
def test_a_moved_recording_goes_back(moving: Project, way: str) -> None:
    """However the stage ends; the message names the recording."""
    moving.write("make.sh", WAYS[way])
    assert "media/a.txt: is an input, and the stage moved it; it is back in its place" in failed(moving)
    assert moving.read("media/a.txt").startswith("precious\n")
    moving.write("make.sh", 'cat "$1" > "$2"')
    assert moving.run().status == 0


def test_a_moved_folder_goes_back(moving: Project) -> None:
    """Whole, or what it holds one by one; with links and empty folders."""
    moving.write("pipeline.toml", PIPELINE.replace('text = "source" }', 'text = "./pictures" }'))
    for name in ("one", "two", "deep/three"):
        moving.write(f"pictures/{name}.txt", name)
    (moving.root / "pictures/link").symlink_to("one.txt")
    (moving.root / "pictures/empty").mkdir()
    before = sorted(str(p) for p in (moving.root / "pictures").rglob("*"))
    for way in ('mv "$1" "${2%/*}/d"; echo x > "$2"', 'mv "$1"/* "${2%/*}"; echo x > "$2"', 'mv "$1/deep" "$2"'):
        moving.write("make.sh", way)
        assert "back in its place" in failed(moving)
        assert sorted(str(p) for p in (moving.root / "pictures").rglob("*")) == before
    assert moving.read("pictures/link") == "one"


PYTHON = '''"""Move."""
import os, shutil
from mediabuild.stage import Context, NoParams, stage

@stage(version=1, inputs={"text": "a text"}, outputs={"text": "a.txt"})
def own(ctx: Context, params: NoParams) -> None:
    shutil.move(ctx.input("text"), ctx.output("text"))
    END
'''


@pytest.mark.parametrize("end", ["pass", "raise ValueError('x')", "os.kill(os.getpid(), 9)"])
def test_a_python_stage_that_moves(moving: Project, end: str) -> None:
    """`shutil.move`; the worker lives or dies."""
    moving.write("pipeline.toml", '[pipeline]\nsources = ["media/*.txt"]\n[stages.own]\ninputs = { text = "source" }\n')
    moving.write("stages/own.py", PYTHON.replace("END", end))
    assert "media/a.txt: is an input, and the stage moved it; it is back" in failed(moving, "own:a")
    assert moving.read("media/a.txt") == "precious\n"


def test_another_stages_output_goes_back_too(moving: Project) -> None:
    """What A made is A's."""
    moving.write("make.sh", 'cat "$1" > "$2"')
    moving.write("pipeline.toml", PIPELINE + """
[stages.B]
command = ["mv", "{inputs.text}", "{outputs.text}"]
inputs  = { text = "A.text" }
outputs = { text = "b.txt" }
""")  # fmt: skip
    assert "jobs/a/A/a.txt: is an input" in failed(moving, "B:a")
    assert moving.read("jobs/a/A/a.txt") == "precious\n"
    assert moving.run().ran == ["B:a"]


def test_what_moved_out_of_reach_is_named(moving: Project) -> None:
    """Renamed elsewhere, or deleted: that can't be undone, but it is said at once, and what else failed too."""
    for way in ('mv "$1" elsewhere.txt; echo x > "$2"', 'rm "$1"; false'):
        moving.write("media/a.txt", "precious\n")
        moving.write("make.sh", way)
        said = failed(moving)
        assert "media/a.txt: is an input, and is gone; a stage must neither move nor delete it" in said
        assert ("failed with exit 1" in said) == way.endswith("false")
    assert moving.read("elsewhere.txt") == "precious\n"


def test_an_inode_that_is_used_again_is_no_moved_input(moving: Project) -> None:
    """Somebody saves the recording anew while the stage runs; what the stage makes gets the old one's inode."""
    moving.write(
        "make.sh",
        """
if [ ! -e saved ]; then echo saved > new; mv new "$1"; : > saved; fi
for i in 1 2 3 4 5 6 7 8; do cp "$1" "${2%/*}/$i"; done; cp "$1" "$2"
""",
    )
    ran = moving.run()
    assert (ran.status, moving.read("jobs/a/A/a.txt"), moving.read("media/a.txt")) == (0, "saved\n", "saved\n"), ran.out
    assert not list(moving.root.rglob("*.edited"))


def test_what_was_replaced_is_kept(moving: Project) -> None:
    """The stage puts something else in the recording's place: the recording is kept, and named."""
    moving.write("make.sh", 'mv "$1" "${2%/*}/raw"; echo converted > "$1"; cp "$1" "$2"')
    said = failed(moving)
    assert "media/a.txt: is an input, and the stage moved it; it is kept: jobs/a/A.edited/a.txt" in said
    assert moving.read("jobs/a/A.edited/a.txt") == "precious\n"
    assert moving.read("media/a.txt") == "converted\n"


def test_a_stage_that_writes_to_its_input_is_told_so(moving: Project) -> None:
    """It can't be told from somebody else, so both are named; nothing is published."""
    moving.write("make.sh", 'echo more >> "$1"; cp "$1" "$2"')
    said = failed(moving)
    assert "media/a.txt changed" in said and "nor the stage itself" in said


def test_a_hard_link_of_an_input_is_no_output(moving: Project) -> None:
    """Who edits the one would edit the other."""
    moving.write("make.sh", 'ln "$1" "$2"')
    assert "output a.txt: is a hard link of media/a.txt" in failed(moving)
    assert os.stat(moving.root / "media/a.txt").st_nlink == 1


def killed(project: Project) -> None:
    """A run that is killed with kill -9, and its stage too, when the recording lies in the temporary directory."""
    project.write("make.sh", 'mv "$1" "$2"; : > moved; sleep 60')
    run = project.start(start_new_session=True)
    while not (project.root / "moved").exists():
        assert run.poll() is None
        time.sleep(0.01)
    os.kill(run.pid, signal.SIGKILL)
    run.communicate()
    (project.root / "moved").unlink()
    assert not (project.root / "media/a.txt").exists()
    project.write("make.sh", 'cat "$1" > "$2"')


def test_after_kill_9_the_next_run_puts_it_back(moving: Project) -> None:
    """The only recording: its job is there again, and built."""
    killed(moving)
    again = moving.run()
    assert (again.status, again.ran) == (0, ["A:a"]), again.out + again.err
    assert moving.read("media/a.txt") == moving.read("jobs/a/A/a.txt") == "precious\n"
    assert not list((moving.root / "jobs/.mediabuild/handed").iterdir())


def test_after_kill_9_a_path_and_a_folder_come_back_too(moving: Project) -> None:
    """Not a source, so that the job is known: the sweep finds it."""
    moving.write("media/b.txt", "b\n")
    moving.write("pipeline.toml", PIPELINE.replace('text = "source" }', 'text = "./pictures" }').replace("*", "b"))
    moving.write("pictures/one.txt", "precious\n")
    moving.write("make.sh", "")
    (moving.root / "media/a.txt").unlink()
    killed(moving)
    moving.write("make.sh", 'cat "$1"/* > "$2"')
    assert moving.run().status == 0
    assert moving.read("pictures/one.txt") == moving.read("jobs/b/A/a.txt") == "precious\n"


def test_a_strangers_note_makes_no_file_that_the_pipeline_does_not_read(moving: Project) -> None:
    """What such a note names is set aside beside the stage's directory, and never lost."""
    killed(moving)
    moving.write("pipeline.toml", PIPELINE.replace("media/*.txt", "other/*.txt"))
    moving.write("other/b.txt", "b\n")
    ran = moving.run()
    assert ran.status == 0, ran.out + ran.err
    assert not (moving.root / "media/a.txt").exists()
    assert moving.read("jobs/a/A.edited/a.txt") == "precious\n"


@pytest.mark.skipif(not os.path.isdir("/dev/shm") or os.stat("/dev/shm").st_dev == os.stat("/tmp").st_dev,
                    reason="there is no second file system")  # fmt: skip
def test_from_another_disk(moving: Project) -> None:
    """There a move is a copy and a removal."""
    other = Path("/dev/shm") / f"mediabuild-{os.getpid()}"
    other.mkdir()
    try:
        (other / "a.txt").write_text("precious\n")
        moving.write("pipeline.toml", PIPELINE.replace("media/*.txt", f"{other}/*.txt"))
        moving.write("make.sh", 'mv "$1" "$2"')
        assert f"{other}/a.txt: is an input, and the stage moved it; it is back in its place" in failed(moving)
        assert (other / "a.txt").read_text() == "precious\n"
    finally:
        shutil.rmtree(other)
