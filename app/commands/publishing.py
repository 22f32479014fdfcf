"""`python -m retriever publish TARGET [CORPUS ...]`: a ready index, as a folder or on the Hugging Face Hub.

Knows nothing of what a ready index consists of.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

from app.commands.terminal import add_command, prepare
from app.service.assembly import build_service
from app.settings import Settings
from common.problems import BadRequest


def add_commands(commands: Any) -> None:
    """Adds it to the retriever's parser."""
    about = "write corpora with their index, for other machines to begin with"
    command = add_command(commands, "publish", _publish, about)
    command.add_argument("target", metavar="TARGET", help="a new folder, or owner/name of a data set on the Hub")
    command.add_argument("corpora", nargs="*", metavar="CORPUS", help="the collections (default: CITESIGHT_CORPUS)")
    command.add_argument("--hub", action="store_true", help="TARGET is a data set on the Hub; HF_TOKEN must be set")
    command.add_argument("--private", action="store_true", help="with --hub: a new data set is private")


def _publish(args: argparse.Namespace, settings: Settings) -> None:
    from app.service.publishing import INDEXES, LIST, PICTURES, ROWS, Encoded, publish
    from hub.uploading import upload_dataset
    from kb.pictures import Pictures

    if args.private and not args.hub:
        raise BadRequest("--private is for a data set on the Hub; add --hub.")
    names = list(dict.fromkeys(args.corpora or [settings.corpus]))
    service = build_service(settings)
    try:
        for name in names:
            prepare(service, name)
        encoded = Encoded(settings.profile, service.encoder().fingerprint)
        how = (service.catalogue, settings.data_dir, Pictures(settings.pictures_dir), encoded, names)
        if args.hub:
            with tempfile.TemporaryDirectory(prefix=".publish-", dir=settings.data_dir) as folder:
                made = Path(folder) / "ready"
                corpora = publish(*how, made)
                place = upload_dataset(made, args.target, (LIST, ROWS, f"{INDEXES}/*", f"{PICTURES}/*"), args.private)
        else:
            place = Path(args.target).expanduser()
            corpora = publish(*how, place)
    finally:
        service.close()
    for each in corpora:
        print(f"{each.called}: {each.documents:,} documents, {each.passages:,} passages")
    print(f"Ready: {place}. To begin with it: CITESIGHT_READY={args.target} python app.py")
