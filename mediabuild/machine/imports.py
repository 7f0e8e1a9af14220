"""Which modules a Python file imports, as it says itself: it is parsed and never run.

Not here: whether they are installed (`interpreter`).
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path


def imported_modules(files: Iterable[Path]) -> list[str]:
    """Top-level modules from outside the standard library and mediabuild, sorted; also those inside functions.

    An import that `except ImportError` catches, or that is for type checkers, can be done without, and
    isn't listed.

    Raises:
        OSError: a file can't be read. SyntaxError: it isn't Python.
    """
    found: set[str] = set()
    for file in files:
        found |= set(_imports(ast.parse(file.read_bytes()).body))
    return sorted(found - sys.stdlib_module_names - {"mediabuild"})


def _imports(nodes: Iterable[ast.AST]) -> Iterator[str]:
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0]
        elif not _can_be_missing(node):
            yield from _imports(ast.iter_child_nodes(node))


def _can_be_missing(node: ast.AST) -> bool:
    if isinstance(node, ast.If):
        return "TYPE_CHECKING" in ast.unparse(node.test)
    return isinstance(node, ast.Try) and any(h.type and "ImportError" in ast.unparse(h.type) for h in node.handlers)
