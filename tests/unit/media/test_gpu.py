"""A GPU's memory that is too small is answered with what to type; every other error stays what it is."""

from __future__ import annotations

import pytest

from mediabuild.errors import StageError
from mediabuild.media import gpu


@pytest.mark.parametrize(
    "error",
    [
        "CUDA failed with error out of memory",  # CTranslate2's
        "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 7.79 GiB",  # torch's
    ],
)
def test_full_memory_is_answered(error: str) -> None:
    """The stage is called as the pipeline calls it."""
    told = pytest.raises(StageError, match="hear: the memory of cuda:1 is too small")
    with told as found, gpu.memory("hear", "cuda:1", "doit -n 4"):
        raise RuntimeError(error)
    assert found.value.hint == "doit -n 4"


def test_other_errors_stay() -> None:
    """A bug isn't taken for a lack of memory."""
    with pytest.raises(RuntimeError, match="shapes"), gpu.memory("hear", "cuda", "doit -n 4"):
        raise RuntimeError("shapes differ")
