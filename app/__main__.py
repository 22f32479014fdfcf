"""The command line: `python -m app ask PHOTO "QUESTION"` answers one question, in words or as JSON.

It knows the service and how to print; the answer goes to standard output, progress and problems to standard
error. Exit code 0, or 2 after one sentence that says what is wrong.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
import textwrap
import warnings
from contextlib import closing

from app.indexing import problem_sentence
from app.questions import checked_question
from app.results import Result, UserProblem
from app.service import AnswerService, build_service
from app.settings import SettingsProblem, add_answer_options, add_common_options, settings_from
from app.stoppable import stoppable
from app.terminal import prepare, printable, refuse
from retriever.images import ImageProblem, load_image

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
        return _ask(args)
    except KeyboardInterrupt:
        return refuse("Stopped; what has been indexed is kept, and the next start goes on from there.")
    except BrokenPipeError:  # whoever reads has enough, as in `... | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (SettingsProblem, ImageProblem, UserProblem) as problem:
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
    ask.add_argument("photo", metavar="PHOTO", help="the photo's file")
    ask.add_argument("question", metavar="QUESTION", help="the question, in quotation marks")
    ask.add_argument(
        "--json", action="store_true", help="print answer, citations, passages and timings as JSON"
    )
    add_common_options(ask)
    add_answer_options(ask)
    return parser


def _ask(args: argparse.Namespace) -> int:
    settings = settings_from(args)
    # Before the minutes that a first index takes.
    question = checked_question(args.question, has_photo=True)
    load_image(args.photo)
    service = build_service(settings)
    try:
        prepare(service)
        result = _answered(service, args.photo, question)
    finally:
        service.close()
    print(json.dumps(result.as_dict(), indent=2) if args.json else readable(result), flush=True)
    return 0


def _answered(service: AnswerService, photo: str, question: str) -> Result:
    """The result. What it waits for meanwhile, such as a model that is loaded, is said on standard error."""
    told = ""
    with closing(stoppable(service.ask(photo, question), PAUSE)) as steps:
        for step in steps:
            before, told = told, service.loading() if step is None else told
            if told and told != before:
                print(told, file=sys.stderr, flush=True)
    return step


def readable(result: Result) -> str:
    """The result as text for a terminal: the answer, the quotes it rests on, the passages found."""
    lines = [printable(result.answer.text), ""]
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
        lines += _paragraph(f"  [{passage.rank}] ", f"{passage.title}{what}, score {passage.score:.2f}")
        lines.append(f"      {printable(passage.url)} ({printable(passage.licence)})")
    if result.indexed < result.total:
        lines += ["", f"Only {result.indexed:,} of {result.total:,} passages were indexed."]
    steps = ", ".join(f"{step} {spent:.0f} ms" for step, spent in result.timings.items())
    return "\n".join([*lines, "", f"Times: {steps}"])


def _paragraph(mark: str, text: str) -> list[str]:
    return textwrap.wrap(
        printable(text), 100, initial_indent=mark, subsequent_indent=" " * len(mark), break_on_hyphens=False
    )


if __name__ == "__main__":
    sys.exit(main())
