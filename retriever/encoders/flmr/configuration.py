"""Configurations of the FLMR model and of its towers.

Field names are those of the published FLMR and PreFLMR checkpoints, so that their `config.json` loads as it
lies. Knows nothing of weights, files other than a mapping network's `config.json`, or the network.
"""

from __future__ import annotations

import json
import logging
from pathlib import Path

from transformers import BertConfig, CLIPVisionConfig, PreTrainedConfig

# Fields of published configurations that change nothing here: bookkeeping, how the authors loaded their extension,
# and which image processor belongs to the tower (that follows from the tower's size).
_WITHOUT_EFFECT = {
    *("architectures", "attn_implementation", "auto_map", "dtype", "model_type", "name_or_path", "num_labels"),
    *("load_cpu_extension", "torch_dtype", "transformers_version", "vision_model_version"),
}

log = logging.getLogger(__name__)


class FLMRTextConfig(BertConfig):
    """The text tower: BERT."""

    model_type = "flmr_text_model"
    base_config_key = "text_config"


class FLMRVisionConfig(CLIPVisionConfig):
    """The vision tower of the published checkpoints: CLIP's vision transformer."""

    model_type = "flmr_vision_model"
    base_config_key = "vision_config"


class EfficientNetLiteConfig(PreTrainedConfig):
    """The vision tower of the `mini` profile: EfficientNet-Lite (Tan and Le, arXiv 1905.11946; the Lite variants
    drop squeeze-and-excitation and swish).

    `width` and `depth` are the compound scaling factors; the defaults are Lite2. `hidden_size` is the width of
    the last convolution. `num_labels` is the size of the classification head. With `mirror` every photo is seen
    turned left to right as well, and the features are the mean of both.
    """

    model_type = "efficientnet_lite"
    base_config_key = "vision_config"

    width: float = 1.1
    depth: float = 1.2
    image_size: int = 260
    hidden_size: int = 1280
    num_labels: int = 1000
    mirror: bool = False

    @property
    def patch_size(self) -> int:
        """Pixels across of what a cell of the grid stands for: the total stride."""
        return 32


PROJECTION_ACTIVATIONS = ("tanh", "softmax")
VISION_CONFIGS = {c.model_type: c for c in (FLMRVisionConfig, EfficientNetLiteConfig)}


class FLMRConfig(PreTrainedConfig):
    """Configuration of `FLMRModelForRetrieval` (PreFLMR, arXiv 2402.08327, section 3).

    Fields that nothing here knows are kept, with a warning. Raises ValueError for one that contradicts the model.

    The published files leave what the tokenizer says to the tokenizer. Here it can stand in the configuration, so
    that a saved model is whole: `skip_token_ids`, the ids whose rows documents drop (padding, punctuation), and
    `instruction_token_id`, the id that ends a query's instruction; None where not known yet.

    Five more fields are extensions of our own, whose defaults give the published model:

    * `vision_projection_activation`: "tanh", or "softmax", which makes the hidden layer of the vision projection
      a probability distribution over visual concepts;
    * `vision_projection_hidden_size`: width of that layer; None means `dim * mapping_network_prefix_length // 2`;
    * `transformer_mapping_reads_projection`: whether the mapping network sees each patch as that hidden layer does,
      instead of the tower's own features;
    * `query_vector_weights`: whether the model learns how much each query vector counts in the score;
    * `patch_share`: then, what all patches together count, as a part of what the prefix counts.
    """

    model_type = "flmr"
    sub_configs = {"text_config": FLMRTextConfig}

    text_config: dict | FLMRTextConfig | None = None
    vision_config: dict | PreTrainedConfig | None = None
    dim: int = 128
    mapping_network_prefix_length: int = 32
    use_vision_encoder: bool = True
    separate_query_and_context_text_encoder: bool = False
    separate_query_and_context_vision_encoder: bool = False
    query_concat_output_from_text_encoder: bool = True
    query_concat_output_from_vision_encoder: bool = True
    context_concat_output_from_text_encoder: bool = True
    context_concat_output_from_vision_encoder: bool = False
    use_transformer_mapping_network: bool = False
    transformer_mapping_config_base: str | dict | None = None
    transformer_mapping_num_hidden_layers: int | None = None
    transformer_mapping_cross_attention_length: int = 32
    mask_punctuation: bool = True
    mask_instruction_token: str | None = None
    vision_projection_activation: str = "tanh"
    vision_projection_hidden_size: int | None = None
    transformer_mapping_reads_projection: bool = False
    query_vector_weights: bool = False
    patch_share: float = 1.0
    skip_token_ids: list[int] | None = None
    instruction_token_id: int | None = None
    initializer_range: float = 0.02

    def __post_init__(self, **kwargs):
        kind = kwargs.get("model_type", self.model_type)
        if kind != self.model_type:
            raise ValueError(f"the configuration is one of a {kind!r} model, not of {self.model_type!r}")
        if self.vision_projection_activation not in PROJECTION_ACTIVATIONS:
            raise ValueError(f"vision_projection_activation cannot be {self.vision_projection_activation!r}")
        unknown = [
            k for k in kwargs if k[0] != "_" and k not in _WITHOUT_EFFECT and not hasattr(PreTrainedConfig, k)
        ]
        if unknown:
            log.warning("The configuration has fields that nothing here uses: %s.", ", ".join(sorted(unknown)))
        if not isinstance(self.text_config, PreTrainedConfig):
            self.text_config = FLMRTextConfig(**_clean(self.text_config))
        if not isinstance(self.vision_config, PreTrainedConfig):
            described = _clean(self.vision_config)
            kind = described.get("model_type", FLMRVisionConfig.model_type)
            if kind not in VISION_CONFIGS:
                raise ValueError(
                    f"vision tower {kind!r} is unknown; known are {', '.join(sorted(VISION_CONFIGS))}"
                )
            self.vision_config = VISION_CONFIGS[kind](**described)
        super().__post_init__(**kwargs)

    @property
    def projection_hidden_size(self) -> int:
        return self.vision_projection_hidden_size or self.dim * self.mapping_network_prefix_length // 2

    def mapping_config(self) -> BertConfig:
        """The transformer mapping network as a BERT decoder configuration (decoder only so that it has
        cross-attention; its self-attention is bidirectional).

        `transformer_mapping_config_base` is a dictionary, `bert-base-uncased`, or a folder (beside the
        checkpoint or as given) with a `config.json`, whose fields then take its place, so that a model saved
        elsewhere needs no folder. Raises ValueError for anything else: a configuration never reaches for the network.
        """
        base = self.transformer_mapping_config_base
        if base in ("bert-base-uncased", "google-bert/bert-base-uncased"):
            base = {}
        elif not isinstance(base, dict):
            base = self.transformer_mapping_config_base = self._mapping_base(str(base))
        decides = ("model_type", "num_hidden_layers", "is_decoder", "add_cross_attention", "architectures")
        return BertConfig(
            **{k: v for k, v in _clean(base).items() if k not in decides},
            num_hidden_layers=self.transformer_mapping_num_hidden_layers or 1,
            is_decoder=True,
            add_cross_attention=True,
        )

    def _mapping_base(self, base: str) -> dict:
        for folder in (Path(self.name_or_path) / base, Path(base)):
            if (folder / "config.json").is_file():
                fields = json.loads((folder / "config.json").read_text(encoding="utf-8"))
                if not isinstance(fields, dict):
                    raise ValueError(f"{folder / 'config.json'} is no configuration")
                return _clean(fields)
        raise ValueError(
            f"the mapping network's base configuration {base!r} is neither bert-base-uncased nor a folder "
            "with a config.json beside the checkpoint"
        )


def _clean(fields: dict | None) -> dict:
    """The fields without transformers' own bookkeeping, which other versions do not take."""
    return {k: v for k, v in (fields or {}).items() if not k.startswith("_") and k != "transformers_version"}
