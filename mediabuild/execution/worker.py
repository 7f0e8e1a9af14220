"""The process that runs Python stages, job after job: `python -m mediabuild.execution.worker REQUESTS REPLIES [EARLY]`.

It speaks JSON lines over two pipes of its own, so that nothing a stage prints can confuse it: stdout
and stderr go to the log file that each request names. When the pipe of requests closes, the run is
over or dead, and the worker ends itself and all that it started.

Not here: starting and choosing workers (`workers`), publishing what a stage made (`executor`).
"""

from __future__ import annotations

import contextlib
import functools
import os
import queue
import resource
import signal
import sys
import threading
import time
import traceback
from pathlib import Path
from typing import IO, Any

import msgspec

from mediabuild.errors import MediabuildError, StageError
from mediabuild.execution.loaded import WorkerCode
from mediabuild.execution.protocol import PROTOCOL, Early, Reply, Request, names_of, number_of, text_of
from mediabuild.execution.slate import Slate
from mediabuild.lanes import Lanes
from mediabuild.machine.here import command
from mediabuild.machine.interpreter import python_version, site_packages, versions
from mediabuild.pipeline.code_of_stages.loading import load_declaration, missing_hint
from mediabuild.stage import Context, Lookup, ModelRef, Stage
from mediabuild.units import Units

PROGRESS_EVERY_S = 0.5


class Worker:
    """Runs requests one after another and keeps what they loaded.

    Args:
        replies: where answers go. It belongs to this process alone: a child that a stage forked never answers.
    """

    def __init__(self, replies: IO[bytes]) -> None:
        self.replies = replies
        self.process = os.getpid()
        self.code = WorkerCode(Path.cwd())
        self.slate = Slate()
        self.stages: dict[str, Stage] = {}
        self.caches: dict[str, tuple[str, dict[str, str], dict[str, Any]]] = {}
        self._current: int | None = None  # the request that is being served
        self._in_scope: dict[str, str] = {}  # what was loaded of the project, besides what is known, for its units
        self._lock = threading.Lock()
        self._last_progress = 0.0

    def message(self, number: int, kind: str, fields: dict[str, Any]) -> None:
        """Send a message of a request, unless it has been answered; progress at most twice a second."""
        if os.getpid() != self.process:
            return
        if kind == "progress":
            fields = {name: number_of(value, "progress") for name, value in fields.items()}
            if time.monotonic() - self._last_progress < PROGRESS_EVERY_S:
                return
            self._last_progress = time.monotonic()
        else:
            fields = {name: text_of(value) for name, value in fields.items()}
        with self._lock:
            if number == self._current:
                self._send(Reply(kind, number, fields))

    def serve(self, request: Request) -> None:
        """Run one request and answer, whatever the stage does."""
        _redirect_output(Path(request.log))
        self._current = request.number
        try:
            kind, fields = self._tried(request)
        finally:
            if os.getpid() != self.process:  # a forked child that came back from the stage's function
                os._exit(0)
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(ValueError, OSError, AttributeError):  # a stage may close its streams
                stream.flush()
        spent = self.slate.wipe(self.code.is_own) or self.code.spent
        if spent:
            os.write(2, f"this worker ends: {text_of(spent)}\n".encode())
        with self._lock:
            self._current = None
            self._send(Reply(kind, request.number, fields, spent))

    def _tried(self, request: Request) -> tuple[str, dict[str, Any]]:
        """The answer to a request: its kind and its fields."""
        try:
            if request.protocol != PROTOCOL:
                raise MediabuildError(
                    f"worker: protocol {request.protocol}, expected {PROTOCOL}", "reinstall mediabuild"
                )
            return "done", self._run(request)
        except MediabuildError as error:
            message = text_of(error.message).strip() or f"{type(error).__name__} without a word"
            return "failed", {"message": message, "hint": text_of(error.hint)}
        except Exception as error:  # the stage's own bug: its traceback goes to the log
            with contextlib.suppress(Exception):
                traceback.print_exc()
            place = traceback.extract_tb(error.__traceback__)[-1]
            where = f"{Path(place.filename).name}:{place.lineno}"
            message = f"{where}: {type(error).__name__}: {text_of(error)}"
            return "failed", {"message": message, "hint": missing_hint(error, self.code)}

    def _send(self, reply: Reply) -> None:
        self.replies.write(msgspec.json.encode(reply) + b"\n")
        self.replies.flush()

    def _run(self, request: Request) -> dict[str, Any]:
        self.code.begin(request)
        declared = self._stage(request)
        params = msgspec.convert(request.facts.params, declared.params)
        found = {name: found for name, found in versions(declared.tools, map(Path, sys.path)).items() if found}
        tools = {"python": python_version(None)} | found
        kept = Units(
            Path(request.units),
            lambda: self._scope(request, declared, tools),
            reuse=request.reuse_units,
            keep=request.keep_units,
            holds=lambda: request.inputs_are_still() and self.code.besides() == self._in_scope,
            part=Path(request.units_part),
        )
        context = Context(
            stage=request.facts.stage,
            job=request.job,
            out=Path(request.out),
            sources={name: {k: Path(p) for k, p in files.items()} for name, files in request.sources.items()},
            outputs=request.outputs,
            makers=request.makers,
            device=request.device,
            project_dir=Path(request.project_dir),
            stage_dir=Path(request.file).parent,
            models={name: ModelRef(name, Path(path) if path else None) for name, path in request.models.items()},
            threads=request.threads,
            lanes=Lanes(request.lanes.own, request.lanes.most, request.lanes.spare(), request.lanes.wanted()),
            cache=self._cache(request),
            may_keep=request.models_are_still,
            kept=kept,
            report=functools.partial(self.message, request.number),
        )
        assert declared.run is not None
        try:
            try:
                returned = declared.run(context, params)
            finally:
                context.lanes.end()
            kept.complete()
        finally:
            kept.close()
            known = self.caches[request.file]
            self.caches[request.file] = (known[0], self.code.besides(), known[2])
        usage = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return {
            "returned": names_of(returned, context.out),
            "device_used": None if context.device_used is None else text_of(context.device_used),
            "tools": tools,
            "peak_memory_bytes": usage * (1 if sys.platform == "darwin" else 1024),
            "loaded": self.code.report(),
            "units": kept.made + kept.reused,
            "units_reused": kept.reused,
            "units_spared_s": round(kept.spared_s, 3),
        }

    def _stage(self, request: Request) -> Stage:
        if request.is_own:  # its module keeps nothing from job to job
            return load_declaration(Path(request.file), self.code)
        if request.file not in self.stages:
            self.stages[request.file] = load_declaration(Path(request.file), self.code)
        stage = self.stages[request.file]
        if request.facts.code.get("version") not in (None, str(stage.version)):
            raise StageError(f"{request.file}: it was replaced while the run went on", command(request.task))
        return stage

    def _cache(self, request: Request) -> dict[str, Any]:
        """What the stage keeps between jobs; dropped when its code or its models changed."""
        models = f"{sorted(request.facts.models.items())} {request.models_seen()}"
        facts = f"{request.code_text} {request.device} {models}"
        known = self.caches.get(request.file)
        if known is None or known[0] != facts or not self.code.are_still(known[1]):
            known = (facts, {}, {})
        self.caches[request.file] = known
        return known[2]

    def _scope(self, request: Request, declared: Stage, tools: dict[str, str]) -> list[Any] | None:
        """What all units of a request follow from; which of several GPUs it is makes no difference.

        Versions of packages and the number of threads are no reason to run a stage again, but they may change the last
        bits of a result: what is put together of units is of one kind.

        Returns:
            None where a model's bytes aren't known.
        """
        models: dict[str, str] | None = request.facts.models
        if models and not all(models.values()):  # a hub's model, which the stage has fetched by now
            models = _digests_now(request, declared)
        if models is None or not all(models.values()):
            return None
        device = request.device.partition(":")[0]
        self._in_scope = self.code.besides()
        code = request.code_text if not self._in_scope else [request.code_text, sorted(self._in_scope.items())]
        return [request.facts.stage, code, request.facts.params, device, models, tools, request.threads]


def _digests_now(request: Request, declared: Stage) -> dict[str, str] | None:
    """The digests of the models that are there now; None where they can't be had."""
    try:
        from mediabuild.store.digest import Digests  # another interpreter may lack blake3

        root = Path(request.project_dir)
        lookup = Lookup(Path(request.file).parent, root, site_packages(None))
        found = (
            declared.models(msgspec.convert(request.facts.params, declared.params), lookup) if declared.models else {}
        )
        return {n: Digests(root).whole(m.path, request.checksum) if m.path else "" for n, m in found.items()}
    except (ImportError, OSError, MediabuildError):
        return None


def _redirect_output(log: Path) -> None:
    """From here on, whatever is printed (by native libraries too) goes to this file."""
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    os.close(descriptor)


def _read_requests(source: IO[bytes], requests: queue.Queue[Request], asked: threading.Event) -> None:
    """Queue requests; when the run is gone, end this process group, in the middle of whatever it does."""
    for line in source:
        requests.put(msgspec.json.decode(line, type=Request))
        asked.set()
    os.killpg(os.getpgid(0), signal.SIGKILL)


def _cut_off(descriptor: int) -> None:
    """In a child that a stage forked: it holds no end of a pipe, so the run hears when the worker is gone."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    os.dup2(nowhere, descriptor)
    os.close(nowhere)


def main() -> None:
    """Serve requests until the run closes its end."""
    source = os.fdopen(int(sys.argv[1]), "rb")
    worker = Worker(os.fdopen(int(sys.argv[2]), "wb"))
    for number in (1, 2):
        os.set_inheritable(int(sys.argv[number]), False)
        os.register_at_fork(after_in_child=functools.partial(_cut_off, int(sys.argv[number])))
    requests: queue.Queue[Request] = queue.Queue()
    asked = threading.Event()
    threading.Thread(target=_read_requests, args=(source, requests, asked), daemon=True).start()
    if sys.argv[3:]:
        msgspec.json.decode(sys.argv[3], type=Early).begin(asked)
    while True:
        worker.serve(requests.get())


if __name__ == "__main__":
    main()
