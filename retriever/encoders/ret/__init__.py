"""ReT as transformers classes."""

from transformers import AutoConfig, AutoModel

from retriever.encoders.ret.configuration import RetConfig, RetSideConfig
from retriever.encoders.ret.modeling import RetModelForRetrieval, late_interaction_scores

__all__ = ["RetConfig", "RetModelForRetrieval", "RetSideConfig", "late_interaction_scores"]

# So that AutoModel.from_pretrained and its like know these classes without running a repository's own code.
for _config in (RetConfig, RetSideConfig):
    AutoConfig.register(_config.model_type, _config, exist_ok=True)
AutoModel.register(RetConfig, RetModelForRetrieval, exist_ok=True)
