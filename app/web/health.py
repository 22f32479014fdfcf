"""What whoever runs the program asks of it: `/healthz`, whether it is alive, `/readyz`, whether it can answer, and
`/metrics`, where that is set.

Knows nothing of what it takes to answer.
"""

from __future__ import annotations

from collections.abc import Callable

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from app.web.metrics import PATH as METRICS
from app.web.metrics import Metrics

PATHS = ("/healthz", "/readyz", METRICS)
_FRESH = {"Cache-Control": "no-store"}


def health_app(waiting_for: Callable[[], list[str]], metrics: Metrics | None = None) -> Starlette:
    """waiting_for: what questions cannot be answered for now, by names; none when they can. metrics: None where they
    are not served."""

    async def alive(request: Request) -> Response:
        return JSONResponse({"alive": True}, headers=_FRESH)

    async def ready(request: Request) -> Response:
        lacking = await run_in_threadpool(waiting_for)
        return JSONResponse({"ready": not lacking, "waiting_for": lacking}, 503 if lacking else 200, _FRESH)

    counted = [] if metrics is None else [Route(METRICS, metrics.read)]
    return Starlette(routes=[Route("/healthz", alive), Route("/readyz", ready), *counted])
