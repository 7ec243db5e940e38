"""The words of a skill's or concept's name: their plain forms, and which words may never be taken for one another.

Sentence embeddings place opposites as near as synonyms: all-MiniLM-L6-v2 gives "space above" and "space below" a cosine
of 0.93, "colour" and "hue" less. So what keeps two names apart is said here in words, and `naming.py` asks it first.
Knows English, no embeddings and no counts.
"""

from __future__ import annotations

import functools
import re
from typing import Final

_SPELLINGS: Final = {
    "color": "colour",
    "gray": "grey",
    "center": "centre",
    "neighbor": "neighbour",
    "comparison": "compare",
    "comparative": "compare",
    "spatial": "space",
    "enumeration": "count",
    "enumerate": "count",
    "logical": "logic",
    "people": "person",
    "men": "man",
    "women": "woman",
    "children": "child",
    "feet": "foot",
    "teeth": "tooth",
    "mice": "mouse",
    "none": "no",
    "two": "2",
    "three": "3",
    "four": "4",
    "five": "5",
}

_FILLERS: Final = frozenset(
    "a an the of to in is are be it its this that for on by from other "
    "skill ability task reason reasoning basic simple general visual understanding understand "
    "identify identification identifying recognition recognise recognize recognising recognizing detection detect "
    "detecting determination determine determining attribute property properties perception perceive naming name "
    "object item thing".split()
)
"""Words that say nothing about which skill is meant: they stand in the name of any. "next to", "left of" are as well
known without the small words."""

_OPPOSITES: Final = """
left leftmost | right rightmost
above top over upper up | below bottom under beneath underneath lower down
front ahead | back behind rear
inside within indoor indoors | outside without outdoor outdoors
near nearest close closest | far farthest distant
next adjacent beside touching | far apart
row horizontal | column vertical diagonal
clockwise | counterclockwise anticlockwise
north | south | east | west
big bigger biggest large larger largest greater greatest | small smaller smallest little least
more most many maximum max | less fewer fewest few least minimum min
high higher highest tall taller tallest | low lower lowest short shorter shortest
long longer longest | short shorter shortest | wide wider
first | last final | second | third | middle
before earlier previous | after later next
start begin beginning | end
odd | even
true | false
open | closed shut
full | empty
on | off
old | young new
light bright brightness | dark darkness
hot warm | cold cool
male man boy | female woman girl
adult | child
day daytime | night nighttime
and conjunction | or disjunction | not no negation | if conditional implication
all every each universal | exist exists existence any some existential
colour hue | shape form | size | texture | material | pattern | count number | position location | action activity
person human face | animal | plant | vehicle | food | building | weather | emotion
text word letter sign | digit number numeral | price | date | time
red | orange | yellow | green | cyan | blue | purple | brown | black | white | grey | pink
circle | square | triangle | star | cross | diamond | heart | moon | ring | arrow | rectangle
walk | run | sit | stand | jump | lie
win | lose
add addition plus sum | subtract subtraction minus | multiply multiplication | divide division
"""
"""A line is one scale or one kind; words on different sides of a bar are different things on it."""

_OPERATORS: Final = frozenset(
    "same equal different difference differ compare relative relation relationship not no and or if all any each every "
    "both either neither only except without more most less least fewer fewest than greater larger bigger smaller "
    "unique odd even between multi multiple change cause why how when who".split()
)
"""Words that make another skill of the one they are added to: "direction" and "same direction". Two names must have the
same of them."""


@functools.lru_cache(maxsize=65536)
def stem(word: str) -> str:
    """The word in the singular, without -ing, -ion and a silent e, British spelling; good for comparing only."""
    word = _SPELLINGS.get(word, word)
    for ending, instead in (("sses", "ss"), ("shes", "sh"), ("ches", "ch"), ("xes", "x"), ("ies", "y")):
        if word.endswith(ending) and len(word) > len(ending) + 1:
            word = word.removesuffix(ending) + instead
            break
    else:
        if word.endswith("s") and len(word) > 3 and not word.endswith(("ss", "us", "is")):
            word = word[:-1]
    word = _SPELLINGS.get(word, word)
    if word.endswith(("ing", "tion")) and len(word) >= 7:
        word = word[:-3]
    return word[:-1] if word.endswith("e") and len(word) > 3 else word


def singular(word: str) -> str:
    """A noun in the singular, as far as endings tell: what equal concepts are written with."""
    for ending, instead in (("sses", "ss"), ("shes", "sh"), ("ches", "ch"), ("xes", "x"), ("ies", "y")):
        if word.endswith(ending) and len(word) > len(ending) + 1:
            return word.removesuffix(ending) + instead
    irregular = _SPELLINGS.get(word, word)
    if irregular != word:
        return irregular
    return word[:-1] if word.endswith("s") and len(word) > 3 and not word.endswith(("ss", "us", "is")) else word


def words_of(name: str) -> list[str]:
    """The words of a name, lower case, in order; digits are words of their own."""
    return re.findall(r"[^\W\d_]+|\d+", name.lower())


@functools.lru_cache(maxsize=65536)
def plain_form(name: str) -> frozenset[str]:
    """The stems of the words that say which skill is meant, whatever their order; all of its stems where that leaves
    none."""
    stems = {stem(word) for word in words_of(name)}
    telling = stems - _FILLER_STEMS
    return frozenset(telling or stems)


def kept_apart(a: str, b: str) -> bool:
    """Whether two names hold words that make them different things, however near they lie: other digits, an operator
    that only one of them has, opposites."""
    return marks(a).digits != marks(b).digits or marks(a).operators != marks(b).operators or _opposed(a, b)


class Marks:
    """What of a name takes part in keeping it apart from others."""

    __slots__ = ("digits", "operators", "sides")

    def __init__(self, name: str) -> None:
        stems = {stem(word) for word in words_of(name)}
        self.digits = frozenset(word for word in stems if word.isdigit())
        self.operators = frozenset(stems & _OPERATOR_STEMS)
        self.sides = {
            scale: sides
            for scale, words in enumerate(_SCALES)
            if (sides := frozenset(words[one] for one in stems if one in words))
        }


@functools.lru_cache(maxsize=65536)
def marks(name: str) -> Marks:
    """The digits, the operators, and for each scale the sides that a name's words are on."""
    return Marks(name)


def _opposed(a: str, b: str) -> bool:
    ours, theirs = marks(a).sides, marks(b).sides
    return any(ours[scale] != theirs[scale] for scale in ours.keys() & theirs.keys())


def _scales() -> tuple[dict[str, int], ...]:
    lines = [line for line in _OPPOSITES.splitlines() if line.strip()]
    return tuple(
        {stem(word): place for place, side in enumerate(line.split("|")) for word in side.split()} for line in lines
    )


_SCALES: Final = _scales()
_FILLER_STEMS: Final = frozenset(map(stem, _FILLERS))
_OPERATOR_STEMS: Final = frozenset(map(stem, _OPERATORS))
