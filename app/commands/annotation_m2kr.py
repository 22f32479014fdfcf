"""`python -m kb annotations add NAME --m2kr FOLDER --task T`: the questions of a split of M2KR as items.

Joins the retriever's reader of M2KR to annotation, which know nothing of each other.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from functools import partial

from app.commands.arguments import count, place
from common.problems import BadRequest
from common.text import shown
from kb.annotations.item_files import FileReport, add_each
from kb.annotations.photos import Check, Photos, read_file
from kb.annotations.records import NewItem
from kb.catalogue.database import Database


def add_options(parser: argparse.ArgumentParser) -> None:
    """Adds those that stand in place of a file."""
    parser.add_argument("--m2kr", type=place, metavar="DIR", help="folder of M2KR, in place of FILE")
    parser.add_argument("--task", metavar="T", help="of M2KR, such as EVQA")
    parser.add_argument("--split", default="test", metavar="S", help="of the task (default: test)")
    parser.add_argument("--limit", type=count(), metavar="N", help="of M2KR the first N questions (default: all)")


def check_options(args: argparse.Namespace) -> None:
    """Raises BadRequest unless there is a file, or M2KR with a task."""
    if (args.file is None) == (args.m2kr is None):
        raise BadRequest("Name either a file with items, or a folder of M2KR with --m2kr.")
    if (args.m2kr is None) != (args.task is None):
        raise BadRequest("A folder of M2KR and a task go together; give both --m2kr and --task.")
    if args.m2kr is None and args.limit is not None:
        raise BadRequest("Only of M2KR a number of questions is taken; leave --limit out.")


def add(args: argparse.Namespace, database: Database, photos: Photos, check: Check) -> FileReport:
    """Add the questions, each by its id, of the kind of its task. Raises Problem, also when a photo is missing."""
    from retriever.evaluation.m2kr.layout import Question, find_shards, has_column, read_questions
    from retriever.evaluation.m2kr.photos import Photo, find_photos
    from retriever.evaluation.m2kr.published import task_called

    task = task_called(args.task)
    shards = find_shards(args.m2kr, f"{task.name}_data", args.split, "--m2kr")
    questions = read_questions(shards, with_answers=has_column(shards, "answers"))[: args.limit]
    pictures = find_photos(questions, args.photos, task, "--photos")

    def item(question: Question, picture: Photo | None) -> NewItem:
        photo = photos.keep(read_file(picture.path, question.image), check) if picture else None
        asked = question.text or question.instruction
        return NewItem(asked, photo, question.id, task.name, tuple(dict.fromkeys(question.answers)))

    def each() -> Iterator[tuple[str, Callable[[], NewItem]]]:
        for question, picture in zip(questions, pictures, strict=True):
            yield f"question {shown(question.id, 80)}", partial(item, question, picture)

    return add_each(database, args.name, photos, each())
