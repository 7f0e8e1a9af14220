"""Damaged state files: never a crash, never a wrong "fresh", nothing to unlock or delete by hand.

What a manifest says is looked at in one process for each of its bytes; a few real runs show the rest.
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import blake3
import msgspec
import pytest

from mediabuild.build import Build
from mediabuild.pipeline.model import Reason
from mediabuild.pipeline.options import Options
from mediabuild.store.digest import CACHE_VERSION, Digests
from mediabuild.store.manifest import find_manifest
from tests.e2e.conftest import CHAIN, Project

INDEX = "jobs/.mediabuild/fresh.index"
MANIFEST_B = "jobs/one/B/manifest.json"
TASKS = ["A:one", "B:one", "C:one"]
DODO = """
from pathlib import Path

def task_mine():
    return {"actions": ["cp media/one.txt mine.txt"], "file_dep": ["media/one.txt"], "targets": ["mine.txt"]}
"""


def reasons(project: Project, task: str = "B:one") -> tuple[Reason, ...]:
    """Why a task would run, asked in this process."""
    build = Build(project.root, Options())
    return build.freshness.reasons(build.tasks[task])


def converges(project: Project, *, ran: list[str] | None = None) -> None:
    """The next run succeeds, running these, leaves the right bytes, and the one after that runs nothing."""
    run = project.run()
    assert run.status == 0, run.out + run.err
    assert "Traceback" not in run.err
    if ran is not None:
        assert run.ran == ran
    assert project.read("jobs/one/C/c.txt") == "olleh\nolleh\n"
    again = project.run()
    assert (again.status, again.ran) == (0, [])


def test_a_manifest_cut_at_every_byte(chain: Project) -> None:
    """Each prefix of a manifest is read as `never_run` with the reader's word; only the last newline may miss."""
    content = (chain.root / MANIFEST_B).read_bytes()
    build = Build(chain.root, Options())
    for length in range(len(content)):
        chain.write(MANIFEST_B, content[:length])
        found = build.freshness.reasons(build.tasks["B:one"])
        if length < len(content) - 1:
            assert [reason.kind for reason in found] == ["never_run"], length
            assert found[0].now
        else:
            assert found == ()
        assert find_manifest(chain.root / "jobs/one/B") is None or length == len(content) - 1


def test_every_bit_of_a_manifest_flipped(chain: Project) -> None:
    """Never an exception; and where it is still taken for fresh, every fact that decides is the true one."""
    content = (chain.root / MANIFEST_B).read_bytes()
    true = json.loads(content)
    build = Build(chain.root, Options())
    deciding = ("inputs", "outputs", "params", "code", "models")
    for index in range(len(content)):
        for bit in (0x01, 0x80):
            damaged = bytearray(content)
            damaged[index] ^= bit
            chain.write(MANIFEST_B, bytes(damaged))
            if not build.freshness.reasons(build.tasks["B:one"]):
                read = json.loads(bytes(damaged))
                assert {key: read.get(key) for key in deciding} == {key: true[key] for key in deciding}, index


@pytest.mark.parametrize("cut", [0, -2])
def test_a_cut_manifest_in_a_real_run(chain: Project, cut: int) -> None:
    """B runs, C is spared since the bytes are the same; B's output is made again and no edit is claimed."""
    content = (chain.root / MANIFEST_B).read_bytes()
    chain.write(MANIFEST_B, content[:cut])
    converges(chain, ran=["B:one"])
    assert not (chain.root / "jobs/one/B.edited").exists()


NO_MANIFESTS = {
    "empty": b"",
    "zeros": b"\x00" * 600,
    "binary": b"\xff\xfe\x00garbage",
    "a list": b"[]",
    "null": b"null",
    "a string": b'"text"',
    "an object": b"{}",
    "deep": b"[" * 200_000,
    "deep params": b'{"params": ' + b'{"a":' * 200_000,
    "infinite": b'{"timestamp": 1e999}',
    "no UTF-8": b'{"stage": "\xe1\x80"}',
}


def test_a_manifest_that_is_none(chain: Project) -> None:
    """Whatever is in the file, the stage is stale with `never_run`, and the reason says why."""
    for name, garbage in NO_MANIFESTS.items():
        chain.write(MANIFEST_B, garbage)
        found = reasons(chain)
        assert [reason.kind for reason in found] == ["never_run"], name
        assert "can't be read" in str(found[0]), name
    converges(chain, ran=["B:one"])


def test_a_manifest_with_garbage_in_any_of_its_values(chain: Project) -> None:
    """Each value replaced by values of other types and sizes: never an exception, whatever it decides."""
    true = json.loads(chain.read(MANIFEST_B))
    build = Build(chain.root, Options())
    values: list[Any] = [None, 0, -1, 10**400, 1.5, "", "x:y", "blake3:", [], [[]], {}, {"": ""}, {"x": {"y": "z"}}]
    for key in true:
        for value in values:
            chain.write(MANIFEST_B, json.dumps(true | {key: value}))
            build.freshness.reasons(build.tasks["B:one"])
            build.freshness.reasons(build.tasks["C:one"])
    deep = '"params": {"x": ' + "[" * 5000 + "]" * 5000 + ", "
    chain.write(MANIFEST_B, json.dumps(true).replace('"params": {', deep))
    assert reasons(chain)


def test_a_manifest_of_another_schema_version(chain: Project) -> None:
    """Older, newer or no version at all: stale, and the reason is the reader's word; the run writes the present one."""
    manifest = json.loads(chain.read(MANIFEST_B))
    for version in (0, 2, "1", 99):
        chain.write(MANIFEST_B, json.dumps(manifest | {"schema_version": version}))
        found = reasons(chain)
        assert [reason.kind for reason in found] == ["never_run"]
        assert "schema_version" in str(found[0])
    converges(chain, ran=["B:one"])


def test_a_manifest_with_an_unknown_field(chain: Project) -> None:
    """A field of a later mediabuild: not believed, made again."""
    manifest = json.loads(chain.read(MANIFEST_B))
    chain.write(MANIFEST_B, json.dumps(manifest | {"from_the_future": 1}))
    assert "from_the_future" in str(reasons(chain)[0])
    converges(chain, ran=["B:one"])


def test_a_valid_manifest_of_another_task(chain: Project) -> None:
    """A's manifest in B's place parses, and is stale in everything that differs."""
    shutil.copy(chain.root / "jobs/one/A/manifest.json", chain.root / MANIFEST_B)
    kinds = {reason.kind for reason in reasons(chain)}
    assert {"stage", "params", "inputs", "outputs"} <= kinds
    converges(chain, ran=["B:one"])


def test_a_valid_manifest_of_another_job(project: Project) -> None:
    """A job's stage copied over another's: its source is another, so it is stale."""
    project.write("pipeline.toml", CHAIN)
    project.write("media/one.txt", "hello\n")
    project.write("media/two.txt", "other\n")
    project.run()
    shutil.rmtree(project.root / "jobs/one")
    shutil.copytree(project.root / "jobs/two", project.root / "jobs/one")
    converges(project)


def test_a_valid_manifest_of_an_earlier_time(chain: Project) -> None:
    """An old manifest put back beside newer outputs is stale by its inputs and its outputs."""
    old = (chain.root / MANIFEST_B).read_bytes()
    chain.write("media/one.txt", "world\n")
    chain.run()
    chain.write(MANIFEST_B, old)
    assert [f"{r.kind}.{r.name}" for r in reasons(chain)] == ["inputs.text: A/a.txt", "outputs.b.txt"]
    assert chain.run().ran == ["B:one"]
    assert chain.read("jobs/one/C/c.txt") == "dlrow\ndlrow\n"


def test_a_manifest_whose_checksum_does_not_fit(chain: Project) -> None:
    """A digest changed by hand in `inputs` no longer adds up."""
    manifest = json.loads(chain.read(MANIFEST_B))
    manifest["inputs"]["text"]["A/a.txt"] = "blake3:" + "0" * 64
    chain.write(MANIFEST_B, json.dumps(manifest))
    assert "inputs_checksum" in str(reasons(chain)[0])
    assert chain.command("validate").status == 1


def test_a_manifest_that_points_outside(chain: Project) -> None:
    """Outputs that lead out of the directory are not believed; nothing out there is touched."""
    manifest = json.loads(chain.read(MANIFEST_B))
    for path in ("/etc/hostname", "x/../../a.txt", "../../../../media/one.txt"):
        manifest["outputs"]["text"] = {path: "blake3:" + "0" * 64}
        chain.write(MANIFEST_B, json.dumps(manifest))
        assert "leads outside" in str(reasons(chain)[0])
    assert chain.command("clean").status == 0
    assert chain.read("media/one.txt") == "hello\n"
    converges(chain)


def test_deleted_manifests(chain: Project) -> None:
    """One is gone: its stage runs. All are gone: all run. The job's own summary is of no consequence."""
    (chain.root / MANIFEST_B).unlink()
    (chain.root / "jobs/one/manifest.json").write_text("garbage")
    converges(chain, ran=["B:one"])
    for stage in "ABC":
        (chain.root / f"jobs/one/{stage}/manifest.json").unlink()
    converges(chain, ran=TASKS)


def test_a_manifest_that_is_a_directory_or_a_dangling_link(chain: Project) -> None:
    """No file in its place: stale, and put right by the run."""
    (chain.root / MANIFEST_B).unlink()
    (chain.root / MANIFEST_B).mkdir()
    converges(chain, ran=["B:one"])
    (chain.root / MANIFEST_B).unlink()
    (chain.root / MANIFEST_B).symlink_to("nowhere")
    converges(chain, ran=["B:one"])


def test_the_jobs_directory_is_deleted(chain: Project) -> None:
    """Everything runs again and is as it was."""
    shutil.rmtree(chain.root / "jobs")
    converges(chain, ran=TASKS)


CACHE = "jobs/.mediabuild/stats.cache"


def test_a_stat_cache_cut_at_every_byte(chain: Project) -> None:
    """Each prefix counts as empty, and so does each with one byte changed."""
    content = (chain.root / CACHE).read_bytes()
    cache = chain.root / CACHE
    assert Digests(chain.root, cache)._known
    for length in range(len(content)):
        cache.write_bytes(content[:length])
        assert not Digests(chain.root, cache)._known
        damaged = bytearray(content)
        damaged[length] ^= 0x10
        cache.write_bytes(damaged)
        assert not Digests(chain.root, cache)._known


def test_a_damaged_stat_cache_changes_nothing(chain: Project) -> None:
    """It is derived: without it files are hashed again, and nothing runs; it is there again afterwards."""
    cache = chain.root / CACHE
    for content in (None, b"", b"garbage" * 100):
        cache.unlink()
        (chain.root / INDEX).unlink(missing_ok=True)  # without it no task is looked at
        if content is not None:
            cache.write_bytes(content)
        again = chain.run()
        assert (again.status, again.ran) == (0, [])
        assert Digests(chain.root, cache)._known
    cache.unlink()
    cache.mkdir()
    assert chain.run().status == 0


def test_a_stat_cache_of_another_version(chain: Project) -> None:
    """Sealed and well-formed, but of another version and with other digests: not believed."""
    body = (chain.root / CACHE).read_bytes()[32:]
    version, known = msgspec.msgpack.decode(body)
    assert version == CACHE_VERSION
    lies = {name: (stats, dict.fromkeys(digests, "blake3:" + "0" * 64)) for name, (stats, digests) in known.items()}
    body = msgspec.msgpack.encode((CACHE_VERSION + 1, lies))
    chain.write(CACHE, blake3.blake3(body).digest() + body)
    assert chain.run().ran == []


def test_a_stat_cache_of_another_project(chain: Project, tmp_path: Path) -> None:
    """Copied over from a project with the same names: the stats differ, so it says nothing about these files."""
    other = Project(tmp_path / "other")
    other.write("pipeline.toml", CHAIN)
    other.write("media/one.txt", "other\n")
    other.run()
    shutil.copy(other.root / CACHE, chain.root / CACHE)
    assert chain.run().ran == []
    chain.write("media/one.txt", "other\n")
    assert chain.run().ran == TASKS


def test_garbage_in_a_lock(chain: Project) -> None:
    """A lock's text is never believed: a reused process id, another host, garbage; the run just works."""
    for number, content in enumerate((b"", b"\x00\xff" * 5000, b"1 localhost\n", b"99999999 elsewhere\n")):
        for stage in "ABC":
            chain.write(f"jobs/one/.mediabuild/locks/{stage}.lock", content)
        chain.write("media/one.txt", f"world {number}\n")
        run = chain.run("--no-wait")
        assert (run.status, run.ran) == (0, TASKS)


def test_everything_but_manifests_and_outputs_is_garbage(chain: Project) -> None:
    """Marks, locks, logs, the job's summary, the event log: overwritten with garbage; nothing runs, then all can."""
    for file in [*chain.root.glob("jobs/**/.mediabuild/**/*"), *chain.root.glob("jobs/one/*.*")]:
        if file.is_file():
            file.write_bytes(b"\xff\x00garbage")
    again = chain.run()
    assert (again.status, again.ran) == (0, [])
    chain.write("media/one.txt", "world\n")
    assert chain.run().ran == TASKS
    assert json.loads(chain.read("jobs/one/manifest.json"))["job"] == "one"


def test_the_state_directories_are_deleted(chain: Project) -> None:
    """`.mediabuild` gone, everywhere: nothing runs."""
    for folder in list(chain.root.glob("jobs/**/.mediabuild")):
        shutil.rmtree(folder)
    assert chain.run().ran == []


def test_leftovers_of_dead_runs_are_swept(chain: Project) -> None:
    """Temporary directories that a killed run left go with the next run, whatever it runs."""
    for name in ("A.dead1234", "A.dead5678", "B.deadbeef"):
        chain.write(f"jobs/one/.mediabuild/tmp/{name}/half.txt", "half")
    assert chain.run().ran == []
    assert list((chain.root / "jobs/one/.mediabuild/tmp").iterdir()) == []


def test_delivery_records_that_are_garbage(project: Project) -> None:
    """What was delivered is known by content too: garbage in the record loses no file and runs no stage."""
    project.write("pipeline.toml", CHAIN + 'deliver = "out/{job}"\n')
    project.write("media/one.txt", "hello\n")
    project.run()
    project.write("jobs/one/.mediabuild/delivered/C.json", "garbage")
    assert project.run().ran == []
    project.write("media/one.txt", "world\n")
    assert project.run().status == 0
    assert project.read("out/one.txt") == "dlrow\ndlrow\n"


NO_STATES = {
    "empty": b"",
    "garbage": b"garbage",
    "binary": b"\xff\xfe\x00",
    "a list": b"[]",
    "null": b"null",
    "a number": b'{"mine": 5}',
    "other shapes": b'{"mine": null, "A:one": [], "B": "x"}',
    "a wrong record": b'{"mine": {"deps:": 1, "checker:": "gone", "media/one.txt": "wrong"}}',
    "wrong values": b'{"mine": {"_values_:": "x", "result:": 1, "ignore:": 0}}',
    "deep": b"[" * 100_000,
}


def test_doits_own_state_file_is_garbage(chain: Project) -> None:
    """`.doit.json` damaged: the user's own task runs again if need be, the pipeline's don't, and nothing crashes."""
    chain.write("dodo.py", DODO)
    for name, content in NO_STATES.items():
        chain.write(".doit.json", content)
        (chain.root / "mine.txt").unlink(missing_ok=True)
        again = chain.run()
        assert (again.status, again.ran) == (0, []), name
        assert "Traceback" not in again.err, name
        assert chain.read("mine.txt") == "hello\n", name
    state = chain.root / ".doit.json"
    state.unlink()
    os.mkfifo(state)
    assert (chain.command("dumpdb").status, chain.run().status) == (3, 0)
    state.unlink(missing_ok=True)
    state.touch()
    os.truncate(state, 1 << 40)
    assert chain.command("list", "-s").status == 0
    assert "too large to be read whole" in chain.command("dumpdb").err


def test_doits_own_state_file_in_the_queries(chain: Project) -> None:
    """`list -s`, `info`, `forget`, `ignore` and `dumpdb` stand garbage in `.doit.json`."""
    chain.write("dodo.py", DODO)
    for command in (["list", "-s"], ["info", "mine"], ["ignore", "mine"], ["forget", "mine"], ["dumpdb"]):
        chain.write(".doit.json", '{"mine": 5}')
        done = chain.command(*command)
        assert "Traceback" not in done.err, command
        assert done.status == 0 or command[0] == "info"  # 1 says that it would run
    chain.write(".doit.json", "[]")
    dump = chain.command("dumpdb")
    assert (dump.status, "rm .doit.json" in dump.err) == (3, True)
