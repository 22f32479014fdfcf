"""Serves the page until it is interrupted: settings from the command line, the page, the service.

The page is up at once; libraries, models and index are loaded behind it. All that happens in a thread of its own, since
the main thread waits for the interrupt (app/web/interruption.py), and nothing here is imported before that does which
takes time. Knows nothing of how any of it works.
"""

from __future__ import annotations

import argparse
import atexit
import os
import sys
import threading
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, NoReturn

from app.web.interruption import Interruption
from common.problems import Problem, lacks_memory, problem_sentence
from common.room import FOR_THE_PAGE, look_before_torch

if TYPE_CHECKING:
    from app.service.starting_service import StartingService
    from app.settings import Settings

# Before Gradio is imported: it would otherwise call home with what it was started for.
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
# Before torch is: its threads would otherwise wait for one another by turning round and round, on processors that
# searches and other questions could use; on a busy machine one photo took seven times as much of them.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def main(arguments: list[str] | None = None) -> int:
    """Serve until interrupted. Returns the exit code: 0, or 2 after a sentence on what is wrong."""
    interruption = Interruption()
    look_before_torch(FOR_THE_PAGE)
    from app.logs import set_up
    from app.service.starting_service import StartingService

    try:
        settings = _settings(arguments)
    except Problem as problem:
        return _refuse(str(problem))
    set_up(settings.log, settings.log_content, settings.secrets)
    service = StartingService(settings)
    failed: list[BaseException] = []
    closing: list[Callable[[], None]] = []

    def work() -> None:
        try:
            begin(settings, service, closing)
        except BaseException as problem:
            failed.append(problem)
            interruption.tell()

    threading.Thread(target=work, name="start", daemon=True).start()
    try:
        interruption.wait()
    finally:
        for close in (service.close, *closing):
            close()
    if interruption.came:
        return 0
    if isinstance(failed[0], Problem) or lacks_memory(failed[0]):
        return _refuse(problem_sentence(failed[0], "starting"))
    raise failed[0]


def begin(settings: Settings, service: StartingService, closing: list[Callable[[], None]]) -> None:
    """Serve the page and load the service. closing: gets what is to be done in the end. Raises Problem."""
    from app.limits import UPLOAD_SHARE
    from app.service.opening import check_beginning
    from app.service.ready import taken_up
    from app.web.several.shared import shared_by
    from app.web.tidying import Tidying
    from app.web.upload_limits import make_room, upload_folder
    from common.proxies import no_proxies, spare_loopback

    settings = taken_up(settings, _Fetching(settings.ready))
    check_beginning(settings)  # before an address is told at which nothing would be answered
    service.settings = settings
    shared = shared_by(settings)
    if shared is not None:
        closing.append(shared.close)
    # Gradio reads these when it is imported: where all goes that it writes, and, in its own way, what is set already.
    folder = upload_folder(None if shared is None else settings.page_uploads_dir)
    os.environ["GRADIO_TEMP_DIR"] = str(folder)
    for name in ("GRADIO_SERVER_NAME", "GRADIO_SERVER_PORT", "GRADIO_ROOT_PATH"):
        os.environ.pop(name, None)
    with no_proxies():  # it asks itself whether it is there
        from app.web.page import build_page, launch

        address = launch(build_page(service, service.ingestions, service.annotating, shared), settings)
    spare_loopback(settings.host)
    clearing = [partial(make_room, folder, 0, UPLOAD_SHARE, settings.keep_seconds), partial(forget_questions, service)]
    if shared is not None:
        shared.me()  # reached from now on
        clearing += shared.clearing()
    tidying = Tidying(*clearing)
    tidying.start()
    closing.insert(0, tidying.close)  # before what it clears is closed
    print(f"CiteSight is at {address}", flush=True)
    service.load()


def forget_questions(service: StartingService) -> None:
    """Let go what the question log has kept for long enough, once the service is there. Raises Problem."""
    desk = service.annotating()
    if desk is not None:
        desk.forget_logged()


class _Fetching:
    """Tells the terminal of a ready index that is fetched: when that begins, and every tenth of it."""

    def __init__(self, name: str) -> None:
        self._name, self._told = name, -1

    def __call__(self, done: int, total: int | None) -> None:
        tenth = 10 * done // total if total else 0
        if tenth > self._told:
            self._told = tenth
            print(f"Fetching the ready index {self._name}: {tenth * 10} %", flush=True)


def _settings(arguments: list[str] | None) -> Settings:
    from app.options import add_answer_options, add_common_options, settings_from

    parser = argparse.ArgumentParser(prog="app.py", description="Serve the CiteSight page.")
    add_common_options(parser)
    add_answer_options(parser)
    parser.add_argument("--corpus", metavar="NAME", help="the collection questions are asked of")
    parser.add_argument("--host", help="address to listen on (default: 127.0.0.1)")
    parser.add_argument("--port", type=int, help="port to listen on (default: 7860)")
    return settings_from(parser.parse_args(arguments))


def _refuse(sentence: str) -> int:
    print(f"error: {sentence}", file=sys.stderr)
    return 2


def run() -> NoReturn:
    """`main`, and then the end of the process, before that of its threads: one that came back from torch to an
    interpreter that is no more would take the process down with `terminate called`."""
    code = 1

    def end() -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)

    atexit.register(end)  # registered first, so done when all else has been cleaned up
    code = main()
    sys.exit(code)
