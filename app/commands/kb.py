"""The command line of the catalogue: ingest a source, show what is there, search by words.

python -m kb ingest wikipedia-vital --limit 100
python -m kb ingest folder notes --corpus notes
python -m kb check
python -m kb search-text "striped cat" --json
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from app.commands.annotations import add_annotation_commands
from app.commands.arguments import count, place
from app.commands.backing_up import add_backup_commands, restore_backup
from app.commands.deleting import delete
from app.commands.ingesting import add_ingest_options, ingest_source, link
from app.commands.printing import printable, table
from app.service.corpus_names import check_known
from app.settings import Settings, load_settings
from common.problems import Problem
from kb.catalogue import Catalogue
from kb.catalogue.ingestion_runs import some_notes
from kb.pictures import Pictures
from kb.records import TextHit

_SHOWN = 10  # of what a run skipped, and of its notes


def main(argv: Sequence[str] | None = None, settings: Settings | None = None) -> int:
    """Run one command and return its exit code: 0, 1 when `check` finds something, 2 after `error: ...` on stderr, 130
    when interrupted."""
    args = _parser().parse_args(argv)
    code = 0
    try:
        settings = settings or load_settings(data_dir=args.data_dir, database_url=args.database_url)
        if args.run in (_bench, _eval, restore_backup):  # in a database of their own, or in none
            args.run(args, settings)
            return 0
        catalogue = Catalogue(settings.catalogue_place)
        try:
            code = args.run(args, catalogue, settings)
            sys.stdout.flush()
        finally:
            catalogue.close()
    except Problem as problem:
        print(f"error: {problem}", file=sys.stderr)
        return 2
    except BrokenPipeError:
        # The reader, `head` for one, has had enough; Python would complain of it once more at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except KeyboardInterrupt:
        print("stopped; the same command goes on where this one ended", file=sys.stderr)
        return 130
    return code or 0


def _parser() -> argparse.ArgumentParser:
    # Options may stand before and after the command; SUPPRESS keeps the latter from erasing the former.
    before, after = argparse.ArgumentParser(add_help=False), argparse.ArgumentParser(add_help=False)
    for options, default in ((before, None), (after, argparse.SUPPRESS)):
        options.add_argument(
            "--data-dir", metavar="DIR", default=default, help="folder of everything that is kept"
        )
        options.add_argument(
            "--database-url",
            metavar="URL",
            default=default,
            help="SQLAlchemy URL (default: a SQLite file in DIR)",
        )
    parser = argparse.ArgumentParser(
        prog="python -m kb", description="The catalogue of evidence.", parents=[before], allow_abbrev=False
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, run: Callable[..., int | None], about: str, json: bool = True) -> argparse.ArgumentParser:
        made = commands.add_parser(name, parents=[after], allow_abbrev=False, help=about)
        made.set_defaults(run=run)
        if json:
            made.add_argument("--json", action="store_true", help="as JSON")
        return made

    add_ingest_options(command("ingest", ingest_source, "bring a source into the catalogue", json=False))
    command("stats", _stats, "show what is in the catalogue")
    runs = command("runs", _runs, "show what ingestions did and what they skipped")
    runs.add_argument("--corpus", metavar="NAME", help="of this corpus only")
    runs.add_argument("--limit", type=count(), default=20, metavar="N", help="at most N runs (default: 20)")
    command("check", _check, "look whether catalogue and indexes are whole and agree")
    command("repair", _repair, "mend what check finds")
    command("delete", delete, "delete a corpus with its indexes", json=False).add_argument("name", metavar="NAME")
    add_backup_commands(command)
    twins = command("twins", link, "link the passages of a corpus that say the same", json=False)
    twins.add_argument("corpus", metavar="NAME", help="of the corpus")
    bench = command("bench", _bench, "measure the catalogue, or annotation, on what is made up")
    bench.add_argument("--passages", type=count(), default=1_000_000, metavar="N", help="default: 1,000,000")
    bench.add_argument("--annotations", action="store_true", help="annotation: people who judge at once, an export")
    bench.add_argument("--items", type=count(), default=100_000, metavar="N", help="of annotation (default: 100,000)")
    bench.add_argument(
        "--judgments", type=count(), default=2_000_000, metavar="N", help="of annotation (default: 2,000,000)"
    )
    bench.add_argument(
        "--pause", type=_seconds, default=0.5, metavar="SECONDS", help="between two keys of a person (default: 0.5)"
    )
    read = command("eval", _eval, "measure how much of texts is read, on texts of which that is known")
    read.add_argument("kind", choices=["html", "pdf", "wikipedia"], help="of text")
    read.add_argument("folder", type=place, metavar="DIR", help="with the texts, and with what they say")
    add_annotation_commands(commands, after)
    search = command("search-text", _search, "find passages by their words")
    search.add_argument("words", metavar="WORDS", help="words, best matches first; any of them may match")
    search.add_argument("--limit", type=count(), default=10, metavar="N", help="at most N passages (default: 10)")
    return parser


def _seconds(value: str) -> float:
    try:
        seconds = float(value)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= 3600:
        raise argparse.ArgumentTypeError(f"{value!r} is not a number of seconds from 0 to 3,600")
    return seconds


def _check(args: argparse.Namespace, catalogue: Catalogue, settings: Settings) -> int:
    from app.service.index_check import check_indexes, waiting  # with the index, which takes seconds to import
    from kb.catalogue.checking import check
    from kb.catalogue.kept_pictures import check_pictures

    pictures = check_pictures(catalogue, Pictures(settings.pictures_dir))
    faults = [*check(catalogue), *pictures, *check_indexes(catalogue, settings.data_dir)]
    behind = waiting(catalogue)
    if args.json:
        found = [{"what": fault.what, "mend": fault.mend} for fault in faults]
        print(json.dumps({"sound": not faults, "faults": found, "waiting": behind}, ensure_ascii=False, indent=2))
        return bool(faults)
    for fault in faults:
        print(f"{fault.what}\n  repair: {fault.mend}")
    for index, passages in behind.items():
        print(f"The index {index} has {passages:,} passages to learn, which it does when the program next starts.")
    print(f"{len(faults)} faults; python -m kb repair mends them" if faults else "All is whole and agrees.")
    return bool(faults)


def _repair(args: argparse.Namespace, catalogue: Catalogue, settings: Settings) -> None:
    from app.service.index_check import repair_indexes
    from kb.catalogue.checking import repair
    from kb.catalogue.kept_pictures import repair_pictures

    mended = repair(catalogue)
    mended += repair_pictures(catalogue, Pictures(settings.pictures_dir))
    mended += repair_indexes(catalogue, settings.data_dir)
    if args.json:
        found = [{"what": fault.what, "mend": fault.mend} for fault in mended]
        print(json.dumps({"mended": found}, ensure_ascii=False, indent=2))
        return
    for fault in mended:
        print(f"{fault.what}\n  {fault.mend}")
    print(f"{len(mended)} faults mended." if mended else "There was nothing to mend.")


def _eval(args: argparse.Namespace, settings: Settings) -> None:
    from benchmarks.dumps import measure_dumps
    from benchmarks.texts import measure_html, measure_pdf

    measure = {"html": measure_html, "pdf": measure_pdf, "wikipedia": measure_dumps}[args.kind]
    found = [asdict(reading) for reading in measure(args.folder)]
    if args.json:
        print(json.dumps(found))
    else:
        table([list(found[0]), *([str(value) for value in each.values()] for each in found)])


def _bench(args: argparse.Namespace, settings: Settings) -> None:
    if args.annotations:
        return _bench_annotations(args)
    from app.service.cutting import cutting_for
    from benchmarks import wikipedia_dump
    from benchmarks.catalogue import measure
    from retriever.encoders.registry import load_word_pieces

    cutting = cutting_for(load_word_pieces(settings.profile, settings.cache_dir))
    with TemporaryDirectory(prefix="kb-bench-") as folder:
        url = args.database_url or f"sqlite:///{Path(folder) / 'catalogue.sqlite'}"
        measured = measure(url, args.passages, cutting, lambda doing: print(doing, file=sys.stderr))
    dump = wikipedia_dump.measure()
    if args.json:
        print(json.dumps({**measured.as_dict(), "wikitext_megabytes_per_second": dump.megabytes_per_second}, indent=2))
        return
    print(measured)
    print(dump)


def _bench_annotations(args: argparse.Namespace) -> None:
    from benchmarks import annotation

    with TemporaryDirectory(prefix="kb-bench-") as folder:
        url = args.database_url or f"sqlite:///{Path(folder) / 'annotation.sqlite'}"
        measured = annotation.measure(
            url, args.items, args.judgments, lambda doing: print(doing, file=sys.stderr), args.pause
        )
    print(json.dumps(measured.as_dict(), indent=2) if args.json else measured)


def _stats(args: argparse.Namespace, catalogue: Catalogue, settings: Settings) -> None:
    stats = catalogue.stats()
    if args.json:
        print(json.dumps(stats, ensure_ascii=False, indent=2))
        return
    print(f"database: {stats['dialect']}")
    rows = [["corpus", "documents", "passages", "text", "licence", "last run"]]
    for corpus in stats["corpora"]:
        run = corpus["last_run"]
        last = f"{_state(run)} {run['finished'] or run['started']}" if run else "none"
        size = f"{corpus['text_bytes'] / 1e6:.1f} MB"
        rows.append(
            [corpus["name"], str(corpus["documents"]), str(corpus["passages"]), size, corpus["licence"], last]
        )
    table(rows)


def _runs(args: argparse.Namespace, catalogue: Catalogue, settings: Settings) -> None:
    if args.corpus is not None:
        check_known(catalogue, args.corpus)
    runs = catalogue.runs(args.corpus, args.limit)
    if args.json:
        print(json.dumps(runs, ensure_ascii=False, indent=2))
        return
    rows = [["corpus", "state", "started", "seen", "new", "updated", "unchanged", "skipped", "noted"]]
    rows += [[str(run[name]) for name in rows[0]] for run in [run | {"state": _state(run)} for run in runs]]
    table(rows)
    for run in runs:
        if run["error"]:
            print(f"\n{run['corpus']}, {run['started']}: {run['error']}")
        _list("could not be taken", run["skipped"], [(e["where"], e["why"]) for e in run["skips"][:_SHOWN]])
        _list("notes", run["noted"], [(e["where"], e["said"]) for e in some_notes(run["notes"], _SHOWN)])


def _list(what: str, number: int, shown: Sequence[tuple[str, str]]) -> None:
    if shown:
        print(f"  {what}:")
    for where, said in shown:
        print(printable(f"    {where}: {said}"))
    if number > len(shown):
        print(f"    and {number - len(shown):,} more; --json lists the first thousand")


def _state(run: dict[str, Any]) -> str:
    return "interrupted" if run["lost"] else run["state"]


def _search(args: argparse.Namespace, catalogue: Catalogue, settings: Settings) -> None:
    hits = catalogue.search_text(args.words, args.limit)
    if args.json:
        print(json.dumps([_shown(hit) for hit in hits], ensure_ascii=False, indent=2))
        return
    if not hits:
        print("No passage has any of these words.")
        return
    rows = [["score", "title", "text"]]
    for hit in hits:
        text = hit.passage.text
        rows.append([f"{hit.score:.3f}", hit.passage.title, text if len(text) <= 70 else text[:67] + "..."])
    table(rows)


def _shown(hit: TextHit) -> dict[str, Any]:
    passage = asdict(hit.passage)
    return {name: passage[name] for name in ("id", "title")} | {
        "score": hit.score,
        "text": hit.passage.text,
        "url": hit.passage.url,
    }
