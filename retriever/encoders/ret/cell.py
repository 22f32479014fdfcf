"""ReT's recurrent cell (arXiv 2503.01980): one step for each pair of layers of the two towers.

Parameter names are those of the published checkpoints. Knows nothing of towers, queries or passages.
"""

from __future__ import annotations

import torch
from torch import nn
from transformers.activations import ACT2FN

from retriever.encoders.ret.configuration import RetSideConfig


class RetCell(nn.Module):
    """A few learned vectors that look at the text and at the picture, layer by layer, and keep of both what their gates
    let through."""

    def __init__(self, config: RetSideConfig):
        super().__init__()
        width = config.hidden_size
        self.query_hidden_states = nn.Parameter(0.02 * torch.randn(1, config.num_queries, width))
        self.register_buffer("query_state_ids", _places(config.num_queries, width)[None])
        self.register_buffer("forget_gate_bias_prior", torch.tensor(config.forget_gate_bias_prior))
        self.register_buffer("input_gate_bias_prior", torch.tensor(config.input_gate_bias_prior))
        self.xa_ln = nn.LayerNorm(width)
        self.sa_ln = nn.LayerNorm(width)  # in every checkpoint, and read by nothing
        self.sa = _attention(config, bias=True)
        for name in ("text", "vision"):
            self.add_module(f"{name}_ln", nn.LayerNorm(width))
            self.add_module(f"{name}_xa", _attention(config, bias=False))
            self.add_module(f"{name}_input_gate_w", nn.Linear(width, width))
            self.add_module(f"{name}_forget_gate_w", nn.Linear(width, width))
        self.mlp_ln = nn.LayerNorm(width)
        self.mlp = nn.Sequential(
            nn.Linear(width, config.intermediate_size),
            ACT2FN[config.activation_fn],
            nn.Dropout(config.dropout_p),
            nn.Linear(config.intermediate_size, width),
        )

    def start(self, batch: int) -> torch.Tensor:
        """(batch, queries, width): what the first step goes on from."""
        return self.query_hidden_states.expand(batch, -1, -1)

    def forward(
        self,
        states: torch.Tensor,
        text: torch.Tensor | None,
        padding: torch.Tensor | None,
        text_mask: torch.Tensor,
        vision: torch.Tensor | None,
        image_mask: torch.Tensor,
    ) -> torch.Tensor:
        """One step: `states` (B, queries, width) and what comes after it.

        `text` (B, L, width) and `vision` (B, patches, width): states of a layer of each tower; None where none of the
        batch has one. `padding` (B, L) bool: True where there is no token. `text_mask`, `image_mask` (B,): 1 where
        there is a text, a picture, and 0 where what is given stands in for one and counts nothing."""
        states = states + self.query_state_ids
        asking = self.xa_ln(states)
        kept = states + self.sa(asking, asking, asking, need_weights=False)[0]
        forgetting, let_in = self.forget_gate_bias_prior, 0
        for name, seen, unseen, mask in (("text", text, padding, text_mask), ("vision", vision, None, image_mask)):
            if seen is None:
                continue
            seen = getattr(self, f"{name}_ln")(seen)
            found = getattr(self, f"{name}_xa")(asking, seen, seen, key_padding_mask=unseen, need_weights=False)[0]
            there = mask[:, None, None].to(found.dtype)
            gate = getattr(self, f"{name}_input_gate_w")(found) + self.input_gate_bias_prior
            let_in = let_in + found * gate.sigmoid() * there
            forgetting = forgetting + getattr(self, f"{name}_forget_gate_w")(found) * there
        states = kept * forgetting.sigmoid() + let_in
        return states + self.mlp(self.mlp_ln(states))


def _attention(config: RetSideConfig, bias: bool) -> nn.MultiheadAttention:
    heads, dropout = config.num_attention_heads, config.attention_dropout
    return nn.MultiheadAttention(config.hidden_size, heads, dropout, bias=bias, batch_first=True)


def _places(count: int, width: int) -> torch.Tensor:
    """(count, width): sines and cosines by turns (arXiv 1706.03762, section 3.5)."""
    waves = torch.arange(count)[:, None] / 10_000 ** (torch.arange(0, width, 2) / width)
    return torch.stack([waves.sin(), waves.cos()], -1).flatten(1)
