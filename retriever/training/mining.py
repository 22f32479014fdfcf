"""Hard negatives: for questions of JSONL, the passages that a model finds first and that are no positives.

A passage that scores nearly what the best positive scores may answer the question as well, and is left out (as in
NV-Retriever, arXiv 2407.15831), as is one that contains an answer of the row. Passages and the search for them are
handed in. Knows nothing of SQL, of indexes or of how models are loaded.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from common.images import load_image
from common.passage import Passage
from common.problems import Problem
from retriever.encoders.base import Encoder, PlainPassage, Query, QueryVectors, passage_text
from retriever.index import Hit
from retriever.json_lines import json_rows
from retriever.training.batches import ATTEMPTS, image_file
from retriever.training.files import whole
from retriever.training.sources import check_question, texts_in

_AT_A_TIME = 32  # questions that are encoded
_LONGEST_WORD = 20  # characters, of a name in a script that may have no spaces
_DEEPER = 16  # times as many passages are looked through where too few score low enough

# The k best passages for each query; with ids, the best among these.
Search = Callable[[Sequence[QueryVectors], int, Collection[str] | None], list[list[Hit]]]


@dataclass(frozen=True)
class Corpus:
    """The passages that are mined.

    passages: those of these ids, without unknown ones. named: of ids of passages and keys of documents, the ids of the
    passages that each means; what means none is left out. key: of a passage's document."""

    title: str
    search: Search
    passages: Callable[[Sequence[str]], list[Passage]]
    named: Callable[[Sequence[str]], Mapping[str, list[str]]]
    key: Callable[[Passage], str]


class Called(StrEnum):
    """How data name passages."""

    TEXT = "by their texts"
    ID = "by their ids"
    KEY = "by the keys of their documents"


@dataclass(frozen=True)
class Wanted:
    """count: negatives for a question, at most. margin: the share of the best positive's score by which a negative's
    must be lower. depth: passages looked through for them, and more where that gives too few. scores: whether the
    model's scores of the positives and then the negatives are written too, for another to learn from."""

    count: int = 10
    margin: float = 0.05
    depth: int = 100
    scores: bool = False


@dataclass
class Mined:
    """questions: all. found: those for which a negative was found. negatives: of all these. no_image: questions whose
    image cannot be used, which stay as they are. kept: of those that stay as they are, without a positive too, how many
    have negatives from before. near, answering: passages left out since they score nearly as the positive, and since
    they contain an answer."""

    questions: int = 0
    found: int = 0
    negatives: int = 0
    no_image: int = 0
    kept: int = 0
    near: int = 0
    answering: int = 0


@dataclass(frozen=True)
class Rows:
    """A file of questions whose rows have been looked at. images: how many of them have one."""

    file: Path
    count: int
    called: Called
    images: int


def check_rows(file: Path, corpus: Corpus) -> Rows:
    """Reads all of them once. Raises Problem, for a positive that the corpus lacks where it has others too, or that is
    a name and no text: taken for a text, it would be scored as one, and every passage be far better."""
    count, with_positives, images, rows = 0, 0, 0, json_rows(file)
    strange, named, called = "", "", Called.TEXT
    while batch := list(islice(rows, 1000)):
        positives = {}
        for where, row in batch:
            check_question(row, where)
            texts_in(row, "answers", where)
            given = [each for each in texts_in(row, "positives", where) if each.strip()]
            with_positives += bool(given)
            images += bool(row.get("image"))
            for each in given:
                positives.setdefault(each, where)
        known = corpus.named(list(filter(_may_be_name, positives)))
        if known and called != Called.ID:
            called = Called.ID if any(ids == [each] for each, ids in known.items()) else Called.KEY
        lacking = {each: f"{each[:80]!r} in {where}" for each, where in positives.items() if each not in known}
        strange = strange or next(iter(lacking.values()), "")
        named = named or next((said for each, said in lacking.items() if _is_name(each)), "")
        count += len(batch)
    if not with_positives:
        raise Problem(f"No question of {file} has a positive passage; say for each which passages answer it.")
    if called != Called.TEXT and strange:
        raise Problem(
            f"The positive {strange} is no passage of the collection {corpus.title}, as others are; ingest it there or "
            "take it out."
        )
    if named:
        raise Problem(
            f"The positive {named} is no text, and neither a passage's id nor a document's key in the collection "
            f"{corpus.title}; name the collection that has it with --corpus, or give the passage's text."
        )
    return Rows(file, count, called, images)


def mine(
    rows: Rows,
    images: Path,
    encoder: Encoder,
    corpus: Corpus,
    wanted: Wanted,
    output: Path,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Mined:
    """Writes the rows to `output`, whole or not at all, with `negatives` in the place of any that they had, named as
    the positives are. images: the folder of their images. progress: questions done, and all. Raises Problem, also where
    images cannot be used 100 times in a row, or so that nothing could be asked."""
    miner = _Miner(images, encoder, corpus, wanted, rows.called)
    with whole(output, "run it again") as place, place.open("w", encoding="utf-8") as file:
        waiting = json_rows(rows.file)
        while batch := [row for _, row in islice(waiting, _AT_A_TIME)]:
            for row in miner.mined(batch):
                file.write(json.dumps(row) + "\n")
            progress(miner.found.questions, rows.count)
        miner.check_asked()
    return miner.found


@dataclass
class _Chosen:
    """negatives: names and scores of them. near, answering: as in Mined."""

    negatives: dict[str, float]
    near: int = 0
    answering: int = 0


class _Miner:
    def __init__(self, images: Path, encoder: Encoder, corpus: Corpus, wanted: Wanted, called: Called) -> None:
        self._images = images
        self._encoder = encoder
        self._corpus = corpus
        self._wanted = wanted
        self._called = called
        self._asked = 0
        self._in_a_row = 0  # images that cannot be used
        self._problem = ""  # of the last of them
        self.found = Mined()

    def mined(self, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """The rows with their negatives; those without a positive, or whose image cannot be used, as they are. Raises
        Problem where images cannot be used so often that their folder is another."""
        self.found.questions += len(rows)
        queries = {}
        for number, row in enumerate(rows):
            if any(each.strip() for each in row.get("positives", ())):
                try:
                    queries[number] = self._query(row)
                    self._in_a_row *= not row.get("image")
                except Problem as problem:
                    self._unusable(str(problem))
        self._asked += len(queries)
        self.found.kept += sum(bool(row.get("negatives")) for number, row in enumerate(rows) if number not in queries)
        if not queries:
            return rows
        vectors = self._encoder.encode_queries(list(queries.values()))
        hits = self._corpus.search(vectors, self._wanted.depth, None)
        result = list(rows)
        for number, query, some in zip(queries, vectors, hits, strict=True):
            result[number] = self._with_negatives(rows[number], query, some)
        return result

    def _unusable(self, problem: str) -> None:
        self.found.no_image += 1
        self._in_a_row += 1
        self._problem = problem.rstrip(".")
        if self._in_a_row == ATTEMPTS:
            self._refuse(f"{ATTEMPTS} questions in a row have")

    def check_asked(self) -> None:
        """Raises Problem where all that might have been asked has an image that cannot be used."""
        if self.found.no_image and not self._asked:
            self._refuse("All questions with a positive have")

    def _refuse(self, which: str) -> None:
        raise Problem(
            f"{which} an image that cannot be used, the last because {self._problem[:1].lower()}{self._problem[1:]}; "
            "check the folder of images."
        )

    def _query(self, row: dict[str, Any]) -> Query:
        """Raises Problem for an image that cannot be used."""
        photo = load_image(image_file(row["image"], (self._images,))) if row.get("image") else None
        return Query(row.get("question", ""), photo, row.get("instruction") or None)

    def _with_negatives(self, row: dict[str, Any], query: QueryVectors, hits: list[Hit]) -> dict[str, Any]:
        given = row["positives"]
        if self._called == Called.TEXT:
            meant, scores = {}, self._scores_of_texts(given, query)
        else:
            meant = self._corpus.named([each for each in given if each.strip()])
            scores = self._scores_by_name(given, meant, query)
        most = max(scores) - self._wanted.margin * abs(max(scores))
        depth, deepest = self._wanted.depth, self._wanted.depth * _DEEPER
        found = self._chosen(row, meant, hits, most)
        while len(found.negatives) < self._wanted.count and len(hits) == depth < deepest:
            depth *= 4
            hits = self._corpus.search([query], depth, None)[0]
            found = self._chosen(row, meant, hits, most)
        negatives = found.negatives
        self.found.near += found.near
        self.found.answering += found.answering
        self.found.found += bool(negatives)
        self.found.negatives += len(negatives)
        result = {key: each for key, each in row.items() if key not in ("scores", "gains")}
        result["negatives"] = list(negatives)
        if self._wanted.scores:
            result["scores"] = [round(float(each), 6) for each in [*scores, *negatives.values()]]
        return result

    def _chosen(self, row: dict[str, Any], meant: Mapping[str, list[str]], hits: list[Hit], most: float) -> _Chosen:
        """Of what was found, best first, what is no positive, has no answer and scores no more than `most`."""
        positives = {each for ids in meant.values() for each in ids}
        said = {_plain(each) for each in row["positives"]}
        answers = [answer.strip().lower() for answer in row.get("answers", ()) if answer.strip()]
        passages = {each.id: each for each in self._corpus.passages([hit.id for hit in hits])}
        chosen = _Chosen({})
        for hit in hits:
            passage = passages.get(hit.id)
            if passage is None or hit.id in positives or {_plain(passage.text), _plain(passage_text(passage))} & said:
                continue
            if any(answer in passage_text(passage).lower() for answer in answers):
                chosen.answering += 1
            elif hit.score > most:
                chosen.near += 1
            else:
                chosen.negatives.setdefault(self._name(passage), hit.score)
            if len(chosen.negatives) == self._wanted.count:
                break
        return chosen

    def _name(self, passage: Passage) -> str:
        if self._called == Called.TEXT:
            return passage_text(passage)
        return passage.id if self._called == Called.ID else self._corpus.key(passage)

    def _scores_by_name(
        self, given: Sequence[str], meant: Mapping[str, list[str]], query: QueryVectors
    ) -> list[float]:
        """Of each positive, its best passage's."""
        ids = {each for some in meant.values() for each in some}
        scores = {hit.id: hit.score for hit in self._corpus.search([query], len(ids), ids)[0]}
        return [max((scores[each] for each in meant.get(name, ()) if each in scores), default=0.0) for name in given]

    def _scores_of_texts(self, given: Sequence[str], query: QueryVectors) -> list[float]:
        made = self._encoder.encode_passages([PlainPassage("", "", text) for text in given])
        best = [(query.vectors @ each.T).max(1) if len(each) else np.zeros(len(query.weights)) for each in made]
        return [float(query.weights @ each) for each in best]


def _is_name(text: str) -> bool:
    """Rather than a text; in scripts without spaces that may be a sentence, and a name is short."""
    return _may_be_name(text) and (text.isascii() or len(text) <= _LONGEST_WORD)


def _may_be_name(text: str) -> bool:
    return len(text) <= 512 and text.isprintable() and not any(c.isspace() for c in text)


def _plain(text: str) -> str:
    return " ".join(text.lower().split())
