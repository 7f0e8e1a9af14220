"""Facts: one list of fields, and a trace that stands for them."""

from __future__ import annotations

import ast
from pathlib import Path

import msgspec
import pytest

from mediabuild.store.facts import FIELDS, Facts
from mediabuild.store.manifest import Manifest

PACKAGE = Path(__file__).parents[3] / "mediabuild"
FACTS = Facts(
    stage="B",
    code={"version": "1"},
    params={"times": 2, "nested": {"b": 1, "a": [1.5, None]}},
    device="cpu",
    inputs={"text": {"A/a.txt": "blake3:" + "0" * 64}},
    models={"voice": ""},
)


def test_a_manifest_records_the_facts_and_has_their_trace() -> None:
    """What follows from equal facts has one trace, whatever else is recorded."""
    more = {"task": "B:one", "inputs_checksum": "", "runner_version": "1", "outputs": {}, "timestamp": 1.0}
    manifest = Manifest(**FACTS.facts(), **more, last_checked_ts=2.0)
    assert manifest.facts() == FACTS.facts()
    assert manifest.trace() == FACTS.trace()


@pytest.mark.parametrize("field", FIELDS)
def test_each_fact_changes_the_trace(field: str) -> None:
    """No field is left out of it."""
    value = getattr(FACTS, field)
    other = f"{value}x" if isinstance(value, str) else {**value, "more": "x"}
    assert Facts(**{**FACTS.facts(), field: other}).trace() != FACTS.trace()


def test_the_order_of_keys_changes_nothing() -> None:
    """Params in another order are the same params."""
    turned = {"nested": {"a": [1.5, None], "b": 1}, "times": 2}
    assert Facts(**{**FACTS.facts(), "params": turned}).trace() == FACTS.trace()


def test_the_fields_are_listed_once() -> None:
    """No other class of the engine declares them again: what has facts, has `Facts`."""
    assert set(FIELDS) <= {field.name for field in msgspec.structs.fields(Manifest)}
    again = []
    for file in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.ClassDef) and node.name not in ("Facts", "Task"):  # a task is what they follow from
                declared = {s.target.id for s in node.body if isinstance(s, ast.AnnAssign) and hasattr(s.target, "id")}
                if len(declared & set(FIELDS)) > len(FIELDS) // 2:
                    again.append(f"{file.name}: {node.name}")
    assert again == []
