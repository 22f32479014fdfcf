"""FLMR and PreFLMR as transformers models (FLMR: arXiv 2309.17133, section 3; PreFLMR: arXiv 2402.08327, section 3).

A query is a set of vectors: the question's tokens, a few prefix tokens that the vision projection makes of the
whole photo, and one for each patch, made by a mapping network that looks at the question. A document is one vector
a token. Parameter names are those of the published checkpoints. Knows nothing of indexes, files or image decoding.
"""

from __future__ import annotations

import string
from dataclasses import dataclass

import torch
from torch import nn
from transformers import BertModel, CLIPVisionModel, PreTrainedModel
from transformers.models.bert.modeling_bert import BertLayer
from transformers.utils import ModelOutput

from .configuration import EfficientNetLiteConfig, FLMRConfig, FLMRTextConfig, FLMRVisionConfig
from .efficientnet_lite import EfficientNetLiteModel

_ACTIVATIONS = {"tanh": nn.Tanh, "softmax": lambda: nn.Softmax(dim=-1)}


@dataclass
class FLMRQueryOutput(ModelOutput):
    """`late_interaction_output` (B, n, dim): unit rows, or zero where a token is masked; text, prefix and patch
    rows in that order. `vector_weights` (B, n): how much each counts, >= 0; all ones in published models."""

    late_interaction_output: torch.Tensor | None = None
    vector_weights: torch.Tensor | None = None


@dataclass
class FLMRContextOutput(ModelOutput):
    """`late_interaction_output` (B, tokens, dim): unit rows, zero where masked. `context_mask` (B, tokens, 1)
    uint8: 1 where a row counts."""

    late_interaction_output: torch.Tensor | None = None
    context_mask: torch.Tensor | None = None


@dataclass
class FLMRModelOutput(ModelOutput):
    """`loss`: in-batch contrastive loss. `scores` (B, documents per query)."""

    loss: torch.Tensor | None = None
    scores: torch.Tensor | None = None


class FLMRTextModel(nn.Module):
    """The text tower under the published name `bert_model`."""

    def __init__(self, config: FLMRTextConfig):
        super().__init__()
        self.bert_model = BertModel(config)

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        return self.bert_model(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state


class FLMRVisionModel(nn.Module):
    """CLIP's vision tower under the published names `vision_model.vision_model`."""

    def __init__(self, config: FLMRVisionConfig):
        super().__init__()
        self.vision_model = nn.Module()
        self.vision_model.vision_model = CLIPVisionModel(config)

    def forward(self, pixel_values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Returns the CLS state of the last layer before the final norm, (B, hidden), and the patch states of the
        layer before it, (B, patches, hidden)."""
        out = self.vision_model.vision_model(pixel_values=pixel_values, output_hidden_states=True)
        return out.last_hidden_state[:, 0], out.hidden_states[-2][:, 1:]


def _vision_tower(config: FLMRVisionConfig | EfficientNetLiteConfig) -> nn.Module:
    if isinstance(config, EfficientNetLiteConfig):
        return EfficientNetLiteModel(config)
    return FLMRVisionModel(config)


class FLMRMultiLayerPerceptron(nn.Module):
    """The vision projection: pooled features to `prefix_length` vectors (FLMR, section 3.1)."""

    def __init__(self, config: FLMRConfig):
        super().__init__()
        hidden = config.projection_hidden_size
        self.model = nn.Sequential(
            nn.Linear(config.vision_config.hidden_size, hidden),
            _ACTIVATIONS[config.vision_projection_activation](),
            nn.Linear(hidden, config.dim * config.mapping_network_prefix_length),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.model(x)


class FLMRMappingNetwork(nn.Module):
    """BERT layers over the patches that look across at the question (PreFLMR, section 3.1)."""

    def __init__(self, config: FLMRConfig):
        super().__init__()
        bert = config.mapping_config()
        bert._attn_implementation = config._attn_implementation
        self.layer = nn.ModuleList(BertLayer(bert, layer_idx=i) for i in range(bert.num_hidden_layers))
        for layer in self.layer:
            # A decoder only for its cross-attention: the patches see each other in both directions.
            layer.attention.self.is_causal = False

    def forward(self, patches: torch.Tensor, question: torch.Tensor) -> torch.Tensor:
        for layer in self.layer:
            patches = layer(patches, encoder_hidden_states=question)
        return patches


class FLMRVectorWeights(nn.Module):
    """How much each query vector counts: from the text states, fixed for each prefix vector, and from the mapping
    network's states for patches, which share a fixed part of what the prefix counts. An extension of ours; the
    published models weigh all alike."""

    def __init__(self, config: FLMRConfig):
        super().__init__()
        self.text = nn.Linear(config.text_config.hidden_size, 1)
        self.prefix = nn.Parameter(torch.zeros(config.mapping_network_prefix_length))
        self.patch = nn.Linear(config.text_config.hidden_size, 1)


class FLMRModelForRetrieval(PreTrainedModel):
    """Query and document encoders, and the late-interaction score between them."""

    config: FLMRConfig
    config_class = FLMRConfig
    base_model_prefix = "flmr"
    supports_gradient_checkpointing = True
    _supports_sdpa = True
    _no_split_modules = ["BertLayer", "CLIPEncoderLayer", "InvertedBottleneck"]

    def __init__(self, config: FLMRConfig):
        super().__init__(config)
        text, vision = config.text_config, config.vision_config
        self.query_text_encoder = FLMRTextModel(text)
        self.query_text_encoder_linear = nn.Linear(text.hidden_size, config.dim, bias=False)
        if config.separate_query_and_context_text_encoder:
            self.context_text_encoder = FLMRTextModel(text)
            self.context_text_encoder_linear = nn.Linear(text.hidden_size, config.dim, bias=False)
        if config.use_vision_encoder:
            self.query_vision_encoder = _vision_tower(vision)
            self.query_vision_projection = FLMRMultiLayerPerceptron(config)
            if config.separate_query_and_context_vision_encoder:
                self.context_vision_encoder = _vision_tower(vision)
                self.context_vision_projection = FLMRMultiLayerPerceptron(config)
        if config.use_transformer_mapping_network:
            width = vision.hidden_size
            if config.transformer_mapping_reads_projection:
                width = config.projection_hidden_size
            self.transformer_mapping_input_linear = nn.Linear(width, text.hidden_size)
            self.transformer_mapping_network = FLMRMappingNetwork(config)
            self.transformer_mapping_output_linear = nn.Linear(text.hidden_size, config.dim)
        if config.query_vector_weights:
            self.query_vector_weights = FLMRVectorWeights(config)
        # Token ids are the tokenizer's; `bind_tokenizer` sets them.
        self.skip_ids: torch.Tensor | None = None
        self.instruction_id: int | None = None
        self.post_init()

    def bind_tokenizer(self, tokenizer) -> None:
        """Learns from the tokenizer which ids are punctuation and which ends an instruction."""
        punctuation = (
            tokenizer.convert_tokens_to_ids(list(string.punctuation)) if self.config.mask_punctuation else []
        )
        self.skip_ids = torch.tensor(sorted({tokenizer.pad_token_id, *punctuation}))
        if self.config.mask_instruction_token is not None:
            self.instruction_id = tokenizer.convert_tokens_to_ids(self.config.mask_instruction_token)

    # Queries

    def query(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        pixel_values: torch.Tensor | None = None,
    ) -> FLMRQueryOutput:
        """Encodes queries.

        `input_ids`, `attention_mask` (B, L) int64. `pixel_values` (B, 3, H, W), or (B, regions, 3, H, W) for several
        regions of one photo, or None for a query of text alone."""
        states = self.query_text_encoder(input_ids, attention_mask)
        rows, weights = [], []
        if self.config.query_concat_output_from_text_encoder:
            mask = self.query_mask(input_ids).to(states.dtype)
            rows.append(self.query_text_encoder_linear(states) * mask[..., None])
            weights.append(self._text_weights(states, mask, attention_mask))
        if pixel_values is not None and self.config.query_concat_output_from_vision_encoder:
            pooled, patches = self.vision_features(pixel_values)
            for vectors, weight in self.vision_rows(pooled, patches, states):
                rows.append(vectors)
                weights.append(weight)
        output = nn.functional.normalize(torch.cat(rows, 1), dim=-1)
        return FLMRQueryOutput(late_interaction_output=output, vector_weights=torch.cat(weights, 1))

    def vision_features(self, pixel_values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Pooled features (B, regions, hidden) and patch features (B, regions * patches, hidden) of photos."""
        if pixel_values.dim() == 4:
            pixel_values = pixel_values[:, None]
        batch, regions = pixel_values.shape[:2]
        pooled, patches = self.query_vision_encoder(pixel_values.flatten(0, 1))
        return pooled.unflatten(0, (batch, regions)), patches.reshape(batch, -1, patches.shape[-1])

    def vision_rows(
        self, pooled: torch.Tensor, patches: torch.Tensor, states: torch.Tensor
    ) -> list[tuple[torch.Tensor, torch.Tensor]]:
        """The prefix rows and, with a mapping network, the patch rows: pairs of vectors (B, n, dim), not yet
        normalised, and weights (B, n). `states` (B, L, text hidden): the question's states."""
        batch, regions = pooled.shape[:2]
        prefix = self.query_vision_projection(pooled).reshape(batch, -1, self.config.dim)
        weigh = self.query_vector_weights if self.config.query_vector_weights else None
        ones = prefix.new_ones(prefix.shape[:2])
        pairs = [(prefix, ones if weigh is None else ones * _positive(weigh.prefix).repeat(regions))]
        if self.config.use_transformer_mapping_network:
            if self.config.transformer_mapping_reads_projection:
                patches = self.query_vision_projection.model[:2](patches)
            hidden = self.transformer_mapping_input_linear(patches)
            question = states[:, : self.config.transformer_mapping_cross_attention_length]
            hidden = self.transformer_mapping_network(hidden, question)
            weight = hidden.new_ones(hidden.shape[:2])
            if weigh is not None:
                weight = _positive(weigh.patch(hidden)[..., 0])
                budget = self.config.patch_share * pairs[0][1].sum(1, keepdim=True)
                weight = weight / weight.sum(1, keepdim=True) * budget
            pairs.append((self.transformer_mapping_output_linear(hidden), weight))
        return pairs

    def query_mask(self, input_ids: torch.Tensor) -> torch.Tensor:
        """(B, L) bool: False for padding and for the instruction up to its closing token, whose two leading
        special tokens stay (FLMR keeps punctuation in queries)."""
        mask = input_ids != 0
        if self.instruction_id is not None:
            is_end = input_ids == self.instruction_id
            end = torch.where(is_end.any(1), is_end.int().argmax(1), 0)
            positions = torch.arange(input_ids.shape[1], device=input_ids.device)
            mask = mask & ((positions > end[:, None]) | (positions < 2))
        return mask

    def _text_weights(
        self, states: torch.Tensor, mask: torch.Tensor, attention_mask: torch.Tensor
    ) -> torch.Tensor:
        if not self.config.query_vector_weights:
            return torch.ones_like(mask)
        # Where the model weighs its vectors, the [MASK] tokens that fill up a query count nothing.
        return _positive(self.query_vector_weights.text(states)[..., 0]) * mask * attention_mask

    # Documents

    def doc(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> FLMRContextOutput:
        """Encodes documents: `input_ids`, `attention_mask` (B, L) int64."""
        separate = self.config.separate_query_and_context_text_encoder
        encoder = self.context_text_encoder if separate else self.query_text_encoder
        linear = self.context_text_encoder_linear if separate else self.query_text_encoder_linear
        mask = self.context_mask(input_ids)[..., None]
        # Unit length in float32, whatever the encoder computes in.
        rows = linear(encoder(input_ids, attention_mask)).float()
        return FLMRContextOutput(
            late_interaction_output=nn.functional.normalize(rows * mask, dim=-1),
            context_mask=mask.to(torch.uint8),
        )

    def context_mask(self, input_ids: torch.Tensor) -> torch.Tensor:
        """(B, L) bool: False for padding and, where the configuration says so, punctuation."""
        if self.skip_ids is None:
            raise RuntimeError("the model does not know its tokenizer yet; call bind_tokenizer first")
        return ~torch.isin(input_ids, self.skip_ids.to(input_ids.device))

    # Both

    def forward(
        self,
        query_input_ids: torch.Tensor,
        query_attention_mask: torch.Tensor,
        context_input_ids: torch.Tensor,
        context_attention_mask: torch.Tensor,
        query_pixel_values: torch.Tensor | None = None,
    ) -> FLMRModelOutput:
        """Scores each query against its own documents and gives the in-batch contrastive loss.

        Documents come grouped: the first of each query's group is its positive, the rest are negatives, and all
        documents of the batch serve as negatives of the others."""
        query = self.query(query_input_ids, query_attention_mask, query_pixel_values)
        document = self.doc(context_input_ids, context_attention_mask)
        table = late_interaction_scores(
            query.late_interaction_output,
            document.late_interaction_output,
            document.context_mask,
            query.vector_weights,
        )
        queries, documents = table.shape
        group = documents // queries
        target = torch.arange(queries, device=table.device) * group
        own = torch.stack([table[i, i * group : (i + 1) * group] for i in range(queries)])
        return FLMRModelOutput(loss=nn.functional.cross_entropy(table, target), scores=own)


def _positive(x: torch.Tensor) -> torch.Tensor:
    return nn.functional.softplus(x)


def late_interaction_scores(
    query: torch.Tensor, document: torch.Tensor, mask: torch.Tensor, weights: torch.Tensor | None = None
) -> torch.Tensor:
    """MaxSim of every query with every document (ColBERT, arXiv 2004.12832, section 3.3).

    `query` (Q, n, dim), `document` (D, tokens, dim), `mask` (D, tokens, 1), `weights` (Q, n) or None.
    Returns (Q, D)."""
    similarity = torch.einsum("qnd,ktd->qknt", query, document)
    similarity = similarity.masked_fill(mask[None, :, None, :, 0] == 0, -9999.0)
    best = similarity.amax(-1)
    if weights is not None:
        best = best * weights[:, None]
    return best.sum(-1)
