"""What happens to what the program wrote: outputs, copies, manifests, and all that is derived.

Not here: edits of what people give (`edits`), runs (`history`).
"""

from __future__ import annotations

import os
import shutil

from hypothesis import strategies as st
from hypothesis.stateful import rule

from tests.e2e.edits import INDEX, Edits

GARBAGE = st.sampled_from([b"", b"\x00\xff garbage", b"{}", b"[1]\n", b'{"event":'])
TAMPERING = ["edit", "hidden", "truncate", "delete", "stray", "folder", "touch", "mode", "link", "file"]


class Tampering(Edits):
    """The rules that damage."""

    @rule(index=INDEX, way=st.sampled_from(TAMPERING))
    def tamper(self, index: int, way: str) -> None:
        """An output is edited, cut off, deleted, or gets company."""
        folder = self.world.directory(self.point(index))
        files = sorted(f for f in folder.rglob("*") if f.is_file() and f.name != "manifest.json")
        if not files:
            return
        file = files[index % len(files)]
        times, words = file.stat(), self.own()
        if way == "edit":
            file.write_bytes(words)
        elif way == "mode":
            file.chmod(times.st_mode ^ 0o111)
        elif way == "link":
            file.rename(file.with_name("real"))
            file.symlink_to("real")
        elif way == "file":
            content = file.read_bytes()
            file.unlink()
            file.write_bytes(content)
        elif way == "hidden":
            file.write_bytes(bytes(byte ^ 1 for byte in file.read_bytes()))
            os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))
        elif way == "truncate":
            file.write_bytes(file.read_bytes()[:-1])
        elif way == "delete":
            file.unlink()
        elif way == "stray":
            file.with_name("stray").write_bytes(words)
        elif way == "folder":
            shutil.rmtree(folder)
        else:
            os.utime(file, (10**9, 10**9))
        self.note_treasures(words)

    @rule(index=INDEX, name=st.sampled_from(["stray", "d0/stray", "new/stray"]))
    def add_to_a_directory(self, index: int, name: str) -> None:
        """A person puts a file of their own into an output that is a directory, and is handed on whole."""
        folders = sorted((self.world.root / "jobs").glob("**/parts"))
        folders = [folder for folder in folders if ".mediabuild" not in folder.parts]
        if folders:
            words, path = self.own(), folders[index % len(folders)] / name
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(words)
            self.note_treasures(words)

    @rule(index=INDEX, content=GARBAGE | st.none())
    def tamper_with_a_copy(self, index: int, content: bytes | None) -> None:
        """A delivered copy is edited or deleted; what a kill left half made beside it is nobody's."""
        there = (self.world.root / "out").rglob("*")
        copies = sorted(file for file in there if file.is_file() and not file.name.startswith("."))
        if copies:
            words = self.own()
            copies[index % len(copies)].unlink()
            if content is not None:
                copies[index % len(copies)].write_bytes(words)
            self.note_treasures(words)

    @rule(index=INDEX, length=st.integers(0, 400), garbage=GARBAGE | st.none())
    def tamper_with_a_manifest(self, index: int, length: int, garbage: bytes | None) -> None:
        """A manifest is cut off, overwritten, or replaced by another job's."""
        file = self.world.directory(self.point(index)) / "manifest.json"
        others = sorted((self.world.root / "jobs").glob(f"*/{self.point(index).folder}/manifest.json"))
        if not file.exists():
            return
        if length > 300:
            file.write_bytes(others[length % len(others)].read_bytes() if others else b"")
        elif garbage is None:
            file.write_bytes(file.read_bytes()[:length])
        else:
            file.write_bytes(garbage)

    @rule(index=INDEX, garbage=GARBAGE | st.none())
    def spoil_what_is_derived(self, index: int, garbage: bytes | None) -> None:
        """The stat cache, the index, a trace, a lock, a log, a summary, an earlier output, units: damaged or gone."""
        jobs = self.world.root / "jobs"
        kinds = ("locks", "logs", "delivered", "units")
        files = sorted(f for f in jobs.rglob("*") if f.is_file() and f.parent.name in (".mediabuild", *kinds))
        for kind in ("generations", "traces"):
            files += sorted(f for f in jobs.rglob(f".mediabuild/{kind}/**/*") if f.is_file())
        files += sorted(f for job in self.world.jobs() for f in (jobs / job).glob("*.*") if f.is_file())
        if not files:
            return
        file = files[index % len(files)]
        file.unlink()
        if garbage is not None:
            file.write_bytes(garbage)

    def note_treasures(self, *words: bytes) -> None:
        """Which of a person's words are there, after a person's own doing."""
        self.treasures = (self.treasures | set(words)) & self.world.contents()
