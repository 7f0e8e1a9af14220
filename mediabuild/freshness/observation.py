"""Takes the present facts of a task: inputs, code, params, device, models.

Trouble is no exception here: what can't be looked at becomes a reason.

Not here: comparing the facts with what is recorded (`rebuilder`), what is there of the outputs (`presence`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from mediabuild.errors import MediabuildError, StageError
from mediabuild.freshness.code import CodeReader
from mediabuild.freshness.fixity import CHANGED, Fixity, accepting
from mediabuild.freshness.inputs import InputReader
from mediabuild.freshness.presence import why
from mediabuild.freshness.producers import Producers
from mediabuild.machine.hardware.device import Devices
from mediabuild.machine.here import command
from mediabuild.machine.interpreter import site_packages
from mediabuild.pipeline.model import Pipeline, Reason, StageSpec, Task
from mediabuild.stage import Lookup, ModelRef
from mediabuild.store.digest import Digests
from mediabuild.store.facts import ORDER, Facts, Files


@dataclass
class Observation:
    """The facts of a task as they are now.

    Args:
        facts: as a manifest records them.
        handed: input name → (key → path): what the stage is given.
        models: name → what the stage would load.
        code_files: name among the facts of the code → file.
        troubles: what could not be looked at: reason and, for the user, why.
        vouched: inputs weren't there, and their stage's manifest stood for them.
    """

    facts: Facts
    handed: dict[str, dict[str, Path]] = field(default_factory=dict)
    models: dict[str, ModelRef] = field(default_factory=dict)
    code_files: dict[str, Path] = field(default_factory=dict)
    troubles: list[Reason] = field(default_factory=list)
    vouched: bool = False


class Observer:
    """Takes the facts of tasks.

    Args:
        media_present: False trusts the manifests for what files hold (`check --manifests-only`).
    """

    def __init__(
        self, pipeline: Pipeline, digests: Digests, devices: Devices, producers: Producers, *, media_present: bool
    ) -> None:
        self.pipeline = pipeline
        self.digests = digests
        self.devices = devices
        self.producers = producers
        self.media_present = media_present
        self.code = CodeReader(pipeline, digests)
        self.fixity = Fixity(pipeline, digests, producers.tasks)
        self.inputs = InputReader(pipeline, digests, producers, media_present=media_present)

    def observe(self, task: Task, like: Facts | None = None, *, adopting: bool = False) -> Observation:
        """Take the facts; trouble becomes a reason.

        Args:
            like: the recorded facts: files are hashed with the algorithm that they were recorded with, so that
                changing `checksum` re-runs nothing.
            adopting: what is there counts, also where it is frozen and was something else.
        """
        facts = Facts(stage=task.stage.name, code={}, params=_plain(task.params), device="cpu", inputs={}, models={})
        now = Observation(facts)
        recorded = like.inputs if like else {}
        ways = [self._observe_input(task, name, recorded.get(name, {}), now) for name in task.inputs]
        for name in task.inputs if not adopting else ():
            now.troubles += self.fixity.troubles(task, name, now.facts.inputs[name])
        try:
            facts.device = self.devices.resolve(task.device, task.stage.devices, task.stage.python)
        except MediabuildError as error:
            now.troubles.append(Reason("device", now=error.message))
        self._observe_code(task, like, now)
        if any(ways):
            facts.code[ORDER] = ", ".join(sorted(set().union(*ways)))
        self._observe_models(task, like, now)
        return now

    def _observe_input(self, task: Task, name: str, recorded: Files, now: Observation) -> set[str]:
        """Take the facts of an input; returns in which ways it isn't handed over letter by letter, one by one."""
        found = self.inputs.read(task, name, recorded)
        now.facts.inputs[name] = found.files
        now.handed[name] = found.handed
        now.troubles += found.troubles
        now.vouched = now.vouched or found.vouched
        return {word for word, holds in (("natural", found.reordered), ("JOB/FILE", found.several)) if holds}

    def _observe_code(self, task: Task, like: Facts | None, now: Observation) -> None:
        code = self.code.read(task, like.code if like else {})
        now.facts.code, now.code_files = code.facts, code.files
        now.troubles += [Reason("stage", name, now=why(error)) for name, error in code.missing.items()]

    def _observe_models(self, task: Task, like: Facts | None, now: Observation) -> None:
        try:
            now.models = models_of(self.pipeline, task.stage, task.params)
            for name, model in now.models.items():
                recorded = like.models.get(name, "") if like else ""
                algorithm = recorded.partition(":")[0] or self.pipeline.checksum
                now.facts.models[name] = "" if model.path is None else self.digests.whole(model.path, algorithm)
        except MediabuildError as error:
            now.troubles.append(Reason("model", now=error.message))
        except OSError as error:
            now.troubles.append(Reason("model", now=why(error)))
        except Exception as error:  # a stage's own function may raise anything
            now.troubles.append(Reason("model", now=f"{type(error).__name__}: {error}"))


def models_of(
    pipeline: Pipeline, spec: StageSpec, params: Mapping[str, Any], looked_at: list[Path] | None = None
) -> dict[str, ModelRef]:
    """What a stage would load with these params; raises whatever its own function raises.

    Args:
        looked_at: gets the places where models were looked for, whether one was there or not.
    """
    declaration = spec.declaration
    if declaration is None or declaration.models is None or spec.file is None:
        return {}
    lookup = Lookup(spec.file.parent, pipeline.root, site_packages(spec.python), [] if looked_at is None else looked_at)
    return declaration.models(msgspec.convert(params, declaration.params), lookup)


def _plain(params: Mapping[str, Any]) -> dict[str, Any]:
    """Params as a manifest holds them."""
    plain: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(params))
    return plain


def refuse_troubles(task: Task, observation: Observation) -> None:
    """Never build on what can't be looked at.

    Raises:
        StageError: names what it is.
    """
    if observation.troubles:
        frozen = any(trouble.now == CHANGED for trouble in observation.troubles)
        hint = accepting(task) if frozen else command("explain", task.name)
        raise StageError("; ".join(str(trouble) for trouble in observation.troubles), hint)
