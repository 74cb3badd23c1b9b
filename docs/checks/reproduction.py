"""論文の再現の頁の検算。"""

from checks.engine import check
from checks.engine.networks import dead_share


@check("eq-repro-dead", "全数", points=3)
def dead(rng):
    """幅 2、3 層、入力は 1 と −1。重みの符号の 2¹⁰ 通りで、出力がすべて 0 になる数を数える。"""
    return {
        "P": lambda event: event,
        "N": 2,
        "L": 3,
        r"\text{すべての入力で 0}": dead_share(rng, 1, -1),
    }
