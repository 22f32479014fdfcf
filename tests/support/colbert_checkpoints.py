"""Small text ColBERT checkpoints in both layouts. Weights follow from their names alone, so that vectors which other
programs make of the same checkpoint can be kept without it (tests/data/golden/README.md)."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
from transformers import (
    BertConfig,
    BertModel,
    BertTokenizer,
    ModernBertConfig,
    ModernBertModel,
    PreTrainedTokenizerFast,
)

from tests.support.checkpoints import VOCABULARY

SMALL = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
IDENTITY = "torch.nn.modules.linear.Identity"
QUESTIONS = ["what is this", "the cat, the image of a cat and another, longer than it may be?", " a"]
PASSAGES = [
    "the cat: is this the image.",
    "what",
    "question (image) - the cat is in this image, and so it goes on and on! ",
]

# What `write` takes; the vectors that PyLate gives for each are among the golden ones.
PYLATE: dict[str, dict[str, Any]] = {
    "bert": {"dense": [(16, {})], "settings": {"query_length": 10, "document_length": 12}},
    "unfilled": {
        "dense": [(16, {"bias": True})],
        "settings": {"query_length": 12, "document_length": 12, "do_query_expansion": False, "skiplist_words": ["the"]},
    },
    "modern": {
        "modern": True,
        "dense": [(48, {"activation_function": "torch.nn.modules.activation.GELU", "use_residual": True}), (48, {})],
        "settings": {"query_length": 14, "document_length": 20, "attend_to_expansion_tokens": True},
    },
}


def write_pylate_checkpoint(folder: Path, name: str = "bert", markers: tuple[str, str] = ("[Q] ", "[D] ")) -> Path:
    """One of PYLATE; returns the folder. Small letters of English and usual marks can be spelt with its pieces."""
    described = PYLATE[name]
    tokenizer = _byte_level() if described.get("modern") else _word_pieces()
    tokenizer.add_tokens(list(markers))
    model = _modern_bert(len(tokenizer)) if described.get("modern") else _bert(len(tokenizer))
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    modules = [("sentence_transformers.models.Transformer", "")]
    width = SMALL["hidden_size"]
    for number, (dim, more) in enumerate(described["dense"], 1):
        place = f"{number}_Dense"
        write_dense(folder / place, width, dim, **more)
        modules.append(("pylate.models.Dense.Dense", place))
        width = dim
    named = [{"idx": i, "name": str(i), "path": path, "type": kind} for i, (kind, path) in enumerate(modules)]
    write_json(folder / "modules.json", named)
    write_json(folder / "sentence_bert_config.json", {"max_seq_length": 11, "do_lower_case": False})
    settings = {"query_prefix": markers[0], "document_prefix": markers[1], "similarity_fn_name": "MaxSim"}
    kept = {"__version__": {"transformers": "4.48.2"}, "prompts": {}, "default_prompt_name": None}
    write_json(folder / "config_sentence_transformers.json", {**kept, **settings, **described["settings"]})
    return folder


def write_stanford_checkpoint(folder: Path, dim: int = 24, **metadata: Any) -> Path:
    """With the projection among BERT's weights; `metadata`: of artifact.metadata."""
    model = _bert(len(VOCABULARY))
    tensors = {f"bert.{name}": each.contiguous() for name, each in model.state_dict().items()}
    tensors["linear.weight"] = seeded("linear.weight", dim, SMALL["hidden_size"])
    folder.mkdir(parents=True, exist_ok=True)
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    model.config.architectures = ["HF_ColBERT"]
    model.config.save_pretrained(folder)
    _word_pieces().save_pretrained(folder)
    said = {"query_maxlen": 10, "doc_maxlen": 14, "dim": dim, "mask_punctuation": True, "similarity": "cosine"}
    more = {"attend_to_mask_tokens": False, "checkpoint": "elsewhere", "lr": 1e-5, "nway": 64, "interaction": "colbert"}
    write_json(folder / "artifact.metadata", {**more, **said, **metadata})
    return folder


def write_dense(folder: Path, width: int, dim: int, **more: Any) -> None:
    fields = {"in_features": width, "out_features": dim, "bias": False, "activation_function": IDENTITY, **more}
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "config.json", fields)
    tensors = {"linear.weight": seeded(f"{folder.name}.linear.weight", dim, width)}
    if fields["bias"]:
        tensors["linear.bias"] = seeded(f"{folder.name}.linear.bias", dim)
    if fields.get("use_residual") and width != dim:
        tensors["residual.weight"] = seeded(f"{folder.name}.residual.weight", dim, width)
    save_file(tensors, folder / "model.safetensors")


def seeded(name: str, *shape: int) -> torch.Tensor:
    seed = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big")
    return torch.from_numpy(np.random.default_rng(seed).standard_normal(shape).astype(np.float32) * 0.3)


def write_json(file: Path, content: Any) -> None:
    file.write_text(json.dumps(content))


def _bert(words: int) -> BertModel:
    model = BertModel(BertConfig(**SMALL, vocab_size=words, max_position_embeddings=32))
    return _seed(model)


def _modern_bert(words: int) -> ModernBertModel:
    ends = {"pad_token_id": 0, "bos_token_id": 1, "cls_token_id": 1, "eos_token_id": 2, "sep_token_id": 2}
    return _seed(ModernBertModel(ModernBertConfig(**SMALL, **ends, vocab_size=words, max_position_embeddings=64)))


def _seed(model: torch.nn.Module) -> Any:
    with torch.no_grad():
        for name, weights in model.named_parameters():
            if weights.ndim > 1:
                weights.copy_(seeded(name, *weights.shape))
    return model.eval()


def _word_pieces() -> PreTrainedTokenizerFast:
    return BertTokenizer(vocab={word: i for i, word in enumerate(VOCABULARY)}, do_lower_case=True)


def _byte_level() -> PreTrainedTokenizerFast:
    """Of ModernBERT's kind, whose pieces begin with the white space before them."""
    marks = ["[PAD]", "[CLS]", "[SEP]", "[MASK]", "[UNK]"]
    merges = [("Ġ", "t"), ("h", "e"), ("Ġt", "he"), ("i", "s"), ("Ġ", "is"), ("c", "a"), ("Ġ", "ca"), ("Ġca", "t")]
    pieces = [*marks, *sorted(pre_tokenizers.ByteLevel.alphabet()), *(a + b for a, b in merges)]
    tokenizer = Tokenizer(models.BPE({piece: i for i, piece in enumerate(pieces)}, merges, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    ends = [("[CLS]", 1), ("[SEP]", 2)]
    tokenizer.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=ends)
    named = {f"{role}_token": f"[{role.upper()}]" for role in ("pad", "cls", "sep", "mask", "unk")}
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, **named)
