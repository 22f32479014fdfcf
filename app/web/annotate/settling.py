"""What the pages ask for about what people differ on: who said what, the final judgments, and settling anew.

Knows nothing of how anything is drawn.
"""

from __future__ import annotations

from typing import Any

from app.web.annotate.as_json import candidate_json, judged_json
from app.web.annotate.asked import Asked, Operation
from app.web.annotate.grades import scale_json
from kb.annotations.adjudicating import Disagreement, adjudicate, disagreements, settled
from kb.annotations.projects import project_called
from kb.annotations.records import Project, Role

_SHOWN = 50  # disagreements
_SETTLED = 10  # at a time


def _disagreements(asked: Asked) -> Any:
    project = project_called(asked.database, asked.project)
    found = disagreements(asked.database, asked.project, asked.name, _SHOWN)
    return [dispute_json(each, project) for each in found]


def _settled(asked: Asked) -> Any:
    """What was settled, newest first; `more`: whether there is more of it."""
    project, after = project_called(asked.database, asked.project), max(asked.number("after", 0), 0)
    found = settled(asked.database, asked.project, asked.name, after, _SETTLED + 1)
    return {"settled": [dispute_json(each, project) for each in found[:_SETTLED]], "more": len(found) > _SETTLED}


def dispute_json(each: Disagreement, project: Project) -> dict[str, Any]:
    """All that an adjudicator has to see of it."""
    return {
        "item": each.item,
        "position": each.position,
        "question": each.question,
        "kind": each.kind,
        "photo": each.photo,
        "references": list(each.references),
        "candidate": candidate_json(each.candidate),
        "judged": [judged_json(one) for one in each.judged],
        "final": judged_json(each.final) if each.final else None,
        "scale": scale_json(project.scale(each.candidate.what)),
    }


def _settle(asked: Asked) -> Any:
    final = adjudicate(
        asked.database, asked.project, asked.name, asked.number("item"), asked.number("candidate"),
        asked.text("grade"), comment=asked.text("comment", ""),
    )  # fmt: skip
    return judged_json(final)


OPERATIONS = {
    "disagreements": Operation(_disagreements, Role.ADJUDICATOR),
    "settled": Operation(_settled, Role.ADJUDICATOR),
    "settle": Operation(_settle, Role.ADJUDICATOR),
}
