"""Which questions give their answer away, or contradict themselves, by their words alone. Knows programs, no scene."""

from __future__ import annotations

from gadfly.testbed.programs import ANSWER_CONTAINED, Description, InvalidReference, Program
from gadfly.testbed.scenes import COLOURS

_OPPOSITES = {"left_of": "right_of", "right_of": "left_of", "above": "below", "below": "above"}


def _stated(description: Description, attribute: str) -> str | None:
    """The value of an attribute that the description itself gives away, directly or through "the same … as"."""
    own = _own(description, attribute)
    if own is None and description.hop is not None and description.hop[0] == f"same_{attribute}":
        return _stated(description.hop[1], attribute)
    return own


def _own(description: Description, attribute: str) -> str | None:
    """The value of an attribute that the description's own words state."""
    if attribute == "shape":
        return description.noun if description.noun != "thing" else None
    return description.colour if attribute == "colour" else description.size


def _denied(description: Description, attribute: str) -> str | None:
    """The value that the description says an attribute has not."""
    if description.but_not is None or attribute != ("colour" if description.but_not in COLOURS else "size"):
        return None
    return description.but_not


def _denies_itself(description: Description) -> bool:
    """Whether it says of one attribute both what it is and what it is not: "the red circle that is not blue", "the red
    circle with the same colour as the blue star"."""
    for attribute in ("shape", "colour", "size"):
        own, denied = _own(description, attribute), _denied(description, attribute)
        if own is not None and denied is not None:
            return True
        if description.hop is not None and description.hop[0] == f"same_{attribute}":
            stated = _stated(description.hop[1], attribute)
            if stated is not None and (denied == stated or own not in (None, stated)):
                return True
    return description.hop is not None and _denies_itself(description.hop[1])


def _is_part(a: Description, b: Description) -> bool:
    """Whether by the words alone all that fits `a` fits `b` too ("red circles left of the star", "circles")."""
    pairs = ((a.size, b.size), (a.colour, b.colour), (a.but_not, b.but_not), (a.hop, b.hop))
    if b.extreme is not None:
        return a == b
    return b.noun in ("thing", a.noun) and all(theirs in (None, ours) for ours, theirs in pairs)


def _says_relation(description: Description, other: Description, operation: str) -> bool:
    """Whether the description hangs on `other` by the very relation that is asked about, or by its opposite."""
    return description.hop in ((operation, other), (_OPPOSITES.get(operation), other))


def refuse_contained(program: Program) -> None:
    """Raises InvalidReference where the question's words give its answer away, or contradict themselves, whatever the
    image."""
    operation, (a, *rest) = program.operation, program.descriptions
    contained = any(_denies_itself(d) for d in program.descriptions)
    if operation == "exists":
        contained |= a == Description()  # no image is without a thing
    elif operation in ("colour", "shape", "size"):
        contained |= _stated(a, operation) is not None
    elif operation == "all":
        attribute = "colour" if program.word in COLOURS else "size"
        contained |= _stated(a, attribute) is not None or a.but_not == program.word
    elif rest:
        b = rest[0]
        if operation in ("and", "or", "more"):
            contained |= a == b
            # "are there more red circles than circles?"
            contained |= operation == "more" and (_is_part(a, b) if program.word == "more" else _is_part(b, a))
        elif operation in ("same_colour", "same_shape", "same_size", "larger"):
            attribute = "size" if operation == "larger" else operation.removeprefix("same_")
            of_a, of_b = _stated(a, attribute), _stated(b, attribute)
            contained |= of_a is not None and of_b is not None
            if operation == "larger":  # nothing small is larger, nothing is larger than the large
                contained |= of_a == "small" or of_b == "large"
            else:  # "is the red circle the same colour as the thing that is not red?"
                contained |= of_a is not None and of_a == _denied(b, attribute)
                contained |= of_b is not None and of_b == _denied(a, attribute)
        # "is the circle left of the star left of the star?", and from the other side
        contained |= _says_relation(a, b, operation) or _says_relation(b, a, operation)
    if contained:
        raise InvalidReference(ANSWER_CONTAINED, "the words of the question give the answer")
