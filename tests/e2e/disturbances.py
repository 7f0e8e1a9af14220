"""What happens to a project while a run works, or to its jobs directory before one; the run may fail, never lie.

Every stage calls a hook before it reads its inputs and after it has written its outputs (`graphs`). Here is what the
hooks do: files change and change back, code is edited, a stage's process dies while children of it live.

Not here: edits between two runs (`edits`), what must hold afterwards (`history`).
"""

from __future__ import annotations

import shlex
import shutil
from pathlib import Path
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from tests.e2e.crash import wait_for_end
from tests.e2e.edits import INDEX
from tests.e2e.tampering import Tampering
from tests.e2e.world import CODE

AT_ONCE = st.sampled_from(["-n1", "", "-n3"])  # how many tasks run at once; as many as there are cores, where unsaid
COMMANDS = st.sampled_from(["", "gc", "check"])
STATE_PLACES = ("tmp", "generations", "units", "locks", "logs", "delivered", "marks", "swap")


class Disturbances(Tampering):
    """The rules whose runs are disturbed."""

    def under_way(self, *doings: str, at_once: str = "-n1", once: bool = True, **kill: Any) -> None:
        """A run whose stages do something, then soundness: what it recorded is what a clean build makes.

        Args:
            doings: lines of a shell for each time that a hook is called; `$1` is `before` or `after`, `$2` the output,
                `$6` the first input, before.
            once: only the first task does it.
        """
        done = shlex.quote(str(self.base / "done"))
        guard = f'[ "$1" = after ] || {{ [ ! -e {done} ] || exit 0; : > {done}; }}\n'
        (self.base / "hook").write_text((guard if once else "") + "\n".join(doings))
        (self.base / "done").unlink(missing_ok=True)
        ran = self.launch(*at_once.split(), env={"HOOK": str(self.base / "hook")}, **kill)
        (self.base / "hook").write_text("")
        if ran.status == -9 and kill:
            assert wait_for_end(f"MEDIABUILD_TEST={self.base.name}") == []
            ran = self.launch()
        assert ran.status in (0, 1), ran.out + ran.err
        assert "Traceback" not in ran.out + ran.err, ran.out + ran.err
        self.world.reload_code()
        self.verify_sound(ran.out + ran.err)

    @rule(index=INDEX, way=st.sampled_from(["write", "replace"]), kept=st.booleans(), back=st.booleans(),
          once=st.booleans(), at_once=AT_ONCE)  # fmt: skip
    def change_and_back(self, index: int, way: str, kept: bool, back: bool, once: bool, at_once: str) -> None:
        """A file that stages read, or an output of theirs, has another content for a while, or from then on."""
        outputs = [f for f in (self.world.root / "jobs").rglob("*.txt") if ".mediabuild" not in f.parts]
        inputs = [file for file in self.world.root.rglob("*") if self.is_input(file)]
        files = sorted(inputs) + sorted(outputs)
        file = files[index % len(files)]
        other = bytes(byte ^ 1 for byte in file.read_bytes()) or b"more\n"
        self.under_way(*self.swapped(file, other, way, kept, back), at_once=at_once, once=once)
        self.treasures &= self.world.contents()

    def swapped(self, file: Path, other: bytes, way: str, kept: bool, back: bool) -> list[str]:
        """The lines of a hook that give a file other content, and the old one afterwards."""
        for name, content in (("other", other), ("old", file.read_bytes())):
            (self.base / name).write_bytes(content)
        shutil.copystat(file, self.base / "old")
        shutil.copystat(file, self.base / "other")
        where, base = shlex.quote(str(file)), shlex.quote(str(self.base))
        put = {"write": f"cat {base}/$name > {where}",
               "replace": f"cp {base}/$name {base}/new; mv {base}/new {where}"}[way]  # fmt: skip
        names = "case $1 in before) name=other;; after) name=old;; esac"
        return [
            names,
            "" if back else '[ "$1" = before ] || exit 0',
            f"[ -e {where} ] || exit 0",
            put,
            f"touch -r {base}/old {where}" if kept else "",
        ]

    @rule(name=st.sampled_from(["extra/c.txt", "tree/q/new", "tree/deep/er", "notes/one.txt", "none/x",
                                 "media/one/p2.txt"]),
          there=st.booleans(), once=st.booleans())  # fmt: skip
    def come_and_go(self, name: str, there: bool, once: bool) -> None:
        """A file comes and goes in what a stage reads, or goes and comes back."""
        path = self.world.root / name
        if name.startswith("media") and not self.world.folders:
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        kept, where = (shlex.quote(str(p)) for p in (self.base / "kept", path))
        if there:
            path.write_bytes(b"there\n")
            lines = f"mv {where} {kept}", f"[ ! -e {kept} ] || mv {kept} {where}"
        else:
            path.unlink(missing_ok=True)
            lines = f"echo here > {where}", f"rm -f {where}"
        self.under_way(f"case $1 in before) {lines[0]};; after) {lines[1]};; esac", once=once)
        (self.base / "kept").unlink(missing_ok=True)

    @precondition(lambda self: any(node.kind == "own" for node in self.world.nodes.values()))
    @rule(name=st.sampled_from(sorted(CODE)), kept=st.booleans(), back=st.booleans(), once=st.booleans(),
          at_once=AT_ONCE)  # fmt: skip
    def edit_code_under_way(self, name: str, kept: bool, back: bool, once: bool, at_once: str) -> None:
        """The project's own stage, or a module that it imports, is another one for a while, of the same length.

        It is replaced: half a module, which another task may load meanwhile, is an error of its own.
        """
        file = self.world.root / "stages" / name
        old = file.read_bytes()
        other = old.replace(b"salt", b"malt") if b"salt" in old else old.replace(b"malt", b"salt")
        self.under_way(*self.swapped(file, other, "replace", kept, back), at_once=at_once, once=once)

    @rule(at_once=AT_ONCE, once=st.booleans(), signal=st.sampled_from(["KILL", "TERM"]))
    def die_with_children_alive(self, at_once: str, once: bool, signal: str) -> None:
        """A stage's process is killed while children of it live, one of them in a session of its own."""
        sleeps = 'sleep 100 & setsid sleep 100 & [ "$1" = after ] ||'
        self.under_way(f"{sleeps} kill -{signal} $PPID", at_once=at_once, once=once)

    @rule(
        index=INDEX, place=st.sampled_from([*STATE_PLACES, "", "stage"]), command=st.sampled_from(["", "gc", "check"])
    )
    def put_a_link_into_the_jobs(self, index: int, place: str, command: str) -> None:
        """A directory of a job lies elsewhere, behind a link: nothing there is touched."""
        point = self.point(index)
        job = self.world.root / "jobs" / point.job
        link = self.world.directory(point) if place == "stage" else job / ".mediabuild" / place
        if not link.is_dir() or link.is_symlink():
            return
        elsewhere = self.base / "elsewhere"
        link.rename(elsewhere)
        (elsewhere / "mine").write_bytes(b"mine\n")
        (elsewhere / "S0.12345678").mkdir(exist_ok=True)
        (elsewhere / "S0.12345678" / "mine").write_bytes(b"mine\n")
        link.symlink_to(elsewhere)
        before = self.listing(elsewhere)
        ran = self.launch(*([command] if command else []))
        assert ran.status in (0, 1, 3), ran.out + ran.err
        assert "Traceback" not in ran.out + ran.err, ran.out + ran.err
        assert self.listing(elsewhere) == before, ran.out + ran.err
        if link.is_symlink():
            link.unlink()
        shutil.rmtree(elsewhere)
        self.treasures &= self.world.contents()
        self.verify_sound(ran.out + ran.err)

    def listing(self, folder: Path) -> dict[str, bytes | None]:
        """All that lies in a folder, with its content."""
        return {str(p.relative_to(folder)): p.read_bytes() if p.is_file() else None for p in folder.rglob("*")}
