r"""勾配消失問題を、導いて、動かして、確かめるための NumPy 実装。

``for layer in network`` が順伝播、``for layer in reversed(network)`` が連鎖律です。
2 つ目のループが残す δ の列が勾配消失です。
このパッケージのほかの部分は、その列を作り、眺め、説明し、治すためにあります。

部屋は次の順に読めます。後ろのものだけが前のものを使います。

activations, initializers, layers, network, signals, training, theory, ensemble, experiments,
clinic, book

記号と形の対応は次のとおりです。``...`` はネットワークの集団 (アンサンブル) の軸で、
1 つのネットワークなら空です。N はバッチの大きさ、n はユニットの数です。

==============================  =====================  ======================
数式                            コード                 形
==============================  =====================  ======================
入力 :math:`x`                  ``x``                  (N, n_in)
重み :math:`W_l`                ``params["W"]``        (..., n_in, n_out)
バイアス :math:`b_l`            ``params["b"]``        (..., 1, n_out)
プレ活性 :math:`z_l`            ``z``                  (..., N, n_out)
出力 :math:`h_l=\varphi(z_l)`   ``h``                  (..., N, n_out)
損失 :math:`L`                  ``loss``               (...)
:math:`\delta_l=∂L/∂z_l`        ``delta``, ``dy``      (..., N, n_out)
:math:`∂L/∂W_l`                 ``grads["W"]``         (..., n_in, n_out)
:math:`\gamma,\beta`            ``params["gamma"]``    (..., 1, n)
==============================  =====================  ======================
"""

from vgbook import activations
from vgbook.activations import *  # noqa: F403  # __all__ のすべて
from vgbook.book import plotting
from vgbook.clinic import (
    Check,
    Diagnosis,
    check_gradients,
    diagnose,
    from_state_dict,
    lsuv,
    numerical_gradient,
)
from vgbook.ensemble import over_members, over_seeds
from vgbook.experiments import (
    Dataset,
    Flow,
    activation_distribution,
    batch_norm_grid,
    compare_initializers,
    digits,
    gaussian,
    gradient_flow,
    learning_speed,
    mnist,
)
from vgbook.initializers import (
    Initializer,
    constant,
    glorot,
    glorot_uniform,
    he,
    lecun,
    normal,
    orthogonal,
    stack,
    xavier,
)
from vgbook.layers import (
    Activate,
    Affine,
    BatchNorm,
    LastStep,
    Layer,
    LayerNorm,
    Recurrent,
    Residual,
)
from vgbook.network import Network, mlp
from vgbook.signals import Signals, signals, trace
from vgbook.training import (
    SGD,
    AdaGrad,
    Adam,
    AdamW,
    Clip,
    History,
    Momentum,
    Nesterov,
    RMSProp,
    accuracy,
    fit,
    mean_squared_error,
    sigmoid_cross_entropy,
    softmax_cross_entropy,
)

__all__ = [
    "SGD",
    "Activate",
    "AdaGrad",
    "Adam",
    "AdamW",
    "Affine",
    "BatchNorm",
    "Check",
    "Clip",
    "Dataset",
    "Diagnosis",
    "Flow",
    "History",
    "Initializer",
    "LastStep",
    "Layer",
    "LayerNorm",
    "Momentum",
    "Nesterov",
    "Network",
    "RMSProp",
    "Recurrent",
    "Residual",
    "Signals",
    "accuracy",
    "activation_distribution",
    "batch_norm_grid",
    "check_gradients",
    "compare_initializers",
    "constant",
    "diagnose",
    "digits",
    "fit",
    "from_state_dict",
    "gaussian",
    "glorot",
    "glorot_uniform",
    "gradient_flow",
    "he",
    "learning_speed",
    "lecun",
    "lsuv",
    "mean_squared_error",
    "mlp",
    "mnist",
    "normal",
    "numerical_gradient",
    "orthogonal",
    "over_members",
    "over_seeds",
    "plotting",
    "sigmoid_cross_entropy",
    "signals",
    "softmax_cross_entropy",
    "stack",
    "trace",
    "xavier",
]
__all__ += activations.__all__
