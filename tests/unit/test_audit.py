"""The project audits itself: schemas are current, stages are versioned, tested and documented."""

from __future__ import annotations

import importlib.util
import json
import re
from pathlib import Path

import pytest

from mediabuild.commands.schema import all_schemas

ROOT = Path(__file__).parents[2]
MOST_MODULES = 16  # of one folder
STAGES = sorted(file.stem for file in (ROOT / "stages").glob("*.py"))


def test_there_are_nine_stages() -> None:
    """The audit below looks at real stages."""
    assert len(STAGES) == 9


@pytest.mark.parametrize("name", sorted(all_schemas()))
def test_a_committed_schema_is_current(name: str) -> None:
    """`python -m mediabuild.commands.schema docs` would change nothing."""
    assert (ROOT / "docs" / name).read_text() == all_schemas()[name]


def test_a_changed_stage_has_a_raised_version() -> None:
    """No built-in stage's code differs from what its declared version stands for."""
    script = ROOT / "scripts/record_stage_versions.py"
    spec = importlib.util.spec_from_file_location("record_stage_versions", script)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    recorded = json.loads((ROOT / "tests/stages/versions.json").read_text())
    assert module.unraised(recorded) == [], "python scripts/record_stage_versions.py tells what to do"
    assert sorted(recorded) == STAGES
    assert {name: now["version"] for name, now in module.present().items()} == {
        name: was["version"] for name, was in recorded.items()
    }


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_is_tested_and_documented(stage: str) -> None:
    """It has a test file of its own, is skipped in the test of the whole pipeline, and stands in the docs."""
    assert (ROOT / f"tests/stages/test_{stage}.py").exists()
    whole = (ROOT / "tests/e2e/test_real_pipeline.py").read_text()
    order = re.search(r"ORDER = \[(.*?)\]", whole, re.DOTALL)
    assert order is not None and f"{stage}:sample" in order[1]
    assert f"`{stage}`" in (ROOT / "docs/QUICKSTART.md").read_text() + (ROOT / "README.md").read_text()


def test_no_room_is_crowded() -> None:
    """At most sixteen modules in a folder: a newcomer finds theirs by reading its list of names."""
    crowded = {}
    for folder in [ROOT / "mediabuild", *(path for path in (ROOT / "mediabuild").rglob("*") if path.is_dir())]:
        modules = [file.name for file in folder.glob("*.py") if file.name != "__init__.py"]
        if len(modules) > MOST_MODULES:
            crowded[folder.name] = len(modules)
    assert crowded == {}
