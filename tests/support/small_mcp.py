"""`python -m tests.support.small_mcp`: the tools for agents by standard input and output, with a small encoder over
the small collection."""

from __future__ import annotations

import sys
from types import SimpleNamespace

from app.commands.app import main
from app.service import assembly
from kb.sources.kinds import fixed_collection
from kb.sources.registry import KINDS
from tests.fakes.small_encoder import SmallEncoder, embed_sentences, source

if __name__ == "__main__":
    KINDS["things"] = fixed_collection(source())
    assembly.load_encoder = lambda name, cache_dir, progress: SmallEncoder()
    assembly.load_sentence_encoder = lambda cache_dir: SimpleNamespace(embed_sentences=embed_sentences)
    sys.exit(main(["mcp", *sys.argv[1:]]))
