"""A text ColBERT: a transformer of `transformers`, and linear layers from its states to vectors that are searched with.

Knows nothing of tokenizers, files or indexes.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn
from transformers import PreTrainedModel

from retriever.encoders.colbert.layout import Projection

# By the last part of the name that a configuration gives, which is never imported.
ACTIVATIONS = {"Identity": nn.Identity, "Tanh": nn.Tanh, "ReLU": nn.ReLU, "GELU": nn.GELU, "SiLU": nn.SiLU}


class Dense(nn.Module):
    """A linear layer, and what is added to it. Parameter names are PyLate's. Raises ValueError for an activation that
    is not known."""

    def __init__(self, described: Projection, width: int, dim: int):
        super().__init__()
        path, _, name = described.activation.rpartition(".")
        if described.activation and (name not in ACTIVATIONS or not path.startswith("torch.nn")):
            raise ValueError(f"activation_function cannot be {described.activation[:80]!r}")
        self.linear = nn.Linear(width, dim, bias=described.bias)
        self.activation = ACTIVATIONS[name or "Identity"]()
        self.adds = described.residual
        if described.residual and width != dim:
            self.residual = nn.Linear(width, dim, bias=False)

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        made = self.activation(self.linear(states))
        if self.adds:
            made = made + (self.residual(states) if hasattr(self, "residual") else states)
        return made


class ColbertModel(nn.Module):
    """`dim`: of its vectors."""

    def __init__(self, transformer: PreTrainedModel, projections: Sequence[Dense]):
        super().__init__()
        self.transformer = transformer
        self.projections = nn.ModuleList(projections)
        self.dim: int = projections[-1].linear.out_features

    @property
    def device(self) -> torch.device:
        return self.transformer.device

    def num_parameters(self) -> int:
        return sum(each.numel() for each in self.parameters())

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """(B, L, dim) float32, unit rows, of token ids and their mask, both (B, L) int64."""
        states = self.transformer(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        for each in self.projections:
            states = each(states)
        return nn.functional.normalize(states.float(), dim=-1)
