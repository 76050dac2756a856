"""Sign-in for development: choose a name, get a token for it. Never for production.

The dashboard sends a browser here, and gets it back with a token in the fragment; docs/settings.md
says how. A cookie remembers the name, so that a page that is loaded anew comes back by itself.
"""

from __future__ import annotations

import argparse
import html
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from string import Template
from typing import NamedTuple
from urllib.parse import parse_qsl, quote, unquote, urlencode

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route

from cluster.keys import DevelopmentKeys
from cluster.ports import HOST

PATH = "/sign-in"
COOKIE = "sessiond-name"
NAME_BYTES = 128

ADMIN = "root"
"""The name that stands for an administrator; all others are users."""

_PAGE = Template(Path(__file__).with_suffix(".html").read_text())
_STYLE = Path(__file__).with_suffix(".css").read_text()
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_NO_NAME = f'<p role="alert">A name has 1 to {NAME_BYTES} bytes, and no control characters.</p>'

Answer = Callable[[Request], Awaitable[Response]]


class Refused(Exception):
    """The request is not one of the dashboard's."""


class Asked(NamedTuple):
    """Where to send the browser back, and what the page there wants to hear again."""

    return_to: str
    state: str

    def answered(self, **more: str) -> str:
        """Return the URL that takes an answer back to the page."""
        return f"{self.return_to}#{urlencode({**more, 'state': self.state})}"


class SignIn:
    """The page of names; `gateways` are the origins to which alone tokens go."""

    def __init__(self, keys: DevelopmentKeys, gateways: Sequence[str]) -> None:
        self._keys = keys
        self._gateways = tuple(gateways)
        # Nothing that comes after the origin's own slash can change the origin any more.
        origins = "|".join(map(re.escape, gateways))
        self._return_to = re.compile(rf'(?:{origins})/[!"$-~]*')

    def application(self) -> Starlette:
        """Return what answers."""
        return Starlette(
            routes=[
                Route(PATH, self._dressed(self._come), methods=["GET"]),
                Route(PATH, self._dressed(self._choose), methods=["POST"]),
                Route(f"{PATH}/style.css", _style),
                Route("/readyz", _ready),
            ]
        )

    async def _come(self, request: Request) -> Response:
        asked = self._asked(request.query_params)
        name = unquote(request.cookies.get(COOKIE, ""))
        if request.query_params.get("prompt") == "login" or not _is_name(name):
            return _page(asked)
        return self._back(asked, name)

    async def _choose(self, request: Request) -> Response:
        form = dict(parse_qsl((await request.body()).decode(errors="replace")))
        asked = self._asked(form)
        name = form.get("name", "")
        return self._back(asked, name) if _is_name(name) else _page(asked, _NO_NAME, status=400)

    def _asked(self, given: Mapping[str, str]) -> Asked:
        asked = Asked(given.get("return_to", ""), given.get("state", ""))
        if not self._return_to.fullmatch(asked.return_to) or not asked.state:
            raise Refused
        return asked

    def _back(self, asked: Asked, name: str) -> Response:
        role = "admin" if name == ADMIN else None
        url = asked.answered(token=self._keys.user_token(name, role=role))
        response = Response(status_code=303, headers={"Location": url})
        response.set_cookie(COOKIE, quote(name, safe=""), path=PATH, httponly=True, samesite="lax")
        return response

    def _dressed(self, answer: Answer) -> Answer:
        # A form's answer is a redirect, and the policy judges where that leads, too.
        forms = " ".join(("'self'", *self._gateways))
        headers = {
            "Content-Security-Policy": "default-src 'none'; style-src 'self'; base-uri 'none'; "
            f"form-action {forms}; frame-ancestors 'none'",
            "Cache-Control": "no-store",
            "Referrer-Policy": "no-referrer",
            "X-Content-Type-Options": "nosniff",
        }
        refusal = (
            "Tokens go to the dashboard alone, and only when it asks. Open it at "
            f"{self._gateways[0]}/\n"
        )

        async def dressed(request: Request) -> Response:
            try:
                response = await answer(request)
            except Refused:
                response = PlainTextResponse(refusal, 400)
            response.headers.update(headers)
            return response

        return dressed


def _page(asked: Asked, problem: str = "", *, status: int = 200) -> Response:
    page = _PAGE.substitute(
        problem=problem,
        return_to=html.escape(asked.return_to),
        state=html.escape(asked.state),
        cancel=html.escape(asked.answered(error="access_denied")),
    )
    return HTMLResponse(page, status)


def _is_name(name: str) -> bool:
    # The parts refuse a token of any other user id.
    return 1 <= len(name.encode()) <= NAME_BYTES and not _CONTROL.search(name)


async def _style(request: Request) -> Response:
    return Response(_STYLE, media_type="text/css")


async def _ready(request: Request) -> Response:
    return PlainTextResponse("ok\n")


def main() -> None:
    """Serve until SIGTERM."""
    parser = argparse.ArgumentParser(prog="python -m cluster.sign_in", description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--keys", type=Path, required=True, help="the folder of development keys")
    parser.add_argument("--gateway", action="append", required=True, help="its origin; repeatable")
    told = parser.parse_args()
    uvicorn.run(
        SignIn(DevelopmentKeys(told.keys), told.gateway).application(),
        host=HOST,
        port=told.port,
        log_level="warning",
        server_header=False,
        timeout_graceful_shutdown=1,
    )


if __name__ == "__main__":
    main()
