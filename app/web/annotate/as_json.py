"""Annotation's values as JSON for the pages' script, which shows every text as text. Pure functions."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from app.web.escaping import safe_link
from kb.annotations.agreement import Agreed, Measured
from kb.annotations.judging import Saved
from kb.annotations.progress import Worker
from kb.annotations.records import Candidate, Item, Judged


def item_json(item: Item) -> dict[str, Any]:
    return {
        "id": item.id,
        "key": item.key,
        "position": item.position,
        "photo": item.photo,
        "question": item.question,
        "kind": item.kind,
        "references": list(item.references),
        "candidates": [candidate_json(each) for each in item.candidates],
        "said": judged_json(item.judged) if item.judged else None,
    }


def candidate_json(candidate: Candidate) -> dict[str, Any]:
    return {
        "id": candidate.id,
        "what": candidate.what,
        "text": candidate.text,
        "title": candidate.title,
        "section": candidate.section,
        "corpus": candidate.corpus,
        "link": safe_link(candidate.url),
        "citations": [_citation(each) for each in candidate.citations],
        "found": dict(candidate.found),
        "said": judged_json(candidate.judged) if candidate.judged else None,
    }


def _citation(told: dict) -> dict[str, Any]:
    quotes = told.get("quotes")
    return {
        "number": told.get("number"),
        "title": str(told.get("title", "")),
        "quotes": [str(each) for each in quotes] if isinstance(quotes, list) else [],
    }


def judged_json(judged: Judged) -> dict[str, Any]:
    told = {"item": judged.item, "candidate": judged.candidate, "number": judged.number, "at": when(judged.at)}
    return told | {"person": judged.person, "grade": judged.grade} | judged.said.as_dict()


def saved_json(saved: Saved) -> dict[str, Any]:
    return {"said": judged_json(saved.judged), "done": saved.done, "top": saved.top}


def worker_json(worker: Worker) -> dict[str, Any]:
    return {
        "name": worker.name, "role": worker.role, "judged": worker.judged, "done": worker.done,
        "skipped": worker.skipped, "last": when(worker.last), "pace": worker.pace,
    }  # fmt: skip


def agreed_json(agreed: Agreed) -> dict[str, Any]:
    figures = {"plain": agreed.plain, "nominal": agreed.nominal, "ordinal": agreed.ordinal}
    return {"candidates": agreed.candidates} | {name: measured_json(figure) for name, figure in figures.items()}


def measured_json(measured: Measured) -> list[float] | None:
    return None if measured.value is None else [measured.value, measured.low, measured.high]


def when(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat(timespec="seconds")
