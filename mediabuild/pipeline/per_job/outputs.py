"""The names of a task's outputs: as its stage declares them, with the keys of its matrix filled in.

Not here: what a run left there (`execution.recorder`), copies (`pipeline.deliveries`).
"""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Mapping
from dataclasses import replace

from mediabuild.pipeline.mistakes import Mistakes
from mediabuild.pipeline.model import StageSpec
from mediabuild.pipeline.per_job.axis import Scalar
from mediabuild.pipeline.placeholders import check_names, fill, names_in, text_of
from mediabuild.pipeline.reserved import LONGEST_NAME, MANIFEST_NAME, encode_name


def check_outputs(where: str, outputs: Mapping[str, str], keys: Iterable[str] | None, mistakes: Mistakes) -> None:
    """Note names that can't be an output's, and outputs that lie in one another.

    Args:
        keys: of the stage's matrix, which may stand in a name as placeholders; None where they are filled in.
    """
    for name, path in outputs.items():
        if keys is not None:
            check_names(f"{where}.outputs.{name}", path, set(keys), mistakes)
        parts = path.split("/")
        if path.startswith(("/", "~")) or ".." in parts or not path.strip("./") or "\x00" in path:
            mistakes.add(
                f"{where}.outputs.{name}",
                f"{path!r} leads outside the stage's directory",
                'a name below it: "sound.wav"',
            )
        elif os.path.normpath(path).split("/")[0].lower() == MANIFEST_NAME:  # some disks know no case
            mistakes.add(f"{where}.outputs.{name}", f"{MANIFEST_NAME} is the manifest's name")
        if any(len(os.fsencode(part)) > LONGEST_NAME for part in parts):
            mistakes.add(f"{where}.outputs.{name}", f"too long a name: at most {LONGEST_NAME} bytes")
    taken: dict[str, str] = {}
    for name, path in ((name, os.path.normpath(path)) for name, path in outputs.items()):
        clash = next(
            (n for n, p in taken.items() if (path + "/").startswith(p + "/") or (p + "/").startswith(path + "/")), None
        )
        if clash:
            mistakes.add(f"{where}.outputs.{name}", f"{path!r} overlaps the output {clash!r}")
        taken[name] = path


def at_values(spec: StageSpec, at: Mapping[str, Scalar], mistakes: Mistakes) -> StageSpec:
    """The stage as one task has it: with the names of its outputs for these matrix values."""
    if not at or not any(names_in(path) for path in spec.outputs.values()):
        return spec
    names = {key: text_of(value).replace("*", encode_name("*")) for key, value in at.items()}  # no pattern
    escaped = {key: glob.escape(name) for key, name in names.items()}
    outputs = {n: fill(path, (escaped if "*" in path else names).get) for n, path in spec.outputs.items()}
    check_outputs(f"stages.{spec.name}", outputs, None, mistakes)
    return replace(spec, outputs=outputs)
