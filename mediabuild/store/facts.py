"""The facts that a result follows from, and the digest that stands for them: its trace.

Not here: taking them (`freshness.observation`), comparing them (`freshness.rebuilder`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from mediabuild.store.digest import hash_bytes
from mediabuild.store.manifest import Manifest


def trace_of(
    stage: str,
    code: Mapping[str, str],
    params: Mapping[str, Any],
    device: str,
    inputs: Mapping[str, Mapping[str, str]],
    models: Mapping[str, str],
) -> str:
    """The digest of the facts that an output set follows from, as hex; the arguments are a manifest's fields."""
    facts = {"stage": stage, "code": code, "params": params, "device": device, "inputs": inputs, "models": models}
    return hash_bytes(msgspec.json.encode(facts, order="sorted"), "blake3").partition(":")[2]


def manifest_trace(manifest: Manifest) -> str:
    """The trace of a recorded output set."""
    m = manifest
    return trace_of(m.stage, m.code, m.params, m.device, m.inputs, m.models)
