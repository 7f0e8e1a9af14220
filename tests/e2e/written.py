"""What a stage's program writes: once, or once for each piece of its first input.

Not here: which tasks run it (`oracle`), the programs (`graphs`).
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Any, NamedTuple

from tests.e2e.graphs import Node
from tests.e2e.trees import Link, Program, Tree, flat
from tests.e2e.world import natural

Outputs = dict[str, list[tuple[str, Tree]]]  # output name → its paths in the stage's directory


class Item(NamedTuple):
    """A file or directory that an input hands over.

    Args:
        label: what manifests call it. tree: its content.
        piece: what a piece of it is called, the file's suffix left out; or the folder of a directory's pieces.
    """

    label: str
    tree: Tree
    piece: str


def written(
    node: Node,
    at: Mapping[str, str],
    params: Mapping[str, Any],
    inputs: Sequence[Sequence[Item]],
    salts: Mapping[str, str],
) -> Outputs | None:
    """The outputs of a stage with these inputs and params; None where it fails.

    Args:
        at: key of its matrix → value. salts: in the code of the project's own stage.
    """
    word, value = text(params["word"]), "".join(at.values())
    if not node.in_pieces:
        content = b"".join(flat(item.tree) for items in inputs for item in items)
        own = salts["own.py"] + at.get("v", "") + at.get("u", "") + salts["_shared.py"] + salts["_hidden.py"]
        return None if node.fails(params["times"]) else once(node, params["times"], word + value, own, content)
    pieces = rows(inputs[0]) if node.each == "rows" else files(inputs[0])
    if pieces is None or (pieces and node.fails(params["times"])):
        return None
    rest = b"".join(flat(item.tree) for items in inputs[1:] for item in items)
    found = []
    for name, (content, cell) in pieces.items():
        told = cell + name * node.told + value
        [(path, tree)] = once(node, params["times"], word + told, "", content + rest)["out"]
        found.append((path.replace("*", name), tree))
    return {"out": sorted(found, key=lambda one: natural(one[0]))}


def once(node: Node, times: int, word: str, own: str, content: bytes) -> Outputs:
    """What the program writes that is run once."""
    line = word.encode() + b"\n"
    joined: Tree = content * times + line
    path = node.outputs["out"]
    if node.kind == "head":
        return {"out": [(path, content[:times])]}
    if node.kind == "count":
        return {"out": [(path, f"{len(content)}\n".encode())]}
    if node.kind == "split":
        parts: Tree = {f"d{n}/part": content + str(n).encode() + line for n in range(times)}
        return {"out": [(path, parts)]}
    if node.kind == "exec":
        return {"out": [(path, Program(joined))]}
    if node.kind == "tools":
        run = Program(joined)
        links = {"link": Link.of(joined, "part"), "d/up": Link.of(run, "../run")}
        return {"out": [(path, {"part": joined, "run": run, **links})]}
    if node.kind == "pair":
        return {"out": [(path, joined)], "size": [("sub/size", f"{len(content)}\n".encode())]}
    if node.kind == "many":
        each: list[tuple[str, Tree]] = [(f"p{n}.txt", content + str(n).encode() + line) for n in range(times)]
        return {"out": [(path, f"{len(content)}\n".encode())], "each": each}
    if node.kind == "own":
        return {"out": [(path, content * times + own.encode())]}
    return {"out": [(path, joined)]}


def files(items: Sequence[Item]) -> dict[str, tuple[bytes, str]] | None:
    """Name of a piece → its content, and no cell; None where two have one name."""
    found: list[tuple[str, bytes]] = []
    for item in items:
        if isinstance(item.tree, dict):
            inside = [(PurePath(name), content) for name, content in item.tree.items() if not name.endswith("/")]
            found += [(str(PurePath(item.piece, path.with_suffix(""))), content) for path, content in inside]
        else:
            found.append((item.piece, flat(item.tree)))
    names = dict(found)
    return {name: (content, "") for name, content in names.items()} if len(names) == len(found) else None


def rows(items: Sequence[Item]) -> dict[str, tuple[bytes, str]] | None:
    """Id of a row → no content, and its cell; None where the table is none."""
    table = csv.DictReader(io.StringIO(flat(items[0].tree).decode(), newline=""))
    if not {"id", "text"} <= set(table.fieldnames or ()):
        return None
    found = [((row["id"] or "").strip(), row["text"] or "") for row in table]
    names = dict(found)
    return {name: (b"", cell) for name, cell in found} if len(names) == len(found) else None


def text(value: Any) -> str:
    """A param's value as a command gets it."""
    return value if isinstance(value, str) else json.dumps(value)
