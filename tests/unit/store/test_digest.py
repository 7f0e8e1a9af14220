"""Digests, and the stat cache in front of them: whatever happens to a file, the digest is that of its bytes."""

from __future__ import annotations

import mmap
import os
import shutil
import socket
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mediabuild.machine.files import PART_AGE_S, write_atomically
from mediabuild.machine.hashing import hash_bytes, hash_file
from mediabuild.machine.listing import files_below
from mediabuild.store.digest import Digests
from mediabuild.store.stats import MOUNTS, NO_CTIME, PASSED_ON, fine_device, kinds_of, stats_of

watches: list[list[str]] = []


def watch_opening(event: str, arguments: tuple[Any, ...]) -> None:
    """Note which files this process opens, for whoever watches."""
    if event == "open" and not isinstance(arguments[0], int):
        for watch in watches:
            watch.append(os.fspath(arguments[0]))


sys.addaudithook(watch_opening)


@contextmanager
def opened() -> Iterator[list[str]]:
    """The files that are opened meanwhile: a digest from the cache opens none."""
    watches.append([])
    try:
        yield watches[-1]
    finally:
        watches.pop()


def settled(path: Path, content: bytes = b"hello") -> Path:
    """A file that has been still for long enough to be remembered."""
    path.write_bytes(content)
    Digests(path.parent).settle([path])
    return path


CONTENT = st.sampled_from([b"", b"a", b"b", b"ab", b"ba", b"abc" * 1000])
CHANGES = st.tuples(
    st.sampled_from(["write", "hidden", "past", "future", "replace", "link", "append", "mode"]), CONTENT
)


def change(file: Path, how: str, content: bytes) -> None:
    """One way in which files change, the treacherous ones among them."""
    times = file.stat()
    if how == "replace":
        other = file.with_name("other")
        other.write_bytes(content)
        os.utime(other, ns=(times.st_atime_ns, times.st_mtime_ns))
        other.replace(file)
    elif how == "link":
        file.with_name("linked").unlink(missing_ok=True)
        os.link(file, file.with_name("linked"))
        file.with_name("linked").write_bytes(content)
    elif how == "append":
        with file.open("ab") as end:
            end.write(content)
    elif how == "mode":
        file.chmod(0o600 if times.st_mode & 0o077 else 0o644)
    else:
        file.write_bytes(bytes(byte ^ 1 for byte in file.read_bytes()) if how == "hidden" else content)
    if how in ("hidden", "past", "future"):
        shift = {"hidden": 0, "past": -(10**18), "future": 10**18}[how]
        os.utime(file, ns=(times.st_atime_ns, max(0, times.st_mtime_ns + shift)))


@settings(max_examples=60, deadline=None, derandomize=True, database=None)
@given(st.lists(st.tuples(CHANGES, st.booleans(), st.booleans()), min_size=1, max_size=8))
def test_the_digest_is_that_of_the_bytes(history: list[tuple[tuple[str, bytes], bool, bool]]) -> None:
    """After any changes, at any speed, with the cache saved and loaded in between: never a stale digest."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        file, cache = root / "file", root / "stats.cache"
        file.write_bytes(b"start")
        digests = Digests(root, cache)
        for (how, content), wait, reload in history:
            assert digests.file(file) == hash_file(file, "blake3")
            change(file, how, content)
            if wait:
                digests.settle([file])
            assert digests.file(file) == hash_file(file, "blake3")
            if reload:
                digests.save()
                digests = Digests(root, cache)
        assert digests.file(file, "sha256") == hash_file(file, "sha256")


def test_edits_within_one_tick_are_seen(tmp_path: Path) -> None:
    """Hundreds of edits of the same size as fast as they go, the mtime put back each time."""
    file, digests = tmp_path / "file", Digests(tmp_path)
    file.write_bytes(b"0000")
    times = file.stat()
    for number in range(300):
        file.write_bytes(b"%04d" % number)
        os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))
        assert digests.file(file) == hash_bytes(b"%04d" % number, "blake3")


def test_a_still_file_is_hashed_once(tmp_path: Path) -> None:
    """What has settled is remembered, across processes too; what was just written only where times are fine."""
    file, cache = settled(tmp_path / "file"), tmp_path / "stats.cache"
    digests = Digests(tmp_path, cache)
    with opened() as files:
        first = digests.file(file)
        assert files == [str(file)]
        assert digests.file(file) == first
    assert files == [str(file)]
    digests.save()
    with opened() as files:
        assert Digests(tmp_path, cache).file(file) == first
    assert str(file) not in files
    file.write_bytes(b"other")
    with opened() as files:
        digests.file(file)
        digests.file(file)
    assert files.count(str(file)) == (2 if fine_device(tmp_path) is None else 1)


def test_a_moved_project_keeps_its_cache(tmp_path: Path) -> None:
    """Names in the cache are relative, and renaming a directory changes no file's stats."""
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    file = settled(here / "file")
    digests = Digests(here, here / "stats.cache")
    digest = digests.file(file)
    digests.save()
    here.rename(there)
    with opened() as files:
        assert Digests(there, there / "stats.cache").file(there / "file") == digest
    assert str(there / "file") not in files


def test_adopted_records_follow_their_files(tmp_path: Path) -> None:
    """After two directories are exchanged each file is known under its new name, and correctly."""
    for name in ("new", "old"):
        (tmp_path / name).mkdir()
        settled(tmp_path / name / "file", name.encode())
    new, old = tmp_path / "new/file", tmp_path / "old/file"
    digests = Digests(tmp_path)
    before = digests.file(new), digests.file(old)
    (tmp_path / "new").rename(tmp_path / "between")
    (tmp_path / "old").rename(tmp_path / "new")
    (tmp_path / "between").rename(tmp_path / "old")
    digests.adopt([(new, old), (old, new)])
    with opened() as files:
        assert (digests.file(old), digests.file(new)) == before
    assert files == []


def test_a_damaged_cache_counts_as_empty(tmp_path: Path) -> None:
    """Cut off or changed at any byte, garbage, another version: no crash, and the right digest."""
    file, cache = settled(tmp_path / "file"), tmp_path / "stats.cache"
    digests = Digests(tmp_path, cache)
    right = digests.file(file)
    digests.save()
    whole = cache.read_bytes()
    damaged = [whole[:length] for length in range(len(whole))]
    damaged += [whole[:i] + bytes([whole[i] ^ 0x55]) + whole[i + 1 :] for i in range(len(whole))]
    for content in [*damaged, b"garbage" * 100, whole + b"\0"]:
        cache.write_bytes(content)
        again = Digests(tmp_path, cache)
        with opened() as files:
            assert again.file(file) == right
        assert files == [str(file)], "a damaged cache was believed"


def test_a_wrong_but_sealed_record_is_caught_by_stats(tmp_path: Path) -> None:
    """A cache from before the file changed has other stats, so it is not used."""
    file, cache = settled(tmp_path / "file"), tmp_path / "stats.cache"
    digests = Digests(tmp_path, cache)
    digests.file(file)
    digests.save()
    old = cache.read_bytes()
    settled(file, b"other")
    cache.write_bytes(old)
    assert Digests(tmp_path, cache).file(file) == hash_bytes(b"other", "blake3")


def test_a_cache_that_cannot_be_written_is_no_failure(tmp_path: Path) -> None:
    """Saving where nothing can be written changes nothing and raises nothing."""
    file = settled(tmp_path / "file")
    digests = Digests(tmp_path, file / "stats.cache")  # below a file: no directory can be made
    digests.file(file)
    digests.save()
    assert file.read_bytes() == b"hello"


def test_what_is_no_regular_file_is_refused(tmp_path: Path) -> None:
    """A pipe, a socket and a device raise at once instead of hanging or never ending; so does a directory."""
    os.mkfifo(tmp_path / "pipe")
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(str(tmp_path / "socket"))
    for path in (tmp_path / "pipe", tmp_path / "socket", Path("/dev/zero"), tmp_path, tmp_path / "missing"):
        with pytest.raises(OSError):
            Digests(tmp_path).file(path)
    listening.close()


def test_files_of_a_directory_are_labelled_by_their_place(tmp_path: Path) -> None:
    """Every file below counts under its relative name; an empty directory is content too; order is by name."""
    for name, content in {"b": "1", "a/x": "2", "a/y z": "3", "ü\n": "4"}.items():
        (tmp_path / "tree" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "tree" / name).write_text(content)
    (tmp_path / "tree/empty").mkdir()
    found = Digests(tmp_path).tree(tmp_path / "tree", "label")
    assert list(found) == ["label/a/x", "label/a/y z", "label/b", "label/empty/", "label/ü\n"]
    assert found["label/b"] == hash_bytes(b"1", "blake3")
    assert Digests(tmp_path).tree(tmp_path / "tree/empty", "none") == {"none/": hash_bytes(b"", "blake3")}
    assert Digests(tmp_path).tree(tmp_path / "tree/b", "one") == {"one": hash_bytes(b"1", "blake3")}


def test_links_are_followed_and_loops_cut(tmp_path: Path) -> None:
    """A linked directory counts like a copy, wherever the link points; a link to a parent ends."""
    for name in ("p", "q"):
        (tmp_path / "tree" / name).mkdir(parents=True)
        (tmp_path / "tree" / name / "file").write_text(name)
    (tmp_path / "tree/p/loop").symlink_to("..")
    link = tmp_path / "tree/z"
    link.symlink_to("p")
    before = Digests(tmp_path).tree(tmp_path / "tree", "t")
    assert before["t/z/file"] == before["t/p/file"]
    link.unlink()
    link.symlink_to("q")
    after = Digests(tmp_path).tree(tmp_path / "tree", "t")
    assert after["t/z/file"] == after["t/q/file"] != before["t/z/file"]


def test_files_below_tells_an_empty_directory_from_none(tmp_path: Path) -> None:
    """The empty directory has a name that ends in a slash."""
    (tmp_path / "tree/empty").mkdir(parents=True)
    assert [name for name, _ in files_below(tmp_path / "tree")] == ["empty/"]


def test_threads_agree(tmp_path: Path) -> None:
    """Many threads asking for many files get the digests of their bytes."""
    files = [tmp_path / str(number) for number in range(50)]
    for number, file in enumerate(files):
        file.write_bytes(b"%d" % number)
    digests = Digests(tmp_path, tmp_path / "stats.cache")
    digests.settle(files)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(digests.file, files * 20))
    assert found == [hash_bytes(b"%d" % number, "blake3") for number in range(50)] * 20


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    """A failure leaves the old content and no temporary file; success leaves the new, readable by all."""
    file = tmp_path / "file"
    write_atomically(file, b"old")
    assert file.stat().st_mode & 0o777 == 0o644
    (tmp_path / "folder/inside").mkdir(parents=True)
    with pytest.raises(OSError):
        write_atomically(tmp_path / "folder", b"new")  # a directory is in the way
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder"]
    write_atomically(file, b"new")
    assert file.read_bytes() == b"new"


def test_parts_of_dead_writers_go_after_an_hour(tmp_path: Path) -> None:
    """What a killed writer left is removed by the next one, once nobody can be writing it any more."""
    old, young, other = (
        tmp_path / name for name in (".file.00000001.part", ".file.00000002.part", ".else.00000003.part")
    )
    for part in (old, young, other):
        part.write_bytes(b"part")
    long_ago = time.time() - PART_AGE_S - 1
    os.utime(old, (long_ago, long_ago))
    os.utime(other, (long_ago, long_ago))
    write_atomically(tmp_path / "file", b"new")
    assert [part.exists() for part in (old, young, other)] == [False, True, True]


def test_a_copied_file_is_hashed_anew(tmp_path: Path) -> None:
    """A copy with the original's mtime has another inode: it is not taken for the original."""
    file, digests = settled(tmp_path / "file"), Digests(tmp_path)
    digests.file(file)
    shutil.copy2(file, tmp_path / "copy")
    file.unlink()
    (tmp_path / "copy").write_bytes(b"HELLO")
    (tmp_path / "copy").rename(file)
    assert digests.file(file) == hash_bytes(b"HELLO", "blake3")


def test_warming_reads_each_unknown_file_once(tmp_path: Path) -> None:
    """What is remembered or missing isn't opened; afterwards nothing is opened at all."""
    files = [settled(tmp_path / f"{number}", bytes([number]) * 2_000_000) for number in range(6)]
    digests = Digests(tmp_path)
    digests.file(files[0])
    with opened() as seen:
        digests.warm([*files, tmp_path / "missing"])
    assert sorted(path for path in seen if Path(path).parent == tmp_path) == [str(file) for file in files[1:]]
    with opened() as seen:
        found = [digests.file(file) for file in files]
    assert seen == []
    assert found == [hash_file(file, "blake3") for file in files]


def test_forgetting_reads_again(tmp_path: Path) -> None:
    """What is remembered counts while the stats are the same, whatever the file holds; `check --read` forgets it."""
    file = tmp_path / "a"
    file.write_bytes(b"hello")
    digests = Digests(tmp_path, tmp_path / "cache")
    digests._known[digests._key(file)] = (stats_of(file), {"blake3": "blake3:" + "0" * 64})
    assert digests.file(file) == "blake3:" + "0" * 64
    digests.forget()
    assert digests.file(file) == hash_file(file, "blake3")


def test_a_write_through_memory_is_seen(tmp_path: Path) -> None:
    """A program keeps a file mapped and writes to one page before the digest is taken, and after."""
    if not os.path.isdir("/proc") or kind_of(tmp_path) in ("tmpfs", "overlay", ""):
        pytest.skip("on this file system such a write leaves no trace")
    file = settled(tmp_path / "f", b"a" * mmap.PAGESIZE)
    with open(file, "r+b") as opened_file, mmap.mmap(opened_file.fileno(), 0) as mapped:
        mapped[0:1] = b"b"
        digests = Digests(tmp_path, tmp_path / "cache")
        digests.settle([file], looked_at=False)
        for letter in (b"c", b"d"):
            digests.file(file)
            mapped[1:2] = letter
            assert digests.file(file) == hash_file(file, "blake3")


def kind_of(folder: Path) -> str:
    """The kind of a folder's file system; empty where it isn't known."""
    return kinds_of(Path(MOUNTS).read_text()).get(folder.stat().st_dev, "")


MOUNTED = """\
25 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
30 25 8:17 / /media/stick rw,nosuid - exfat /dev/sdb1 rw
31 25 8:33 / /media/with\\040space rw,nosuid - fuseblk /dev/sdc1 rw
32 25 0:50 / /merged rw - fuse.mergerfs a:b rw
33 25 0:51 / /far rw - fuse.sshfs me@far: rw
garbage
"""


def test_kinds_of_file_systems() -> None:
    """As Linux lists what is mounted; damaged lines are left out."""
    kinds = kinds_of(MOUNTED)
    assert kinds == {
        os.makedev(8, 1): "ext4",
        os.makedev(8, 17): "exfat",
        os.makedev(8, 33): "fuseblk",
        os.makedev(0, 50): "fuse.mergerfs",
        os.makedev(0, 51): "fuse.sshfs",
    }
    untrusted = [kind for kind in kinds.values() if NO_CTIME.fullmatch(kind) and not PASSED_ON.fullmatch(kind)]
    assert untrusted == ["exfat", "fuseblk", "fuse.sshfs"]
