"""The real `gadfly` command in processes of its own that start at once: forked from one that has loaded the libraries.

A process that is to be killed fifty times must not spend five seconds on imports each time. Nothing else differs from
the command in a shell: each process parses its own arguments, loads its own models, and can be killed.
"""

from __future__ import annotations

import multiprocessing
import os
import resource
import sys
from multiprocessing.context import ForkServerProcess
from pathlib import Path

_CONTEXT = multiprocessing.get_context("forkserver")
_PRELOADED = (
    "gadfly.cli.summary",
    "gadfly.cli.main",
    "gadfly.models.local",
    "gadfly.rewards.combination",
    "gadfly.rewards.embedding",
    "gadfly.roles.questioner",
    "gadfly.roles.target",
    "gadfly.testbed.oracle",
    "gadfly.testbed.uniform",
    "gadfly.train.method",
)


def start(arguments: list[str], log: Path, max_file_bytes: int | None = None) -> ForkServerProcess:
    """`gadfly ARGUMENTS` under way; what it prints goes to `log`. No file may grow beyond `max_file_bytes`."""
    _CONTEXT.set_forkserver_preload(list(_PRELOADED))
    process = _CONTEXT.Process(target=_command, args=(arguments, str(log), max_file_bytes))
    process.start()
    return process


def run(arguments: list[str], log: Path) -> None:
    """`gadfly ARGUMENTS` to its end, which must be a good one."""
    process = start(arguments, log)
    process.join(200)
    assert process.exitcode == 0, f"gadfly {' '.join(arguments)}: status {process.exitcode}\n{log.read_text()[-2000:]}"


def _command(arguments: list[str], log: str, max_file_bytes: int | None) -> None:
    from gadfly.cli.main import main

    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for standard in (1, 2):
        os.dup2(file, standard)
    if max_file_bytes is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (max_file_bytes, max_file_bytes))
    sys.argv = ["gadfly", *arguments]
    main()
