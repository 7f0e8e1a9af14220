"""Tells what a worker loaded of the project's code, and that it never runs an older one.

The modules of the project are loaded anew for each job; what stages share of mediabuild is where a file of it changed.
What else a stage reads in the folder of the stages (a table, a script that it executes) is told as well.

Not here: how the code is found and loaded (`pipeline.loading`), what the run makes of it (`freshness.meanwhile`).
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import os
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mediabuild.execution.protocol import Request
from mediabuild.pipeline.code_of_stages.loading import ProjectCode

WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT


class WorkerCode(ProjectCode):
    """The project's code in a worker.

    Attributes:
        spent: why the worker can't go on: something was loaded that can't be loaded anew; empty where it can.
    """

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.spent = ""
        self._request: Request | None = None
        self._read: dict[str, str] = {}  # file → SHA-256 of what this job read in the folder of the stages
        self._hearing = threading.local()  # `deaf` while a thread reads for itself
        self._compiled: dict[str, str] = {}
        self._modules = 0  # how many there were when they were last gone through
        self._importable = self.importable()
        self._importable.__enter__()
        sys.addaudithook(self._hear)

    def begin(self, request: Request) -> None:
        """A job begins: nothing that is older than its facts may be run."""
        self._request = request
        self.root, self.folder = os.path.join(request.project_dir, ""), os.path.dirname(request.file)
        self._read = {}
        self.forget()
        if not self.are_still({file: digest for name, file in self.modules.items() if (digest := self.loaded[file])}):
            self.forget_shared()
        importlib.invalidate_caches()

    def are_still(self, known: Mapping[str, str]) -> bool:
        """Whether files have these digests now: file → SHA-256, as hex."""
        return all(_sha256(file) == digest for file, digest in known.items())

    def is_own(self, module: str) -> bool:
        """Whether a module is the project's."""
        return module in self.modules and not module.startswith("mediabuild.")

    def report(self) -> dict[str, str]:
        """What the job ran of the project's code: file → SHA-256, as hex."""
        if self._request is None or not self._request.is_own:
            return {}
        known = {file: digest for file, digest in dict(self.loaded).items() if self._counts(file)}
        if self._modules != len(sys.modules):
            self._find_compiled()
        return self._compiled | dict(self._read) | known

    def besides(self) -> dict[str, str]:
        """As `report`, of that just what the run didn't know of when the job began."""
        known = self._request.code if self._request else {}
        return {file: digest for file, digest in self.report().items() if file not in known}

    def _counts(self, file: str) -> bool:
        """Whether a module's file is this job's: the project's own, or of mediabuild and known to be used."""
        name = next((name for name, path in dict(self.modules).items() if path == file), "")
        return not name.startswith("mediabuild.") or bool(self._request and file in self._request.code)

    def _find_compiled(self) -> None:
        """Modules of the project that no source file was loaded for (compiled ones, archives): loaded once for all."""
        self._modules = len(sys.modules)
        for name, module in list(sys.modules.items()):
            origin = getattr(getattr(module, "__spec__", None), "origin", None)
            if not isinstance(origin, str) or name.startswith("mediabuild") or not os.path.isabs(origin):
                continue
            if origin not in self.loaded and self.owns(origin):
                while not os.path.isfile(origin) and origin != os.path.dirname(origin):
                    origin = os.path.dirname(origin)  # inside an archive
                self._compiled.setdefault(origin, _sha256(origin))
                self.spent = f"{name} is loaded once for all"

    def _hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Python says what happens in this process: a file is opened."""
        if event != "open" or self._is_deaf() or self._request is None or not self._request.is_own:
            return
        path, _, flags = arguments
        if isinstance(path, bytes):
            path = os.fsdecode(path)
        if not isinstance(path, str) or (flags or 0) & WRITING or not self._is_beside_stage(path):
            return
        self._hearing.deaf = True
        try:
            self._read.setdefault(os.path.abspath(path), _sha256(path))
        finally:
            self._hearing.deaf = False

    def _is_deaf(self) -> bool:
        return getattr(self._hearing, "deaf", False)

    def _is_beside_stage(self, path: str) -> bool:
        path = os.path.abspath(path)
        if not path.startswith(self.folder + os.sep) or path.endswith(".pyc") or not os.path.isfile(path):
            return False
        request = self._request
        models = [] if request is None else [os.path.abspath(model) for model in request.models.values() if model]
        return not any((path + os.sep).startswith(model + os.sep) for model in models)


def _sha256(file: str) -> str:
    """The digest of what a file holds now; empty where it can't be read."""
    with contextlib.suppress(OSError), open(file, "rb") as stream:
        return hashlib.sha256(stream.read()).hexdigest()
    return ""
