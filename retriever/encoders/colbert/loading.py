"""A text ColBERT checkpoint as an encoder: fetched, checked against the machine's memory, loaded.

Knows nothing of passages, indexes or questions.
"""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from transformers import MODEL_MAPPING, AutoConfig, AutoTokenizer, PreTrainedConfig, PreTrainedTokenizerBase

from common.jobs import Progress
from common.memory import in_memory
from common.problems import Problem
from common.text import shown
from retriever.encoders.checkpoints import COLBERT_FILES, checkpoint_folder, configuration, digest
from retriever.encoders.colbert.encoder import ENCODING_VERSION, ColbertEncoder
from retriever.encoders.colbert.layout import Projection, Style, read
from retriever.encoders.colbert.modeling import ColbertModel, Dense
from retriever.encoders.colbert.tokenization import ColbertTexts
from retriever.encoders.devices import device_for
from retriever.encoders.registry import Profile
from retriever.encoders.strict import HERE, load_model, strictly

# Tensors of the transformer's file that nothing is made of here: what pools or predicts, and, of the layout of
# ColBERT's authors, the projection, which is read by itself.
UNREAD = (r"(^|\.)pooler\.", r"^cls\.", r"position_ids$", r"^linear\.weight$")
_OFFSET = ("roberta", "xlm-roberta", "camembert", "xmod")  # whose first positions are padding's


def load(profile: Profile, cache_dir: Path, progress: Progress) -> ColbertEncoder:
    """As load_encoder."""
    if profile.parameters is not None:
        device_for(profile.name, profile.parameters)  # before hundreds of megabytes are fetched in vain
    try:
        return _checkpoint(profile.name, checkpoint_folder(profile.source, cache_dir, progress, COLBERT_FILES))
    except (OSError, ValueError, TypeError, KeyError, SafetensorError) as problem:
        raise Problem(f"The checkpoint of the profile {profile.name} cannot be used: {shown(problem)}") from problem


def _checkpoint(profile: str, folder: Path) -> ColbertEncoder:
    configuration(folder)  # which has to be there
    style, projections = read(folder)
    config = AutoConfig.from_pretrained(folder, **HERE)
    if type(config) not in MODEL_MAPPING:
        raise ValueError(f"its transformer is a {config.model_type!r}, which gives no states of tokens")
    texts = ColbertTexts(_tokenizer(folder, config), style)
    _check_lengths(style, config)
    transformer = load_model(profile, folder, config, strictly(MODEL_MAPPING[type(config)], UNREAD))
    layers, width = [], config.hidden_size
    for each in projections:
        layers.append(_dense(folder, each, width))
        width = layers[-1].linear.out_features
    model = ColbertModel(transformer, [each.to(transformer.device, transformer.dtype) for each in layers]).eval()
    in_memory(model.projections)
    patterns = ("*.json", "vocab.txt", "artifact.metadata", "*.safetensors")
    files = [path for pattern in patterns for path in sorted(folder.glob(pattern))]
    files += [folder / each.folder / name for each in projections if each.folder for name in _DENSE_FILES]
    return ColbertEncoder(model, texts, f"colbert-{ENCODING_VERSION}-{digest(files)}")


_DENSE_FILES = ("config.json", "model.safetensors")


def _tokenizer(folder: Path, config: PreTrainedConfig) -> PreTrainedTokenizerBase:
    if not any((folder / name).is_file() for name in ("tokenizer.json", "vocab.txt")):
        raise ValueError("it has no tokenizer: neither tokenizer.json nor vocab.txt")
    tokenizer = AutoTokenizer.from_pretrained(folder, **HERE)
    if not tokenizer.is_fast:
        raise ValueError("its tokenizer has no fast kind, which tells where pieces stand; add its tokenizer.json")
    if (most := max(tokenizer.get_vocab().values(), default=0)) >= config.vocab_size:
        raise ValueError(f"its tokenizer has {most + 1} pieces and its transformer {config.vocab_size}")
    return tokenizer


def _check_lengths(style: Style, config: PreTrainedConfig) -> None:
    most = getattr(config, "max_position_embeddings", None)
    if not isinstance(most, int) or most < 1:
        return
    most -= (config.pad_token_id or 0) + 1 if config.model_type in _OFFSET else 0
    for called, length in (("questions", style.query_length), ("passages", style.passage_length)):
        if length > most:
            raise ValueError(f"{called} are said to have up to {length} tokens and the transformer reads {most}")


def _dense(folder: Path, described: Projection, width: int) -> Dense:
    """The layer with its weights, float32 on the CPU. Raises ValueError where they are not those described."""
    if described.folder:
        place = folder / described.folder / "model.safetensors"
        if not place.is_file():
            raise ValueError(f"the Dense layer {described.folder} has no model.safetensors")
        weights = _tensors(place)
    else:
        weights = {}
        for file in sorted(folder.glob("*.safetensors")):
            weights |= _tensors(file, only="linear.weight")
        if not weights:
            raise ValueError("its weights have no linear.weight, which makes vectors of the transformer's states")
    called = described.folder or "linear.weight"
    matrix = weights.get("linear.weight")
    if matrix is None or matrix.ndim != 2:
        raise ValueError(f"{called} has no matrix linear.weight")
    dim, wide = matrix.shape
    if wide != width or described.width not in (None, wide) or described.dim not in (None, dim):
        told = f"{described.dim or dim} by {described.width or width}"
        raise ValueError(f"{called} holds a matrix of {dim} by {wide}; {told} is said, and {width} come in")
    layer = Dense(described, wide, dim)
    wanted = {name: tuple(each.shape) for name, each in layer.state_dict().items()}
    if wanted != {name: tuple(each.shape) for name, each in weights.items()}:
        held = shown(sorted(weights), 120)
        raise ValueError(f"{called} holds {held} where {sorted(wanted)} belong, or of other sizes")
    layer.load_state_dict(weights)
    return layer


def _tensors(file: Path, only: str = "") -> dict[str, torch.Tensor]:
    with safe_open(str(file), framework="pt", device="cpu") as held:
        names = [name for name in held.keys() if not only or name == only]  # noqa: SIM118  it is no dict
        return {name: held.get_tensor(name).float() for name in names}
