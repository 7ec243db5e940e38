"""How long the stages of a cell take: by the clock, and of a processor. Knows no stage."""

from __future__ import annotations

import time
from typing import final


@final
class Clock:
    """Begins when it is made. Each stage ends when it is named; seconds are kept to the tenth. Beside other work on the
    same machine the processor's are the ones to foresee by."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.processor_seconds: dict[str, float] = {}
        self._began_s, self._used_s = time.monotonic(), time.process_time()

    def stage(self, name: str) -> None:
        """What was since the last stage, or since the beginning, was this one."""
        now_s, used_s = time.monotonic(), time.process_time()
        self.seconds[name] = round(now_s - self._began_s, 1)
        self.processor_seconds[name] = round(used_s - self._used_s, 1)
        self._began_s, self._used_s = now_s, used_s
