"""Disks that are full, read-only or not ours, and files that may not grow: said, and right again with the next run."""

from __future__ import annotations

import ctypes
import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mediabuild.machine.hashing import hash_file
from mediabuild.store.manifest import find_manifest
from tests.e2e.conftest import CHAIN, Project, Ran, read_events
from tests.e2e.crash import LONGEST_S
from tests.e2e.test_failures import succeed

PR_CAPBSET_DROP, CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH = 24, 1, 2  # linux/prctl.h, linux/capability.h


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
