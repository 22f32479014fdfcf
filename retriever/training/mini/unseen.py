"""What fine-tuning `mini` on photographs gives for titles that it never learned from, by folds of titles.

Of each fold, the titles are taken out of the tables that photographs are drawn by, `mini`'s photo part is trained anew
without them, and that model is fine-tuned on the photographs of the other titles; both look for the fold's titles.
They rank by late interaction alone: the tables of classes, which `mini` adds to it, know some of the titles. Knows
nothing of catalogues or files of labels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch.nn import functional as F
from tqdm import tqdm
from transformers import PreTrainedTokenizerBase

from retriever.encoders.base import Query
from retriever.encoders.flmr import FLMRModelForRetrieval
from retriever.encoders.flmr.encoder import FLMREncoder, QueryStyle
from retriever.encoders.mini.model import QUERY_TOKENS, load_mini
from retriever.encoders.mini.photos import prepare_photo
from retriever.index import LateInteractionIndex
from retriever.training.mini.articles import Encoded, encode_articles
from retriever.training.mini.finetune import Seen, finetune, see
from retriever.training.mini.photos import train_photo
from retriever.training.mini.questions import Article

DEPTH = 10
RESAMPLES = 10_000
# What the photo part learns; the rest is that of the embedded weights, which knows nothing of photographs.
_OF_PHOTOS = (
    "query_vision_projection.", "transformer_mapping_", "query_vector_weights.prefix", "query_vector_weights.patch",
)  # fmt: skip
_NBITS = 4


@dataclass(frozen=True)
class Outcome:
    """A photograph's title, and the rank of its article before and after fine-tuning; None beyond DEPTH."""

    title: str
    before: int | None
    after: int | None


def measure_unseen(
    articles: Sequence[Article],
    photos: Sequence[tuple[str, Callable[[], Image.Image]]],
    asked: str,
    folds: int,
    cache_dir: Path,
    folder: Path,
    seed: int,
) -> list[Outcome]:
    """articles: all that is searched, a title once. photos: the title of each photograph, one of theirs, and what opens
    it. asked: of each. folder: for the index, empty. About ten minutes a fold on two cores, for a thousand photographs
    and ten thousand articles."""
    trained, tokenizer = load_mini(cache_dir)
    trained.requires_grad_(False)
    encoded = encode_articles(trained, tokenizer, articles)
    with tqdm(photos, desc="looking at photographs", unit="photo") as opened:  # ends its line, whatever comes
        seen = see(trained, ((title, open_photo()) for title, open_photo in opened), seed)
    titles, found = sorted({title for title, _ in photos}), []
    with _indexed(trained, encoded, articles, folder) as index:
        for fold in range(folds):
            held = set(titles[fold::folds])
            model = _without(trained, tokenizer, articles, encoded, held, cache_dir, seed)
            theirs = [(title, open_photo) for title, open_photo in photos if title in held]
            before = _ranks(model, tokenizer, index, theirs, asked)
            _tuned(model, tokenizer, articles, [each for each in seen if each.title not in held], seed)
            after = _ranks(model, tokenizer, index, theirs, asked)
            pairs = zip(theirs, before, after, strict=True)
            found += [Outcome(title, one, other) for (title, _), one, other in pairs]
    return found


def report(outcomes: Sequence[Outcome], depth: int = 5, seed: int = 0) -> dict[str, float]:
    """Recall before and after, averaged over photographs and over titles, and the differences with 95 % intervals, of a
    paired bootstrap of titles: photographs of one are too much alike to be drawn apart."""
    by_title: dict[str, list[tuple[bool, bool]]] = {}
    for each in outcomes:
        hits = tuple(rank is not None and rank <= depth for rank in (each.before, each.after))
        by_title.setdefault(each.title, []).append(hits)
    sums = np.array([np.sum(hits, axis=0) for hits in by_title.values()], float)  # (titles, 2)
    counts = np.array([len(hits) for hits in by_title.values()], float)
    drawn = np.random.default_rng(seed).integers(len(sums), size=(RESAMPLES, len(sums)))
    means = (sums / counts[:, None])[drawn].mean(1), sums[drawn].sum(1) / counts[drawn].sum(1)[:, None]
    whole = (sums / counts[:, None]).mean(0), sums.sum(0) / counts.sum()
    result: dict[str, float] = {"titles": len(sums), "photographs": int(counts.sum())}
    for name, (before, after), some in zip(("titles", "photographs"), whole, means, strict=True):
        low, high = np.quantile(some[:, 1] - some[:, 0], [0.025, 0.975])
        figures = {"before": before, "after": after, "gain": after - before, "gain_low": low, "gain_high": high}
        result |= {f"recall@{depth}_over_{name}_{key}": round(float(value), 4) for key, value in figures.items()}
    return result


def _indexed(
    model: FLMRModelForRetrieval, encoded: Encoded, articles: Sequence[Article], folder: Path
) -> LateInteractionIndex:
    index = LateInteractionIndex.create(folder / "index", model.config.dim, nbits=_NBITS)
    linear = model.query_text_encoder_linear
    with torch.inference_mode():
        vectors = [F.normalize(linear(encoded.of(i)), dim=-1).numpy() for i in range(len(articles))]
    index.add([each.title for each in articles], vectors)
    index.optimize()
    return index


def _without(
    trained: FLMRModelForRetrieval,
    tokenizer: PreTrainedTokenizerBase,
    articles: Sequence[Article],
    encoded: Encoded,
    titles: set[str],
    cache_dir: Path,
    seed: int,
) -> FLMRModelForRetrieval:
    """`mini` with a photo part that was trained without the titles."""
    torch.manual_seed(seed)
    model, _ = load_mini(cache_dir, trained=False)
    model.requires_grad_(False)
    known = {name: each for name, each in trained.state_dict().items() if not name.startswith(_OF_PHOTOS)}
    model.load_state_dict(known, strict=False)
    train_photo(model, tokenizer, articles, encoded, seed, titles)
    return model.requires_grad_(False).eval()


def _tuned(
    model: FLMRModelForRetrieval,
    tokenizer: PreTrainedTokenizerBase,
    articles: Sequence[Article],
    seen: Sequence[Seen],
    seed: int,
) -> None:
    learned = {each.title for each in seen}
    finetune(model, tokenizer, [each for each in articles if each.title in learned], seen, (), seed)


def _ranks(
    model: FLMRModelForRetrieval,
    tokenizer: PreTrainedTokenizerBase,
    index: LateInteractionIndex,
    photos: Sequence[tuple[str, Callable[[], Image.Image]]],
    asked: str,
) -> list[int | None]:
    encoder = FLMREncoder(model, tokenizer, tokenizer, prepare_photo, QueryStyle(QUERY_TOKENS), "")
    ranks = []
    for title, open_photo in tqdm(photos, desc="asking", unit="photo"):
        [query] = encoder.encode_queries([Query(asked, open_photo())])
        hits = [hit.id for hit in index.search(query.vectors, k=DEPTH, weights=query.weights)]
        ranks.append(hits.index(title) + 1 if title in hits else None)
    return ranks
