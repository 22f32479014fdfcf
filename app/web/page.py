"""The page: the Ask tab, the Corpora tab, the Annotate tab and `/ask`, and how it is served.

Knows nothing of what stands in the tabs, or of models, SQL and indexes.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import gradio as gr
from gradio.utils import get_upload_folder
from httpx import HTTPError
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware

from app.limits import GRADIO_QUEUE, GRADIO_THREADS, MAX_REQUEST, MAX_UPLOAD, SESSIONS
from app.logs import PROBLEMS, take_over
from app.service.readiness import waiting_for
from app.service.shown_answers import ShownAnswer
from app.settings import Settings
from app.web.annotate.door import BACK, Door
from app.web.annotate.page import build_annotate
from app.web.api import add_endpoint
from app.web.ask.events import Asker
from app.web.ask.layout import lay_out
from app.web.ask.wiring import wire
from app.web.components import I18N, html, label
from app.web.connections import bound_connections
from app.web.corpora.page import build_corpora
from app.web.health import PATHS, health_app
from app.web.kept_links import PATH as KEPT
from app.web.kept_links import kept_links
from app.web.languages import LANGUAGES, Speaking, still
from app.web.listeners import Listeners
from app.web.listening import check_listening
from app.web.middleware import Beside, Bodies, Endpoints, Origins, Routes, SafeHeaders, SubPath
from app.web.page_policy import PagePolicy
from app.web.pictures import PATH as PICTURES
from app.web.pictures import pictures_app
from app.web.programs.api import programs_api
from app.web.programs.asking import Asking
from app.web.programs.bodies import BoundedBodies
from app.web.programs.keys import ALL, MCP, Keys
from app.web.programs.mcp import at_mcp
from app.web.programs.reference import DOCS, SCHEMA
from app.web.progress import POLL_SECONDS, Watched, looking
from app.web.proxies import Proxies
from app.web.rates import AskedByProgram
from app.web.request_files import EXAMPLES, Page, placed
from app.web.request_lines import RequestLines
from app.web.several.forwarding import Forwarding
from app.web.taken_answers import PATH as TAKEN
from app.web.taken_answers import taken_answers
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
    from app.web.several.shared import Shared
    from kb.catalogue.database import Database

STATIC = Path(__file__).parent / "static"
STYLES = ("page", "corpora", "annotate/annotate")
# Each uses what is in those before it.
SCRIPTS = (
    "base", "language", "asking", "page", "aloud", "corpora", "errors", "kept", "part", "photo", "focus",
    "annotate/server", "annotate/draw", "links", "annotate/preferences", "annotate/place", "annotate/send",
    "annotate/photo", "annotate/sources", "annotate/card", "annotate/keys", "annotate/back", "annotate/question",
    "annotate/lately", "annotate/ends", "annotate/saying", "annotate/work", "annotate/compare", "annotate/making",
    "annotate/settle", "annotate/item", "annotate/pooling", "annotate/projects", "annotate/people", "annotate/page",
)  # fmt: skip


def build_page(
    service: AnswerService | StartingService,
    ingestions: Callable[[], Ingestions | None] = lambda: None,
    annotating: Callable[[], Annotating | None] = lambda: None,
    shared: Shared | None = None,
) -> Page:
    """The page of a service. The service need not have started: the page says how far it is.

    ingestions: gives what manages the corpora, once it is there; annotating: what the Annotate tab works on. shared:
    with other processes; None where there are none."""
    listeners = Listeners()
    settings = service.settings

    def log(shown: ShownAnswer) -> None:
        desk = annotating()
        if settings.question_log and desk is not None:
            desk.log(shown)

    def database() -> Database | None:
        desk = annotating()
        return shared.database if shared is not None else desk and desk.database

    kept = () if shared is None else (shared.conversations, shared.answers, shared.counting)
    asker = Asker(service, listeners, log, *kept)
    examples = [example for example in EXAMPLES if example[1].is_file()]
    gr.set_static_paths([placed(file) for _, file, _ in examples])  # neither copied again nor deleted
    with Page(title="CiteSight", analytics_enabled=False) as page:
        html(_header(), elem_id="cs-header")
        timer = gr.Timer(POLL_SECONDS, active=False)
        controls = lay_out(settings, examples)
        with gr.Tab(label("tab_corpora"), elem_id="tab-corpora") as managing:
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
    page.taken = taken_answers(asker.answers)
    page.links = kept_links(settings, database, asker.answers)
    page.health = health_app(partial(waiting_for, service), asker.metrics if settings.metrics else None)
    page.shared = shared
    page.askings = asker.askings
    asking = Asking(service, asker.enter, asker.askings, asker.metrics.counted, asker.hears)
    tools = at_mcp(service, asking)
    page.programs = BoundedBodies(Beside(programs_api(service, asking, settings, annotating), MCP, tools))
    page.keys = partial(Keys, database=database, open_at=settings.may_ask_as)
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
    os.environ["FORWARDED_ALLOW_IPS"] = ""  # uvicorn would believe every proxy of this machine: see app/web/proxies.py
    bound_connections()
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
        _frontend=False,  # else Gradio asks itself for the page, and ends where a busy machine needs three seconds
        favicon_path=STATIC / "icon.svg",
        pwa=False,
        mcp_server=False,
        state_session_capacity=SESSIONS,
        max_threads=GRADIO_THREADS,
        app_kwargs={"middleware": _middleware(page, settings)},
        root_path=settings.root_path,
        footer_links=["api"],
        theme=_theme(),
        head=_head(settings),
        i18n=I18N,
    )
    if settings.log != PROBLEMS:
        take_over("uvicorn", "uvicorn.access")
    return address


def _middleware(page: Page, settings: Settings) -> list[Middleware]:
    """What a request passes before Gradio, from the outside in."""
    most = MAX_UPLOAD if settings.may_manage else MAX_BYTES
    back = [Middleware(Beside, path=BACK, beside=page.annotation)] if settings.hub_accounts else []
    limits = UploadLimits(request=most + (1 << 20), client_bytes=5 * most, keep=settings.keep_seconds)
    shared = page.shared
    asks = {number: each.api_name for number, each in page.fns.items() if each.api_visibility == "public"}
    others = [] if shared is None else [Middleware(Forwarding, shared.me, shared.holder, shared.secret)]
    # Twice: around what is compressed further within, and around all else.
    policy = Middleware(PagePolicy, framed_by=settings.frame_ancestors, script=_static("js", SCRIPTS))
    lines = [] if settings.log == PROBLEMS else [Middleware(RequestLines, but=PATHS)]
    return [
        *lines,
        Middleware(Proxies, trusted=settings.proxies),
        Middleware(SubPath, root=settings.root_path),
        Middleware(Speaking),
        Middleware(SafeHeaders, framed_by=settings.frame_ancestors),
        policy,
        Middleware(Origins, names=settings.names, pages=settings.other_names, in_json=(ALL, MCP)),
        *back,
        Middleware(Routes),
        Middleware(Endpoints, names=set(asks.values())),
        Middleware(page.keys),
        *(Middleware(Beside, path=path, beside=page.programs) for path in (ALL, DOCS, SCHEMA, MCP)),
        Middleware(Bodies, most=MAX_REQUEST, but=PATH),
        *others,
        Middleware(AskedByProgram, page.askings, asks.values(), asks),
        Middleware(LimitedUploads, Path(get_upload_folder()), limits),
        Middleware(page.listeners.middleware),
        # Gradio compresses its files, but not the page, its configuration and what it answers.
        Middleware(GZipMiddleware),
        Middleware(Beside, path="/annotation/", beside=page.annotation),
        *(Middleware(Beside, path=path, beside=page.health) for path in PATHS),
        Middleware(Beside, path=TAKEN, beside=page.taken),
        Middleware(Beside, path=KEPT, beside=page.links),
        Middleware(Beside, path=PICTURES, beside=pictures_app(Pictures(settings.pictures_dir))),
        policy,
    ]


def _header() -> str:
    """The name, what it is for, and the languages, of which language.js marks the page's own."""
    names = "".join(
        f'<option value="{each.code}" lang="{each.code}">{each.name}</option>' for each in LANGUAGES.values()
    )
    choice = f'<span class="cs-sr">{still("language")}</span><select>{names}</select>'
    top = f'<h1>CiteSight</h1><p>{still("tagline")}</p><label class="cs-language">{choice}</label>'
    return f'<header class="cs-top">{top}</header>'


def _head(settings: Settings) -> str:
    """The page's own style and script. Not through Gradio's `css`, which rewrites selectors, but not all."""
    photos = f'<meta name="cs-photos" content="{CHOOSER}">'  # which files their choosers offer
    kept = ("brief" if settings.disk_may_go else "kept") if settings.link_days else ""
    links = f'<meta name="cs-links" content="{kept}">'  # whether, and how long, answers are kept under links
    return f"{photos}{links}<style>{_static('css', STYLES)}</style><script>{_static('js', SCRIPTS)}</script>"


def _static(kind: str, names: Sequence[str]) -> str:
    return "".join((STATIC / f"{name}.{kind}").read_text(encoding="utf-8") for name in names)


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
