"""The vectors of a model in training, FLMR or ReT, in one form: rows of queries with weights, rows of passages with a
mask.

Knows nothing of data, losses or steps.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch

from retriever.encoders.flmr.modeling import FLMRModelForRetrieval
from retriever.encoders.ret import RetModelForRetrieval

Network = FLMRModelForRetrieval | RetModelForRetrieval
Tensors = Mapping[str, torch.Tensor]


def query_vectors(network: Network, inputs: Tensors, vectors: tuple[str, ...]) -> tuple[torch.Tensor, torch.Tensor]:
    """(Q, n, dim) and weights (Q, n). `vectors`: those of an FLMR's queries that are made, "text" or "vision" or
    both."""
    if isinstance(network, RetModelForRetrieval):
        rows = network.query(**inputs).late_interaction_output
        return rows, torch.ones(rows.shape[:2], device=rows.device)
    with taking_part(network, vectors):
        out = network.query(**inputs)
    return out.late_interaction_output, out.vector_weights.float()


def document_vectors(network: Network, inputs: Tensors) -> tuple[torch.Tensor, torch.Tensor]:
    """(D, tokens, dim) and mask (D, tokens, 1)."""
    if isinstance(network, RetModelForRetrieval):
        rows = network.passage(**inputs).late_interaction_output
        return rows, torch.ones((*rows.shape[:2], 1), device=rows.device)
    out = network.doc(**inputs)
    return out.late_interaction_output, out.context_mask


def is_symmetric(network: Network) -> bool:
    """Whether passages are asked for their questions too."""
    return isinstance(network, RetModelForRetrieval) and network.config.simmetric_loss


@contextmanager
def taking_part(model: FLMRModelForRetrieval, vectors: tuple[str, ...]) -> Iterator[None]:
    """In here only some of a query's vectors are made. What is saved of the model says nothing of it."""
    config = model.config
    before = (config.query_concat_output_from_text_encoder, config.query_concat_output_from_vision_encoder)
    config.query_concat_output_from_text_encoder = before[0] and "text" in vectors
    config.query_concat_output_from_vision_encoder = before[1] and "vision" in vectors
    try:
        yield
    finally:
        config.query_concat_output_from_text_encoder, config.query_concat_output_from_vision_encoder = before
