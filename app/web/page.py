"""The page: the Ask tab, the Corpora tab, the Annotate tab and `/ask`, and how it is served.

Knows nothing of what stands in the tabs, or of models, SQL and indexes.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import gradio as gr
from gradio.utils import get_upload_folder
from httpx import HTTPError
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware

from app.settings import GRADIO_QUEUE, GRADIO_THREADS, MAX_REQUEST, MAX_UPLOAD, SESSIONS, UPLOAD_OLD, Settings
from app.web.annotate.door import BACK, Door
from app.web.annotate.page import build_annotate
from app.web.api import add_endpoint
from app.web.ask.answering import ShownAnswer
from app.web.ask.events import Asker
from app.web.ask.layout import lay_out
from app.web.ask.wiring import wire
from app.web.components import html
from app.web.corpora.page import build_corpora
from app.web.listeners import Listeners
from app.web.listening import check_listening
from app.web.middleware import Beside, Bodies, Endpoints, Origins, Routes, SafeHeaders, SubPath
from app.web.pictures import PATH as PICTURES
from app.web.pictures import pictures_app
from app.web.progress import POLL_SECONDS, Watched, looking
from app.web.request_files import EXAMPLES, Page, placed
from app.web.upload_limits import PATH, LimitedUploads, UploadLimits
from common.images import MAX_BYTES
from common.photo_formats import CHOOSER
from common.problems import Problem
from common.text import shown
from kb.pictures import Pictures

if TYPE_CHECKING:
    from app.service.annotating import Annotating
    from app.service.ask import AnswerService
    from app.service.ingestions import Ingestions
    from app.service.starting_service import StartingService

STATIC = Path(__file__).parent / "static"
STYLES = ("page", "corpora", "annotate/annotate")
# Each uses what is in those before it.
SCRIPTS = (
    "base", "asking", "page", "corpora", "errors", "kept", "part", "photo", "focus", "annotate/server",
    "annotate/draw", "annotate/preferences", "annotate/place", "annotate/send", "annotate/photo", "annotate/sources",
    "annotate/card", "annotate/keys", "annotate/back", "annotate/question", "annotate/lately", "annotate/ends",
    "annotate/saying", "annotate/work", "annotate/compare", "annotate/making", "annotate/settle", "annotate/item",
    "annotate/pooling", "annotate/projects", "annotate/people", "annotate/page",
)  # fmt: skip
KEEP_PHOTOS = (1800, int(UPLOAD_OLD))  # seconds: look for old uploads so often, delete those older than this
TAGLINE = "Ask a photo a question. Get an answer that shows its evidence."


def build_page(
    service: AnswerService | StartingService,
    ingestions: Callable[[], Ingestions | None] = lambda: None,
    annotating: Callable[[], Annotating | None] = lambda: None,
) -> Page:
    """The page of a service. The service need not have started: the page says how far it is.

    ingestions: gives what manages the corpora, once it is there; annotating: what the Annotate tab works on."""
    listeners = Listeners()
    settings = service.settings

    def log(shown: ShownAnswer) -> None:
        desk = annotating()
        if settings.question_log and desk is not None:
            desk.log(None if shown.photo is None else Path(shown.photo), shown.result)

    asker = Asker(service, listeners, log)
    examples = [example for example in EXAMPLES if example[1].is_file()]
    gr.set_static_paths([placed(file) for _, file, _ in examples])  # neither copied again nor deleted
    with Page(title="CiteSight", analytics_enabled=False, delete_cache=KEEP_PHOTOS) as page:
        html(f'<header class="cs-top"><h1>CiteSight</h1><p>{TAGLINE}</p></header>', elem_id="cs-header")
        timer = gr.Timer(POLL_SECONDS, active=False)
        controls = lay_out(settings, examples)
        with gr.Tab("Corpora") as managing:
            managed = build_corpora(ingestions, settings.may_manage, timer)
        build_annotate()
        asked = Watched(asker.progress, [controls.corpora], [controls.status, controls.corpora])
        look = looking(timer, [asked, managed])
        for happens in (page.load, timer.tick, controls.tab.select, managing.select):
            happens(**look)
        wire(page, controls, asker, look)
        add_endpoint(asker.ask, controls.photo, controls.question, settings.passages)
    page.listeners = listeners
    page.annotation = Door(annotating, asker.answers)
    return page.queue(max_size=GRADIO_QUEUE, api_open=False)


def launch(page: Page, settings: Settings) -> str:
    """Start serving in the background and return the address. Raises Problem where that cannot be."""
    check_listening(settings.host, settings.port)
    try:
        return _launched(page, settings)
    except (OSError, HTTPError) as problem:
        where = f"{settings.host}, port {settings.port}"
        raise Problem(f"The page cannot be served on {where} ({shown(problem, 300).rstrip('.')}).") from problem


def _launched(page: Page, settings: Settings) -> str:
    _, address, _ = page.launch(
        server_name=f"[{settings.host}]" if ":" in settings.host else settings.host,
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
        max_threads=GRADIO_THREADS,
        app_kwargs={"middleware": _middleware(page, settings)},
        root_path=settings.root_path,
        footer_links=["api"],
        theme=_theme(),
        head=_head(),
    )
    return address


def _middleware(page: Page, settings: Settings) -> list[Middleware]:
    """What a request passes before Gradio, from the outside in."""
    most = MAX_UPLOAD if settings.may_manage else MAX_BYTES
    back = [Middleware(Beside, path=BACK, beside=page.annotation)] if settings.hub_accounts else []
    limits = UploadLimits(request=most + (1 << 20), client_bytes=5 * most)
    return [
        Middleware(SubPath, root=settings.root_path),
        Middleware(SafeHeaders, framed_by=settings.frame_ancestors),
        Middleware(Origins, names=settings.names, pages=settings.other_names),
        *back,
        Middleware(Routes),
        Middleware(Endpoints, names={each.api_name for each in page.fns.values() if each.api_visibility == "public"}),
        Middleware(Bodies, most=MAX_REQUEST, but=PATH),
        Middleware(LimitedUploads, Path(get_upload_folder()), limits, proxied=settings.space_host is not None),
        Middleware(page.listeners.middleware),
        # Gradio compresses its files, but not the page, its configuration and what it answers.
        Middleware(GZipMiddleware),
        Middleware(Beside, path="/annotation/", beside=page.annotation),
        Middleware(Beside, path=PICTURES, beside=pictures_app(Pictures(settings.pictures_dir))),
    ]


def _head() -> str:
    """The page's own style and script. Not through Gradio's `css`, which rewrites selectors, but not all."""
    style, script = (
        "".join((STATIC / f"{name}.{kind}").read_text(encoding="utf-8") for name in names)
        for kind, names in (("css", STYLES), ("js", SCRIPTS))
    )
    photos = f'<meta name="cs-photos" content="{CHOOSER}">'  # which files their choosers offer
    return f"{photos}<style>{style}</style><script>{script}</script>"


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
