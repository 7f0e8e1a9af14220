"""`--failed`: only what failed last time, and what depends on it."""

from __future__ import annotations

from tests.e2e.conftest import CHAIN, Project
from tests.e2e.test_collect import SHELF

FRAGILE = CHAIN.replace("""'rev "$1" > "$2"'""", """'grep -q bad "$1" && exit 1; rev "$1" > "$2"'""").replace(
    """'cp "$1" "$2"'""", """'[ -s "$1" ] && cp "$1" "$2"'"""
)


def test_only_what_failed_and_what_it_blocked(project: Project) -> None:
    """Of failed and stale jobs only the failed ones run again; mended, they go on to their end; then none is left."""
    project.write("pipeline.toml", FRAGILE)
    for name, text in (("fine", "x\n"), ("bad", "bad\n"), ("empty", "")):
        project.write(f"media/{name}.txt", text)
    assert project.run().status == 1
    project.write("media/fine.txt", "other\n")
    assert sorted(project.run("--failed").ran) == ["A:empty", "C:bad"]
    assert project.run("--failed", "--job", "e*").ran == ["A:empty"]
    assert sorted(project.run("--failed", "C").ran) == ["A:empty", "C:bad"]
    assert project.run("--failed", "A:bad").out == "nothing selected failed last time\n"
    assert "RUN     A:empty" in project.command("run", "--failed", "--dry-run").out
    project.write("media/bad.txt", "good\n")
    project.write("media/empty.txt", "full\n")
    mended = project.run("--failed")
    assert mended.status == 0
    assert sorted(mended.ran) == ["A:bad", "A:empty", "B:bad", "B:empty", "C:bad", "C:empty"]
    none = project.run("--failed")
    assert (none.status, none.out) == (0, "nothing selected failed last time\n")
    assert project.run().ran == ["A:fine", "B:fine", "C:fine"]


def test_a_task_over_all_jobs_brings_only_the_failed_ones(project: Project) -> None:
    """What collects them runs again too, and what the jobs that follow from it need; then nothing is left to do."""
    project.write("pipeline.toml", SHELF)
    for name in ("a", "b"):
        project.write(f"media/{name}.txt", "bad\n" if name == "b" else "x\n")
    assert project.run().status == 1
    project.write("media/a.txt", "x y z\n")
    project.write("media/b.txt", "x y\n")
    assert sorted(project.run("--failed").ran) == ["count:a", "count:b", "share:a", "share:b", "total:.all"]
    assert project.read("jobs/.all/total/all.txt").split() == ["3", "2"]
    assert project.run().ran == []
    project.write("pipeline.toml", SHELF.partition("[stages.share]")[0])
    project.write("media/b.txt", "bad\n")
    assert project.run().status == 1
    project.write("media/a.txt", "x x x x\n")
    project.write("media/b.txt", "x y z z z\n")
    assert project.run("--failed").ran == ["count:b", "total:.all"]
    assert project.read("jobs/.all/total/all.txt").split() == ["3", "5"], "as the other job was"
