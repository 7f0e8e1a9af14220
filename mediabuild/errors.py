"""The exceptions, as one small tree.

    MediabuildError          where: what, and a hint that is a command to type
    ├── PipelineError        the pipeline file or the command line is wrong (all mistakes at once)
    ├── StageError           a stage could not do its work: its message is for the user
    │   ├── InputChanged     an input changed while the stage ran
    │   └── DiskFull         there was no room for its outputs
    └── LockBusy             another run holds the stage and `--no-wait` was given

    Interrupted              a signal asked the run to stop; like KeyboardInterrupt a BaseException, so that
                             nothing that turns trouble into a message can swallow it

Not here: bugs. A bare ``ValueError`` with a traceback is a fault of ours and should look like one.
"""

from __future__ import annotations


class MediabuildError(Exception):
    """A mistake with a remedy.

    Args:
        message: *where: what*, one line where possible. A stage of the user's own may say anything, or nothing.
        hint: a command to type, or a line to write; empty where there is none.
    """

    def __init__(self, message: object, hint: object = "") -> None:
        self.message = _text(message) or "failed without a word"
        self.hint = _text(hint or "")
        super().__init__(self.message, self.hint)  # both, so that it pickles

    def __str__(self) -> str:
        return f"{self.message}\n  hint: {self.hint}" if self.hint else self.message


def _text(given: object) -> str:
    """What is given as text that can be written anywhere."""
    return str(given).encode(errors="replace").decode().strip()


class PipelineError(MediabuildError):
    """The pipeline file, the selection or an override is wrong; nothing has run."""


class StageError(MediabuildError):
    """A stage could not do its work; the message is meant for the user."""


class InputChanged(StageError):
    """An input changed while the stage ran, twice in a row."""


class DiskFull(StageError):
    """There was no room left on the disk of the jobs directory."""


class LockBusy(MediabuildError):
    """Another run is busy with this stage."""


class Interrupted(BaseException):
    """The run was asked to stop (INT, TERM or HUP)."""
