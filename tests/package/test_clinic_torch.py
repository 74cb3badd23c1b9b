"""PyTorch のモデルの診断: 病気を見つけ、健康を責めず、モデルを何も変えない。"""

import copy
import math
import re
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

import vgbook.clinic
from vgbook import he, mlp, relu
from vgbook.clinic import Thresholds, diagnose, watch
from vgbook.clinic.record import Trial

torch = pytest.importorskip("torch")
nn, F = torch.nn, torch.nn.functional
CE, MSE = F.cross_entropy, F.mse_loss


@pytest.fixture(autouse=True)
def fixed_seed():
    torch.set_num_threads(1)
    torch.manual_seed(0)


def rings(n=96, k=3):
    y = torch.arange(n) % k
    t = 2 * math.pi * (y + 0.8 * torch.rand(n)) / k
    return torch.stack([t.cos(), t.sin(), (2 * t).cos(), (2 * t).sin()], 1), y


def dense(*widths, act=nn.ReLU, last=()):
    layers = []
    for a, b in pairwise(widths):
        layers += [nn.Linear(a, b), act()]
    return nn.Sequential(*layers[:-1], *last)


def sgd(model, lr=0.3, **options):
    return torch.optim.SGD(model.parameters(), lr=lr, **options)


def adam(model, lr=3e-3):
    return torch.optim.Adam(model.parameters(), lr=lr)


def root(model, x, y, loss, optimizer, **options):
    report = diagnose(model, x, y, loss=loss, optimizer=optimizer, **options)
    return report.findings[0].slug if report.findings else "healthy"


# --- 判定 ---------------------------------------------------------------------------------


def test_a_network_that_learns_is_healthy():
    x, y = rings()
    model = dense(4, 32, 32, 3)
    report = diagnose(model, x, y, loss=CE, optimizer=sgd(model))
    assert report.healthy
    assert report.summary.startswith("良好")
    assert [trial.name for trial in report.trials] == ["そのまま"]


def deep_sigmoid():
    model = dense(4, *[32] * 8, 3, act=nn.Sigmoid)
    return model, *rings(), CE, sgd(model)


def twice(last):
    def make():
        model = dense(4, 32, 3, last=(last,))
        return model, *rings(), CE, sgd(model)

    return make


def rate(lr):
    def make():
        model = dense(4, 32, 32, 3)
        return model, *rings(), CE, sgd(model, lr)

    return make


def raw_input():
    x, y = rings()
    model = dense(4, 32, 32, 3)
    return model, 60 * x + 128, y, CE, sgd(model, 0.1)


def raw_target():
    x, _ = rings()
    model = dense(4, 32, 1)
    return model, x, 4000 * x[:, :1] * x[:, 1:2] + 9000, MSE, adam(model)


def broadcast():
    x, _ = rings()
    model = dense(4, 32, 1)
    return model, x, x[:, 0] * x[:, 1], MSE, adam(model)


def equal():
    model = dense(4, 32, 3, act=nn.Tanh)
    nn.init.constant_(model[0].weight, 0.1)
    nn.init.constant_(model[0].bias, 0.1)
    nn.init.constant_(model[2].weight, 0.1)
    return model, *rings(), CE, sgd(model)


def zeros():
    model = dense(4, 32, 32, 3, act=nn.Tanh)
    for p in model.parameters():
        nn.init.zeros_(p)
    return model, *rings(), CE, sgd(model)


def decay():
    model = dense(4, 32, 32, 3)
    return model, *rings(), CE, sgd(model, weight_decay=1.0)


def dead():
    model = dense(4, 32, 32, 3)
    nn.init.constant_(model[2].bias, -20.0)
    return model, *rings(), CE, sgd(model)


def left_out():
    model = dense(4, 32, 3)
    return model, *rings(), CE, sgd(model[2])


def unused():
    model = dense(4, 32, 3)
    model.spare = nn.Linear(3, 3)
    model.forward = lambda x: model[2](model[1](model[0](x)))
    return model, *rings(), CE, sgd(model)


def fresh_bn_in_eval():
    x, y = rings()
    model = nn.Sequential(nn.Linear(4, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Linear(32, 3))
    model.eval()
    return model, 60 * x + 100, y, CE, sgd(model)


def three_samples():
    x, y = rings()
    model = nn.Sequential(nn.Linear(4, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Linear(32, 3))
    return model, x[:3], y[:3], CE, sgd(model)


def summed():
    x, y = rings(960)
    model = dense(4, 32, 32, 3)
    return model, x, y, lambda o, t: CE(o, t, reduction="sum"), sgd(model)


def root_of_zero():
    x, _ = rings(24)
    model = dense(4, 16, 2)
    distance = lambda h, _: (h[:, None] - h[None]).square().sum(-1).sqrt().square().mean()  # noqa: E731
    return model, x, x, distance, adam(model)


SICK = {
    "vanishing": deep_sigmoid,
    "softmax-twice": twice(nn.Softmax(1)),
    "step-large": rate(3e3),
    "step-small": rate(1e-8),
    "input-scale": raw_input,
    "target-scale": raw_target,
    "loss-shape": broadcast,
    "symmetry": equal,
    "zero-init": zeros,
    "weight-decay": decay,
    "dead": dead,
    "not-in-optimizer": left_out,
    "unused": unused,
    "loss-reduction": summed,
    "non-finite": root_of_zero,
}


@pytest.mark.parametrize("slug", SICK)
def test_the_root_of_a_sick_network_comes_first(slug):
    assert root(*SICK[slug]()) == slug


@pytest.mark.parametrize("make", [fresh_bn_in_eval, three_samples])
def test_batch_norm_with_the_wrong_statistics_is_the_root(make):
    assert root(*make()) == "batch-norm"


def test_log_softmax_with_nll_is_the_right_pair():
    model = dense(4, 32, 3, last=(nn.LogSoftmax(1),))
    assert root(model, *rings(), F.nll_loss, sgd(model)) == "healthy"


def test_the_operation_that_returned_nan_is_named():
    model, x, y, loss, optimizer = root_of_zero()
    report = diagnose(model, x, y, loss=loss, optimizer=optimizer)
    assert "SqrtBackward0" in report.findings[0].evidence


def test_the_root_carries_the_trial_that_cured_it_and_folds_the_consequences():
    model, x, y, loss, optimizer = deep_sigmoid()
    found = diagnose(model, x, y, loss=loss, optimizer=optimizer).findings
    assert len(found) == 1
    assert [f.slug for f in found[0].consequences] == ["indistinguishable"]
    assert found[0].trials[0].score > 0.9 > found[0].trials[1].score


@pytest.mark.parametrize("options", [{"trial": False}, {"optimizer": None}])
def test_without_a_trial_it_speaks_of_symptoms(options):
    model, x, y, loss, optimizer = deep_sigmoid()
    report = diagnose(model, x, y, loss=loss, **{"optimizer": optimizer, **options})
    assert {f.severity for f in report.findings} == {"症状"}
    assert not report.trials


def test_a_learning_network_keeps_its_symptoms_as_notes():
    model = dense(4, *[32] * 8, 3)  # 既定の初期値: δ は減るが、Adam なら学ぶ
    report = diagnose(model, *rings(), loss=CE, optimizer=adam(model))
    assert report.healthy
    assert any("消失の症状" in note for note in report.notes)


def test_frozen_parameters_are_a_note():
    model = dense(4, 32, 3)
    model[0].requires_grad_(False)
    optimizer = torch.optim.SGD(model[2].parameters(), lr=0.3)
    report = diagnose(model, *rings(), loss=CE, optimizer=optimizer)
    assert report.healthy
    assert any("固定" in note for note in report.notes)


def test_a_schedule_in_its_warm_up_is_not_a_small_step():
    model = dense(4, 32, 32, 3)
    optimizer = sgd(model)
    torch.optim.lr_scheduler.LambdaLR(optimizer, lambda t: 1e-7 * (t + 1))
    report = diagnose(model, *rings(), loss=CE, optimizer=optimizer)
    assert report.healthy
    assert any("予定" in note for note in report.notes)


@pytest.mark.parametrize("lr", [1e-8, 5e-8])  # 1/3 の 3 倍が、丸めで前者は元に戻り、後者は減る
def test_a_warm_up_from_a_third_is_no_excuse_for_a_small_step_whatever_the_rounding(lr):
    model, x, y, loss, optimizer = rate(lr)()
    torch.optim.lr_scheduler.LinearLR(optimizer)  # 既定では 1/3 から始まる
    assert root(model, x, y, loss, optimizer) == "step-small"


def test_a_symptom_is_not_excused_by_a_loss_that_did_not_fall():
    layers = [part for _ in range(12) for part in (nn.Linear(32, 32), nn.Sigmoid())]
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 32), nn.Sigmoid(), *layers, nn.Linear(32, 3))
    optimizer = sgd(model, 0.3)
    torch.optim.lr_scheduler.LambdaLR(optimizer, lambda t: 0.1)
    report = diagnose(model, *rings(), loss=CE, optimizer=optimizer)
    assert report.unknown
    told = [note for note in report.notes if "の症状" in note]
    assert told
    assert not any("損失が下がるので" in note for note in told)


def test_the_same_call_gives_the_same_report():
    model, x, y, loss, optimizer = decay()
    one, other = (diagnose(model, x, y, loss=loss, optimizer=optimizer) for _ in range(2))
    assert one.to_dict() == other.to_dict()


# --- 測定 ---------------------------------------------------------------------------------


def test_the_numbers_are_those_of_autograd():
    x, y = rings()
    model, optimizer = dense(4, 32, 3), None
    report = diagnose(model, x, y, loss=CE)
    z = model[0](x)
    z.retain_grad()
    CE(model[2](F.relu(z)), y).backward()
    rms = lambda a: float(a.detach().double().square().mean().sqrt())  # noqa: E731
    assert [layer.name for layer in report.layers] == ["0", "2"]
    np.testing.assert_allclose(report.delta[0], rms(z.grad), rtol=1e-6)
    np.testing.assert_allclose(report.h[0], rms(F.relu(z)), rtol=1e-6)
    np.testing.assert_allclose(report.dW[0], rms(model[0].weight.grad), rtol=1e-6)
    spread = F.relu(z).detach().double().var(0, unbiased=False).mean().sqrt()
    np.testing.assert_allclose(report.distinct[0], float(spread), rtol=1e-6)
    assert optimizer is None


def test_the_update_is_the_step_that_the_optimizer_really_makes():
    x, y = rings()
    model = dense(4, 32, 3)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01, weight_decay=0.1)
    report = diagnose(model, x, y, loss=CE, optimizer=optimizer)
    before = model[0].weight.detach().clone()
    CE(model(x), y).backward()
    optimizer.step()
    ratio = (model[0].weight.detach() - before).norm() / before.norm()
    assert report.update[0] == pytest.approx(float(ratio), rel=1e-5)


def test_delta_of_a_recurrent_layer_is_known_for_each_time():
    class Last(nn.Module):
        def __init__(self):
            super().__init__()
            self.cell, self.head = nn.RNN(4, 16, batch_first=True), nn.Linear(16, 3)

        def forward(self, x):
            return self.head(self.cell(x)[0][:, -1])

    model, x, y = Last(), torch.randn(12, 20, 4), torch.arange(12) % 3
    times = diagnose(model, x, y, loss=CE).layers[0].times
    x.requires_grad_()
    CE(model(x), y).backward()
    expected = x.grad.double().norm(dim=2).mean(0)
    np.testing.assert_allclose(times, expected, rtol=1e-5)


@pytest.mark.parametrize("batch_first", [False, True])
def test_the_samples_of_a_recurrent_layer_are_told_apart_by_its_last_state(batch_first):
    model = Together(
        lambda m, x: m.head(m.cell(x)[1][0]),
        cell=nn.RNN(4, 16, batch_first=batch_first),
        head=nn.Linear(16, 3),
    )
    x, y = torch.randn(12, 5, 4), torch.arange(12) % 3
    x = x if batch_first else x.transpose(0, 1)
    state = model.cell(x)[1][0].detach().double().numpy()  # 最後の時刻の隠れ状態
    expected = np.sqrt(state.var(0).mean() / np.square(state).mean())
    layer = diagnose(model, x, y, loss=CE).layers[0]
    assert layer.time_distinct == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("std", [0.01, 1.0, 100.0])
def test_the_averages_of_batch_norm_are_off_by_a_count_of_standard_deviations(std):
    from vgbook.clinic.torch.sizes import batch_statistics, drift

    norm = nn.BatchNorm1d(8, eps=0.0)
    x = torch.randn(64, 8)
    nn.init.constant_(norm.running_var, std**2)
    x = std * ((x - x.mean(0)) / x.std(0, unbiased=False) + 1.5)
    assert float(drift(norm, *batch_statistics(x))) == pytest.approx(1.5, rel=1e-4)


@pytest.mark.parametrize(("norms", "suspected"), [(3, False), (4, True)])
def test_four_normalizations_after_the_sums_are_a_suspect(norms, suspected):
    from vgbook.clinic.torch.measure import measure
    from vgbook.clinic.torch.subject import Subject
    from vgbook.clinic.torch.suspects import suspects

    def forward(m, x):
        h = m.first(m.stem(x))
        for norm, body in zip(m.norms, m.bodies, strict=True):
            h = norm(h + torch.tanh(body(h)))
        return m.head(h)

    model = Together(
        forward,
        stem=nn.Linear(4, 8),
        first=nn.LayerNorm(8),
        bodies=nn.ModuleList(nn.Linear(8, 8) for _ in range(norms)),
        norms=nn.ModuleList(nn.LayerNorm(8) for _ in range(norms)),
        head=nn.Linear(8, 3),
    )
    subject = Subject(model, *rings(), CE, None, sgd(model))
    found = suspects(subject, measure(subject, Thresholds()), [], Trial("", [1.0], 1.0))
    assert ("post-norm" in [suspect.slug for suspect in found]) == suspected


@pytest.mark.parametrize(("samples", "suspected"), [(1, False), (2, True)])
def test_two_numbers_have_a_scale_and_one_has_none(samples, suspected):
    from vgbook.clinic.torch.measure import measure
    from vgbook.clinic.torch.subject import Subject
    from vgbook.clinic.torch.suspects import suspects

    model, x = nn.Linear(1, 1), 100.0 * torch.arange(1, samples + 1)[:, None]
    subject = Subject(model, x, x / 100, MSE, None, sgd(model))
    found = suspects(subject, measure(subject, Thresholds()), [], Trial("", [1.0], 1.0))
    assert ("input-scale" in [suspect.slug for suspect in found]) == suspected


# --- 何も変えない -------------------------------------------------------------------------


def everything(model, optimizer):
    """ビットまで比べるための、状態のすべて。"""
    grads = {n: None if p.grad is None else p.grad.clone() for n, p in model.named_parameters()}
    hooks = [
        len(m._forward_hooks) + len(m._forward_pre_hooks) + len(m._backward_hooks)
        for m in model.modules()
    ]
    return {
        "state": copy.deepcopy(model.state_dict()),
        "grads": grads,
        "modes": [m.training for m in model.modules()],
        "flags": [p.requires_grad for p in model.parameters()],
        "optimizer": copy.deepcopy(optimizer.state_dict()),
        "hooks": hooks,
        "rng": torch.get_rng_state(),
        "numpy": np.random.get_state()[1].copy(),  # noqa: NPY002
    }


def same(a, b):
    if isinstance(a, torch.Tensor):
        return torch.equal(a, b)
    if isinstance(a, np.ndarray):
        return np.array_equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    return a == b


def mixed_model():
    model = nn.Sequential(
        nn.Linear(4, 16),
        nn.BatchNorm1d(16),
        nn.ReLU(inplace=True),
        nn.Dropout(0.3),
        nn.Linear(16, 3),
    )
    model[4].bias.requires_grad_(False)
    model[3].eval()
    optimizer = adam(model)
    x, y = rings()
    CE(model(x), y).backward()
    optimizer.step()
    return model, x, y, optimizer


def test_the_model_is_left_exactly_as_it_was_found():
    model, x, y, optimizer = mixed_model()
    before, data = everything(model, optimizer), x.clone()
    diagnose(model, x, y, loss=CE, optimizer=optimizer)
    assert same(before, everything(model, optimizer))
    assert torch.equal(x, data)


def test_a_failure_in_the_middle_leaves_the_model_as_it_was():
    model, x, y, optimizer = mixed_model()
    before = everything(model, optimizer)
    calls = []

    def breaking(output, target):
        calls.append(0)
        if len(calls) > 4:
            raise KeyError("途中で壊れた")
        return CE(output, target)

    with pytest.raises(KeyError, match="途中"):
        diagnose(model, x, y, loss=breaking, optimizer=optimizer)
    assert same(before, everything(model, optimizer))


def test_a_loss_that_draws_from_numpy_leaves_its_stream_alone():
    model, x, y, optimizer = mixed_model()
    before = everything(model, optimizer)

    def noisy(output, target):
        return CE(output, target) + 0.01 * np.random.rand()  # noqa: NPY002

    diagnose(model, x, y, loss=noisy, optimizer=optimizer)
    assert same(before, everything(model, optimizer))


def test_a_loss_that_holds_the_parameters_leaves_their_gradients_alone():
    model, x, y, optimizer = mixed_model()
    before = everything(model, optimizer)
    diagnose(
        model,
        x,
        y,
        loss=lambda o, t: CE(o, t) + model[0].weight.square().sum(),
        optimizer=optimizer,
    )
    assert same(before, everything(model, optimizer))


def test_a_loss_that_learns_is_trained_as_a_copy():
    from vgbook.clinic.torch.subject import Subject

    model = dense(4, 8, 8)
    loss = Together(lambda m, h, y: CE(m.head(h), y), head=nn.Linear(8, 3))
    before = copy.deepcopy(loss.state_dict())
    tried = Subject(model, *rings(), loss, None, sgd(nn.ModuleList([model, loss]))).copy()
    tried.update()
    assert same(before, loss.state_dict())
    assert not same(before, tried.loss.state_dict())


# --- どんなモデルでも ---------------------------------------------------------------------


class Together(nn.Module):
    """forward を関数で書くモデル。"""

    def __init__(self, forward, **parts):
        super().__init__()
        for name, part in parts.items():
            setattr(self, name, part)
        self.run = forward

    def forward(self, *args, **kwargs):
        return self.run(self, *args, **kwargs)


def transformer():
    model = nn.Transformer(16, 2, 1, 1, 32, dropout=0.0, batch_first=True)
    x = (torch.randn(8, 5, 16), torch.randn(8, 4, 16))
    return model, x, torch.randn(8, 4, 16), MSE


def resnet():
    block = lambda: nn.Sequential(nn.Conv2d(4, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU())  # noqa: E731
    model = Together(
        lambda m, x: m.head(F.relu((h := m.stem(x)) + m.block(h)).mean((2, 3))),
        stem=nn.Conv2d(1, 4, 3, padding=1),
        block=block(),
        head=nn.Linear(4, 3),
    )
    return model, torch.randn(12, 1, 8, 8), torch.arange(12) % 3, CE


def recurrent(kind):
    def make():
        model = Together(
            lambda m, x: m.head(m.cell(x)[0].mean(1)),
            cell=kind(4, 8, batch_first=True),
            head=nn.Linear(8, 3),
        )
        return model, torch.randn(12, 6, 4), torch.arange(12) % 3, CE

    return make


def cnn_bn():
    model = nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(144, 3)
    )
    return model, torch.randn(12, 1, 8, 8), torch.arange(12) % 3, CE


def layer_norm(pre):
    def make():
        layer = nn.TransformerEncoderLayer(16, 2, 32, 0.0, batch_first=True, norm_first=pre)
        model = Together(
            lambda m, x: m.head(m.body(x).mean(1)),
            body=nn.TransformerEncoder(layer, 2, enable_nested_tensor=False),
            head=nn.Linear(16, 3),
        )
        return model, torch.randn(12, 5, 16), torch.arange(12) % 3, CE

    return make


def unet():
    model = Together(
        lambda m, x: m.out(
            torch.cat([(a := F.relu(m.down(x))), m.up(F.relu(m.deep(F.max_pool2d(a, 2))))], 1)
        ),
        down=nn.Conv2d(1, 4, 3, padding=1),
        deep=nn.Conv2d(4, 8, 3, padding=1),
        up=nn.ConvTranspose2d(8, 4, 2, 2),
        out=nn.Conv2d(8, 2, 1),
    )
    return model, torch.randn(8, 1, 8, 8), torch.randint(0, 2, (8, 8, 8)), CE


def mixture():
    def run(m, x):
        p = m.gate(x).softmax(1)
        return sum(p[:, i, None] * expert(x) for i, expert in enumerate(m.experts))

    model = Together(
        run, gate=nn.Linear(4, 3), experts=nn.ModuleList([dense(4, 8, 3) for _ in range(3)])
    )
    return model, *rings(), CE


def siamese():
    model = Together(
        lambda m, a, b: (m.tower(a) - m.tower(b)).square().sum(1), tower=dense(4, 16, 4)
    )
    x, y = rings()
    return (
        model,
        {"a": x, "b": x.flip(0)},
        (y == y.flip(0)).float(),
        lambda d, s: (d - s).square().mean(),
    )


KINDS = [
    transformer, resnet, recurrent(nn.LSTM), recurrent(nn.GRU), cnn_bn, layer_norm(True),
    layer_norm(False), unet, mixture, siamese,
]  # fmt: skip


@pytest.mark.parametrize("make", KINDS)
def test_real_models_of_every_kind_are_examined(make):
    model, x, y, loss = make()
    report = diagnose(model, x, y, loss=loss, optimizer=adam(model))
    assert report.layers
    assert all(math.isfinite(layer.delta) for layer in report.layers)
    assert str(report).encode("cp932")
    assert report.healthy


def test_a_gan_step_is_examined_through_step():
    critic, generator = dense(4, 16, 1), dense(2, 16, 4)
    critic.requires_grad_(False)
    model = Together(lambda m, z: m.critic(m.generator(z)), generator=generator, critic=critic)

    def step(model, z):
        return F.softplus(-model(z)).mean()

    report = diagnose(model, torch.randn(32, 2), step=step, optimizer=adam(generator))
    assert report.healthy
    assert {layer.name for layer in report.layers} == {
        "generator.0",
        "generator.2",
        "critic.0",
        "critic.2",
    }


def test_bf16_autocast_is_healthy_and_a_lost_half_precision_gradient_is_not():
    x, y = rings()
    model = dense(4, 32, 3)

    def run(dtype, scale):
        def loss_of(m, batch):
            with torch.autocast("cpu", dtype=dtype):
                out = m(batch[0])
            return scale * CE(out.float(), batch[1])

        optimizer = torch.optim.Adam(model.parameters(), lr=3e-3, eps=1e-12)
        report = diagnose(model, (x, y), step=loss_of, optimizer=optimizer)
        return [f.slug for f in report.findings][:1]

    assert run(torch.bfloat16, 1.0) == []
    assert run(torch.float16, 1e-6) == ["underflow"]


def test_updates_that_half_precision_rounds_away_are_the_root():
    x = torch.tensor([[-1.0], [1.0]]).repeat(8, 1)
    model = nn.Linear(1, 1, bias=False).bfloat16()
    nn.init.ones_(model.weight)  # 1 の次の bfloat16 は 1 + 2⁻⁷ で、更新の 0.002 は丸めで消える
    mse = lambda o, t: MSE(o.float(), t)  # noqa: E731
    assert root(model, x.bfloat16(), 1.01 * x, mse, sgd(model, 0.1)) == "underflow"


def test_a_linear_layer_and_its_transpose_are_estimated_to_take_the_same_time():
    from vgbook.clinic.torch.measure import measure
    from vgbook.clinic.torch.subject import Subject

    def seconds(n_in, n_out):
        model, x = nn.Linear(n_in, n_out), torch.ones(64, n_in)
        loss = lambda o, _: o.sum()  # noqa: E731
        return measure(Subject(model, x, x, loss, None, sgd(model)), Thresholds()).seconds

    assert seconds(1024, 128) == pytest.approx(seconds(128, 1024), rel=0.2)


@pytest.mark.parametrize(
    ("shape", "features", "axes"),
    [((20, 3), (3,), 0), ((20, 5, 3), (3,), (0, 1)), ((20, 3, 4, 4), (3, 1, 1), (0, 2, 3))],
    ids=["表", "系列", "画像"],
)
def test_every_feature_is_standardised_by_its_own_mean(shape, features, axes):
    from vgbook.clinic.torch.courses import standardise

    x = torch.randn(shape) + 10 * torch.arange(3.0).reshape(features)
    a = x.double().numpy()
    expected = (a - a.mean(axes, keepdims=True)) / a.std(axes, keepdims=True)
    np.testing.assert_allclose(standardise(x).numpy(), expected, atol=1e-4)


@pytest.mark.parametrize(
    "layer", [lambda: nn.Linear(400, 50), lambda: nn.Conv2d(16, 64, 5)], ids=["全結合", "畳み込み"]
)
def test_the_initial_weights_that_are_tried_are_those_of_pytorch(layer):
    from vgbook.clinic.torch.courses import reinitialise
    from vgbook.clinic.torch.subject import Subject

    tried, he_normal = layer(), layer()
    reinitialise(2**0.5)(Subject(tried, None, None, None, None, None))
    nn.init.kaiming_normal_(he_normal.weight, nonlinearity="relu")
    drawn, expected = (float(each.weight.detach().std()) for each in (tried, he_normal))
    assert drawn == pytest.approx(expected, rel=0.05)
    assert not tried.bias.any()


# --- 壊れた入力 ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"model": nn.ReLU()}, ValueError, "パラメーターがありません"),
        ({"loss": None}, TypeError, "loss か step"),
        ({"loss": 3}, TypeError, "loss には関数"),
        ({"loss": lambda o, t: o}, ValueError, r"1 つの数.*\(96, 3\)"),
        ({"loss": lambda o, t: 1.0}, ValueError, "1 つの数"),
        ({"optimizer": "adam"}, TypeError, "optimizer には"),
        (
            {"optimizer": torch.optim.SGD([nn.Parameter(torch.ones(1))], lr=1)},
            ValueError,
            "model のものでは",
        ),
        ({"x": (torch.ones(2), torch.ones(2))}, ValueError, "引数と x が合いません"),
        ({"thresholds": (1, 2)}, TypeError, "thresholds には"),
        ({"seconds": -1}, ValueError, "seconds"),
    ],
)
def test_bad_input_is_named(change, error, message):
    x, y = rings()
    model = dense(4, 8, 3)
    call = {"model": model, "x": x, "y": y, "loss": CE, "optimizer": None, **change}
    model, x, y = (call.pop(name) for name in ("model", "x", "y"))
    with pytest.raises(error, match=message):
        diagnose(model, x, y, **call)


def test_one_sample_through_batch_norm_is_explained():
    model = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Linear(8, 3))
    with pytest.raises(ValueError, match="標本が 1 個"):
        diagnose(model, torch.ones(1, 4), torch.zeros(1, dtype=torch.long), loss=CE)


def test_nan_in_the_data_and_in_the_weights_is_reported_with_its_place():
    x, y = rings()
    model = dense(4, 8, 3)
    x[3, 1] = math.nan
    assert diagnose(model, x, y, loss=CE).findings[0].modules == ("x",)
    with torch.no_grad():
        model[2].weight[0, 0] = math.inf
    assert diagnose(model, rings()[0], y, loss=CE).findings[0].modules == ("2",)


def test_a_loss_that_no_gradient_reaches_is_reported():
    model = dense(4, 8, 3)
    assert root(model, *rings(), lambda o, t: CE(o.detach(), t), sgd(model)) == "no-gradient"
    model.requires_grad_(False)
    assert root(model, *rings(), CE, None) == "no-gradient"


def test_thresholds_change_what_is_suspected():
    model = dense(4, 32, 32, 32, 32, 3)
    x, y = rings()
    assert diagnose(model, x, y, loss=CE, thresholds=Thresholds(gradient=0.9)).findings


# --- 関数で書いた ReLU と、学習の後で狂う BN ------------------------------------------------


RECTIFIERS = {
    "nn.ReLU": nn.ReLU(),
    "F.relu": F.relu,
    "torch.relu": torch.relu,
    "Tensor.relu_": lambda z: z.relu_(),
    "clamp": lambda z: z.clamp(min=0),
    "clamp_min": lambda z: torch.clamp_min(z, 0),
    "maximum": lambda z: torch.maximum(z, torch.tensor(0.0)),
}


@pytest.mark.parametrize("rectify", RECTIFIERS.values(), ids=RECTIFIERS)
def test_a_dead_layer_is_seen_however_its_relu_is_written(rectify):
    model = Together(
        lambda m, x: m.head(m.relu(m.body(x))), body=nn.Linear(4, 32), head=nn.Linear(32, 3)
    )
    model.relu = rectify
    nn.init.constant_(model.body.bias, -100.0)
    (x, y), optimizer = rings(), sgd(model)
    assert diagnose(model, x, y, loss=CE).dead.tolist() == [1.0, 0.0]
    with watch(model, optimizer, every=1) as w:
        CE(model(x), y).backward()
        optimizer.step()
    assert w.report().dead.tolist() == [1.0, 0.0]


@pytest.mark.parametrize("clamp", [lambda z: z.clamp(0, 1), lambda z: z.clamp(min=-1)])
def test_a_clamp_that_is_no_relu_is_not_counted_as_one(clamp):
    model = Together(
        lambda m, x: m.head(clamp(m.body(x))), body=nn.Linear(4, 32), head=nn.Linear(32, 3)
    )
    nn.init.constant_(model.body.bias, -100.0)
    assert not diagnose(model, *rings(), loss=CE).dead.any()


def test_an_error_inside_the_model_ends_the_watching_of_its_functions():
    model = Together(lambda m, x: m.body(x) / nothing, body=nn.Linear(4, 3))  # noqa: F821
    with watch(model, sgd(model)) as w:
        with pytest.raises(NameError):
            model(torch.ones(2, 4))
        F.relu(model.body.weight)  # モデルの外の計算
    assert [sample.dead for sample in w.samples] == [{}]


def batch_norm(momentum, steps=40):
    x, y = rings()
    x = 5 * x + 20
    norm = nn.BatchNorm1d(32, momentum=momentum)
    model = nn.Sequential(nn.Linear(4, 32), norm, nn.ReLU(), nn.Linear(32, 3))
    optimizer = sgd(model)
    with watch(model, optimizer, every=3) as w:
        for _ in range(steps):
            optimizer.zero_grad()
            CE(model(x), y).backward()
            optimizer.step()
    return model, x, y, optimizer, w.report()


def test_averages_that_never_follow_the_batches_are_found_though_the_training_goes_well():
    model, x, y, optimizer, watched = batch_norm(momentum=0.0)
    report = diagnose(model, x, y, loss=CE, optimizer=optimizer)
    assert [f.slug for f in report.findings] == ["batch-norm"]
    assert report.findings[0].modules == ("1",)
    found = [f for f in watched.findings if f.slug == "batch-norm"]
    assert [(f.severity, f.modules) for f in found] == [("症状", ("1",))]


def test_averages_that_follow_the_batches_are_not_accused():
    model, x, y, optimizer, watched = batch_norm(momentum=0.1)
    assert diagnose(model, x, y, loss=CE, optimizer=optimizer).healthy
    assert "batch-norm" not in [f.slug for f in watched.findings]


def test_the_hooks_use_no_private_name_of_pytorch():
    """`torch.utils._python_dispatch` は、PyTorch の手引きにある名前。"""
    rooms = (Path(vgbook.clinic.__file__).parent / "torch").glob("*.py")
    private = {
        name
        for path in rooms
        for name in re.findall(r"\b(?:torch|nn)(?:\.\w+)*\._\w+", path.read_text(encoding="utf-8"))
    }
    assert private <= {"torch.utils._python_dispatch"}


def test_neither_the_diagnosis_nor_the_watch_advises_what_the_network_already_does():
    model = Together(
        lambda m, x: m.head(F.relu(m.norm(F.relu(m.body(x))))),
        body=nn.Linear(4, 32), norm=nn.LayerNorm(32), head=nn.Linear(32, 3),
    )  # fmt: skip
    nn.init.zeros_(model.norm.weight)
    (x, y), optimizer = rings(), sgd(model)
    with watch(model, optimizer, every=1) as w:
        CE(model(x), y).backward()
        optimizer.step()
    reports = w.report(), diagnose(model, x, y, loss=CE)
    for report in reports:
        assert "indistinguishable" in [f.slug for f in report.findings]
        cures = [cure for f in report.everything() for cure in f.cures]
        assert not [cure for cure in cures if "正規化を入れる" in cure or "シグモイド" in cure]


# --- 人の持ち込むもの ----------------------------------------------------------------------


def test_lbfgs_can_be_tried():
    x, y = rings()
    model = dense(4, 8, 3)
    assert root(model, x, y, CE, torch.optim.LBFGS(model.parameters(), lr=0.1)) == "healthy"


def test_sparse_gradients_are_measured():
    model = nn.Sequential(nn.Embedding(5, 4, sparse=True), nn.Linear(4, 3))
    y = torch.arange(9) % 3
    report = diagnose(model, y, y, loss=CE, optimizer=sgd(model))
    assert report.layers[0].dW > 0


def test_one_sample_is_not_called_buried_or_dead():
    x, y = rings()
    report = diagnose(dense(4, 32, 32, 3), x[:1], y[:1], loss=CE)
    assert report.healthy
    assert np.isnan(report.distinct).all()


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (lambda m, x: (m, x[:0]), "1 個以上の標本"),
        (lambda m, x: (m.to("meta"), x), "meta"),
        (lambda m, x: (torch.jit.trace(m, x), x), "TorchScript"),
    ],
)
@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_what_cannot_be_measured_is_refused_in_japanese(change, word):
    x, y = rings()
    model, x = change(dense(4, 8, 3), x)
    with pytest.raises((TypeError, ValueError), match=word):
        diagnose(model, x, y[: len(x)], loss=CE)


@pytest.mark.parametrize(
    ("x", "y"), [(np.zeros((6, 4), np.float32), None), (torch.zeros(6, 3), torch.zeros(6).long())]
)
def test_an_error_inside_the_model_says_what_to_try(x, y):
    with pytest.raises(Exception) as caught:  # noqa: PT011  # モデルの出す、そのままのエラー
        diagnose(dense(4, 8, 3), x, y, loss=CE)
    assert "model(x) と loss(出力, y)" in caught.value.__notes__[0]


# --- 人の書き方はさまざま -------------------------------------------------------------------


def one_logit(last=()):
    x, y = rings()
    return dense(4, 32, 32, 1, act=nn.Sigmoid, last=last), x, (y == 0).float()[:, None]


def test_a_sigmoid_in_a_hidden_layer_is_no_sigmoid_before_the_loss():
    model, x, y = one_logit()
    assert root(model, x, y, F.binary_cross_entropy_with_logits, adam(model, 3e-2)) == "healthy"


def in_a_dictionary(output, y):
    return CE(output["p"], y)


PROBABILITIES = {
    "辞書の中": (lambda z: {"p": z.softmax(1)}, in_a_dictionary),
    "損失の中": (lambda z: z, lambda z, y: CE(z.softmax(1), y)),
    "標本の軸": (lambda z: z.softmax(0), CE),
    "系列": (lambda z: z.softmax(1)[:, :, None], lambda p, y: CE(p, y[:, None])),
    "シグモイドを 1 列に": (
        lambda z: z[:, :1].sigmoid().squeeze(1),
        lambda p, y: F.binary_cross_entropy_with_logits(p, (y == 0).float()),
    ),
}


@pytest.mark.parametrize(("last", "loss"), PROBABILITIES.values(), ids=PROBABILITIES)
def test_probabilities_are_seen_wherever_they_are_handed_to_the_loss(last, loss):
    model = Together(lambda m, x: last(m.body(x)), body=dense(4, 32, 3))
    x, y = rings()
    step = lambda m, batch: loss(m(batch[0]), batch[1])  # noqa: E731
    reports = diagnose(model, x, y, loss=loss), diagnose(model, (x, y), step=step)
    assert [report.findings[0].slug for report in reports] == ["softmax-twice"] * 2


def test_only_a_loss_that_ignores_a_shift_of_the_probabilities_takes_logits():
    x, y = rings()
    model = dense(4, 32, 3, last=[nn.Softmax(1)])
    squares = lambda p, t: (p - F.one_hot(t, 3)).square().mean()  # noqa: E731
    assert root(model, x, y, squares, None) != "softmax-twice"
    below_zero = lambda z, t: (z.exp().sum(1).log() - z[range(len(t)), t]).mean() - 5  # noqa: E731
    assert root(model, x, y, below_zero, None) == "softmax-twice"


def test_a_model_that_returns_its_own_loss_is_healthy():
    x, y = rings()
    model = Together(lambda m, x: CE(m.body(x), y), body=dense(4, 32, 3))
    assert root(model, x, y, lambda value, _: value, sgd(model)) == "healthy"


def test_an_integer_target_of_another_shape_is_seen():
    x, _ = rings()
    model, y = dense(4, 32, 1), (9 * x[:, 0] * x[:, 1]).round().long()
    assert root(model, x, y, lambda o, t: (o - t).square().mean(), adam(model)) == "loss-shape"


def test_a_loss_that_is_flat_everywhere_has_no_gradient():
    x, _ = rings()
    model, y = dense(4, 32, 1), x[:, :1]
    assert root(model, x, y, lambda o, t: MSE(o.round(), t), adam(model)) == "no-gradient"


def test_a_saturated_output_is_the_reason_why_every_gradient_is_0():
    x, y = rings()
    model = dense(4, 32, 1, last=(nn.Sigmoid(),))
    nn.init.constant_(model[2].bias, 300.0)
    report = diagnose(model, x, (y == 0).float()[:, None], loss=MSE)
    assert [f.slug for f in report.findings][:1] == ["saturated"]


def test_a_hinge_loss_that_is_satisfied_is_no_missing_gradient():
    x, y = rings()
    model, side = dense(4, 32, 1), torch.where(y == 0, 1.0, -1.0)[:, None]
    satisfied = lambda o, t: F.relu(-1e3 - o * t).mean()  # noqa: E731
    assert root(model, x, side, satisfied, sgd(model)) == "healthy"


def test_a_compiled_model_is_measured_and_compiled_only_once():
    compiled = []

    def backend(graph, _inputs):
        compiled.append(graph)
        return graph.forward

    x, y = rings()
    model = dense(4, 32, 32, 3)
    fast, optimizer = torch.compile(model, backend=backend), sgd(model)
    with watch(model, optimizer, every=3) as inner, watch(fast, optimizer, every=2) as outer:
        for _ in range(12):
            optimizer.zero_grad()
            CE(fast(x), y).backward()
            optimizer.step()
    fast(x)
    for w in (inner, outer):
        assert len(w.report().layers) == 3
        assert np.isfinite(w.report().delta).all()
    assert len(compiled) == 1
    assert diagnose(fast, x, y, loss=CE, optimizer=optimizer).healthy


def test_what_a_copy_cannot_be_made_of_is_named():
    model = dense(4, 8, 3)
    model.names = (name for name in "abc")
    with pytest.raises(TypeError) as caught:
        diagnose(model, *rings(), loss=CE)
    assert "copy.deepcopy" in caught.value.__notes__[0]


@pytest.mark.parametrize("options", [{"loss": nn.CrossEntropyLoss}, {"step": nn.CrossEntropyLoss}])
def test_a_class_is_no_loss(options):
    with pytest.raises(TypeError, match="クラス"):
        diagnose(dense(4, 8, 3), *rings(), **options)


def test_an_optimizer_of_pytorch_is_refused_by_a_network_of_this_book():
    network = mlp([4, 8, 3], relu, he(), rng=np.random.default_rng(0))
    x, y = (a.numpy() for a in rings())
    with pytest.raises(TypeError, match="PyTorch のモデルでだけ"):
        diagnose(network, x, y, optimizer=sgd(dense(4, 8, 3)))


def test_layers_without_a_shape_are_refused():
    with pytest.raises(ValueError, match="LazyLinear"):
        diagnose(nn.Sequential(nn.LazyLinear(3)), *rings(), loss=CE)


def test_a_trial_that_ran_out_of_time_is_not_called_well():
    model = dense(4, 32, 32, 3)
    report = diagnose(model, *rings(), loss=CE, optimizer=sgd(model, 1e-8), seconds=1e-6)
    assert report.summary.startswith("不明")
    assert any("seconds を大きく" in note for note in report.notes)


def test_only_one_place_chooses_the_type_of_the_measurements():
    """MPS (Apple の GPU) には float64 がない。"""
    rooms = (Path(vgbook.clinic.__file__).parent / "torch").glob("*.py")
    lines = [line for path in rooms for line in path.read_text(encoding="utf-8").splitlines()]
    made = [line for line in lines if re.search(r"\.double\(|torch\.float64", line)]
    assert [line for line in made if "torch.randn(block.shape)" not in line] == [
        '    return a.to(torch.float32 if a.device.type == "mps" else torch.float64, copy=True)'
    ]


# --- 見張り -------------------------------------------------------------------------------


def watched(model, loss_of, optimizer=None, steps=4):
    optimizer = optimizer or sgd(model)
    with watch(model, optimizer, every=1) as w:
        for _ in range(steps):
            optimizer.zero_grad()
            loss = loss_of()
            loss.backward()
            optimizer.step()
            w.loss(loss)
    return w.report()


def test_weights_that_start_at_zero_do_not_look_like_a_divergence():
    x, y = rings()
    model = dense(4, 32, 3)
    nn.init.zeros_(model[2].weight)
    report = watched(model, lambda: CE(model(x), y), steps=1)
    assert "non-finite" not in [f.slug for f in report.findings]
    assert np.isnan(report.update[1])


def test_large_half_precision_values_do_not_look_like_a_divergence():
    x, y = rings()
    model = dense(4, 32, 3).half()
    nn.init.normal_(model[0].weight, 0, 300.0)  # 2 乗すれば float16 の最大値を超える
    nn.init.normal_(model[2].weight, 0, 1e-3)
    report = watched(model, lambda: CE(model(x.half()).float(), y), sgd(model, 1e-4), steps=1)
    assert report.h[0] > 256
    assert "non-finite" not in [f.slug for f in report.findings]


def test_a_loss_that_was_not_finite_is_found_wherever_it_was():
    x, y = rings()
    model = dense(4, 32, 3)
    optimizer = sgd(model)
    with watch(model, optimizer, every=100) as w:
        for i in range(9):
            optimizer.zero_grad()
            loss = CE(model(x), y)
            loss.backward()
            optimizer.step()
            w.loss(math.inf if i == 5 else loss)
    found = w.report().findings[0]
    assert (found.slug, found.modules) == ("non-finite", ("loss",))


def test_a_watch_keeps_every_third_loss_and_those_that_are_not_finite():
    model = dense(4, 8, 3)
    optimizer = sgd(model)
    losses = [1.0, 0.9, 0.8, 0.7, math.nan, 0.5, 0.4, math.inf]
    with watch(model, optimizer, every=3) as w:
        for loss in losses:
            w.loss(loss)
            optimizer.zero_grad()
            model(torch.ones(2, 4)).sum().backward()
            optimizer.step()
    (kept,) = w.report().trials
    np.testing.assert_array_equal(kept.losses, [losses[i] for i in (0, 3, 4, 6, 7)])


@pytest.mark.parametrize("make", [sgd, lambda m: torch.optim.LBFGS(m.parameters(), lr=0.1)])
def test_a_step_that_takes_a_closure_is_measured(make):
    x, y = rings()
    model = dense(4, 32, 3)
    optimizer = make(model)

    def closure():
        optimizer.zero_grad()
        loss = CE(model(x), y)
        loss.backward()
        return loss

    before = model[0].weight.detach().clone()
    with watch(model, optimizer, every=1) as w:
        optimizer.step(closure)
    moved = (model[0].weight.detach() - before).norm() / before.norm()
    assert w.report().update[0] == pytest.approx(float(moved), rel=1e-5)
    assert w.report().dW[0] > 0


def test_the_gradient_of_a_watch_is_that_of_autograd():
    x, y = rings()
    model = dense(4, 32, 3)
    report = watched(model, lambda: CE(model(x), y), steps=1)
    grads = [model[i].weight.grad.double().square().mean().sqrt() for i in (0, 2)]
    np.testing.assert_allclose(report.dW, grads, rtol=1e-6)


def test_a_layer_that_the_first_steps_passed_by_may_be_dead():
    x, y = rings()
    model = dense(4, 4, 4, 3)
    nn.init.constant_(model[2].bias, -50.0)
    paths = iter([nn.Sequential(model[0], model[1], model[4]), model, model])
    report = watched(model, lambda: CE(next(paths)(x), y), steps=3)
    assert {layer.name: layer.dead for layer in report.layers}["2"] == 1


def test_a_layer_that_is_cut_off_from_the_loss_is_found():
    x, y = rings()
    model = Together(
        lambda m, x: m.head(m.body(x).detach()), body=nn.Linear(4, 32), head=nn.Linear(32, 3)
    )
    found = watched(model, lambda: CE(model(x), y)).findings[0]
    assert (found.slug, found.modules) == ("no-gradient", ("body",))


def test_two_optimizers_that_take_turns_are_not_accused():
    critic, generator = dense(4, 16, 1), dense(2, 16, 4)
    model = nn.ModuleDict({"critic": critic, "generator": generator})
    for_critic, for_generator = adam(critic), adam(generator)
    with watch(model, for_critic, every=1) as w:
        for _ in range(4):
            made = generator(torch.randn(16, 2))
            for_critic.zero_grad()
            F.softplus(critic(made.detach())).mean().backward()
            for_critic.step()
            for_generator.zero_grad()
            F.softplus(-critic(made)).mean().backward()
            for_generator.step()
    assert w.report().healthy


def test_nothing_measured_is_not_called_well():
    model = dense(4, 8, 3)
    with watch(model, sgd(model)) as w:
        pass
    assert w.report().summary == "不明: 測れた層がありません。"


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda m, o: watch(m, sgd(dense(4, 8, 3))), ValueError, "model のものでは"),
        (lambda m, o: watch(m, o, every=True), ValueError, "every には 1 以上"),
        (lambda m, o: watch(m, o, save="/no/such/folder/report.json"), FileNotFoundError, "場所"),
        (lambda m, o: watch(m, o, save=3), TypeError, "ファイルの名前"),
        (lambda m, o: watch(m, o).loss(torch.ones(3)), ValueError, r"1 つの数.*\(3,\)"),
        (lambda m, o: watch(m, o).loss("0,3"), ValueError, "1 つの数"),
        (lambda m, o: watch(m, o).report(thresholds=3), TypeError, "thresholds"),
    ],
)
def test_a_watch_refuses_before_the_training_begins(call, error, message):
    model = dense(4, 8, 3)
    with pytest.raises(error, match=message):
        call(model, sgd(model))


def test_a_count_may_be_an_integer_of_numpy():
    model = dense(4, 8, 3)
    assert watch(model, sgd(model), every=np.int64(5)).every == 5


def two_layers(inplace):
    """1 層目が死んでいて、2 層目には信号が届かない。"""
    net = mlp([4, 8, 8, 3], relu, he(), rng=np.random.default_rng(0))
    net[0].params["b"][:] = -50
    state = {
        f"{i}.{name}": torch.tensor(layer.params[key].T if key == "W" else layer.params[key][0])
        for i, layer in enumerate(net)
        if layer.params
        for name, key in (("weight", "W"), ("bias", "b"))
    }
    model = dense(4, 8, 8, 3, act=lambda: nn.ReLU(inplace)).double()
    model.load_state_dict(state)
    return net, model


@pytest.mark.parametrize("inplace", [False, True])
def test_both_clinics_count_the_same_units_as_dead(inplace):
    x, y = rings()
    net, model = two_layers(inplace)
    ours = diagnose(net, x.numpy().astype(float), y.numpy())
    theirs = diagnose(model, x.double(), y, loss=CE)
    with watch(model, sgd(model), every=1) as w:
        CE(model(x.double()), y).backward()
        w.optimizer.step()
    for report in (ours, theirs, w.report()):
        assert list(report.dead) == [1, 0, 0]
        names = [f.name for f in report.findings]
        assert names[:1] == ["死"]
        assert "埋没" in names


@pytest.mark.parametrize(
    ("act", "start"), [(nn.GELU, -200.0), (nn.SiLU, -200.0), (lambda: nn.LeakyReLU(0.0), -5.0)]
)
def test_any_unbounded_activation_may_die(act, start):
    model = dense(4, 8, 3, act=act)
    nn.init.constant_(model[0].bias, start)
    assert diagnose(model, *rings(), loss=CE).dead[0] == 1


def test_a_dead_channel_of_a_sequence_is_seen():
    model = nn.Sequential(nn.Conv1d(1, 4, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(16, 3))
    with torch.no_grad():
        model[0].bias[:3] = -50
    x, y = rings()
    assert diagnose(model, x[:, None], y, loss=CE).dead[0] == 0.75


def test_units_of_a_linear_layer_on_images_are_its_features():
    model = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Flatten(), nn.Linear(16, 3))
    with torch.no_grad():
        model[0].bias[:3] = -50
    x, y = rings()
    x = x[:, None, None].expand(-1, 2, 2, -1)
    assert diagnose(model, x, y, loss=CE).dead[0] == 0.75


def test_a_warm_up_from_zero_is_called_well():
    model = dense(4, 32, 32, 3)
    optimizer = sgd(model)
    torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: step / 10)
    report = diagnose(model, *rings(), loss=CE, optimizer=optimizer)
    assert report.healthy
    assert report.summary.startswith("良好")


@pytest.mark.parametrize("lr", [1e-7, 0.3])
def test_a_watch_calls_only_a_loss_that_really_fell_well(lr):
    x, y = rings()
    model, losses = dense(4, 32, 3), []

    def loss():
        losses.append(CE(model(x), y))
        return losses[-1]

    report = watched(model, loss, sgd(model, lr), steps=20)
    assert losses[-1] < losses[0]
    assert report.summary.startswith("良好" if lr > 0.1 else "不明")


def test_a_watch_finds_weights_that_stay_at_zero():
    x, y = rings()
    model = dense(4, 8, 8, 3)
    for p in model.parameters():
        nn.init.zeros_(p)
    optimizer = sgd(model)
    with watch(model, optimizer, every=1) as w:
        for _ in range(3):
            optimizer.zero_grad()
            CE(model(x), y).backward()
            optimizer.step()
    assert w.report().findings[0].slug == "zero-init"
