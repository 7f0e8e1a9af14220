"""A command for each file or row: just what changed is made again, what was made is kept, a kill loses one piece."""

from __future__ import annotations

import signal
import time

import pytest

from tests.e2e.conftest import Project

FILES = """
[pipeline]
sources = ["media/*.txt"]
isolate = true

[stages.cut]
command = ["sh", "-ec", 'cd "$2"; mkdir clips; for n in $1; do echo "$n" > "clips/${n#*=}.wav"; done', "c", "{params.clips}", "{out}"]
inputs  = { text = "source" }
outputs = { clips = "clips" }
params  = { clips = "1=a 2=b 3=c" }

[stages.read]
command = ["sh", "-ec", 'echo "ran $1" >> LOG; if grep -q bad "$1"; then echo no >&2; exit 4; fi; cat "$1" | tr 0-9 a-j; test ! -e "$3"; echo "$4" > "$2"',
           "r", "{inputs.clips}", "{outputs.more}", "{params.flag}", "{inputs.notes}"]
each    = "clips"
inputs  = { clips = "cut.clips", notes = "?./notes.txt" }
outputs = { texts = "*.txt", more = "more/*.x" }
stdout  = "texts"
params  = { flag = "/nowhere" }
deliver = { texts = "out/{job}/" }

[stages.all]
command = ["cat", "{inputs.texts}"]
inputs  = { texts = "read.texts" }
outputs = { text = "all.txt" }
stdout  = "text"
"""  # noqa: E501


@pytest.fixture
def files(project: Project) -> Project:
    """Three clips, each read."""
    project.write("pipeline.toml", FILES.replace("LOG", str(project.root / "log")))
    project.write("media/one.txt", "x")
    run = project.run()
    assert run.status == 0, run.out
    assert project.read("jobs/one/all/all.txt") == "b=a\nc=b\nd=c\n"
    return project


def pieces(project: Project) -> int:
    """How many were run since the last time."""
    log = project.root / "log"
    count = len(log.read_text().splitlines()) if log.exists() else 0
    log.unlink(missing_ok=True)
    return count


def test_a_piece_for_each_file(files: Project) -> None:
    """Its progress is shown; a changed, a new, a renamed and a removed file; another input; the command."""
    assert pieces(files) == 3
    assert sorted(p.name for p in (files.root / "jobs/one/read").rglob("*.*")) == sorted(
        ["a.txt", "b.txt", "c.txt", "a.x", "b.x", "c.x", "manifest.json"]
    )
    assert files.run().ran == []
    run = files.run("cut.clips=1=a 5=b 3=c 4=d")
    progress = [e for e in run.events if e["event"] == "stage_progress"]
    done = next(e for e in run.events if e["event"] == "stage_completed" and e["task"] == "read:one")
    assert (pieces(files), done["units"], done["units_reused"], progress[-1]["done"]) == (2, 4, 2, 4)
    assert files.read("jobs/one/all/all.txt") == "b=a\nf=b\nd=c\ne=d\n"
    files.run("cut.clips=1=a 5=bb 3=c 4=d")
    assert pieces(files) == 1  # what it printed has its name
    assert files.run("cut.clips=1=a").status == 0
    assert pieces(files) == 0
    assert [p.name for p in (files.root / "out/one").iterdir()] == ["a.txt"]
    files.write("notes.txt", "y")
    assert files.run("cut.clips=1=a 3=c").status == 0
    assert pieces(files) == 2
    assert files.run("cut.clips=1=a 3=c", "flag=/none").status == 0
    assert pieces(files) == 2


def test_a_failed_piece_fails_the_task(files: Project) -> None:
    """By name, with what it printed; the others are made, and kept."""
    pieces(files)
    run = files.run("cut.clips=1=a 6=b bad=c 7=d")
    assert (run.status, run.tasks("stage_failed")) == (1, ["read:one", "all:one"])
    assert "1 of 4 pieces failed: c: sh failed with exit 4" in run.out
    assert pieces(files) == 4 - 1
    assert files.read("jobs/one/all/all.txt") == "b=a\nc=b\nd=c\n"
    run = files.run("cut.clips=1=a 6=b 8=c 7=d")
    assert run.status == 0
    assert pieces(files) == 1


def test_a_kill_loses_what_was_under_way(project: Project) -> None:
    """The next run takes up what was finished; several at once, as `cpu` says."""
    wait = f'case $(cat "$1") in 6*|7*|8*) while [ -e {project.root}/hold ]; do sleep 0.02; done;; esac; test ! -e'
    text = FILES.replace("LOG", str(project.root / "log")).replace("test ! -e", wait)
    project.write("pipeline.toml", text.replace('each    = "clips"', 'each    = "clips"\nresources = { cpu = 2 }'))
    project.write("media/one.txt", "x")
    names = " ".join(f"{n}=n{n}" for n in range(1, 9))
    project.write("hold", "")
    run = project.start(f"cut.clips={names}")
    while not ((project.root / "log").exists() and len(project.read("log").splitlines()) >= 7):
        time.sleep(0.02)
        assert run.poll() is None
    run.send_signal(signal.SIGKILL)
    run.communicate()
    (project.root / "hold").unlink()
    assert pieces(project) == 7
    again = project.run(f"cut.clips={names}")
    assert again.status == 0, again.out
    assert pieces(project) == 3  # two were under way, one was not begun
    assert project.read("jobs/one/all/all.txt").count("\n") == 8


def test_an_interrupt_stops_all_pieces(project: Project) -> None:
    """At once, with 130; nothing is left running, and what was done is kept."""
    text = FILES.replace("LOG", str(project.root / "log")).replace(
        "test ! -e", 'case $(cat "$1") in slow*) sleep 60;; esac; test ! -e'
    )
    project.write("pipeline.toml", text.replace('each    = "clips"', 'each    = "clips"\nresources = { cpu = 2 }'))
    project.write("media/one.txt", "x")
    run = project.start("cut.clips=1=a slow=b slow=c 4=d")
    while not ((project.root / "log").exists() and len(project.read("log").splitlines()) >= 3):
        time.sleep(0.02)
        assert run.poll() is None
    run.send_signal(signal.SIGINT)
    run.communicate(timeout=30)
    assert run.returncode == 130
    pieces(project)
    assert project.run("cut.clips=1=a 2=b 3=c 4=d").status == 0
    assert pieces(project) == 3


ROWS = """
[pipeline]
sources = ["lines/*.csv"]

[stages.speak]
command = ["sh", "-c", 'echo "ran $1" >> log; echo "$1" > "$2"', "s", "{row.text}/{row.voice}", "{outputs.wav}"]
each    = "table"
inputs  = { table = "source" }
outputs = { wav = "*.wav" }
deliver = "voice/{job}/"
"""
TABLE = 'id,text,voice,comment\ngreet,"Hello, you!\nThere.",ann,x\nbye,Bye!,bob,y\n'


def test_a_piece_for_each_row(project: Project) -> None:
    """Named by `id`; the cells that are used are the facts; the order of rows and other columns are none."""
    project.write("pipeline.toml", ROWS)
    project.write("lines/tavern.csv", TABLE)
    run = project.run()
    assert run.status == 0, run.out
    assert project.read("voice/tavern/greet.wav") == "Hello, you!\nThere./ann\n"
    assert pieces(project) == 3  # a line end in the first
    project.write(
        "lines/tavern.csv", "\ufeff" + 'comment,id,voice,text\nz,bye,bob,Bye!\n,greet,ann,"Hello, you!\nThere."\n'
    )
    assert project.run().ran == ["speak:tavern"]
    assert pieces(project) == 0
    project.write("lines/tavern.csv", TABLE.replace("Bye!", "Fare well!").replace("greet", "hail"))
    assert project.run().ran == ["speak:tavern"]
    assert pieces(project) == 1
    assert sorted(p.name for p in (project.root / "voice/tavern").iterdir()) == ["bye.wav", "hail.wav"]
    project.write("lines/tavern.csv", "name,text\n")
    said = project.run().out
    assert "has no column 'id'" in said
    assert "| ==" not in said, "the log of an earlier run tells nothing of this one"


@pytest.mark.parametrize("cpu", [1, 4])
def test_equal_rows_are_one_piece(project: Project, cpu: int) -> None:
    """It is run once, also by force and where several are made at once; each row has its file."""
    text = ROWS.replace("{row.text}/{row.voice}", "{row.text}").replace("'echo", "'sleep 0.1; echo")
    project.write("pipeline.toml", text.replace("each ", f"resources = {{ cpu = {cpu} }}\neach "))
    project.write("lines/a.csv", "id,text\none,same\ntwo,same\nthree,other\nfour,same\n")
    for force in ([], ["--force"]):
        run = project.run(*force)
        assert (run.status, pieces(project)) == (0, 2), run.out
        assert [project.read(f"voice/a/{name}.wav") for name in ("one", "two", "three", "four")] == [
            "same\n", "same\n", "other\n", "same\n"]  # fmt: skip


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ("name,text,voice\na,b,c\n", "tavern.csv has no column 'id', which names the pieces"),
        ("id,txt,voice\na,b,c\n", "tavern.csv has no column 'text'"),
        ("", "has no column 'id'"),
        ("id;text;voice\na;b;c\n", "hint: save it with commas (.csv) or tabs (.tsv), not ';'"),
        ("id,text,voice\na,b,c\na,d,e\n", "two pieces are called 'a'"),
        ("id,text,voice\n,b,c\n", "'' can't be the name of a file"),
        ("id,text,voice\n../x,b,c\n", "'../x' can't be the name of a file"),
        ("id,text,voice\n/x,b,c\n", "'/x' can't be the name of a file"),
        (b"id,text,voice\na,\xff,c\n", "tavern.csv is no UTF-8 text"),
        ('id,text,voice\na,"b,c\n', "tavern.csv: unexpected end of data"),
        ("id,text,voice\n" + "n" * 300 + ",b,c\n", "too long a name"),
    ],
)
def test_tables_that_are_none(project: Project, table: str | bytes, said: str) -> None:
    """That task's failure, by the file's name; no traceback."""
    project.write("pipeline.toml", ROWS)
    project.write("lines/tavern.csv", table)
    run = project.run()
    assert run.status == 1
    assert said in run.out
    assert "Traceback" not in run.out + run.err


def test_pieces_of_all_jobs(project: Project) -> None:
    """A fan-in's pieces are called after their jobs; files of one name in two folders are told apart."""
    text = FILES.replace("LOG", str(project.root / "log")).partition("[stages.all]")[0]
    text = text.replace("[stages.read]", "[stages.read]\ncollect = true").replace("out/{job}/", "out/")
    project.write("pipeline.toml", text)
    for job in ("one", "two"):
        project.write(f"media/{job}.txt", "x")
    run = project.run()
    assert run.status == 0, run.out
    assert sorted(str(p.relative_to(project.root / "out")) for p in (project.root / "out").rglob("*.txt")) == [
        f"{job}/{name}.txt" for job in ("one", "two") for name in "abc"
    ]


@pytest.mark.parametrize("reads", ["source", "./notes/{job}.txt", "./notes/{job}"])
@pytest.mark.parametrize("told", ["", "{piece}"])
def test_a_copy_under_another_name_has_pieces_of_that_name(project: Project, reads: str, told: str) -> None:
    """Pieces that are called after a job's file aren't another job's; those of a directory are called as inside."""
    text = f"""
    [pipeline]
    sources = ["media/*.txt"]
    [stages.piece]
    isolate = true
    each = "text"
    command = ["sh", "-c", 'cp "$1" "$2"; echo "$3" >> "$2"', "p", "{{inputs.text}}", "{{outputs.text}}", "{told}"]
    inputs = {{ text = "{reads}" }}
    outputs = {{ text = "*.text" }}
    """
    project.write("pipeline.toml", text)
    inside = reads.endswith("{job}")
    for job in "ab":
        project.write(f"media/{job}.txt", "same\n")
        project.write(f"notes/{job}/x.txt" if inside else f"notes/{job}.txt", "same\n")
        run = project.run()
        name = "x" if inside else job
        assert project.read(f"jobs/{job}/piece/{name}.text") == "same\n" + name * bool(told) + "\n", run.out
        assert [path.name for path in (project.root / f"jobs/{job}/piece").glob("*.text")] == [f"{name}.text"]
    assert run.tasks("stage_restored") == ["piece:b"] * inside


def test_a_piece_of_a_job_with_a_dot_has_the_jobs_name(project: Project) -> None:
    """A fan-in of one file for each job or value: what stands behind the dot is no suffix."""
    words = '["sh", "-c", \'cp "$1" "$2"\', "c", "{inputs.text}", "{outputs.text}"]'
    text = f"""
    [pipeline]
    sources = ["media/*.txt"]
    [stages.speed]
    matrix = {{ v = ["0.5", "0.75"] }}
    command = {words}
    inputs = {{ text = "source" }}
    outputs = {{ text = "t.txt" }}
    [stages.all]
    collect = true
    each = "text"
    command = {words}
    inputs = {{ text = "speed.text:0.5" }}
    outputs = {{ text = "*.text" }}
    deliver = "out/"
    [stages.both]
    each = "text"
    command = {words}
    inputs = {{ text = "speed.text" }}
    outputs = {{ text = "*.text" }}
    deliver = "out/{{job}}/"
    """
    project.write("pipeline.toml", text)
    for job in ("ep1.5", "ep1.6"):
        project.write(f"media/{job}.txt", job)
    run = project.run()
    assert run.status == 0, run.out
    out = project.root / "out"
    found = sorted(str(path.relative_to(out)).removesuffix(".text") for path in out.rglob("*.text"))
    assert found == ["ep1.5", "ep1.5/0.5", "ep1.5/0.75", "ep1.6", "ep1.6/0.5", "ep1.6/0.75"]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('each    = "clips"', 'each = "clip"', "stages.read.each: there is no input 'clip' (did you mean 'clips'?)"),
        ('each    = "clips"', "each = 1", "stages.read.each: expected a string"),
        ('each    = "clips"', 'eech = "clips"', "stages.read.eech: unknown key (did you mean 'each'?)"),
        ('texts = "*.txt"', 'texts = "a.txt"', "stages.read.outputs.texts: each piece has its own: one * stands for"),
        ('texts = "*.txt"', 'texts = "*/*.txt"', "stages.read.outputs.texts: each piece has its own"),
        ('"{inputs.notes}"]\n', '"{row.text}"]\n', "{inputs.clips} is all the rows"),
        ('"{inputs.notes}"]\n', '"{rows.text}"]\n', "{rows.text} is no placeholder"),
        ('"{params.clips}"', '"{row.text}"', "stages.cut.command: {row.text} needs rows (each ="),
        ('"{params.clips}"', '"{piece}"', "stages.cut.command: {piece} is no placeholder"),
        ('each    = "clips"', 'each = "clips"\nprogress = "ffmpeg"', "stages.read.progress: how many pieces are done"),
    ],
)
def test_mistakes(project: Project, old: str, new: str, said: str) -> None:
    """Each by its place."""
    project.write("pipeline.toml", FILES.replace(old, new, 1))
    project.write("media/one.txt", "x")
    ran = project.command("validate")
    assert ran.status == 3
    assert said in ran.err
