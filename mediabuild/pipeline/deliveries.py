"""Names the copies of outputs that go where people look, and sees to it that no two share a name.

`deliver` is one of three things:

- A folder, with a `/` at its end: each output goes there under its own name. `site/{job}/`: `hls/0.ts` is
  `site/ep01/hls/0.ts`.
- A prefix: the name of a copy is the prefix, and the output's name from its first dot on. `subtitles.es.srt` delivered
  to `out/{job}` is `out/ep01.es.srt`. A directory stays one: `hls/0.ts` is `out/ep01.hls/0.ts`.
- A table, output → the copy's own name, or a folder as above; a `*` in the name is what the output's `*` stands for.
  What it doesn't name isn't delivered.

Not here: making the copies (`execution.delivery`).
"""

from __future__ import annotations

import fnmatch
import os
from collections.abc import Iterable, Iterator, Mapping

from mediabuild.pipeline.mistakes import Mistakes, nearest
from mediabuild.pipeline.model import Given, Pipeline, Task
from mediabuild.pipeline.paths import meets
from mediabuild.pipeline.placeholders import check_names, fill, names_in, text_of
from mediabuild.pipeline.reserved import own_name

Deliver = str | Mapping[str, str] | None


def check_deliver(
    where: str, deliver: Deliver, outputs: Mapping[str, str], matrix: Iterable[str], mistakes: Mistakes
) -> Deliver:
    """Note what can't be in a stage's `deliver`, whatever its jobs are."""
    where, known = f"{where}.deliver", {"job", *matrix}
    if isinstance(deliver, Mapping):
        for name, text in deliver.items():
            if name not in outputs:
                mistakes.add(f"{where}.{name}", "there is no such output", nearest(name, outputs))
            elif "*" in outputs[name] and not (text.endswith("/") or text.count("*") == outputs[name].count("*") == 1):
                mistakes.add(f"{where}.{name}", "any number of files need a folder, or a *", f'"{text}/"')
            elif "*" in text and "*" not in outputs[name]:
                mistakes.add(f"{where}.{name}", f"{outputs[name]!r} has no *", f'"{text.replace("*", name)}"')
            _check_place(f"{where}.{name}", text, known, mistakes)
    elif deliver is not None:
        if "*" in deliver:
            folder = deliver.partition("*")[0].rpartition("/")[0] or "out"
            mistakes.add(where, "a folder or prefix has no *", f'"{folder}/", or {{ OUTPUT = "{deliver}" }}')
        _check_place(where, deliver, known, mistakes)
    return deliver


def _check_place(where: str, text: str, known: set[str], mistakes: Mistakes) -> None:
    if text.startswith(("/", "~")) or ".." in text.split("/") or "\0" in text:
        mistakes.add(where, f"{text!r} leads outside the project", '"out/{job}"')
    check_names(where, text, known, mistakes)


def suffixes(path: str) -> str:
    """A file's name from its first dot on: `subs/subtitles.es.srt` → `.es.srt`; `.NAME` where it has none."""
    name = path.rpartition("/")[2]
    return name[name.index(".") :] if "." in name else f".{name}"


def deliver_texts(deliver: Deliver) -> list[str]:
    """All that a stage's `deliver` says, as it is written."""
    return list(deliver.values()) if isinstance(deliver, Mapping) else [deliver] if deliver else []


def _keeps_names(deliver: Deliver) -> bool:
    """Whether a pattern's files go somewhere under their own names."""
    return not isinstance(deliver, str) or deliver.endswith("/")


def _filled(pipeline: Pipeline, task: Task, text: str) -> str:
    """Where copies go, relative to the pipeline: a text of `deliver` with its placeholders filled in.

    A job in a directory of its own (`--job-dir`) delivers under that directory's name, so that two
    directories of one recording don't fight over one copy.
    """
    usual = pipeline.jobs_dir / task.job == task.job_dir
    values = {key: text_of(value) for key, value in task.at.items()}
    values["job"] = own_name(task.job) if usual else task.job_dir.name
    return fill(text, values.get)


def deliveries(pipeline: Pipeline, task: Task, outputs: Iterable[str]) -> dict[str, str]:
    """Path below the project → output path, of each copy that the stage's `deliver` asks for.

    Both end with a `/` for a directory that is empty. Of two outputs that would share a copy's name, the first counts.
    """
    found: dict[str, str] = {}
    for copy, output in _named(pipeline, task, outputs):
        found.setdefault(copy, output)
    return found


def clash(pipeline: Pipeline, task: Task, outputs: Iterable[str]) -> tuple[str, str] | None:
    """The first copy that two of a task's outputs would share, and what is wrong."""
    found: dict[str, str] = {}
    for copy, output in _named(pipeline, task, outputs):
        other = found.setdefault(copy, output)
        above = next((folder for folder in _folders(copy) if folder in found), None)
        if other != output or above:
            return copy, f"{found[above] if above else other} and {output} would both be {above or copy}"
    return None


def _named(pipeline: Pipeline, task: Task, outputs: Iterable[str]) -> Iterator[tuple[str, str]]:
    """(copy, output) of each output that is delivered; several may share a copy."""
    deliver = task.stage.deliver
    if deliver is None:
        return
    for path in sorted(outputs):
        name, declared = _declaration(path, task.stage.outputs)
        text = deliver if isinstance(deliver, str) else deliver.get(name)
        if text is not None:
            exact = not isinstance(deliver, str)
            star = _star(path, declared) if exact and "*" in declared else "*"
            place = star.join(_filled(pipeline, task, part) for part in text.split("*"))
            yield _name(place, path, declared, exact=exact), path


def _star(path: str, declared: str) -> str:
    """What the `*` of a pattern stands for."""
    before, _, after = declared.partition("*")
    return path[len(before) : len(path) - len(after)]


def _name(place: str, path: str, declared: str, *, exact: bool) -> str:
    """The copy's name; see above. `declared`: the output that a path belongs to. `exact`: the place is its own name."""
    end = "/" if path.endswith("/") else ""
    if place.endswith("/"):
        return os.path.normpath(place + path) + end
    depth = declared.count("/") + 1
    top, rest = path.split("/")[:depth], path.split("/")[depth:]
    own = "" if exact else suffixes("/".join(top))
    return os.path.normpath(place) + own + "".join(f"/{name}" for name in rest)


def _declaration(path: str, outputs: Mapping[str, str]) -> tuple[str, str]:
    """Name and pattern of the declared output that a path belongs to; empty where nobody declared it."""
    for name, pattern in outputs.items():
        if path == pattern or path.startswith(pattern + "/") or ("*" in pattern and fnmatch.fnmatchcase(path, pattern)):
            return name, pattern
    return "", ""


def _folders(path: str) -> Iterator[str]:
    """All folders above a path, the nearest first."""
    while path := path.rpartition("/")[0]:
        yield path


def check_deliveries(
    pipeline: Pipeline, jobs: Mapping[str, Given], tasks: Mapping[str, Task], mistakes: Mistakes
) -> None:
    """No two copies may have one name, and none may stand in for a source or lie among the jobs."""
    sources = {os.path.normpath(given.pattern) for given in jobs.values()}
    taken = dict.fromkeys(sources, "the source")
    above: dict[str, str] = {}
    for task in tasks.values():
        where = f"stages.{task.stage.name}.deliver"
        for text in deliver_texts(task.stage.deliver):
            if not os.path.relpath(pipeline.root / _filled(pipeline, task, text), pipeline.jobs_dir).startswith(".."):
                mistakes.add(where, "copies can't go into the jobs directory", 'deliver = "out/{job}"')
                return
        for copy, _ in _named(pipeline, task, task.stage.outputs.values()):
            folders = list(_folders(copy))
            if not sources.isdisjoint(folders):
                mistakes.add(where, f"{task.name} would deliver {copy} into a source", 'deliver = "out/{job}/"')
                return
            if "*" in copy.rpartition("/")[2] and _keeps_names(task.stage.deliver):
                continue  # which names these are only the run shows
            other = taken.get(copy) or above.get(copy) or next((taken[f] for f in folders if f in taken), None)
            if other:
                hint = "{job} and the keys of the matrix tell copies apart"
                mistakes.add(where, f"{task.name} would deliver {copy}, as {other} does", hint)
                return
            taken[copy] = task.name
            above |= dict.fromkeys(folders, task.name)


def check_reads(pipeline: Pipeline, tasks: Mapping[str, Task], mistakes: Mistakes) -> None:
    """No stage may read by its path what a stage delivers: it would get what the run before had delivered."""
    if not any(spec.deliver for spec in pipeline.stages.values()):
        return
    found = _Delivered(pipeline, tasks)
    looked_at: set[tuple[str, str, str]] = set()
    for task in tasks.values():
        for name, text in task.stage.inputs.items():
            for given in task.inputs[name] if "/" in text else ():
                job = task.job if "job" in names_in(text) or (isinstance(given, Given) and given.folder) else ""
                if isinstance(given, Given) and (task.stage.name, name, given.pattern) not in looked_at:
                    looked_at.add((task.stage.name, name, given.pattern))
                    copy = found.behind(given, job)
                    if copy:
                        what = f"{copy} is what {found.of[copy]} delivers: this would always be one run behind"
                        mistakes.add(f"stages.{task.stage.name}.inputs.{name}", what, f'"{found.of[copy]}"')
                        return


class _Delivered:
    """All copies that tasks make, as far as that is known before they run.

    Attributes:
        of: copy → STAGE.OUTPUT.
    """

    def __init__(self, pipeline: Pipeline, tasks: Mapping[str, Task]) -> None:
        self.root = pipeline.root
        self.of: dict[str, str] = {}
        self._by_job: dict[str, list[str]] = {}
        self._around: dict[str, str] = {}  # folder of copies → one of them
        for task in tasks.values():
            for copy, path in _named(pipeline, task, task.stage.outputs.values()):
                self.of[copy] = f"{task.stage.name}.{_declaration(path, task.stage.outputs)[0]}"
                self._by_job.setdefault(task.job, []).append(copy)
                for folder in _folders(copy.rstrip("/")):
                    self._around.setdefault(folder, copy)

    def behind(self, given: Given, job: str) -> str | None:
        """The copy that an input reads.

        Args:
            job: of a glob that names its job, which only stands for copies of the same; else empty.
        """
        if given.globs:
            copies = self._by_job.get(job, []) if job else self.of
            return next((copy for copy in copies if meets(given, self.root, copy)), None)
        path = os.path.relpath(self.root / given.pattern, self.root)
        places = [path + end for path in (path, *_folders(path)) for end in ("", "/")]
        return next((place for place in places if place in self.of), None) or self._around.get(path)
