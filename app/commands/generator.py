"""Command line: `python -m generator answer` and `python -m generator eval`."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from functools import reduce
from pathlib import Path
from typing import TYPE_CHECKING

from app.commands import project_answers
from app.commands.arguments import place
from app.commands.reranking import Cost, put_in_order
from app.settings import NO_RERANKING
from common.passage import Evidence
from common.problems import Problem, unreadable
from common.reranking import Reranker
from generator.answers import Anew, Answer, Answerer, said_with
from generator.evaluation.comparing import (
    Contender,
    as_json,
    first_problem,
    from_nothing,
    from_passages,
    measure,
    photo_paths,
    show_progress,
    table,
)
from generator.evaluation.measuring import Asked, Distractors, Outcome, Report, evidence_for, read_questions
from generator.extractive.answerer import ExtractiveAnswerer
from generator.models.in_context import InContextAnswerer, own_answer
from generator.models.per_passage import PerPassageAnswerer
from generator.models.served import ServedModel
from generator.sentences import shown_title

if TYPE_CHECKING:
    from PIL.Image import Image

    from generator.models.chat import ChatModel

RERANKED = ", reranked"  # ends the name of an answerer that gets the passages so
SERVED_KEY = "CITESIGHT_SERVED_KEY"  # never an argument: others on the machine can read those


def _embedder():
    from app.settings import load_settings
    from retriever.encoders.sentences import load_sentence_encoder

    return load_sentence_encoder(load_settings().cache_dir).embed_sentences


def _read_passages(path: Path) -> list[Evidence]:
    """A JSON list of objects with title and text, and optionally id, url and score (best first)."""
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
        return [
            Evidence(
                str(e.get("id", n)),
                str(e["title"]),
                str(e["text"]),
                str(e.get("url", "")),
                score=float(e.get("score", 1.0)),
            )
            for n, e in enumerate(entries, start=1)
        ]
    except OSError as problem:
        raise unreadable(path, problem) from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise Problem(f"{path} must be a JSON list of objects with title and text.") from None


def _blank_photo():
    """Stands for a photo: the extractive answerer only asks whether there is one."""
    from PIL import Image

    return Image.new("RGB", (1, 1))


def _embedder_when_needed() -> Callable:
    """The embedder, loaded with the first sentence that words do not settle: many answers have none."""
    loaded: list[Callable] = []

    def embed(texts: Sequence[str]):
        if not loaded:
            loaded.append(_embedder())
        return loaded[0](texts)

    return embed


@contextmanager
def _model(args: argparse.Namespace) -> Iterator[ChatModel | None]:
    """The served model when its address is given, one in this process when only its name is, else None."""
    if args.model is None:
        if args.url is not None or args.four_bit:
            raise Problem("Name the model with --model; --url and --four-bit are about one.")
        yield None
        return
    if args.url is not None and args.four_bit:
        raise Problem("A served model is quantised by its server; leave out --four-bit or --url.")
    from app.settings import load_settings

    thinking = load_settings(model=args.model).thinking_tokens
    if args.url is None:
        model = _local(args.model, args.four_bit, thinking)
    else:
        model = ServedModel(args.url, args.model, os.environ.get(SERVED_KEY), thinking=thinking)
    try:
        yield model
    finally:
        model.close()


def _local(source: str, four_bit: bool, thinking: int):
    """The model of a folder, or of a repository of the Hub that is fetched first."""
    from app.settings import load_settings
    from generator.models.loading import room_checked
    from generator.models.local import LocalModel

    folder = Path(source).expanduser()
    name = folder.resolve().name
    if not folder.is_dir():
        from hub.cache import fetch_vision_language

        room = room_checked(source, four_bit, _show_bytes)
        folder, name = fetch_vision_language(source, load_settings().cache_dir, room), source
    return LocalModel(folder, name, four_bit, lambda sentence: print(sentence, file=sys.stderr), thinking)


def _show_bytes(done: int, total: int) -> None:
    if sys.stderr.isatty():
        print(f"\r{done:,} of {total:,} bytes", end="\n" if done >= total else "", file=sys.stderr)


def _photo(args: argparse.Namespace) -> Image | None:
    if args.photo is not None:
        from common.images import load_image

        return load_image(args.photo)
    return _blank_photo() if args.shown else None


def _answer(args: argparse.Namespace) -> None:
    if args.model is None and (args.each or args.own):
        raise Problem("Name the model with --model; --each and --own are about one.")
    if args.model is not None and args.shown:
        raise Problem("A model looks at the photo itself: give --photo instead of --shown.")
    passages, photo = _read_passages(args.passages), _photo(args)
    with _model(args) as model:
        answerer: Answerer
        if model is None:
            answerer = ExtractiveAnswerer(_embedder())
        else:
            answerer = (PerPassageAnswerer if args.each else InContextAnswerer)(model, _embedder_when_needed())
        for piece in answerer.answer(args.question, photo, passages):
            if isinstance(piece, Answer):
                answer = piece
            elif not args.json:  # what turned out to be only thought stands in lines of its own
                print("\n\n" if isinstance(piece, Anew) else piece, end="", flush=True)
        own = None
        if model is not None and args.own:
            own = reduce(said_with, own_answer(model, args.question, photo), "")
    if args.json:
        said = asdict(answer) | {"unsupported": answer.unsupported, "unchecked": answer.unchecked}
        said |= {} if own is None else {"own": own}
        print(json.dumps(said, ensure_ascii=False, indent=2))
        return
    print()
    if answer.candidates:
        _print_candidates(answer, passages)
    if own is not None:
        print(f"\nWithout the passages: {own}")
    for sentence in answer.unsupported:
        print(f"Not found in the passages it cites: {sentence}", file=sys.stderr)
    for sentence in answer.unchecked:
        print(f"Not checked, in another language than the passages it cites: {sentence}", file=sys.stderr)
    if answer.broken:
        raise Problem(answer.broken)


def _print_candidates(answer: Answer, passages: Sequence[Evidence]) -> None:
    print(f"\n{'passage':32} {'answer':40} {'p(passage)':>10} {'p(answer)':>10} {'product':>10}")
    for c in answer.candidates:
        title = f"[{c.number}] {shown_title(passages[c.number - 1].title)}"
        print(f"{title[:32]:32} {c.text[:40]:40} {c.retrieval:10.2g} {c.generation:10.2g} {c.joint:10.2g}")


def _articles() -> list[Evidence]:
    from app.settings import load_settings
    from kb.catalogue import Catalogue

    settings = load_settings()
    catalogue = Catalogue(settings.catalogue_place)
    try:
        articles = {}
        for batch in catalogue.stream(settings.corpus):
            for p in batch:
                if p.position == 0:
                    articles[p.title] = Evidence(p.id, p.title, p.text, p.url, score=0.0)
    finally:
        catalogue.close()
    if not articles:
        raise Problem(
            f"The catalogue holds no passages of {settings.corpus}; ingest it with python -m kb first."
        )
    return list(articles.values())


def _contenders(model: ChatModel | None) -> list[Contender]:
    """The extractive answerer (never without passages: it has nothing to say then) and the ways to use a model."""
    embed = _embedder()
    contenders = [from_passages("extractive", ExtractiveAnswerer(embed))]
    if model is not None:
        contenders += [
            from_passages("in context", InContextAnswerer(model, embed)),
            from_passages("per passage", PerPassageAnswerer(model, embed)),
            from_nothing("own answer", lambda question, image: own_answer(model, question, image)),
        ]
    return contenders


def _evidence(questions: Sequence[Asked], photo: bool) -> list[Sequence[Evidence]]:
    """The passages of each question: its own, or articles of the catalogue. Raises ValueError without an article."""
    if all(q.passages is not None for q in questions):
        return [q.passages or () for q in questions]
    articles = _articles()
    titled = {a.title: a for a in articles}
    wanted = [q.title for q in questions if q.passages is None and q.title is not None]
    missing = [title for title in wanted if title not in titled]
    if missing:
        more = len(set(missing)) - 1
        others = f", nor {more} more that the questions name" if more else ""
        raise Problem(f"The catalogue does not hold the article {missing[0]}{others}.")
    near = Distractors(articles)
    return [
        evidence_for(q, photo or q.image is not None, n % 3, titled, near) if q.passages is None else q.passages
        for n, q in enumerate(questions)
    ]


def _eval(args: argparse.Namespace) -> None:
    if args.project is not None:
        if args.rerank != NO_RERANKING:
            raise Problem("--rerank goes with --data; what was judged of a project were its answers as they are.")
        project_answers.run(args, lambda *asked: _ask_all(args, *asked))
        return
    if args.anew:
        raise Problem("--anew is about the answers of a project; name one with --project instead of --data.")
    questions = read_questions(args.data)
    paths = photo_paths(questions, args.images)
    if args.photo and args.model is not None and None in paths:
        raise Problem("A model looks at the photo itself: name one in every record and its folder with --images.")

    def photo(number: int) -> Image | None:
        path = paths[number]
        if path is None:
            return _blank_photo() if args.photo else None
        from common.images import load_image

        return load_image(path)

    cost = Cost()
    found = _ask_all(args, questions, lambda: _evidence(questions, args.photo), photo, cost)
    reports = [report for report, _ in found]
    if args.json:
        rows = as_json(reports)
        for row in rows:
            row |= {"reranking": cost.as_dict()} if row["answerer"].endswith(RERANKED) else {}
        print(json.dumps(rows, ensure_ascii=False, indent=2))
        return
    print(table(reports))
    if cost.asked:
        print(cost.line())


def _ask_all(
    args: argparse.Namespace,
    questions: Sequence[Asked],
    evidence: Callable[[], Sequence[Sequence[Evidence]]],
    photo: Callable[[int], Image | None],
    cost: Cost | None = None,
) -> list[tuple[Report, list[Outcome]]]:
    """What each contender makes of the questions; their passages are looked for once the model is there. With a
    reranker those from passages are asked once more, with its order. cost: what that took."""
    found = []
    with _model(args) as model:
        reranker = _reranker(args.rerank, model)
        passages = evidence()
        asked = [(contender, passages) for contender in _contenders(model)]
        if reranker is not None:
            told = show_progress(reranker.name, len(questions))
            ordered = put_in_order(reranker, [each.question for each in questions], passages, photo, cost, told)
            asked = [
                (replace(contender, name=contender.name + name), theirs)
                for contender, _ in asked
                for name, theirs in (("", passages), (RERANKED, ordered))
                if contender.retrieval or not name
            ]
        for contender, theirs in asked:
            told = show_progress(contender.name, len(questions))
            measured, outcomes = measure(contender, questions, theirs, photo, told)
            found.append((measured, outcomes))
            if problem := first_problem(contender.name, outcomes):
                print(f"warning: {problem}", file=sys.stderr)
    return found


def _reranker(how: str, model: ChatModel | None) -> Reranker | None:
    from app.service.reranking import reranker_for
    from app.settings import load_settings

    return reranker_for(how, model, load_settings().cache_dir, _show_bytes)


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit code: 0, or 2 after one line `error: ...` on stderr."""
    parser = argparse.ArgumentParser(
        prog="python -m generator", description="Answer questions from passages."
    )
    commands = parser.add_subparsers(required=True)
    answer = commands.add_parser("answer", help="answer a question from passages in a file")
    answer.add_argument("question")
    answer.add_argument("--passages", type=place, required=True, help="JSON list of {title, text}, best first")
    answer.add_argument(
        "--shown", action="store_true", help='"this" and "it" mean the subject of the first passage'
    )
    answer.add_argument("--photo", type=place, metavar="FILE", help="what the question is about")
    _add_model(answer)
    answer.add_argument("--each", action="store_true", help="ask the model about each passage alone; take the best")
    answer.add_argument("--own", action="store_true", help="say too what the model answers without any passage")
    answer.add_argument("--json", action="store_true")
    answer.set_defaults(run=_answer)
    evaluate = commands.add_parser("eval", help="measure answerers on questions with known answers")
    source = evaluate.add_mutually_exclusive_group(required=True)
    source.add_argument(
        "--data", type=place, metavar="FILE",
        help="JSON list or lines of {question, answers, title, image, kind, passages}; most are optional",
    )  # fmt: skip
    project_answers.add_arguments(evaluate, source)
    evaluate.add_argument("--images", type=place, metavar="DIR", help="where the images lie that the records name")
    evaluate.add_argument(
        "--photo", action="store_true", help="ask as about a photo of the article's subject"
    )
    _add_model(evaluate)
    evaluate.add_argument(
        "--rerank", default=NO_RERANKING, metavar="HOW",
        help="answer from the passages in another order too: by a cross-encoder's folder or id, or by the model, "
        "pointwise, listwise or identify",
    )  # fmt: skip
    evaluate.add_argument("--json", action="store_true")
    evaluate.set_defaults(run=_eval)
    args = parser.parse_args(arguments)
    try:
        args.run(args)
    except (Problem, OSError) as problem:
        print(f"error: {problem}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("error: Stopped.", file=sys.stderr)
        return 2
    return 0


def _add_model(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--url",
        help="a served model's address, like http://localhost:8000/v1, or several with spaces or commas between; the "
        f"key, if any, is in {SERVED_KEY}",
    )
    command.add_argument(
        "--model", help="the served model's name; without --url a model's folder or its id on the Hugging Face Hub"
    )
    command.add_argument("--four-bit", action="store_true", help="quantise a model in this process: a GPU only")
