"""Runs a command as a plain child: its words filled in, what it prints into the log, or into outputs.

Not here: what may stand in its table (`pipeline.command_stages`), what becomes of its outputs (`executor`).
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO

from mediabuild.errors import Interrupted, StageError
from mediabuild.execution.command_stages.bytecode import NONE_WRITTEN, remove_bytecode
from mediabuild.execution.command_stages.place import Inputs, Place, isolated
from mediabuild.execution.command_stages.progress import Followed, followed
from mediabuild.execution.outcome import Ran
from mediabuild.freshness.observation import Observation
from mediabuild.machine import regular
from mediabuild.machine.child import Child
from mediabuild.machine.processes import Processes
from mediabuild.media.ffmpeg import ffmpeg_path
from mediabuild.pipeline.command_stages.filling import Values, filled_in, filled_text
from mediabuild.pipeline.command_stages.json_text import last_json
from mediabuild.pipeline.command_stages.pieces import Piece
from mediabuild.pipeline.model import StageSpec, Task
from mediabuild.pipeline.references import single_inputs
from mediabuild.pipeline.reserved import own_name
from mediabuild.reporting.events import Event, StageProgress


class Commands:
    """Runs the commands of stages.

    Args:
        root: the pipeline's folder, where they start.
        emit: receives how far they are.
    """

    def __init__(self, processes: Processes, root: Path, emit: Callable[[Event], None]) -> None:
        self.processes = processes
        self.root = root
        self.emit = emit

    def run(self, task: Task, observation: Observation, out: Path, log: Path, device: str) -> Ran:
        """Run a task's command, its outputs to `out`.

        Raises:
            StageError: it failed or took too long. Interrupted: the run is stopping.
        """
        spec = task.stage
        inputs = {name: list(files.values()) for name, files in observation.handed.items()}
        with regular.open_file(log, "wb") as stream:
            child = self.run_once(task, inputs, spec.outputs, out, observation.code_files, stream, device)
        return Ran(tools=tools_of(spec), peak_memory_bytes=child.peak_memory_bytes)

    def run_once(
        self,
        task: Task,
        inputs: Inputs,
        outputs: Mapping[str, str],
        out: Path,
        programs: Mapping[str, Path],
        log: IO[bytes],
        device: str,
        piece: Piece | None = None,
    ) -> Child:
        """Run a command; for one of its pieces, if it has any.

        Args:
            outputs: output name → file below `out`. programs: the files of the project that it names.

        Raises:
            StageError: it failed or took too long. Interrupted: the run is stopping.
        """
        for name, path in outputs.items():
            folder = out / path if name in task.stage.running.folders else (out / path).parent
            folder.mkdir(parents=True, exist_ok=True)
        with self._place(task, inputs, out, programs) as place:
            values = Values(
                inputs=place.inputs,
                outputs={name: place.out / path for name, path in outputs.items()},
                params=task.params,
                device=device,
                job=own_name(task.job),
                out=place.out,
                singles=single_inputs(task),
                piece=piece.name if piece else "",
                cells=piece.cells if piece else {},
            )
            return self._run(task, values, place.folder, programs, log)

    def _place(
        self, task: Task, inputs: Inputs, out: Path, programs: Mapping[str, Path]
    ) -> contextlib.AbstractContextManager[Place]:
        """Where the command starts."""
        if task.stage.running.isolate:
            return isolated(task, inputs, out, programs, self.root)
        return contextlib.nullcontext(Place(self.root, inputs, out))

    def _run(self, task: Task, values: Values, folder: Path, programs: Mapping[str, Path], log: IO[bytes]) -> Child:
        """Run a command once."""
        spec = task.stage
        argv = filled_in(spec.command, values, folder)
        env = {**os.environ, **NONE_WRITTEN}
        env |= {name: filled_text(text, values, folder) for name, text in spec.running.env.items()}
        remove_bytecode(programs.values(), env)

        def report(done: float, total: float) -> None:
            self.emit(StageProgress(task=task.name, done=done, total=total))

        follow = followed(argv, folder, report) if spec.running.progress else contextlib.nullcontext(Followed(argv))
        with follow as line, _printed(spec, values.outputs, log) as (output, errors):
            try:
                child = self.processes.start(
                    line.argv, cwd=folder, env=env, output=output, errors=errors, pass_fds=line.fds
                )
            finally:
                line.started()
            with self.processes.time_limit(child, spec.timeout_s):
                status = self.processes.finish(child)
            if self.processes.stopping.is_set():
                raise Interrupted("interrupted")
            if status != 0:
                ending = f"was killed by signal {-status}" if status < 0 else f"failed with exit {status}"
                raise StageError(f"{Path(argv[0]).name} {ending}")
        return child


def tools_of(spec: StageSpec) -> dict[str, str]:
    """The tools that a command is given, and their versions."""
    return {"ffmpeg": Path(ffmpeg_path()).name} if any("{ffmpeg}" in item for item in spec.command) else {}


@contextlib.contextmanager
def _printed(spec: StageSpec, outputs: Mapping[str, Path], log: IO[bytes]) -> Iterator[tuple[IO[bytes], IO[bytes]]]:
    """Where a command's stdout and stderr go: into the log, or into outputs.

    Of what goes into a `.json`, only the JSON stays there. The rest is in the log, and so is all that goes into
    an output if the block fails.
    """
    with contextlib.ExitStack() as stack:
        taken = {name: outputs[name] for name in (spec.running.stdout, spec.running.stderr) if name}
        files = {name: stack.enter_context(open(path, "wb")) for name, path in taken.items()}
        try:
            yield files.get(spec.running.stdout, log), files.get(spec.running.stderr, log)
        except StageError:
            for path in taken.values():
                _append(path, log)
            raise
        for name, path in taken.items():
            if spec.outputs[name].endswith(".json"):
                _keep_json(path, name, log)


def _append(path: Path, log: IO[bytes]) -> None:
    with open(path, "rb") as file:
        shutil.copyfileobj(file, log)


def _keep_json(path: Path, name: str, log: IO[bytes]) -> None:
    """Leave only the JSON of what was printed into an output."""
    text = path.read_bytes().decode(errors="replace")
    found = last_json(text)
    if found != text:
        _append(path, log)
    if found is None:
        raise StageError(f"printed no JSON for the output {name!r}")
    path.write_text(found, encoding="utf-8")
