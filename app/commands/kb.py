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
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tqdm import tqdm

from app.commands.annotations import add_annotation_commands
from app.commands.arguments import count, place
from app.commands.deleting import delete
from app.commands.printing import table
from app.settings import Settings, load_settings
from common.problems import Problem
from kb.catalogue import Catalogue
from kb.catalogue.ingestion_runs import some_skips
from kb.catalogue.twins import link_twins
from kb.chunking import CHUNK_OVERLAP, CHUNK_TOKENS, Cutting
from kb.folder_watching import watch_folder
from kb.ingest import ingest
from kb.records import Source, TextHit
from kb.sources.kinds import COMMON
from kb.sources.registry import KINDS, Asked, as_request, kind_called, same_place, settled, source_for

_SHOWN_SKIPS = 10  # of a run
_LINKED = "{}: {:,} passages say what an earlier one says"


def main(argv: Sequence[str] | None = None, settings: Settings | None = None) -> int:
    """Run one command and return its exit code: 0, 1 when `check` finds something, 2 after `error: ...` on stderr, 130
    when interrupted."""
    args = _parser().parse_args(argv)
    code = 0
    try:
        settings = settings or load_settings(data_dir=args.data_dir, database_url=args.database_url)
        if args.run in (_bench, _eval):  # in a database of their own, or in none
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

    _add_ingest_options(command("ingest", _ingest, "bring a source into the catalogue", json=False))
    command("stats", _stats, "show what is in the catalogue")
    runs = command("runs", _runs, "show what ingestions did and what they skipped")
    runs.add_argument("--corpus", metavar="NAME", help="of this corpus only")
    runs.add_argument("--limit", type=count(), default=20, metavar="N", help="at most N runs (default: 20)")
    command("check", _check, "look whether catalogue and indexes are whole and agree")
    command("repair", _repair, "mend what check finds")
    command("delete", delete, "delete a corpus with its indexes", json=False).add_argument("name", metavar="NAME")
    twins = command("twins", _twins, "link the passages of a corpus that say the same", json=False)
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


def _add_ingest_options(command: argparse.ArgumentParser) -> None:
    """What the kinds of source ask for, and how they are ingested."""
    forms = "; ".join(f"{kind.name} {kind.usage}".strip() for kind in KINDS.values())
    command.add_argument("source", metavar="SOURCE", help=f"one of: {forms}")
    command.add_argument("what", metavar="WHAT", nargs="?", help="the file, folder or name that the source reads")
    for name in _field_names():
        if name == "what":
            continue
        asking = {kind.name: field for kind in KINDS.values() for field in kind.fields if field.name == name}
        first = next(iter(asking.values()))
        about = first.help.partition(". ")[0].rstrip(".")
        if name not in {field.name for field in COMMON}:
            about = f"of {', '.join(asking)}: {about[:1].lower()}{about[1:]}"
        command.add_argument(f"--{name}", metavar=first.form, help=about.replace("%", "%%"))
    command.add_argument("--limit", type=count(), metavar="N", help="only the first N documents")
    command.add_argument(
        "--tokens",
        type=count(),
        metavar="N",
        help=f"of a passage at most (first {CHUNK_TOKENS}); another number cuts anew",
    )
    command.add_argument(
        "--overlap", type=count(0), metavar="N", help=f"tokens that two passages share at most (first {CHUNK_OVERLAP})"
    )
    command.add_argument("--watch", action="store_true", help="of folder: go on, and ingest what changes, until Ctrl-C")


def _seconds(value: str) -> float:
    try:
        seconds = float(value)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= 3600:
        raise argparse.ArgumentTypeError(f"{value!r} is not a number of seconds from 0 to 3,600")
    return seconds


def _field_names() -> dict[str, None]:
    """The names of what kinds of source ask for, those that many ask for first."""
    own = [field.name for kind in KINDS.values() for field in kind.fields]
    return dict.fromkeys([*(field.name for field in COMMON), *own])


def _ingest(args: argparse.Namespace, catalogue: Catalogue, settings: Settings) -> None:
    if args.watch and args.source != "folder":
        raise Problem("Only a folder can be watched: python -m kb ingest folder DIR --corpus NAME --watch.")
    given = {name: getattr(args, name) for name in _field_names() if getattr(args, name) is not None}
    asked = settled(Asked(args.source, given))
    kind = kind_called(args.source)
    source = source_for(asked, settings.plain(kind.settings))
    if source.whole:
        _check_whole(catalogue, source.name, asked)
    cutting = _cutting(settings, catalogue, source.name, args) if kind.cut else None

    def once(emptied: bool = False) -> None:
        _ingest_once(catalogue, source, settings, args.limit, cutting, as_request(asked), emptied)

    if not args.watch:
        return once()
    folder = asked.values["what"]
    print(f"watching {folder}; Ctrl-C ends it", file=sys.stderr)
    watch_folder(Path(folder), once, lambda problem: print(f"error: {problem}", file=sys.stderr))


def _check_whole(catalogue: Catalogue, corpus: str, asked: Asked) -> None:
    """A source that gives all there is removes what else its corpus holds. Raises Problem if it may do so."""
    last = catalogue.runs(corpus, 1)
    there = bool(last) or bool(catalogue.versions(corpus))
    if there and not same_place(asked, corpus, last[0]["request"] if last else ""):
        raise Problem(
            f"The corpus {corpus} comes from elsewhere, and what is in it would be removed; choose another name, or "
            f"delete it first: python -m kb delete {corpus}."
        )


def _ingest_once(
    catalogue: Catalogue,
    source: Source,
    settings: Settings,
    limit: int | None,
    cutting: Cutting | None,
    request: str,
    emptied: bool,
) -> None:
    with ExitStack() as stack:
        bars: list[tqdm] = []

        def progress(done: int, total: int | None) -> None:
            if not bars:  # by now a fetch is over and an unknown source has been refused
                bar = tqdm(total=total, unit=" documents", desc=source.name, file=sys.stderr)
                bars.append(stack.enter_context(bar))
            bars[0].update(done - bars[0].n)

        report = ingest(catalogue, source, settings.cache_dir, limit, progress, cutting, request, emptied)
    removed = f", {report.removed} removed" if report.removed else ""
    print(
        f"{report.source}: {report.added} new, {report.updated} updated, {report.unchanged} unchanged{removed} "
        f"in {report.seconds:.1f} s",
        flush=True,
    )
    if report.skipped:
        print(f"{report.skipped} could not be taken; python -m kb runs says which and why", file=sys.stderr)
    if report.paused:
        print("paused; the same command goes on where this one ended", file=sys.stderr)
    elif (report.added or report.updated) and (linked := _linked(catalogue, report.source)):
        print(_LINKED.format(report.source, linked))


def _cutting(settings: Settings, catalogue: Catalogue, corpus: str, args: argparse.Namespace) -> Cutting:
    """How documents are cut: as is asked, else as the corpus is cut already, else as usual. Raises Problem."""
    from app.service.cutting import cutting_for  # with what takes seconds to import
    from retriever.encoders.registry import load_word_pieces

    most, overlap = catalogue.cutting(corpus) or (CHUNK_TOKENS, CHUNK_OVERLAP)
    most, overlap = args.tokens or most, overlap if args.overlap is None else args.overlap
    if overlap >= most:
        raise Problem(f"Passages of {most} tokens cannot share {overlap}; choose a smaller --overlap.")
    return cutting_for(load_word_pieces(settings.profile, settings.cache_dir), most, overlap)


def _check(args: argparse.Namespace, catalogue: Catalogue, settings: Settings) -> int:
    from app.service.index_check import check_indexes, waiting  # with the index, which takes seconds to import
    from kb.catalogue.checking import check

    faults = [*check(catalogue), *check_indexes(catalogue, settings.data_dir)]
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

    mended = [*repair(catalogue), *repair_indexes(catalogue, settings.data_dir)]
    if args.json:
        found = [{"what": fault.what, "mend": fault.mend} for fault in mended]
        print(json.dumps({"mended": found}, ensure_ascii=False, indent=2))
        return
    for fault in mended:
        print(f"{fault.what}\n  {fault.mend}")
    print(f"{len(mended)} faults mended." if mended else "There was nothing to mend.")


def _twins(args: argparse.Namespace, catalogue: Catalogue, settings: Settings) -> None:
    print(_LINKED.format(args.corpus, _linked(catalogue, args.corpus)))


def _linked(catalogue: Catalogue, corpus: str) -> int:
    """link_twins() with a bar for each of its stages."""
    with ExitStack() as stack:
        bars: dict[str, tqdm] = {}

        def progress(stage: str, done: int, total: int | None) -> None:
            if stage not in bars:
                stack.close()  # the bar of the stage before
                bar = tqdm(total=total, unit=" passages", desc=f"{corpus}, {stage}", file=sys.stderr)
                bars[stage] = stack.enter_context(bar)
            bars[stage].update(done - bars[stage].n)

        return link_twins(catalogue, corpus, progress)


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
    runs = catalogue.runs(args.corpus, args.limit)
    if args.json:
        print(json.dumps(runs, ensure_ascii=False, indent=2))
        return
    rows = [["corpus", "state", "started", "seen", "new", "updated", "unchanged", "skipped"]]
    rows += [[str(run[name]) for name in rows[0]] for run in [run | {"state": _state(run)} for run in runs]]
    table(rows)
    for run in runs:
        if run["error"]:
            print(f"\n{run['corpus']}, {run['started']}: {run['error']}")
        for skip in some_skips(run["skips"], _SHOWN_SKIPS):
            print(f"  {skip['where']}: {skip['why']}")
        if run["skipped"] > _SHOWN_SKIPS:
            print(f"  and {run['skipped'] - _SHOWN_SKIPS:,} more; --json lists the first thousand")


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
