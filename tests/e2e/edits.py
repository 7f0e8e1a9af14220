"""What can happen to a project between two runs: edits, some of which hide behind old times.

Not here: what becomes of what the program wrote (`tampering`), the runs (`history`).
"""

from __future__ import annotations

import copy
import csv
import io
import os
import random
import re
import shutil
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from tests.e2e.graphs import (
    BROKEN,
    EACH,
    FILE_KINDS,
    MORE,
    TIMES,
    VALUES,
    WORDS,
    Node,
    Values,
    fits,
    graphs,
    references,
    stages,
)
from tests.e2e.oracle import Oracle
from tests.e2e.world import CODE, Point

JOBS = ("one", "two 1.5", "sub/zwei ü")
CONTENTS = st.sampled_from([b"", b"a\n", b"b\n", b"ab\n", b"ba\n", b"hello\n", b"a\nlonger\ntext\n"])
FILES = ("words.txt", "extra/a.txt", "extra/b.txt", "tree/p", "tree/q/r", "notes/one.txt", "notes/two 1.5.txt")
IDS = st.sampled_from(["x", "y2", "y10", "z/z"])  # of rows of the table
CELLS = st.sampled_from(["one", "one", "two", "", 'it\'s, "3"', "a\nb"])
PARTS = ("p2.txt", "p10.txt", "p3.txt", "sub/x")  # of a folder that is a source
INDEX = st.integers(0, 99)
WAYS = st.sampled_from(["plain", "hidden", "future", "past", "anew", "mode"])


class Edits(RuleBasedStateMachine):
    """One project, and the rules that change it; nothing runs here."""

    def __init__(self) -> None:
        super().__init__()
        self.base = Path(tempfile.mkdtemp(prefix="history."))
        self.treasures: set[bytes] = set()
        self.past: list[tuple[dict[str, bytes], tuple[Any, ...]]] = []
        self.count = 0

    @initialize(nodes=graphs(), jobs=st.integers(1, 2), content=CONTENTS, folders=st.booleans())
    def begin(self, nodes: list[Node], jobs: int, content: bytes, folders: bool) -> None:
        """Write the project; its sources are files or folders."""
        root = self.base / "project"
        root.mkdir()
        self.world = Oracle(root, nodes, folders=folders)
        for job in JOBS[:jobs]:
            self.put(self.world.source_name(job), content)
        for name in (*FILES[:4], *(f"media/{JOBS[0]}/{part}" for part in PARTS[:2] if folders)):
            self.put(name, b"x\n")
        self.put("rows.csv", b"id,text\nx,one\ny10,two\n")
        self.world.save()

    def put(self, name: str, content: bytes) -> None:
        """Write a file of the project."""
        path = self.world.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)

    def own(self) -> bytes:
        """Words that nobody else wrote: they must never be lost."""
        self.count += 1
        return b"mine %d\n" % self.count

    def point(self, index: int) -> Point:
        """One of the tasks."""
        points = self.world.points()
        return points[index % len(points)]

    # ---- what people do to sources and files ----

    @rule(index=INDEX, content=CONTENTS, way=WAYS)
    def edit_file(self, index: int, content: bytes, way: str) -> None:
        """Other content (or the same again), and a time that says nothing or lies."""
        files = sorted(file for file in self.world.root.rglob("*") if self.is_input(file))
        file = files[index % len(files)]
        times, old = file.stat(), file.read_bytes()
        if way == "hidden":
            content = bytes(byte ^ 1 for byte in old)  # same size, same time
        if way == "mode":
            file.chmod(times.st_mode ^ 0o111)  # of what a person gives only the bytes count
            return
        if way == "anew":
            file.unlink()
        file.write_bytes(content)
        shift = {"future": 10**9, "past": -(10**9)}.get(way, 0)
        if way in ("hidden", "future", "past"):
            os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns + shift * 10**9))

    def is_input(self, file: Path) -> bool:
        """Whether a file is one that stages read and people write."""
        places = ("media", "words.txt", "rows.csv", "extra", "tree", "notes")
        return file.relative_to(self.world.root).parts[0] in places and file.is_file()

    @rule(index=INDEX, content=CONTENTS, renamed=st.booleans())
    def add_or_remove_a_file(self, index: int, content: bytes, renamed: bool) -> None:
        """A glob, a matrix or a directory gains or loses a file, or one is renamed; an optional one comes or goes."""
        parts = [f"media/{job}/{part}" for job in self.world.jobs() for part in PARTS if self.world.folders]
        names = [*FILES[1:], *parts]
        name = names[index % len(names)]
        path = self.world.root / name
        other = path.with_name(f"p3{path.suffix}")
        if not path.exists():
            self.put(name, content)
        elif renamed and not other.exists():
            path.rename(other)
        elif len(list(path.parent.iterdir())) > 1 or name.startswith(("notes", "media")):
            path.unlink()

    @rule(rows=st.lists(st.tuples(IDS, CELLS), max_size=4), more=st.booleans())
    def edit_rows(self, rows: list[tuple[str, str]], more: bool) -> None:
        """Rows of the table come, go, change, turn; it may have a column that nobody uses."""
        lines = (
            [["id", "text"], *rows]
            if not more
            else [["more", "text", "id"], *((str(len(rows)), *row[::-1]) for row in rows)]
        )
        table = io.StringIO()
        csv.writer(table).writerows(lines)
        self.put("rows.csv", table.getvalue().encode())

    @rule(index=INDEX, content=CONTENTS)
    def add_or_remove_a_source(self, index: int, content: bytes) -> None:
        """A job comes or goes; one always stays."""
        job = self.name(index)
        if job not in self.world.jobs():
            self.put(self.world.source_name(job), content)
        elif len(self.world.jobs()) > 1:
            self.remove(self.world.jobs()[job])
            self.world.job_times = {k: v for k, v in self.world.job_times.items() if k[0] != job}
            self.world.save()

    @rule(index=INDEX, other=INDEX)
    def rename_or_duplicate_a_source(self, index: int, other: int) -> None:
        """The same recording under another name."""
        sources = self.world.jobs()
        job, source = sorted(sources.items())[index % len(sources)]
        name = self.name(other)
        if name not in sources:
            files = [file for file in (source, *source.rglob("*")) if file.is_file()]
            for file in files:
                inside = Path(self.world.source_name(name)).parent / file.relative_to(source)
                self.put(str(inside) if self.world.folders else self.world.source_name(name), file.read_bytes())
            if other % 2:
                self.remove(source)
                self.world.job_times = {k: v for k, v in self.world.job_times.items() if k[0] != job}
                self.world.save()

    def name(self, index: int) -> str:
        """What a job may be called; a folder's job has no folders in its name."""
        job = JOBS[index % len(JOBS)]
        return job.replace("/", " ") if self.world.folders else job

    def remove(self, source: Path) -> None:
        """Remove a source with all that it holds."""
        if source.is_dir():
            shutil.rmtree(source)
        else:
            source.unlink()

    # ---- what people take back ----

    def remember(self) -> None:
        """Keep this moment, to go back to: its files, and its pipeline."""
        root, world = self.world.root, self.world
        files = {str(file.relative_to(root)): file.read_bytes() for file in root.rglob("*") if self.is_input(file)}
        self.past.append((files, copy.deepcopy((world.nodes, world.job_times, world.salts))))

    @rule(index=INDEX, what=st.sampled_from(["files", "pipeline", "both"]))
    def go_back(self, index: int, what: str) -> None:
        """An earlier moment's files or pipeline come back, so that earlier outputs may come back too."""
        if not self.past:
            return
        files, pipeline = self.past[index % len(self.past)]
        if what != "files":
            self.world.nodes, self.world.job_times, self.world.salts = copy.deepcopy(pipeline)
        if what != "pipeline":
            for file in filter(self.is_input, list(self.world.root.rglob("*"))):
                file.unlink()
            for name, content in files.items():
                self.put(name, content)
            for folder in sorted((self.world.root / "media").rglob("*"), reverse=True):
                if folder.is_dir() and not any(folder.iterdir()):
                    folder.rmdir()
        jobs = self.world.jobs()
        self.world.job_times = {key: times for key, times in self.world.job_times.items() if key[0] in jobs}
        self.world.save()

    # ---- what people do to the pipeline ----

    @rule(index=INDEX, times=TIMES, word=WORDS)
    def edit_params(self, index: int, times: int, word: Any) -> None:
        """A stage's params."""
        node = self.node(index)
        node.times, node.word = times, word
        self.world.save()

    @rule(index=INDEX, kind=st.sampled_from(FILE_KINDS), file=st.sampled_from(["out.txt", "new.txt"]))
    def edit_command(self, index: int, kind: str, file: str) -> None:
        """A stage's command and the name of its output."""
        node = self.node(index)
        if node.kind in FILE_KINDS:
            node.kind, node.file = kind, file
            self.world.save()

    @rule(index=INDEX, each=EACH, told=st.booleans())
    def edit_each(self, index: int, each: str, told: bool) -> None:
        """A stage's command runs once for each piece of an input, or once."""
        node = self.node(index)
        node.each, node.told = each, told
        self.world.save()

    @rule(index=INDEX)
    def optional_or_not(self, index: int) -> None:
        """Values of a matrix may fail, or block who reads all of them."""
        node = self.node(index)
        node.optional = not node.optional
        self.world.save()

    @rule(index=INDEX)
    def isolate_or_not(self, index: int) -> None:
        """A command starts in a folder of its own, or in the project's."""
        node = self.node(index)
        node.isolate = not node.isolate
        self.world.save()

    @rule(index=INDEX, broken=st.sampled_from(sorted(BROKEN)))
    def break_or_mend(self, index: int, broken: str) -> None:
        """A stage's program fails from now on, maybe only where a param has some value, as in one job; or no more."""
        node = self.node(index)
        if node.kind != "own":
            node.broken = "" if node.broken else broken
            self.world.save()

    @rule(index=INDEX, data=st.data())
    def edit_inputs(self, index: int, data: st.DataObject) -> None:
        """What a stage reads: other references, or the same in another order."""
        node = self.node(index)
        order = self.world.order()
        earlier = [self.world.nodes[name] for name in order[: order.index(node.name)]]
        readable = [producer for producer in earlier if fits(node, producer)]
        node.reads = data.draw(st.lists(references(readable, node.values), min_size=1, max_size=3))
        self.world.save()

    @rule(index=INDEX, values=VALUES, more=MORE, turned=st.booleans())
    def edit_matrix(self, index: int, values: Values, more: tuple[str, ...], turned: bool) -> None:
        """A matrix comes, goes, or changes its values or their order."""
        node = self.node(index)
        readers = [other for other in self.world.nodes.values() if node.name in self.world.needs(other.name)]
        producers = [self.world.nodes[name] for name in self.world.needs(node.name)]
        changed = Node(node.name, node.kind, [], values=values, more=more)
        if all(fits(reader, changed) for reader in readers) and all(fits(changed, p) for p in producers):
            node.values, node.more, node.turned = values, more, turned
            self.world.save()

    @rule(index=INDEX, job=INDEX, times=st.none() | TIMES)
    def edit_job_params(self, index: int, job: int, times: int | None) -> None:
        """One job differs."""
        jobs = list(self.world.jobs())
        key = (jobs[job % len(jobs)], self.node(index).name)
        self.world.job_times.pop(key, None)
        if times is not None:
            self.world.job_times[key] = times
        self.world.save()

    @rule(checksum=st.sampled_from(["blake3", "sha256"]))
    def edit_checksum(self, checksum: str) -> None:
        """Digests are to be others; nothing runs for that."""
        self.world.checksum = checksum
        self.world.save()

    @rule(index=INDEX)
    def deliver_or_not(self, index: int) -> None:
        """Copies are wanted, or no more."""
        node = self.node(index)
        if node.kind in (*FILE_KINDS, "own") and not node.temp:
            node.deliver = not node.deliver
            self.world.save()

    @rule(index=INDEX)
    def keep_or_not(self, index: int) -> None:
        """Outputs are temporary, or no more."""
        node = self.node(index)
        if not node.deliver:
            node.temp = not node.temp
            self.world.save()

    @rule(index=INDEX)
    def collect_or_not(self, index: int) -> None:
        """A stage has one task over all jobs, or one in each."""
        node = self.node(index)
        node.collect = not node.collect
        self.world.save()

    @rule(seed=st.randoms(use_true_random=False), renamed=st.booleans())
    def shuffle_stages(self, seed: random.Random, renamed: bool) -> None:
        """The order of the tables in the file; one may get another name, or an earlier one again."""
        nodes = list(self.world.nodes.values())
        seed.shuffle(nodes)
        was, now = nodes[0].name, self.free_name() if renamed else nodes[0].name
        nodes[0].name = now
        for node in nodes:
            node.reads = [re.sub(rf"\A(\??){was}\b", rf"\g<1>{now}", text) for text in node.reads]
        self.world.nodes = {node.name: node for node in nodes}
        times = self.world.job_times.items()
        self.world.job_times = {(job, now if stage == was else stage): value for (job, stage), value in times}
        self.world.save()

    def free_name(self) -> str:
        """A name for a stage."""
        return next(f"S{n}" for n in range(9) if f"S{n}" not in self.world.nodes)

    @rule(copied=st.booleans())
    def move_the_project(self, copied: bool) -> None:
        """To another folder; or it is copied there, which gives all files new times, and the old one is deleted."""
        old = self.world.root
        self.world.root = old.with_name("moved" if old.name == "project" else "project")
        if copied:
            shutil.copytree(old, self.world.root, symlinks=True, copy_function=shutil.copy)
            shutil.rmtree(old)
        else:
            old.rename(self.world.root)

    @rule(name=st.sampled_from(sorted(CODE)), salt=st.sampled_from(["salt", "malt", "pepper"]), hidden=st.booleans())
    def edit_the_code(self, name: str, salt: str, hidden: bool) -> None:
        """The code of the project's own Python stage, or a module of it; the time may say nothing."""
        file = self.world.root / "stages" / name
        times = file.stat() if file.exists() else None
        self.world.salts[name] = salt
        self.world.save()
        if hidden and times is not None:
            os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))

    @rule(data=st.data())
    def add_or_remove_a_stage(self, data: st.DataObject) -> None:
        """A stage at the end of the graph."""
        read = set().union(*map(self.world.needs, self.world.nodes))
        unread = [name for name in self.world.nodes if name not in read]
        if len(self.world.nodes) > 3:
            name = data.draw(st.sampled_from(unread))
            del self.world.nodes[name]
            self.world.job_times = {k: v for k, v in self.world.job_times.items() if k[1] != name}
        else:
            name = self.free_name()
            self.world.nodes[name] = data.draw(stages(name, list(self.world.nodes.values())))
        self.world.save()

    def node(self, index: int) -> Node:
        """One of the stages."""
        return list(self.world.nodes.values())[index % len(self.world.nodes)]
