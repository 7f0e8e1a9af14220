"""The rebuilder compares plain data: every kind of reason, was → now, without a single file."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mediabuild.freshness.observation import Observation
from mediabuild.freshness.presence import Outputs
from mediabuild.freshness.rebuilder import copy_reasons, fact_reasons, output_reasons
from mediabuild.pipeline.model import Reason
from mediabuild.store.facts import FIELDS, Facts
from mediabuild.store.manifest import Manifest

ONE, TWO = "blake3:" + "1" * 64, "blake3:" + "2" * 64
SHORT_ONE, SHORT_TWO = "blake3:" + "1" * 12 + "…", "blake3:" + "2" * 12 + "…"
FACTS: dict[str, Any] = {
    "stage": "B",
    "code": {"file": ONE},
    "params": {"times": 2},
    "device": "cpu",
    "inputs": {"text": {"A/a.txt": ONE}},
    "models": {"voice": ONE},
}


def manifest(**changes: Any) -> Manifest:
    """A record of these facts and of two outputs."""
    more = {"task": "B:one", "inputs_checksum": "", "runner_version": "1", "timestamp": 1.0, "last_checked_ts": 2.0}
    outputs = {"text": {"b.txt": ONE}, "parts": {"p1": ONE, "p2": TWO}}
    return Manifest(**{**FACTS, "outputs": outputs, **more, **changes})


def reasons(now: dict[str, Any], *, by_device: bool = True, troubles: tuple[Reason, ...] = (), **was: Any) -> list[str]:
    """Why a task with this record would run, in the words of `explain`."""
    observation = Observation(Facts(**{**FACTS, **now}), troubles=list(troubles))
    return [
        f"{r.kind}.{r.name} {r.was} → {r.now}" for r in fact_reasons(manifest(**was), observation, by_device=by_device)
    ]


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        ({}, []),
        ({"code": {"file": TWO}}, [f"stage.file {SHORT_ONE} → {SHORT_TWO}"]),
        ({"code": {"version": "2"}}, ["stage. the project's own file → the built-in stage"]),
        ({"code": {"command": "[]"}}, ["stage. the project's own file → a command"]),
        ({"params": {"times": 3}}, ["params.times 2 → 3"]),
        ({"params": {"times": 2.0}}, ["params.times 2 → 2.0"]),
        ({"params": {}}, ["params.times 2 → None"]),
        ({"params": {"times": 2, "new": "x"}}, ['params.new None → "x" (added)']),
        ({"device": "cuda"}, ["device. cpu → cuda"]),
        ({"inputs": {"text": {"A/a.txt": TWO}}}, [f"inputs.text: A/a.txt {SHORT_ONE} → {SHORT_TWO}"]),
        ({"inputs": {"text": {}}}, ["inputs.text: A/a.txt None → removed"]),
        ({"inputs": {"text": {"B/b.txt": ONE}}}, ["inputs.text A/a.txt → B/b.txt"]),
        ({"inputs": {"text": {"A/a.txt": ONE, "x": TWO}}}, ["inputs.text: x None → added"]),
        ({"inputs": {}}, ["inputs.text: A/a.txt None → removed"]),
        ({"models": {"voice": TWO}}, [f"model.voice {SHORT_ONE} → {SHORT_TWO}"]),
        ({"models": {"other": TWO}}, [f"model.other None → {SHORT_TWO}", f"model.voice {SHORT_ONE} → None"]),
        ({"models": {"voice": ""}}, []),
    ],
    ids=str,
)
def test_each_kind_of_fact(now: dict[str, Any], expected: list[str]) -> None:
    """One reason for each difference; a hub's model whose bytes aren't known is none."""
    assert reasons(now) == expected


@pytest.mark.parametrize(("was", "now", "same"), [("320", 320, True), ("1", 1.0, False), ("true", True, True)])
def test_a_command_is_given_text(was: Any, now: Any, same: bool) -> None:
    """What is the same as an argument is the same param; a Python stage gets its type."""
    for code in ({"command": "[]", "outputs": "{}"}, {"file": ONE}):
        found = reasons({"code": code, "params": {"times": now}}, code=code, params={"times": was})
        assert (found == []) is (same and "command" in code), found


def test_all_differences_at_once_in_the_order_of_the_design() -> None:
    """Code, params, device, inputs, troubles, models."""
    now = {
        "code": {"file": TWO},
        "params": {"times": 3},
        "device": "mps",
        "inputs": {"text": {"A/a.txt": TWO}},
        "models": {"voice": TWO},
    }
    found = reasons(now, troubles=(Reason("inputs", "terms: x", now="missing"),))
    kinds = ["stage", "params", "device", "inputs", "inputs", "model"]
    assert [reason.partition(".")[0] for reason in found] == kinds


def test_the_device_counts_for_stages_that_use_one() -> None:
    """Others may be built anywhere."""
    assert reasons({"device": "cuda"}, by_device=False) == []


def test_an_override_that_is_gone_is_called_so() -> None:
    """The param came from the command line last time."""
    assert reasons({"params": {"times": 3}}, overrides={"times": 2}) == ["params.times 2 → 3 (the override is gone)"]


def test_trouble_is_said_once() -> None:
    """A file that can't be read is no removed file besides."""
    trouble = Reason("inputs", "text: A/a.txt", now="missing")
    assert reasons({"inputs": {"text": {}}}, troubles=(trouble,)) == ["inputs.text: A/a.txt None → missing"]


def test_an_input_that_is_wired_to_something_that_isnt_built() -> None:
    """It is neither a removed file nor only one that isn't built."""
    trouble = Reason("inputs", "text: B", now="not built yet")
    assert reasons({"inputs": {"text": {}}}, troubles=(trouble,)) == ["inputs.text A/a.txt → B (not built yet)"]
    trouble = Reason("inputs", "text: A", now="not built yet")
    assert reasons({"inputs": {"text": {}}}, troubles=(trouble,)) == ["inputs.text: A None → not built yet"]


@pytest.mark.parametrize(
    ("reason", "said"),
    [
        (Reason("never_run"), "not built yet"),
        (Reason("never_run", now="the manifest can't be read: x"), "the manifest can't be read: x"),
        (Reason("stage", "file", SHORT_ONE, SHORT_TWO), "stage.file changed"),
        (Reason("stage", "stages/_w.py", SHORT_ONE, None), "stage.stages/_w.py removed"),
        (Reason("stage", "stages/_w.py", None, SHORT_ONE + " (added)"), "stage.stages/_w.py added"),
        (Reason("stage", "stages/_w.py", now="missing"), "stage.stages/_w.py missing"),
        (Reason("stage", "version", "1", "2"), "stage.version: 1 → 2"),
        (Reason("stage", "", "the built-in stage", "a command"), "stage: the built-in stage → a command"),
        (Reason("inputs", "audio", "A/a.wav", "B/b.wav"), "inputs.audio: A/a.wav → B/b.wav"),
        (Reason("inputs", "terms: a.csv", now="removed"), "inputs.terms: a.csv removed"),
        (Reason("outputs", "b.txt", SHORT_ONE, SHORT_TWO), "outputs.b.txt changed"),
        (Reason("model", "voice", SHORT_ONE, None), "model.voice removed"),
        (Reason("params", "times", "2", None), "params.times: 2 → (removed)"),
        (Reason("params", "times", None, "3 (added)"), "params.times: 3 (added)"),
        (Reason("forced"), "forced"),
    ],
    ids=str,
)
def test_a_reason_in_words(reason: Reason, said: str) -> None:
    """What people read: never a digest, never another thing than what happened."""
    assert str(reason) == said


def test_outputs_missing_changed_unreadable_added_and_not_recorded() -> None:
    """Each by its path; what was deleted of a temp stage is none."""
    now = Outputs(digests={"p1": ONE, "p2": ONE}, missing=["b.txt"], added=["parts/x"])
    declared = {"text": "b.txt", "parts": "p*", "more": "m.txt"}
    found = [f"{r.name}: {r.now}" for r in output_reasons(declared, False, manifest(), now)]
    assert found == ["m.txt: not recorded", "b.txt: missing", f"p2: {SHORT_ONE}", "parts/x: added"]
    assert [r.name for r in output_reasons({"text": "b.txt"}, True, manifest(), now)] == ["p2", "parts/x"]
    now = Outputs(digests={"p1": ONE, "p2": TWO}, troubles={"b.txt": "can't be read: Permission denied"})
    assert [r.now for r in output_reasons({"text": "b.txt"}, True, manifest(), now)] == list(now.troubles.values())


def test_copies_missing_and_edited() -> None:
    """Only copies are wanted then, no run."""
    wanted = {"out/a": ONE, "out/b": ONE, "out/c": ONE}
    found = [(r.name, r.now) for r in copy_reasons(wanted, {"out/a": ONE, "out/b": TWO, "out/c": None})]
    assert found == [("out/b", "edited"), ("out/c", "not delivered")]


@settings(derandomize=True, database=None, deadline=None)
@given(st.data())
def test_no_reason_means_equal_facts(data: st.DataObject) -> None:
    """For any two sets of facts: there is no reason just when the trace is the same."""
    names = st.sampled_from(["a", "b"])
    files = st.dictionaries(names, st.sampled_from([ONE, TWO]), min_size=1)
    tables = st.dictionaries(names, st.sampled_from(["x", "y"]), max_size=2)
    one, other = (
        {
            "stage": "B",
            "code": data.draw(tables),
            "params": data.draw(st.dictionaries(names, st.sampled_from([1, 1.0, True, "1", None]), max_size=2)),
            "device": data.draw(st.sampled_from(["cpu", "cuda"])),
            "inputs": data.draw(st.dictionaries(names, files)),
            "models": data.draw(tables),
        }
        for _ in range(2)
    )
    assert set(one) == set(FIELDS)
    same = Facts(**one).trace() == Facts(**other).trace()
    assert (reasons(other, **one) == []) == same
