"""The answer service put together from the real catalogue, encoder and answerer, as the settings say.

Knows nothing of how a question is answered.
"""

from __future__ import annotations

import os
from functools import partial

from app.limits import SENTENCES_KEPT
from app.service.answerers import Answerers, answerers_for
from app.service.ask import AnswerService
from app.service.encoder_lock import SharedEncoder
from app.service.fixed_corpora import fetch
from app.service.opening import open_catalogue
from app.service.photo_reading import PhotoReading
from app.service.ready import check_encoder, taken_up
from app.service.sentence_rows import KeptRows
from app.settings import Settings
from common.jobs import Progress
from common.memory import give_back_large_blocks
from retriever.encoders.registry import load_encoder, profiles_in
from retriever.encoders.remote.client import RemoteEncoder
from retriever.encoders.sentences import load_sentence_encoder


def build_service(settings: Settings) -> AnswerService:
    """The service with the real catalogue, encoder and answerer; not started. Raises Problem."""
    settings = taken_up(settings)
    catalogue = open_catalogue(settings)
    give_back_large_blocks()
    # Read when a model first works. Torch keeps operations prepared for the shapes of photos and texts that it has met,
    # 1,024 of them if not told, which fill up over hundreds of questions; 64 took 160 MB less after 150 questions, and
    # 6 % more of the processor.
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "256")

    names = profiles_in(settings.profile) if "+" in settings.profile else (settings.profile,)
    loads = [partial(load_encoder, name, settings.cache_dir) for name in names]
    if settings.encoder_url is not None:
        key = settings.encoder_key and settings.encoder_key.get_secret_value()
        loads = [lambda progress: RemoteEncoder(settings.encoder_url, key, settings.profile)]

    def answerers(encoder: SharedEncoder, progress: Progress) -> Answerers:
        check_encoder(settings, encoder.fingerprint)
        measured = encoder.min_score if len(names) == 1 else 0.0  # of two, nobody has measured it
        least = measured if settings.min_score is None else settings.min_score
        embed = load_sentence_encoder(settings.cache_dir).embed_sentences
        run = encoder.worker.run
        sentences = KeptRows(lambda texts: run(embed, texts), SENTENCES_KEPT)
        return answerers_for(settings, sentences, least, progress, run)

    return AnswerService(
        settings,
        catalogue,
        encoder_loader=loads[0],
        answerers_factory=answerers,
        fetch=partial(fetch, catalogue, settings),
        reading=PhotoReading(settings.read_photo),
        second_loader=loads[1] if len(loads) > 1 else None,
    )
