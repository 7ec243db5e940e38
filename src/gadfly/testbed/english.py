"""English for programs: several wordings out, one parser in. Knows programs, not scenes."""

from __future__ import annotations

import functools
import random
import re
from dataclasses import replace
from importlib import resources

from lark import Lark, Token, Transformer
from lark.exceptions import LarkError

from gadfly.testbed.programs import NOT_GRAMMATICAL, RELATIONS, SPATIAL, TWO_QUESTIONS, Description, Program
from gadfly.testbed.scenes import COLOURS, SHAPES, SIZES

MAX_WORDS = 60

# Wordings of each operation. {the0}, {the1}: a description of one thing; {some0}: indefinite; {all0}: plural; {bare0}:
# no article. {word}: the operation's own word.
WORDINGS: dict[str, tuple[str, ...]] = {
    "colour": ("what colour is {the0}?", "what is the colour of {the0}?", "which colour does {the0} have?"),
    "shape": ("what shape is {the0}?", "what is the shape of {the0}?", "which shape does {the0} have?"),
    "size": ("what size is {the0}?", "what is the size of {the0}?", "which size does {the0} have?"),
    "digit": ("what number is {the0}?", "which number does {the0} show?", "what does {the0} say?"),
    "parity": ("is {the0} {word}?", "does {the0} show an {word} number?"),
    "greater": ("is {the0} greater than {the1}?", "does {the0} show a greater number than {the1}?"),
    "count": ("how many {all0} are there?", "what is the number of {all0}?", "count the {all0}."),
    "more": ("are there {word} {all0} than {all1}?", "can you see {word} {all0} than {all1}?"),
    "row": ("in which row is {the0}?", "which row is {the0} in?"),
    "column": ("in which column is {the0}?", "which column is {the0} in?"),
    "direction": ("which way does {the0} point?", "what direction does {the0} point in?"),
    "same_direction": ("do {the0} and {the1} point the same way?", "does {the0} point the same way as {the1}?"),
    "exists": ("is there {some0}?", "can you see {some0}?"),
    "all": ("are all {all0} {word}?", "is every {bare0} {word}?"),
    "and": ("is there both {some0} and {some1}?", "can you see both {some0} and {some1}?"),
    "or": ("is there either {some0} or {some1}?", "can you see either {some0} or {some1}?"),
    "same_colour": ("are {the0} and {the1} the same colour?", "is {the0} the same colour as {the1}?"),
    "same_shape": ("are {the0} and {the1} the same shape?", "is {the0} the same shape as {the1}?"),
    "same_size": ("are {the0} and {the1} the same size?", "is {the0} the same size as {the1}?"),
    "larger": (
        "is {the0} larger than {the1}?",
        "is {the0} bigger than {the1}?",
        "does {the0} look larger than {the1}?",
    ),
}
HOP_WORDINGS: dict[str, tuple[str, ...]] = {
    "left_of": ("left of", "to the left of"),
    "right_of": ("right of", "to the right of"),
    "above": ("above", "over"),
    "below": ("below", "under"),
    "next_to": ("next to", "beside"),
    "pointed_at_by": ("pointed at by",),
    "same_colour": ("with the same colour as", "of the same colour as"),
    "same_shape": ("with the same shape as", "of the same shape as"),
    "same_size": ("with the same size as", "of the same size as"),
}
PLURALS = {shape: "crosses" if shape == "cross" else f"{shape}s" for shape in SHAPES}
_SINGULARS = {plural: shape for shape, plural in PLURALS.items()}


def realise(program: Program, rng: random.Random, mark: str = "") -> str:
    """One wording of a program, drawn at random. `parse` gives the same program back for every one of them.

    `mark` is written behind the last word of each description, inner ones first: the order of `program.walk()`.
    """
    parts: dict[str, str] = {"word": program.word or ""}
    if program.operation in SPATIAL:
        first, second = program.descriptions
        relation = f"{rng.choice(HOP_WORDINGS[program.operation])} {_the(second, rng, mark)}"
        # "is the circle left of the star above the ring?" could be read in two ways, "does … lie …" in one only.
        if first.hop is None and rng.random() < 0.6:
            return f"is {_the(first, rng, mark)} {relation}?"
        return f"does {_the(first, rng, mark)} lie {relation}?"
    for i, description in enumerate(program.descriptions):
        for form, say in (("the", _the), ("some", _some), ("all", _all), ("bare", _bare)):
            if form == "the" or description.extreme is None:
                parts[f"{form}{i}"] = say(description, rng, mark)
    return rng.choice(WORDINGS[program.operation]).format(**parts)


def _the(d: Description, rng: random.Random, mark: str) -> str:
    return f"the {d.extreme + ' ' if d.extreme else ''}{_bare(d, rng, mark)}"


def _some(d: Description, rng: random.Random, mark: str) -> str:
    bare = _bare(d, rng, mark)
    return f"{'an' if bare[0] in 'aeiou' else 'a'} {bare}"


def _bare(d: Description, rng: random.Random, mark: str) -> str:
    return _words(d, rng.choice(("thing", "thing", "object")) if d.noun == "thing" else d.noun, "is", rng, mark)


def _all(d: Description, rng: random.Random, mark: str) -> str:
    return _words(
        d, rng.choice(("things", "things", "objects")) if d.noun == "thing" else PLURALS[d.noun], "are", rng, mark
    )


def _words(d: Description, noun: str, verb: str, rng: random.Random, mark: str) -> str:
    words = [w for w in (d.size, d.colour, noun) if w is not None]
    if d.but_not is not None:
        words.append(f"that {verb} not {d.but_not}")
    if d.hop is not None:
        words.append(f"{rng.choice(HOP_WORDINGS[d.hop[0]])} {_the(d.hop[1], rng, mark)}")
    return " ".join(words) + mark


class Ungrammatical(Exception):
    """The text is no single question of the language. `reason` is NOT_GRAMMATICAL or TWO_QUESTIONS."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason


# A question is read by the verifier, by whoever names its skills, and again by each analysis; a predictor of failures
# reads its whole window at every step.
@functools.lru_cache(maxsize=32_768)
def parse(text: str) -> Program:
    """The program that a question means. Case, blanks and the closing mark do not matter.

    Raises Ungrammatical.
    """
    sentences = [s for s in re.split(r"[?.!]", text.lower()) if s.strip()]
    if not sentences:
        raise Ungrammatical(NOT_GRAMMATICAL, "there is no question")
    words = sentences[0].split()
    if len(words) > 2 * MAX_WORDS + 1:  # not even two questions are that long, and looking for two takes a while
        raise Ungrammatical(NOT_GRAMMATICAL, "far too long")
    if len(sentences) == 1:
        program = _parse_words(words)
        if program is not None:
            return program
        halves = [(words[:i], words[i + 1 :]) for i, word in enumerate(words) if word == "and"]
    else:
        halves = [(words, sentences[1].split())]
    if any(_parse_words(a) is not None and _parse_words(b) is not None for a, b in halves):
        raise Ungrammatical(TWO_QUESTIONS, "two questions in one")
    raise Ungrammatical(NOT_GRAMMATICAL, "not a sentence of the question language")


def _parse_words(words: list[str]) -> Program | None:
    vocabulary, parser = _grammar()
    # Every word must be one of the grammar's: the lexer would split "thecircle" in two.
    if not words or len(words) > MAX_WORDS or not vocabulary.issuperset(words):
        return None
    try:
        return _ToProgram().transform(parser.parse(" ".join(words)))
    except LarkError:
        return None


@functools.cache
def _grammar() -> tuple[frozenset[str], Lark]:
    text = resources.files("gadfly.testbed").joinpath("grammar.lark").read_text(encoding="utf-8")
    rules = "\n".join(line for line in text.splitlines() if not line.startswith("//"))
    lists = "|".join(re.findall(r"/\(([a-z|]+)\)", rules))
    vocabulary = frozenset(re.findall(r'"([a-z]+)"', rules)) | frozenset(lists.split("|"))
    return vocabulary, Lark(text, parser="lalr", maybe_placeholders=False)


def vocabulary() -> frozenset[str]:
    """Every word that a question may hold."""
    return _grammar()[0]


class _ToProgram(Transformer[Token, Program]):
    """From lark's tree to a program. Its methods are named for the grammar's rules."""

    def start(self, children: list[Program]) -> Program:
        return children[0]

    def noun(self, children: list[Token]) -> Token:
        word = str(children[0])
        return Token("NOUN", "thing" if word == "object" else word)

    def plural_noun(self, children: list[Token]) -> Token:
        return Token("NOUN", _SINGULARS.get(str(children[0]), "thing"))

    def adjective(self, children: list[Token]) -> Token:
        return Token("ADJECTIVE", str(children[0]))

    def bare(self, children: list[Token | tuple[str, Description]]) -> Description:
        parts: dict[str, str] = {c.type: str(c) for c in children if isinstance(c, Token)}
        hop = next((c for c in children if not isinstance(c, Token)), None)
        return Description(
            noun=parts["NOUN"],
            size=parts.get("SIZE"),
            colour=parts.get("COLOUR"),
            but_not=parts.get("ADJECTIVE"),
            hop=hop,
        )

    plural = bare

    def the(self, children: list[Token | Description]) -> Description:
        description = children[-1]
        assert isinstance(description, Description)
        return description if len(children) == 1 else replace(description, extreme=str(children[0]))

    def same_as(self, children: list[Token | Description]) -> tuple[str, Description]:
        attribute, description = children
        assert isinstance(description, Description)
        return f"same_{attribute}", description

    def related_by_own_hop(self, children: list[Description]) -> Program:
        """ "is the circle left of the star": what looks like a hop of the circle is what is asked."""
        description = children[0]
        if description.hop is None or description.hop[0] not in SPATIAL:
            raise LarkError("no relation is asked about")
        relation, other = description.hop
        return Program(relation, (replace(description, hop=None), other))

    def related(self, children: list[Description | tuple[str, Description]]) -> Program:
        description, hop = children
        assert isinstance(description, Description) and isinstance(hop, tuple)
        if hop[0] not in SPATIAL:
            raise LarkError("this relation is not asked with 'lie'")
        return Program(hop[0], (description, hop[1]))

    def same(self, children: list[Token | Description]) -> Program:
        attribute = next(c for c in children if isinstance(c, Token))
        return Program(f"same_{attribute}", tuple(c for c in children if isinstance(c, Description)))

    def __default__(
        self, data: Token, children: list[Token | Description], meta: object
    ) -> Program | tuple[str, Description]:
        """A rule that has no method here only names its relation or its operation."""
        descriptions = tuple(c for c in children if isinstance(c, Description))
        if data in RELATIONS:
            return str(data), descriptions[0]
        return Program(str(data), descriptions, next((str(c) for c in children if isinstance(c, Token)), None))


assert set(HOP_WORDINGS) == set(RELATIONS)
assert set(COLOURS) | set(SIZES) <= vocabulary()
