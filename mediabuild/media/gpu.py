"""NVIDIA's GPUs, as stages need them: a library that CTranslate2 looks for, and what is said where a GPU can't do it.

Not here: which device a stage gets (`mediabuild.machine.hardware`).
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib.util
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

from mediabuild.errors import StageError

CUBLAS = "libcublas.so.12"  # what CTranslate2 4 asks the system for, by this name
CUBLAS_PACKAGE = "nvidia-cublas-cu12"


def load_cublas() -> None:
    """Load the cuBLAS of its package, which the system doesn't know of: then it is found by its name.

    Nothing is done where there is no such package: the system may have a cuBLAS of its own.
    """
    found = importlib.util.find_spec("nvidia")
    for folder in (found.submodule_search_locations if found else None) or ():
        library = Path(folder) / "cublas" / "lib" / CUBLAS
        if library.is_file():
            ctypes.CDLL(str(library), mode=ctypes.RTLD_GLOBAL)


@contextlib.contextmanager
def explained(stage: str, device: str, less: str) -> Iterator[None]:
    """Turn what a GPU can't do into an error that says what to do.

    Args:
        stage: what the pipeline calls the stage. device: as torch names it. less: what to type so that less memory is
            needed.

    Raises:
        StageError: the device's memory is full, or cuBLAS isn't there. torch and CTranslate2 both raise a RuntimeError
            that says so.
    """
    try:
        yield
    except RuntimeError as error:
        if "out of memory" in str(error).lower():
            raise StageError(f"{stage}: the memory of {device} is too small for what is done at once", less) from error
        if CUBLAS in str(error):
            install = shlex.join([sys.executable, "-m", "pip", "install", CUBLAS_PACKAGE])
            raise StageError(f"{stage}: CTranslate2 needs cuBLAS 12 on a GPU ({CUBLAS})", install) from error
        raise
