"""The content of files and directories: bytes, executables and links, and what manifests say of them.

Not here: which tasks make them (`oracle`).
"""

from __future__ import annotations

import os
from pathlib import Path

import blake3

Tree = bytes | dict[str, bytes] | str  # a file, a directory (relative path → bytes), or the digest of a deleted file


def digest(content: bytes) -> str:
    """As in manifests."""
    return "blake3:" + blake3.blake3(content).hexdigest()


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


def labelled(label: str, tree: Tree) -> dict[str, str]:
    """Label → digest, as a manifest records a file or directory."""
    if isinstance(tree, str):
        return {label: tree}
    if isinstance(tree, bytes):
        mode = "+x" if isinstance(tree, Program) or getattr(tree, "program", False) else ""
        return {label: digest(tree) + mode + (f"+link:{tree.to}" if isinstance(tree, Link) else "")}
    found = {k: v for name, content in tree.items() for k, v in labelled(f"{label}/{name}", content).items()}
    return found or {label + "/": digest(b"")}


def alike(one: Tree, other: Tree) -> bool:
    """Whether two files or directories are the same: bytes, executables and links."""
    return labelled("", one) == labelled("", other)


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
