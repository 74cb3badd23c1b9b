"""正規化の層: バッチ正規化と層正規化。

正規化の式は同じで、平均をとる軸と、推論で使う統計量が違います。
バッチ正規化はユニットごとにバッチの方向 (``axis=-2``) で、層正規化は標本ごとにユニットの方向
(``axis=-1``) で、平均 0・分散 1 にそろえます。
"""

import numpy as np
from numpy.typing import DTypeLike

from vgbook._edge import (
    Array,
    Shape,
    check_count,
    check_dtype,
    check_flag,
    check_fraction,
    check_number,
    check_positive,
    check_shape,
    incoming,
    upstream,
)
from vgbook.layers.weights import check_weights, members_text


def _standardize(x: Array, axis: int, eps: float) -> tuple[Array, Array, Array, Array]:
    """x̂ = (x − μ)/√(v + ε) と 1/√(v + ε)、μ、v を返す。分散 v は N で割る偏りのある推定。"""
    mean = x.mean(axis=axis, keepdims=True)
    centered = x - mean
    var = np.square(centered).mean(axis=axis, keepdims=True)
    var[np.isinf(var)] = np.nan  # あふれた分散で割って、出力を黙って 0 にしないように
    inv_std = 1.0 / np.sqrt(var + eps)
    centered *= inv_std
    return centered, inv_std, mean, var


def _sizes(gamma: Array) -> str:
    *ensemble, _, n = gamma.shape
    return f"{n}{members_text(ensemble)}"


class BatchNorm:
    r"""バッチ正規化の層。学習のあいだに、推論で使う移動平均を貯めます。

    .. math:: \hat x = \frac{x-\mu_B}{\sqrt{\sigma_B^2+\varepsilon}}, \qquad
              y = \gamma \odot \hat x + \beta

    .. math:: \frac{\partial L}{\partial x} = \frac{\gamma}{\sqrt{\sigma_B^2+\varepsilon}}
              \left[\delta - \overline{\delta} - \hat x\,\overline{\delta\odot\hat x}\right]

    出典: Ioffe and Szegedy (2015), Algorithm 1 と 3 節の勾配。

    Parameters
    ----------
    n : int
        ユニット数。
    ensemble : tuple of int
        ネットワークの集団の軸。
    eps : float
        分散に足す正の数 ε。
    momentum : float
        移動平均に新しい値を混ぜる割合。``running ← (1 − momentum)·running + momentum·batch``。
        PyTorch と同じ向きで、0.1 は『ゼロから作る』の ``momentum=0.9`` にあたります。
    unbiased : bool
        移動平均の分散に N/(N−1) を掛けるか。PyTorch は True、『ゼロから作る』は False。
        正規化そのものにはどちらも偏りのある分散を使います。
    running_var : float
        移動平均の分散の初期値。PyTorch は 1、『ゼロから作る』は 0。
    dtype : dtype
        γ、β、移動平均の型。

    Attributes
    ----------
    training : bool
        True ならバッチの統計量で、False なら移動平均で正規化します。
    running_mean, running_var : ndarray, shape (..., 1, n)
        推論に使う移動平均。

    Raises
    ------
    TypeError
        ``unbiased`` が True か False でないとき、``ensemble`` がタプルでもリストでもないとき。
    ValueError
        ``n`` か ``ensemble`` の要素が正の整数でない、``eps`` が正でない、``momentum`` が 0 以上
        1 未満でない、``running_var`` が 0 以上の有限な実数でないとき。学習時の順伝播に、大きさ 1 の
        バッチを渡したとき。

    Examples
    --------
    >>> layer = BatchNorm(2)
    >>> x = np.array([[0.0, 10.0], [2.0, 30.0]])
    >>> layer.forward(x).round(3)
    array([[-1., -1.],
           [ 1.,  1.]])
    >>> layer.running_mean
    array([[0.1, 2. ]])
    >>> layer.training = False
    >>> layer.forward(x)[0].round(3)
    array([-0.095,  1.75 ])
    """

    def __init__(
        self,
        n: int,
        *,
        ensemble: Shape = (),
        eps: float = 1e-5,
        momentum: float = 0.1,
        unbiased: bool = True,
        running_var: float = 1.0,
        dtype: DTypeLike = float,
    ) -> None:
        check_count("n", n)
        check_positive("eps", eps)
        momentum = check_fraction("momentum", momentum)
        check_flag("unbiased", unbiased)
        check_number("running_var", running_var, least=0)
        dtype = check_dtype(dtype)
        shape = (*check_shape("ensemble", ensemble), 1, n)
        self.eps, self.momentum, self.unbiased = eps, momentum, unbiased
        self.running_mean = np.zeros(shape, dtype)
        self.running_var = np.full(shape, running_var, dtype)
        self.params = {"gamma": np.ones(shape, dtype), "beta": np.zeros(shape, dtype)}
        self.grads: dict[str, Array] = {}
        self.training = True

    @property
    def n_in(self) -> int:
        """入力の特徴数。"""
        return int(self.params["gamma"].shape[-1])

    def __repr__(self) -> str:
        return f"BatchNorm({_sizes(self.params['gamma'])})"

    @np.errstate(over="ignore", under="ignore")
    def forward(self, x: Array) -> Array:
        """正規化して γ 倍し β を足す。学習時は移動平均も進める。"""
        gamma, beta = check_weights(self.params, "gamma", "beta")
        x = incoming(self, x, width=self.n_in, members=gamma.shape[:-2])
        if self.training and x.shape[-2] < 2:
            raise ValueError(
                "バッチ正規化の学習には、x に 2 つ以上の標本が必要です。標本が 1 つでは、平均を"
                "引いた値も勾配もすべて 0 になります。1 つの標本で推論するなら predict を"
                f"使ってください。受け取った形: {x.shape}"
            )
        self._check_running()
        self.by_batch = self.training  # 逆伝播は、いまの順伝播の式をさかのぼる
        if self.by_batch:
            self.x_hat, self.inv_std, mean, var = _standardize(x, -2, self.eps)
            self._follow(mean, var, x.shape[-2])
        else:
            self.inv_std = 1.0 / np.sqrt(self.running_var + self.eps)
            self.x_hat = x - self.running_mean
            self.x_hat *= self.inv_std
        y = gamma * self.x_hat
        y += beta
        return y

    def _check_running(self) -> None:
        """移動平均を読み込んだ配列に替えたとき、形が違えば、黙って広げて計算してしまう。"""
        shape = self.params["gamma"].shape
        for name in ("running_mean", "running_var"):
            value = getattr(self, name)
            plain = isinstance(value, np.ndarray) and value.dtype.kind == "f"
            fits = plain and value.shape == shape
            if not fits or (self.training and not value.flags.writeable):
                raise ValueError(
                    f"{name} には、形 {shape} の浮動小数点数の配列を入れてください (学習するなら、"
                    f"書き込めるもの)。受け取った値: {value!r}"
                )

    def _follow(self, mean: Array, var: Array, n_batch: int) -> None:
        members = self.params["gamma"].shape[:-2]
        if np.broadcast_shapes(mean.shape[:-2], members) != members:
            raise ValueError(
                f"x に、集団の軸 {members} にない余分な軸があります。時刻の軸をもつ列には、"
                f"LayerNorm を使ってください。受け取った軸: {mean.shape[:-2]}"
            )
        if self.unbiased:
            var = var * (n_batch / (n_batch - 1))
        self.running_mean += self.momentum * (mean - self.running_mean)
        self.running_var += self.momentum * (var - self.running_var)

    @np.errstate(under="ignore")
    def backward(self, dy: Array) -> Array:
        """dγ と dβ を残し ∂L/∂x を返す。推論の順伝播なら統計が定数なので γ/√(v+ε) 倍だけ。"""
        dy = upstream(dy, getattr(self, "x_hat", None))
        gamma = (dy * self.x_hat).sum(axis=-2, keepdims=True)
        beta = dy.sum(axis=-2, keepdims=True)
        self.grads = {"gamma": gamma, "beta": beta}
        scale: Array = self.params["gamma"] * self.inv_std
        if not self.by_batch:
            return dy * scale
        # 式の 2 つの平均は dβ/N と dγ/N なので、もう一度とらなくてよい
        n_batch = dy.shape[-2]
        dx: Array = dy - beta / n_batch
        dx -= self.x_hat * (gamma / n_batch)
        dx *= scale
        return dx


class LayerNorm:
    r"""層正規化の層。

    .. math:: \hat x = \frac{x-\mu}{\sqrt{\sigma^2+\varepsilon}}, \qquad
              y = \gamma \odot \hat x + \beta

    :math:`\mu` と :math:`\sigma^2` は標本ごとに、同じ層のユニットの方向でとります。学習と推論で
    計算が変わらず、バッチの大きさにもよりません。出典: Ba et al. (2016), 式 3 と式 4。

    Parameters
    ----------
    n : int
        ユニット数 (2 以上)。1 つでは、平均を引いた値がいつも 0 になります。
    ensemble : tuple of int
        ネットワークの集団の軸。
    eps : float
        分散に足す正の数 ε。
    dtype : dtype
        γ と β の型。

    Raises
    ------
    TypeError
        ``ensemble`` がタプルでもリストでもないとき。
    ValueError
        ``n`` が 2 以上の整数でないとき、``ensemble`` の要素が正の整数でないとき、``eps`` が正で
        ないとき。

    Examples
    --------
    >>> LayerNorm(3).forward(np.array([[1.0, 2.0, 3.0]])).round(3)
    array([[-1.225,  0.   ,  1.225]])
    """

    def __init__(
        self, n: int, *, ensemble: Shape = (), eps: float = 1e-5, dtype: DTypeLike = float
    ) -> None:
        check_count("n", n, least=2)
        check_positive("eps", eps)
        dtype = check_dtype(dtype)
        shape = (*check_shape("ensemble", ensemble), 1, n)
        self.eps = eps
        self.params = {"gamma": np.ones(shape, dtype), "beta": np.zeros(shape, dtype)}
        self.grads: dict[str, Array] = {}

    @property
    def n_in(self) -> int:
        """入力の特徴数。"""
        return int(self.params["gamma"].shape[-1])

    def __repr__(self) -> str:
        return f"LayerNorm({_sizes(self.params['gamma'])})"

    @np.errstate(over="ignore", under="ignore")
    def forward(self, x: Array) -> Array:
        """標本ごとに正規化して γ 倍し β を足す。"""
        gamma, beta = check_weights(self.params, "gamma", "beta")
        x = incoming(self, x, width=self.n_in, members=gamma.shape[:-2])
        self.x_hat, self.inv_std, _, _ = _standardize(x, -1, self.eps)
        y = gamma * self.x_hat
        y += beta
        return y

    @np.errstate(under="ignore")
    def backward(self, dy: Array) -> Array:
        """dγ と dβ を残し ∂L/∂x を返す。"""
        dy = upstream(dy, getattr(self, "x_hat", None))
        self.grads = {
            "gamma": (dy * self.x_hat).sum(axis=-2, keepdims=True),
            "beta": dy.sum(axis=-2, keepdims=True),
        }
        # x̂ を作るときに消えた 2 方向 (一定の成分と x̂ の成分) を、勾配からも取り除く
        dx_hat = dy * self.params["gamma"]
        along = (dx_hat * self.x_hat).mean(axis=-1, keepdims=True)
        dx: Array = dx_hat - dx_hat.mean(axis=-1, keepdims=True)
        dx -= self.x_hat * along
        dx *= self.inv_std
        return dx
