"""FLMR and PreFLMR as transformers classes."""

from transformers import AutoConfig, AutoModel, AutoProcessor

from retriever.encoders.flmr.configuration import EfficientNetLiteConfig, FLMRConfig, FLMRTextConfig, FLMRVisionConfig
from retriever.encoders.flmr.efficientnet_lite import EfficientNetLiteModel
from retriever.encoders.flmr.modeling import FLMRModelForRetrieval, late_interaction_scores
from retriever.encoders.flmr.processing import FLMRProcessor
from retriever.encoders.flmr.tokenization import load_tokenizer, query_text, tokenize_documents, tokenize_queries

__all__ = [
    "EfficientNetLiteConfig",
    "EfficientNetLiteModel",
    "FLMRConfig",
    "FLMRModelForRetrieval",
    "FLMRProcessor",
    "FLMRTextConfig",
    "FLMRVisionConfig",
    "late_interaction_scores",
    "load_tokenizer",
    "query_text",
    "tokenize_documents",
    "tokenize_queries",
]

# So that AutoModel.from_pretrained and its like know these classes without running a repository's own code.
for _config in (FLMRConfig, FLMRTextConfig, FLMRVisionConfig, EfficientNetLiteConfig):
    AutoConfig.register(_config.model_type, _config, exist_ok=True)
AutoModel.register(FLMRConfig, FLMRModelForRetrieval, exist_ok=True)
AutoProcessor.register(FLMRConfig, FLMRProcessor, exist_ok=True)
