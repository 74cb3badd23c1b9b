"""集団の軸の約束を、ソースの形から確かめる。"""

import ast

import numpy as np
import pytest

from vgbook import activations, initializers
from vgbook.layers.normalization import BatchNorm, LayerNorm
from vgbook.network import mlp

CORE = [
    "layers/affine",
    "layers/normalization",
    "network",
    "training/losses",
    "training/optimizers",
]


@pytest.mark.parametrize("module", CORE)
def test_the_core_uses_negative_axes_and_no_plain_transpose(root, module):
    tree = ast.parse((root / "vgbook" / f"{module}.py").read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.keyword) and node.arg == "axis":
            numbers = [n.value for n in ast.walk(node.value) if isinstance(n, ast.Constant)]
            negative = [n for n in ast.walk(node.value) if isinstance(n, ast.UnaryOp)]
            assert len(negative) == len(numbers), ast.unparse(node)
        if isinstance(node, ast.Attribute):
            assert node.attr not in {"T", "transpose", "dot", "reshape"}, ast.unparse(node)


@pytest.mark.parametrize("leading", [(), (3,), (2, 3)])
@pytest.mark.parametrize("norm", [None, BatchNorm, LayerNorm])
def test_every_array_has_the_shape_of_the_legend(leading, norm):
    gain = np.ones(leading) if leading else 1.0
    network = mlp(
        [4, 5, 3],
        activations.relu,
        initializers.he(gain=gain),
        rng=np.random.default_rng(0),
        norm=norm,
    )
    y = network.forward(np.ones((7, 4)))
    assert y.shape == (*leading, 7, 3)
    assert network.backward(np.ones_like(y)).shape == (*leading, 7, 4)
    assert network.ensemble == leading
    for layer in network:
        for name, param in layer.params.items():
            rows = 1 if name != "W" else param.shape[-2]
            assert param.shape == (*leading, rows, param.shape[-1])
            assert layer.grads[name].shape == param.shape
