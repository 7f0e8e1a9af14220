"""What files hold decides, whatever their times, modes and links say, and by which checksum they are compared."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from tests.e2e.conftest import CHAIN, Project
from tests.e2e.test_inputs import settled


def test_mtimes_in_the_future_and_in_1970(chain: Project) -> None:
    """A clock that was wrong when a file was written: nothing runs for it, and an edit under it is seen."""
    files = ["media/one.txt", "jobs/one/A/a.txt", "jobs/one/B/b.txt"]
    for moment_s in (time.time() + 10 * 365 * 86_400, 0):
        for file in files:
            os.utime(chain.root / file, (moment_s, moment_s))
        assert settled(chain)
        chain.write("media/one.txt", f"{moment_s}\n")
        os.utime(chain.root / "media/one.txt", (moment_s, moment_s))
        assert chain.run().ran == ["A:one", "B:one", "C:one"]


@pytest.mark.parametrize("offset_s", [-10 * 86_400, 10 * 86_400])
def test_manifests_from_another_clock(chain: Project, offset_s: int) -> None:
    """Manifests written when the clock was days ahead or behind are as good as any; no time decides."""
    for stage in "ABC":
        file = chain.root / f"jobs/one/{stage}/manifest.json"
        manifest = json.loads(file.read_text())
        manifest["timestamp"] += offset_s
        manifest["last_checked_ts"] += offset_s
        file.write_text(json.dumps(manifest))
    assert settled(chain)
    chain.write("media/one.txt", "world\n")
    assert chain.run().ran == ["A:one", "B:one", "C:one"]


def test_edits_within_the_clocks_granularity(chain: Project) -> None:
    """Two writes of one size in one tick, a run between two others: each run sees the last one, every time."""
    source = chain.root / "media/one.txt"
    for number in range(6):
        source.write_text(f"x{number:04}\n")
        source.write_text(f"y{number:04}\n")
        assert chain.run("A:one").status == 0
        assert chain.read("jobs/one/A/a.txt") == f"y{number:04}\n"
    chain.run()
    output = chain.root / "jobs/one/A/a.txt"
    for number in range(3):
        output.write_text(f"z{number:04}\n")  # right after the run that recorded it
        assert chain.run("A:one").ran == ["A:one"]


def test_a_racy_edit_is_never_taken_for_clean(tmp_path: Path) -> None:
    """In one process: write, digest, write the same size again at once; the digest is always the present one's."""
    from mediabuild.machine.hashing import hash_bytes
    from mediabuild.store.digest import Digests

    digests = Digests(tmp_path)
    file = tmp_path / "racy"
    for number in range(500):
        content = f"{number:06}".encode()
        file.write_bytes(content)
        assert digests.file(file) == hash_bytes(content, "blake3")


def test_chmod_and_hard_links_hash_again_and_run_nothing(chain: Project) -> None:
    """A new ctime means look again, not run again: for the source and for every output."""
    for number, file in enumerate(["media/one.txt", "jobs/one/A/a.txt", "jobs/one/B/b.txt", "jobs/one/C/c.txt"]):
        (chain.root / file).chmod(0o600)
        os.link(chain.root / file, chain.root / f"link{number}")
    assert settled(chain)
    (chain.root / "link1").write_text("mine\n")  # writes through the hard link
    assert chain.run().ran == ["A:one"]


def test_hard_linked_outputs_do_not_share_their_fate(chain: Project) -> None:
    """A backup made of hard links keeps its bytes when a stage runs again: outputs are new files."""
    os.link(chain.root / "jobs/one/C/c.txt", chain.root / "backup.txt")
    chain.write("media/one.txt", "world\n")
    chain.run()
    assert chain.read("backup.txt") == "olleh\nolleh\n"


def test_another_checksum_runs_nothing(chain: Project) -> None:
    """`checksum = "sha256"` re-hashes and re-runs nothing; from then on changes are seen as before; and back."""
    chain.write("pipeline.toml", CHAIN.replace("[pipeline]", '[pipeline]\nchecksum = "sha256"'))
    assert settled(chain)
    for stage in "ABC":
        text = chain.read(f"jobs/one/{stage}/manifest.json")
        assert "blake3:" not in text
        assert "sha256:" in text
    assert chain.command("validate").status == 0
    chain.write("media/one.txt", "world\n")
    assert chain.run().ran == ["A:one", "B:one", "C:one"]
    chain.write("pipeline.toml", CHAIN)
    assert settled(chain)
    assert "blake3:" in chain.read("jobs/one/B/manifest.json")
    chain.write("jobs/one/B/b.txt", "mine\n")
    assert chain.run().ran == ["B:one"]


def test_a_record_has_digests_by_one_algorithm(project: Project) -> None:
    """Also where the checksum and one of its inputs changed at once, so that it ran: the others follow."""
    text = """
    [pipeline]
    sources = ["media/*.txt"]
    checksum = "blake3"
    [stages.both]
    command = ["sh", "-c", 'cat "$@" > "$0"', "{outputs.text}", "{inputs.extra}", "{inputs.media}"]
    inputs = { extra = "?./words/*", media = "source" }
    outputs = { text = "both.txt" }
    """
    project.write("media/one.txt", "one")
    project.write("pipeline.toml", text)
    assert project.run().status == 0
    project.write("words/one", "a word")
    project.write("pipeline.toml", text.replace("blake3", "sha256"))
    assert project.run().ran == ["both:one"]
    assert "blake3:" not in project.read("jobs/one/both/manifest.json")
    assert project.run().ran == []


def test_an_edit_is_seen_across_a_change_of_checksum(chain: Project) -> None:
    """The switch launders nothing: what was edited before it is stale after it."""
    chain.write("jobs/one/B/b.txt", "mine\n")
    chain.write("pipeline.toml", CHAIN.replace("[pipeline]", '[pipeline]\nchecksum = "sha256"'))
    assert chain.run().ran == ["B:one"]
    assert chain.read("jobs/one/C/c.txt") == "olleh\nolleh\n"
