"""`python -m kb ingest SOURCE`: a source is brought into the catalogue, once or whenever its folder changes.

`python -m kb twins NAME` links what a corpus says twice.

It knows the kinds of source and the catalogue, and how to print; nothing of what a source reads.
"""

from __future__ import annotations

import argparse
import sys
from contextlib import ExitStack
from pathlib import Path

from tqdm import tqdm

from app.commands.arguments import count
from app.service.corpus_names import check_known
from app.settings import Settings
from common.problems import Problem
from kb.catalogue import Catalogue
from kb.catalogue.twins import link_twins
from kb.chunking import CHUNK_OVERLAP, CHUNK_TOKENS, Cutting
from kb.folder_watching import watch_folder
from kb.ingest import ingest
from kb.pictures import Pictures
from kb.records import Source
from kb.sources.kinds import COMMON, FLAG, TICKED
from kb.sources.registry import KINDS, Asked, as_request, kind_called, missing_path, same_place, settled, source_for

_LINKED = "{}: {:,} passages say what an earlier one says"


def add_ingest_options(command: argparse.ArgumentParser) -> None:
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
        how = {"action": "store_const", "const": TICKED} if first.value == FLAG else {"metavar": first.form}
        command.add_argument(first.option, help=about.replace("%", "%%"), **how)
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


def _field_names() -> dict[str, None]:
    """The names of what kinds of source ask for, those that many ask for first."""
    own = [field.name for kind in KINDS.values() for field in kind.fields]
    return dict.fromkeys([*(field.name for field in COMMON), *own])


def ingest_source(args: argparse.Namespace, catalogue: Catalogue, settings: Settings) -> None:
    """Raises Problem; the same command goes on then."""
    if args.watch and args.source != "folder":
        raise Problem("Only a folder can be watched: python -m kb ingest folder DIR --corpus NAME --watch.")
    given = {name: getattr(args, name) for name in _field_names() if getattr(args, name) is not None}
    asked = settled(Asked(args.source, given))
    kind = kind_called(args.source)
    source = source_for(asked, settings.plain(kind.settings))
    if path := missing_path(asked):
        raise Problem(f"{path} does not exist; give the path of what is to be read.")
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
    if catalogue.holds(corpus) and not same_place(asked, corpus, last[0]["request"] if last else ""):
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

        pictures = Pictures(settings.pictures_dir)
        report = ingest(catalogue, source, settings.cache_dir, limit, progress, cutting, request, emptied, pictures)
    removed = f", {report.removed} removed" if report.removed else ""
    print(
        f"{report.source}: {report.added} new, {report.updated} updated, {report.unchanged} unchanged{removed} "
        f"in {report.seconds:.1f} s",
        flush=True,
    )
    if report.skipped:
        print(f"{report.skipped} could not be taken; python -m kb runs says which and why", file=sys.stderr)
    if report.noted:
        said = "1 note" if report.noted == 1 else f"{report.noted} notes"
        print(f"{said} on what was taken; python -m kb runs tells more", file=sys.stderr)
    if report.paused:
        print(report.why or "paused; the same command goes on where this one ended", file=sys.stderr)
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


def link(args: argparse.Namespace, catalogue: Catalogue, settings: Settings) -> None:
    """Link the passages of a corpus that say the same, and tell how many there are. Raises Problem."""
    check_known(catalogue, args.corpus)
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
