"""What a text ColBERT checkpoint says of itself, in PyLate's layout (`modules.json`) or in that of ColBERT's authors
(`artifact.metadata`): how texts are written, and which projections follow the transformer.

Reads small JSON files alone. Knows nothing of weights, tokenizers or models.
"""

from __future__ import annotations

import string
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common.text import shown
from retriever.encoders.checkpoints import ARTIFACT, MODULES, json_file

SETTINGS = "config_sentence_transformers.json"
SENTENCES = "sentence_bert_config.json"
_SHORTEST = 4  # beginning, marker, one piece, end
_MOST_PROJECTIONS = 8
_WORDS = 10_000  # that may be skipped
_DENSE = ("in_features", "out_features", "bias", "activation_function", "use_residual")


@dataclass(frozen=True)
class Style:
    """How texts are written. Markers are tokens, "" for none. Lengths are in tokens, marks among them.

    fills_up: whether a question is filled up with [MASK] to its full length, and searched with all of them; attends:
    whether the transformer attends to these. skips: tokens whose vectors a passage does not keep. strips: whether white
    space around a text is left out. prompt: what stands before every text."""

    query_marker: str
    passage_marker: str
    query_length: int
    passage_length: int
    fills_up: bool = True
    attends: bool = False
    skips: tuple[str, ...] = tuple(string.punctuation)
    strips: bool = False
    lowers: bool = False
    prompt: str = ""


@dataclass(frozen=True)
class Projection:
    """A linear layer. width: of what comes in, None where only its weights say. folder: its own in the checkpoint, ""
    where it lies among the transformer's weights. activation: as its configuration calls it."""

    width: int | None
    dim: int | None
    bias: bool = False
    activation: str = ""
    residual: bool = False
    folder: str = ""


def read(folder: Path) -> tuple[Style, list[Projection]]:
    """Of a checkpoint in a folder. Raises Problem for a file that cannot be read, ValueError for what it cannot be."""
    return _of_pylate(folder) if (folder / MODULES).is_file() else _of_stanford(folder)


def _of_pylate(folder: Path) -> tuple[Style, list[Projection]]:
    modules = [_module(each) for each in _list(json_file(folder / MODULES), MODULES)]
    kinds = [kind for kind, _ in modules]
    known = ("Transformer", "Dense", "Normalize")  # every vector is made one of unit length in any case
    if strange := [kind for kind in kinds if kind not in known]:
        raise ValueError(f"{MODULES} names a module {shown(strange[0], 60)}, which no ColBERT model has")
    if kinds[:1] != ["Transformer"] or kinds.count("Transformer") > 1 or modules[0][1]:
        raise ValueError(f"{MODULES} has to begin with the one Transformer, whose files lie beside it")
    dense = [place for kind, place in modules if kind == "Dense"]
    if not 0 < len(dense) <= _MOST_PROJECTIONS:
        raise ValueError(f"{MODULES} names {len(dense)} Dense layers and a ColBERT model has at least one")
    return _style(folder), [_dense(folder, place) for place in dense]


def _module(entry: Any) -> tuple[str, str]:
    """The kind of a module, the last part of its class's name, and its folder."""
    if not isinstance(entry, dict) or not isinstance(entry.get("type"), str) or not isinstance(entry.get("path"), str):
        raise ValueError(f"{MODULES} does not say of every module its type and its path")
    place = entry["path"].strip("/")
    if ".." in Path(place).parts or Path(entry["path"]).is_absolute():
        raise ValueError(f"{MODULES} names {shown(place, 60)}, which is no folder of the checkpoint")
    return entry["type"].rpartition(".")[2], place


def _dense(folder: Path, place: str) -> Projection:
    file = folder / place / "config.json"
    if not file.is_file():
        raise ValueError(f"{MODULES} names the Dense layer {shown(place, 60)}, and there is no {place}/config.json")
    fields = _object(json_file(file), f"{place}/config.json")
    if strange := sorted(set(fields) - set(_DENSE)):
        raise ValueError(f"{place}/config.json says {shown(strange[0], 60)!r}, which is not known here")
    called = f"of {place}/config.json"
    return Projection(
        width=_whole(fields, "in_features", called),
        dim=_whole(fields, "out_features", called),
        bias=_flag(fields, "bias", True, called),
        activation=str(fields.get("activation_function", "torch.nn.modules.linear.Identity")),
        residual=_flag(fields, "use_residual", False, called),
        folder=place,
    )


def _style(folder: Path) -> Style:
    """What PyLate keeps beside the modules; what is left out is what it has by default."""
    fields = _object(json_file(folder / SETTINGS), SETTINGS) if (folder / SETTINGS).is_file() else {}
    sentences = _object(json_file(folder / SENTENCES), SENTENCES) if (folder / SENTENCES).is_file() else {}
    set_ = {name: value for name, value in fields.items() if value is not None}
    skips = set_.get("skiplist_words", list(string.punctuation))
    if not isinstance(skips, list) or len(skips) > _WORDS or not all(isinstance(word, str) for word in skips):
        raise ValueError(f"skiplist_words of {SETTINGS} is no list of words")
    fills_up = _flag(set_, "do_query_expansion", True, f"of {SETTINGS}")
    prompts = set_.get("prompts", {})
    name = set_.get("default_prompt_name")
    return Style(
        query_marker=_text(set_, "query_prefix", "[Q] "),
        passage_marker=_text(set_, "document_prefix", "[D] "),
        query_length=_length(set_, "query_length", 32, SETTINGS),
        passage_length=_length(set_, "document_length", 180, SETTINGS),
        fills_up=fills_up,
        attends=fills_up and _flag(set_, "attend_to_expansion_tokens", False, f"of {SETTINGS}"),
        skips=tuple(skips),
        strips=True,
        lowers=_flag(sentences, "do_lower_case", False, f"of {SENTENCES}"),
        prompt="" if name is None else _text(prompts if isinstance(prompts, dict) else {}, str(name), ""),
    )


def _of_stanford(folder: Path) -> tuple[Style, list[Projection]]:
    if not (folder / ARTIFACT).is_file():
        raise ValueError(f"it has neither PyLate's {MODULES} nor the {ARTIFACT} of ColBERT's authors")
    fields = _object(json_file(folder / ARTIFACT), ARTIFACT)
    set_ = {name: value for name, value in fields.items() if value is not None}
    for name, only in (("similarity", "cosine"), ("interaction", "colbert")):
        if set_.get(name, only) != only:
            raise ValueError(f"{name} of {ARTIFACT} is {shown(set_[name], 60)!r} and has to be {only!r}")
    style = Style(
        query_marker=_text(set_, "query_token_id", "[unused0]"),
        passage_marker=_text(set_, "doc_token_id", "[unused1]"),
        query_length=_length(set_, "query_maxlen", 32, ARTIFACT),
        passage_length=_length(set_, "doc_maxlen", 220, ARTIFACT),
        attends=_flag(set_, "attend_to_mask_tokens", False, f"of {ARTIFACT}"),
        skips=tuple(string.punctuation) if _flag(set_, "mask_punctuation", True, f"of {ARTIFACT}") else (),
    )
    return style, [Projection(None, _whole(set_, "dim", f"of {ARTIFACT}") if "dim" in set_ else None)]


def _list(content: Any, called: str) -> list:
    if not isinstance(content, list):
        raise ValueError(f"{called} holds no list of modules")
    return content


def _object(content: Any, called: str) -> dict:
    if not isinstance(content, dict):
        raise ValueError(f"{called} holds no settings")
    return content


def _checked(fields: dict, name: str, default: Any, kind: type, says: Callable[[], str]) -> Any:
    value = fields.get(name, default)
    if type(value) is not kind:
        raise ValueError(says())
    return value


def _flag(fields: dict, name: str, default: bool, called: str) -> bool:
    return _checked(fields, name, default, bool, lambda: f"{name} {called} is neither true nor false")


def _text(fields: dict, name: str, default: str) -> str:
    return _checked(fields, name, default, str, lambda: f"{name} is no text")


def _whole(fields: dict, name: str, called: str) -> int:
    number = _checked(fields, name, None, int, lambda: f"{name} {called} is no whole number")
    if not 0 < number < 1 << 20:
        raise ValueError(f"{name} {called} cannot be {number}")
    return number


def _length(fields: dict, name: str, default: int, file: str) -> int:
    number = _whole({name: fields.get(name, default)}, name, f"of {file}")
    if number < _SHORTEST:
        raise ValueError(f"{name} of {file} is {number}, too short for a text")
    return number
