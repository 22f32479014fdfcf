"""FLMR and PreFLMR as transformers classes."""

from .configuration import EfficientNetLiteConfig, FLMRConfig, FLMRTextConfig, FLMRVisionConfig
from .efficientnet_lite import EfficientNetLiteModel
from .modeling import FLMRModelForRetrieval, late_interaction_scores
from .tokenization import load_tokenizer, tokenize_documents, tokenize_queries

__all__ = [
    "EfficientNetLiteConfig",
    "EfficientNetLiteModel",
    "FLMRConfig",
    "FLMRModelForRetrieval",
    "FLMRTextConfig",
    "FLMRVisionConfig",
    "late_interaction_scores",
    "load_tokenizer",
    "tokenize_documents",
    "tokenize_queries",
]
