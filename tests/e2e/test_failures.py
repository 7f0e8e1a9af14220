"""What goes wrong on the way: contained, named, never recorded as a success, and right again with the next run."""

from __future__ import annotations

import ctypes
import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mediabuild.machine.hashing import hash_file
from mediabuild.store.manifest import find_manifest
from tests.e2e.conftest import CHAIN, Project, Ran, read_events
from tests.e2e.crash import LONGEST_S

PR_CAPBSET_DROP, CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH = 24, 1, 2  # linux/prctl.h, linux/capability.h
PICKY = CHAIN.replace('cp "$1" "$2"', 'grep -q bad "$1" && echo "no good: $1" >&2 && exit 7; cp "$1" "$2"')


def succeed(project: Project) -> None:
    """The next run is good, and the one after it has nothing to do."""
    run = project.run()
    assert run.status == 0, run.out + run.err
    assert project.read("jobs/one/C/c.txt") == "olleh\nolleh\n"
    again = project.run()
    assert (again.status, again.ran) == (0, [])


def every_manifest_is_true(project: Project) -> None:
    """Each manifest that parses describes outputs that are there, with these bytes."""
    for file in project.root.glob("jobs/*/?/manifest.json"):
        manifest = find_manifest(file.parent)
        for path, digest in manifest.output_files().items() if manifest else ():
            assert hash_file(file.parent / path, digest.partition(":")[0]) == digest


def limited(project: Project, limit: Callable[[], None], *args: str) -> Ran:
    """A run under limits that its children have too."""
    events = project.root.parent / "limited.jsonl"
    process = project.start(*args, events=events, preexec_fn=limit)
    out, err = process.communicate(timeout=LONGEST_S)
    return Ran(process.returncode, out, err, read_events(events))


@pytest.fixture
def three(project: Project) -> Project:
    """Three recordings, the second of them bad for A."""
    project.write("pipeline.toml", PICKY)
    project.write("media/one.txt", "hello\n")
    project.write("media/three.txt", "three\n")
    project.write("media/two.txt", "bad\n")
    return project


def test_one_bad_recording_stops_no_other(three: Project) -> None:
    """The others are built; exit 1; the message, the end of the log and the log's place are told, once."""
    run = three.run()
    assert run.status == 1
    assert run.tasks("stage_failed") == ["A:two", "B:two", "C:two"]
    assert set(run.tasks("stage_completed")) == {f"{s}:{j}" for s in "ABC" for j in ("one", "three")}
    assert "sh failed with exit 7" in run.out
    assert "no good: media/two.txt" in run.out
    assert "jobs/two/.mediabuild/logs/A.log" in run.out
    assert run.events[-1]["event"] == "run_finished"
    last = run.events[-1]
    assert (last["status"], last["built"], last["failed"], last["blocked"]) == (1, 6, 1, 2)
    assert not (three.root / "jobs/two/A").exists()


def test_what_is_blocked_says_by_whom(three: Project) -> None:
    """B and C of the bad recording name what failed in the first place: each in its event, on the console together."""
    run = three.run()
    blocked = {e["task"]: e["blocked_by"] for e in run.events if e["event"] == "stage_failed" and e.get("blocked_by")}
    assert blocked == {"B:two": ["A:two"], "C:two": ["A:two"]}
    said = [line for line in run.out.splitlines() if line.startswith("BLOCKED")]
    assert said == ["BLOCKED B:two, C:two: A:two failed"]


def test_the_next_run_touches_only_what_failed(three: Project) -> None:
    """Not mended: A:two alone is tried again. Mended: A, B and C of it; nothing else either time."""
    three.run()
    again = three.run()
    assert (again.status, again.ran) == (1, ["A:two"])
    three.write("media/two.txt", "good\n")
    mended = three.run()
    assert (mended.status, mended.ran) == (0, ["A:two", "B:two", "C:two"])
    assert three.run().ran == []


def test_fail_fast(three: Project) -> None:
    """`--fail-fast` starts nothing after the first failure."""
    three.write("pipeline.toml", PICKY.replace("grep -q bad", "grep -q ."))
    run = three.run("--fail-fast", "-n", "1")
    assert (run.status, len(run.ran)) == (1, 1)
    assert len(three.run().ran) == 3


def test_one_cause_is_told_once_for_many(three: Project) -> None:
    """At the end the failures are grouped by their cause."""
    three.write("pipeline.toml", PICKY.replace("grep -q bad", "grep -q ."))
    run = three.run()
    assert "3 tasks:" in run.out
    assert any("A:one" in line and "A:two" in line and "A:three" in line for line in run.out.splitlines())


def test_a_failure_leaves_the_earlier_result_alone(chain: Project) -> None:
    """B fails for a new param: its outputs and manifest stay; with the old param all is fresh, nothing runs."""
    before = {path: path.read_bytes() for path in chain.root.glob("jobs/one/[BC]/*")}
    chain.write("pipeline.toml", CHAIN.replace("for i in", "exit 1; for i in").replace("times = 2", "times = 9"))
    assert chain.run().tasks("stage_failed") == ["B:one", "C:one"]
    assert {path: path.read_bytes() for path in chain.root.glob("jobs/one/[BC]/*")} == before
    chain.write("pipeline.toml", CHAIN)
    assert chain.run().ran == []
    assert list((chain.root / "jobs/one/.mediabuild/tmp").iterdir()) == []


def test_a_stage_that_fails_after_writing(project: Project) -> None:
    """A whole output and a bad exit status is a failure; nothing is published."""
    project.write("pipeline.toml", CHAIN.replace('cp "$1" "$2"', 'cp "$1" "$2"; exit 1'))
    project.write("media/one.txt", "hello\n")
    assert project.run().status == 1
    assert not (project.root / "jobs/one/A").exists()
    project.write("pipeline.toml", CHAIN)
    succeed(project)


def test_a_stage_that_is_killed(project: Project) -> None:
    """A program that dies by a signal fails with the signal's number."""
    project.write("pipeline.toml", CHAIN.replace('cp "$1" "$2"', 'echo half > "$2"; kill -KILL $$'))
    project.write("media/one.txt", "hello\n")
    run = project.run()
    assert (run.status, "killed by signal 9" in run.out) == (1, True)
    assert not (project.root / "jobs/one/A").exists()


def test_a_log_of_binary_garbage(project: Project) -> None:
    """What a program prints, ten megabytes and no text at all, doesn't hurt the run; the log has it."""
    noise = 'head -c 10000000 /dev/zero | tr "\\000" "\\377"; exit 1'
    project.write("pipeline.toml", CHAIN.replace('cp "$1" "$2"', noise))
    project.write("media/one.txt", "hello\n")
    run = project.run()
    assert run.status == 1
    assert "Traceback" not in run.err
    assert (project.root / "jobs/one/.mediabuild/logs/A.log").stat().st_size == 10_000_000


def alive(pid: int) -> bool:
    """Whether a process is there and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def wait_until(condition: Callable[[], bool]) -> bool:
    """Whether it comes true within a minute."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.02)
    return condition()


HANGING = CHAIN.replace(
    'cp "$1" "$2"',
    'sleep 300 & echo $! > pids; sh -c "sleep 301 & wait" & echo $! >> pids; echo half > "$2"; echo $$ >> pids; wait',
)


def pids(project: Project) -> list[int]:
    """What the hanging stage has started."""
    file = project.root / "pids"
    return [int(line) for line in file.read_text().split()] if file.exists() else []


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="asks /proc for processes")
def test_a_hanging_stage_is_stopped(project: Project) -> None:
    """After `timeout_s` the stage, its children and theirs are gone; it failed, and says which key to raise."""
    project.write("pipeline.toml", HANGING.replace("[stages.B]", "timeout_s = 3\n[stages.B]"))
    project.write("media/one.txt", "hello\n")
    run = project.run()
    assert run.status == 1
    assert "took longer than 3 s" in run.out
    assert "timeout_s" in run.out
    assert len(pids(project)) == 3
    assert wait_until(lambda: not any(alive(pid) for pid in pids(project)))
    assert not (project.root / "jobs/one/A").exists()
    project.write("pipeline.toml", CHAIN)
    succeed(project)


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="asks /proc for processes")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_an_interrupted_run_leaves_no_process(project: Project, number: signal.Signals) -> None:
    """INT, TERM, HUP and KILL to the run: everything that a stage started goes, and the next run just works."""
    project.write("pipeline.toml", HANGING)
    project.write("media/one.txt", "hello\n")
    process = project.start()
    assert wait_until(lambda: len(pids(project)) == 3)
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert process.returncode == (-9 if number == signal.SIGKILL else 130)
    assert "Traceback" not in err
    assert wait_until(lambda: not any(alive(pid) for pid in pids(project)))
    assert not (project.root / "jobs/one/A").exists()
    if number != signal.SIGKILL:
        assert list((project.root / "jobs/one/.mediabuild/tmp").iterdir()) == []
    project.write("pipeline.toml", CHAIN)
    succeed(project)
    assert list((project.root / "jobs/one/.mediabuild/tmp").iterdir()) == []


def test_files_may_not_grow(chain: Project) -> None:
    """RLIMIT_FSIZE at many sizes: outputs, manifests, logs or caches can't be written; nothing untrue is recorded."""
    chain.write("pipeline.toml", CHAIN.replace("times = 2", "times = 300"))
    for size_bytes in (0, 10, 500, 1000, 1500, 1790, 2500):
        run = limited(chain, lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, size_bytes)))  # noqa: B023
        assert "Traceback" not in run.err, (size_bytes, run.err)
        every_manifest_is_true(chain)
        if run.status == 0:
            assert chain.read("jobs/one/C/c.txt") == "olleh\n" * 300
    chain.write("pipeline.toml", CHAIN)
    succeed(chain)


def test_too_few_open_files(project: Project) -> None:
    """RLIMIT_NOFILE from hopeless to nearly enough: a run ends well or badly, never with something untrue recorded."""
    terms = 'inputs  = { text = "B.text", terms = "./terms/*.csv" }'
    counting = CHAIN.replace("""'rev "$1" > "$2"'""", """'rev "$1" > "$2"; ls terms | wc -l > counted'""")
    project.write("pipeline.toml", counting.replace('inputs  = { text = "B.text" }', terms))
    project.write("media/one.txt", "hello\n")
    for name in "abc":
        project.write(f"terms/{name}.csv", name)
    seen = set()
    for files in range(5, 20):
        run = limited(project, lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (files, files)))  # noqa: B023
        seen.add(run.status)
        every_manifest_is_true(project)
        if run.status == 0:
            assert project.read("jobs/one/C/c.txt") == "olleh\nolleh\n"
            assert len(json.loads(project.read("jobs/one/C/manifest.json"))["inputs"]["terms"]) == 3
    assert len(seen) > 1  # some ended badly: the test tested something
    succeed(project)


@pytest.fixture
def small_disk(project: Project) -> Iterator[Path]:
    """`jobs/` on a disk of 256 KiB of its own."""
    jobs = project.root / "jobs"
    jobs.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(jobs)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("can't mount a small disk here")
    yield jobs
    subprocess.run(["umount", "-l", str(jobs)], check=True)


FULL_ELSEWHERE = '''"""Write to a full disk."""
from mediabuild.stage import Context, NoParams, stage

@stage(version=1, inputs={"text": "a text"}, outputs={"text": "b.txt"})
def full(ctx: Context, params: NoParams) -> None:
    open("/dev/full", "w").write("x" * 100_000)
'''


@pytest.mark.parametrize("way", ["command", "python"])
def test_a_full_disk_elsewhere_makes_no_room(project: Project, way: str) -> None:
    """What a stage can't write to another disk is its own trouble: nothing that is kept is deleted for it."""
    project.write("pipeline.toml", CHAIN)
    for content in ("early\n", "late\n"):
        project.write("media/one.txt", content)
        assert project.run().status == 0
    kept = sorted(project.root.glob("jobs/one/.mediabuild/generations/*/*"))
    assert len(kept) == 3
    full = 'command = ["sh", "-c", "echo x > /dev/full"]\noutputs = { text = "b.txt" }\n' if way == "command" else ""
    project.write("stages/full.py", FULL_ELSEWHERE)
    project.write("pipeline.toml", f'{CHAIN}\n[stages.full]\n{full}inputs = {{ text = "A.text" }}\n')
    failed = project.run()
    assert (failed.status, failed.ran) == (1, ["full:one"]), failed.out
    assert "No space left" in failed.out or way == "command"  # a shell says what it likes
    assert sorted(project.root.glob("jobs/one/.mediabuild/generations/*/*")) == kept


def test_a_full_disk(project: Project, small_disk: Path) -> None:
    """An output that doesn't fit: named with what to type, the earlier result stays, nothing is left over."""
    project.write("pipeline.toml", CHAIN)
    project.write("media/one.txt", "hello\n")
    assert project.run().status == 0
    project.write("media/one.txt", "x" * 300_000)
    run = project.run()
    assert run.status == 1
    assert "No space left" in run.out
    assert "Traceback" not in run.err
    assert project.read("jobs/one/A/a.txt") == "hello\n"
    assert list((small_disk / "one/.mediabuild/tmp").iterdir()) == []
    project.write("media/one.txt", "hello\n")
    succeed(project)


def test_what_is_kept_makes_room_on_a_full_disk(project: Project, small_disk: Path) -> None:
    """Earlier outputs are the first to go: no run fails while what is current fits, and what is current stays."""
    project.write("pipeline.toml", CHAIN.replace("times = 2", "times = 1"))
    warnings = []
    for letter in "abcdef":
        project.write("media/one.txt", letter * 25_000 + "\n")
        run = project.run()
        assert run.status == 0, run.out + run.err
        assert project.read("jobs/one/C/c.txt") == letter * 25_000 + "\n"
        warnings += [event["message"] for event in run.events if event["event"] == "stage_warning"]
    assert any("earlier results were deleted" in message for message in warnings)


def test_a_disk_that_fills_up_anywhere(project: Project, small_disk: Path) -> None:
    """Room left for 0, 1, 2 … pages: whichever write fails, nothing untrue is recorded; with room again it is right."""
    project.write("pipeline.toml", CHAIN)
    project.write("media/one.txt", "hello\n")
    statuses = []
    for pages in range(0, 14, 2):
        filler = small_disk / "filler"
        filler.write_bytes(b"")
        with filler.open("wb", buffering=0) as file:
            room = os.statvfs(small_disk).f_bavail * os.statvfs(small_disk).f_frsize - pages * 4096
            file.write(b"x" * max(0, room))
        project.write("media/one.txt", f"hello {pages}\n")
        run = project.run()
        statuses.append(run.status)
        assert "Traceback" not in run.err, run.err
        every_manifest_is_true(project)
        if run.status == 0:
            assert project.read("jobs/one/C/c.txt") == f"hello {pages}"[::-1].join(("", "\n")) * 2
    assert 1 in statuses
    (small_disk / "filler").unlink()
    project.write("media/one.txt", "hello\n")
    succeed(project)


def test_a_read_only_disk(project: Project, small_disk: Path) -> None:
    """Nothing can be written: what is fresh is still fresh, what is stale fails by name, and then it is right again."""
    project.write("pipeline.toml", CHAIN)
    project.write("media/one.txt", "hello\n")
    assert project.run().status == 0
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    fresh = project.run()
    assert (fresh.status, fresh.ran) == (0, [])
    for command in (["check"], ["status"], ["list", "-s"], ["validate"]):
        assert project.command(*command).status == 0, command
    project.write("media/one.txt", "world\n")
    stale = project.run()
    assert (stale.status, stale.ran) == (1, [])
    assert "Read-only file system" in stale.out
    assert "Traceback" not in stale.err
    forget = project.command("forget", "A")
    assert forget.status != 0
    assert "Traceback" not in forget.err
    subprocess.run(["mount", "-o", "remount,rw", str(small_disk)], check=True)
    project.write("media/one.txt", "hello\n")
    succeed(project)


def unprivileged() -> None:
    """For a child: root, too, may only read and write what the modes allow (Linux: capabilities(7), prctl(2))."""
    if os.geteuid() == 0:
        libc = ctypes.CDLL(None)
        for capability in (CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH):
            libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)


not_everywhere = pytest.mark.skipif(sys.platform != "linux" and os.geteuid() == 0, reason="root may read everything")


@not_everywhere
def test_a_directory_that_may_not_be_written(chain: Project) -> None:
    """A job's directory without write permission fails that job by name, and no other."""
    chain.write("media/two.txt", "two\n")
    chain.write("media/one.txt", "world\n")
    (chain.root / "jobs/one/.mediabuild/tmp").chmod(0o555)
    run = limited(chain, unprivileged)
    (chain.root / "jobs/one/.mediabuild/tmp").chmod(0o755)
    assert run.status == 1
    assert run.tasks("stage_completed") == ["A:two", "B:two", "C:two"]
    assert "Permission denied" in run.out
    chain.write("media/one.txt", "hello\n")
    succeed(chain)


@not_everywhere
def test_a_recording_that_may_not_be_read(chain: Project) -> None:
    """Unreadable: its job fails by name, the other is built, and with permission again nothing has been lost."""
    chain.write("media/two.txt", "two\n")
    chain.write("media/one.txt", "world\n").chmod(0)
    run = limited(chain, unprivileged)
    assert run.status == 1
    assert run.tasks("stage_failed") == ["A:one", "B:one", "C:one"]
    assert run.tasks("stage_completed") == ["A:two", "B:two", "C:two"]
    assert "media/one.txt can't be read: Permission denied" in run.out
    (chain.root / "media/one.txt").chmod(0o644)
    assert chain.run().ran == ["A:one", "B:one", "C:one"]


@not_everywhere
def test_an_output_that_may_not_be_read(chain: Project) -> None:
    """Nobody can say what it holds: its stage runs, and nothing is built on it."""
    (chain.root / "jobs/one/B/b.txt").chmod(0)
    run = limited(chain, unprivileged)
    assert (run.status, run.ran) == (0, ["B:one"])
    succeed(chain)


@not_everywhere
@pytest.mark.parametrize("reference", ["?./terms/*.csv", "?./terms/**/*.csv", "./terms"])
def test_a_folder_that_may_not_be_listed(project: Project, reference: str) -> None:
    """What a glob can't look into isn't empty: the stage fails by name, and its earlier result stays."""
    inputs = f'{{ media = "source", terms = "{reference}" }}'
    project.write("pipeline.toml", CHAIN.replace('{ media = "source" }', inputs))
    project.write("media/one.txt", "hello\n")
    project.write("terms/a.csv", "a\n")
    assert project.run().status == 0
    (project.root / "terms").chmod(0)
    run = limited(project, unprivileged)
    (project.root / "terms").chmod(0o755)
    assert (run.status, run.ran) == (1, []), run.out
    assert "terms" in run.out
    assert "Permission denied" in run.out
    succeed(project)


def test_the_events_file_cannot_be_written(chain: Project) -> None:
    """`--events` into a folder that isn't there is a mistake, said before anything runs."""
    done = chain.command("--events=nowhere/events.jsonl")
    assert done.status == 3
    assert "nowhere/events.jsonl" in done.err
    assert "Traceback" not in done.err


ONE_STAGE = '[pipeline]\nsources = "media/*.txt"\n[stages.wrong]\ninputs = { text = "source" }\n'
STAGE = '''"""A stage that goes wrong."""

import os
import sys

from mediabuild.stage import Context, NoParams, stage


@stage(version=1, inputs={"text": "a text"}, outputs={"text": "a.txt"})
def wrong(ctx: Context, params: NoParams) -> None:
    text = ctx.input("text").read_text()
    print("said before")
    %s
    ctx.output("text").write_text(text)
'''
TROUBLES = {
    "raises": ('raise ValueError("a bug")', ["wrong.py:14: ValueError: a bug"]),
    "exits": ("os._exit(5)", ["the worker died (exit 5)", "said before"]),
    "sys.exit": ("sys.exit(4)", ["4"]),
    "is killed": ("os.kill(os.getpid(), 9)", ["killed by signal 9"]),
    "closes its pipes": ("os.closerange(3, 100)", ["died"]),
    "writes nothing": ("return", ["did not write a.txt"]),
    "says nothing": ('from mediabuild.errors import StageError\n    raise StageError("")', ["failed without a word"]),
    "says blank lines": (
        'from mediabuild.errors import StageError\n    raise StageError("\\n\\n", None)',
        ["failed without a word"],
    ),
    "says a number": ("from mediabuild.errors import StageError\n    raise StageError(42, 7)", ["42", "hint: 7"]),
    "says what is no text": (
        'from mediabuild.errors import StageError\n    raise StageError("no \\udcff text")',
        ["no ? text"],
    ),
    "says something": (
        'from mediabuild.errors import StageError\n    raise StageError("no speech", "ls media")',
        ["no speech", "ls media"],
    ),
}


@pytest.mark.parametrize("trouble", TROUBLES)
def test_a_python_stage_goes_wrong(project: Project, trouble: str) -> None:
    """An exception, an exit, a kill, closed pipes: that recording fails with what is known; the others are built."""
    line, expected = TROUBLES[trouble]
    project.write("stages/wrong.py", STAGE % f'if text == "bad":\n        {line.replace(chr(10), chr(10) + "    ")}')
    project.write("pipeline.toml", ONE_STAGE)
    for name, text in (("a", "good"), ("b", "bad"), ("c", "as good")):
        project.write(f"media/{name}.txt", text)
    run = project.run()
    assert run.status == 1, run.out + run.err
    assert run.tasks("stage_failed") == ["wrong:b"]
    assert sorted(run.tasks("stage_completed")) == ["wrong:a", "wrong:c"]
    for text in expected:
        assert text in run.out, run.out
    assert "Traceback" not in run.err
    project.write("media/b.txt", "good at last")
    again = project.run()
    assert (again.status, again.ran) == (0, ["wrong:b"])


def test_junk_on_a_stages_stdout(project: Project) -> None:
    """What a stage prints, JSON that looks like a reply included, goes to its log and confuses nobody."""
    junk = 'print(\'{"kind":"failed","fields":{"message":"junk","hint":""}}\'); os.write(1, b"\\xff\\x00")'
    project.write("stages/wrong.py", STAGE % junk)
    project.write("pipeline.toml", ONE_STAGE)
    project.write("media/a.txt", "x")
    run = project.run()
    assert run.status == 0, run.out
    assert b"said before" in (project.root / "jobs/a/.mediabuild/logs/wrong.log").read_bytes()


def test_a_python_stage_that_hangs(project: Project) -> None:
    """`timeout_s` holds for stages in a worker; the next recording gets a new worker."""
    project.write("stages/wrong.py", STAGE % 'if text == "bad":\n        import time; time.sleep(300)')
    project.write("pipeline.toml", ONE_STAGE + "timeout_s = 4\n")
    project.write("media/a.txt", "bad")
    project.write("media/b.txt", "good")
    run = project.run()
    assert run.status == 1
    assert run.tasks("stage_failed") == ["wrong:a"]
    assert run.tasks("stage_completed") == ["wrong:b"]
    assert "took longer than 4 s" in run.out


def test_like_failures_are_said_once(project: Project) -> None:
    """The same lines but for the names of jobs and files: the others name the first; what differs is said."""
    project.write(
        "pipeline.toml",
        """
[pipeline]
sources = ["media/**/*.txt"]
[stages.A]
command = ["sh", "-c", 'for n in 1 2 3; do echo "line $n of $1 at 0x$$"; done; cat "$1"; exit 4', "A", "{inputs.text}"]
inputs  = { text = "source" }
outputs = { text = "a.txt" }
""",
    )
    for job in ("a", "b", "show/c"):
        project.write(f"media/{job}.txt", "the same\n")
    project.write("media/d.txt", "another\n")
    run = project.run()
    assert run.status == 1
    assert run.out.count("line 2 of") == 2
    assert run.out.count("failed with exit 4, like A:") == 2
    assert "another" in run.out
    assert len({e["message"] for e in run.events if e["event"] == "stage_failed"}) == 4
