"""`python -m retriever train-mini`, `finetune-mini` and `eval-unseen`: the weights of the profile mini, made and
fine-tuned, and how far what they learned reaches.

Brings articles and photographs to retriever/training/mini/, which knows neither catalogues nor files.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Container, Iterator, Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from PIL import Image
from tqdm import tqdm

from app.commands.arguments import check_outputs, count, place
from app.commands.terminal import PHOTO_QUESTION, add_command, prepare, read_entries
from app.service.ask import AnswerService
from app.service.assembly import build_service
from app.settings import Settings
from common.images import load_image, load_listed
from common.problems import Problem
from common.text import shown
from retriever.encoders.mini.loading import weights_of
from retriever.encoders.mini.model import WEIGHTS, learned_titles, load_mini, save_weights
from retriever.encoders.registry import PROFILES, TUNED, profile_of
from retriever.training.files import whole
from retriever.training.mini.finetune import finetune, see
from retriever.training.mini.questions import Article
from retriever.training.mini.train import SEED, train_mini
from retriever.training.mini.unseen import measure_unseen, report
from retriever.training.photographs import last_thirds

AGAIN = "run it again"
MOST_PASSAGES = 1_000_000  # that the articles of all titles may have


def add_commands(commands: Any) -> None:
    """Adds them to the retriever's parser."""
    made = _add(commands, "train-mini", _train, "train the mapping networks of the profile mini")
    made.add_argument("--output", type=place, default=WEIGHTS, help=f"where to write (default: {WEIGHTS.name})")
    about = "teach the profile mini what photographs of one's own show"
    tuned = _add(commands, "finetune-mini", _finetune, about, profile=True)
    tuned.add_argument("labels", type=place, help="JSON list of {file, title of the article}; files lie beside it")
    tuned.add_argument("--output", type=place, required=True, metavar=f"FILE{TUNED}", help="where to write the profile")
    tuned.add_argument(
        "--hold-out", type=place, metavar="JSON",
        help="leave the last third of each series of photographs out, and list it there for eval-photos",
    )  # fmt: skip
    unseen = _add(
        commands, "eval-unseen", _unseen, "measure what photographs of other titles teach mini of titles it never saw"
    )
    unseen.add_argument("labels", type=place, help="JSON list of {file, title of the article}; files lie beside it")
    unseen.add_argument("--folds", type=count(2), default=5, help="of the titles (default: 5)")


def _add(
    commands: Any, name: str, run: Callable[[argparse.Namespace, Settings], None], about: str, profile: bool = False
) -> argparse.ArgumentParser:
    command = add_command(commands, name, run, about, profile)
    command.add_argument("--corpus", help="the collection with the articles (default: wikipedia-vital)")
    return command


def _train(args: argparse.Namespace, settings: Settings) -> None:
    print(json.dumps(train_mini(all_articles(settings), settings.cache_dir, args.output), indent=2))


def _unseen(args: argparse.Namespace, settings: Settings) -> None:
    entries = read_entries(args.labels, ("file", "title"))
    titles = {each["title"] for each in entries}
    if len(titles) < args.folds:
        raise Problem(f"The photographs have {len(titles)} titles, too few for {args.folds} folds; take fewer --folds.")
    articles = {each.title: each for each in all_articles(settings)}
    _check_titles(settings.corpus, sorted(titles), articles)
    photos = [(each["title"], partial(load_listed, args.labels.parent / each["file"])) for each in entries]
    with TemporaryDirectory(prefix="citesight-") as folder:
        found = measure_unseen(
            list(articles.values()), photos, PHOTO_QUESTION, args.folds, settings.cache_dir, Path(folder), SEED
        )
    print(json.dumps(report(found), indent=2))


def all_articles(settings: Settings) -> list[Article]:
    """The collection's passages with what stands beside their titles. Raises Problem where it has none."""
    service = build_service(settings)
    try:
        articles = []
        for page in service.catalogue.stream(settings.corpus):
            described = {d.id: d.description for d in service.catalogue.documents([p.document_id for p in page])}
            articles += [Article(p.title, p.text, described.get(p.document_id, "")) for p in page]
    finally:
        service.close()
    if not articles:
        raise Problem(f"The collection {settings.corpus} is empty; ingest it with python -m kb first.")
    return articles


def _finetune(args: argparse.Namespace, settings: Settings) -> None:
    if args.output.suffix != TUNED:
        raise Problem(f"--output must name a file that ends in {TUNED}, by which it is known for a profile.")
    profile = profile_of(settings.profile)
    if profile.loader != PROFILES["mini"].loader:
        raise Problem(f"Only mini, and what it was fine-tuned to, can be fine-tuned so; not {settings.profile}.")
    entries, held = read_entries(args.labels, ("file", "title")), []
    read = [args.labels, Path(settings.profile), *(args.labels.parent / str(each["file"]) for each in entries)]
    check_outputs({"--output": args.output, "--hold-out": args.hold_out}, read)
    if args.hold_out is not None:
        entries, held = last_thirds(entries)
    service = build_service(settings)
    try:
        articles = _of_titles(service, settings.corpus, sorted({each["title"] for each in entries}))
    finally:
        service.close()
    weights = weights_of(profile)
    model, tokenizer = load_mini(settings.cache_dir, weights=weights)
    model.requires_grad_(False)
    photos = tqdm(entries, desc="looking at photographs", unit="photo")
    seen = see(model, _opened(photos, args.labels.parent), SEED)
    if not seen:
        raise Problem("None of the photographs can be read, so there is nothing to learn from.")
    learned, report = finetune(model, tokenizer, articles, seen, learned_titles(weights), SEED)
    with whole(args.output, AGAIN) as place:
        save_weights(model, place, learned)
    if args.hold_out is not None:
        at = args.labels.parent.resolve()
        listed = [each | {"file": str(at / each["file"])} for each in held]
        with whole(args.hold_out, AGAIN) as place:
            place.write_text(json.dumps(listed, indent=1) + "\n", encoding="utf-8")
    print(json.dumps({"photographs": len(seen), "titles": len(articles), **report}, indent=2))


def _of_titles(service: AnswerService, corpus: str, titles: Sequence[str]) -> list[Article]:
    """The first passage of each title. Raises Problem where the collection has none of some."""
    if not service.catalogue.count(corpus):  # one that is fetched by its name
        prepare(service)
    found = service.catalogue.titled(titles, [corpus], MOST_PASSAGES)
    _check_titles(corpus, titles, {title for title in titles if found.get(title)})
    passages = service.catalogue.passages([found[title][0] for title in titles])
    return [Article(each.title, each.text, "") for each in passages]


def _check_titles(corpus: str, titles: Sequence[str], known: Container[str]) -> None:
    lacking = [title for title in titles if title not in known]
    if lacking:
        some = ", ".join(shown(title) for title in lacking[:5])
        raise Problem(f"The collection {corpus} has no article of {len(lacking)} of the titles, such as: {some}.")


def _opened(entries: Sequence[dict], folder: Path) -> Iterator[tuple[str, Image.Image]]:
    """(title, photo) of those that can be read; of the others it is said why."""
    for entry in entries:
        try:
            yield entry["title"], load_image(folder / entry["file"])
        except Problem as problem:
            tqdm.write(f"Left out {shown(entry['file'])}: {problem}", file=sys.stderr)
