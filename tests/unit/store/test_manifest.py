"""The manifest: what is written is what is read, in one form, and what is damaged is told."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mediabuild.machine.hashing import hash_bytes
from mediabuild.pipeline.reserved import MANIFEST_NAME
from mediabuild.store.facts import compute_inputs_checksum
from mediabuild.store.manifest import Manifest, encode, find_manifest, problems, read_manifest, write_manifest

ANY = settings(derandomize=True, database=None, max_examples=150, deadline=None)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
NAMES = st.from_regex(r"[a-z_][a-z0-9_]{0,3}", fullmatch=True)
DIGESTS = st.sampled_from([hash_bytes(b"%d" % n, kind) for n in range(3) for kind in ("blake3", "sha256")])
TRICKY = st.sampled_from(["p", 'p" x', "p\n", "p\\n", "p q", "ü", f'p" {hash_bytes(b"0", "blake3")}\na "p'])
INPUTS = st.dictionaries(NAMES, st.dictionaries(TEXT | TRICKY, DIGESTS, max_size=3), max_size=3)
VALUES = (
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | TEXT
)
PARAMS = st.dictionaries(
    TEXT, VALUES | st.lists(VALUES, max_size=2) | st.dictionaries(TEXT, VALUES, max_size=2), max_size=3
)


def manifest_with(**fields: Any) -> Manifest:
    """A sound manifest with some fields of its own."""
    facts: dict[str, Any] = {
        "stage": "A",
        "task": "A:one",
        "inputs": {"media": {"media/one.txt": hash_bytes(b"1", "blake3")}},
        "params": {"b": 1, "a": [2.0, "x"]},
        "runner_version": "1",
        "outputs": {"text": {"a.txt": hash_bytes(b"2", "blake3")}},
        "timestamp": 1.5,
        "last_checked_ts": 2.5,
        "device": "cpu",
        "code": {"version": "1"},
    }
    facts |= fields
    return Manifest(**{"inputs_checksum": compute_inputs_checksum(facts["inputs"]), **facts})


def triples(inputs: dict[str, dict[str, str]]) -> set[tuple[str, str, str]]:
    """The facts that the checksum stands for."""
    return {(name, path, digest) for name, files in inputs.items() for path, digest in files.items()}


@ANY
@given(INPUTS, INPUTS)
def test_no_path_forges_a_checksum(one: dict[str, dict[str, str]], other: dict[str, dict[str, str]]) -> None:
    """Equal checksums mean equal facts, whatever quotes and newlines are in the paths."""
    same = compute_inputs_checksum(one) == compute_inputs_checksum(other)
    assert same == (triples(one) == triples(other))


@ANY
@given(INPUTS, st.randoms(use_true_random=False))
def test_order_does_not_count_for_the_checksum(inputs: dict[str, dict[str, str]], random: Any) -> None:
    """Lines are sorted."""
    names = list(inputs)
    random.shuffle(names)
    shuffled = {name: dict(reversed(inputs[name].items())) for name in names}
    assert compute_inputs_checksum(shuffled) == compute_inputs_checksum(inputs)


def test_a_newline_in_a_path_is_no_second_line() -> None:
    """The classic: one file whose name looks like two lines against two files."""
    zero, one = hash_bytes(b"0", "blake3"), hash_bytes(b"1", "blake3")
    two_files = {"a": {"p": zero, "q": one}}
    one_file = {"a": {f'p" {zero}\na "q': one}}
    assert compute_inputs_checksum(two_files) != compute_inputs_checksum(one_file)


@ANY
@given(INPUTS, PARAMS)
def test_what_is_written_is_what_is_read(inputs: dict[str, dict[str, str]], params: dict[str, Any]) -> None:
    """Bytes to facts and back: nothing is lost, and the form is always the same."""
    manifest = manifest_with(inputs=inputs, params=params)
    content = encode(manifest)
    decoded = msgspec.json.decode(content, type=Manifest)
    assert decoded == manifest
    assert encode(decoded) == content


@ANY
@given(PARAMS)
def test_equal_facts_are_equal_bytes(params: dict[str, Any]) -> None:
    """Keys are sorted at every level, whatever order they came in."""
    content = encode(manifest_with(params=params))
    assert encode(manifest_with(params=dict(reversed(params.items())))) == content
    ordered: list[list[str]] = []
    json.loads(content, object_pairs_hook=lambda pairs: ordered.append([key for key, _ in pairs]))
    assert all(keys == sorted(keys, key=lambda key: key.encode()) for keys in ordered)


def test_a_sound_manifest_has_no_problems(tmp_path: Path) -> None:
    """And is found; where there is none, none is."""
    assert find_manifest(tmp_path) is None
    with pytest.raises(FileNotFoundError):
        read_manifest(tmp_path)
    write_manifest(tmp_path, manifest_with())
    assert problems(tmp_path / MANIFEST_NAME) == []
    assert find_manifest(tmp_path) == manifest_with()


def damaged(tmp_path: Path, content: bytes) -> str:
    """The problems of a manifest with this content, after checking that no run would believe it."""
    (tmp_path / MANIFEST_NAME).write_bytes(content)
    found = problems(tmp_path / MANIFEST_NAME)
    assert found
    assert find_manifest(tmp_path) is None
    return "; ".join(found)


def test_cut_off_at_any_byte_it_is_told(tmp_path: Path) -> None:
    """No prefix passes for a manifest."""
    whole = encode(manifest_with())
    for length in range(len(whole) - 1):  # without its last newline it is still all there
        damaged(tmp_path, whole[:length])


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"stage": None}, "stage"),
        ({"params": []}, "params"),
        ({"extra": 1}, "extra"),
        ({"schema_version": 2}, "schema_version"),
        ({"timestamp": "now"}, "timestamp"),
        ({"inputs_checksum": "sha256:" + "0" * 64}, "inputs_checksum does not match"),
        ({"inputs": {}}, "inputs_checksum does not match"),
        ({"inputs": {"media": {"media/one.txt": "md5:00"}}}, "inputs"),
        ({"outputs": {"text": {"../a.txt": hash_bytes(b"", "blake3")}}}, "leads outside"),
        ({"outputs": {"text": {"/etc/passwd": hash_bytes(b"", "blake3")}}}, "leads outside"),
        ({"outputs": {"text": {"x/../../a": hash_bytes(b"", "blake3")}}}, "leads outside"),
    ],
)
def test_a_wrong_field_is_told(tmp_path: Path, change: dict[str, Any], told: str) -> None:
    """Types, forms, versions, unknown fields, a checksum that doesn't recompute, a path that escapes."""
    facts = json.loads(encode(manifest_with())) | change
    assert told in damaged(tmp_path, json.dumps(facts, indent=2, sort_keys=True).encode())


@pytest.mark.parametrize("field", ["stage", "inputs", "inputs_checksum", "params", "outputs", "timestamp", "device"])
def test_a_missing_field_is_told(tmp_path: Path, field: str) -> None:
    """Every required one."""
    facts = json.loads(encode(manifest_with()))
    del facts[field]
    assert field in damaged(tmp_path, json.dumps(facts).encode())


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"null", b"[]", b"[" * 100_000, b"{}", b'{"stage": "\xff"}'])
def test_what_is_no_manifest_at_all_is_told(tmp_path: Path, content: bytes) -> None:
    """Never a crash."""
    damaged(tmp_path, content)


def test_another_form_is_a_problem_but_still_read(tmp_path: Path) -> None:
    """Unsorted keys and other spacing break the rule that equal facts are equal bytes; the facts count."""
    facts = json.loads(encode(manifest_with()))
    (tmp_path / MANIFEST_NAME).write_text(json.dumps(dict(reversed(facts.items()))))
    assert problems(tmp_path / MANIFEST_NAME) == ["keys are not sorted, or the form is another"]
    assert find_manifest(tmp_path) == manifest_with()


def test_times_that_run_backwards_are_no_problem(tmp_path: Path) -> None:
    """The clock was ahead when it was made, and was set right before it was looked at."""
    write_manifest(tmp_path, manifest_with(last_checked_ts=1.0))
    assert problems(tmp_path / MANIFEST_NAME) == []


def test_an_edit_within_one_tick_is_read(tmp_path: Path) -> None:
    """Manifests are kept in memory; an edit of the same size, the time put back, is seen all the same."""
    write_manifest(tmp_path, manifest_with(stage="A0"))
    file = tmp_path / MANIFEST_NAME
    content, times = file.read_bytes(), file.stat()
    for number in range(200):
        stage = f"A{number % 10}"
        file.write_bytes(content.replace(b'"A0"', f'"{stage}"'.encode()))
        os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))
        assert read_manifest(tmp_path).stage == stage


def test_a_caller_may_change_its_own(tmp_path: Path) -> None:
    """Two readers of one manifest never see each other's changes."""
    write_manifest(tmp_path, manifest_with())
    for _ in range(2):
        found = read_manifest(tmp_path)
        assert found.device == "cpu"
        found.device = "cuda"
