"""判定を調整する間、見せなかったネットワーク。族も故障も、ほかの 2 つの集まりにないもの。

`patients.py` と同じ作り方で、``python verify.py held_back`` が学習させて健康か病気かを確かめます。
調整していない判定の成績は、書いた後に 1 度だけ動かして残しました。
"""

import torch
from patients import CE, MSE, Entry, Patient, adam, dense, he, moons, sgd, stripes, waves, xavier
from torch import nn
from torch.nn import functional as F

HELD_BACK: dict[str, Entry] = {}


def held(roots: str, why: str):
    def register(make):
        HELD_BACK[make.__name__] = Entry(make, frozenset(roots.split()), why)
        return make

    return register


# --- 健康 --------------------------------------------------------------------------------


@held("", "雑音がほとんどの回帰。説明できるのは分散の 7 % ほど")
def faint_signal():
    torch.manual_seed(300)
    x = torch.randn(2000, 6)
    y = 0.27 * x[:, :1] + torch.randn(2000, 1)
    model = dense([6, 32, 1])
    return Patient(model, x, (y - y.mean()) / y.std(), MSE, adam(model, 1e-3))


@held("", "標本の 3 % だけが正例。焦点損失")
def focal_imbalance():
    torch.manual_seed(301)
    x = torch.randn(600, 5)
    y = torch.zeros(600, 1)
    y[::33], x[::33, 0] = 1.0, x[::33, 0] + 3

    def focal(out, t):
        p = torch.sigmoid(out)
        miss = torch.where(t > 0, 1 - p, p)
        return (miss.square() * F.binary_cross_entropy_with_logits(out, t, reduction="none")).mean()

    model = dense([5, 32, 32, 1], nn.SiLU)
    return Patient(model, x, y, focal, adam(model, 3e-3))


@held("", "なめらかにしたラベル (0.4) を混ぜた教師。損失の下限が高い")
def smoothed_mixup():
    torch.manual_seed(302)
    x, y = moons(seed=302)
    share, other = torch.rand(len(x), 1) * 0.5, torch.randperm(len(x))
    hot = 0.6 * F.one_hot(y, 4).float() + 0.1
    x, hot = (1 - share) * x + share * x[other], (1 - share) * hot + share * hot[other]
    model = dense([4, 64, 64, 4], nn.GELU)
    return Patient(model, x, hot, CE, adam(model, 2e-3))


class Siren(nn.Module):
    """正弦の活性化関数で、座標から値を求める。"""

    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(2, 48), nn.Linear(48, 48), nn.Linear(48, 48)])
        self.head = nn.Linear(48, 1)
        for i, layer in enumerate(self.layers):
            bound = 1 / 2 if i == 0 else (6 / 48) ** 0.5 / 15
            nn.init.uniform_(layer.weight, -bound, bound)

    def forward(self, x):
        for layer in self.layers:
            x = torch.sin(15 * layer(x))
        return self.head(x)


@held("", "正弦の活性化関数 (SIREN) で画像を覚える")
def siren():
    torch.manual_seed(303)
    a, b = torch.meshgrid(torch.linspace(-1, 1, 20), torch.linspace(-1, 1, 20), indexing="ij")
    x = torch.stack([a, b], -1).view(-1, 2)
    y = (torch.sin(6 * a * b) + (a.square() + b.square() < 0.5)).view(-1, 1)
    model = Siren()
    return Patient(model, x, (y - y.mean()) / y.std(), MSE, adam(model, 1e-3))


@held("", "変分自己符号化器。出力は組で、損失は 2 項の和")
def variational():
    torch.manual_seed(304)

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.encode, self.decode = dense([16, 32, 6], nn.Tanh), dense([3, 32, 16], nn.Tanh)

        def forward(self, x):
            mean, log = self.encode(x).chunk(2, 1)
            return self.decode(mean + (log / 2).exp() * torch.randn_like(mean)), mean, log

    def bound(out, x):
        y, mean, log = out
        return MSE(y, x) + 0.02 * (mean.square() + log.exp() - 1 - log).mean()

    x = torch.randn(128, 3) @ torch.randn(3, 16)
    x = x / x.std()
    model = Model()
    return Patient(model, x, x, bound, adam(model, 3e-3))


@held("", "深さ方向に分けた畳み込みと ReLU6 と BN (MobileNet 風)、重みの正規化つきの頭")
def mobile_cnn():
    torch.manual_seed(305)
    x, y = stripes(seed=305)
    block = [
        nn.Conv2d(1, 8, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU6(),
        nn.Conv2d(8, 8, 3, padding=1, groups=8, bias=False), nn.BatchNorm2d(8), nn.ReLU6(),
        nn.Conv2d(8, 16, 1, bias=False), nn.BatchNorm2d(16), nn.AdaptiveAvgPool2d(4), nn.Flatten(),
    ]  # fmt: skip
    head = nn.utils.parametrizations.weight_norm(nn.Linear(256, 4))
    model = nn.Sequential(*block, head)
    return Patient(model, x, y, CE, sgd(model, 0.05, momentum=0.9, nesterov=True))


class Iterated(nn.Module):
    """同じ層を 12 回くり返す (深い平衡モデル風)。"""

    def __init__(self):
        super().__init__()
        self.inject, self.cell = nn.Linear(4, 32), nn.Linear(32, 32)
        self.norm, self.head = nn.LayerNorm(32), nn.Linear(32, 4)

    def forward(self, x):
        u, z = self.inject(x), 0.0
        for _ in range(12):
            z = self.norm(F.relu(u + self.cell(z))) if torch.is_tensor(z) else F.relu(u)
        return self.head(z)


@held("", "同じ層を 12 回くり返すモデル")
def iterated_layer():
    torch.manual_seed(306)
    x, y = moons(seed=306)
    model = Iterated()
    return Patient(model, x, y, CE, adam(model, 2e-3))


# --- 病気 --------------------------------------------------------------------------------


@held("input-scale step-large exploding non-finite", "表の列の単位がまちまち (年齢、円、率)")
def mixed_units(cured=False):
    torch.manual_seed(320)
    x, y = moons(seed=320)
    units = torch.tensor([10.0, 4000.0, 0.01, 1.0])
    if not cured:
        x = x * units + torch.tensor([40.0, 5000.0, 0.05, 0.0])
    model = dense([4, 48, 48, 4], init=he)
    return Patient(model, x, y, CE, sgd(model, 0.1))


@held("step-large", "RMSprop の学習率 0.5")
def rmsprop_half(cured=False):
    torch.manual_seed(321)
    x, _ = waves(seed=321)
    y = waves(seed=321)[1]
    model = dense([6, 64, 64, 64, 1], nn.GELU)
    rate = 1e-3 if cured else 0.5
    return Patient(model, x, y, MSE, torch.optim.RMSprop(model.parameters(), lr=rate))


class Graph(nn.Module):
    """隣の頂点の値を集める 1 層を、くり返し重ねる。"""

    def __init__(self, a, depth, act):
        super().__init__()
        self.register_buffer("a", a)
        self.first, self.head, self.act = nn.Linear(8, 24), nn.Linear(24, 3), act
        self.hops = nn.ModuleList([nn.Linear(24, 24) for _ in range(depth)])
        for layer in self.hops:
            he(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, x):
        h = self.act(self.first(x))
        for hop in self.hops:
            h = self.act(hop(self.a @ h))
        return self.head(h)


def community(seed, n=90):
    """3 つの組に分かれた頂点と、その隣接行列。"""
    g = torch.Generator().manual_seed(seed)
    y = torch.arange(n) % 3
    near = y[:, None] == y[None, :]
    p = torch.where(near, 0.6, 0.05)
    a = (torch.rand(n, n, generator=g) < p).float()
    a = ((a + a.T) > 0).float()
    a.fill_diagonal_(1.0)
    x = torch.randn(n, 8, generator=g) + F.one_hot(y, 8)
    return x, y, a


@held(
    "exploding init-large step-large non-finite", "グラフの畳み込みで、隣の値を割らずに足す。4 層"
)
def summed_graph(cured=False):
    x, y, a = community(322)
    torch.manual_seed(322)
    model = Graph(a / a.sum(1, keepdim=True) if cured else a, 4, F.relu)
    return Patient(model, x, y, CE, sgd(model, 0.1))


@held("indistinguishable vanishing", "グラフの畳み込みで、全体の平均を 20 回とる (過平滑化)")
def smoothed_graph(cured=False):
    x, y, a = community(323)
    torch.manual_seed(323)
    a = torch.eye(len(a)) * 0.7 + 0.3 * a / a.sum(1, keepdim=True) if cured else a * 0 + 1 / len(a)
    model = Graph(a, 3 if cured else 20, torch.tanh)
    return Patient(model, x, y, CE, adam(model, 3e-3))


class Conv1(nn.Module):
    """関数で書いた F.relu の 1 次元の CNN。"""

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Conv1d(3, 16, 5, padding=2), nn.Conv1d(16, 16, 5, padding=2)
        self.head = nn.Linear(16, 3)

    def forward(self, x):
        return self.head(F.relu(self.b(F.relu(self.a(x)))).mean(2))


@held("dead", "F.relu で書いた 1 次元の CNN の、2 層目のバイアスが −8")
def dead_functional(cured=False):
    torch.manual_seed(324)
    y = torch.arange(60) % 3
    t = torch.arange(40)[None, None, :]
    x = torch.sin(t * (0.3 + 0.3 * y[:, None, None]) + torch.arange(3)[None, :, None])
    x = 1.4 * x + 0.3 * torch.randn(60, 3, 40)
    model = Conv1()
    if not cured:
        nn.init.constant_(model.b.bias, -8.0)
    return Patient(model, x, y, CE, adam(model, 5e-3))


@held("batch-norm", "BN の momentum が 0。移動平均が初めの値のまま、推論モードで微調整する")
def bn_never_updated(cured=False):
    torch.manual_seed(325)
    x, y = moons(300, seed=325)
    x = 8 * x + 20
    model = dense([4, 48, 48, 48, 4], init=he, norm=lambda n: nn.BatchNorm1d(n, momentum=0.2))
    if not cured:
        for module in model:
            if isinstance(module, nn.BatchNorm1d):
                module.momentum = 0.0
    p = Patient(model, x, y, CE, sgd(model, 0.05))
    for _ in range(60):
        p.optimizer.zero_grad()
        CE(model(x), y).backward()
        p.optimizer.step()
    model.eval()
    return p


class Attention(nn.Module):
    """空の文を隠すマスクつきの注意。"""

    def __init__(self):
        super().__init__()
        self.embed, self.q = nn.Embedding(20, 16), nn.Linear(16, 1)
        self.head = nn.Linear(16, 3)

    def forward(self, tokens, mask):
        h = self.embed(tokens)
        score = self.q(h).squeeze(2).masked_fill(~mask, float("-inf"))
        return self.head((score.softmax(1)[:, :, None] * h).sum(1))


@held("non-finite", "注意のマスクが、空の文ですべてを隠す")
def masked_attention(cured=False):
    torch.manual_seed(326)
    y = torch.arange(48) % 3
    x = torch.randint(3, 20, (48, 8))
    x[:, 2] = y
    length = torch.randint(3, 9, (48,))
    if not cured:
        length[7] = 0
    mask = torch.arange(8)[None, :] < length[:, None]
    model = Attention()
    return Patient(model, (x, mask), y, CE, adam(model, 1e-2))


@held("saturated vanishing init-large", "シグモイドの出力と二乗誤差。出力のバイアスが 25")
def saturated_output(cured=False):
    torch.manual_seed(327)
    x, y = moons(400, k=2, seed=327)
    model = nn.Sequential(*dense([4, 48, 48, 1], nn.Tanh, xavier), nn.Sigmoid())
    if not cured:
        nn.init.constant_(model[-2].bias, 25.0)
    return Patient(model, x, y.float()[:, None], MSE, sgd(model, 0.1))


@held(
    "vanishing",
    "忘却ゲートのバイアスが −8 の LSTM。クラスは 60 時刻前にだけ現れ、後はどの標本も同じ",
)
def forgetful_lstm(cured=False):
    torch.manual_seed(328)
    y = torch.arange(48) % 3
    x = 0.3 * torch.randn(1, 60, 5).repeat(48, 1, 1)
    x[:, 0] = 2 * torch.randn(3, 5)[y]

    class Reader(nn.Module):
        def __init__(self):
            super().__init__()
            self.cell, self.head = nn.LSTM(5, 24, batch_first=True), nn.Linear(24, 3)
            for name, p in self.cell.named_parameters():
                if "bias" in name:
                    nn.init.zeros_(p)
                    nn.init.constant_(p[24:48], 2.0 if cured else -4.0)

        def forward(self, x):
            return self.head(self.cell(x)[0][:, -1])

    model = Reader()
    return Patient(model, x, y, CE, adam(model, 1e-2))


@held("loss-shape", "L1 損失に、(N, 1) の出力と (N,) の目標")
def broadcast_l1(cured=False):
    torch.manual_seed(329)
    x, y = waves(seed=329)
    model = dense([6, 64, 64, 1])
    return Patient(model, x, y if cured else y[:, 0], F.l1_loss, adam(model, 3e-3))
