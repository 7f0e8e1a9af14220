"""What suggests that this machine has an accelerator, and where models are; cheap to ask, since each no-op does.

Not here: whether it works, which is asked of a stage's own interpreter (`device`).
"""

from __future__ import annotations

import os
import sys

NVIDIA_DRIVER = "/proc/driver/nvidia/version"
DEVICE_FILES = ("/dev/nvidiactl", "/dev/dxg")  # /dev/dxg: NVIDIA under Windows' WSL 2
DRIVER_VARIABLE = "MEDIABUILD_DRIVER"
VARIABLES = ("HOME", "PATH", "XDG_CACHE_HOME", "HF_HOME", "HF_HUB_CACHE")


def surroundings() -> dict[str, str]:
    """What the choice of devices, models and programs follows from, besides files: the driver, the environment."""
    return {"driver": driver_facts()} | {name: os.environ[name] for name in VARIABLES if name in os.environ}


def driver_facts() -> str:
    """What suggests an accelerator, as text that changes when the driver does; empty without one."""
    said = os.environ.get(DRIVER_VARIABLE)
    if said is not None:
        return said
    if sys.platform == "darwin":
        import platform  # only here: it is slow to import

        return f"macos {platform.mac_ver()[0]}" if platform.machine() == "arm64" else ""
    try:
        with open(NVIDIA_DRIVER, encoding="utf-8") as file:
            return file.readline().rstrip("\n") + os.environ.get("CUDA_VISIBLE_DEVICES", "")
    except (OSError, ValueError):
        return "cuda without a driver file" if any(map(os.path.exists, DEVICE_FILES)) else ""
