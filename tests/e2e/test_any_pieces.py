"""Commands in folders of their own and in pieces: after any edits, the files are those of a clean build.

And what runs again is what follows from the edit: no piece whose cells, notes, params and program were met before.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from tests.e2e.conftest import Project
from tests.e2e.crash import Launcher

ROUNDS = int(os.environ.get("MEDIABUILD_LONG", "0")) * 30 or 4
PIPELINE = """
[pipeline]
sources = ["tables/*.csv"]
isolate = true

[params]
n = N

[stages.rows]
command = ["sh", "rows.sh", "{row.text}", "{inputs.notes}", "{params.n}"]
env = { LOG = "/LOG" }
each = "table"
inputs = { table = "source", notes = "?./notes/{job}.txt" }
outputs = { text = "*.txt" }
params = { n = "{params.n}" }
stdout = "text"
resources = { cpu = 2 }

[stages.upper]
command = ["sh", "-c", 'tr a-z A-Z < "$1"', "upper", "{inputs.text}"]
each = "text"
inputs = { text = "rows.text" }
outputs = { text = "*.up" }
stdout = "text"
deliver = "out/{job}/"

[stages.joined]
command = ["cat", "{inputs.text}"]
inputs = { text = "upper.text" }
outputs = { text = "joined.txt" }
stdout = "text"
deliver = "out/{job}/"
"""
SCRIPT = '#!/bin/sh\n# SALT\necho "$1" >> "$LOG"\necho "$1 $3 SALT"\nif [ -n "$2" ]; then cat "$2"; fi\n'
JOBS = ("a", "b2", "it's [1]", "b10")
IDS = ("x", "y2", "y10", "z z")
TEXTS = ("one", "two", "it's, three")
STEPS = st.sampled_from(
    ["cell", "cell", "row", "gone", "turn", "comment", "rename", "copy", "remove", "note", "n", "salt"]
)


class Shelf:
    """Tables on disk, and what is to become of them."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self.log = project.root / "log"
        self.tables: dict[str, dict[str, str]] = {"a": {"x": "one", "y10": "two"}}
        self.notes: dict[str, str] = {}
        self.n, self.salt, self.comment = 1, "salt", 0
        self.met: set[tuple[str, ...]] = set()

    def save(self) -> None:
        """Write all of it."""
        root = self.project.root
        for folder in ("tables", "notes"):
            shutil.rmtree(root / folder, ignore_errors=True)
        for job, rows in self.tables.items():
            lines = ["comment,text,id", *(f'{self.comment},"{text}",{name}' for name, text in rows.items())]
            self.project.write(f"tables/{job}.csv", "\n".join(lines) + "\n")
        for job, note in self.notes.items():
            self.project.write(f"notes/{job}.txt", note)
        self.project.write("rows.sh", SCRIPT.replace("SALT", self.salt))
        self.project.write("pipeline.toml", PIPELINE.replace("N\n", f"{self.n}\n", 1).replace("/LOG", str(self.log)))

    def edit(self, step: str, draw: Any) -> None:
        """One edit."""
        job = draw(st.sampled_from(sorted(self.tables)))
        other = draw(st.sampled_from(JOBS))
        rows = self.tables[job]
        if step == "cell" and rows:
            rows[draw(st.sampled_from(sorted(rows)))] = draw(st.sampled_from(TEXTS))
        elif step == "row":
            rows[draw(st.sampled_from(IDS))] = draw(st.sampled_from(TEXTS))
        elif step == "gone" and rows:
            rows.pop(draw(st.sampled_from(sorted(rows))))
        elif step == "turn":
            self.tables[job] = dict(reversed(rows.items()))
        elif step == "comment":
            self.comment += 1
        elif step in ("rename", "copy"):
            self.tables[other] = dict(rows)
            self.notes.pop(other, None)
            if job in self.notes:
                self.notes[other] = self.notes[job]
            if step == "rename" and other != job:
                del self.tables[job]
                self.notes.pop(job, None)
        elif step == "remove" and len(self.tables) > 1:
            del self.tables[job]
            self.notes.pop(job, None)
        elif step == "note":
            self.notes[job] = draw(st.sampled_from(["", "a note\n"]))
        elif step == "n":
            self.n = 3 - self.n
        elif step == "salt":
            self.salt += "x"

    def wanted(self) -> Iterator[tuple[str, str]]:
        """File and content of all copies of the present jobs."""
        for job, rows in self.tables.items():
            texts = {
                name: f"{text} {self.n} {self.salt}\n{self.notes.get(job, '')}".upper() for name, text in rows.items()
            }
            yield from ((f"{job}/{name}.up", text) for name, text in texts.items())
            order = sorted(texts, key=lambda name: (name[0], int(name[1:]) if name[1:].isdigit() else 0))
            yield f"{job}/joined.txt", "".join(texts[name] for name in order)

    def new_pieces(self) -> int:
        """How many rows say what no job's row of its time has said: each may be run once for each job."""
        found = {
            (job, text, str(self.n), self.salt, str(self.notes.get(job)))
            for job, rows in self.tables.items()
            for text in rows.values()
        }
        fresh = found - self.met
        self.met |= found
        return len(fresh)

    def ran(self) -> int:
        """How many rows' programs were run since the last time."""
        count = len(self.log.read_text().splitlines()) if self.log.exists() else 0
        self.log.unlink(missing_ok=True)
        return count


@settings(max_examples=ROUNDS, deadline=None, derandomize=ROUNDS < 30, database=None,
          suppress_health_check=list(HealthCheck))  # fmt: skip
@hypothesis.given(data=st.data())
def test_any_edits_of_tables(launcher: Launcher, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    """Cells, rows, their order, names of jobs, copies, notes, params, the program."""
    root = tmp_path_factory.mktemp("any") / "project"
    root.mkdir()
    shelf = Shelf(Project(root, launcher))
    for step in ["", *data.draw(st.lists(STEPS, min_size=3, max_size=7))]:
        if step:
            shelf.edit(step, data.draw)
        shelf.save()
        run = shelf.project.run()
        assert run.status == 0, run.out
        out = root / "out"
        there = {str(path.relative_to(out)): path.read_text() for path in out.rglob("*") if path.is_file()}
        wanted = dict(shelf.wanted())
        assert {name: there.get(name) for name in wanted} == wanted, step
        jobs = {Path(name).parts[0] for name in wanted}
        assert {name for name in there if Path(name).parts[0] in jobs} == set(wanted), step
        assert shelf.ran() <= shelf.new_pieces(), step
    assert shelf.project.run().ran == []
