"""読者がふつうに書く NumPy: ネットワークを 1 つずつ、2 次元の配列で学習させる。

vgbook を使わずに書いてあるので、vgbook の答え合わせにもなります。
"""

import numpy as np
from tasks import DENSITY, EPS, LAYERS, LR, NODES, Flow, Training

Array = np.ndarray


def cross_entropy(y: Array, t: Array) -> tuple[float, Array]:
    y = y - y.max(axis=1, keepdims=True)
    total = np.exp(y).sum(axis=1, keepdims=True)
    rows = np.arange(len(t))
    loss = (np.log(total[:, 0]) - y[rows, t]).mean()
    p = np.exp(y) / total
    p[rows, t] -= 1
    return loss, p / len(t)


class Net:
    def __init__(self, weights: list[Array], norm: bool) -> None:
        self.W = [W.copy() for W in weights]
        self.b = [np.zeros(W.shape[1], W.dtype) for W in weights]
        self.norm = norm
        hidden = self.b[:-1] if norm else []
        self.gamma = [np.ones_like(b) for b in hidden]
        self.beta = [np.zeros_like(b) for b in hidden]
        self.mean = [np.zeros_like(b) for b in hidden]
        self.var = [np.zeros_like(b) for b in hidden]

    def forward(self, x: Array) -> Array:
        self.x, self.z = [x], list[Array]()
        self.x_hat, self.std = list[Array](), list[Array]()
        for i, (W, b) in enumerate(zip(self.W[:-1], self.b[:-1], strict=True)):
            z = x @ W + b
            if self.norm:
                z = self.normalize(i, z)
            x = np.maximum(z, 0)
            self.z.append(z)
            self.x.append(x)
        return x @ self.W[-1] + self.b[-1]

    def normalize(self, i: int, z: Array) -> Array:
        mean, var = z.mean(axis=0), z.var(axis=0)
        self.mean[i] = 0.9 * self.mean[i] + 0.1 * mean
        self.var[i] = 0.9 * self.var[i] + 0.1 * var
        self.std.append(np.sqrt(var + EPS))
        self.x_hat.append((z - mean) / self.std[i])
        return self.gamma[i] * self.x_hat[i] + self.beta[i]

    def backward(self, d: Array) -> None:
        for i in reversed(range(len(self.W))):
            if i < len(self.z):
                d = d * (self.z[i] > 0)
                if self.norm:
                    d = self.normalize_back(i, d)
            dW, db = self.x[i].T @ d, d.sum(axis=0)
            if i > 0:
                d = d @ self.W[i].T
            self.W[i] -= LR * dW
            self.b[i] -= LR * db

    def normalize_back(self, i: int, d: Array) -> Array:
        dgamma, dbeta = (d * self.x_hat[i]).sum(axis=0), d.sum(axis=0)
        dz = self.gamma[i] / self.std[i] * (d - (dbeta + self.x_hat[i] * dgamma) / len(d))
        self.gamma[i] -= LR * dgamma
        self.beta[i] -= LR * dbeta
        return dz


def train(task: Training, e: int, x: Array, t: Array) -> list[float]:
    """集団の e 番目を学習させ、更新ごとの損失を返す。型は x と重みに従う。"""
    net = Net([W.astype(x.dtype) for W in task.member(e)], task.norm)
    losses = []
    for rows in task.batches:
        loss, d = cross_entropy(net.forward(x[rows]), t[rows])
        net.backward(d)
        if task.reevaluate:
            loss, _ = cross_entropy(net.forward(x[rows]), t[rows])
        losses.append(loss)
    return losses


def flow(task: Flow, e: int) -> Array:
    """(5, 層): h の RMS、全要素の標準偏差、データの標準偏差、δ の RMS、dW の RMS。"""
    hs, x, d = [task.x], task.x, task.d_output
    for W in task.weights:
        x = np.tanh(x @ W[e])
        hs.append(x)
    rows = []
    for h, before, W in zip(hs[:0:-1], hs[-2::-1], task.weights[::-1], strict=True):
        d = d * (1 - h**2)
        dW = before.T @ d
        data_std = np.sqrt(h.var(axis=0).mean())
        rows.append([rms(h), h.std(), data_std, rms(d), rms(dW)])
        d = d @ W[e].T
    return np.array(rows[::-1]).T


def rms(a: Array) -> Array:
    return np.sqrt(np.mean(a**2))


def chi(sigma_w: float, sigma_b: float) -> float:
    """tanh の平均場の χ。写像を何度も当てて、不動点に近づける。"""
    q = 1.0
    for _ in range(LAYERS):
        q = sigma_w**2 * np.sum(np.tanh(np.sqrt(q) * NODES) ** 2 * DENSITY) + sigma_b**2
    return sigma_w**2 * np.sum((1 - np.tanh(np.sqrt(q) * NODES) ** 2) ** 2 * DENSITY)
