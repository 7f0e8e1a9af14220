"""The content of files and directories: bytes, executables and links, and what manifests say of them.

Not here: which tasks make them (`oracle`).
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path

import blake3

File = bytes | str  # its content, or its digest
Tree = bytes | dict[str, bytes] | str  # a file, a directory (relative path → bytes), or the digest of a deleted file


def digest(file: File, algorithm: str) -> str:
    """As in manifests, which also say whether it is an executable, or a link."""
    if isinstance(file, str):
        return file
    content = blake3.blake3(file) if algorithm == "blake3" else hashlib.sha256(file)
    mode = "+x" if isinstance(file, Program) or getattr(file, "program", False) else ""
    return f"{algorithm}:{content.hexdigest()}{mode}" + (f"+link:{file.to}" if isinstance(file, Link) else "")


class Program(bytes):
    """The content of an executable."""


class Link(bytes):
    """The content behind a link, and what the link says."""

    to = ""
    program = False

    @classmethod
    def of(cls, content: bytes, to: str) -> Link:
        """A link to a file with this content."""
        link = cls(content)
        link.to, link.program = to, isinstance(content, Program)
        return link


def flat(tree: Tree) -> bytes:
    """All bytes of a file or directory, in the order of names."""
    assert not isinstance(tree, str), "a program reads what was deleted"
    if isinstance(tree, bytes):
        return bytes(tree)
    return b"".join(tree[name] for name in sorted(tree, key=lambda name: name.split("/")))


def plain(tree: Tree) -> Tree:
    """What a person gives: only the bytes count."""
    if isinstance(tree, dict):
        return {name: bytes(content) for name, content in tree.items()}
    return bytes(tree) if isinstance(tree, bytes) else tree


def labelled(label: str, tree: Tree) -> dict[str, File]:
    """Label → file, as a manifest records a file or directory."""
    if isinstance(tree, str | bytes):
        return {label: tree}
    found = {k: v for name, content in tree.items() for k, v in labelled(f"{label}/{name}", content).items()}
    return found or {label + "/": b""}


def same_file(one: File, other: File) -> bool:
    """Whether two files are the same: bytes, executables and links; by the digest where only that is known."""
    algorithm = next((file.partition(":")[0] for file in (one, other) if isinstance(file, str)), "blake3")
    return digest(one, algorithm) == digest(other, algorithm)


def same_files(one: Mapping[str, File], other: Mapping[str, File]) -> bool:
    """Whether there are the same files under the same names."""
    return one.keys() == other.keys() and all(same_file(file, other[label]) for label, file in one.items())


def alike(one: Tree, other: Tree) -> bool:
    """Whether two files or directories are the same."""
    return same_files(labelled("", one), labelled("", other))


def read_tree(path: Path) -> Tree:
    """A file or directory on disk."""
    if path.is_dir():
        files = {str(file.relative_to(path)): read_file(file) for file in path.rglob("*") if file.is_file()}
        empty = [folder for folder in path.rglob("*") if folder.is_dir() and not any(folder.iterdir())]
        return files | {f"{folder.relative_to(path)}/": b"" for folder in empty}  # that they are there is content too
    return read_file(path)


def read_file(path: Path) -> bytes:
    """A file's content, as an executable's or behind a link where it is one."""
    content = Program(path.read_bytes()) if os.access(path, os.X_OK) else path.read_bytes()
    return Link.of(content, os.readlink(path)) if path.is_symlink() else content
