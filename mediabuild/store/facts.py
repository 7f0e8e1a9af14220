"""The list of facts that a result follows from, and their digest, the trace.

This is the one list of them. A manifest records them, an observation takes them now, a worker is handed them,
and equal traces mean equal results.

Not here: taking them (`freshness.observation`), comparing them (`freshness.rebuilder`). A stage's own interpreter
imports this module: it needs nothing but msgspec.
"""

from __future__ import annotations

import hashlib
from typing import Annotated, Any

import msgspec

DIGEST = r"^(blake3|sha256):[0-9a-f]{64}(\+x)?(\+link:[!-~]+)?$"

Digest = Annotated[
    str,
    msgspec.Meta(
        pattern=DIGEST,
        description="algorithm-tagged content hash; +x: an executable; +link:TEXT: a link, and the hash is of what it"
        " leads to (a directory, where the text ends with /)",
    ),
]
Files = dict[str, Digest]  # path → digest


class Facts(msgspec.Struct, kw_only=True):
    """What a result follows from.

    Args:
        stage: the stage's name.
        code: what the stage was: `version`, or `file` and the modules that it uses; for a command, its `command` and
            `outputs`.
        params: the effective params, as plain values.
        device: the resolved device.
        inputs: input name → (path relative to the job or the pipeline → digest).
        models: model name → digest of its bytes, empty where they are not known.
    """

    stage: str
    code: dict[str, str]
    params: dict[str, Any]
    device: str
    inputs: dict[str, Files]
    models: dict[str, str] = {}

    @property
    def algorithm(self) -> str:
        """By which algorithm the inputs are digested; empty where there are none."""
        for files in self.inputs.values():
            for digest in files.values():
                return digest.partition(":")[0]
        return ""

    def facts(self) -> dict[str, Any]:
        """Just these fields, also of a manifest, which has more: field → value."""
        return {name: getattr(self, name) for name in FIELDS}

    def trace(self) -> str:
        """The digest of the facts, as hex: SHA-256 of their JSON with sorted keys."""
        return hashlib.sha256(msgspec.json.encode(self.facts(), order="sorted")).hexdigest()


FIELDS = tuple(field.name for field in msgspec.structs.fields(Facts))
