"""A GPU's memory that is too small is answered with what to type; every other error stays what it is."""

from __future__ import annotations

import pytest

from mediabuild.errors import StageError
from mediabuild.media import gpu


@pytest.mark.parametrize(("batch_size", "hint"), [(8, "doit hear.batch_size=4"), (1, "doit --device cpu")])
@pytest.mark.parametrize(
    "error",
    [
        "CUDA failed with error out of memory",  # CTranslate2's
        "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 7.79 GiB",  # torch's
    ],
)
def test_full_memory_names_a_smaller_batch(error: str, batch_size: int, hint: str) -> None:
    """Half of the batch, or another device; the stage is called as the pipeline calls it."""
    told = pytest.raises(StageError, match=r"hear: batch_size .* is too much for the memory of cuda:1")
    with told as found, gpu.memory("hear", "cuda:1", batch_size):
        raise RuntimeError(error)
    assert found.value.hint == hint


def test_other_errors_stay() -> None:
    """A bug isn't taken for a lack of memory."""
    with pytest.raises(RuntimeError, match="shapes"), gpu.memory("hear", "cuda", 8):
        raise RuntimeError("shapes differ")
