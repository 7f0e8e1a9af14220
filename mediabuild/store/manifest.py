"""The record of one stage of one job, `manifest.json` beside its outputs: its facts and what was made.

A manifest that parses describes outputs that were complete when it was written, since it is the last
file written into a directory that is then published in one step. Keys are sorted: equal facts are
equal bytes.

Not here: whether the facts still hold (`rebuilder`).
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import msgspec

from mediabuild.machine import regular
from mediabuild.machine.files import write_atomically
from mediabuild.pipeline.reserved import MANIFEST_NAME
from mediabuild.store.facts import Facts, Files, behind, compute_inputs_checksum, link_text
from mediabuild.store.stats import Stats, is_still, stats_of

SCHEMA_VERSION = 1
DAY_S = 86_400  # `last_checked_ts` is refreshed when it is older


class Manifest(Facts, kw_only=True, forbid_unknown_fields=True):
    """Schema v1: the facts, and what became of them.

    Args:
        task: the task's name.
        inputs_checksum: sha256 over the sorted lines of name and file digest.
        overrides: those of the params that came from the command line.
        runner_version: mediabuild's version.
        outputs: output name → (path relative to the stage's directory → digest).
        timestamp: when the stage completed, in seconds since 1970.
        last_checked_ts: when a run last found it fresh, about to the day.
        device_used: what a fall-back really used; never compared.
        adopted: outputs that a person wrote and `reset-dep` took over; never destroyed.
        tools: package or program → version; recorded, never compared.
        duration_s: how long it took, units that were kept from earlier runs counted as they took then.
        peak_memory_bytes: None where it is not known.
    """

    task: str
    inputs_checksum: Annotated[str, msgspec.Meta(pattern=r"^sha256:[0-9a-f]{64}$")]
    runner_version: str
    outputs: dict[str, Files]
    timestamp: float
    last_checked_ts: float
    schema_version: Annotated[int, msgspec.Meta(ge=1, le=SCHEMA_VERSION)] = SCHEMA_VERSION
    overrides: dict[str, Any] = msgspec.field(default_factory=dict)
    adopted: list[str] = msgspec.field(default_factory=list)
    tools: dict[str, str] = msgspec.field(default_factory=dict)
    device_used: str | None = None
    duration_s: float = 0.0
    peak_memory_bytes: int | None = None

    def output_files(self) -> dict[str, str]:
        """Path relative to the stage's directory → digest, of all outputs."""
        return {path: digest for files in self.outputs.values() for path, digest in files.items()}

    def copied_files(self) -> dict[str, str]:
        """The same, of what is delivered: a copy of a link is a file, and there is none of a link to a directory."""
        outputs = self.output_files().items()
        return {path: behind(digest) for path, digest in outputs if not (link_text(digest) and digest.endswith("/"))}


_decoder = msgspec.json.Decoder(Manifest)
_read: dict[str, tuple[Stats, Manifest]] = {}  # of this process: each is asked for by all that read the stage


def encode(manifest: Manifest) -> bytes:
    """The manifest's bytes: keys sorted at every level, two spaces of indent."""
    return _in_form(manifest)


def _in_form(facts: Any) -> bytes:
    return msgspec.json.format(msgspec.json.encode(facts, order="sorted"), indent=2) + b"\n"


def read_manifest(directory: Path) -> Manifest:
    """The manifest of a stage's directory.

    Raises:
        FileNotFoundError: there is none.
        msgspec.DecodeError: it is no JSON, another version, or lacks a field; the message says which.
        OSError: it can't be read.
    """
    file = directory / MANIFEST_NAME
    stats = stats_of(file)
    known = _read.get(str(file))
    if known is not None and known[0] == stats:
        return msgspec.structs.replace(known[1])  # callers may change theirs
    still = is_still(stats)  # before reading: a change from now on shows in the stats
    manifest = _checked(regular.read_bytes(file))
    if still:
        _read[str(file)] = (stats, manifest)
    return msgspec.structs.replace(manifest)


def known_stats(directory: Path) -> Stats | None:
    """The stats of a stage's manifest when it was last read here, if it can't have changed unseen since."""
    known = _read.get(str(directory / MANIFEST_NAME))
    return known[0] if known else None


def _checked(content: bytes) -> Manifest:
    try:
        manifest = _decoder.decode(content)
    except (UnicodeDecodeError, RecursionError) as error:  # msgspec lets these two through
        raise msgspec.DecodeError(str(error)) from None
    if manifest.inputs_checksum != compute_inputs_checksum(manifest.inputs):
        raise msgspec.ValidationError("inputs_checksum does not match the inputs")
    for path in manifest.output_files():
        plain = os.path.normpath(path) == path.rstrip("/") and path not in (".", "/") and "\0" not in path
        if not plain or path.startswith("/") or ".." in path.split("/"):
            raise msgspec.ValidationError(f"outputs: {path!r} leads outside the stage's directory")
    return manifest


def find_manifest(directory: Path) -> Manifest | None:
    """The manifest of a stage's directory, or None where there is none that can be read."""
    try:
        return read_manifest(directory)
    except (OSError, msgspec.DecodeError):
        return None


def manifest_above(path: Path) -> Path:
    """The manifest that a file belongs to; where there is none, a path where nothing is."""
    above = (folder / MANIFEST_NAME for folder in path.parents)
    return next((manifest for manifest in above if manifest.is_file()), path.parent / MANIFEST_NAME)


def write_manifest(directory: Path, manifest: Manifest, part: Path | None = None) -> None:
    """Write it into a stage's directory, whole or not at all; `part` as in `write_atomically`."""
    write_atomically(directory / MANIFEST_NAME, encode(manifest), part)


def problems(file: Path) -> list[str]:
    """What is wrong with a manifest file, for `validate`: one line each, empty when it is sound.

    Checks the required fields and their types, sorted keys and form, the checksum of the inputs, and
    that output paths stay inside.
    """
    try:
        read_manifest(file.parent)
        content = regular.read_bytes(file)
    except (OSError, msgspec.DecodeError) as error:
        return [str(error)]
    # of what is there, not of all fields: an earlier mediabuild wrote fewer
    in_form = content == _in_form(msgspec.json.decode(content))
    return [] if in_form else ["keys are not sorted, or the form is another"]
