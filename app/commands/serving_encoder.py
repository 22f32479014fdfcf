"""`python -m retriever serve-encoder`: an encoder for many processes of the program. Knows nothing of how it is served.
"""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from typing import Any

from app.commands.arguments import count
from app.commands.terminal import add_command
from app.hosts import is_loopback
from app.settings import Settings
from common.problems import Problem
from retriever.encoders.registry import profile_of


def add_serving(commands: Any) -> None:
    """Adds `serve-encoder` to the commands of `python -m retriever`."""
    about = "serve a profile's encoder, for programs with CITESIGHT_ENCODER_URL"
    command = add_command(commands, "serve-encoder", run, about)
    command.add_argument("--host", default="127.0.0.1", help="address to listen on (default: 127.0.0.1)")
    command.add_argument("--port", type=int, default=8200, help="port to listen on (default: 8200)")
    command.add_argument("--replicas", type=count(), default=1, metavar="N", help="encoders at work (default: 1)")


def run(args: argparse.Namespace, settings: Settings) -> None:
    """Until it is interrupted. Raises Problem."""
    profile = profile_of(settings.profile).name
    try:
        from retriever.encoders.remote.ray_serve import serve_encoder  # with Ray, which little else needs
    except ImportError as missing:
        raise Problem("This needs Ray; install it with: pip install -r requirements-ray.txt") from missing

    key = settings.encoder_key and settings.encoder_key.get_secret_value()
    if key is None and not is_loopback(settings.host):
        print("warning: whoever reaches this address can use it; set CITESIGHT_ENCODER_KEY.", file=sys.stderr)
    ends = threading.Event()
    for signed in (signal.SIGINT, signal.SIGTERM):
        signal.signal(signed, lambda *_: ends.set())

    host = f"[{settings.host}]" if ":" in settings.host else settings.host

    def ready() -> None:
        print(f"The encoder {profile} is at http://{host}:{settings.port}", flush=True)

    serve_encoder(profile, settings.cache_dir, key, (settings.host, settings.port), args.replicas, ends, ready)
