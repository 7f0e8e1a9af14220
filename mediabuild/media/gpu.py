"""What is said when a GPU's memory is too small for a stage.

Not here: which device a stage gets (`mediabuild.machine.hardware`).
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from mediabuild.errors import StageError


@contextlib.contextmanager
def memory(stage: str, device: str, less: str) -> Iterator[None]:
    """Turn an error of the device's memory into one that says what to do.

    Args:
        stage: what the pipeline calls the stage. device: as torch names it. less: what to type so that less is needed.

    Raises:
        StageError: the device's memory is full. torch and CTranslate2 both raise a RuntimeError that says so.
    """
    try:
        yield
    except RuntimeError as error:
        if "out of memory" not in str(error).lower():
            raise
        raise StageError(f"{stage}: the memory of {device} is too small for what is done at once", less) from error
