"""実験: データ、初期値のままのネットワークの信号、学習の比較。図は描かず、配列を返します。"""

from vgbook.experiments.datasets import Dataset, digits, gaussian, mnist
from vgbook.experiments.flow import Flow, activation_distribution, gradient_flow
from vgbook.experiments.trainings import batch_norm_grid, compare_initializers, learning_speed

__all__ = [
    "Dataset",
    "Flow",
    "activation_distribution",
    "batch_norm_grid",
    "compare_initializers",
    "digits",
    "gaussian",
    "gradient_flow",
    "learning_speed",
    "mnist",
]
