"""Failure modes in somebody's own words, where there is somebody who can put them so. Asks through a protocol."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from gadfly.analysis.modes import ModeSearch
from gadfly.analysis.wording import common
from gadfly.protocols import Describer


def in_words(search: ModeSearch, describer: Describer) -> ModeSearch:
    """The modes with the name and the sentence that the describer gives each; what its items and rates are stays told
    behind the sentence. It is told nothing but what the questions have in common, so that a name follows from the items
    as the template's does. Of two modes that it gives one name both keep the template's."""
    said = describer.describe([common(mode.items) for mode in search.modes])
    times = Counter(words.name.casefold() for words in said if words is not None)
    return replace(
        search,
        modes=tuple(
            mode
            if words is None or times[words.name.casefold()] > 1
            else replace(mode, name=words.name, description=f"{words.sentence} {mode.description}")
            for mode, words in zip(search.modes, said, strict=True)
        ),
    )
