"""Putting a directory in the place of another: one step or two, completed or undone, and nobody's words lost."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

import pytest

from mediabuild.errors import StageError
from mediabuild.machine.hashing import hash_bytes
from mediabuild.pipeline.reserved import MANIFEST_NAME
from mediabuild.store.digest import Digests
from mediabuild.store.manifest import Manifest, write_manifest
from mediabuild.store.publish import check_inside, deliver, exchange, keep_edits, part_of, publish, recover


def manifest_of(outputs: dict[str, bytes]) -> Manifest:
    """A manifest that vouches for these contents."""
    return Manifest(
        stage="A",
        task="A:one",
        inputs={},
        inputs_checksum="sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        params={},
        runner_version="0",
        outputs={"all": {path: hash_bytes(content, "blake3") for path, content in outputs.items()}},
        timestamp=1.0,
        last_checked_ts=1.0,
        device="cpu",
        code={},
    )


def finished(folder: Path, outputs: dict[str, bytes]) -> Path:
    """A stage's directory with outputs and the manifest that vouches for them."""
    for path, content in outputs.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    folder.mkdir(parents=True, exist_ok=True)
    write_manifest(folder, manifest_of(outputs))
    return folder


def content(folder: Path) -> dict[str, bytes]:
    """Every file below, manifests left out."""
    files = [path for path in folder.rglob("*") if path.is_file() and path.name != MANIFEST_NAME]
    return {str(file.relative_to(folder)): file.read_bytes() for file in files}


@pytest.fixture(params=["exchange", "two renames"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """How directories are exchanged: as this file system can, and as one that can't."""
    if request.param == "two renames":
        monkeypatch.setenv("MEDIABUILD_NO_EXCHANGE", "1")
    return str(request.param)


def test_two_directories_are_exchanged(tmp_path: Path) -> None:
    """In one step, each under the other's name."""
    one, other = finished(tmp_path / "one", {"f": b"1"}), finished(tmp_path / "other", {"f": b"2"})
    if not exchange(one, other):
        pytest.skip("this file system can't exchange")
    assert (content(one), content(other)) == ({"f": b"2"}, {"f": b"1"})


def test_an_exchange_that_fails_says_why(tmp_path: Path) -> None:
    """A missing directory is an error and no reason to take the two-step way."""
    finished(tmp_path / "one", {})
    with pytest.raises(OSError) as caught:
        if not exchange(tmp_path / "one", tmp_path / "missing"):
            pytest.skip("this file system can't exchange")
    assert caught.value.errno == errno.ENOENT


def test_the_first_publication_is_a_rename(tmp_path: Path, way: str) -> None:
    """Where nothing was, there is no earlier directory; folders above are made."""
    new = finished(tmp_path / "new", {"f": b"1"})
    assert publish(new, tmp_path / "jobs/one/A", tmp_path / "swap/A") is None
    assert content(tmp_path / "jobs/one/A") == {"f": b"1"}
    assert not new.exists()


def test_a_later_publication_gives_the_earlier_directory(tmp_path: Path, way: str) -> None:
    """The new one is in place, the earlier one is handed over whole."""
    current = finished(tmp_path / "A", {"f": b"old", "g": b"gone"})
    earlier = publish(finished(tmp_path / "new", {"f": b"new"}), current, tmp_path / "swap/A")
    assert content(current) == {"f": b"new"}
    assert earlier is not None
    assert content(earlier) == {"f": b"old", "g": b"gone"}


def test_a_link_in_the_place_of_a_directory_is_refused(tmp_path: Path, way: str) -> None:
    """What it points at stays as it is."""
    elsewhere = finished(tmp_path / "elsewhere", {"f": b"theirs"})
    (tmp_path / "A").symlink_to(elsewhere)
    with pytest.raises(StageError, match="is a link"):
        publish(finished(tmp_path / "new", {"f": b"new"}), tmp_path / "A", tmp_path / "swap/A")
    assert content(elsewhere) == {"f": b"theirs"}


@pytest.mark.parametrize(
    ("there", "becomes"),
    [
        ({"A": b"old", "A.new": b"new"}, b"old"),  # cut short before anything was exchanged
        ({"A.new": b"new", "A.old": b"old"}, b"new"),  # between the two renames
        ({"A": b"new", "A.old": b"old"}, b"new"),  # before the earlier one was deleted
        ({"A.old": b"old"}, b"old"),  # the new one is gone: undone
        ({"A": b"old"}, b"old"),
        ({}, None),
    ],
)
def test_recovery_completes_or_undoes(tmp_path: Path, there: dict[str, bytes], becomes: bytes | None) -> None:
    """Every half-way state of a two-step publication ends in one whole directory and nothing beside it."""
    places = {"A": tmp_path / "A", "A.new": tmp_path / "swap/A.new", "A.old": tmp_path / "swap/A.old"}
    (tmp_path / "swap").mkdir()
    for name, words in there.items():
        finished(places[name], {"f": words})
    for _ in range(2):  # a second time changes nothing
        recover(tmp_path / "A", tmp_path / "swap/A")
        assert list((tmp_path / "swap").iterdir()) == []
        assert (content(tmp_path / "A") if becomes else None) == ({"f": becomes} if becomes else None)
        assert (tmp_path / "A").exists() == bool(becomes)


def test_recovery_never_takes_a_half_copied_directory(tmp_path: Path) -> None:
    """A new directory without its manifest isn't complete: the earlier one comes back."""
    finished(tmp_path / "swap/A.old", {"f": b"old"})
    (tmp_path / "swap/A.new").mkdir()
    (tmp_path / "swap/A.new/f").write_bytes(b"ne")
    recover(tmp_path / "A", tmp_path / "swap/A")
    assert content(tmp_path / "A") == {"f": b"old"}


def test_recovery_after_a_copy_aside(tmp_path: Path) -> None:
    """Where it had to be copied, the earlier directory may be half removed, its manifest first; a person's may not."""
    finished(tmp_path / "swap/A.old", {"f": b"old", "d/g": b"old"})
    finished(tmp_path / "swap/A.new", {"f": b"new"})
    (tmp_path / "A/d").mkdir(parents=True)
    (tmp_path / "A/d/g").write_bytes(b"old")
    assert recover(tmp_path / "A", tmp_path / "swap/A")
    assert content(tmp_path / "A") == {"f": b"new"}
    finished(tmp_path / "swap/B.old", {"f": b"old"})
    (tmp_path / "B").mkdir()
    (tmp_path / "B/note").write_bytes(b"a person's")
    assert not recover(tmp_path / "B", tmp_path / "swap/B")
    assert (tmp_path / "B/note").read_bytes() == b"a person's"


def test_edits_and_strays_are_kept(tmp_path: Path) -> None:
    """What no manifest vouches for moves beside the directory, under its own name; what is vouched for stays."""
    current = finished(tmp_path / "A", {"same": b"1", "edited.txt": b"2", "parts/p": b"3"})
    (current / "edited.txt").write_bytes(b"mine")
    (current / "parts/stray").write_bytes(b"too")
    kept = keep_edits(current, {}, tmp_path / "A.edited", Digests(tmp_path))
    assert kept == {
        tmp_path / "A.edited/edited.txt": current / "edited.txt",
        tmp_path / "A.edited/parts/stray": current / "parts/stray",
    }
    assert content(tmp_path / "A.edited") == {"edited.txt": b"mine", "parts/stray": b"too"}
    assert content(current) == {"same": b"1", "parts/p": b"3"}


def test_kept_edits_never_overwrite_each_other(tmp_path: Path) -> None:
    """A second edit of the same file gets a number."""
    for words in (b"first", b"second", b"third"):
        current = finished(tmp_path / "A", {"out.txt": b"made"})
        (current / "out.txt").write_bytes(words)
        keep_edits(current, {}, tmp_path / "A.edited", Digests(tmp_path))
        shutil.rmtree(current)
    assert content(tmp_path / "A.edited") == {"out.txt": b"first", "out.2.txt": b"second", "out.3.txt": b"third"}


def test_what_the_new_outputs_hold_is_no_loss(tmp_path: Path) -> None:
    """An edit that is what the stage writes now isn't kept twice."""
    current = finished(tmp_path / "A", {"out.txt": b"made"})
    (current / "out.txt").write_bytes(b"right")
    right = {"out.txt": hash_bytes(b"right", "blake3")}
    assert keep_edits(current, right, tmp_path / "A.edited", Digests(tmp_path)) == {}


def test_without_a_readable_manifest_everything_is_kept(tmp_path: Path) -> None:
    """The manifest is damaged, so nobody vouches for the outputs; the damaged manifest is no one's writing."""
    current = finished(tmp_path / "A", {"out.txt": b"made"})
    (current / MANIFEST_NAME).write_text("{")
    assert list(keep_edits(current, {}, tmp_path / "A.edited", Digests(tmp_path))) == [tmp_path / "A.edited/out.txt"]


def test_a_matrix_below_vouches_for_its_own(tmp_path: Path) -> None:
    """When a matrix went, the values' directories are outputs of theirs, not a person's files."""
    finished(tmp_path / "A/x", {"out.txt": b"x"})
    finished(tmp_path / "A/y", {"out.txt": b"y"})
    (tmp_path / "A/y/out.txt").write_bytes(b"mine")
    kept = keep_edits(tmp_path / "A", {}, tmp_path / "A.edited", Digests(tmp_path))
    assert kept == {tmp_path / "A.edited/y/out.txt": tmp_path / "A/y/out.txt"}


@pytest.mark.parametrize("target", ["/etc/hostname", "../beside", "..", "../A.twin/f"])
@pytest.mark.parametrize("place", ["link", "parts/link"])
def test_a_link_that_leads_outside_is_refused(tmp_path: Path, target: str, place: str) -> None:
    """Absolute, relative, a directory whose name begins the same: promise 9."""
    finished(tmp_path / "A.twin", {"f": b"1"})
    (tmp_path / "beside").write_bytes(b"secret")
    folder = finished(tmp_path / "A", {"f": b"1", "parts/p": b"2"})
    up = target if target.startswith("/") else "../" * place.count("/") + target
    (folder / place).symlink_to(up)
    with pytest.raises(StageError, match=f"output {place}: is a link that leads outside"):
        check_inside(folder)


def test_links_inside_are_fine(tmp_path: Path) -> None:
    """To a file and to a directory of the same outputs."""
    folder = finished(tmp_path / "A", {"f": b"1", "parts/p": b"2"})
    (folder / "g").symlink_to("f")
    (folder / "parts/up").symlink_to("../f")
    (folder / "again").symlink_to("parts")
    check_inside(folder)


def test_a_pipe_is_no_output(tmp_path: Path) -> None:
    """What is no regular file is refused by name."""
    folder = finished(tmp_path / "A", {"f": b"1"})
    os.mkfifo(folder / "pipe")
    with pytest.raises(StageError, match="output pipe: is no regular file"):
        check_inside(folder)


def test_a_copy_is_delivered_whole_or_not_at_all(tmp_path: Path) -> None:
    """A failure leaves the earlier copy and nothing beside it; what a killed run left is swept."""
    (tmp_path / "source").write_bytes(b"new")
    target = tmp_path / "out/one.txt"
    target.parent.mkdir()
    target.write_bytes(b"old")
    (tmp_path / "out/.one.txt.draft.part").write_bytes(b"a person's")
    part_of(target).write_bytes(b"ne")
    with pytest.raises(OSError):
        deliver(tmp_path / "missing", target, executable=False, mtime_ns=5_000_000_000)
    assert content(tmp_path / "out") == {"one.txt": b"old", ".one.txt.draft.part": b"a person's"}
    deliver(tmp_path / "source", target, executable=False, mtime_ns=5_000_000_000)
    assert content(tmp_path / "out") == {"one.txt": b"new", ".one.txt.draft.part": b"a person's"}
    assert target.stat().st_mtime == 5
    deliver(tmp_path / "source", tmp_path / "out/new folder/two.txt", executable=True, mtime_ns=0)
    assert (tmp_path / "out/new folder/two.txt").read_bytes() == b"new"
