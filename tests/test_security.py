"""SECURITY.md names a test for each promise; here the tests are looked up, so that none is renamed or deleted alone."""

from __future__ import annotations

import ast
import re
from pathlib import Path

TESTS = Path(__file__).parent
PROMISES = re.findall(r"`([\w/]+\.py)::(\w+)`", (TESTS.parent / "SECURITY.md").read_text(encoding="utf-8"))


def test_every_promise_has_its_test() -> None:
    assert len(PROMISES) > 20
    defined = {
        (file, node.name)
        for file in {file for file, _ in PROMISES}
        for node in ast.walk(ast.parse((TESTS / file).read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef)
    }
    assert set(PROMISES) - defined == set()
