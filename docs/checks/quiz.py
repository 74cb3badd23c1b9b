"""確認テストの答えの検算。"""

import numpy as np

import vgbook as vg
from checks import chain_rule, sigmoid
from checks.engine import check


@check("eq-quiz-p10-parts", "記号")
@check("eq-quiz-p10", "記号")
def p10(rng):
    """x と y のすべての実数について。微分は SymPy が求めたもの。"""
    return chain_rule.p10(rng)


@check("eq-quiz-p18-parts", "記号")
@check("eq-quiz-p18", "記号")
def p18(rng):
    """x のすべての実数について。微分は SymPy が求めたもの。"""
    return sigmoid.symbolic(rng)


@check("eq-quiz-p18-max", "記号")
def largest(rng):
    """y のすべての実数について。"""
    return sigmoid.square(rng)


@check("eq-quiz-running", "数値", within=1e-12)
def running(rng):
    """「←」の先は、パッケージの `BatchNorm` に平均 5 のミニバッチを通した後の移動平均。"""
    layer = vg.BatchNorm(1)
    layer.forward(np.array([[4.0], [6.0]]))
    after = float(layer.running_mean[0, 0])
    return {
        r"\text{移動平均}": 0.0,
        "after": {r"\text{移動平均}": after},
    }
