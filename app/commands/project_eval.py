"""`python -m retriever eval-project`: rankings measured by what people judged in an annotation project.

Knows the command line, joins what kb/annotations/ keeps to retriever/evaluation/judged.py, and computes nothing.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from tqdm import tqdm

from app.commands.annotation_exports import photos_in
from app.commands.arguments import count
from app.commands.pooling import MOST
from app.commands.printing import printable, table
from app.commands.terminal import prepare
from app.options import add_common_options
from app.service.assembly import build_service
from app.service.judged_rankings import Gathered, gathered
from app.service.pooling import rankings, retriever_of
from app.settings import Settings
from common.problems import BadRequest
from common.text import shown
from kb.catalogue import Catalogue
from retriever.evaluation.judged import COMPARED, MEASURES, Difference, Figure, Report, summed_up

_AT_ONCE = 500  # items
_SHOWN = 10  # items whose photo is gone


def add_command(commands: Any) -> None:
    """Adds it to the retriever's parser."""
    about = "measure rankings by what people judged in an annotation project"
    command = commands.add_parser(
        "eval-project", help=about, conflict_handler="resolve",
        description=f"{about[0].upper()}{about[1:]}: those that were pooled, and those that are asked for anew.",
    )  # fmt: skip
    command.add_argument("project", metavar="NAME", help="of the project")
    command.add_argument(
        "--run", dest="runs", action="append", metavar="NAME", help="of those pooled only this retriever's; repeatable"
    )
    add_common_options(command)
    command.add_argument(
        "--profile", dest="profiles", action="append", metavar="PROFILE",
        help="ask the questions anew with this encoder, and pool nothing; repeatable",
    )  # fmt: skip
    command.add_argument("--corpus", metavar="NAME", help="ask them anew of this collection")
    command.add_argument("--k", type=count(most=MOST), default=20, metavar="N", help="passages of each (default: 20)")
    command.add_argument("--json", action="store_true", help="print JSON")
    command.set_defaults(run=_eval)


def _eval(args: argparse.Namespace, settings: Settings) -> None:
    catalogue = Catalogue(settings.catalogue_place)
    try:
        found = gathered(catalogue.database, args.project)  # before anything is asked
        _check(args, found)
        if anew := _asked_anew(args, settings):
            found = gathered(catalogue.database, args.project, anew)
    finally:
        catalogue.close()
    named = [name for name in found.retrievers if name not in anew]
    chosen = [name for name in named if not args.runs or name in args.runs] + list(anew)
    if not chosen:
        raise BadRequest(f"No retriever's ranking is kept in {args.project}; ask anew with --profile.")
    report = summed_up({name: found.values[name] for name in chosen}, found.kinds)
    about = {"project": args.project, "judged": len(found.kinds), "unjudged": found.unjudged}
    about |= {"relevant": found.relevant}
    if args.json:
        print(json.dumps(about | asdict(report), ensure_ascii=False, indent=2))
        return
    _print(about, report)


def _check(args: argparse.Namespace, found: Gathered) -> None:
    there = found.retrievers
    for name in args.runs or ():
        if name not in there:
            listed = shown(", ".join(there) or "none", 1_000)
            raise BadRequest(f"The project {args.project} has no run {shown(name, 80)}; the runs are: {listed}.")


def _asked_anew(args: argparse.Namespace, settings: Settings) -> dict[str, dict[str, list[str]]]:
    """The rankings of each profile that is asked for, by a name for each."""
    found: dict[str, dict[str, list[str]]] = {}
    for profile in args.profiles or ([settings.profile] if args.corpus else []):
        service = build_service(settings.model_copy(update={"profile": profile}))
        try:
            prepare(service)
            name = f"{retriever_of(service)}, asked anew"
            with tqdm(desc=profile, unit="item") as bar:

                def progress(done: int, total: int, bar: tqdm = bar) -> None:
                    bar.total = total
                    bar.update(done - bar.n)

                found[name], lost = rankings(service, photos_in(settings), args.project, args.k, progress)
        finally:
            service.close()
        if lost:
            some = printable(", ".join(lost[:_SHOWN]))
            print(f"{len(lost):,} items have lost their photo, such as {some}, and are not asked.", file=sys.stderr)
    return found


def _print(about: Mapping[str, Any], report: Report) -> None:
    names = list(report.rankings)
    print(
        f"{about['project']}: {about['judged']:,} items with judgments, {about['unjudged']:,} without, which are in no "
        f"figure; a passage of gain {about['relevant']} is relevant"
    )
    for number, (name, each) in enumerate(report.rankings.items(), 1):
        lacking = f", has nothing for {each.lacking:,} judged ones" if each.lacking else ""
        print(f"[{number}] {printable(name)}: {each.items:,} items{lacking}")
    print("What nobody judged counts as not relevant, but for bpref; judged@10 is how much of the first ten is judged.")
    print()
    figures = [each.figures for each in report.rankings.values()]
    rows = [["", *(f"[{number}]" for number in range(1, len(names) + 1))]]
    rows += [[name, *(_cell(each[name]) for each in figures)] for name in MEASURES]
    for kind in dict.fromkeys(kind for each in report.rankings.values() for kind in each.kinds):
        rows.append([printable(kind) or "no kind", *("" for _ in names)])
        of_kind = [each.kinds[kind] for each in report.rankings.values()]
        rows += [[f"  {name}", *(_cell(each[name]) for each in of_kind)] for name in MEASURES]
    table(rows)
    if report.differences:
        print()
        _print_differences(names, report.differences)


def _print_differences(names: list[str], differences: Sequence[Difference]) -> None:
    pairs = list(dict.fromkeys((each.first, each.second) for each in differences))
    by_place = {(each.first, each.second, each.measure): each for each in differences}
    rows = [["difference", *(f"[{names.index(one) + 1}] - [{names.index(other) + 1}]" for one, other in pairs)]]
    rows += [[measure, *(_difference(by_place[*pair, measure]) for pair in pairs)] for measure in COMPARED]
    table(rows)
    many = f"; none is corrected for there being {len(pairs)} pairs" if len(pairs) > 1 else ""
    print(f"p: of a paired randomisation test, by item{many}.")


def _cell(figure: Figure) -> str:
    if figure.value is None:
        return "-"
    return f"{figure.value:.3f} ({figure.low:.3f} to {figure.high:.3f}) of {figure.items}"


def _difference(each: Difference) -> str:
    if each.value is None:
        return "-"
    return f"{each.value:+.3f} ({each.low:+.3f} to {each.high:+.3f}) p {each.p:.4f} of {each.items}"
