"""Other wordings of testbed questions: by their meaning, so that what is asked is exactly the same. Knows no scene."""

from __future__ import annotations

import random
from collections.abc import Sequence

from gadfly.testbed.english import Ungrammatical, parse, realise

_TRIES = 12  # most questions have many wordings, the plainest two: one chance in thousands to miss the other


class TestbedParaphraser:
    """A Paraphraser. None for what is no question of the language, and for the few that draw no other wording."""

    __test__ = False  # the name begins with "Test"; pytest must not collect it

    def paraphrase(self, questions: Sequence[str], seed: int) -> list[str | None]:
        return [_paraphrase(question, seed) for question in questions]


def _paraphrase(question: str, seed: int) -> str | None:
    try:
        program = parse(question)
    except Ungrammatical:
        return None
    rng = random.Random(f"{seed}/{question}")
    wordings = (realise(program, rng) for _ in range(_TRIES))
    return next((wording for wording in wordings if wording != question), None)
