"""Whether two short answers are the same, as far as that can be told without a judge. Knows nothing of images."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

_ARTICLES: Final = frozenset({"a", "an", "the"})
_YES: Final = frozenset({"yes", "yeah", "yep", "yup"})
_NO: Final = frozenset({"no", "nope", "nah"})
_HEDGES: Final = frozenset({"but", "or", "maybe", "perhaps", "however", "although", "actually", "unless", "except"})
_TAKES_BACK: Final = {
    "yes": _HEDGES | {"no", "not", "never", "t"},  # "t": what is left of isn't, can't, doesn't
    "no": _HEDGES | {"yes"},
}
# fmt: off
_UNITS: Final = {
    "zero": 0, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9,
    "ten": 10, "eleven": 11, "twelve": 12, "thirteen": 13, "fourteen": 14, "fifteen": 15, "sixteen": 16,
    "seventeen": 17, "eighteen": 18, "nineteen": 19,
}
_TENS: Final = {
    "twenty": 20, "thirty": 30, "forty": 40, "fifty": 50, "sixty": 60, "seventy": 70, "eighty": 80, "ninety": 90,
}
# fmt: on
_SCALES: Final = {"hundred": 100, "thousand": 1000}


def normalise(text: str) -> str:
    """The form in which answers, and questions, are compared.

    Case is folded; punctuation goes, save for a decimal point, a minus sign and the per cent sign; yes and no lose
    their variants; number words become digits, "twenty-one" 21 and "two hundred" 200, and 1,000 becomes 1000, 3.50
    becomes 3.5; articles go, unless one is the last word ("option A"). Applying it twice changes nothing.
    """
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    folded = re.sub(r"[−–—](?=\d)", "-", folded)
    folded = re.sub(r"(?<![\d.,])(\d{1,3}(?:,\d{3})+)(?![\d,])", lambda match: match[1].replace(",", ""), folded)
    words = _numbers_as_digits("".join(_kept(folded, place) for place in range(len(folded))).split())
    words = [word for place, word in enumerate(words) if word not in _ARTICLES or place == len(words) - 1]
    return " ".join("yes" if word in _YES else "no" if word in _NO else _plain_decimal(word) for word in words)


def agree(a: str, b: str) -> bool | None:
    """Whether two answers to one question mean the same; None where a judge is needed.

    True: equal when normalised, or one is yes or no alone and the other begins with the same and takes nothing back.
    False: one of them empty, two different numbers, yes against no likewise.
    """
    left, right = normalise(a).split(), normalise(b).split()
    if not left or not right:
        return False if left or right else None
    if left == right:
        return True
    if len(left) == len(right) == 1 and _is_number(left[0]) and _is_number(right[0]):
        return False
    says = [_polarity(words) for words in (left, right)]
    if None not in says and min(len(left), len(right)) == 1:
        return says[0] == says[1]
    return None


def _kept(text: str, place: int) -> str:
    """The character at `place`, or the blank that stands for it."""
    char = text[place]
    category = unicodedata.category(char)
    before, after = text[place - 1 : place], text[place + 1 : place + 2]
    if char == "." and before.isdecimal() and after.isdecimal():
        return char
    if char == "-" and after.isdecimal() and not before.strip():
        return char
    return " " if category[0] in "PCZ" and char != "%" else char


def _numbers_as_digits(words: list[str]) -> list[str]:
    """Runs of number words as one number each: units add to tens, "hundred" and "thousand" multiply what precedes."""
    result: list[str] = []
    total: int | None = None
    part = 0  # what the next scale multiplies
    for word in [*words, ""]:
        value = _UNITS.get(word, _TENS.get(word))
        if total and value and _fits(value, part % 100):
            total, part = total + value, part + value
        elif total and word == "hundred" and 0 < part < 10:
            total, part = total + part * 99, part * 100
        elif total and word == "thousand" and 0 < part < 1000:
            total, part = total + part * 999, 0
        else:
            if total is not None:
                result.append(str(total))
            total, part = value, value or 0
            if value is None and word:
                result.append(str(_SCALES.get(word, word)))
    return result


def _fits(value: int, last_two: int) -> bool:
    """Whether a number word continues one whose last two digits are these: "twenty" one, "hundred" twelve."""
    return last_two == 0 or (value < 10 and last_two >= 20 and last_two % 10 == 0)


def _plain_decimal(word: str) -> str:
    return word.rstrip("0").rstrip(".") if re.fullmatch(r"-?\d+\.\d+", word) else word


def _is_number(word: str) -> bool:
    return re.fullmatch(r"-?\d+(\.\d+)?", word) is not None


def _polarity(words: list[str]) -> str | None:
    """yes or no where the answer begins with it and no later word may take it back."""
    first = words[0]
    if first not in _TAKES_BACK or _TAKES_BACK[first] & set(words):
        return None
    return first
