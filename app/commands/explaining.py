"""`python -m retriever explain`: what a passage's score came from, as a picture and as JSON.

Knows the service and the retriever's explanations; nothing of how they are made.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from PIL import Image

from app.commands.arguments import check_outputs
from app.commands.printing import printable
from app.commands.terminal import PHOTO_QUESTION, photo_named, prepare
from app.service.ask import AnswerService
from app.service.assembly import build_service
from app.service.index_building import pictures_of
from app.service.second_profile import told_apart
from app.settings import Settings
from common.problems import Problem
from common.text import shown
from kb.pictures import Pictures
from retriever.encoders.registry import load_encoder, profiles_in
from retriever.search.drawing.picture import check_writable, save_picture
from retriever.search.explain import explain_passage

DEPTH = 200  # passages looked through to know which of two profiles found the one that is explained


def explain_found(args: argparse.Namespace, settings: Settings) -> None:
    if not args.image and not args.question.strip():
        raise Problem("Give a photo with --image, a question with --question, or both.")
    output = args.output or (None if args.json else Path("explanation.png"))
    if output:
        check_writable(output)
        check_outputs({"--output": output}, [Path(args.image)] if args.image else [])
    photo = photo_named(args.image, settings)
    question = args.question.strip() or PHOTO_QUESTION
    service = build_service(settings)
    try:
        found = service.catalogue.passages([args.passage])
        if not found:
            raise Problem(
                f"There is no passage {shown(args.passage)!r} here; python -m retriever search --json gives ids."
            )
        profile = _found_by(service, args.passage, question, photo)
    finally:
        service.close()
    encoder = load_encoder(profile, settings.cache_dir)
    beside = pictures_of(found, Pictures(settings.pictures_dir))[0] if encoder.takes.pictures else ()
    explanation = explain_passage(encoder, question, photo, found[0], beside)
    if output:
        save_picture(explanation, photo, output)
    if args.json:
        print(explanation.as_json())
    else:
        print(printable(explanation.summary()))
        print(f"Picture: {output}")


def _found_by(service: AnswerService, passage: str, question: str, photo: Image.Image | None) -> str:
    """The profile that explains a passage: of two that are asked together, the one that places it higher."""
    profiles = profiles_in(service.settings.profile)
    if len(profiles) == 1:
        return profiles[0]
    prepare(service)
    called = dict(zip(told_apart(profiles), profiles, strict=True))
    found = {each.id: called[each.by] for each in service.find(photo, question, DEPTH).passages}
    return found.get(passage, profiles[0])
