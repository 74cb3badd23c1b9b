"""RNN と勾配クリップの章の検算。"""

from checks.engine import check
from checks.engine.draws import gradient, normal
from checks.engine.networks import slope, tanh


@check("eq-rnn-bptt", "高精度", points=2, over={"t": (1, 2)}, free="t")
def through_time(rng):
    """tanh の RNN の 3 時刻、2 標本、幅 2。損失は時刻ごとの h の 3 次式の和。δ は数値微分。"""
    x, weights = normal(rng, 4, 2, 2), normal(rng, 4, 2, 2)
    W_x, W_h = normal(rng, 2, 2), normal(rng, 2, 2)

    def part(h, t):
        return (weights[t] * h + h**3 / 3).sum()

    def onward(z, t):
        """時刻 t の z から先の損失。"""
        total = part(tanh(z), t)
        for k in range(t + 1, 4):
            z = x[k] @ W_x + tanh(z) @ W_h
            total += part(tanh(z), k)
        return total

    z = {1: x[1] @ W_x}
    for t in (2, 3):
        z[t] = x[t] @ W_x + tanh(z[t - 1]) @ W_h
    return {
        "z": z,
        "W_h": W_h,
        r"\varphi'": slope(tanh),
        r"\delta": {t: gradient(lambda v, t=t: onward(v, t), z[t]) for t in z},
        r"\pd{L}{h}": {t: gradient(lambda h, t=t: part(h, t), tanh(z[t])) for t in z},
    }
