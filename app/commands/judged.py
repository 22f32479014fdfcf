"""`python -m retriever finetune-judged`, `eval-judged` and `bench-judged`: the profile mini taught by what people
judged, two models compared on what was held out of it, and the whole loop with people who are made up; and what people
judged written out for a run of `train`.

Knows the command line and the files of app/judged.py, nothing of how anything is learned or ranked.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tqdm import tqdm

from app.commands.annotation_exports import photos_in
from app.commands.arguments import check_outputs, place, share
from app.commands.printing import printable, table
from app.commands.terminal import add_command, prepare, read_entries
from app.judged import ABOUT, HELD, LEARNED, POOL, TRAIN, Written, resolved, write_for, write_judged
from app.service.assembly import build_service
from app.settings import Settings
from benchmarks.judging import PROJECT, Labelled, chosen, judged_project
from common.images import load_image
from common.problems import Problem
from common.text import shown
from kb.annotations.photos import Photos
from kb.catalogue import Catalogue
from kb.catalogue.database import Database
from retriever.encoders.base import PlainPassage
from retriever.encoders.mini.loading import weights_of
from retriever.encoders.mini.model import learned_titles, save_weights
from retriever.encoders.registry import PROFILES, TUNED, load_encoder, profile_of
from retriever.evaluation.comparing import Asked, Change, compare, ranks_of
from retriever.json_lines import json_rows
from retriever.training.batches import image_file
from retriever.training.files import whole
from retriever.training.mini.weighing import MOST, Judged, learn_weights
from retriever.training.reading import read_recipe
from retriever.training.recipe import Recipe
from retriever.training.runs import BEST, JUDGED, RECIPE
from retriever.training.sources import texts_in

_SHOWN = ("recall@1", "recall@5", "mrr")


def add_commands(commands: Any) -> None:
    """Adds them to the retriever's parser."""
    tuned = add_command(commands, "finetune-judged", _finetune, "teach the profile mini from what people judged")
    tuned.add_argument("project", metavar="PROJECT", help="made by python -m kb annotations create")
    tuned.add_argument("--output", type=place, required=True, metavar=f"FILE{TUNED}", help="where to write the profile")
    tuned.add_argument(
        "--held-out", type=share, default=0.3, metavar="SHARE",
        help="of the items, with their documents, left for eval-judged (default: 0.3)",
    )  # fmt: skip
    tuned.add_argument("--seed", type=int, default=0, help="which items these are (default: 0)")
    tuned.add_argument("--json", action="store_true", help="print JSON")
    _add_bench(commands)
    command = add_command(
        commands, "eval-judged", _eval, "compare two models on what was held out of what people judged", profile=False
    )
    command.add_argument(
        "folder", type=place, metavar="DIR",
        help="the folder of a run whose recipe has a source of judgments, or one that finetune-judged wrote",
    )  # fmt: skip
    command.add_argument("--before", metavar="PROFILE", help="default: what the run began with")
    command.add_argument("--after", metavar="PROFILE", help="default: the run's best model")
    command.add_argument("--json", action="store_true", help="print JSON")


def _add_bench(commands: Any) -> None:
    about = "learn from judgments of labelled photographs, by people who are made up, and measure before and after"
    command = add_command(commands, "bench-judged", _bench, about)
    command.add_argument("labels", type=place, help="JSON list of {file, title of the article}; files lie beside it")
    command.add_argument("--corpus", help="the collection with the articles (default: wikipedia-vital)")
    command.add_argument("--items", type=int, default=60, metavar="N", help="photographs asked about (default: 60)")
    command.add_argument(
        "--errors", type=share, default=0.1, metavar="SHARE", help="of judgments that are wrong (default: 0.1)"
    )
    command.add_argument("--held-out", type=share, default=0.3, metavar="SHARE", help="of the items (default: 0.3)")
    command.add_argument("--seed", type=int, default=0, help="of what is drawn (default: 0)")
    command.add_argument("--json", action="store_true", help="print JSON")


def writer(settings: Settings) -> Callable[[Recipe, Path, bool], Recipe]:
    """As trainer.py's Resolve: writes what people judged into a run's folder when it begins."""

    def resolve(recipe: Recipe, folder: Path, anew: bool) -> Recipe:
        if not any(each.source for each in recipe.data):
            return recipe
        photos = photos_in(settings)
        if anew:
            catalogue = Catalogue(settings.catalogue_place)
            try:
                for written in write_for(recipe, catalogue, photos, folder):
                    say(written)
            finally:
                catalogue.close()
        return resolved(recipe, folder, photos)

    return resolve


def write(settings: Settings, project: str, share: float, seed: int, folder: Path) -> Written:
    """What people judged in a project, written to a folder. Raises Problem."""
    catalogue = Catalogue(settings.catalogue_place)
    try:
        photos = photos_in(settings)
        written = write_judged(catalogue.database, catalogue, photos, project, share, seed, folder)
    finally:
        catalogue.close()
    say(written)
    return written


def say(written: Written) -> None:
    print(printable(str(written)), file=sys.stderr)


def _finetune(args: argparse.Namespace, settings: Settings) -> None:
    if args.output.suffix != TUNED:
        raise Problem(f"--output must name a file that ends in {TUNED}, by which it is known for a profile.")
    _check_mini(settings)
    check_outputs({"--output": args.output}, [Path(settings.profile)])
    folder = args.output.with_suffix(".judged")
    written = write(settings, args.project, args.held_out, args.seed, folder)
    report = _tune(settings, folder, photos_in(settings).folder, args.output)
    if args.json:
        print(json.dumps(asdict(written) | report | {"profile": str(args.output), "judged": str(folder)}, indent=2))
        return
    print(f"Loss {report['first_loss']} at first and {report['last_loss']} at last. A profile: --profile {args.output}")
    if written.held:
        print(
            f"What it learned, on what was held out: python -m retriever eval-judged {folder} "
            f"--before {settings.profile} --after {args.output}"
        )


def _bench(args: argparse.Namespace, settings: Settings) -> None:
    entries = read_entries(args.labels, ("file", "title"))
    labelled = [Labelled(args.labels.parent / each["file"], each["title"]) for each in entries]
    some = chosen(labelled, args.items, args.seed)
    _check_mini(settings)
    service = build_service(settings)
    with TemporaryDirectory(prefix="citesight-") as made:
        folder, tuned = Path(made) / "judged", Path(made) / f"tuned{TUNED}"
        database, photos = Database(Path(made) / "judged.sqlite"), Photos(Path(made) / "photos")
        try:
            prepare(service)
            agreed = judged_project(database, photos, service, some, args.errors, args.seed)
            written = write_judged(
                database, service.catalogue, photos, PROJECT, args.held_out, args.seed, folder
            )
        finally:
            service.close()
            database.close()
        report = _tune(settings, folder, photos.folder, tuned)
        _compare(args.json, settings, folder, photos.folder, settings.profile, str(tuned), {
            "agreement": asdict(agreed), "learned": written.learned, "without": written.without, **report,
        })  # fmt: skip


def _check_mini(settings: Settings) -> None:
    if profile_of(settings.profile).loader != PROFILES["mini"].loader:
        raise Problem(f"Only mini, and what it was fine-tuned to, can be fine-tuned so; not {settings.profile}.")


def _tune(settings: Settings, folder: Path, images: Path, output: Path) -> dict[str, Any]:
    """Teaches the profile of the settings by the files in a folder; writes what comes of it, and returns steps and
    losses. Raises Problem."""
    passages = {row["id"]: row["text"] for _, row in json_rows(folder / LEARNED)}
    numbers = {each: number for number, each in enumerate(passages)}
    encoder = load_encoder(settings.profile, settings.cache_dir)
    vectors = encoder.encode_passages([PlainPassage(each, "", text) for each, text in passages.items()])
    rows = [row for _, row in json_rows(folder / TRAIN)]
    judged = (
        Judged(
            row["question"], load_image(image_file(row["image"], [images])) if row.get("image") else None,
            *(tuple(numbers[each] for each in row[kind]) for kind in ("positives", "negatives")),
        )
        for row in random.Random(0).sample(rows, min(len(rows), MOST))
    )  # fmt: skip
    report = learn_weights(encoder.model, encoder.query_tokenizer, judged, vectors)
    with whole(output, "run it again") as file:
        save_weights(encoder.model, file, learned_titles(weights_of(profile_of(settings.profile))))
    return report


def _eval(args: argparse.Namespace, settings: Settings) -> None:
    folder, before, after = _meant(args.folder, args.before, args.after)
    _compare(args.json, settings, folder, photos_in(settings).folder, before, after, {})


def _compare(
    as_json: bool, settings: Settings, folder: Path, images: Path, before: str, after: str, also: dict[str, Any]
) -> None:
    """Measures two profiles on what is held out in a folder, and prints it. also: figures to print with it."""
    asked = _asked(folder, images)
    passages = [(row["id"], row["text"]) for _, row in json_rows(folder / POOL)]
    for name in (before, after):
        profile_of(name)
    found = [_ranks(name, settings, asked, passages) for name in (before, after)]
    changes = compare(*found)
    if as_json:
        told = also | {"before": before, "after": after, "questions": len(asked), "passages": len(passages)}
        told |= {"about": json.loads((folder / ABOUT).read_text(encoding="utf-8"))}
        told |= {"measures": {name: asdict(each) for name, each in changes.items()}}
        print(json.dumps(told | {"ranks": {"before": found[0], "after": found[1]}}, indent=2))
        return
    for name, value in also.items():
        print(f"{name:12} {value}")
    print(f"{len(asked):,} questions held out, among {len(passages):,} passages; 95 % intervals over questions")
    table(_rows(before, after, changes))


def _rows(before: str, after: str, changes: dict[str, Change]) -> list[list[str]]:
    rows = [["", printable(f"before: {before}"), printable(f"after: {after}"), "change"]]
    for name in _SHOWN:
        each = changes[name]
        rows.append([name, str(each.before), str(each.after), str(each.change)])
    return rows


def _ranks(
    name: str, settings: Settings, asked: Sequence[Asked], passages: Sequence[tuple[str, str]]
) -> list[int | None]:
    with tqdm(unit="", mininterval=1, file=sys.stderr) as bar:

        def progress(stage: str, done: int, total: int) -> None:
            bar.desc, bar.total = f"{printable(name)}, {stage}", total
            bar.update(done - bar.n)

        return ranks_of(load_encoder(name, settings.cache_dir), asked, passages, progress)


def _meant(folder: Path, before: str | None, after: str | None) -> tuple[Path, str, str]:
    """Where the files lie, and the profiles to compare. Raises Problem."""
    if (folder / RECIPE).is_file():
        before, after = before or read_recipe(folder / RECIPE, recorded=True).model.start, after or str(folder / BEST)
        within = sorted(path.parent for path in (folder / JUDGED).glob(f"*/{ABOUT}"))
        if len(within) > 1:
            some = ", ".join(str(each) for each in within)
            raise Problem(f"The run in {folder} has judgments of several projects; name one of {some}.")
        folder = within[0] if within else folder
    if not (folder / ABOUT).is_file():
        raise Problem(
            f"{shown(folder)} holds no judgments; name the folder of a run whose recipe has a source of them, or one "
            "that finetune-judged wrote."
        )
    if not before or not after:
        raise Problem("Say which models to compare: --before PROFILE --after PROFILE.")
    return folder, before, after


def _asked(folder: Path, images: Path) -> list[Asked]:
    """The questions that are held out. Raises Problem, for a photo that is gone too."""
    found = []
    for where, row in json_rows(folder / HELD):
        try:
            photo = image_file(row["image"], [images]) if row.get("image") else None
        except Problem as problem:
            raise Problem(f"The photo in {where} is gone: {problem}; put it back.") from None
        found.append(Asked(row["question"], photo, frozenset(texts_in(row, "positives", where))))
    if not found:
        raise Problem(f"Nothing was held out in {folder}; train anew with a share of it held out.")
    return found
