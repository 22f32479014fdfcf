"""The page: the Ask tab, the Corpora tab and `/ask`, and how it is served.

Knows nothing of what stands in the tabs, or of models, SQL and indexes.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import gradio as gr
from gradio.utils import get_upload_folder
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware

from app.settings import MAX_UPLOAD, Settings
from app.web.api import add_endpoint
from app.web.ask.events import SESSIONS, Asker
from app.web.ask.layout import lay_out
from app.web.ask.wiring import wire
from app.web.components import html
from app.web.corpora.page import build_corpora
from app.web.files import EXAMPLES, Page, placed
from app.web.listeners import Listeners
from app.web.middleware import Bodies, Origins, Routes, SafeHeaders
from app.web.upload_limits import OLD, PATH, UploadLimits, Uploads
from retriever.images import MAX_BYTES

if TYPE_CHECKING:
    from app.service.ask import AnswerService
    from app.service.ingestions import Ingestions
    from app.service.startup import LateService

STATIC = Path(__file__).parent / "static"
STYLES = ("page", "corpora")
# Each uses what is in those before it.
SCRIPTS = ("base", "asking", "page", "corpora", "errors", "kept", "part", "photo", "focus")
KEEP_PHOTOS = (1800, int(OLD))  # seconds: look for old uploads so often, delete those older than this
THREADS = 80  # of Gradio's; many more than may wait for their turn
QUEUED = 200  # events of all kinds that Gradio keeps waiting
MAX_REQUEST = 400_000  # bytes of any but an upload; all turns of a conversation have room
TAGLINE = "Ask a photo a question. Get an answer that shows its evidence."


def build_page(
    service: AnswerService | LateService, ingestions: Callable[[], Ingestions | None] = lambda: None
) -> Page:
    """The page of a service. The service need not have started: the page says how far it is.

    ingestions: gives what manages the corpora, once it is there."""
    listeners = Listeners()
    asker = Asker(service, listeners)
    settings = service.settings
    examples = [example for example in EXAMPLES if example[1].is_file()]
    gr.set_static_paths([placed(file) for _, file, _ in examples])  # neither copied again nor deleted
    with Page(title="CiteSight", analytics_enabled=False, delete_cache=KEEP_PHOTOS) as page:
        html(f'<header class="cs-top"><h1>CiteSight</h1><p>{TAGLINE}</p></header>', elem_id="cs-header")
        controls = lay_out(settings, examples)
        with gr.Tab("Corpora") as managing:
            refresh = build_corpora(ingestions, settings.may_manage)
        wire(page, controls, asker)
        managing.select(**refresh)
        page.load(**refresh)
        add_endpoint(asker.ask, controls.photo, controls.question, settings.passages)
    page.listeners = listeners
    return page.queue(max_size=QUEUED, api_open=False)


def launch(page: Page, settings: Settings) -> str:
    """Start serving in the background and return the address. Raises OSError when the port is taken."""
    _, address, _ = page.launch(
        server_name=settings.host,
        server_port=settings.port,
        prevent_thread_lock=True,
        quiet=True,
        share=False,
        show_error=True,
        inbrowser=False,
        max_file_size=MAX_BYTES,
        enable_monitoring=False,
        run_history=False,
        ssr_mode=False,
        favicon_path=STATIC / "icon.svg",
        pwa=False,
        mcp_server=False,
        state_session_capacity=SESSIONS,
        max_threads=THREADS,
        app_kwargs={"middleware": _middleware(page, settings)},
        footer_links=["api"],
        theme=_theme(),
        head=_head(),
    )
    return address


def _middleware(page: Page, settings: Settings) -> list[Middleware]:
    """What a request passes before Gradio, from the outside in."""
    most = MAX_UPLOAD if settings.may_manage else MAX_BYTES
    limits = UploadLimits(request=most + (1 << 20), client_bytes=5 * most)
    return [
        Middleware(SafeHeaders, framed_by=settings.frame_ancestors),
        Middleware(Origins, names=settings.names, pages=settings.other_names),
        Middleware(Routes),
        Middleware(Bodies, most=MAX_REQUEST, but=PATH),
        Middleware(Uploads, Path(get_upload_folder()), limits, proxied=settings.space_host is not None),
        Middleware(page.listeners.middleware),
        # Gradio compresses its files, but not the page, its configuration and what it answers.
        Middleware(GZipMiddleware),
    ]


def _head() -> str:
    """The page's own style and script. Not through Gradio's `css`, which rewrites selectors, but not all."""
    style, script = (
        "".join((STATIC / f"{name}.{kind}").read_text(encoding="utf-8") for name in names)
        for kind, names in (("css", STYLES), ("js", SCRIPTS))
    )
    return f"<style>{style}</style><script>{script}</script>"


def _theme() -> gr.themes.Base:
    """Gradio's plain theme in the system's fonts, with one accent colour. Loads nothing."""
    sans = ["ui-sans-serif", "system-ui", "-apple-system", "Segoe UI", "Roboto", "sans-serif"]
    mono = ["ui-monospace", "SFMono-Regular", "Consolas", "monospace"]
    return gr.themes.Base(
        primary_hue=gr.themes.colors.teal,
        secondary_hue=gr.themes.colors.teal,
        neutral_hue=gr.themes.colors.stone,
        font=sans,
        font_mono=mono,
        radius_size=gr.themes.sizes.radius_md,
    )
