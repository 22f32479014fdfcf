"""What the program writes of itself on standard error: one line each, plain or as a JSON object, with the number of the
question that the line is about.

Nothing of questions, photos, answers or network addresses is in it unless `content` is asked for: lines are made of
fixed sentences and numbers, and of an unforeseen problem they have its kind and where it came from, without what Python
says of it, in which anything may stand. Knows nothing of how questions are answered.
"""

from __future__ import annotations

import json
import logging
import sys
import traceback
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from time import perf_counter

from common.following import Followed, followed
from common.text import shown

PROBLEMS, PLAIN, JSON = "problems", "plain", "json"
MOST_TEXT = 2_000  # characters of a line's sentence, and of each thing it says
MOST_FRAMES = 30
_ABOUT = "citesight"  # a record's attribute: what it says beside its sentence
_OURS = ("app", "common", "generator", "hub", "kb", "retriever")
_STAGES = {
    "wait": "A question had its turn",
    "load": "The photo was read",
    "rewrite": "The question was rewritten",
    "encode": "The question was encoded",
    "search": "Passages were searched",
    "read": "The text in the photo was read",
    "rerank": "The passages were put in order again",
    "passages": "The passages were fetched",
    "answer": "The question was answered",
    "own": "The model answered without passages",
}

log = logging.getLogger(__name__)


def say(logger: logging.Logger, level: int, sentence: str, **about: object) -> None:
    """A line with a fixed sentence and what else is said beside it."""
    logger.log(level, sentence, extra={_ABOUT: about})


def set_up(how: str, content: bool, secrets: Sequence[str] = ()) -> None:
    """From now on the program writes so. how: PROBLEMS leaves it as Python does it, which is warnings and problems in
    full."""
    if how == PROBLEMS:
        return
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Lines(how == JSON, content, secrets))
    logging.getLogger().handlers[:] = [handler]
    for name in _OURS:
        logging.getLogger(name).setLevel(logging.INFO)
    logging.captureWarnings(True)


def take_over(*names: str) -> None:
    """What others set up for loggers of these names goes where everything goes."""
    for name in names:
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True


class Lines(logging.Formatter):
    """A record as one line, an object of JSON or plain."""

    def __init__(self, as_json: bool, content: bool, secrets: Sequence[str] = ()) -> None:
        """secrets: what is blotted out wherever it stands."""
        super().__init__()
        self._as_json, self._content = as_json, content
        forms = ({each, json.dumps(each, ensure_ascii=False)[1:-1]} for each in secrets if each)
        self._secrets = [form for each in forms for form in each]

    def format(self, record: logging.LogRecord) -> str:
        text = self._line(record)
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return text

    def _line(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "sentence": shown(record.getMessage(), MOST_TEXT),
        }
        question = followed()
        if question is not None:
            line["question"] = question.number
        line |= getattr(record, _ABOUT, {})
        if record.exc_info and record.exc_info[1] is not None:
            line |= self._problem(record.exc_info[1])
        if self._as_json:
            return json.dumps(line, ensure_ascii=False, default=str)
        rest = {name: said for name, said in line.items() if name not in ("time", "level", "logger", "sentence")}
        told = "".join(f" {name}={json.dumps(said, ensure_ascii=False, default=str)}" for name, said in rest.items())
        return f"{line['time']} {line['level']} {line['logger']}: {line['sentence']}{told}"

    def _problem(self, problem: BaseException) -> Mapping[str, object]:
        frames = traceback.extract_tb(problem.__traceback__)[-MOST_FRAMES:]
        where = [f"{each.filename}:{each.lineno} {each.name}" for each in frames]
        told = {"problem": shown(problem, MOST_TEXT)} if self._content else {}
        return {"kind": type(problem).__name__, "where": where, **told}


class QuestionLines:
    """A line for each stage of a question, as common.following.Hears."""

    def __init__(self, content: bool) -> None:
        self._content = content

    def begun(self, question: Followed) -> None:
        self._say(question, "A question came", **question.about, **self._said(question))

    def stage(self, question: Followed, name: str, began: float, ended: float) -> None:
        sentence = _STAGES.get(name, "A stage ended")
        self._say(question, sentence, stage=name, seconds=round(ended - began, 4))

    def ended(self, question: Followed) -> None:
        seconds = round(perf_counter() - question.began, 4)
        self._say(question, "A question ended", outcome=question.outcome, seconds=seconds, **self._said(question))

    def _said(self, question: Followed) -> dict[str, object]:
        return {name: shown(said, MOST_TEXT) for name, said in question.content.items()} if self._content else {}

    def _say(self, question: Followed, sentence: str, **about: object) -> None:
        say(log, logging.INFO, f"{sentence}.", question=question.number, **about)
