"""What a GPU can't do is answered with what to type; every other error stays what it is."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from mediabuild.errors import StageError
from mediabuild.media import gpu


@pytest.mark.parametrize(
    ("error", "message", "hint"),
    [
        ("CUDA failed with error out of memory", "the memory of cuda:1 is too small", "doit -n 4"),  # CTranslate2's
        (
            "CUDA out of memory. Tried to allocate 2.00 GiB.",
            "the memory of cuda:1 is too small",
            "doit -n 4",
        ),  # torch's
        (
            "Library libcublas.so.12 is not found or cannot be loaded",
            "CTranslate2 needs cuBLAS 12",
            f"{sys.executable} -m pip install nvidia-cublas-cu12",
        ),
    ],
)
def test_what_a_gpu_lacks_is_answered(error: str, message: str, hint: str) -> None:
    """The stage is called as the pipeline calls it."""
    told = pytest.raises(StageError, match=f"hear: {message}")
    with told as found, gpu.explained("hear", "cuda:1", "doit -n 4"):
        raise RuntimeError(error)
    assert found.value.hint == hint


def test_other_errors_stay() -> None:
    """A bug isn't taken for a lack."""
    with pytest.raises(RuntimeError, match="shapes"), gpu.explained("hear", "cuda", "doit -n 4"):
        raise RuntimeError("shapes differ")


@pytest.mark.skipif(sys.platform != "linux" or not shutil.which("cc"), reason="a library of that name is compiled")
def test_cublas_is_found_in_its_package(tmp_path: Path) -> None:
    """A library in the package's folder, which the system doesn't look into: afterwards it is found by its name."""
    folder = tmp_path / "nvidia/cublas/lib"
    folder.mkdir(parents=True)
    (tmp_path / "blas.c").write_text("int here(void) { return 12; }\n")
    cc = ["cc", "-shared", "-fPIC", f"-Wl,-soname,{gpu.CUBLAS}", "-o", str(folder / gpu.CUBLAS), "blas.c"]
    subprocess.run(cc, cwd=tmp_path, check=True)
    program = (
        "import ctypes, sys; sys.path.insert(0, sys.argv[1])\n"
        "from mediabuild.media import gpu\n"
        "gpu.load_cublas()\n"
        "print(ctypes.CDLL(gpu.CUBLAS).here())\n"
    )
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, check=True)
    assert done.stdout == "12\n"
