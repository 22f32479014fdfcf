"""The command line: `python -m app ask PHOTO "QUESTION"` answers one question, in words or as JSON;
`python -m app eval SET` measures the answers to many; `python -m app pool PROJECT`, in pooling.py, and
`python -m app people`, in people.py, are for annotation; `python -m app keys`, in keys.py, for programs;
`python -m app mcp`, in mcp.py, for agents; `python -m app bench-load`, in load.py, measures.

It knows the service, which takes seconds to import and so is imported where it is needed, and how to print; what was
asked for goes to standard output, progress and problems to standard error. Exit code 0, or 2 after one sentence that
says what is wrong.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
import textwrap
import warnings
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

from app.commands import keys, load, mcp, people, pooling
from app.commands.arguments import place
from app.commands.printing import printable
from app.commands.terminal import check_photos, prepare, refuse
from app.options import add_answer_options, add_common_options, settings_from
from app.settings import Settings
from common.problems import Problem, problem_sentence
from common.worker_thread import cancellable

if TYPE_CHECKING:
    from app.service.ask import AnswerService
    from app.service.results import Result

NO_PHOTO = "-"
PAUSE = 0.2  # seconds between two looks at what an answer waits for


def main(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit code."""
    args = _parser().parse_args(arguments)
    # A problem is told in a sentence below; the traceback that a server would log helps nobody here.
    logging.getLogger("app").addHandler(logging.NullHandler())
    logging.getLogger("app").propagate = False
    warnings.filterwarnings("ignore", module="PIL")
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="replace")  # a terminal without Unicode still gets its answer
    try:
        return args.run(args)
    except KeyboardInterrupt:
        return refuse("Stopped; what has been indexed is kept, and the next start goes on from there.")
    except BrokenPipeError:  # whoever reads has enough, as in `... | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Problem as problem:
        return refuse(str(problem))
    except Exception as problem:
        return refuse(problem_sentence(problem, "answering"))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m app", description="Ask about a photo.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    ask = commands.add_parser(
        "ask",
        help="answer one question about a photo",
        description="Answer one question about a photo. The first time, the corpus is fetched and indexed.",
    )
    ask.add_argument("photo", metavar="PHOTO", help=f"the photo's file, or {NO_PHOTO} for a question without one")
    ask.add_argument("question", metavar="QUESTION", help="the question, in quotation marks")
    ask.add_argument("--corpus", metavar="NAME", help="the collection (default: wikipedia-vital)")
    ask.add_argument("--text", help="what is written in the photo, instead of what is read in it")
    ask.add_argument(
        "--json", action="store_true", help="print answer, citations, passages and timings as JSON"
    )
    add_common_options(ask)
    add_answer_options(ask)
    ask.set_defaults(run=_ask)
    measured = commands.add_parser(
        "eval",
        help="measure the answers to questions whose subject is known",
        description="Ask questions whose subject is known, each on its own: how many answers are about something else, "
        "how many are right, how often it is silent rightly and needlessly. Several sets are reported together too.",
    )
    measured.add_argument(
        "sets", metavar="SET", nargs="+", type=place,
        help="JSON list of {question, title, answers}, optionally file and accepted_titles; no answers: none is right",
    )  # fmt: skip
    measured.add_argument("--images", type=place, metavar="DIR", help="where the photos lie that the records name")
    measured.add_argument("--list", action="store_true", help="say of each question what became of it")
    measured.add_argument("--json", action="store_true", help="print JSON")
    add_common_options(measured)
    add_answer_options(measured)
    measured.set_defaults(run=_eval)
    load.add_command(commands)
    pooling.add_command(commands)
    people.add_commands(commands)
    keys.add_commands(commands)
    mcp.add_command(commands)
    return parser


def _ask(args: argparse.Namespace) -> int:
    from app.service.questions import checked_question
    from common.images import load_image

    settings = settings_from(args)
    # Before the minutes that a first index takes.
    photo = None if args.photo == NO_PHOTO else args.photo
    question = checked_question(args.question, has_photo=photo is not None)
    if photo is not None:
        check_photos(settings)
        load_image(photo)
    with _prepared(settings) as service:
        result = _answered(service, photo, question, args.text)
    print(json.dumps(result.as_dict(), indent=2) if args.json else readable(result), flush=True)
    return 0


@contextmanager
def _prepared(settings: Settings) -> Iterator[AnswerService]:
    from app.service.assembly import build_service
    from app.service.opening import check_beginning

    check_beginning(settings)
    service = build_service(settings)
    try:
        prepare(service)
        yield service
    finally:
        service.close()


def _eval(args: argparse.Namespace) -> int:
    from app import evaluation
    from generator.evaluation.comparing import as_json, photo_paths, show_progress

    settings = settings_from(args)
    sets = [evaluation.read_set(path) for path in args.sets]
    photos = [photo_paths(asked, args.images) for asked in sets]
    if any(photo is not None for of in photos for photo in of):
        check_photos(settings)
    every, reports = [], []
    with _prepared(settings) as service:
        for path, asked, of in zip(args.sets, sets, photos, strict=True):
            judged = evaluation.ask_all(asked, of, service.ask_once, show_progress(path.stem, len(asked)))
            reports.append(evaluation.report(path.stem, judged))
            every += judged
    if len(reports) > 1:
        reports.append(evaluation.report("together", every))
    each = [evaluation.listed(one) for one in every] if args.list else []
    if args.json:
        found = {"reports": as_json(reports)} | ({"questions": each} if args.list else {})
        print(json.dumps(found, ensure_ascii=False, indent=2), flush=True)
        return 0
    for one in each:
        cited = "; ".join(one["cited"])
        print(printable(f"{one['verdict']}: {one['question']} ({one['title']}): {cited}"))
    print(evaluation.table(reports), flush=True)
    return 0


def _answered(service: AnswerService, photo: str | None, question: str, text: str | None) -> Result:
    """The result. What it waits for meanwhile, such as a model that is loaded, is said on standard error."""
    told = ""
    with closing(cancellable(service.ask(photo, question, text=text), PAUSE)) as steps:
        for step in steps:
            before, told = told, service.loading() if step is None else told
            if told and told != before:
                print(told, file=sys.stderr, flush=True)
    return step


def readable(result: Result) -> str:
    """The result as text for a terminal: the answer, the quotes it rests on, the passages found."""
    from app.service.results import left_out_of_search

    lines = [printable(result.answer.text), ""]
    if result.answer.broken:
        lines += [*_paragraph("", f"The answer broke off; this is as far as it came. {result.answer.broken}"), ""]
    if result.subject is not None and result.subject.word:
        lines += [printable(f"The photo: {result.subject.said()}"), ""]
    lines += [line for told in _photo_text(result) for line in (*_paragraph("", told), "")]
    for sentence in result.answer.unsupported:
        lines += [*_paragraph("Not from the evidence: ", sentence), ""]
    for sentence in result.answer.unchecked:
        lines += [*_paragraph("Not checked, in another language than the evidence: ", sentence), ""]
    if result.answer.citations:
        lines.append("Quoted:")
        for citation in result.answer.citations:
            lines += _paragraph(f"  [{citation.number}] ", f'"{citation.quote}"')
        lines.append("")
    lines.append("Passages found:" if result.passages else "No passage was found.")
    for passage in result.passages:
        what = f" ({passage.description})" if passage.description else ""
        was = f", found at {passage.was}" if passage.was not in (None, passage.rank) else ""
        was += f", by {passage.by}" if passage.by else ""
        lines += _paragraph(f"  [{passage.rank}] ", f"{passage.title}{what}, score {passage.score:.2f}{was}")
        lines.append(f"      {printable(passage.url)} ({printable(passage.licence)})")
    if result.reranked is not None:
        done = "" if result.reranked.failed else f"Put in order by {result.reranked.by}. "
        lines += ["", *_paragraph("", f"{done}{result.reranked.said}".strip())]
    if result.unsearched:
        lines += ["", *_paragraph("", left_out_of_search(result.unsearched))]
    if result.indexed < result.total:
        lines += ["", f"Only {result.indexed:,} of {result.total:,} passages were indexed."]
    steps = ", ".join(f"{step} {spent:.0f} ms" for step, spent in result.timings.items())
    return "\n".join([*lines, "", f"Times: {steps}"])


def _photo_text(result: Result) -> list[str]:
    """What was read in the photo, or why nothing was, as sentences."""
    told = [result.unread] if result.unread else []
    if result.text is not None and result.text.lines:
        who = "Said to be written in the photo" if result.text.corrected else "Read from the photo"
        told.append(f"{who}: {result.text.text}{' …' if result.text.cut else ''}")
    return told


def _paragraph(mark: str, text: str) -> list[str]:
    return textwrap.wrap(
        printable(text), 100, initial_indent=mark, subsequent_indent=" " * len(mark), break_on_hyphens=False
    )
