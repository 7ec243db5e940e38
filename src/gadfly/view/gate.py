"""Who may see the viewer: this machine's browser, with the token from the terminal. Knows nothing of what is shown.

The server listens on loopback. That alone keeps out neither other users of the machine nor pages of other sites in the
same browser, so every request needs a Host that is ours (a foreign name that resolves to 127.0.0.1 is DNS rebinding),
no Origin but ours, and a cookie that only the token gives. The cookie's name has the port in it, since browsers send a
host's cookies to all its ports.
"""

from __future__ import annotations

from hmac import compare_digest
from typing import Final, final

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HOST: Final = "127.0.0.1"

_HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; img-src 'self'; style-src 'self'; script-src 'self'; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",  # with no-referrer, browsers send "Origin: null" with our own forms
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}


@final
class Gate:
    """Lets requests through to `app`, or answers them itself with a status of 4xx. Adds the headers that keep a page
    from loading or calling anything but this server."""

    def __init__(self, app: ASGIApp, token: str, port: int) -> None:
        self._app = app
        self._token = token
        self._cookie = f"gadfly-{port}"
        self._hosts = {f"{HOST}:{port}", f"localhost:{port}"}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers[name] = value
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        if scope["type"] != "http":
            return
        refusal = self._refusal(Request(scope))
        await (refusal or self._app)(scope, receive, send_with_headers)

    def _refusal(self, request: Request) -> Response | None:
        """An answer in place of the app's; None where the request may pass."""
        headers = request.headers
        if headers.getlist("host") not in [[host] for host in self._hosts]:
            return PlainTextResponse("This address is not the viewer's. Open the one that the terminal shows.", 421)
        if not self._own_origin(headers, request.method):
            return PlainTextResponse("Requests from other sites are not answered.", 403)
        if request.method not in ("GET", "HEAD", "POST"):
            return PlainTextResponse("Not a method that is used here.", 405)
        if compare_digest(request.cookies.get(self._cookie, "").encode(), self._token.encode()):
            return None
        if compare_digest(request.query_params.get("token", "").encode(), self._token.encode()):
            welcome = RedirectResponse("/", 303)  # so that the token does not stay in the address bar
            welcome.set_cookie(self._cookie, self._token, httponly=True, samesite="strict", path="/")
            return welcome
        return PlainTextResponse("Open the whole address that the terminal shows: it ends in a token.", 401)

    def _own_origin(self, headers: Headers, method: str) -> bool:
        origin = headers.get("origin")
        if headers.get("sec-fetch-site") in ("cross-site", "same-site") and (
            method != "GET" or headers.get("sec-fetch-mode") != "navigate"
        ):
            return False
        if origin is None:
            return method != "POST"  # browsers say where a form comes from
        return origin == f"http://{headers['host']}"
