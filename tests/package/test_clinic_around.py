"""PyTorch のモデルのまわり: 学習する損失、保存と写し、層の外の重み、呼ばれない最適化手法。"""

import copy
import io

import numpy as np
import pytest

from vgbook.clinic import diagnose, watch

torch = pytest.importorskip("torch")
nn, F = torch.nn, torch.nn.functional


@pytest.fixture(autouse=True)
def fixed_seed():
    torch.set_num_threads(1)
    torch.manual_seed(0)


def data():
    x = torch.randn(48, 4)
    return x, (x[:, 0] > x[:, 1]).long()


def small():
    return nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))


def train(model, optimizer, steps=1):
    x, y = data()
    for _ in range(steps):
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        optimizer.step()


class Tempered(nn.Module):
    """学習する温度をもつ損失。はじめは出力をほとんど 0 にするので、温度が動かないと学べない。"""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(1e-3))

    def forward(self, output, y):
        return F.cross_entropy(self.scale * output, y)


@pytest.mark.parametrize("wrapped", [False, True])
def test_a_loss_that_learns_is_trained_with_the_copy_and_left_alone(wrapped):
    model, loss = small(), Tempered()
    optimizer = torch.optim.Adam([*model.parameters(), *loss.parameters()], 1e-2)
    given = loss.forward if wrapped else loss
    report = diagnose(model, *data(), loss=given, optimizer=optimizer)
    assert loss.scale.grad is None
    assert float(loss.scale.detach()) == pytest.approx(1e-3)
    if not wrapped:  # 関数の中のモジュールは、写しに付いてこない
        assert report.healthy
        assert report.trials[0].score < 0.9


@pytest.mark.parametrize(
    "copied",
    [
        copy.deepcopy,
        lambda model: torch.load(saved(model), weights_only=False),
    ],
    ids=["deepcopy", "torch.save"],
)
def test_a_model_can_be_copied_and_saved_while_it_is_watched(copied):
    model = small()
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    with watch(model, optimizer, every=1) as w:
        train(model, optimizer)
        kept = copied(model)
        kept[0].weight.data.fill_(100.0)
        kept(data()[0]).sum().backward()  # 写しの計算は、測らない
        train(model, optimizer)
    assert [sample.step for sample in w.samples] == [0, 1]
    assert w.report().layers[0].h < 10
    assert b"vgbook" not in saved(kept).getvalue()  # 保存したものを読むのに、この本は要らない


def saved(model):
    file = io.BytesIO()
    torch.save(model, file)
    file.seek(0)
    return file


class Outside(nn.Module):
    """行列を、どの層の順伝播も通さずに使うモデル。"""

    def __init__(self):
        super().__init__()
        self.w = nn.ParameterList([nn.Parameter(1e-6 * torch.randn(4, 4)) for _ in range(6)])
        self.last = nn.Linear(4, 2)

    def forward(self, x):
        for w in self.w:
            x = torch.tanh(x @ w)
        return self.last(x)


def test_weights_used_outside_of_any_layer_are_said_to_be_unmeasured():
    model = Outside()
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    report = diagnose(model, *data(), loss=F.cross_entropy, optimizer=optimizer)
    assert any("層として測っていません: w" in note for note in report.notes)
    model = small()
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    report = diagnose(model, *data(), loss=F.cross_entropy, optimizer=optimizer)
    assert not any("層として" in note for note in report.notes)


def test_an_optimizer_that_never_steps_is_noticed():
    model = small()
    other = torch.optim.SGD(model.parameters(), 0.1)
    with watch(model, torch.optim.SGD(model.parameters(), 0.1), every=1) as w:
        train(model, other, steps=3)
    assert any("まだ呼ばれていません" in note for note in w.report().notes)


def test_a_step_that_goes_backward_itself_is_told_not_to():
    def step(model, x):
        loss = model(x).square().mean()
        loss.backward()
        return loss

    with pytest.raises(RuntimeError) as caught:
        diagnose(small(), data()[0], step=step)
    assert "step も、損失を返すだけ" in "".join(caught.value.__notes__)


def test_a_loss_that_goes_backward_itself_is_told_not_to_in_the_trials_too():
    """1 回目の測定は、勾配を求めない試しの学習とは違って、動いてしまう。"""

    def loss(output, y):
        value = F.cross_entropy(output, y)
        value.backward(retain_graph=True)
        return value

    model = small()
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    with pytest.raises(RuntimeError) as caught:
        diagnose(model, *data(), loss=loss, optimizer=optimizer)
    assert "loss も step も、損失を返すだけ" in "".join(caught.value.__notes__)


def test_a_step_that_uses_another_model_than_the_given_one_is_refused():
    model, (x, y) = small(), data()
    with pytest.raises(ValueError, match=r"step は、渡された model で.*受け取った step"):
        diagnose(model, x, step=lambda _, x: F.cross_entropy(model(x), y))
    assert all(p.grad is None for p in model.parameters())


def test_a_diagnosis_under_autocast_trains_with_the_updated_weights():
    """autocast は、型を変えた重みを、抜けるまで使い回す。"""
    model, (x, y) = small(), data()
    optimizer = torch.optim.Adam(model.parameters(), 0.03)

    def step(model, x):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return F.cross_entropy(model(x), y)

    inside = diagnose(model, x, step=step, optimizer=optimizer)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        outside = diagnose(model, x, y, loss=F.cross_entropy, optimizer=optimizer)
        assert torch.is_autocast_cache_enabled()
    assert inside.healthy
    np.testing.assert_allclose(outside.trials[0].losses, inside.trials[0].losses, rtol=0.05)


def test_a_watch_watches_once():
    model = small()
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    with watch(model, optimizer, every=1) as w:
        with pytest.raises(RuntimeError, match="もう見張っています"), w:
            pass
        train(model, optimizer)
    train(model, optimizer)
    assert [sample.step for sample in w.samples] == [0]
