"""What the page asks for about one item that an owner looks at: what is in it, how it was settled, the grades known to
be right, given and taken away, and taking it out of the project.

Knows nothing of how it looks.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from app.web.annotate.as_json import item_json
from app.web.annotate.asked import Asked, Operation
from app.web.annotate.grades import scale_json
from app.web.annotate.settling import dispute_json
from common.problems import BadRequest
from kb.annotations.adjudicating import settled_of
from kb.annotations.asking import item_for
from kb.annotations.gold import give_gold, known_gold, mark_of, set_gold, take_gold
from kb.annotations.projects import project_called
from kb.annotations.records import Gold, Role, What
from kb.annotations.removing import going, remove_item


def _look(asked: Asked) -> Any:
    project, number = project_called(asked.database, asked.project), asked.item
    item = item_json(item_for(asked.database, asked.project, asked.name, number))
    gold = known_gold(asked.database, asked.project, asked.name, number)
    finals = settled_of(asked.database, asked.project, asked.name, number)
    for candidate in item["candidates"]:
        final = finals.get(candidate["id"])
        candidate["gold"] = gold.grades.get(candidate["id"])
        candidate["settled"] = None if final is None else dispute_json(final, project)
    waiting = [{"what": each.what, "mark": each.mark, "grade": each.grade} for each in gold.waiting]
    scales = {what: scale_json(project.scale(what)) for what in What}
    goes = asdict(going(asked.database, asked.project, number))
    return {"item": item, "waiting": waiting, "scales": scales, "goes": goes}


def _gold(asked: Asked) -> Any:
    """Of a candidate; without a grade, that none is known any more."""
    grade = None if asked.told.get("grade") is None else asked.text("grade")
    set_gold(asked.database, asked.project, asked.name, asked.number("item"), asked.number("candidate"), grade)
    return _look(asked)


def _gold_text(asked: Asked) -> Any:
    """Of what is to be found yet, by its text."""
    text = asked.text("text")
    if not text.strip():
        raise BadRequest("There is no text; paste the passage or the answer whose grade is known.")
    gold = Gold(mark_of(text), asked.text("grade"), _what(asked))
    give_gold(asked.database, asked.project, asked.name, asked.number("item"), gold)
    return _look(asked)


def _take_gold(asked: Asked) -> Any:
    take_gold(asked.database, asked.project, asked.name, asked.number("item"), _what(asked), asked.text("mark"))
    return _look(asked)


def _remove(asked: Asked) -> None:
    remove_item(asked.database, asked.project, asked.name, asked.number("item"), asked.desk.photos)


def _what(asked: Asked) -> What:
    what = asked.text("what")
    if what not in list(What):
        raise BadRequest("Say whether it is a passage or an answer.")
    return What(what)


OPERATIONS = {
    "look": Operation(_look, Role.OWNER),
    "gold": Operation(_gold, Role.OWNER),
    "gold-text": Operation(_gold_text, Role.OWNER),
    "take-gold": Operation(_take_gold, Role.OWNER),
    "remove-item": Operation(_remove, Role.OWNER),
}
