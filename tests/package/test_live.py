"""ページの中で学習するネットワークの、Python の側: 学習は PyTorch と同じで、載せた数から作れる。"""

import json
import re

import numpy as np
import pytest

from vgbook import relu, sigmoid
from vgbook.book.batch import Batch
from vgbook.book.live import UNIT, Trainer


@pytest.fixture(scope="module")
def trainer() -> Trainer:
    rng = np.random.default_rng(0)
    return Trainer(rng.standard_normal((12, 5)), np.arange(12) % 3, rng=rng, width=4, steps=20)


@pytest.mark.parametrize(("activation", "norm"), [(relu, False), (sigmoid, True)])
def test_it_learns_like_pytorch(trainer: Trainer, activation, norm: bool):
    torch = pytest.importorskip("torch")
    run = trainer.run(activation, depth=2, gain=1.0, norm=norm)
    layers = []
    for base in [*trainer.base[:2], trainer.base[-1]]:
        linear = torch.nn.Linear(*base.shape).double()
        linear.weight.data = torch.tensor(base / np.sqrt(base.shape[0])).T.contiguous()
        torch.nn.init.zeros_(linear.bias)
        layers += [linear, *([torch.nn.BatchNorm1d(base.shape[1]).double()] if norm else [])]
        layers.append(torch.nn.ReLU() if activation is relu else torch.nn.Sigmoid())
    model = torch.nn.Sequential(*layers[: -2 if norm else -1])
    optimizer = torch.optim.SGD(model.parameters(), lr=trainer.lr)
    for expected in run.loss:
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(
            model(torch.tensor(trainer.x)), torch.tensor(trainer.labels)
        )
        loss.backward()
        optimizer.step()
        assert loss.item() == pytest.approx(expected, rel=1e-9)


def test_the_page_gets_exactly_the_numbers_that_python_uses(trainer: Trainer):
    spec = json.loads(re.search(r"<script[^>]*>(.*)</script>", trainer._repr_html_())[1])  # type: ignore[index]
    for sent, used in zip([spec["x"], *spec["base"]], [trainer.x, *trainer.base], strict=True):
        values = np.array(sent["v"]).reshape(sent["rows"], sent["cols"]) / UNIT
        np.testing.assert_array_equal(values, used)
    assert spec["labels"] == trainer.labels.tolist()


def test_a_batch_needs_a_gradient_for_each_sample():
    with pytest.raises(ValueError, match="同じ長さ"):
        Batch([1.0, 2.0], [1.0])
