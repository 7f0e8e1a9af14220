"""What stages share that work on a GPU: how much at once, and what is said when its memory is too small for that.

Not here: which device a stage gets (`mediabuild.machine.hardware`).
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Annotated

import msgspec

from mediabuild.errors import StageError

BatchSize = Annotated[
    int, msgspec.Meta(ge=1, le=256, description="how many pieces a GPU works on at once; its memory limits it")
]


@contextlib.contextmanager
def memory(stage: str, device: str, batch_size: int) -> Iterator[None]:
    """Turn an error of the device's memory into one that says what to do.

    Args:
        stage: what the pipeline calls the stage. device: as torch names it.

    Raises:
        StageError: the device's memory is full. torch and CTranslate2 both raise a RuntimeError that says so.
    """
    try:
        yield
    except RuntimeError as error:
        if "out of memory" not in str(error).lower():
            raise
        less = f"doit {stage}.batch_size={batch_size // 2}" if batch_size > 1 else "doit --device cpu"
        raise StageError(f"{stage}: batch_size {batch_size} is too much for the memory of {device}", less) from error
