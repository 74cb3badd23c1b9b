"""PyTorch のモデルの重みから、同じ計算をするネットワークができ、違うモデルは断られる。"""

import numpy as np
import pytest
from peers import torch

from vgbook.activations import gelu, relu, tanh
from vgbook.clinic import diagnose
from vgbook.clinic.pytorch import from_state_dict
from vgbook.experiments.datasets import digits

DATA = digits()
X, LABELS = DATA.x_train[:200], DATA.labels_train[:200]


@pytest.mark.parametrize("bias", [True, False])
def test_a_real_pytorch_model_can_be_diagnosed(bias):
    torch.manual_seed(0)
    model = torch.nn.Sequential(
        torch.nn.Linear(64, 50, bias=bias), torch.nn.ReLU(), torch.nn.Linear(50, 10, bias=bias)
    ).double()
    net = from_state_dict(model.state_dict(), relu)
    np.testing.assert_allclose(net.forward(X), model(torch.tensor(X)).detach(), rtol=1e-12)

    outputs = model[0](torch.tensor(X))
    outputs.retain_grad()
    loss = torch.nn.functional.cross_entropy(model[2](model[1](outputs)), torch.tensor(LABELS))
    loss.backward()
    d = diagnose(net, X, LABELS)
    assert d.delta[0] == pytest.approx(outputs.grad.square().mean().sqrt().item(), rel=1e-10)
    assert d.dW[1] == pytest.approx(model[2].weight.grad.square().mean().sqrt().item(), rel=1e-10)
    before = [p.detach().clone() for p in model.parameters()]
    for param in (p for layer in net for p in layer.params.values()):
        param += 1
    assert all(map(torch.equal, before, model.parameters()))  # 写しなので、元のモデルは変わらない


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ({}, "重み"),
        ({"0.weight": np.ones((3, 2)), "1.weight": np.ones((3, 4))}, "つながりません"),
        ({"0.weight": np.ones((3, 2, 5, 5))}, "全結合"),
        ({"0.weight": np.ones((3, 2)), "0.bias": np.ones(4)}, "0.bias"),
        ({"0.running_mean": np.ones(3)}, "running_mean"),
        ({"0.weight": np.ones((3, 2), complex)}, "0.weight .*complex"),
        ({"0.weight": np.array([["a", "b"]])}, "0.weight .*実数"),
        ({"0.weight": np.ones((3, 2)), "0.bias": np.ones(3, bool)}, "0.bias .*bool"),
        ({"0.weight": np.ones((0, 2))}, r"0.weight .*\(0, 2\)"),
        ({"0.weight": [[1.0], [1.0, 2.0]]}, "0.weight には長さのそろった"),
    ],
)
def test_other_states_are_refused(state, message):
    with pytest.raises(ValueError, match=message):
        from_state_dict(state, relu)


@pytest.mark.parametrize("state", [None, [np.ones((3, 2))], {0: np.ones((3, 2))}])
def test_what_is_not_a_mapping_of_names_is_refused(state):
    with pytest.raises(TypeError, match="state には名前"):
        from_state_dict(state, relu)


@pytest.mark.parametrize("activation", ["relu", np.tanh, None])
def test_what_is_not_an_activation_is_refused(activation):
    with pytest.raises(TypeError, match="activation には Activation"):
        from_state_dict({"0.weight": np.ones((3, 2))}, activation)


def test_parameters_that_require_grad_are_refused_by_name():
    parameters = dict(torch.nn.Linear(2, 3).named_parameters())
    with pytest.raises(ValueError, match=r"state の weight を NumPy .*state_dict"):
        from_state_dict(parameters, relu)


def test_integer_weights_become_floats():
    net = from_state_dict({"0.weight": [[1, 2]]}, relu)
    assert net.affines[0].params["W"].dtype == float


# --- check: 元のモデルと同じ計算か -----------------------------------------------------------


def torch_models(dtype):
    """同じ state_dict() をもち、計算だけが違うモデル。名前は、そのモデルにあるもの。"""
    torch.manual_seed(0)
    first, last = torch.nn.Linear(64, 64), torch.nn.Linear(64, 64)
    F = torch.nn.functional
    norm = torch.nn.LayerNorm(64, elementwise_affine=False)
    base = torch.nn.Sequential(first, torch.nn.ReLU(), last).to(dtype)
    with torch.no_grad():
        x = torch.tensor(X, dtype=dtype)
        outputs = {
            "relu": base(x),
            "skip": x + base(x),
            "norm": last(norm(F.relu(first(x)))),
            "gelu": last(F.gelu(first(x))),
            "leaky": last(F.leaky_relu(first(x), 1e-3)),
            "dropout": last(F.dropout(F.relu(first(x)), 0.1)),
        }
    return base.state_dict(), outputs


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_same_computation_passes_the_check(dtype):
    state, outputs = torch_models(getattr(torch, dtype))
    from_state_dict(state, relu, check=(X, outputs["relu"]))


@pytest.mark.parametrize("model", ["skip", "norm", "gelu", "leaky", "dropout"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_what_the_state_does_not_tell_fails_the_check(dtype, model):
    state, outputs = torch_models(getattr(torch, dtype))
    with pytest.raises(ValueError, match="元のモデルの出力と違います"):
        from_state_dict(state, relu, check=(X, outputs[model]))


@pytest.mark.parametrize(
    ("dtype", "widen"),
    [("float16", False), ("float16", True), ("bfloat16", True)],
)
def test_a_half_precision_model_is_judged_by_its_own_rounding(dtype, widen):
    torch.manual_seed(0)
    half = getattr(torch, dtype)
    body = torch.nn.Sequential(torch.nn.Linear(4, 64), torch.nn.ReLU(), torch.nn.Linear(64, 4))
    model, x = body.to(half), torch.randn(50, 4).to(half)
    given = (lambda t: t.detach().float()) if widen else (lambda t: t.detach())
    state = {name: given(value) for name, value in model.state_dict().items()}
    from_state_dict(state, relu, check=(given(x), given(model(x))))
    with pytest.raises(ValueError, match="違います"):
        from_state_dict(state, relu, check=(given(x), given(model(x) + x)))


def test_a_checkpoint_is_told_from_a_state():
    with pytest.raises(TypeError, match=r"checkpoint\['model'\]"):
        from_state_dict({"epoch": 3, "model": {"0.weight": np.ones((3, 2))}}, relu)


@pytest.mark.parametrize(
    ("check", "error", "message"),
    [
        (np.ones((2, 2)), TypeError, "check には"),
        ((np.ones((2, 2)),), TypeError, "check には"),
        ((np.ones((2, 5)), np.ones((2, 3))), ValueError, r"check の入力.*\(2, 5\)"),
        ((np.ones((2, 2)), np.ones((1, 3))), ValueError, r"check の.*\(1, 3\)"),
        ((np.ones((2, 2)), np.full((2, 3), np.nan)), ValueError, "check の出力 に有限でない"),
        ((np.ones((2, 2)), "y"), ValueError, "check の出力 には"),
    ],
)
def test_a_bad_check_is_named(check, error, message):
    with pytest.raises(error, match=message):
        from_state_dict({"0.weight": np.ones((3, 2))}, relu, check=check)


def test_a_network_with_weights_that_are_not_finite_fails_the_check():
    state = {"0.weight": np.full((1, 1), np.nan)}
    with pytest.raises(ValueError, match="違います"):
        from_state_dict(state, tanh, check=([[1.0]], [[1.0]]))


def test_an_approximate_gelu_is_not_the_exact_one():
    torch.manual_seed(0)
    model = torch.nn.Sequential(
        torch.nn.Linear(64, 64), torch.nn.GELU("tanh"), torch.nn.Linear(64, 10)
    )
    x = torch.tensor(X, dtype=torch.float32)
    with pytest.raises(ValueError, match="丸め誤差の見積もり"):
        from_state_dict(model.state_dict(), gelu, check=(X, model(x).detach()))
    exact = torch.nn.Sequential(model[0], torch.nn.GELU(), model[2])
    from_state_dict(exact.state_dict(), gelu, check=(X, exact(x).detach()))


def test_a_missing_skip_connection_is_seen_beside_a_large_constant():
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(64, 64), torch.nn.ReLU(), torch.nn.Linear(64, 64))
    with torch.no_grad():
        model[2].bias += 1e4  # 出力の最大値を基準にすると、差が隠れる
    x = torch.tensor(X, dtype=torch.float32)
    from_state_dict(model.state_dict(), relu, check=(X, model(x).detach()))
    with pytest.raises(ValueError, match="違います"):
        from_state_dict(model.state_dict(), relu, check=(X, (model(x) + x).detach()))


@pytest.mark.parametrize("depth", [3, 12])
def test_the_order_of_the_keys_does_not_matter(depth):
    torch.manual_seed(0)
    layers = [layer for _ in range(depth) for layer in (torch.nn.Linear(5, 5), torch.nn.Tanh())]
    model = torch.nn.Sequential(*layers[:-1]).double()
    x = torch.randn(6, 5).double()
    sorted_state = dict(sorted(model.state_dict().items()))  # 10.bias, 10.weight, 12.bias, …
    net = from_state_dict(sorted_state, tanh)
    np.testing.assert_allclose(net.forward(x.numpy()), model(x).detach(), rtol=1e-10)


def test_layers_with_names_keep_the_order_in_which_they_come():
    names = ["stem", "body.1", "body.0", "a"]
    state = {f"{name}.weight": np.full((1, 1), v) for v, name in enumerate(names, 1)}
    net = from_state_dict(state, relu)
    assert [affine.params["W"].item() for affine in net.affines] == [1, 3, 2, 4]


def test_bfloat16_weights_are_told_to_become_float():
    with pytest.raises(ValueError, match=r"bfloat16 なら \.float\(\)"):
        from_state_dict(torch.nn.Linear(2, 3).bfloat16().state_dict(), relu)


def test_names_in_alphabetical_order_are_refused_unless_the_output_is_checked():
    r = np.random.default_rng(0)
    model = {f"{name}.weight": r.standard_normal((4, 4)) for name in ("input", "hidden", "output")}
    x = r.standard_normal((5, 4))
    net = from_state_dict(model, tanh)
    right = {"x": x, "y": net.forward(x)}
    by_name = dict(sorted(model.items()))
    with pytest.raises(ValueError, match="並べ直されて"):
        from_state_dict(by_name, tanh)
    with pytest.raises(ValueError, match="出力が、元のモデルの出力と違います"):
        from_state_dict(by_name, tanh, check=tuple(right.values()))
    in_order = {f"{name}.weight": w for name, w in zip("abc", model.values(), strict=True)}
    same = from_state_dict(in_order, tanh, check=tuple(right.values()))
    np.testing.assert_array_equal(same.forward(x), right["y"])
    numbered = {f"layers.{i}.fc.weight": w for i, w in enumerate(model.values())}
    np.testing.assert_array_equal(from_state_dict(numbered, tanh).forward(x), right["y"])


def test_names_that_come_backwards_are_refused():
    model = torch.nn.Sequential()
    for name in ("input", "hidden", "output"):
        model.add_module(name, torch.nn.Linear(4, 4))
    state = model.state_dict()
    assert len(from_state_dict(state, tanh).affines) == 3
    with pytest.raises(ValueError, match="並べ直されて"):
        from_state_dict(dict(reversed(state.items())), tanh)


def test_a_model_that_counts_down_is_not_turned_round():
    names = ("fc3", "fc2", "fc1")
    state = {f"{name}.weight": np.full((1, 1), v) for v, name in enumerate(names, 1)}
    with pytest.raises(ValueError, match="並べ直されて"):
        from_state_dict(state, relu)
    assert len(from_state_dict(state, relu, check=([[1.0]], [[6.0]])).affines) == 3
