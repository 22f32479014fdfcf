"""Configurations of ReT: of one side, query or passage, and of the whole model.

Field names are those of the published checkpoints, so that their `config.json` loads as it lies. Knows nothing of
weights, files or the network.
"""

from __future__ import annotations

from transformers import CLIPTextConfig, CLIPVisionConfig, PreTrainedConfig
from transformers.activations import ACT2FN

# Which layers of the text and of the vision tower the cell reads, one step each, counted from 0 after the first, as the
# published checkpoints were trained.
LAYERS = {
    "clip_vit_b": (tuple(range(12)), tuple(range(12))),
    "clip_vit_l": (tuple(range(12)), tuple(range(0, 24, 2))),
    "openclip_vit_h": (tuple(range(1, 24, 2)), (0, *range(2, 30, 3), 31)),
    "openclip_vit_g": ((*range(0, 30, 2), 31), tuple(range(2, 48, 3))),
}
HEAD_WIDTH = 64
_TOWERS = {"text_config": CLIPTextConfig, "vision_config": CLIPVisionConfig}


class RetSideConfig(PreTrainedConfig):
    """One side: two CLIP towers and the recurrent cell over their layers.

    `num_queries` vectors of `late_proj_output_size` come out. `hidden_size` is the width of the cell, whose attention
    heads are 64 wide each. `layer_strategy` is one of LAYERS. The priors are what a new cell's gates start with; a
    checkpoint holds its own. Raises ValueError for what this is no model of."""

    model_type = "ret"
    sub_configs = _TOWERS

    text_config: dict | PreTrainedConfig | None = None
    vision_config: dict | PreTrainedConfig | None = None
    num_queries: int = 32
    hidden_size: int = 1024
    intermediate_size: int | None = None
    late_proj_output_size: int = 128
    layer_strategy: str = "clip_vit_b"
    activation_fn: str = "gelu"
    dropout_p: float = 0.05
    attention_dropout: float = 0.05
    input_gate_bias_prior: float = 0.0
    forget_gate_bias_prior: float = 0.0
    use_tanh: bool = False
    use_pooler_features: bool = False
    is_text_frozen: bool = True
    is_vision_frozen: bool = True

    def __post_init__(self, **kwargs):
        for name, kind in _TOWERS.items():
            setattr(self, name, _tower(getattr(self, name), kind))
        if self.layer_strategy not in LAYERS:
            raise ValueError(f"layer_strategy cannot be {self.layer_strategy!r}; known are {', '.join(LAYERS)}")
        for chosen, tower in zip(LAYERS[self.layer_strategy], (self.text_config, self.vision_config), strict=True):
            if max(chosen) >= tower.num_hidden_layers:
                raise ValueError(
                    f"layer_strategy {self.layer_strategy} reads layer {max(chosen)} of a tower that has "
                    f"{tower.num_hidden_layers}"
                )
        if self.hidden_size % HEAD_WIDTH:
            raise ValueError(f"hidden_size cannot be {self.hidden_size}, as attention heads are {HEAD_WIDTH} wide")
        if self.activation_fn not in ACT2FN:
            raise ValueError(f"activation_fn cannot be {self.activation_fn!r}")
        for name in ("use_tanh", "use_pooler_features"):  # no published checkpoint has them
            if getattr(self, name):
                raise ValueError(f"{name} is not supported")
        self.intermediate_size = self.intermediate_size or 4 * self.hidden_size
        super().__post_init__(**kwargs)

    @property
    def num_attention_heads(self) -> int:
        return self.hidden_size // HEAD_WIDTH

    @num_attention_heads.setter
    def num_attention_heads(self, value: int) -> None:
        """It follows from the width, whatever a file says."""


class RetConfig(PreTrainedConfig):
    """Configuration of `RetModelForRetrieval` (arXiv 2503.01980).

    `share_text_models`, `share_vision_models`: whether both sides have the query side's towers;
    `share_query_passage_models`: whether passages are encoded by the query side altogether. `fg_loss` and
    `simmetric_loss` (so the files spell it) say how a checkpoint was trained. Raises ValueError for what this is no
    model of."""

    model_type = "retriever"
    sub_configs = {"query_config": RetSideConfig, "passage_config": RetSideConfig}

    query_config: dict | RetSideConfig | None = None
    passage_config: dict | RetSideConfig | None = None
    share_text_models: bool = True
    share_vision_models: bool = True
    share_query_passage_models: bool = False
    fg_loss: bool = True
    simmetric_loss: bool = True
    initializer_range: float = 0.02

    def __post_init__(self, **kwargs):
        kind = kwargs.get("model_type", self.model_type)
        if kind != self.model_type:
            raise ValueError(f"the configuration is one of a {kind!r} model, not of {self.model_type!r}")
        for name in self.sub_configs:
            side = getattr(self, name)
            if not isinstance(side, PreTrainedConfig):
                setattr(self, name, RetSideConfig(**_cleaned(side, RetSideConfig)))
        query, passage = self.query_config, self.passage_config
        if query.late_proj_output_size != passage.late_proj_output_size:
            raise ValueError(
                f"vectors of queries have {query.late_proj_output_size} dimensions and those of passages "
                f"{passage.late_proj_output_size}"
            )
        for name, shared in (("text_config", self.share_text_models), ("vision_config", self.share_vision_models)):
            if shared and getattr(query, name).hidden_size != getattr(passage, name).hidden_size:
                raise ValueError(f"queries and passages share a tower and have another {name}")
        super().__post_init__(**kwargs)

    @property
    def dim(self) -> int:
        return self.query_config.late_proj_output_size


def _tower(given: dict | PreTrainedConfig | None, kind: type[PreTrainedConfig]) -> PreTrainedConfig:
    return given if isinstance(given, PreTrainedConfig) else kind(**_cleaned(given, kind))


def _cleaned(fields: dict | None, kind: type[PreTrainedConfig]) -> dict:
    """The fields of a configuration inside another without the bookkeeping of other versions of transformers, but for
    the model that it was made from. Raises ValueError for one of another kind."""
    fields = fields or {}
    if not isinstance(fields, dict) or fields.get("model_type", kind.model_type) != kind.model_type:
        raise ValueError(f"there is {str(fields)[:80]!r} where a configuration of {kind.model_type!r} has to be")
    ours = ("model_type", "transformers_version")
    kept = {k: v for k, v in fields.items() if not k.startswith("_") and k not in ours}
    return {**kept, "name_or_path": str(fields.get("_name_or_path", ""))}
