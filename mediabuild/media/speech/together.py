"""Several passages heard at once: what Whisper decodes next of each of them is decoded in one batch.

faster-whisper hears a passage window by window, and each window begins where the text of the one before ended; but no
passage needs another. So each is heard in a thread of its own, as ever, and its thread waits where it would decode a
window: once all have one, they are decoded together. To decode a token all weights are read, whether for one window or
for eight. On the CPU that spares a quarter of that time, and every bit stays as it was. (faster-whisper's own batches
cut the sound at fixed places instead, and lose words there.)

Not so on a GPU. Measured on an H100: in float16 what else is in a batch changed the text of one passage in four, and
CTranslate2 looks at the times of each row by itself, so that eight windows in a batch took 0.9 of the time of eight one
by one; several at once, each in a lane of its own, took 0.45, with the same bits.

Not here: what is heard in a passage (`hearing`), which passages there are (`passages`), and how many tasks run at once
(`mediabuild.lanes`).
"""

from __future__ import annotations

import copy
import threading
from collections import deque
from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from typing import Any, Generic, TypeVar

T = TypeVar("T")

EXACT = ("int8", "int8_float32")  # number formats in which the rest of a batch changes no bit
MOST = 4  # passages that a core hears at once: they are lost together when it is killed
# What is known of a window while its text is decoded takes up to 0.4 of the model's size in float16 (small: 110 MB, and
# 0.4 MB a token). That is each lane's own, so larger models hear fewer passages at once, and those of 1 GB one.
MOST_BYTES = 10**9


def passages_at_once(folder: Path | None) -> int:
    """How many passages a core hears at once with a model, so that the memory suffices; one where it isn't known yet.

    Args:
        folder: of the model.
    """
    if folder is None:
        return 1
    return max(1, min(MOST, MOST_BYTES // (folder / "model.bin").stat().st_size))


class Together:
    """One model, as something that hears several passages at once.

    Args:
        model: faster-whisper's `WhisperModel`.
        at_once: how many passages are heard at once; one where a batch might change what is heard.
    """

    def __init__(self, model: Any, at_once: int) -> None:
        self.model = model
        self.at_once = at_once if model.model.compute_type in EXACT and model.model.device == "cpu" else 1
        self.core = threading.Lock()  # one thread works at a time
        self.changed = threading.Condition()

    def each(self, hear: Callable[[int, Any], T], numbers: Sequence[int]) -> Generator[T]:
        """What `hear` makes of each passage, in order.

        Args:
            hear: given a passage's number and a model to hear it with, which is another for each. It is called in a
                thread; what passages share (an open file) it locks.
        """
        todo = deque(numbers)
        begun: deque[_Hearing[T]] = deque()  # in order; what has been yielded is gone
        try:
            while todo or begun:
                unfinished = [hearing for hearing in begun if not hearing.over]
                while todo and len(unfinished) < self.at_once:
                    hearing = _Hearing(self, hear, todo.popleft())
                    hearing.start()
                    begun.append(hearing)
                    unfinished.append(hearing)
                if unfinished:  # the last may have ended just now
                    self._advance(unfinished)
                while begun and begun[0].over:
                    yield begun.popleft().result()
        finally:
            for hearing in begun:
                hearing.give_up()
            for hearing in begun:
                hearing.join()

    def _advance(self, hearings: Sequence[_Hearing[T]]) -> None:
        """Decode a window of each, unless one of them ends first: then another may take its place."""
        with self.changed:
            self.changed.wait_for(lambda: all(hearing.over or hearing.asked for hearing in hearings))
        if any(hearing.over for hearing in hearings):
            return
        asked = [hearing.asked for hearing in hearings if hearing.asked]
        windows, prompts, options = zip(*asked, strict=True)
        results = self._decoded(windows, prompts, options[0])
        for hearing, result in zip(hearings, results, strict=True):
            hearing.answer(result)

    def _decoded(self, windows: Sequence[Any], prompts: Sequence[list[int]], options: dict[str, Any]) -> list[Any]:
        """CTranslate2's results, one for each window."""
        import numpy as np
        from ctranslate2 import StorageView

        batch = windows[0] if len(windows) == 1 else StorageView.from_array(np.concatenate(windows))
        found: list[Any] = self.model.model.generate(batch, list(prompts), **options)
        return found


class GivenUp(BaseException):
    """Nobody wants to know any more what a passage says."""


class _Hearing(threading.Thread, Generic[T]):
    """A passage that is being heard.

    Attributes:
        asked: the window that it waits for: its sound, the prompt, CTranslate2's options. over: it is finished.
    """

    def __init__(self, together: Together, hear: Callable[[int, Any], T], number: int) -> None:
        super().__init__(name="hearing", daemon=True)
        self.together = together
        self.hear = hear
        self.number = number
        self.asked: tuple[Any, list[int], dict[str, Any]] | None = None
        self.over = False
        self._answer: Any = None
        self._given_up = False
        self._found: list[T] = []
        self._error: BaseException | None = None
        self._changed = together.changed

    def run(self) -> None:
        """Hear the passage."""
        model = copy.copy(self.together.model)
        model.model = _Decoder(self)
        try:
            with self.together.core:
                self._found.append(self.hear(self.number, model))
        except BaseException as error:
            self._error = error
        with self._changed:
            self.over = True
            self._changed.notify_all()

    def result(self) -> T:
        """What was heard; raises what went wrong."""
        self.join()
        if self._error is not None:
            raise self._error
        return self._found[0]

    def ask(self, window: Any, prompt: list[int], options: dict[str, Any]) -> Any:
        """Wait until a window is decoded: CTranslate2's result."""
        self.together.core.release()
        try:
            with self._changed:
                self.asked = (window, prompt, options)
                self._changed.notify_all()
                self._changed.wait_for(lambda: self.asked is None or self._given_up)
                if self._given_up:
                    raise GivenUp
                return self._answer
        finally:
            self.together.core.acquire()

    def answer(self, result: Any) -> None:
        """Let the thread go on."""
        with self._changed:
            self._answer, self.asked = result, None
            self._changed.notify_all()

    def give_up(self) -> None:
        """Let the thread end."""
        with self._changed:
            self._given_up = True
            self._changed.notify_all()


class _Decoder:
    """Stands for CTranslate2's model in the hearing of one passage: each window is encoded by itself.

    In a batch, that takes half as much time again.
    """

    def __init__(self, hearing: _Hearing[Any]) -> None:
        self._hearing = hearing
        self._model = hearing.together.model.model

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    def generate(self, features: Any, prompts: list[list[int]], **options: Any) -> list[Any]:
        """As `ctranslate2.models.Whisper.generate`, for one window."""
        [prompt] = prompts
        return [self._hearing.ask(features, prompt, options)]
