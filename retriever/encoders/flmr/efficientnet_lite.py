"""EfficientNet-Lite, the small convolutional vision tower of the `mini` profile (arXiv 1905.11946).

A plain stack of inverted bottlenecks with ReLU6 and static "same" padding, under the parameter names of the
published weights. Knows nothing of text, retrieval or where weights come from.
"""

from __future__ import annotations

import math

import torch
from torch import nn
from transformers import PreTrainedModel

from retriever.encoders.flmr.configuration import EfficientNetLiteConfig

# (repeats, kernel, stride, expansion, output channels) of EfficientNet-B0, which the compound factors scale.
_STAGES = [
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
]
_NORM = {"eps": 1e-3, "momentum": 0.01}


def _channels(base: int, width: float) -> int:
    """`base` scaled and rounded to a multiple of eight, never down by more than a tenth."""
    scaled = base * width
    rounded = max(8, int(scaled + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * scaled else rounded


class SameConv2d(nn.Conv2d):
    """A convolution padded as TensorFlow pads "SAME": more on the right and bottom where it is uneven."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.by(x, self.weight, self.bias)

    def by(self, x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
        """The same by another weight and bias of their shapes."""
        if self.kernel_size == (1, 1):  # where channels lie side by side a product of matrices, which is faster on CPUs
            return nn.functional.linear(x.movedim(1, -1), weight.flatten(1), bias).movedim(-1, 1)
        pads = []
        for size, kernel, stride in zip(x.shape[-2:], self.kernel_size, self.stride, strict=True):
            total = max((math.ceil(size / stride) - 1) * stride + kernel - size, 0)
            pads.append((total // 2, total - total // 2))
        (top, bottom), (left, right) = pads
        if top == bottom and left == right:  # without a copy of the picture
            return nn.functional.conv2d(x, weight, bias, self.stride, (top, left), 1, self.groups)
        return nn.functional.conv2d(
            nn.functional.pad(x, (left, right, top, bottom)), weight, bias, self.stride, 0, 1, self.groups
        )


def normalised(convolution: SameConv2d, norm: nn.BatchNorm2d, x: torch.Tensor) -> torch.Tensor:
    """norm(convolution(x)). Where what it normalises by is fixed, that is done to the weights, which are few, and not
    to the picture."""
    if norm.training:
        return norm(convolution(x))
    scale = norm.weight * torch.rsqrt(norm.running_var + norm.eps)
    return convolution.by(x, convolution.weight * scale[:, None, None, None], norm.bias - norm.running_mean * scale)


def _relu6(x: torch.Tensor) -> torch.Tensor:
    return nn.functional.relu6(x, inplace=True)


class InvertedBottleneck(nn.Module):
    """Expand, filter each channel, project back; a shortcut where the shape stays."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expansion: int):
        super().__init__()
        wide = inputs * expansion
        self.expands = expansion != 1
        if self.expands:
            self._expand_conv = SameConv2d(inputs, wide, 1, bias=False)
            self._bn0 = nn.BatchNorm2d(wide, **_NORM)
        self._depthwise_conv = SameConv2d(wide, wide, kernel, stride, groups=wide, bias=False)
        self._bn1 = nn.BatchNorm2d(wide, **_NORM)
        self._project_conv = SameConv2d(wide, outputs, 1, bias=False)
        self._bn2 = nn.BatchNorm2d(outputs, **_NORM)
        self.shortcut = stride == 1 and inputs == outputs

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = x
        if self.expands:
            y = _relu6(normalised(self._expand_conv, self._bn0, y))
        y = _relu6(normalised(self._depthwise_conv, self._bn1, y))
        y = normalised(self._project_conv, self._bn2, y)
        return x + y if self.shortcut else y


class EfficientNetLiteModel(PreTrainedModel):
    """EfficientNet-Lite with its classification head."""

    config: EfficientNetLiteConfig
    config_class = EfficientNetLiteConfig
    main_input_name = "pixel_values"

    def __init__(self, config: EfficientNetLiteConfig):
        super().__init__(config)
        # The Lite variants scale neither the stem nor the head, nor the depth of the first and last stage.
        self._conv_stem = SameConv2d(3, 32, 3, 2, bias=False)
        self._bn0 = nn.BatchNorm2d(32, **_NORM)
        blocks, inputs = [], 32
        for stage, (repeats, kernel, stride, expansion, outputs) in enumerate(_STAGES):
            outputs = _channels(outputs, config.width)
            if stage not in (0, len(_STAGES) - 1):
                repeats = math.ceil(repeats * config.depth)
            for i in range(repeats):
                blocks.append(InvertedBottleneck(inputs, outputs, kernel, stride if i == 0 else 1, expansion))
                inputs = outputs
        self._blocks = nn.ModuleList(blocks)
        self._conv_head = SameConv2d(inputs, config.hidden_size, 1, bias=False)
        self._bn1 = nn.BatchNorm2d(config.hidden_size, **_NORM)
        self._fc = nn.Linear(config.hidden_size, config.num_labels)
        self.post_init()

    def forward(self, pixel_values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """`pixel_values` (B, 3, H, W) float, normalised. Returns the pooled features (B, hidden_size) and the
        grid's features (B, patches, hidden_size), row by row from the top left; patches = ceil(H/32)*ceil(W/32)."""
        if self.config.mirror:
            x, mirrored = self._features(torch.cat([pixel_values, pixel_values.flip(-1)])).chunk(2)
            x = (x + mirrored.flip(-1)) / 2
        else:
            x = self._features(pixel_values)
        return x.mean((2, 3)), x.flatten(2).transpose(1, 2)

    def _features(self, x: torch.Tensor) -> torch.Tensor:
        x = x.contiguous(memory_format=torch.channels_last)
        x = _relu6(normalised(self._conv_stem, self._bn0, x))
        for block in self._blocks:
            x = block(x)
        return _relu6(normalised(self._conv_head, self._bn1, x))
