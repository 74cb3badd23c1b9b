"""層の持ち方: 分け合う層、隠れた層、書き換えられた params が、黙って間違った勾配にならない。"""

import copy
import pickle

import numpy as np
import pytest

from vgbook import (
    SGD,
    Activate,
    Affine,
    BatchNorm,
    Clip,
    LastStep,
    LayerNorm,
    Network,
    Recurrent,
    Residual,
    check_gradients,
    diagnose,
    fit,
    he,
    identity,
    lsuv,
    mlp,
    relu,
    tanh,
    xavier,
)

X = np.random.default_rng(0).standard_normal((6, 4))
LABELS = np.array([0, 1, 2, 2, 1, 0])
DY = np.ones((6, 3))


def layer(n_in=4, n_out=4, seed=0):
    return Affine(np.random.default_rng(seed).standard_normal((n_in, n_out)))


# ---- 1 つの層が、2 つのネットワークにある


def pair():
    """初めの層を分け合う 2 つのネットワーク。"""
    shared = layer()
    return [Network([Residual([shared]), Activate(tanh), layer(4, 3, seed)]) for seed in (1, 2)]


@pytest.mark.parametrize("back", ["backward", "gradients"])
def test_a_layer_used_by_another_network_in_between_is_refused(back):
    a, b = pair()
    a.forward(X)
    b.forward(X[::-1])
    with pytest.raises(RuntimeError, match=r"層に残る値が.*もう一度 forward"):
        getattr(a, back)(DY)
    b.backward(DY)
    a.forward(X)
    a.backward(DY)  # 呼び直せば正しい
    alone = copy.deepcopy(a)
    alone.forward(X)
    alone.backward(DY)
    np.testing.assert_array_equal(a[0].grads["0.W"], alone[0].grads["0.W"])


def test_a_copy_of_the_network_object_alone_shares_its_layers():
    a = mlp([4, 5, 3], tanh, xavier(), rng=np.random.default_rng(0))
    b = copy.copy(a)
    a.forward(X)
    b.forward(X[::-1])
    with pytest.raises(RuntimeError, match="層に残る値が"):
        a.backward(DY)


@pytest.mark.parametrize("way", [copy.deepcopy, lambda a: pickle.loads(pickle.dumps(a))])
def test_a_copy_goes_back_from_where_the_original_was(way):
    a = mlp([4, 5, 3], tanh, xavier(), rng=np.random.default_rng(0), norm=BatchNorm)
    a.forward(X)
    b = way(a)
    a.forward(X[::-1])
    a.backward(DY)
    np.testing.assert_allclose(b.backward(DY), a.backward(DY)[::-1], rtol=1e-10, atol=1e-13)


def test_a_prediction_between_forward_and_backward_is_refused():
    """同じ数の標本なら、形からは気づけない。"""
    network = mlp([4, 5, 3], tanh, xavier(), rng=np.random.default_rng(0))
    network.forward(X)
    network.predict(X[::-1])
    with pytest.raises(RuntimeError, match="層に残る値が"):
        network.backward(DY)
    network.forward(X)
    network.backward(DY)


LAYERS = {
    "Affine": layer,
    "Activate": lambda: Activate(tanh),
    "BatchNorm": lambda: BatchNorm(4),
    "LayerNorm": lambda: LayerNorm(4),
    "Residual": lambda: Residual([layer()]),
    "Recurrent": lambda: Recurrent(np.eye(4), np.eye(4), tanh),
    "LastStep": LastStep,
}


@pytest.mark.parametrize("back", ["backward", "gradients"])
@pytest.mark.parametrize("kind", LAYERS)
def test_a_layer_called_by_hand_between_forward_and_backward_is_refused(kind, back):
    sequence = kind in ("Recurrent", "LastStep")
    x = np.stack([X, X[::-1]]) if sequence else X
    after = [LastStep()] if kind == "Recurrent" else []
    network = Network([LAYERS[kind](), *after, layer(4, 3)])
    network.forward(x)
    network[0].forward(x[::-1])
    with pytest.raises(RuntimeError, match=r"手で呼んだ layer.forward.*もう一度 forward"):
        getattr(network, back)(DY)
    network.forward(x)
    getattr(network, back)(DY)


def test_all_layers_called_by_hand_in_turn_are_a_forward_pass():
    network = mlp([4, 5, 3], tanh, xavier(), rng=np.random.default_rng(0), norm=BatchNorm)
    network.forward(X[::-1])
    h = X
    for each in network:
        h = each.forward(h)
    by_hand = network.backward(DY)
    network.forward(X)
    np.testing.assert_array_equal(network.backward(DY), by_hand)


def test_batch_norm_goes_back_through_the_forward_that_was_made():
    """推論の順伝播なら、推論を出た後の逆伝播も、移動平均で正規化した出力の勾配になる。"""
    network = mlp([4, 5, 3], tanh, xavier(), rng=np.random.default_rng(0), norm=BatchNorm)
    with network.inference():
        network.forward(X)
        inside = network.backward(DY)
    np.testing.assert_array_equal(network.backward(DY), inside)


# ---- 属性に隠れた層


class Block:
    """中の層を属性にもつ、自作の層。"""

    def __init__(self, inner, *, branch=False, params=False):
        self.inner = inner
        self.params, self.grads = {}, {}
        if branch:
            self.branch = list(inner)
        if params:
            self.params = {
                f"{i}.{name}": a for i, part in enumerate(inner) for name, a in part.params.items()
            }

    def forward(self, x):
        for part in self.inner:
            x = part.forward(x)
        return x

    def backward(self, dy):
        for part in reversed(self.inner):
            dy = part.backward(dy)
        if self.params:
            self.grads = {
                f"{i}.{name}": a
                for i, part in enumerate(self.inner)
                for name, a in part.grads.items()
            }
        return dy


HIDDEN = {
    "Network": lambda: Block(mlp([4, 5, 4], relu, he(), rng=np.random.default_rng(0))),
    "層のリスト": lambda: Block([layer(), Activate(relu)]),
    "層のタプル": lambda: Block((layer(),)),
    "params だけ": lambda: Block([layer(), BatchNorm(4)], params=True),
    "branch だけ": lambda: Block([layer()], branch=True),
    "ブロックの枝の中": lambda: Residual([Block([layer()])]),
}


@pytest.mark.parametrize("kind", HIDDEN)
def test_layers_hidden_in_an_attribute_are_refused(kind):
    with pytest.raises(ValueError, match=r"branch.*受け取った"):
        Network([HIDDEN[kind](), layer(4, 3)])


def test_a_layer_that_hides_others_is_refused_when_it_is_added_later_too():
    network = Network([layer(), layer(4, 3)])
    network.layers.insert(1, HIDDEN["Network"]())
    with pytest.raises(ValueError, match="branch"):
        fit(network, SGD(0.1), X, LABELS, steps=1, batch_size=2, rng=np.random.default_rng(0))


def test_layers_in_a_dictionary_or_alone_are_found_too():
    for value in (layer(), {"first": layer()}, (layer(),)):
        block = Block([])
        block.kept = value
        with pytest.raises(ValueError, match="届かない層"):
            Network([block, layer(4, 3)])


def test_a_block_that_shows_its_layers_is_trained_checked_and_diagnosed():
    inner = [layer(seed=3), BatchNorm(4), Activate(tanh)]
    block = Block(inner, branch=True, params=True)
    network = Network([block, layer(4, 3, seed=4)])
    assert all(check.ok() for check in check_gradients(network, X, LABELS))
    W = inner[0].params["W"].copy()
    fit(network, SGD(0.1), X, LABELS, steps=2, batch_size=4, rng=np.random.default_rng(0))
    assert not np.array_equal(inner[0].params["W"], W)
    assert len(diagnose(network, X, LABELS).layers) == 2


def shown(*inner):
    return Block(list(inner), branch=True, params=True)


@pytest.mark.parametrize("wrap", [shown, lambda *inner: Residual(inner)])
def test_clipping_reaches_the_layers_inside_a_layer(wrap):
    x, moved = 1e3 * np.random.default_rng(0).standard_normal((20, 4)), []
    for network in (Network([Affine(np.eye(4))]), Network([wrap(Affine(np.eye(4)))])):
        network.backward(np.ones_like(network.forward(x)))
        Clip(SGD(1.0), max_norm=1e-3).step(network)
        W, b = next(network.leaves()).params.values()
        moved.append(np.sqrt(np.square(W - np.eye(4)).sum() + np.square(b).sum()))
    np.testing.assert_allclose(moved, 1e-3)


def test_a_layer_that_is_never_called_is_named_by_the_diagnosis():
    block = Block([layer()], branch=True, params=True)
    block.inner = []
    with pytest.raises(ValueError, match="順伝播が通らない層"):
        diagnose(Network([block, layer(4, 3)]), X, LABELS)


def test_a_layer_may_keep_a_helper_that_is_no_layer():
    """forward だけ、backward だけをもつ相手は、逆伝播の道ではない。"""
    first = layer()
    first.one_way = type("Encoder", (), {"forward": lambda self, x: x})()
    first.other_way = type("Decoder", (), {"backward": lambda self, x: x})()
    assert len(Network([first])) == 1


def test_a_layer_may_look_at_another_layer_of_the_same_network():
    first, second = layer(), layer(4, 3)
    first.next_one = second
    assert len(Network([first, second])) == 2


# ---- 書き換えられた params

BUILT_IN = {
    "Affine": (layer, ("W", "b")),
    "BatchNorm": (lambda: BatchNorm(4), ("gamma", "beta")),
    "LayerNorm": (lambda: LayerNorm(4), ("gamma", "beta")),
    "Recurrent": (lambda: Recurrent(np.eye(4), np.eye(4), identity), ("Wx", "Wh", "b")),
}
CASES = [(kind, name) for kind, (_, names) in BUILT_IN.items() for name in names]


def run(it):
    x = X[None] if isinstance(it, Recurrent) else X
    return it.backward(np.ones_like(it.forward(x)))


@pytest.mark.parametrize(("kind", "name"), CASES)
def test_a_deleted_key_of_params_is_named(kind, name):
    it = BUILT_IN[kind][0]()
    del it.params[name]
    with pytest.raises(ValueError, match=rf"params には.*{name}.*受け取った名前"):
        run(it)


@pytest.mark.parametrize(("kind", "name"), CASES)
@pytest.mark.parametrize("bad", [None, "W", [[1.0] * 4] * 4, np.ones((1, 3)), np.ones((2, 2, 2))])
def test_a_key_replaced_by_what_does_not_fit_is_named(kind, name, bad):
    it = BUILT_IN[kind][0]()
    it.params[name] = bad
    with pytest.raises((ValueError, TypeError), match="受け取った"):
        run(it)


@pytest.mark.parametrize("kind", BUILT_IN)
def test_the_order_of_the_keys_does_not_matter(kind):
    it = BUILT_IN[kind][0]()
    for name, array in it.params.items():
        array += np.random.default_rng(len(name)).standard_normal(array.shape)
    other = copy.deepcopy(it)
    other.params = dict(reversed(it.params.items()))
    np.testing.assert_array_equal(run(other), run(it))


@pytest.mark.parametrize(
    "way",
    [np.ma.array, np.ndarray.tolist, lambda W: W.astype(int), lambda W: W + 0j],
    ids=["マスク", "リスト", "整数", "複素数"],
)
def test_weights_that_are_no_plain_arrays_are_refused_before_they_are_used(way):
    network = mlp([4, 5, 3], tanh, xavier(), rng=np.random.default_rng(0))
    network[0].params["W"] = way(network[0].params["W"])
    for use in (
        lambda: fit(
            network, SGD(0.1), X, LABELS, steps=1, batch_size=2, rng=np.random.default_rng(0)
        ),
        lambda: check_gradients(network, X, LABELS),
        lambda: diagnose(network, X, LABELS),
        lambda: lsuv(network, X),
    ):
        with pytest.raises(TypeError, match=r"params の値には.*受け取った値"):
            use()
