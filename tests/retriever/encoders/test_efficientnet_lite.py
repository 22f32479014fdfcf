"""The photo tower computes what its layers say, though it does so by other products."""

import pytest
import torch
from torch import nn

from retriever.encoders.flmr.efficientnet_lite import SameConv2d, normalised


@pytest.mark.parametrize("kernel, stride, groups", [(1, 1, 1), (3, 2, 1), (3, 1, 6), (5, 2, 6)])
@pytest.mark.parametrize("learning", [False, True])
def test_anormalised_convolution_is_the_one_after_the_other(kernel, stride, groups, learning):
    torch.manual_seed(0)
    convolution = SameConv2d(6, 12, kernel, stride, groups=groups, bias=False).double()
    norm = nn.BatchNorm2d(12, eps=1e-3).double().train(learning)
    for each in (norm.weight, norm.bias, norm.running_mean):
        nn.init.normal_(each)
    nn.init.uniform_(norm.running_var, 0.1, 3)
    apart = nn.BatchNorm2d(12, eps=1e-3).double().train(learning)
    apart.load_state_dict(norm.state_dict())
    x = torch.randn(2, 6, 9, 14, dtype=torch.double)
    together, expected = normalised(convolution, norm, x), apart(convolution(x))
    torch.testing.assert_close(together, expected)
    for mine, theirs in zip(
        torch.autograd.grad(together.pow(2).sum(), [convolution.weight, norm.weight, norm.bias]),
        torch.autograd.grad(expected.pow(2).sum(), [convolution.weight, apart.weight, apart.bias]),
        strict=True,
    ):
        torch.testing.assert_close(mine, theirs)
    torch.testing.assert_close(norm.running_mean, apart.running_mean)


def test_a_convolution_by_other_weights_is_one_that_has_them():
    one, other = SameConv2d(4, 4, 1), SameConv2d(4, 4, 1)
    x = torch.randn(1, 4, 5, 5)
    torch.testing.assert_close(one.by(x, other.weight, other.bias), other(x))
    torch.testing.assert_close(other(x), nn.Conv2d.forward(other, x))
