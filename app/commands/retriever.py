"""Command line of the retriever: index, search, explain, eval, bench, train and mine."""

from __future__ import annotations

import argparse
import importlib.util
import json
import logging
import os
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from app.commands import cluster, judged, m2kr, mine, mini, project_eval, publishing, replicas, scale, sharded, train
from app.commands.arguments import count, place
from app.commands.explaining import explain_found
from app.commands.printing import printable
from app.commands.reranking import RanksBeside, reranker_of
from app.commands.serving_encoder import add_serving
from app.commands.terminal import PHOTO_QUESTION, add_command, check_photos, photo_named, prepare, read_entries, refuse
from app.options import add_answer_options, add_common_options, settings_from
from app.service.ask import AnswerService
from app.service.assembly import build_service
from app.service.results import left_out_of_search
from app.settings import NO_RERANKING, Settings
from benchmarks import index as index_bench
from benchmarks.encoding import bench_encoding, device_name, made_up_passages, seeded_encoder
from benchmarks.everything import measure_everything, measure_index
from benchmarks.load import measure_load
from benchmarks.reading import measure_reading
from common.images import load_listed
from common.jobs import Progress
from common.problems import Problem, problem_sentence
from retriever.encoders.base import Encoder
from retriever.encoders.flmr.seeded import SIZES
from retriever.encoders.mini.recognition import confidence
from retriever.encoders.registry import load_encoder, profile_of, profiles_in
from retriever.evaluation.likeness import measure_likeness
from retriever.evaluation.measures import DEPTHS, macro_recall, measures
from retriever.evaluation.pictures import Photograph, measure_pictures, shared_out
from retriever.reading.rapid import MISSING, available

DEPTH = 200  # passages looked through for the one wanted; what is deeper counts as not found


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command; returns 0, or 2 after one sentence on standard error."""
    args = _parser().parse_args(arguments)
    logging.getLogger("app").addHandler(logging.NullHandler())
    logging.getLogger("app").propagate = False
    try:
        args.run(args, settings_from(args))
    except Problem as problem:
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
        command = add_command(commands, name, run, about)
        command.add_argument("--corpus", help="the collection (default: wikipedia-vital)")
        return command

    index = add("index", _index, "fetch a collection if need be, and bring its index up to date")
    cluster.add_options(index)
    _add_finding(add)
    _add_measuring(add)
    known = commands.add_parser("eval", help="run a published benchmark", description="Run a published benchmark.")
    benchmarks = known.add_subparsers(dest="benchmark", required=True, metavar="BENCHMARK")
    about = "the M2KR benchmark (PreFLMR, arXiv 2402.08327)"
    evaluation = benchmarks.add_parser("m2kr", help=about, description=f"Run a task of {about}.")
    evaluation.set_defaults(run=_m2kr)
    add_common_options(evaluation)
    add_answer_options(evaluation)
    m2kr.add_arguments(evaluation)
    project_eval.add_command(commands)
    _add_benches(add)
    replicas.add_commands(commands)
    sharded.add_commands(commands)
    train.add_commands(commands)
    mine.add_commands(commands)
    judged.add_commands(commands)
    scale.add_commands(commands)
    mini.add_commands(commands)
    add_serving(commands)
    publishing.add_commands(commands)
    return parser


def _add_finding(add: Callable[..., argparse.ArgumentParser]) -> None:
    """search and explain."""
    search = add("search", _search, "find passages for a photo, a question, or both")
    explain = add("explain", explain_found, "show what a passage's score came from, as a picture and as JSON")
    for command in (search, explain):
        command.add_argument("--image", metavar="FILE", help="a photo")
        command.add_argument("--question", default="", metavar="TEXT", help="a question")
    search.add_argument("-k", type=count(), default=5, help="how many passages (default: 5)")
    _add_json(search)
    _add_hybrid(search)
    add_answer_options(search)
    explain.add_argument("--passage", required=True, metavar="ID", help="the passage, as search --json names it")
    explain.add_argument("--json", action="store_true", help="print JSON; then a picture is drawn only with --output")
    explain.add_argument("--output", type=place, metavar="PNG", help="the picture (default: explanation.png)")


def _add_measuring(add: Callable[..., argparse.ArgumentParser]) -> None:
    """eval-photos, fit-recognition, fit-likeness, eval-questions, eval-pictures and eval-read."""
    photos = add("eval-photos", _eval_photos, "measure how well labelled photos find their articles")
    photos.add_argument("labels", type=place, help="JSON list of {file, title, maybe group}; files lie beside it")
    photos.add_argument("--apart", default="", metavar="TITLE", help="measure photos of this title apart")
    fitted = add(
        "fit-recognition", _fit_recognition, "fit, and measure by folds, how sure it is that a photo is recognised"
    )
    fitted.add_argument("labels", type=place, help="JSON list of {file, title}; files lie beside it")
    alike = add("fit-likeness", _fit_likeness, "fit, and measure by folds, how sure it is by pictures of passages")
    alike.add_argument("labels", type=place, nargs="+", help="JSON lists of {file, title}; files lie beside each")
    questions = add("eval-questions", _eval_questions, "measure how well questions find their articles")
    questions.add_argument("questions", type=place, help="JSON list of {question, title}")
    pictures = add("eval-pictures", _eval_pictures, "measure how well passages with pictures are found by photographs")
    pictures.add_argument("labels", type=place, nargs="+", help="JSON lists of {file, title}; files lie beside each")
    pictures.add_argument(
        "--each", type=count(), default=3, metavar="N", help="pictures that stand beside a title (default: 3)"
    )
    pictures.add_argument("--asked", type=count(), default=8, metavar="N", help="asked with of a title (default: 8)")
    read = add("eval-read", _eval_read, "measure how well photographs of titles, drawn for it, find their articles")
    read.add_argument("--half", choices=("tune", "report"), default="report", help="of them (default: report)")
    for command in (photos, fitted, alike, questions, pictures, read):
        _add_json(command)
    for command in (photos, questions):
        add_answer_options(command)
    _add_hybrid(questions)


def _add_benches(add: Callable[..., argparse.ArgumentParser]) -> None:
    """bench and bench-encoder."""
    bench = add("bench", _bench, "measure encoding, searching and answering on this machine")
    _add_json(bench)
    bench.add_argument(
        "--load", type=count(), metavar="N", help="measure only memory and speed while users ask N questions"
    )
    bench.add_argument("--users", type=count(), default=50, metavar="N", help="with --load: users (default: 50)")
    bench.add_argument(
        "--vectors", type=place, metavar="DIR", help="measure only the index, on the vectors there, made the first time"
    )
    bench.add_argument(
        "--copies", type=count(), default=1, metavar="N", help="with --vectors: as many passages N times (default: 1)"
    )
    bench.add_argument(
        "--queries", type=count(), default=64, metavar="N", help="with --vectors: queries of a shape (default: 64)"
    )
    bench.add_argument("--plot", type=place, metavar="PNG", help="with --vectors: draw overlap against time")
    encoding = add(
        "bench-encoder", _bench_encoder, "measure PreFLMR at a published size, with made-up weights, on this machine"
    )
    encoding.add_argument("size", choices=SIZES, help="ViT-B, ViT-L or ViT-G")
    _add_json(encoding)


def _add_json(command: argparse.ArgumentParser) -> None:
    command.add_argument("--json", action="store_true", help="print JSON")


def _add_hybrid(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--hybrid",
        action=argparse.BooleanOptionalAction,
        help="fuse with a search by words where there is no photo (default: CITESIGHT_HYBRID, off)",
    )


def _ready(settings: Settings) -> AnswerService:
    service = build_service(settings)
    try:
        prepare(service)
    except BaseException:
        service.close()
        raise
    return service


def _index(args: argparse.Namespace, settings: Settings) -> None:
    if args.ray is not None:
        cluster.index(args, settings)
        return
    if args.shards or args.workers:
        raise Problem("--shards and --workers go with --ray; give it the address of a cluster, or local.")
    service = _ready(settings)
    print(service.status().message)
    service.close()


def _search(args: argparse.Namespace, settings: Settings) -> None:
    if not args.image and not args.question.strip():
        raise Problem("Give a photo with --image, a question with --question, or both.")
    photo = photo_named(args.image, settings)
    service = _ready(settings)
    try:
        found = service.find(photo, args.question or PHOTO_QUESTION, args.k)
        passages = found.passages
    finally:
        service.close()
    if found.unsearched:
        print(left_out_of_search(found.unsearched), file=sys.stderr)
    if args.json:
        names = ("id", "title", "score", "seen", "was", "by", "text", "url")
        shown = [{name: getattr(passage, name) for name in names} for passage in passages]
        print(json.dumps(shown, indent=2, ensure_ascii=False))
    else:
        for p in passages:
            seen = f" +{p.seen:.3f} at sight" if p.seen else ""
            seen += f", was {p.was}" if p.was not in (None, p.rank) else ""
            seen += f", by {p.by}" if p.by else ""
            print(printable(f"{p.rank:3}. {p.score:.3f}{seen}  {p.title}  {p.url}  ({p.id})\n     {p.text}"))


def _eval_photos(args: argparse.Namespace, settings: Settings) -> None:
    check_photos(settings)
    entries = read_entries(args.labels, ("file", "title"))
    groups = [args.apart if e["title"] == args.apart else str(e.get("group", "")) for e in entries]
    asked = [(e["title"], args.labels.parent / e["file"], PHOTO_QUESTION) for e in entries]
    _evaluate(args, settings, asked, groups)


def _eval_questions(args: argparse.Namespace, settings: Settings) -> None:
    entries = [e for e in read_entries(args.questions, ("question", "title")) if e["title"] is not None]
    _evaluate(args, settings, [(entry["title"], None, entry["question"]) for entry in entries])


def _photographs(files: Sequence[Path]) -> list[Photograph]:
    return [
        Photograph(labels.parent / entry["file"], entry["title"])
        for labels in files
        for entry in read_entries(labels, ("file", "title"))
    ]


def _eval_pictures(args: argparse.Namespace, settings: Settings) -> None:
    check_photos(settings)
    profile_of(settings.profile)  # of two, one would be measured
    beside, asked = shared_out(_photographs(args.labels), args.each, args.asked)
    service = _ready(settings)
    try:
        titles = sorted({one.title for one in beside})
        ids = service.catalogue.titled(titles, [settings.corpus], limit=100 * len(titles))
        firsts = service.catalogue.passages([each[0] for each in ids.values()])
        passages = {passage.title: passage for passage in firsts}
        figures = measure_pictures(service.encoder(), passages, beside, asked)
    finally:
        service.close()
    if args.json:
        print(json.dumps(figures, indent=2))
        return
    print(f"{len(beside)} pictures of {len(titles)} titles, {len(passages)} with an article, {len(asked)} asked with")
    for name, each in figures.items():
        print(f"{name:45} " + "  ".join(f"{measure} {value:.3f}" for measure, value in each.items()))


def _eval_read(args: argparse.Namespace, settings: Settings) -> None:
    check_photos(settings)
    if not available():  # told at once
        raise Problem(MISSING)
    service = _ready(settings)
    try:
        _print_figures(measure_reading(service, args.half), args.json)
    finally:
        service.close()


def _fit_recognition(args: argparse.Namespace, settings: Settings) -> None:
    check_photos(settings)
    entries = read_entries(args.labels, ("file", "title"))
    service = _ready(settings.model_copy(update={"rerank": NO_RERANKING}))  # which would say by itself what is shown
    try:
        found = [service.find(load_listed(args.labels.parent / e["file"]), PHOTO_QUESTION, 1).subject for e in entries]
    finally:
        service.close()
    pairs = [(each, e["title"]) for each, e in zip(found, entries, strict=True) if each and each.probability]
    if len({each.title == title for each, title in pairs}) < 2:
        raise Problem("Fitting needs photographs that a model with classes recognises, and some that it does not.")
    measured = np.array([(each.lead, each.undecided) for each, _ in pairs])
    right = np.array([each.title == title for each, title in pairs])
    _print_report(confidence.report(measured, right), args.json)


def _fit_likeness(args: argparse.Namespace, settings: Settings) -> None:
    found = measure_likeness(load_encoder(settings.profile, settings.cache_dir), _photographs(args.labels))
    _print_report(confidence.report(found.measured, found.right, found.titles), args.json)


def _print_report(report: dict[str, object], as_json: bool) -> None:
    if as_json:
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
    service, beside = _ready(settings), RanksBeside()
    try:
        for title, path, question in asked:
            beside.add(title, service.find(path and load_listed(path), question, DEPTH))
    finally:
        service.close()
    ranks, reranking = beside.ranks, beside.as_dict(_measured)
    result = _measured(ranks)
    if len(titles := {title for title, _, _ in asked}) < len(asked):  # some have several
        macro = macro_recall(ranks, [title for title, _, _ in asked], DEPTHS)
        result |= {"titles": len(titles)} | {f"macro_recall@{k}": round(share, 4) for k, share in macro.items()}
    apart = {
        group: _measured([rank for rank, theirs in zip(ranks, groups, strict=True) if theirs == group])
        for group in sorted(set(groups) - {""})
    }
    if args.json:
        print(json.dumps(result | ({"groups": apart} if apart else {}) | reranking, indent=2))
        return
    for (title, _, question), rank in zip(asked, ranks, strict=True):
        print(f"{rank or f'>{DEPTH}':>5}  {title}  ({question})")
    lines = [*apart.items(), ("", result)]
    lines += [("without reranking", reranking["without_reranking"])] if reranking else []
    for group, figures in lines:
        print("  ".join([*([group] if group else []), *(f"{name} {value}" for name, value in figures.items())]))
    if reranking:
        print(beside.cost.line())


def _measured(ranks: Sequence[int | None]) -> dict[str, float]:
    return {"questions": len(ranks), **{k: round(v, 4) for k, v in measures(ranks).items()}}


def _m2kr(args: argparse.Namespace, settings: Settings) -> None:
    def load(profile: str, progress: Progress) -> Encoder:
        return load_encoder(profile, settings.cache_dir, progress)

    loads = [partial(load, profile) for profile in profiles_in(settings.profile)]
    reranker = partial(reranker_of, settings)
    m2kr.run(args, settings.profile, loads, settings.data_dir, settings.cache_dir, reranker)


def _bench(args: argparse.Namespace, settings: Settings) -> None:
    check_photos(settings)
    if args.plot is not None and importlib.util.find_spec("matplotlib") is None:
        raise Problem("Drawing needs matplotlib; install it with: pip install -r requirements-dev.txt")
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
            raise Problem(f"{args.plot} cannot be written: {problem.strerror}.") from None


def _bench_encoder(args: argparse.Namespace, settings: Settings) -> None:
    photo = Image.effect_noise((800, 600), 80).convert("RGB")
    encoder = seeded_encoder(args.size)
    _print_figures({"device": device_name(encoder)} | bench_encoding(encoder, made_up_passages(), photo), args.json)


def _print_figures(report: dict[str, float | str], as_json: bool) -> None:
    if as_json:
        print(json.dumps(report, indent=2))
        return
    for name, value in report.items():
        print(f"{name:32} {value:,.3f}" if isinstance(value, float) else f"{name:32} {value}")
