"""`gadfly view`: a local web app over a run. Opens no port but one on loopback."""

from __future__ import annotations

import webbrowser
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gadfly.cli.output import progress, remark, say
from gadfly.cli.parameters import MovedImages

if TYPE_CHECKING:
    from gadfly.view.pictures import Pictures


def view(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run folder; the run may be going on.")],
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port on this machine; 0 takes any that is free.")] = 0,
    no_open: Annotated[bool, typer.Option("--no-open", help="Do not open a browser.")] = False,
    labeller: Annotated[str, typer.Option(help="Who labels, unless the page says otherwise.")] = "me",
    images: MovedImages = None,
) -> None:
    """Look at a run in the browser, while it goes on too. There are its figures and each probe with its image, to
    search, filter and label. Only this machine can open it, with the address that is printed; nothing is sent
    anywhere."""
    from gadfly.view.serving import serve

    with progress("reading probes", passing=True) as bar:
        pictures = _pictures(run, images)

        def ready(address: str) -> None:
            say(f"{run} is at {address}")
            remark("Ctrl-C ends it; whoever has this address can read the run and label it")
            if not no_open:
                with suppress(webbrowser.Error):
                    webbrowser.open(address)

        with suppress(KeyboardInterrupt):  # the way to end it; every label is in the store by then
            serve(run, pictures, port=port, labeller=labeller, on_ready=ready, on_progress=bar.update)


def _pictures(run: Path, images: str | None) -> Pictures:
    from gadfly.run_folder import config_of
    from gadfly.view.pictures import Pictures
    from gadfly.wiring import open_images

    config = config_of(run).images
    if images is not None:
        config = replace(config, path=images)
    return Pictures(
        Path(config.path) if config.path else None,
        int(config.max_megapixels * 1_000_000),
        lambda: open_images(config),
    )
