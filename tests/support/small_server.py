"""`python -m tests.support.small_server`: the page's server with a small encoder over a small collection, `things`. It
keeps few answers, so that few questions are enough to ask what it does not know yet."""

from __future__ import annotations

from types import SimpleNamespace

from app.service import ask, assembly
from app.web.serve import run
from kb.sources.kinds import fixed_collection
from kb.sources.registry import KINDS
from tests.fakes.small_encoder import SmallEncoder, embed_sentences, source

if __name__ == "__main__":
    KINDS["things"] = fixed_collection(source())
    ask.ANSWERS_KEPT = 5
    assembly.load_encoder = lambda name, cache_dir, progress: SmallEncoder()
    assembly.load_sentence_encoder = lambda cache_dir: SimpleNamespace(embed_sentences=embed_sentences)
    run()
