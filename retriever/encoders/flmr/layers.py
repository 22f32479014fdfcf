"""What FLMR is put together from: towers under their published names, vision projection, mapping network, weights.

Parameter names are those of the published checkpoints. Knows nothing of queries or documents, which modeling.py does.
"""

from __future__ import annotations

import torch
from torch import nn
from transformers import BertModel, CLIPVisionModel
from transformers.models.bert.modeling_bert import BertLayer

from retriever.encoders.flmr.configuration import EfficientNetLiteConfig, FLMRConfig, FLMRTextConfig, FLMRVisionConfig
from retriever.encoders.flmr.efficientnet_lite import EfficientNetLiteModel

_ACTIVATIONS = {"tanh": nn.Tanh, "softmax": lambda: nn.Softmax(dim=-1)}


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


def vision_tower(config: FLMRVisionConfig | EfficientNetLiteConfig) -> nn.Module:
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

    def hidden(self, x: torch.Tensor) -> torch.Tensor:
        """What the hidden layer holds after its activation; with a softmax, probabilities."""
        return self.model[:2](x)


class FLMRMappingNetwork(nn.Module):
    """BERT layers over the patches that look across at the question (PreFLMR, section 3.1)."""

    def __init__(self, config: FLMRConfig):
        super().__init__()
        bert = config.mapping_config()
        if bert.hidden_size != config.text_config.hidden_size:
            raise ValueError(
                f"the mapping network is {bert.hidden_size} wide and the text tower {config.text_config.hidden_size}"
            )
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
