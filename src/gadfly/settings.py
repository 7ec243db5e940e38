"""Tables of settings made into frozen dataclasses, and what can be checked of a setting by itself. Knows no setting.

Every fault is a ConfigError of one line that names the key by its dotted path.
"""

from __future__ import annotations

import dataclasses
import difflib
import functools
import json
import math
import re
import types
import typing
from collections.abc import Mapping
from typing import Any, Final, Literal
from urllib.parse import urlsplit

from gadfly.errors import ConfigError

_SAID: Final = {"str": "a text", "int": "a whole number", "float": "a number", "bool": "true or false"}
_VARIABLE: Final = re.compile(r"[A-Z_][A-Z0-9_]*")


def build(kind: Any, data: Any, where: str = "") -> Any:
    """The dataclass `kind` from a table found at the path `where`. Raises ConfigError: an unknown key (it names the
    nearest known one), a value of another type."""
    if not isinstance(data, Mapping):
        raise ConfigError(f"{where or 'a configuration'} must be a table of settings, not {data!r}")
    known = _fields(kind)
    values = {}
    for key, value in data.items():
        path = f"{where}.{key}" if where else str(key)
        if key not in known:
            near = difflib.get_close_matches(str(key), known, n=1, cutoff=0.0)
            nearest = f"{where}.{near[0]}" if where else near[0]
            raise ConfigError(f"unknown setting {path!r}; did you mean {nearest!r}? ({', '.join(sorted(known))})")
        wanted = known[key]
        nested = isinstance(wanted, type) and dataclasses.is_dataclass(wanted)
        values[key] = build(wanted, value, path) if nested else _coerce(wanted, value, path)
    return kind(**values)


@functools.cache
def _fields(kind: Any) -> dict[str, Any]:
    """The fields with their types, which are texts in the source and costly to evaluate."""
    return typing.get_type_hints(kind)


def _coerce(wanted: Any, value: Any, path: str) -> Any:
    """The value in its declared type. Only lossless changes are made: int → float, list → tuple."""
    origin, options = typing.get_origin(wanted), typing.get_args(wanted)
    if origin is Literal:
        if value in options:
            return value
        raise ConfigError(f"{path} must be one of {', '.join(map(repr, options))}, not {value!r}")
    if origin in (types.UnionType, typing.Union):
        if value is None and type(None) in options:
            return None
        return _coerce(next(o for o in options if o is not type(None)), value, path)
    if origin is Mapping and isinstance(value, Mapping):
        return _plain_table(value, path)
    if origin is tuple and isinstance(value, (list, tuple)):
        if dataclasses.is_dataclass(options[0]):
            return tuple(build(options[0], v, f"{path}.{i}") for i, v in enumerate(value))
        if all(isinstance(v, str) for v in value):
            return tuple(value)
    if wanted is float and type(value) is int and abs(value) <= 2**53:
        return float(value)
    if isinstance(wanted, type) and type(value) is wanted:
        if isinstance(value, float) and not math.isfinite(value):
            raise ConfigError(f"{path} must be a finite number, not {value}")
        return value
    of = "tables" if origin is tuple and dataclasses.is_dataclass(options[0]) else "texts"
    expected = {tuple: f"a list of {of}", Mapping: "a table"}.get(origin) or _SAID[wanted.__name__]
    raise ConfigError(f"{path} must be {expected}, not {value!r}")


def _plain_table(value: Mapping[str, Any], path: str) -> dict[str, Any]:
    """A table whose keys are not ours to know, as JSON gives it back. Raises ConfigError for what JSON cannot hold."""
    try:
        plain: dict[str, Any] = json.loads(json.dumps(value, allow_nan=False))
    except (TypeError, ValueError) as fault:
        raise ConfigError(f"{path} goes to the server as JSON, which cannot hold all of it: {fault}") from None
    return plain


def at_least(section: str, config: Any, **least: int) -> None:
    """Raises ConfigError for the first of these settings that is below its least value."""
    for name, value in least.items():
        if not getattr(config, name) >= value:
            raise ConfigError(f"{section}.{name} must be at least {value}, not {getattr(config, name)}")


def above(section: str, config: Any, **bounds: int) -> None:
    """Raises ConfigError for the first of these settings that is not above its bound."""
    for name, value in bounds.items():
        if not getattr(config, name) > value:
            raise ConfigError(f"{section}.{name} must be above {value}, not {getattr(config, name)}")


def is_variable_name(text: str) -> bool:
    """Whether a text can name an environment variable as they are usually written, in capitals. Most keys cannot,
    which is what this is for: a key that was put where the name of its variable belongs must be found out."""
    return _VARIABLE.fullmatch(text) is not None


def address_fault(address: str) -> str | None:
    """Why a text is not the address of a server and nothing more, None where it is. The text is not in the reason:
    what is wrong with it may be a secret."""
    try:
        parts = urlsplit(address)
        _ = parts.port
    except ValueError:
        return "is no address of a server; give one such as http://127.0.0.1:8000/v1"
    if parts.username or parts.password or parts.query or parts.fragment:
        return "holds more than a place; a key comes from the environment"
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return "is no address of a server; give one such as http://127.0.0.1:8000/v1"
    return None


def host_of(address: str) -> str:
    """The host and port of an address that has no fault."""
    return urlsplit(address).netloc
