"""A project as a folder that Hugging Face's `datasets` loads, and that can be put on the Hub as it is:

    cats/README.md        the card: what it is, and of which kinds its columns are
    cats/metadata.jsonl   the items, a line each, with their candidates and what holds of them (an `imagefolder`)
    cats/photos/          photographs

Of a project without photographs the items are in items.jsonl. Who judged is not in it. Knows nothing of the Hub.
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

from sqlalchemy import select

from common.text import shown
from common.whole_files import new_folder
from kb.annotations.export_folders import copied
from kb.annotations.photos import Photos
from kb.annotations.projects import project_in, project_of
from kb.annotations.records import Project, Scale
from kb.annotations.settled import SettledCandidate, SettledItem, settled_in
from kb.annotations.tables import ItemRow
from kb.catalogue.database import Database

_TEXTS = ("what", "content_hash", "text", "title", "section", "passage_id", "document_id", "corpus", "url", "grade")


def export_huggingface(database: Database, project: str, photos: Photos, output: Path) -> int:
    """Writes the folder `output`, which must not be there, of the project at one moment and in bounded memory; how many
    items there are. Raises Problem."""
    with database.reading() as session, new_folder(output) as folder:
        row = project_in(session, project)
        told, counts = project_of(row), Counter()
        seen = select(ItemRow.id).where(ItemRow.project_id == row.id, ItemRow.photo.is_not(None)).limit(1)
        with_photos = session.scalar(seen) is not None
        if with_photos:
            (folder / "photos").mkdir()
        with (folder / _file(with_photos)).open("w", encoding="utf-8", newline="\n") as file:
            for item in settled_in(session, row, None, texts=True):
                line = _item(item)
                if with_photos:
                    name = item.photo and f"photos/{copied(photos, item.photo, folder / 'photos')}"
                    line = {"file_name": name} | line
                file.write(json.dumps(line, ensure_ascii=False) + "\n")
                counts["items"] += 1
                counts.update(str(each.what) for each in item.candidates)
                counts.update(f"{each.what} judged" for each in item.candidates if each.grade is not None)
        card = _card(told, counts, with_photos)
        (folder / "README.md").write_text(card, encoding="utf-8", newline="\n")
        return counts["items"]


def _file(with_photos: bool) -> str:
    return "metadata.jsonl" if with_photos else "items.jsonl"


def _item(item: SettledItem) -> dict[str, Any]:
    return {
        "id": item.key, "question": item.question, "kind": item.kind, "references": list(item.references),
        "candidates": [_candidate(each) for each in item.candidates],
    }  # fmt: skip


def _candidate(each: SettledCandidate) -> dict[str, Any]:
    told = {name: getattr(each, name) for name in _TEXTS} | {"gain": each.gain}
    return told | {"found": [{"by": name, "rank": rank} for name, rank in sorted(each.found.items())]}


def _card(project: Project, counts: Counter[str], with_photos: bool) -> str:
    lines = [
        "---",
        f"pretty_name: {json.dumps(project.name)}",
        "license: other",
        "task_categories:",
        f"- {'visual-question-answering' if with_photos else 'question-answering'}",
        *([] if with_photos else ["configs:", "- config_name: default", f"  data_files: {_file(with_photos)}"]),
        "dataset_info:",
        "  features:",
        *_feature("image", "dtype: image", with_photos),
        *(line for name in ("id", "question", "kind") for line in _feature(name, "dtype: string")),
        *_feature("references", "list: string"),
        *_feature("candidates", "list:"),
        *(f"    {line}" for name in _TEXTS for line in _feature(name, "dtype: string", indent="")),
        *(f"    {line}" for line in _feature("gain", "dtype: int64", indent="")),
        "    - name: found",
        "      list:",
        *(f"      {line}" for line in _feature("by", "dtype: string", indent="")),
        *(f"      {line}" for line in _feature("rank", "dtype: int64", indent="")),
        "---",
        "",
        f"# {project.name}",
        "",
        f"{counts['items']:,} questions with {counts['passage']:,} passages and {counts['answer']:,} answers, of "
        f"which {counts['passage judged']:,} and {counts['answer judged']:,} were judged. `grade` is the final "
        "judgment of an adjudicator, else what most people said; where nobody judged it is null, and so is `gain`, its "
        "worth, where the grade has none. `found` says who gave a candidate, and at which rank.",
        "",
        *_scale("passages", project.passage_scale),
        *_scale("answers", project.answer_scale),
        "Texts and photographs belong to those who made them: say which licences they have before you publish this.",
        *(["", "## Guidelines for those who judged", "", project.guidelines] if project.guidelines.strip() else []),
    ]
    return "\n".join(lines) + "\n"


def _feature(name: str, kind: str, there: bool = True, indent: str = "  ") -> list[str]:
    return [f"{indent}- name: {name}", f"{indent}  {kind}"] if there else []


def _scale(of: str, scale: Scale) -> list[str]:
    rows = []
    for each in scale:
        label = shown(each.label).replace("|", "/")
        rows.append(f"| {each.key} | {label} | {'' if each.gain is None else each.gain} |")
    return [f"Grades of {of}:", "", "| grade | | gain |", "| --- | --- | --- |", *rows, ""]
