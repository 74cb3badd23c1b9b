"""活性化関数の表。ここに 1 行足した関数は、活性化関数の試験のすべてが調べる。"""

import mpmath as mp

from vgbook.activations import (
    elu,
    gelu,
    gelu_tanh,
    identity,
    leaky_relu,
    mish,
    relu,
    selu,
    sigmoid,
    silu,
    softplus,
    step,
    tanh,
)

SELU_ALPHA, SELU_SCALE = mp.mpf("1.6732632423543772848"), mp.mpf("1.0507009873554804934")

# 定義をそのまま書いた、桁数を好きなだけ増やせる参照関数
REFERENCE = {
    step: lambda z: mp.mpf(z > 0),
    identity: lambda z: z,
    sigmoid: lambda z: 1 / (1 + mp.exp(-z)),
    tanh: mp.tanh,
    relu: lambda z: max(z, mp.mpf(0)),
    leaky_relu(0.01): lambda z: z if z > 0 else mp.mpf(0.01) * z,
    leaky_relu(0.3): lambda z: z if z > 0 else mp.mpf(0.3) * z,
    elu(): lambda z: z if z > 0 else mp.expm1(z),
    elu(0.5): lambda z: z if z > 0 else mp.expm1(z) / 2,
    selu: lambda z: SELU_SCALE * (z if z > 0 else SELU_ALPHA * mp.expm1(z)),
    softplus: lambda z: mp.log1p(mp.exp(z)),
    gelu: lambda z: z * mp.erfc(-z / mp.sqrt(2)) / 2,
    # (1 + tanh u)/2 = 1/(1 + exp(−2u))
    gelu_tanh: lambda z: (
        z / (1 + mp.exp(-2 * mp.sqrt(2 / mp.pi) * (z + mp.mpf("0.044715") * z**3)))
    ),
    silu: lambda z: z / (1 + mp.exp(-z)),
    mish: lambda z: z * mp.tanh(mp.log1p(mp.exp(z))),
}
ACTIVATIONS = list(REFERENCE)
KINKED = [activation for activation in ACTIVATIONS if activation.kinks]
SMOOTH = [activation for activation in ACTIVATIONS if not activation.kinks]
