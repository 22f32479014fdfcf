"""What can answer, by the settings: the embedded answerer, or a vision-language model, served or in this process.

Puts the generator's parts together; it knows nothing of indexes, catalogues or pages.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from app.service.reranking import reranker_for
from app.settings import Settings
from common.jobs import Progress
from common.lent_gpu import lent
from common.reranking import Reranker
from generator.answers import Anew, Answerer, Turn
from generator.extractive.answerer import ExtractiveAnswerer
from generator.extractive.scoring import Limits
from generator.models.in_context import InContextAnswerer, own_answer
from generator.models.per_passage import PerPassageAnswerer
from generator.models.served import ServedModel
from hub.cache import fetch_vision_language

if TYPE_CHECKING:
    from PIL.Image import Image

    from generator.models.lent import LentModel
    from generator.models.local import LocalModel

Embed = Callable[[Sequence[str]], np.ndarray]
EXTRACTIVE = "extractive"


@dataclass(frozen=True)
class Answerers:
    """The ways to answer. `name` tells them from others, on the page and in the cache.

    together: from all passages at once. each: from each passage alone, the most probable winning; own(question, photo,
    turns): without any passage, in pieces. Both are None without a model. reranker: what puts passages in order before
    that; None where nothing does. loading: what is being loaded for an answer,
    as a sentence; "" when nothing is. failures: how often a model's server has failed since the beginning.
    """

    name: str
    together: Answerer
    each: Answerer | None = None
    own: Callable[[str, Image | None, Sequence[Turn]], Iterator[str | Anew]] | None = None
    close: Callable[[], None] = lambda: None
    loading: Callable[[], str] = lambda: ""
    reranker: Reranker | None = None
    failures: Callable[[], int] = lambda: 0


def answerers_for(
    settings: Settings,
    embed: Embed,
    least: float,
    progress: Progress,
    run: Callable[..., Any] = lambda work, *args: work(*args),
) -> Answerers:
    """The answerers that the settings ask for. A model for this process is fetched, if need be, and checked, but loaded
    only for the first answer.

    embed maps texts to (n, dim) unit rows; least: best score of a passage, 0 to 1, below which no answer is attempted;
    progress is told of bytes fetched; run(work, ...): calls it where models work. Raises Problem for a model that
    cannot be used.
    """
    if settings.model is None:
        reranker = reranker_for(settings.rerank, None, settings.cache_dir, progress, run)
        return Answerers(EXTRACTIVE, ExtractiveAnswerer(embed, Limits(passage_score=least)), reranker=reranker)
    model = chat_model(settings, progress)
    return Answerers(
        model.name,
        InContextAnswerer(model, embed, least),
        PerPassageAnswerer(model, embed, least),
        lambda question, photo, turns: own_answer(model, question, photo, turns),
        model.close,
        lambda: model.loading,
        reranker_for(settings.rerank, model, settings.cache_dir, progress, run),
        (lambda: model.failures) if isinstance(model, ServedModel) else lambda: 0,
    )


def chat_model(settings: Settings, progress: Progress) -> ServedModel | LocalModel | LentModel:
    """The model that the settings name; checked, not loaded. Raises Problem."""
    if settings.served_url is not None:
        key = settings.served_key.get_secret_value() if settings.served_key else None
        # Strangers are not told what runs where within a network.
        called = None if settings.may_manage else "the address that is set"
        return ServedModel(settings.served_url, settings.model, key, called=called, thinking=settings.thinking_tokens)
    # With transformers' vision-language models, which take seconds to import.
    from generator.models.lent import LentModel
    from generator.models.loading import room_checked
    from generator.models.local import LocalModel

    folder = Path(settings.model).expanduser()
    name = settings.model
    if folder.is_dir():
        name = folder.resolve().name  # the page says it to strangers, who are told no paths
    else:
        room = room_checked(settings.model, settings.four_bit, progress)
        folder = fetch_vision_language(settings.model, settings.cache_dir, room)
    model = LocalModel(folder, name, settings.four_bit, thinking=settings.thinking_tokens)
    model.check()
    return LentModel(model) if lent() else model
