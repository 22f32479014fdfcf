"""What goes between an encoder's service and who asks it: questions, passages and photos there, vectors back.

A message is one file in the format of safetensors: arrays of numbers, and beside them what is said in JSON. Reading one
runs nothing that it holds, and what does not fit is refused. Knows nothing of HTTP, of models, or of who sends it.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, fields, replace
from typing import Any

import numpy as np
from PIL import Image
from safetensors import SafetensorError
from safetensors.numpy import load, save

from common.images import load_image
from common.passage import Passage, Picture
from common.problems import Problem
from retriever.encoders.base import PassageToken, PlainPassage, Query, QueryVectors, Recognition, Takes

QUERIES, PASSAGES = 64, 64  # in a message, at most
MOST_ASKED, MOST_TOLD = 256 << 20, 512 << 20  # bytes of a message there, and back
_MOST_SAID = 64 << 20  # of them of what is said in JSON
_ROWS = ("text_rows", "prefix_rows", "patch_rows", "picture_rows", "latent_rows")
_ARRAYS = {"vectors": 2, "weights": 1, "picture_places": 3}  # with how many dimensions each has


class Unreadable(ValueError):
    """A message that is cut short or is none; str() is what does not fit."""


def packed(said: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> bytes:
    """A message. said: what JSON can hold."""
    return save({name: np.ascontiguousarray(each) for name, each in arrays.items()}, {"said": json.dumps(said)})


def unpacked(message: bytes) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """What `packed` was given. Raises Unreadable."""
    try:
        length = int.from_bytes(message[:8], "little")
        if not 0 < length <= min(_MOST_SAID, len(message) - 8):
            raise Unreadable("it has no header")
        said = json.loads(json.loads(message[8 : 8 + length])["__metadata__"]["said"])
        if not isinstance(said, dict):
            raise Unreadable("it says nothing")
        return said, load(message)
    except (SafetensorError, ValueError, KeyError, TypeError, RecursionError) as problem:
        raise Unreadable(str(problem)) from None


# Photos and pictures


def _as_png(image: Image.Image) -> np.ndarray:
    file = io.BytesIO()
    image.convert("RGB").save(file, "PNG", compress_level=1)
    return np.frombuffer(file.getvalue(), np.uint8)


class _Sent:
    """Photos, each sent once, however often it is named."""

    def __init__(self) -> None:
        self.files: dict[str, np.ndarray] = {}
        self._names: dict[int, str] = {}

    def name(self, photo: Image.Image | None) -> str | None:
        if photo is None:
            return None
        name = self._names.setdefault(id(photo), str(len(self._names)))
        if name not in self.files:
            self.files[name] = _as_png(photo)
        return name


def _photo(name: object, files: Mapping[str, np.ndarray], decoded: dict[str, Image.Image]) -> Image.Image | None:
    if name is None:
        return None
    if name not in decoded:
        if not isinstance(name, str) or name not in files:
            raise Unreadable("a photo is missing")
        try:
            decoded[name] = load_image(files[name].tobytes())
        except Problem as problem:
            raise Unreadable(str(problem)) from None
    return decoded[name]


# What is asked


def asked_queries(queries: Sequence[Query]) -> bytes:
    sent = _Sent()
    said = [
        {
            "text": query.text,
            "instruction": query.instruction,
            "pictures": query.pictures,
            "photo": sent.name(query.photo),
            "whole": sent.name(query.whole),
        }
        for query in queries
    ]
    return packed({"queries": said}, sent.files)


def queries_of(message: bytes) -> list[Query]:
    """Raises Unreadable."""
    said, files = unpacked(message)
    decoded: dict[str, Image.Image] = {}
    return [
        Query(
            _typed(each, "text", str),
            _photo(each.get("photo"), files, decoded),
            _typed(each, "instruction", (str, type(None))),
            _photo(each.get("whole"), files, decoded),
            _typed(each, "pictures", bool),
        )
        for each in _listed(said, "queries", QUERIES)
    ]


def asked_passages(passages: Sequence[Passage], pictures: Sequence[Sequence[Image.Image]]) -> bytes:
    sent = _Sent()
    names = [field.name for field in fields(Passage)]  # of Evidence too, whose other fields say how it was found
    said = [
        {
            "plain": isinstance(passage, PlainPassage),
            "passage": {name: getattr(passage, name) for name in names if name != "pictures"},
            "about": [asdict(each) for each in passage.pictures],
            "pictures": [sent.name(each) for each in beside],
        }
        for passage, beside in zip(passages, pictures or [()] * len(passages), strict=True)
    ]
    return packed({"passages": said, "beside": bool(pictures)}, sent.files)


def passages_of(message: bytes) -> tuple[list[Passage], list[list[Image.Image]]]:
    """With the pictures beside each; none where none were given. Raises Unreadable."""
    said, files = unpacked(message)
    decoded: dict[str, Image.Image] = {}
    passages, pictures = [], []
    for each in _listed(said, "passages", PASSAGES):
        kind = PlainPassage if each.get("plain") else Passage
        try:
            about = tuple(Picture(**picture) for picture in _typed(each, "about", list))
            passage = kind(**_typed(each, "passage", dict), pictures=about)
        except TypeError as problem:
            raise Unreadable(str(problem)) from None
        if not all(isinstance(text, str) for text in (passage.title, passage.text, passage.section)):
            raise Unreadable("a passage has no text")
        passages.append(passage)
        pictures.append([_photo(name, files, decoded) for name in _typed(each, "pictures", list)])
    return passages, pictures if said.get("beside") else []


def asked_texts(texts: Sequence[str]) -> bytes:
    return packed({"texts": list(texts)}, {})


def texts_of(message: bytes) -> list[str]:
    """Raises Unreadable."""
    texts = unpacked(message)[0].get("texts")
    if not isinstance(texts, list) or not all(isinstance(each, str) for each in texts):
        raise Unreadable("the texts are none")
    return texts


# What is told


def told_queries(fingerprint: str, made: Sequence[QueryVectors]) -> bytes:
    arrays: dict[str, np.ndarray] = {}
    said = [_told_query(each, str(number), arrays) for number, each in enumerate(made)]
    return packed({"fingerprint": fingerprint, "queries": said}, arrays)


def _told_query(made: QueryVectors, name: str, arrays: dict[str, np.ndarray]) -> dict[str, Any]:
    given = {each: getattr(made, each) for each in _ARRAYS}
    arrays |= {f"{name}.{each}": np.asarray(some, np.float32) for each, some in given.items() if some is not None}
    seen = made.recognition
    if seen is not None:
        arrays[f"{name}.classes"] = np.asarray(seen.classes, np.float32)
    return {
        **{rows: [getattr(made, rows).start, getattr(made, rows).stop] for rows in _ROWS},
        "tokens": list(made.tokens),
        "grid": list(made.grid),
        "area": list(made.area),
        "recognition": seen and {"titles": seen.titles, "of_text": seen.of_text, "to_be_read": seen.to_be_read},
        "photo_alone": made.photo_alone and _told_query(made.photo_alone, f"{name}.alone", arrays),
    }


def queries_told(message: bytes, count: int, dim: int) -> tuple[str, list[QueryVectors]]:
    """The fingerprint of who made them, and so many queries as vectors of `dim` numbers. Raises Unreadable."""
    said, arrays = unpacked(message)
    listed = _listed(said, "queries", count)
    if len(listed) != count:
        raise Unreadable(f"it has {len(listed)} queries of {count}")
    try:
        made = [_query_told(each, str(number), arrays, dim) for number, each in enumerate(listed)]
    except (KeyError, TypeError, ValueError, AttributeError) as problem:
        raise Unreadable(str(problem)) from None
    return _typed(said, "fingerprint", str), made


def _query_told(said: Mapping[str, Any], name: str, arrays: Mapping[str, np.ndarray], dim: int) -> QueryVectors:
    given = {each: arrays.get(f"{name}.{each}") for each in _ARRAYS}
    for each, dimensions in _ARRAYS.items():
        if given[each] is None and each == "picture_places":
            continue
        _check_numbers(given[each], dimensions)
    vectors, places = given["vectors"], given["picture_places"]
    rows = {each: slice(*(int(edge) for edge in said[each])) for each in _ROWS}
    ordered = all(0 <= each.start <= each.stop <= len(vectors) for each in rows.values())
    if vectors.shape != (len(given["weights"]), dim) or not ordered or (places is not None and places.shape[2] != dim):
        raise Unreadable("vectors and rows do not go together")
    seen, alone = said["recognition"], said["photo_alone"]
    recognition = None
    if seen is not None:
        classes = arrays[f"{name}.classes"]
        _check_numbers(classes, 1)
        titles = {str(title): float(added) for title, added in seen["titles"].items()}
        recognition = Recognition(classes, titles, bool(seen["of_text"]), bool(seen["to_be_read"]))
    down, across = (int(side) for side in said["grid"])
    left, top, right, bottom = (float(edge) for edge in said["area"])
    return QueryVectors(
        **given,
        **rows,
        tokens=[str(token) for token in said["tokens"]],
        grid=(down, across),
        area=(left, top, right, bottom),
        recognition=recognition,
        photo_alone=None if alone is None else _query_told(alone, f"{name}.alone", arrays, dim),
    )


def told_passages(fingerprint: str, made: Sequence[np.ndarray]) -> bytes:
    arrays = {str(number): np.asarray(each, np.float32) for number, each in enumerate(made)}
    return packed({"fingerprint": fingerprint}, arrays)


def passages_told(message: bytes, count: int, dim: int) -> tuple[str, list[np.ndarray]]:
    """The fingerprint of who made them, and the vectors (tokens, dim) of so many passages. Raises Unreadable."""
    said, arrays = unpacked(message)
    try:
        made = [arrays[str(number)] for number in range(count)]
    except KeyError as problem:
        raise Unreadable(f"it lacks passage {problem}") from None
    for each in made:
        _check_numbers(each, 2)
        if each.shape[1] != dim:
            raise Unreadable(f"vectors have {each.shape[1]} numbers and not {dim}")
    return _typed(said, "fingerprint", str), made


def told_tokens(fingerprint: str, tokens: Iterable[PassageToken]) -> bytes:
    return packed({"fingerprint": fingerprint, "tokens": [[each.text, each.start, each.end] for each in tokens]}, {})


def tokens_told(message: bytes) -> tuple[str, list[PassageToken]]:
    """Raises Unreadable."""
    said, _ = unpacked(message)
    try:
        tokens = [PassageToken(str(text), int(start), int(end)) for text, start, end in said["tokens"]]
    except (KeyError, TypeError, ValueError) as problem:
        raise Unreadable(str(problem)) from None
    return _typed(said, "fingerprint", str), tokens


def told_counts(fingerprint: str, counts: Sequence[int]) -> bytes:
    return packed({"fingerprint": fingerprint, "counts": list(counts)}, {})


def counts_told(message: bytes, count: int) -> tuple[str, list[int]]:
    """Raises Unreadable."""
    said, _ = unpacked(message)
    counts = said.get("counts")
    if not isinstance(counts, list) or len(counts) != count or not all(type(each) is int for each in counts):
        raise Unreadable(f"it has no {count} counts")
    return _typed(said, "fingerprint", str), counts


def takes_of(said: object) -> Takes:
    """What `asdict` made of it. Raises Unreadable."""
    known = {field.name for field in fields(Takes)}
    if not isinstance(said, dict) or said.keys() != known or not all(isinstance(each, bool) for each in said.values()):
        raise Unreadable("it does not say what the encoder takes")
    return replace(Takes(), **said)


def _check_numbers(array: object, dimensions: int) -> None:
    if not isinstance(array, np.ndarray) or array.dtype != np.float32 or array.ndim != dimensions:
        raise Unreadable("an array is missing, or of another kind")
    if not np.isfinite(array).all():
        raise Unreadable("an array holds what is no number")


def _listed(said: Mapping[str, Any], name: str, most: int) -> list[dict[str, Any]]:
    listed = said.get(name)
    if not isinstance(listed, list) or len(listed) > most or not all(isinstance(each, dict) for each in listed):
        raise Unreadable(f"it has no list of {name}, or more than {most}")
    return listed


def _typed(said: Mapping[str, Any], name: str, kind: Any) -> Any:
    if not isinstance(said.get(name), kind):
        raise Unreadable(f"it says no {name}")
    return said.get(name)
