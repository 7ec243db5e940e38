"""What is true of a probe, as items that failure modes are made of. Knows the names, and no statistics.

An item is a name "kind:value". The kinds:

    skill:counting.count       a skill that the question needs
    family:counting            any skill of that family
    concept:red                an object or attribute that it speaks of
    referent:size.small        an attribute of all that it asks about, named or not, where somebody knows the image
    answer:number              the class of the expected answer: yes_no, number, colour, direction, size, ordinal,
                               word or phrase
    answer:number.5_up         and within the class: that number or more, or the answer itself where it is one word
    image:brightness.low       a condition of the picture (`conditions.py`)

Some items are special cases of others (`is_special_case`): what goes on after a dot, as `answer:number.0` from
`answer:number`; a higher number; a skill of its family.
"""

from __future__ import annotations

import functools
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gadfly.analysis.grounding import question_of
from gadfly.analysis.rates import ImageKey, distinct, image_key
from gadfly.protocols import Annotator, Grounder
from gadfly.records import Probe, Verdict

KINDS = ("skill", "family", "concept", "referent", "answer", "image")
"""All kinds, the most telling first."""

MAX_ITEMS = 400
"""So many of the most frequent items are kept. Free words could bring any number, and each costs memory and tests."""

_NUMBERS = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen twenty"
).split()
_NUMBER_WORDS = {word: str(i) for i, word in enumerate(_NUMBERS)} | {"none": "0"}
_CLASSES = {
    "yes_no": "yes no".split(),
    "colour": (
        "red orange yellow green cyan blue purple brown black white grey gray pink violet magenta turquoise teal beige "
        "gold silver navy maroon tan"
    ).split(),
    "direction": "up down left right north south east west upwards downwards leftwards rightwards".split(),
    "size": "tiny small medium large big huge".split(),
    "ordinal": "first second third fourth fifth sixth seventh eighth ninth tenth last".split(),
}
_CLASS_OF_WORD = {word: name for name, words in _CLASSES.items() for word in words}
_LONGEST_WORD = 24  # what is longer is no word, and not fit for a name

_BY_THEMSELVES = (0, 1, 2)  # what is seen at a glance
_AT_LEAST = (*range(1, 11), 20, 50, 100)
"""Larger numbers come as "that many or more": what is hard about a number is its size, and where it begins to be hard
nobody knows beforehand. Ranges with two ends would cut a weakness in pieces wherever their ends are not its own."""


def items_of(
    skills: Iterable[str] | None,
    concepts: Iterable[str] | None,
    expected: str | None,
    conditions: Iterable[str] = (),
    referents: Iterable[str] | None = None,
) -> frozenset[str]:
    """The items of one probe. `conditions` are items already (`conditions.py`). What is unknown gives no item."""
    needed = tuple(skills or ())
    named = [f"skill:{skill}" for skill in needed]
    named += [f"family:{skill.partition('.')[0]}" for skill in needed if "." in skill]
    named += [f"concept:{concept}" for concept in concepts or ()]
    named += [f"referent:{attribute}" for attribute in referents or ()]
    return frozenset((*named, *answer_items(expected), *conditions))


@functools.lru_cache(maxsize=65536)
def answer_items(expected: str | None) -> tuple[str, ...]:
    """The class of an expected answer, and its place within the class; none where there is no answer."""
    words = re.sub(r"[^\w\s.,+-]", " ", (expected or "").lower()).replace(",", "").strip(" .").split()
    if len(words) > 1 and words[0] in ("a", "an", "the"):
        words = words[1:]
    if not words:
        return ()
    if len(words) > 1:
        return ("answer:phrase",)
    word = _NUMBER_WORDS.get(words[0], words[0])
    if re.fullmatch(r"[+-]?[0-9]{1,15}(\.[0-9]+)?", word):
        return "answer:number", *(f"answer:number.{name}" for name in _number_names(float(word)))
    name = _CLASS_OF_WORD.get(word, "word")
    fit = len(word) <= _LONGEST_WORD and word.isidentifier()
    return (f"answer:{name}", f"answer:{name}.{word}") if fit else (f"answer:{name}",)


def _number_names(number: float) -> list[str]:
    if number < 0 or number != int(number):
        return ["other"]
    return [str(n) for n in _BY_THEMSELVES if n == number] + [f"{n}_up" for n in _AT_LEAST if n <= number]


def kind_of(item: str) -> str:
    """The part of an item's name before the colon."""
    return item.partition(":")[0]


_NUMBER_ITEM = re.compile(r"answer:number\.(?P<n>[0-9]+)(?P<up>_up)?")


def is_special_case(item: str, of: str) -> bool:
    """Whether the names alone say that every probe with `item` has `of` as well, or that they are the same."""
    if item == of:
        return True
    if item.startswith("skill:"):  # where a dot stands between family and skill
        return of == f"family:{item.removeprefix('skill:').partition('.')[0]}" and "." in item
    least, floor = (_NUMBER_ITEM.fullmatch(one) for one in (item, of))
    if least is not None and floor is not None and floor["up"]:
        return int(least["n"]) >= int(floor["n"])
    return item.startswith(f"{of}.")


@dataclass(frozen=True, eq=False, slots=True)
class ItemTable:
    """Distinct valid probes and their items, as arrays; rows of one image are neighbours, and images are in order.

    `holds_N_K` says which of the K `items` each probe has, `wrong_N` whether it was WRONG; `image_N` is the place of
    its images in `images`. `n_without_skills` probes have no known skills: they count as needing none.
    """

    probes: tuple[Probe, ...]
    items: tuple[str, ...]
    holds_N_K: NDArray[np.bool_]
    wrong_N: NDArray[np.bool_]
    image_N: NDArray[np.int64]
    images: tuple[ImageKey, ...]
    n_without_skills: int

    def members(self, items: Iterable[str]) -> NDArray[np.bool_]:
        """Which probes have all of `items`, shape N; none where an item is not in the table."""
        wanted = set(items)
        columns = [k for k, item in enumerate(self.items) if item in wanted]
        if len(columns) < len(wanted):
            return np.zeros(len(self.probes), dtype=np.bool_)
        return np.asarray(self.holds_N_K[:, columns].all(axis=1))


def tabulate(
    probes: Iterable[Probe],
    annotator: Annotator | None = None,
    conditions: Mapping[str, Sequence[str]] | None = None,
    min_probes: int = 1,
    grounder: Grounder | None = None,
) -> ItemTable:
    """The table of the distinct valid probes. The verdict's skills come first; the annotator is asked where it names
    none, and for all concepts. `conditions` gives an image's items by its id; the grounder says what the things asked
    about are. Items of fewer than `min_probes` probes are left out, and all but the MAX_ITEMS most frequent."""
    valid = [probe for probe in distinct(probes) if probe.verdict.valid]
    keys = [image_key(probe) for probe in valid]
    order = sorted(
        range(len(valid)), key=lambda i: (keys[i], valid[i].key.attempt, valid[i].key.step, valid[i].key.index)
    )
    valid, keys = [valid[i] for i in order], [keys[i] for i in order]
    skills = named_skills(valid, annotator)
    held = _items(valid, skills, annotator, conditions, grounder)
    counts = Counter(item for items in held for item in items)
    frequent = sorted((item for item, n in counts.items() if n >= min_probes), key=lambda item: (-counts[item], item))
    items = tuple(sorted(frequent[:MAX_ITEMS]))
    column = {item: k for k, item in enumerate(items)}
    holds_N_K = np.zeros((len(valid), len(items)), dtype=np.bool_)
    rows = [i for i, some in enumerate(held) for item in some if item in column]
    holds_N_K[rows, [column[item] for some in held for item in some if item in column]] = True
    images = tuple(sorted(set(keys)))
    place = {key: i for i, key in enumerate(images)}
    return ItemTable(
        probes=tuple(valid),
        items=items,
        holds_N_K=holds_N_K,
        wrong_N=np.array([probe.verdict is Verdict.WRONG for probe in valid], dtype=np.bool_),
        image_N=np.array([place[key] for key in keys], dtype=np.int64),
        images=images,
        n_without_skills=sum(some is None for some in skills),
    )


def items_by_probe(
    probes: Sequence[Probe],
    annotator: Annotator | None = None,
    conditions: Mapping[str, Sequence[str]] | None = None,
    grounder: Grounder | None = None,
) -> list[frozenset[str]]:
    """The items of each probe, in order: what `modes.covers` asks for. Arguments are those of `tabulate`."""
    return _items(probes, named_skills(probes, annotator), annotator, conditions, grounder)


def _items(
    probes: Sequence[Probe],
    skills: Sequence[tuple[str, ...] | None],
    annotator: Annotator | None,
    conditions: Mapping[str, Sequence[str]] | None,
    grounder: Grounder | None,
) -> list[frozenset[str]]:
    concepts = [None] * len(probes) if annotator is None else annotator.concepts([probe.question for probe in probes])
    asked = [] if grounder is None else grounder.ground([question_of(probe) for probe in probes])
    referents = [None if one is None else one.referents for one in asked] or [None] * len(probes)
    known = {} if conditions is None else conditions
    of_images = [[item for image in probe.images for item in known.get(image.id, ())] for probe in probes]
    return [
        items_of(skills[i], concepts[i], probe.judgement.expected, of_images[i], referents[i])
        for i, probe in enumerate(probes)
    ]


def named_skills(probes: Sequence[Probe], annotator: Annotator | None) -> list[tuple[str, ...] | None]:
    """The skills of each probe: the verdict's, or else the annotator's; None where neither knows."""
    skills = [probe.judgement.skills for probe in probes]
    unknown = [i for i, some in enumerate(skills) if some is None]
    if annotator is not None and unknown:
        for i, some in zip(unknown, annotator.skills([probes[i].question for i in unknown]), strict=True):
            skills[i] = some
    return skills
