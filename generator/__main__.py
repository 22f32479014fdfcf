"""Command line: `python -m generator answer` and `python -m generator eval`.

The only module here that may use the settings, the catalogue and the encoder.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from generator.answers import Answer, Answerer, Evidence
from generator.extractive import ExtractiveAnswerer
from generator.measure import Distractors, Report, evidence_for, final, read_questions, report
from generator.served import ServedAnswerer

if TYPE_CHECKING:
    from PIL.Image import Image

SERVED_KEY = "CITESIGHT_SERVED_KEY"  # never an argument: others on the machine can read those

def _embedder():
    from app.settings import load_settings
    from retriever.sentences import load_sentence_encoder

    return load_sentence_encoder(load_settings().cache_dir).embed_sentences


def _read_passages(path: Path) -> list[Evidence]:
    """A JSON list of objects with title and text, and optionally id, url and score (best first)."""
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
        return [
            Evidence(
                str(e.get("id", n)),
                str(e["title"]),
                str(e["text"]),
                str(e.get("url", "")),
                float(e.get("score", 1.0)),
            )
            for n, e in enumerate(entries, start=1)
        ]
    except OSError as problem:
        raise ValueError(f"{path} cannot be read: {problem.strerror}.") from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise ValueError(f"{path} must be a JSON list of objects with title and text.") from None


def _blank_photo():
    """Stands for a photo: the extractive answerer only asks whether there is one."""
    from PIL import Image

    return Image.new("RGB", (1, 1))


def _answerer(args: argparse.Namespace) -> Answerer:
    """The served model when its address is given, else the extractive answerer."""
    if (args.url is None) != (args.model is None):
        raise ValueError("A served model needs both --url and --model.")
    if args.url is None:
        return ExtractiveAnswerer(_embedder())
    if args.shown:
        raise ValueError("A served model looks at the photo itself: give --photo instead of --shown.")
    return ServedAnswerer(args.url, args.model, os.environ.get(SERVED_KEY))


def _photo(args: argparse.Namespace) -> Image | None:
    if args.photo is not None:
        from retriever.images import load_image

        return load_image(args.photo)
    return _blank_photo() if args.shown else None


def _answer(args: argparse.Namespace) -> None:
    passages = _read_passages(args.passages)
    for piece in _answerer(args).answer(args.question, _photo(args), passages):
        if isinstance(piece, Answer):
            answer = piece
        elif not args.json:
            print(piece, end="", flush=True)
    if args.json:
        print(json.dumps(asdict(answer), ensure_ascii=False, indent=2))
        return
    print()
    for sentence in answer.unsupported:
        print(f"Not found in the passages it cites: {sentence}", file=sys.stderr)


def _articles() -> list[Evidence]:
    from app.settings import load_settings
    from kb.catalogue import Catalogue

    settings = load_settings()
    catalogue = Catalogue(settings.catalogue_url)
    try:
        articles = {}
        for batch in catalogue.stream(settings.corpus):
            for p in batch:
                if p.position == 0:
                    articles[p.title] = Evidence(p.id, p.title, p.text, p.url, 0.0)
    finally:
        catalogue.close()
    if not articles:
        raise ValueError(
            f"The catalogue holds no passages of {settings.corpus}; ingest it with python -m kb first."
        )
    return list(articles.values())


def measure(data: Path, photo: bool) -> tuple[Report, float]:
    """The report over the questions of `data`, and milliseconds per question with the embedding."""
    questions = read_questions(data)
    articles = _articles()
    titled = {a.title: a for a in articles}
    missing = [q.title for q in questions if q.title is not None and q.title not in titled]
    if missing:
        raise ValueError(
            f"The catalogue does not hold the article {missing[0]} and {len(missing) - 1} others."
        )
    near = Distractors(articles)
    evidence = [evidence_for(q, photo, n % 3, titled, near) for n, q in enumerate(questions)]
    answerer = ExtractiveAnswerer(_embedder())
    image = _blank_photo() if photo else None
    started = time.perf_counter()
    results = [(q, final(answerer, q.question, image, e)) for q, e in zip(questions, evidence, strict=True)]
    spent = (time.perf_counter() - started) * 1000 / max(1, len(questions))
    return report(results), round(spent, 1)


def _eval(args: argparse.Namespace) -> None:
    result, milliseconds = measure(args.data, args.photo)
    numbers = {**asdict(result), "milliseconds": milliseconds}
    if args.json:
        # NaN is not JSON: a rate of nothing is null.
        print(json.dumps({k: None if v != v else v for k, v in numbers.items()}, indent=2))
    else:
        for name, value in numbers.items():
            print(f"{name:18} {value}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit code: 0, or 2 after one line `error: ...` on stderr."""
    parser = argparse.ArgumentParser(
        prog="python -m generator", description="Answer questions from passages."
    )
    commands = parser.add_subparsers(required=True)
    answer = commands.add_parser("answer", help="answer a question from passages in a file")
    answer.add_argument("question")
    answer.add_argument("--passages", type=Path, required=True, help="JSON list of {title, text}, best first")
    answer.add_argument(
        "--shown", action="store_true", help='"this" and "it" mean the subject of the first passage'
    )
    answer.add_argument("--photo", type=Path, metavar="FILE", help="what the question is about")
    answer.add_argument(
        "--url", help=f"a served model's address, like http://localhost:8000/v1; its key, if any, is in {SERVED_KEY}"
    )
    answer.add_argument("--model", metavar="NAME", help="the served model's name")
    answer.add_argument("--json", action="store_true")
    answer.set_defaults(run=_answer)
    evaluate = commands.add_parser("eval", help="measure the answerer on hand-written questions")
    evaluate.add_argument("--data", type=Path, required=True, help="JSON list of {question, title, answers}")
    evaluate.add_argument(
        "--photo", action="store_true", help="ask as about a photo of the article's subject"
    )
    evaluate.add_argument("--json", action="store_true")
    evaluate.set_defaults(run=_eval)
    args = parser.parse_args(arguments)
    try:
        args.run(args)
    except (ValueError, RuntimeError, OSError) as problem:
        print(f"error: {problem}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
