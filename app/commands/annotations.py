"""The commands `python -m kb annotations ...`: projects that people judge, made, filled, looked at, written out.

python -m kb annotations create NAME --guidelines guide.md --judges 2
python -m kb annotations people add ann --role annotator
python -m kb annotations add NAME items.jsonl --photos DIR
python -m kb annotations export NAME --output NAME.jsonl
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from app.commands import annotation_exports, annotation_m2kr
from app.commands.annotation_exports import photos_beside, photos_in
from app.commands.arguments import place
from app.commands.printing import printable, table
from app.settings import Settings
from common.problems import BadRequest, unreadable
from common.text import shown
from kb.annotations.agreement import Agreed, Measured, agreement
from kb.annotations.foreign_files import KINDS, import_foreign
from kb.annotations.gold_progress import gold_progress
from kb.annotations.importing import import_project
from kb.annotations.item_files import add_from_file
from kb.annotations.items import number_of
from kb.annotations.people import add_person, people, remove_person
from kb.annotations.progress import progress
from kb.annotations.projects import create_project, delete_project, projects, scale_of
from kb.annotations.records import ANSWER_SCALE, PASSAGE_SCALE, Project, Role, Scale, What
from kb.annotations.removing import going, remove_item
from kb.catalogue import Catalogue

_SHOWN = 10


def add_annotation_commands(commands: Any, shared: argparse.ArgumentParser) -> None:
    """The command `annotations` with commands of its own, each with the options of `shared`."""
    about = "projects in which several people judge passages and answers"
    parser = commands.add_parser("annotations", allow_abbrev=False, help=about, description=about.capitalize() + ".")
    own = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, run: Callable[..., int | None], about: str, at: Any = own) -> argparse.ArgumentParser:
        made = at.add_parser(name, parents=[shared], allow_abbrev=False, help=about)
        made.set_defaults(run=run)
        return made

    create = command("create", _create, "make a project")
    create.add_argument("name", metavar="NAME")
    create.add_argument("--guidelines", type=place, metavar="FILE", help="Markdown, shown beside the work")
    create.add_argument("--judges", type=int, default=2, metavar="N", help="people who judge each item (default: 2)")
    create.add_argument("--open", action="store_true", help="show what the machine thought, and in its order")
    create.add_argument(
        "--scales", type=place, metavar="FILE",
        help='JSON: {"passages": [{"key": ..., "label": ..., "gain": N or null}], "answers": [...]}, or one of them',
    )  # fmt: skip
    add = command("add", _add, "add items from a JSONL or CSV file: question, and perhaps id, photo, kind, references")
    add.add_argument("name", metavar="NAME")
    add.add_argument("file", type=place, nargs="?", metavar="FILE")
    add.add_argument("--photos", type=place, metavar="DIR", help="folder of the photographs (default: the file's)")
    annotation_m2kr.add_options(add)
    listing = command("list", _list, "show the projects")
    shows = command("progress", _progress, "show how far a project is, and how people agree")
    shows.add_argument("name", metavar="NAME")
    export = command("export", annotation_exports.export, "write a project out, as it is at this moment")
    annotation_exports.add_arguments(export)
    imports = command("import", _import, "make a project from an exported file")
    imports.add_argument("file", type=place, metavar="FILE", help="with its photographs beside it, in FILE.photos")
    imports.add_argument("--name", default="", metavar="NAME", help="another name for it")
    imports.add_argument(
        "--from", dest="program", choices=KINDS, help="a JSON export of this program, of one judged text a record"
    )
    imports.add_argument("--photos", type=place, metavar="DIR", help="with --from: where photographs lie")
    imports.add_argument("--scales", type=place, metavar="FILE", help="with --from: as for create")
    removes = command("remove", _remove, "take an item out of a project; what was judged of it counts no more")
    removes.add_argument("name", metavar="NAME")
    removes.add_argument("id", metavar="ID", help="of the item")
    removes.add_argument("--by", required=True, metavar="PERSON", help="the owner who the log is to say removed it")
    removes.add_argument("--yes", action="store_true", help="also where people have judged it")
    delete = command("delete", _delete, "delete a project with all that was judged in it")
    delete.add_argument("name", metavar="NAME")
    about = "who judges"
    persons = own.add_parser("people", allow_abbrev=False, help=about).add_subparsers(required=True, metavar="COMMAND")
    somebody = command("add", _add_person, "add somebody", persons)
    somebody.add_argument("name", metavar="NAME")
    somebody.add_argument("--role", default=Role.ANNOTATOR, metavar="ROLE", help=f"one of {', '.join(Role)}")
    command("remove", _remove_person, "take somebody off; what they judged stays", persons).add_argument(
        "name", metavar="NAME"
    )
    everybody = command("list", _list_people, "show who judges", persons)
    for each in (listing, shows, everybody):
        each.add_argument("--json", action="store_true", help="as JSON")


def _create(args: argparse.Namespace, catalogue: Catalogue, settings: Settings) -> None:
    guidelines = _read(args.guidelines) if args.guidelines else ""
    scales = _scales(args.scales)
    made = Project(args.name, guidelines, scales["passages"], scales["answers"], args.judges, not args.open)
    create_project(catalogue.database, made)
    print(f"made the project {args.name}")


def _scales(path: Path | None) -> dict[str, Scale]:
    """Of passages and answers: those of a file, else the usual ones."""
    scales = {"passages": PASSAGE_SCALE, "answers": ANSWER_SCALE}
    if path is not None:
        try:
            told = json.loads(_read(path))
        except (ValueError, RecursionError):
            told = None
        if not isinstance(told, dict) or not told or not told.keys() <= scales.keys():
            raise BadRequest(f"{shown(path)} must be a JSON object with passages, answers or both.")
        scales |= {name: scale_of(scale) for name, scale in told.items()}
    return scales


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as problem:
        raise unreadable(path, problem) from None
    except UnicodeDecodeError:
        raise BadRequest(f"{shown(path)} is not text in UTF-8; save it as that and try again.") from None


def _check() -> Callable[[bytes], object]:
    from common.images import load_image  # with what takes a while to import

    return load_image


def _add(args: argparse.Namespace, catalogue: Catalogue, settings: Settings) -> int:
    annotation_m2kr.check_options(args)
    photos = photos_in(settings)
    if args.m2kr is not None:
        report = annotation_m2kr.add(args, catalogue.database, photos, _check())
    else:
        report = add_from_file(catalogue.database, args.name, args.file, args.photos, photos, _check())
    print(f"{args.name}: {report.added:,} new items, {report.unchanged:,} were there")
    told = [(each.where, each.said) for each in report.notes[:_SHOWN]]
    told += [(each.where, each.why) for each in report.skipped[:_SHOWN]]
    for where, said in told:
        print(f"{printable(where)}: {printable(said)}", file=sys.stderr)
    if len(report.notes) > _SHOWN:
        print(f"and {len(report.notes) - _SHOWN:,} more notes on what was taken", file=sys.stderr)
    if len(report.skipped) > _SHOWN:
        print(f"and {len(report.skipped) - _SHOWN:,} more that could not be taken", file=sys.stderr)
    return bool(report.skipped)


def _list(args: argparse.Namespace, catalogue: Catalogue, settings: Settings) -> None:
    found = projects(catalogue.database)
    if args.json:
        print(json.dumps([vars(each) | {"made": each.made.isoformat()} for each in found], indent=2))
        return
    rows = [["project", "items", "finished", "people an item", "blind"]]
    rows += [[p.name, str(p.items), str(p.finished), str(p.judges), "yes" if p.blind else "no"] for p in found]
    table(rows)


def _progress(args: argparse.Namespace, catalogue: Catalogue, settings: Settings) -> None:
    found = progress(catalogue.database, args.name)
    agreed = {what: agreement(catalogue.database, args.name, what) for what in What}
    gold = gold_progress(catalogue.database, args.name)
    if args.json:
        told = vars(found) | {"people": [vars(each) | {"last": _when(each.last)} for each in found.people]}
        told |= {"agreement": {what: asdict(each) for what, each in agreed.items()}, "gold": asdict(gold)}
        print(json.dumps(told, indent=2))
        return
    print(
        f"{args.name}: {found.items:,} items, {found.finished:,} finished, {found.waiting:,} without candidates; "
        f"{found.judgments:,} judgments"
    )
    rows = [["person", "judgments", "items done", "put aside", "an hour", "last"]]
    for each in found.people:
        pace = "" if each.pace is None else f"{each.pace:.0f}"
        rows.append([each.name, str(each.judged), str(each.done), str(each.skipped), pace, _when(each.last) or ""])
    table(rows)
    rows = [["agreement on", "judged by several", "pairs that agree", "alpha, nominal", "alpha, ordinal"]]
    for what, each in agreed.items():
        rows.append(_row(f"{what}s", each.overall))
        rows += [_row(f"  {name}", one) for name, one in each.by_person.items()]
        rows += [_row(f"  {printable(kind) or 'no kind'}", one) for kind, one in each.by_kind.items()]
    table(rows)
    if gold.candidates or gold.waiting:
        print(f"{gold.candidates:,} candidates have a gold grade; {gold.waiting:,} gold grades wait for theirs")
        table([["person", "gold judged", "right", "share"], *(
            [each.name, str(each.judged), str(each.right), _figure(each.share)] for each in gold.people
        )])  # fmt: skip


def _row(name: str, agreed: Agreed) -> list[str]:
    figures = [_figure(each) for each in (agreed.plain, agreed.nominal, agreed.ordinal)]
    return [name, str(agreed.candidates), *figures]


def _figure(measured: Measured) -> str:
    if measured.value is None:
        return "-"
    return f"{measured.value:.3f} ({measured.low:.3f} to {measured.high:.3f})"


def _when(moment: Any) -> str | None:
    return None if moment is None else moment.isoformat(timespec="seconds")


def _import(args: argparse.Namespace, catalogue: Catalogue, settings: Settings) -> None:
    database, photos = catalogue.database, photos_in(settings)
    if args.program is None:
        if args.photos or args.scales:
            raise BadRequest("--photos and --scales go with --from; an export of this program has its own.")
        name = import_project(database, args.file, photos, _check(), args.name, photos_beside(args.file))
        print(f"made the project {name}")
        return
    scales = _scales(args.scales)
    made = Project(args.name or args.file.stem, "", scales["passages"], scales["answers"])
    judged = import_foreign(database, args.file, args.program, photos, _check(), made, args.photos)
    print(f"made the project {made.name} with {judged:,} judgments")


def _remove(args: argparse.Namespace, catalogue: Catalogue, settings: Settings) -> None:
    database = catalogue.database
    number = number_of(database, args.name, args.id)
    lost = going(database, args.name, number)
    judgments = lost.judgments + lost.finals
    if judgments and not args.yes:
        raise BadRequest(
            f"People have judged {shown(args.id, 80)}; judgments that would count no more: {judgments:,}. Say --yes to "
            "remove it all the same."
        )
    remove_item(database, args.name, args.by, number, photos_in(settings))
    print(f"removed {printable(args.id)} from {args.name}; judgments that count no more: {judgments:,}")


def _delete(args: argparse.Namespace, catalogue: Catalogue, settings: Settings) -> None:
    delete_project(catalogue.database, args.name, photos_in(settings))
    print(f"deleted the project {args.name}")


def _add_person(args: argparse.Namespace, catalogue: Catalogue, settings: Settings) -> None:
    add_person(catalogue.database, args.name, args.role)
    print(f"{args.name} judges as {args.role}")


def _remove_person(args: argparse.Namespace, catalogue: Catalogue, settings: Settings) -> None:
    remove_person(catalogue.database, args.name)
    print(f"{args.name} judges no more; what was judged stays")


def _list_people(args: argparse.Namespace, catalogue: Catalogue, settings: Settings) -> None:
    found = people(catalogue.database)
    if args.json:
        print(json.dumps([{"name": each.name, "role": each.role, "added": _when(each.added)} for each in found]))
        return
    table([["person", "role"], *([each.name, str(each.role)] for each in found)])
