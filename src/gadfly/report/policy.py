"""The content security policy of a page: what is in it runs, nothing else does, and nothing is fetched.

A page opens from a disk, where every file has an origin of its own and 'self' means little. So scripts and styles stand
in the page itself and are let in by their hashes; pictures and the typeface are data: URLs.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable
from typing import Any

from markupsafe import Markup


def policy(scripts: Iterable[str], styles: Iterable[str]) -> str:
    """The policy under which exactly these inline scripts and styles are used. Nothing may be written in markup as
    style="…" or onclick="…"."""
    rules = {
        "default-src": "'none'",
        "script-src": " ".join(map(_hash, scripts)) or "'none'",
        "style-src": " ".join(map(_hash, styles)) or "'none'",
        "img-src": "data:",
        "font-src": "data:",
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    return "; ".join(f"{name} {value}" for name, value in rules.items())


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode('utf-8')).digest()).decode('ascii')}'"


_ESCAPES = {ord(c): f"\\u{ord(c):04x}" for c in "<>&"}


def json_block(data: Any) -> Markup:
    """Data for a <script type="application/json">, which nothing in it can end or leave."""
    return Markup(json.dumps(data, ensure_ascii=True, allow_nan=False).translate(_ESCAPES))
