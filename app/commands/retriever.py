"""Command line of the retriever: index, search, explain, eval, bench and train."""

from __future__ import annotations

import argparse
import importlib.util
import json
import logging
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from app.commands import m2kr
from app.commands.terminal import prepare, printable, refuse
from app.service.ask import AnswerService, build_service
from app.service.indexing import problem_sentence
from app.service.results import EvidencePassage, UserProblem
from app.settings import Settings, SettingsProblem, add_common_options, settings_from
from benchmarks import index as index_bench
from benchmarks.encoding import bench_encoding, device_name, made_up_texts, seeded_encoder
from benchmarks.everything import measure_everything, measure_index
from benchmarks.load import measure_load
from retriever.encoders.base import Encoder
from retriever.encoders.checkpoints import EncoderProblem
from retriever.encoders.flmr.seeded import SIZES
from retriever.encoders.mini.model import WEIGHTS
from retriever.encoders.mini.recognition import confidence
from retriever.encoders.registry import load_encoder
from retriever.evaluation.m2kr import M2KRProblem
from retriever.evaluation.measures import measures, rank_of
from retriever.images import ImageProblem, load_image
from retriever.search.explain import ExplainProblem, explain_passage
from retriever.search.picture import check_writable, save_picture
from retriever.training.questions import Article
from retriever.training.train_mini import train_mini

DEPTH = 200  # passages looked through for the one wanted; what is deeper counts as not found
PHOTO_QUESTION = "What is this?"


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command; returns 0, or 2 after one sentence on standard error."""
    args = _parser().parse_args(arguments)
    logging.getLogger("app").addHandler(logging.NullHandler())
    logging.getLogger("app").propagate = False
    try:
        args.run(args, settings_from(args))
    except (SettingsProblem, UserProblem, ImageProblem, EncoderProblem, ExplainProblem, M2KRProblem) as problem:
        return refuse(str(problem))
    except BrokenPipeError:  # whoever reads has enough, as in `... | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except KeyboardInterrupt:
        return refuse("Stopped; what has been done is kept.")
    except Exception as problem:
        return refuse(problem_sentence(problem, args.command))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m retriever", description="Find passages for photos.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def add(name: str, run: Callable[[argparse.Namespace, Settings], None], about: str) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=about, description=about[0].upper() + about[1:] + ".")
        command.set_defaults(run=run)
        add_common_options(command)
        command.add_argument("--corpus", help="the collection (default: wikipedia-vital)")
        return command

    add("index", _index, "fetch a collection if need be, and bring its index up to date")
    search = add("search", _search, "find passages for a photo, a question, or both")
    search.add_argument("--image", metavar="FILE", help="a photo")
    search.add_argument("--question", default="", metavar="TEXT", help="a question")
    search.add_argument("-k", type=_positive, default=5, help="how many passages (default: 5)")
    explain = add("explain", _explain, "show what a passage's score came from, as a picture and as JSON")
    explain.add_argument("--image", metavar="FILE", help="a photo")
    explain.add_argument("--question", default="", metavar="TEXT", help="a question")
    explain.add_argument("--passage", required=True, metavar="ID", help="the passage, as search --json names it")
    explain.add_argument("--json", action="store_true", help="print JSON; then a picture is drawn only with --output")
    explain.add_argument("--output", type=Path, metavar="PNG", help="the picture (default: explanation.png)")
    photos = add("eval-photos", _eval_photos, "measure how well labelled photos find their articles")
    photos.add_argument("labels", type=Path, help="JSON list of {file, title, maybe group}; files lie beside it")
    photos.add_argument("--apart", default="", metavar="TITLE", help="measure photos of this title apart")
    fitted = add(
        "fit-recognition", _fit_recognition, "fit, and measure by folds, how sure it is that a photo is recognised"
    )
    fitted.add_argument("labels", type=Path, help="JSON list of {file, title}; files lie beside it")
    questions = add("eval-questions", _eval_questions, "measure how well questions find their articles")
    questions.add_argument("questions", type=Path, help="JSON list of {question, title}")
    for command in (search, photos, questions, fitted):
        command.add_argument("--json", action="store_true", help="print JSON")
    for command in (search, questions):
        command.add_argument(
            "--hybrid",
            action=argparse.BooleanOptionalAction,
            help="fuse with a search by words where there is no photo (default: CITESIGHT_HYBRID, off)",
        )
    known = commands.add_parser("eval", help="run a published benchmark", description="Run a published benchmark.")
    benchmarks = known.add_subparsers(dest="benchmark", required=True, metavar="BENCHMARK")
    about = "the M2KR benchmark (PreFLMR, arXiv 2402.08327)"
    evaluation = benchmarks.add_parser("m2kr", help=about, description=f"Run a task of {about}.")
    evaluation.set_defaults(run=_m2kr)
    add_common_options(evaluation)
    m2kr.add_arguments(evaluation)
    bench = add("bench", _bench, "measure encoding, searching and answering on this machine")
    bench.add_argument("--json", action="store_true", help="print JSON")
    bench.add_argument(
        "--load", type=_positive, metavar="N", help="measure only memory and speed while users ask N questions"
    )
    bench.add_argument("--users", type=_positive, default=50, metavar="N", help="with --load: users (default: 50)")
    bench.add_argument(
        "--vectors", type=Path, metavar="DIR", help="measure only the index, on the vectors there, made the first time"
    )
    bench.add_argument(
        "--copies", type=_positive, default=1, metavar="N", help="with --vectors: as many passages N times (default: 1)"
    )
    bench.add_argument(
        "--queries", type=_positive, default=64, metavar="N", help="with --vectors: queries of a shape (default: 64)"
    )
    bench.add_argument("--plot", type=Path, metavar="PNG", help="with --vectors: draw overlap against time")
    encoding = add(
        "bench-encoder", _bench_encoder, "measure PreFLMR at a published size, with made-up weights, on this machine"
    )
    encoding.add_argument("size", choices=SIZES, help="ViT-B, ViT-L or ViT-G")
    encoding.add_argument("--json", action="store_true", help="print JSON")
    train = add("train-mini", _train, "train the mapping networks of the profile mini")
    train.add_argument("--output", type=Path, default=WEIGHTS, help=f"where to write (default: {WEIGHTS.name})")
    return parser


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("it must be 1 or more")
    return number


def _ready(settings: Settings) -> AnswerService:
    service = build_service(settings)
    try:
        prepare(service)
    except BaseException:
        service.close()
        raise
    return service


def _index(args: argparse.Namespace, settings: Settings) -> None:
    service = _ready(settings)
    print(service.status().message)
    service.close()


def _search(args: argparse.Namespace, settings: Settings) -> None:
    if not args.image and not args.question.strip():
        raise UserProblem("Give a photo with --image, a question with --question, or both.")
    photo = load_image(args.image) if args.image else None
    service = _ready(settings)
    try:
        passages = service.find(photo, args.question or PHOTO_QUESTION, args.k).passages
    finally:
        service.close()
    if args.json:
        names = ("id", "title", "score", "seen", "text", "url")
        shown = [{name: getattr(passage, name) for name in names} for passage in passages]
        print(json.dumps(shown, indent=2, ensure_ascii=False))
    else:
        for p in passages:
            seen = f" +{p.seen:.3f} at sight" if p.seen else ""
            print(printable(f"{p.rank:3}. {p.score:.3f}{seen}  {p.title}  {p.url}  ({p.id})\n     {p.text}"))


def _explain(args: argparse.Namespace, settings: Settings) -> None:
    if not args.image and not args.question.strip():
        raise UserProblem("Give a photo with --image, a question with --question, or both.")
    output = args.output or (None if args.json else Path("explanation.png"))
    if output:
        check_writable(output)
    photo = load_image(args.image) if args.image else None
    service = build_service(settings)
    try:
        found = service.catalogue.passages([args.passage])
    finally:
        service.close()
    if not found:
        raise UserProblem(
            f"There is no passage {args.passage[:200]!r} in the catalogue; python -m retriever search --json gives ids."
        )
    encoder = load_encoder(settings.profile, settings.cache_dir)
    question = args.question.strip() or PHOTO_QUESTION
    explanation = explain_passage(encoder, question, photo, found[0].id, found[0].heading, found[0].text)
    if output:
        save_picture(explanation, photo, output)
    if args.json:
        print(explanation.as_json())
    else:
        print(printable(explanation.summary()))
        print(f"Picture: {output}")


def _eval_photos(args: argparse.Namespace, settings: Settings) -> None:
    entries = _read(args.labels, ("file", "title"))
    groups = [args.apart if e["title"] == args.apart else str(e.get("group", "")) for e in entries]
    asked = [(e["title"], args.labels.parent / e["file"], PHOTO_QUESTION) for e in entries]
    _evaluate(args, settings, asked, groups)


def _eval_questions(args: argparse.Namespace, settings: Settings) -> None:
    entries = [e for e in _read(args.questions, ("question", "title")) if e["title"] is not None]
    _evaluate(args, settings, [(entry["title"], None, entry["question"]) for entry in entries])


def _fit_recognition(args: argparse.Namespace, settings: Settings) -> None:
    entries = _read(args.labels, ("file", "title"))
    service = _ready(settings)
    try:
        found = [service.find(load_image(args.labels.parent / e["file"]), PHOTO_QUESTION, 1).subject for e in entries]
    finally:
        service.close()
    pairs = [(each, e["title"]) for each, e in zip(found, entries, strict=True) if each and each.probability]
    if len({each.title == title for each, title in pairs}) < 2:
        raise UserProblem("Fitting needs photographs that a model with classes recognises, and some that it does not.")
    measured = np.array([(each.lead, each.undecided) for each, _ in pairs])
    right = np.array([each.title == title for each, title in pairs])
    report = confidence.report(measured, right)
    if args.json:
        print(json.dumps(report, indent=2))
        return
    for name, value in report.items():
        print(f"{name:28} {value}")


def _evaluate(
    args: argparse.Namespace,
    settings: Settings,
    asked: list[tuple[str, Path | None, str]],
    groups: Sequence[str] = (),
) -> None:
    """asked: title wanted, path of the photo if there is one, question. Photos are held one at a time. groups: the
    group of each, "" for none; each group is measured by itself too."""
    service = _ready(settings)
    try:
        ranks = [
            rank_of(title, _titles(service.find(path and load_image(path), question, DEPTH).passages))
            for title, path, question in asked
        ]
    finally:
        service.close()
    result = _measured(ranks)
    apart = {
        group: _measured([rank for rank, theirs in zip(ranks, groups, strict=True) if theirs == group])
        for group in sorted(set(groups) - {""})
    }
    if args.json:
        print(json.dumps(result | ({"groups": apart} if apart else {}), indent=2))
        return
    for (title, _, question), rank in zip(asked, ranks, strict=True):
        print(f"{rank or f'>{DEPTH}':>5}  {title}  ({question})")
    for group, figures in [*apart.items(), ("", result)]:
        print("  ".join([*([group] if group else []), *(f"{name} {value}" for name, value in figures.items())]))


def _measured(ranks: Sequence[int | None]) -> dict[str, float]:
    return {"questions": len(ranks), **{k: round(v, 4) for k, v in measures(ranks).items()}}


def _m2kr(args: argparse.Namespace, settings: Settings) -> None:
    def load(progress: Callable[[int, int], None]) -> Encoder:
        return load_encoder(settings.profile, settings.cache_dir, progress)

    m2kr.run(args, settings.profile, load, settings.data_dir, settings.cache_dir)


def _titles(passages: Sequence[EvidencePassage]) -> list[str]:
    """Titles in the order found, each once: an article counts at its best passage."""
    return list(dict.fromkeys(p.title for p in passages))


def _read(path: Path, fields: tuple[str, ...]) -> list[dict]:
    """Raises UserProblem unless the file is a JSON list of objects with those fields."""
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
    except OSError as problem:
        raise UserProblem(f"{path} cannot be read: {problem.strerror}.") from None
    except ValueError:
        raise UserProblem(f"{path} is not JSON.") from None
    if not isinstance(entries, list) or not entries or not all(
        isinstance(e, dict) and all(f in e for f in fields) for e in entries
    ):
        raise UserProblem(f"{path} must be a JSON list of objects with {' and '.join(fields)}.")
    return entries


def _bench(args: argparse.Namespace, settings: Settings) -> None:
    if args.plot is not None and importlib.util.find_spec("matplotlib") is None:
        raise UserProblem("Drawing needs matplotlib; install it with: pip install -r requirements-dev.txt")
    service = _ready(settings) if args.vectors is None else build_service(settings)
    try:
        if args.load is not None:
            _print_figures(measure_load(service, args.load, args.users), args.json)
            return
        if args.vectors is None:
            _print_figures(measure_everything(service, settings), args.json)
            return
        report = measure_index(service, settings, args.vectors, args.copies, args.queries)
    finally:
        service.close()
    print(json.dumps(report, indent=2) if args.json else "\n".join(index_bench.lines(report)))
    if args.plot is not None:
        try:
            index_bench.plot(report, args.plot)
        except OSError as problem:
            raise UserProblem(f"{args.plot} cannot be written: {problem.strerror}.") from None


def _bench_encoder(args: argparse.Namespace, settings: Settings) -> None:
    photo = Image.effect_noise((800, 600), 80).convert("RGB")
    encoder = seeded_encoder(args.size)
    _print_figures({"device": device_name(encoder)} | bench_encoding(encoder, made_up_texts(), photo), args.json)


def _print_figures(report: dict[str, float | str], as_json: bool) -> None:
    if as_json:
        print(json.dumps(report, indent=2))
        return
    for name, value in report.items():
        print(f"{name:32} {value:,.3f}" if isinstance(value, float) else f"{name:32} {value}")


def _train(args: argparse.Namespace, settings: Settings) -> None:
    service = build_service(settings)
    try:
        articles = []
        for page in service.catalogue.stream(settings.corpus):
            described = {d.id: d.description for d in service.catalogue.documents([p.document_id for p in page])}
            articles += [Article(p.title, p.text, described.get(p.document_id, "")) for p in page]
    finally:
        service.close()
    if not articles:
        raise UserProblem(f"The collection {settings.corpus} is empty; ingest it with python -m kb first.")
    print(json.dumps(train_mini(articles, settings.cache_dir, args.output), indent=2))
