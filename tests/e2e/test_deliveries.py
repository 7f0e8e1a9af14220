"""Copies where people look: none is lost, none is taken for a person's, and those of tasks that went go too."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

import pytest

from tests.e2e.conftest import CHAIN, Project

MANY = """
[pipeline]
sources = ["media/*.txt"]

[stages.cut]
command = ["sh", "-ec", 'mkdir -p "$2"; cd "$2"; for n in $3; do mkdir -p "$(dirname "$n")"; echo "$n" > "$n"; done',
           "cut",
           "{inputs.media}", "{outputs.OUT}", "{params.names}"]
inputs  = { media = "source" }
outputs = { OUT = "NAME" }
params  = { names = "a.ts b.ts sub/a.ts" }
deliver = "out/{job}"
"""
STAR = """
[pipeline]
sources = ["media/*.txt"]

[stages.cut]
command = ["sh", "-ec", 'd=$(dirname "$2"); for n in $3; do echo "$1 $n" > "$d/$n"; done; : > "$2"', "cut",
           "{inputs.media}", "{outputs.list}", "{params.names}"]
inputs  = { media = "source" }
outputs = { list = "list.csv", parts = "part*.txt" }
params  = { names = "part1.txt" }
deliver = "out/{job}"
"""


def copies(project: Project) -> list[str]:
    """What lies in `out`."""
    return sorted(str(p.relative_to(project.root)) for p in (project.root / "out").rglob("*") if not p.is_dir())


@pytest.mark.parametrize(
    ("name", "folder"), [("hls", "out/one.hls"), ("s.hls", "out/one.hls"), ("d/hls", "out/one.hls")]
)
def test_a_directory_is_delivered_as_a_directory(project: Project, name: str, folder: str) -> None:
    """With all it holds; what is made no more goes, an edit stays, and folders that are empty now go too."""
    project.write("pipeline.toml", MANY.replace("NAME", name).replace("OUT", "all"))
    project.write("media/one.txt", "x")
    assert project.run().status == 0
    assert copies(project) == [f"{folder}/{file}" for file in ("a.ts", "b.ts", "sub/a.ts")]
    assert project.read(f"{folder}/sub/a.ts") == "sub/a.ts\n"
    assert (project.run().ran, project.command("check").status) == ([], 0)
    project.write(f"{folder}/b.ts", "mine\n")
    assert project.run("cut.names=a.ts").status == 0
    assert copies(project) == [f"{folder}/a.ts", f"{folder}/b.ts"]
    assert not (project.root / folder / "sub").exists()
    assert project.command("clean").status == 0
    assert copies(project) == [f"{folder}/b.ts"]


@pytest.mark.parametrize("name", ["hls", "s.hls", "d/hls"])
def test_a_slash_delivers_outputs_under_their_own_names(project: Project, name: str) -> None:
    """Files and directories; an edit stays, what is made no more goes, and copies by the old rule go."""
    text = MANY.replace("NAME", name).replace("OUT", "all")
    project.write("pipeline.toml", text)
    project.write("media/it's [one].txt", "x")
    assert project.run().status == 0
    project.write("pipeline.toml", text.replace('"out/{job}"', '"out/{job}/"'))
    run = project.run()
    assert (run.status, run.ran, run.tasks("stage_delivered")) == (0, [], ["cut:it's [one]"])
    folder = f"out/it's [one]/{name}"
    assert copies(project) == [f"{folder}/{file}" for file in ("a.ts", "b.ts", "sub/a.ts")]
    assert (project.run().ran, project.command("check").status) == ([], 0)
    (project.root / folder / "a.ts").unlink()
    assert project.command("check").status == 1
    project.write(f"{folder}/b.ts", "mine\n")
    assert project.run("cut.names=a.ts").status == 0
    assert copies(project) == [f"{folder}/a.ts", f"{folder}/b.ts"]


TABLE = """
[pipeline]
sources = ["media/*.txt"]

[stages.cut]
command = ["sh", "-ec", 'mkdir "$1"; for n in a b; do echo "$n $4" > "$1/$n.ts"; cp "$1/$n.ts" "$3.$n.log"; done; ls "$1" > "$2"',
           "cut", "{outputs.segments}", "{outputs.list}", "{outputs.log}", "{params.rung}"]
inputs  = { media = "source" }
outputs = { segments = "seg", list = "l.m3u8", log = "log.txt", parts = "log.txt.*.log" }
matrix  = { rung = ["lo", "hi"] }
DELIVER
"""  # noqa: E501


@pytest.mark.parametrize(
    ("deliver", "names"),
    [
        ('{ list = "out/{job}/{rung}.m3u8" }', ["hi.m3u8", "lo.m3u8"]),
        ('{ segments = "out/{job}/{rung}" }', ["hi/a.ts", "hi/b.ts", "lo/a.ts", "lo/b.ts"]),
        (
            '{ segments = "out/{job}/{rung}/", list = "out/{job}/{rung}/" }',
            ["hi/l.m3u8", "hi/seg/a.ts", "hi/seg/b.ts", "lo/l.m3u8", "lo/seg/a.ts", "lo/seg/b.ts"],
        ),
        ('{ parts = "./out//{job}/{rung}/" }', [f"{r}/log.txt.{n}.log" for r in ("hi", "lo") for n in "ab"]),
    ],
)
def test_a_table_delivers_what_it_names(project: Project, deliver: str, names: list[str]) -> None:
    """And nothing else; a copy's name is what the table says; what is taken out of it goes."""
    text = TABLE.replace("DELIVER", f"deliver = {deliver}").replace("log.txt", "log.txt")
    project.write("pipeline.toml", text.replace("echo", ': > "$3"; echo'))
    project.write("media/one.txt", "x")
    assert project.run().status == 0
    assert copies(project) == [f"out/one/{name}" for name in names]
    assert (project.run().ran, project.command("check").status) == ([], 0)
    project.write(f"out/one/{names[0]}", "mine\n")
    assert project.command("check").status == 1
    first = project.root / "out/one" / names[-1]
    first.unlink()
    assert project.run().ran == []
    assert first.exists()
    assert "mine\n" in [(project.root / copy).read_text() for copy in copies(project)]


@pytest.mark.parametrize(
    ("deliver", "said"),
    [
        ('{ lst = "out/{job}/{rung}/" }', "stages.cut.deliver.lst: there is no such output (did you mean 'list'?)"),
        ('{ parts = "out/{job}/{rung}" }', "deliver.parts: any number of files need a folder"),
        ('{ list = "/out/{job}/{rung}/" }', "deliver.list: '/out/{job}/{rung}/' leads outside the project"),
        ('{ list = "../{job}/{rung}/" }', "leads outside the project"),
        ('{ list = "~/{job}/{rung}/" }', "leads outside the project"),
        ('{ list = "out/{jobb}/{rung}/" }', "deliver.list: {jobb} is no placeholder (did you mean '{job}'?"),
        ('{ list = "out/{job}/l" }', "would deliver out/one/l, as cut:one:lo does"),
        ('{ list = "out/{rung}/x", log = "out/{rung}/x" }', "would deliver out/lo/x, as cut:one:lo does"),
        ('{ list = "out/{rung}/x", log = "out/{rung}/x/y" }', "would deliver out/lo/x/y, as cut:one:lo does"),
        ('{ list = "jobs/{rung}/" }', "copies can't go into the jobs directory"),
        ("{ list = 1 }", "stages.cut.deliver"),
        ("{}", "stages.cut.deliver"),
        ('"out/{rungs}/"', "{rungs} is no placeholder (did you mean '{rung}'?"),
        ('"out/"', "would deliver out/l.m3u8, as cut:one:lo does"),
        ('{ list = "media/{rung}/", log = "media/one.txt" }', "would deliver media/one.txt, as the source does"),
    ],
)
def test_mistakes_in_deliver(project: Project, deliver: str, said: str) -> None:
    """Each by its place; nothing runs."""
    project.write("pipeline.toml", TABLE.replace("DELIVER", f"deliver = {deliver}"))
    project.write("media/one.txt", "x")
    run = project.run()
    assert (run.status, run.ran) == (3, [])
    assert said in run.out + run.err


def test_patterns_of_two_stages_in_one_folder(project: Project) -> None:
    """Their names may differ, which only the run shows; where they don't, the second fails by name."""
    text = STAR.replace("out/{job}", "out/")
    other = text[text.index("[stages.cut]") :].replace("stages.cut", "stages.more").replace("list.csv", "more.csv")
    project.write("pipeline.toml", text + other.replace("part1", "part2"))
    project.write("media/one.txt", "x")
    assert project.run().status == 0
    assert copies(project) == ["out/list.csv", "out/more.csv", "out/part1.txt", "out/part2.txt"]
    run = project.run("more.names=part1.txt")
    assert (run.status, run.tasks("stage_failed")) == (1, ["more:one"])
    assert "out/part1.txt" in run.out
    assert project.read("out/part1.txt") == "media/one.txt part1.txt\n"


def test_an_empty_directory_is_delivered_too(project: Project) -> None:
    """Alone, and inside another."""
    text = MANY.replace("NAME", "hls").replace("OUT", "all").replace("for n in", "mkdir none; for n in")
    project.write("pipeline.toml", text)
    project.write("media/one.txt", "x")
    assert project.run("cut.names=").status == 0
    assert (project.root / "out/one.hls/none").is_dir()
    assert project.run("cut.names=").ran == []
    (project.root / "out/one.hls/none").rmdir()
    assert project.command("check", "cut.names=").status == 1
    assert project.run("cut.names=").tasks("stage_delivered") == ["cut:one"]
    assert (project.root / "out/one.hls/none").is_dir()


def test_outputs_that_would_share_a_name_are_refused(project: Project) -> None:
    """By name, each time, and nothing is lost: the outputs are there, the earlier copies stay."""
    project.write("pipeline.toml", STAR)
    project.write("media/one.txt", "x")
    assert project.run().status == 0
    assert copies(project) == ["out/one.csv", "out/one.txt"]
    for _ in range(2):
        run = project.run("cut.names=part1.txt part2.txt")
        assert run.status == 1
        assert "part1.txt and part2.txt would both be out/one.txt" in run.out
        assert project.command("check", "cut.names=part1.txt part2.txt").status == 1
    assert project.read("jobs/one/cut/part2.txt")
    assert project.read("out/one.txt") == "media/one.txt part1.txt\n"
    assert project.run().status == 0


def test_two_jobs_whose_copies_collide(project: Project) -> None:
    """Which only the run shows: the second fails by name, also where both run at once, and nothing flips."""
    project.write("pipeline.toml", STAR.replace("part*", "part.*").replace('"part1.txt"', '"part.b.txt part.txt"'))
    for job in ("a", "a.b"):
        project.write(f"media/{job}.txt", job)
    first = project.run("-n2")
    assert first.status == 1
    assert len(first.tasks("stage_failed")) == 1
    before = project.read("out/a.b.txt")
    for _ in range(2):
        again = project.run()
        assert (again.status, again.ran) == (1, [])
        assert "deliver" in again.out
        assert "out/a.b.txt" in again.out
        assert project.read("out/a.b.txt") == before
        assert not list((project.root / "out").glob("*.edited*"))


def test_two_stages_that_swap_their_names(project: Project) -> None:
    """What another task delivered there is no person's edit."""
    text = CHAIN + 'deliver = "out/c/{job}"\n'
    text = text.replace("[stages.B]", '[stages.B]\ndeliver = "out/b/{job}"')
    project.write("pipeline.toml", text)
    project.write("media/one.txt", "hello\n")
    assert project.run().status == 0
    project.write(
        "pipeline.toml", text.replace("out/b/", "out/x/").replace("out/c/", "out/b/").replace("out/x/", "out/c/")
    )
    assert project.run().status == 0
    assert project.read("out/b/one.txt") == "olleh\nolleh\n"
    assert project.read("out/c/one.txt") == "hello\nhello\n"
    assert copies(project) == ["out/b/one.txt", "out/c/one.txt"]
    assert project.run().ran == []


KILLER = """
import os, signal, sys
from mediabuild.execution import delivery
from mediabuild.store import publish
count = 0

def maybe():
    global count
    count += 1
    if count == {number}:
        os.kill(os.getpid(), signal.SIGKILL)

def killing(act):
    def call(*args, **kwargs):
        maybe()
        done = act(*args, **kwargs)
        maybe()
        return done
    return call

for module, name in ((delivery, "write_record"), (delivery, "deliver"), (publish, "copy")):
    setattr(module, name, killing(getattr(module, name)))
from mediabuild.commands.main import main
sys.argv = ["mediabuild"]
sys.exit(main())
"""


def test_a_kill_between_a_copy_and_its_record(project: Project) -> None:
    """Before and after each step of a delivery: what was delivered is never taken for a person's edit."""
    project.write("pipeline.toml", CHAIN + 'deliver = "out/{job}"\n')
    project.write("media/one.txt", "first\n")
    assert project.run().status == 0
    for number in range(1, 20):
        project.write("media/one.txt", f"round {number}\n")
        command = [sys.executable, "-c", KILLER.format(number=number)]
        killed = subprocess.run(command, cwd=project.root, env=project.env, capture_output=True, check=False)
        project.write("media/one.txt", f"after {number}\n")
        assert project.run().status == 0
        assert copies(project) == ["out/one.txt"], number
        if killed.returncode == 0:
            break
        assert killed.returncode == -signal.SIGKILL
    assert number > 6


@pytest.mark.parametrize("length", [200, 240, 248, 251])
def test_long_names_are_delivered(project: Project, length: int) -> None:
    """Whatever fits into a file's name; an edit of it is kept under a name that fits."""
    project.write("pipeline.toml", CHAIN + 'deliver = "out/{job}"\n')
    job = "x" * length
    project.write(f"media/{job}.txt", "hello\n")
    assert project.run().status == 0
    assert copies(project) == [f"out/{job}.txt"]
    project.write(f"out/{job}.txt", "mine\n")
    assert project.run().status == 0
    assert len(copies(project)) == 2


def test_a_copy_whose_name_is_too_long_is_that_jobs_trouble(project: Project) -> None:
    """The other jobs are built."""
    project.write("pipeline.toml", CHAIN + 'deliver = "out/{job}.and.more"\n')
    for job in ("x" * 251, "short"):
        project.write(f"media/{job}.txt", "hello\n")
    run = project.run()
    assert run.status == 1
    assert len(run.tasks("stage_failed")) == 1
    assert "name too long" in run.out
    assert copies(project) == ["out/short.and.more.txt"]


WITHDRAWN = (
    CHAIN
    + """
[stages.D]
command = ["cp", "{inputs.text}", "{outputs.text}"]
inputs  = { text = "A.text" }
outputs = { text = "d.txt" }
matrix  = { v = ["x", "y"] }
deliver = "out/{job}.{v}"
"""
)


def test_kept_edits_lie_where_no_output_can(project: Project) -> None:
    """A matrix value that is called as the place of another's edits does not receive them."""
    project.write("pipeline.toml", WITHDRAWN.replace('"x", "y"', '"x", "x.edited"'))
    project.write("media/one.txt", "hello\n")
    assert project.run().status == 0
    project.write("jobs/one/D/x/d.txt", "mine\n")
    assert project.run().status == 0
    assert project.read("jobs/one/D/x.edited/d.txt") == "hello\n"
    assert project.read("jobs/one/D.edited/x/d.txt") == "mine\n"
    assert sorted(p.name for p in (project.root / "jobs/one/D/x.edited").iterdir()) == ["d.txt", "manifest.json"]


def test_a_place_that_takes_no_copy_is_named(project: Project) -> None:
    """The message names the copy, and the hint the stage's `deliver`; the outputs are there, and come when it does."""
    project.write("pipeline.toml", CHAIN + 'deliver = "out/{job}"\n')
    project.write("media/one.txt", "hello\n")
    project.write("out", "a file, no folder")
    run = project.run()
    assert (run.status, run.tasks("stage_failed")) == (1, ["C:one"])
    assert "out/one.txt: " in run.out and 'deliver = "…" under [stages.C]' in run.out
    assert project.read("out") == "a file, no folder"
    (project.root / "out").unlink()
    run = project.run()
    assert (run.status, run.ran) == (0, [])
    assert project.read("out/one.txt")


def write_records_of_before(project: Project) -> None:
    """They held digests alone."""
    for record in (project.root / "jobs").glob("*/.mediabuild/delivered/*.json"):
        made = json.loads(record.read_text())
        record.write_text(json.dumps({copy: versions[-1][0] for copy, versions in made.items()}))


def test_a_record_of_before_is_read(project: Project) -> None:
    """What an older mediabuild delivered is no person's edit, what a person wrote since is."""
    project.write("pipeline.toml", STAR)
    for name in ("one", "two"):
        project.write(f"media/{name}.txt", "x")
    assert project.run().status == 0
    write_records_of_before(project)
    project.write("media/one.txt", "y")
    project.write("out/two.txt", "mine\n")
    names = "cut.names=part2.txt"
    assert project.run(names).status == 0
    assert copies(project) == ["out/one.csv", "out/one.txt", "out/two.csv", "out/two.edited.txt", "out/two.txt"]
    assert project.read("out/two.edited.txt") == "mine\n"


def test_a_copy_that_is_made_no_more_and_may_be_a_persons_is_named(project: Project) -> None:
    """Edited, or with another time, as after a project was copied: it stays, and that is said; others go."""
    every = MANY.replace("NAME", "*.ts").replace('"{outputs.OUT}"', '"{out}"').replace("out/{job}", "out/{job}/")
    project.write("pipeline.toml", every)
    project.write("media/one.txt", "x")
    assert project.run("names=a.ts b.ts c.ts").status == 0
    project.write("out/one/a.ts", "mine\n")
    os.utime(project.root / "out/one/b.ts", (1, 1))
    ran = project.run("names=d.ts")
    assert copies(project) == ["out/one/a.ts", "out/one/b.ts", "out/one/d.ts"]
    told = {e["message"]: e["hint"] for e in ran.events if e["event"] == "stage_warning"}
    assert told == {
        "out/one/a.ts is made no more, and is kept: it was edited": "rm out/one/a.ts",
        "out/one/b.ts is made no more, and is kept: it may be yours: its time is another than when it was delivered": (
            "rm out/one/b.ts"
        ),
    }
