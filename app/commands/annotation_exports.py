"""`python -m kb annotations export`: a project written out, as lines or as a folder.

Knows the command line and nothing of what is in a project.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from pathlib import Path

from app.commands.arguments import place
from app.settings import Settings
from common.problems import BadRequest, Problem, kept_in
from kb.annotations.exporting import FORMATS, export_lines, photos_of
from kb.annotations.pairs import pair_lines
from kb.annotations.photos import Photos
from kb.catalogue import Catalogue

FOLDERS = ("m2kr", "hf")
PAIRS = "pairs"


def photos_in(settings: Settings) -> Photos:
    return Photos(settings.annotation_photos_dir)


def photos_beside(file: Path) -> Path:
    """Where the photographs of an exported file are."""
    return file.with_name(f"{file.name}.photos")


def add_arguments(export: argparse.ArgumentParser) -> None:
    export.add_argument("name", metavar="NAME")
    export.add_argument(
        "--format", choices=(*FORMATS, PAIRS, *FOLDERS), default="jsonl",
        help="jsonl, which can be imported (default); TREC's qrels or runs; pairs, which training reads; a folder in "
        "the layout of M2KR, or of Hugging Face's datasets",
    )  # fmt: skip
    export.add_argument(
        "--run", dest="tag", default="", metavar="NAME", help="of runs only this one: a retriever's name, or its tag"
    )
    export.add_argument(
        "--output", type=place, metavar="PATH",
        help="a file, of jsonl and pairs with the photographs beside it in PATH.photos (default: stdout), or a new "
        "folder",
    )  # fmt: skip


def export(args: argparse.Namespace, catalogue: Catalogue, settings: Settings) -> None:
    if args.tag and args.format != "runs":
        raise BadRequest("--run goes with --format runs; leave it out.")
    if args.format in FOLDERS:
        _folder(args, catalogue, photos_in(settings))
        return
    if args.format == PAIRS:
        lines = pair_lines(catalogue.database, args.name)
    else:
        lines = export_lines(catalogue.database, args.name, args.format, args.tag)
    if args.output is None:
        for line in lines:
            print(line)
        return
    output, part = args.output, args.output.with_name(f".{args.output.name}.part")
    with kept_in(output.parent):
        try:
            with part.open("w", encoding="utf-8", newline="\n") as file:
                for line in lines:
                    file.write(line + "\n")
            if args.format in ("jsonl", PAIRS):
                _copy_photos(catalogue, args.name, photos_in(settings), photos_beside(output))
            os.replace(part, output)
        finally:
            part.unlink(missing_ok=True)
    print(f"wrote {output}", file=sys.stderr)


def _folder(args: argparse.Namespace, catalogue: Catalogue, photos: Photos) -> None:
    if args.output is None:
        raise BadRequest(f"The format {args.format} is a folder; name a new one with --output.")
    if args.format == "hf":
        from kb.annotations.huggingface_export import export_huggingface

        items = export_huggingface(catalogue.database, args.name, photos, args.output)
        print(f"wrote {args.output}: {items:,} items", file=sys.stderr)
        return
    from kb.annotations.m2kr_export import export_m2kr  # with parquet, which takes a while to import

    written = export_m2kr(catalogue.database, args.name, photos, args.output)
    print(f"wrote {args.output}: {written.questions:,} questions, {written.passages:,} passages", file=sys.stderr)
    if written.left_out:
        print(f"{written.left_out:,} items are left out: no passage was judged to answer them", file=sys.stderr)


def _copy_photos(catalogue: Catalogue, name: str, photos: Photos, folder: Path) -> None:
    for photo in photos_of(catalogue.database, name):
        if not photos.there(photo):
            raise Problem(f"The photo {photo} of {name} is not in {photos.folder} any more; put it back.")
        folder.mkdir(exist_ok=True)
        shutil.copyfile(photos.path(photo), folder / photo)
