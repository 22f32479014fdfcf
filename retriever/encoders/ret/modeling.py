"""ReT as a transformers model (arXiv 2503.01980): queries and passages, each of a text, a picture or both, as a few
vectors that belong to neither words nor places.

Parameter names are those of the published checkpoints; a checkpoint loads whole or not at all. Knows nothing of
indexes, tokenizers or image decoding.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn
from transformers import CLIPTextModel, CLIPVisionModel
from transformers.utils import ModelOutput

from retriever.encoders.ret.cell import RetCell
from retriever.encoders.ret.configuration import LAYERS, RetConfig, RetSideConfig
from retriever.encoders.strict import StrictModel


@dataclass
class RetOutput(ModelOutput):
    """`late_interaction_output` (B, num_queries, dim) float32: unit rows."""

    late_interaction_output: torch.Tensor | None = None


class RetTower(nn.Module):
    """A CLIP tower under the published names, and the layers of it that the cell reads."""

    def __init__(self, tower: CLIPTextModel | CLIPVisionModel, name: str):
        super().__init__()
        self.add_module(name, tower)

    def forward(self, layers: tuple[int, ...], **inputs: torch.Tensor) -> list[torch.Tensor]:
        """Of each of `layers`, its states (B, n, hidden)."""
        [tower] = self.children()
        states = tower(**inputs, output_hidden_states=True).hidden_states[1:]
        return [states[layer] for layer in layers]


class RetSide(nn.Module):
    """The queries' or the passages' side: adapters for each layer that is read, the cell, the last projection; and the
    towers, where they are its own."""

    def __init__(self, config: RetSideConfig, text_model: bool, vision_model: bool):
        super().__init__()
        self.layers = LAYERS[config.layer_strategy]
        if text_model:
            self.text_model = RetTower(CLIPTextModel(config.text_config), "text_model")
        if vision_model:
            self.vision_model = RetTower(CLIPVisionModel(config.vision_config), "vision_model")
        for name, chosen in zip(("text", "vision"), self.layers, strict=True):
            width = getattr(config, f"{name}_config").hidden_size
            adapters = nn.ModuleList(nn.Linear(width, config.hidden_size) for _ in chosen)
            self.add_module(f"{name}_adapter", adapters)
        self.ret_cell = RetCell(config)
        self.late_proj = nn.Linear(config.hidden_size, config.late_proj_output_size, bias=False)

    def forward(
        self,
        text: list[torch.Tensor] | None,
        padding: torch.Tensor | None,
        vision: list[torch.Tensor] | None,
        text_mask: torch.Tensor,
        image_mask: torch.Tensor,
    ) -> torch.Tensor:
        """(B, num_queries, dim) float32, unit rows, of the states of the chosen layers of each tower; the rest as of
        RetCell.forward."""
        states = self.ret_cell.start(len(text_mask))
        for step in range(len(self.layers[0])):
            read = None if text is None else self.text_adapter[step](text[step])
            shown = None if vision is None else self.vision_adapter[step](vision[step])
            states = self.ret_cell(states, read, padding, text_mask, shown, image_mask)
        return nn.functional.normalize(self.late_proj(states).float(), dim=-1)


class RetModelForRetrieval(StrictModel):
    """Query and passage encoders, whose vectors are compared by MaxSim."""

    config: RetConfig
    config_class = RetConfig
    base_model_prefix = "ret"
    _supports_sdpa = True
    supports_gradient_checkpointing = True
    _no_split_modules = ["CLIPEncoderLayer", "RetCell"]
    # Older versions of transformers saved the positions' numbers with the towers.
    _keys_to_ignore_on_load_unexpected = [r"(text|vision)_model\.embeddings\.position_ids$"]

    def __init__(self, config: RetConfig):
        super().__init__(config)
        self.query_model = RetSide(config.query_config, text_model=True, vision_model=True)
        if not config.share_query_passage_models:
            own_text, own_vision = not config.share_text_models, not config.share_vision_models
            self.passage_model = RetSide(config.passage_config, own_text, own_vision)
        self.post_init()

    def query(
        self,
        input_ids: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        pixel_values: torch.Tensor | None = None,
        text_mask: torch.Tensor | None = None,
        image_mask: torch.Tensor | None = None,
        vision_states: list[torch.Tensor] | None = None,
    ) -> RetOutput:
        """Encodes queries.

        `input_ids`, `attention_mask` (B, L) int64; None where none has a text. `pixel_values` (B, 3, H, W); None where
        none has a picture, which spares the tower; instead, what `vision_states` made of them. `text_mask`,
        `image_mask` (B,): 1 where there is one, 0 where what is given stands in for one and counts nothing; None where
        all that is given counts. Raises ValueError without text and picture."""
        if pixel_values is not None:
            vision_states = self.vision_states(pixel_values)
        return self._encoded(self.query_model, input_ids, attention_mask, vision_states, text_mask, image_mask)

    def passage(
        self,
        input_ids: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        pixel_values: torch.Tensor | None = None,
        text_mask: torch.Tensor | None = None,
        image_mask: torch.Tensor | None = None,
    ) -> RetOutput:
        """Encodes passages, given as queries are."""
        side = self.query_model if self.config.share_query_passage_models else self.passage_model
        states = None if pixel_values is None else self._vision_states(side, pixel_values)
        return self._encoded(side, input_ids, attention_mask, states, text_mask, image_mask)

    def vision_states(self, pixel_values: torch.Tensor) -> list[torch.Tensor]:
        """What the queries' cell reads of pictures, whatever is asked of them: (B, patches + 1, hidden), one a step."""
        return self._vision_states(self.query_model, pixel_values)

    def _vision_states(self, side: RetSide, pixel_values: torch.Tensor) -> list[torch.Tensor]:
        tower = getattr(side, "vision_model", self.query_model.vision_model)
        return tower(side.layers[1], pixel_values=pixel_values)

    def _encoded(
        self,
        side: RetSide,
        input_ids: torch.Tensor | None,
        attention_mask: torch.Tensor | None,
        vision: list[torch.Tensor] | None,
        text_mask: torch.Tensor | None,
        image_mask: torch.Tensor | None,
    ) -> RetOutput:
        if input_ids is None and vision is None:
            raise ValueError("give input_ids, pixel_values, or both")
        text = padding = None
        if input_ids is not None:
            mask = torch.ones_like(input_ids) if attention_mask is None else attention_mask
            tower = getattr(side, "text_model", self.query_model.text_model)
            text, padding = tower(side.layers[0], input_ids=input_ids, attention_mask=mask), mask == 0
        given = (text or vision)[0]
        ones = torch.ones(len(given), device=given.device)
        masks = (ones if mask is None else mask for mask in (text_mask, image_mask))
        return RetOutput(late_interaction_output=side(text, padding, vision, *masks))


def late_interaction_scores(query: torch.Tensor, passage: torch.Tensor) -> torch.Tensor:
    """MaxSim (Q, P) of queries (Q, n, dim) with passages (P, m, dim)."""
    return torch.einsum("qnd,pmd->qpnm", query, passage).amax(-1).sum(-1)
