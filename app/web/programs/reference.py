"""The reference of the API: /openapi.json, and /docs, where it can be read and tried out. Nothing of the page is loaded
from elsewhere: its script and style come with a package. Knows nothing of what the API does.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.docs import get_swagger_ui_html
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, PlainTextResponse, Response

DOCS, SCHEMA = "/docs", "/openapi.json"
_REF = "#/components/schemas/{model}"
_ASSETS = {"swagger-ui-bundle.js": "text/javascript", "swagger-ui.css": "text/css"}
_FOR_A_DAY = {"Cache-Control": "public, max-age=86400"}


def add_reference(app: FastAPI, *sent: type[BaseModel]) -> None:
    """sent: what bodies are that routes read themselves, which FastAPI knows nothing of. Addresses in the page are
    relative, so that it is right below any path."""
    static = files("fastapi_offline") / "static"

    @app.get(SCHEMA, include_in_schema=False)
    async def schema() -> Response:
        return JSONResponse(described(app, sent))

    @app.get(DOCS, include_in_schema=False)
    async def page() -> HTMLResponse:
        return get_swagger_ui_html(
            openapi_url=SCHEMA[1:],
            title=f"{app.title} for programs",
            swagger_js_url="docs/swagger-ui-bundle.js",
            swagger_css_url="docs/swagger-ui.css",
            swagger_favicon_url="favicon.ico",
            swagger_ui_parameters={"validatorUrl": None, "defaultModelsExpandDepth": 0},
        )

    @app.get(f"{DOCS}/{{name}}", include_in_schema=False)
    async def asset(name: str) -> Response:
        if name not in _ASSETS:
            return PlainTextResponse("There is nothing here.", 404)
        return FileResponse(str(static / name), media_type=_ASSETS[name], headers=_FOR_A_DAY)


def described(app: FastAPI, sent: Sequence[type[BaseModel]]) -> dict[str, Any]:
    """The schema, with the models of the bodies among its own, and without what FastAPI would answer where a value
    does not fit: a problem as any other, which the routes declare."""
    _, models = models_json_schema([(each, "validation") for each in sent], ref_template=_REF)
    schema = app.openapi()
    described = schema["components"]["schemas"]
    described.update(models["$defs"])
    for name in ("HTTPValidationError", "ValidationError"):
        described.pop(name, None)
    for operation in (each for path in schema["paths"].values() for each in path.values()):
        if "HTTPValidationError" in str(operation["responses"].get("422")):
            del operation["responses"]["422"]
    return schema
