"""The viewer's addresses and what each answers. Knows HTTP; what a page says is in pages.py, how it looks in templates.

All that touches the store runs in one thread, a request at a time, each for milliseconds. Pictures are decoded, and
figures worked out, in other threads.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from importlib.resources import files
from typing import Any, Final, TypeVar
from urllib.parse import parse_qs, quote, unquote

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from gadfly.errors import ImageError, StoreError
from gadfly.records import Verdict
from gadfly.store.pages import read_image
from gadfly.view.filters import Filter
from gadfly.view.gate import Gate
from gadfly.view.live import LiveRun
from gadfly.view.pages import Pages
from gadfly.view.pictures import LARGE_PX, THUMBNAIL_PX, Pictures

POLL_S: Final = 1.0
MAX_BODY_BYTES: Final = 4096
LABELLER_COOKIE: Final = "gadfly-labeller"
_STATIC: Final = {
    "view.css": "text/css; charset=utf-8",
    "view.js": "text/javascript; charset=utf-8",
    "icon.svg": "image/svg+xml",
}
_PICTURE_HEADERS: Final = {"Cache-Control": "private, max-age=86400, immutable"}

T = TypeVar("T")


class Viewer:
    """The app of one run. `thread` is the one that `run` was opened in."""

    def __init__(
        self, run: LiveRun, pictures: Pictures, thread: ThreadPoolExecutor, token: str, port: int, labeller: str
    ) -> None:
        self._run, self._pictures, self._thread, self._labeller = run, pictures, thread, labeller
        self._pages = Pages(run)
        self._static = {name: (files("gadfly.view") / "static" / name).read_bytes() for name in _STATIC}
        routes = [
            Route("/", self._page(lambda r: self._pages.overview(r.query_params.get("phase", "")))),
            Route("/live", self._live),
            Route("/probes", self._page(lambda r: self._pages.probes(Filter.of(r.query_params)))),
            Route("/probe/{number:int}", self._page(self._probe)),
            Route("/probe/{number:int}/{turn:int}/{name}.txt", self._whole_text),
            Route("/label", self._page(self._label_page)),
            Route("/label", self._label, methods=["POST"]),
            Route("/labeller", self._name_labeller, methods=["POST"]),
            Route("/image/{id}", self._picture(LARGE_PX)),
            Route("/thumb/{id}", self._picture(THUMBNAIL_PX)),
            Route("/static/{name}", self._static_file),
        ]
        app = Starlette(routes=routes, lifespan=self._lifespan, exception_handlers={404: _not_found})
        self.app = Gate(app, token, port)

    @asynccontextmanager
    async def _lifespan(self, app: Starlette) -> AsyncIterator[None]:
        follower = asyncio.create_task(self._follow())
        yield
        follower.cancel()
        with suppress(asyncio.CancelledError):
            await follower

    async def _follow(self) -> None:
        """Read what is new and bring the figures up to date, again and again."""
        while True:
            with suppress(StoreError):  # the file is busy, or gone for the moment: the next turn tries again
                await self._in_store(self._run.refresh)
                for phase in await self._in_store(lambda: self._run.phases):
                    stale = await self._in_store(self._run.stale, phase)
                    if stale is not None:
                        self._run.keep(await asyncio.to_thread(self._run.compute, stale))
            await asyncio.sleep(POLL_S)

    async def _in_store(self, work: Callable[..., T], *given: Any) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work, *given)

    def _page(self, make: Callable[[Request], str | None]) -> Callable[[Request], Awaitable[Response]]:
        async def answer(request: Request) -> Response:
            page = await self._in_store(make, request)
            if page is None:
                return _not_found(request, None)
            return HTMLResponse(page)

        return answer

    def _probe(self, request: Request) -> str | None:
        return self._pages.probe(request.path_params["number"], self._who(request))

    async def _whole_text(self, request: Request) -> Response:
        given = request.path_params
        text = await self._in_store(self._pages.whole_text, given["number"], given["turn"], given["name"])
        if text is None:
            return _not_found(request, None)
        name = f"probe-{given['number']}-{given['name']}.txt"  # one of our own names, or there would be no text
        headers = {"Content-Disposition": f'attachment; filename="{name}"'}
        return Response(text.encode("utf-8", "surrogatepass"), media_type="text/plain; charset=utf-8", headers=headers)

    def _label_page(self, request: Request) -> str:
        given = request.query_params
        return self._pages.label(given.get("phase", ""), given.get("n", ""), self._who(request))

    async def _live(self, request: Request) -> Response:
        said = await self._in_store(self._pages.live, request.query_params.get("phase", ""))
        return JSONResponse(said)

    async def _label(self, request: Request) -> Response:
        form = await _form(request)
        who = self._who(request)
        number, said, drawn = form.get("number", ""), form.get("verdict", ""), form.get("drawn") == "1"
        back = form.get("back", "/label")
        if not back.startswith(("/label", "/probe/")):
            back = "/label"
        if said == "REDRAW":
            await self._in_store(self._run.redraw)
            return RedirectResponse(back, 303)
        if not (number.isascii() and number.isdigit() and len(number) < 16) or (
            said not in Verdict.__members__ and said != "UNDO"
        ):
            return PlainTextResponse("A label is RIGHT, WRONG, INVALID or UNDECIDED, of a probe of this run.", 400)
        verdict = None if said == "UNDO" else Verdict(said)
        try:
            if not await self._in_store(self._pages.keep_label, who, int(number), verdict, drawn):
                return PlainTextResponse("There is no such probe in this run.", 404)
        except StoreError as fault:
            return PlainTextResponse(f"The label could not be kept: {fault}", 503)
        return RedirectResponse(back, 303)

    async def _name_labeller(self, request: Request) -> Response:
        name = " ".join((await _form(request)).get("labeller", "").split())[:60]
        answer = RedirectResponse("/label", 303)
        if name:
            answer.set_cookie(LABELLER_COOKIE, quote(name), httponly=True, samesite="strict", path="/")
        return answer

    def _who(self, request: Request) -> str:
        return unquote(request.cookies.get(LABELLER_COOKIE, "")).strip() or self._labeller

    def _picture(self, side_px: int) -> Callable[[Request], Awaitable[Response]]:
        async def answer(request: Request) -> Response:
            image = await self._in_store(read_image, self._run.connection, request.path_params["id"])
            if image is None:
                return PlainTextResponse("The run has asked nothing about an image with this hash.", 404)
            try:
                data, media_type = await asyncio.to_thread(self._pictures.encoded, image, side_px)
            except ImageError:
                return PlainTextResponse("The image is not to be found; --images says where it is now.", 404)
            return Response(data, media_type=media_type, headers=_PICTURE_HEADERS)

        return answer

    async def _static_file(self, request: Request) -> Response:
        name = request.path_params["name"]
        if name not in self._static:
            return _not_found(request, None)
        return Response(self._static[name], headers={"Content-Type": _STATIC[name]})


async def _form(request: Request) -> dict[str, str]:
    """The fields of a posted form; of one that is too long, none."""
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > MAX_BODY_BYTES:
            return {}
    return {name: values[-1] for name, values in parse_qs(body.decode("utf-8", "replace")).items()}


def _not_found(request: Request, fault: Exception | None) -> Response:
    return PlainTextResponse("There is no such page.", 404)
