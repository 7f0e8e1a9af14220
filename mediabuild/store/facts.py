"""The list of facts that a result follows from, and their digest, the trace; what a digest says of a file.

This is the one list of them. A manifest records them, an observation takes them now, a worker is handed them,
and equal traces mean equal results.

Not here: taking them (`freshness.observation`), comparing them (`freshness.rebuilder`). A stage's own interpreter
imports this module: it needs nothing but msgspec.
"""

from __future__ import annotations

import hashlib
import os
import urllib.parse
from collections.abc import Mapping
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
WRITTEN = "written by the command"  # in place of a digest: a file that a command names and changes is no fact
ORDER = "order"  # among the facts of the code: files aren't in the order of letters (`natural`), have keys `JOB/FILE`
EXECUTABLE, LINK = "+x", "+link:"  # what a digest ends with


class Facts(msgspec.Struct, kw_only=True):
    """What a result follows from.

    Args:
        stage: the stage's name.
        code: what the stage was: `version`, or `file` and the modules that it uses; for a command, its `command` and
            `outputs`; `order` where the files of an input aren't handed over in the order of letters.
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

    def is_by(self, algorithm: str) -> bool:
        """Whether all files are digested by this algorithm; a change of it may come in the middle."""
        of_files = [digest for files in self.inputs.values() for digest in files.values()]
        facts = [fact for fact in (*of_files, *self.code.values(), *self.models.values()) if is_digest(fact)]
        return all(fact.startswith(f"{algorithm}:") for fact in facts)

    def facts(self) -> dict[str, Any]:
        """Just these fields, also of a manifest, which has more: field → value."""
        return {name: getattr(self, name) for name in FIELDS}

    def trace(self) -> str:
        """The digest of the facts, as hex: SHA-256 of their JSON with sorted keys."""
        return hashlib.sha256(msgspec.json.encode(self.facts(), order="sorted")).hexdigest()


FIELDS = tuple(field.name for field in msgspec.structs.fields(Facts))


def compute_inputs_checksum(inputs: Mapping[str, Mapping[str, str]]) -> str:
    """sha256 over the sorted lines of name and file digest, as the manifest's `inputs_checksum`.

    Args:
        inputs: input name → (path → digest).

    Each line is `NAME PATH DIGEST`, the path as a JSON string, so that no name can forge a line.
    """
    lines = sorted(
        f"{name} {msgspec.json.encode(path).decode()} {digest}\n"
        for name, files in inputs.items()
        for path, digest in files.items()
    )
    return "sha256:" + hashlib.sha256("".join(lines).encode()).hexdigest()


def link_text(digest: str) -> str | None:
    """What the link says that a digest is of; None for a file's."""
    _, is_link, text = digest.partition(LINK)
    return os.fsdecode(urllib.parse.unquote_to_bytes(text.removesuffix("/"))) if is_link else None


def is_executable(digest: str) -> bool:
    """Whether a digest is of an executable, or of a link to one."""
    return EXECUTABLE in digest


def by(algorithm: str, digest: str) -> str:
    """What `Digests.output` needs to know of a recorded digest to make one by another algorithm."""
    return f"{algorithm}:{digest.partition(':')[2]}"


def taken_by(algorithm: str, recorded: Facts) -> Facts:
    """Recorded facts as an observation is to be like them that takes them by another algorithm: it looks at the same.

    What a run loaded is only in its record, so an observation without it would lose it.
    """

    def anew(facts: Mapping[str, str]) -> dict[str, str]:
        return {name: by(algorithm, fact) if is_digest(fact) else fact for name, fact in facts.items()}

    inputs = {name: anew(files) for name, files in recorded.inputs.items()}
    return msgspec.structs.replace(recorded, code=anew(recorded.code), inputs=inputs, models=anew(recorded.models))


def is_digest(fact: str) -> bool:
    """Whether a fact is the digest of a file, rather than a text."""
    return fact.startswith(("blake3:", "sha256:"))


def behind(digest: str) -> str:
    """The digest of a copy of what a stage made: a copy of a link is a file."""
    return digest.partition(LINK)[0]
