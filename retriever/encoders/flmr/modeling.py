"""FLMR and PreFLMR as transformers models (FLMR: arXiv 2309.17133, section 3; PreFLMR: arXiv 2402.08327, section 3).

A query is a set of vectors: the question's tokens, a few prefix tokens that the vision projection makes of the
whole photo, and one for each patch, made by a mapping network that looks at the question. A document is one vector
a token. Parameter names are those of the published checkpoints; a checkpoint loads whole or not at all. Knows nothing
of indexes or of image decoding.
"""

from __future__ import annotations

import string
from dataclasses import dataclass

import torch
from torch import nn
from transformers.utils import ModelOutput

from retriever.encoders.flmr.configuration import FLMRConfig
from retriever.encoders.flmr.layers import (
    FLMRMappingNetwork,
    FLMRMultiLayerPerceptron,
    FLMRTextModel,
    FLMRVectorWeights,
    vision_tower,
)
from retriever.encoders.flmr.tokenization import CONTEXT_TOKENIZER, QUERY_TOKENIZER, find_tokenizer
from retriever.encoders.strict import StrictModel

# What transformers itself looks a file up with; the tokenizers are looked up the same way.
_LOOKUP_OPTIONS = ("cache_dir", "force_download", "local_files_only", "token", "revision")


@dataclass
class FLMRQueryOutput(ModelOutput):
    """`late_interaction_output` (B, n, dim) float32: unit rows, or zero where a token is masked; text, prefix and
    patch rows in that order; of several regions, all prefix rows before all patch rows. `vector_weights` (B, n)
    float32: how much each counts, >= 0; all ones in published models."""

    late_interaction_output: torch.Tensor | None = None
    vector_weights: torch.Tensor | None = None


@dataclass
class FLMRContextOutput(ModelOutput):
    """`late_interaction_output` (B, tokens, dim) float32: unit rows, zero where masked; text rows, then the prefix
    rows of a photo. `context_mask` (B, tokens, 1) uint8: 1 where a row counts."""

    late_interaction_output: torch.Tensor | None = None
    context_mask: torch.Tensor | None = None


@dataclass
class FLMRModelOutput(ModelOutput):
    """`loss` (): in-batch contrastive loss. `scores` (B, documents per query)."""

    loss: torch.Tensor | None = None
    scores: torch.Tensor | None = None


class FLMRModelForRetrieval(StrictModel):
    """Query and document encoders, and the late-interaction score between them."""

    config: FLMRConfig
    config_class = FLMRConfig
    base_model_prefix = "flmr"
    supports_gradient_checkpointing = True
    # Some files name the text tower otherwise.
    old_names = {r"^(query|context)_text_encoder\.text_model\.": r"\1_text_encoder.bert_model."}
    _supports_sdpa = True
    _no_split_modules = ["BertLayer", "CLIPEncoderLayer", "InvertedBottleneck"]
    # Older versions of transformers saved the positions' numbers with the text tower.
    _keys_to_ignore_on_load_unexpected = [r"text_encoder\.(bert|text)_model\.embeddings\.position_ids$"]

    def __init__(self, config: FLMRConfig):
        super().__init__(config)
        text, vision = config.text_config, config.vision_config
        self.query_text_encoder = FLMRTextModel(text)
        self.query_text_encoder_linear = nn.Linear(text.hidden_size, config.dim, bias=False)
        if config.separate_query_and_context_text_encoder:
            self.context_text_encoder = FLMRTextModel(text)
            self.context_text_encoder_linear = nn.Linear(text.hidden_size, config.dim, bias=False)
        uses_photos = config.query_concat_output_from_vision_encoder or config.context_concat_output_from_vision_encoder
        if config.use_vision_encoder:
            self.query_vision_encoder = vision_tower(vision)
        if uses_photos:
            self.query_vision_projection = FLMRMultiLayerPerceptron(config)
        if config.separate_query_and_context_vision_encoder:
            if config.use_vision_encoder:
                self.context_vision_encoder = vision_tower(vision)
            if uses_photos:
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
        self.post_init()

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path, *model_args, output_loading_info: bool = False, **kwargs):
        """As StrictModel.from_pretrained. Which token ids documents drop is read from the checkpoint's tokenizers if
        the configuration does not say."""
        model, info = super().from_pretrained(
            pretrained_model_name_or_path, *model_args, output_loading_info=True, **kwargs
        )
        place = str(pretrained_model_name_or_path)
        lookup = {k: kwargs[k] for k in _LOOKUP_OPTIONS if k in kwargs}
        if model.config.skip_token_ids is None and (words := find_tokenizer(place, CONTEXT_TOKENIZER, **lookup)):
            model.bind_context_tokenizer(words)
        if model.config.instruction_token_id is None and model.config.mask_instruction_token is not None:
            if words := find_tokenizer(place, QUERY_TOKENIZER, **lookup):
                model.bind_query_tokenizer(words)
        return (model, info) if output_loading_info else model

    def bind_tokenizer(self, tokenizer) -> None:
        """Learns from the tokenizer, into the configuration, which ids are punctuation and which ends an
        instruction."""
        self.bind_context_tokenizer(tokenizer)
        self.bind_query_tokenizer(tokenizer)

    def bind_context_tokenizer(self, tokenizer) -> None:
        """Learns from the documents' tokenizer which ids are padding and punctuation."""
        marks = tokenizer.convert_tokens_to_ids(list(string.punctuation)) if self.config.mask_punctuation else []
        self.config.skip_token_ids = sorted({tokenizer.pad_token_id, *marks})

    def bind_query_tokenizer(self, tokenizer) -> None:
        """Learns from the queries' tokenizer which id ends an instruction."""
        if self.config.mask_instruction_token is not None:
            self.config.instruction_token_id = tokenizer.convert_tokens_to_ids(self.config.mask_instruction_token)

    # Queries

    def query(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        pixel_values: torch.Tensor | None = None,
        image_features: torch.Tensor | None = None,
        patch_features: torch.Tensor | None = None,
    ) -> FLMRQueryOutput:
        """Encodes queries.

        `input_ids`, `attention_mask` (B, L) int64. `pixel_values` (B, 3, H, W), or (B, regions, 3, H, W) for several
        regions of one photo. Instead of pixels, what a vision tower made of them may be given: `image_features`
        (B, hidden) or (B, regions, hidden) and, for the mapping network, `patch_features` (B, patches, hidden) or
        (B, regions, patches, hidden). Without any of them the query is of text alone. Raises ValueError for
        combinations that the configuration has no use for."""
        states = self.query_text_encoder(input_ids, attention_mask)
        rows, weights = [], []
        if self.config.query_concat_output_from_text_encoder:
            mask = self.query_mask(input_ids).to(states.device, states.dtype)
            rows.append(self.query_text_encoder_linear(states) * mask[..., None])
            weights.append(self._text_weights(states, mask, attention_mask))
        if self.config.query_concat_output_from_vision_encoder:
            features = self.vision_features(pixel_values, image_features, patch_features)
            if features is not None:
                for vectors, weight in self.vision_rows(*features, states):
                    rows.append(vectors)
                    weights.append(weight)
        if not rows:
            raise ValueError("the configuration leaves this query without any vectors")
        return FLMRQueryOutput(late_interaction_output=_unit_rows(rows), vector_weights=_joined(weights))

    def vision_features(
        self,
        pixel_values: torch.Tensor | None = None,
        image_features: torch.Tensor | None = None,
        patch_features: torch.Tensor | None = None,
        separate: bool = False,
    ) -> tuple[torch.Tensor, torch.Tensor | None] | None:
        """Pooled features (B, regions, hidden) and patch features (B, regions, patches, hidden), of pixels or as
        given (see `query`); None when there is nothing. With `separate`, by the documents' own tower."""
        if pixel_values is None:
            if image_features is None:
                return None
            pooled = image_features if image_features.dim() == 3 else image_features[:, None]
            if patch_features is not None and patch_features.dim() == 3:
                patch_features = patch_features[:, None]
            return pooled, patch_features
        if image_features is not None:
            raise ValueError("give either pixel_values or image_features, not both")
        if not self.config.use_vision_encoder:
            raise ValueError("this model has no vision encoder; give image_features instead of pixel_values")
        if pixel_values.dim() == 4:
            pixel_values = pixel_values[:, None]
        tower = self.context_vision_encoder if separate else self.query_vision_encoder
        pooled, patches = tower(pixel_values.flatten(0, 1))
        shape = pixel_values.shape[:2]
        return pooled.unflatten(0, shape), patches.unflatten(0, shape)

    def vision_rows(
        self, pooled: torch.Tensor, patches: torch.Tensor | None, states: torch.Tensor
    ) -> list[tuple[torch.Tensor, torch.Tensor]]:
        """The prefix rows and, with a mapping network, the patch rows: pairs of vectors (B, n, dim), not yet
        normalised, and weights (B, n). `pooled` (B, regions, hidden) and `patches` (B, regions, patches, hidden):
        see `vision_features`. `states` (B, L, text hidden): the question's states. Each region is mapped by itself."""
        batch, regions = pooled.shape[:2]
        prefix = self.query_vision_projection(pooled).reshape(batch, -1, self.config.dim)
        weigh = self.query_vector_weights if self.config.query_vector_weights else None
        ones = prefix.new_ones(prefix.shape[:2])
        pairs = [(prefix, ones if weigh is None else ones * _positive(weigh.prefix).repeat(regions))]
        if self.config.use_transformer_mapping_network:
            if patches is None:
                raise ValueError("the mapping network needs patch_features beside image_features")
            if self.config.transformer_mapping_reads_projection:
                patches = self.query_vision_projection.hidden(patches)
            hidden = self.transformer_mapping_input_linear(patches.flatten(0, 1))
            question = states[:, : self.config.transformer_mapping_cross_attention_length]
            hidden = self.transformer_mapping_network(hidden, question.repeat_interleave(regions, 0))
            hidden = hidden.reshape(batch, -1, hidden.shape[-1])
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
        if self.config.mask_instruction_token is not None:
            if self.config.instruction_token_id is None:
                raise RuntimeError("the model does not know its tokenizer yet; call bind_tokenizer first")
            is_end = input_ids == self.config.instruction_token_id
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
        return _positive(self.query_vector_weights.text(states)[..., 0]) * mask * attention_mask.to(mask.device)

    # Documents

    def doc(
        self,
        input_ids: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        pixel_values: torch.Tensor | None = None,
        image_features: torch.Tensor | None = None,
    ) -> FLMRContextOutput:
        """Encodes documents of text, pictures or both: `input_ids`, `attention_mask` (B, L) int64; where the
        configuration lets documents have pictures, `pixel_values` or `image_features` as in `query`. The rows of
        pictures come first, `mapping_network_prefix_length` for each."""
        config = self.config
        rows, masks = [], []
        if config.context_concat_output_from_text_encoder and input_ids is not None:
            separate = config.separate_query_and_context_text_encoder
            encoder = self.context_text_encoder if separate else self.query_text_encoder
            linear = self.context_text_encoder_linear if separate else self.query_text_encoder_linear
            states = linear(encoder(input_ids, attention_mask))
            mask = self.context_mask(input_ids).to(states.device)
            rows.append(states * mask[..., None])
            masks.append(mask)
        if config.context_concat_output_from_vision_encoder:
            separate = config.separate_query_and_context_vision_encoder
            projection = self.context_vision_projection if separate else self.query_vision_projection
            features = self.vision_features(pixel_values, image_features, separate=separate)
            if features is not None:
                pictures = projection(features[0]).reshape(len(features[0]), -1, config.dim)
                rows.insert(0, pictures)
                masks.insert(0, pictures.new_ones(pictures.shape[:2], dtype=torch.bool))
        elif pixel_values is not None or image_features is not None:
            raise ValueError("by its configuration this model takes no photos with documents")
        if not rows:
            raise ValueError("the configuration leaves this document without any vectors")
        return FLMRContextOutput(
            late_interaction_output=_unit_rows(rows), context_mask=_joined(masks)[..., None].to(torch.uint8)
        )

    def context_mask(self, input_ids: torch.Tensor) -> torch.Tensor:
        """(B, L) bool: False for padding and, where the configuration says so, punctuation."""
        if self.config.skip_token_ids is None:
            raise RuntimeError("the model does not know its tokenizer yet; call bind_tokenizer first")
        return ~torch.isin(input_ids, torch.tensor(self.config.skip_token_ids, device=input_ids.device))

    # Both

    def forward(
        self,
        query_input_ids: torch.Tensor,
        query_attention_mask: torch.Tensor,
        context_input_ids: torch.Tensor,
        context_attention_mask: torch.Tensor,
        query_pixel_values: torch.Tensor | None = None,
        query_image_features: torch.Tensor | None = None,
        query_patch_features: torch.Tensor | None = None,
        context_pixel_values: torch.Tensor | None = None,
        context_image_features: torch.Tensor | None = None,
    ) -> FLMRModelOutput:
        """Scores each query against its own documents and gives the in-batch contrastive loss.

        Documents come grouped: the first of each query's group is its positive, the rest are negatives, and all
        documents of the batch serve as negatives of the others. Raises ValueError where they cannot be grouped."""
        query = self.query(
            query_input_ids, query_attention_mask, query_pixel_values, query_image_features, query_patch_features
        )
        document = self.doc(context_input_ids, context_attention_mask, context_pixel_values, context_image_features)
        queries, documents = len(query.late_interaction_output), len(document.late_interaction_output)
        if documents % queries:
            raise ValueError(f"{documents} documents cannot be shared out evenly among {queries} queries")
        table = late_interaction_scores(
            query.late_interaction_output,
            document.late_interaction_output.to(query.late_interaction_output.device),
            document.context_mask.to(query.late_interaction_output.device),
            query.vector_weights,
        )
        group = documents // queries
        target = torch.arange(queries, device=table.device) * group
        own = table.unflatten(1, (queries, group))[target // group, target // group]
        return FLMRModelOutput(loss=nn.functional.cross_entropy(table, target), scores=own)


def _joined(parts: list[torch.Tensor]) -> torch.Tensor:
    """Side by side in float32 (masks stay bool), on the first one's device: a device map may have spread them."""
    wanted = parts[0].dtype if parts[0].dtype == torch.bool else torch.float32
    return torch.cat([part.to(parts[0].device, wanted) for part in parts], 1)


def _unit_rows(parts: list[torch.Tensor]) -> torch.Tensor:
    """Rows of unit length, in float32 whatever the encoder computes in."""
    return nn.functional.normalize(_joined(parts), dim=-1)


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
