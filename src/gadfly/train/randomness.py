"""Takes and puts back the state of every random generator that training draws from. Knows nothing of training."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any, final

import numpy as np
import torch


@final
@dataclass(frozen=True, slots=True)
class RandomState:
    """The global generators of Python, NumPy and torch at one moment. trl and transformers draw from these."""

    python: Any
    numpy: Any
    torch_cpu: torch.Tensor
    torch_cuda: list[torch.Tensor]

    @classmethod
    def now(cls) -> RandomState:
        cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
        numpy = np.random.get_state()  # noqa: NPY002 - the global generator, since trl draws from it
        return cls(random.getstate(), numpy, torch.get_rng_state(), cuda)

    def restore(self) -> None:
        random.setstate(self.python)
        np.random.set_state(self.numpy)  # noqa: NPY002 - likewise
        torch.set_rng_state(self.torch_cpu)
        if self.torch_cuda:
            torch.cuda.set_rng_state_all(self.torch_cuda)
