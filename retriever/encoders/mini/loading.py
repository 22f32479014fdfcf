"""The profile `mini` as an encoder. Knows nothing of passages, indexes or questions."""

from __future__ import annotations

import hashlib
from pathlib import Path

from safetensors import SafetensorError

from common.jobs import Progress
from common.problems import Problem
from retriever.encoders.flmr.encoder import ENCODING_VERSION, Comparison, FLMREncoder, QueryStyle
from retriever.encoders.mini import comparing
from retriever.encoders.mini.model import QUERY_TOKENS, WEIGHTS, learned_titles, load_mini
from retriever.encoders.mini.photos import prepare_photo
from retriever.encoders.mini.recognition.recogniser import Recogniser
from retriever.encoders.registry import Profile

# Of a query's weight that its likeness to the pictures of passages has: about the most of them first, of photographs of
# half of the titles of photos_train; an exact copy is first from 0.3 on.
PICTURE_SHARE = 0.4
MIN_SCORE = 0.5  # every question the corpus answers and every labelled photo scored above 0.53


def weights_of(profile: Profile) -> Path:
    """The embedded ones, or those of the file that the profile is."""
    return Path(profile.source) if profile.source else WEIGHTS


def load(profile: Profile, cache_dir: Path, progress: Progress) -> FLMREncoder:
    """As load_encoder; small enough that nobody is told of the download."""
    weights = weights_of(profile)
    try:
        model, tokenizer = load_mini(cache_dir, weights=weights)
        trained = hashlib.sha256(weights.read_bytes()).hexdigest()[:12]
        recognise = Recogniser(learned_titles(weights)).recognise
    except (OSError, SafetensorError) as problem:
        mend = "fine-tune it again" if profile.source else "fetch the project's files again"
        sentence = f"The weights of the profile {profile.name} ({weights.name}) cannot be read; {mend}."
        raise Problem(sentence) from problem
    fingerprint = f"mini-{ENCODING_VERSION}-{trained}"
    style = QueryStyle(QUERY_TOKENS)
    comparison = Comparison(comparing.picture_rows, comparing.picture_places, comparing.WEIGHTS, PICTURE_SHARE)
    return FLMREncoder(
        model, tokenizer, tokenizer, prepare_photo, style, fingerprint, MIN_SCORE, recognise, comparison
    )
