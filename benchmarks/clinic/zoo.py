"""判定の目標に使う、病気とわかっているネットワークと、健康とわかっているネットワーク。

判定を書く前に作られた集まりです。`patients.py` と同じく、病気の関数は ``cured=True`` で、原因だけを
取り除いた双子を作ります。``python verify.py zoo`` が学習させて、健康か病気かを確かめます。
"""

from itertools import pairwise

import torch
from patients import Entry, Patient
from torch import nn
from torch.nn import functional as F

ZOO: dict[str, Entry] = {}


def case(roots, why):
    def register(make):
        ZOO[make.__name__] = Entry(make, frozenset(roots.split()), why)
        return make

    return register


# --- データと部品 ------------------------------------------------------------------------


def blobs(n=256, d=32, k=10, seed=0):
    """k 個の中心のまわりの、標準化した点。"""
    g = torch.Generator().manual_seed(seed)
    y = torch.arange(n) % k
    x = torch.randn(k, d, generator=g)[y] + 0.7 * torch.randn(n, d, generator=g)
    return (x - x.mean(0)) / x.std(0), y


def images(n=64, size=12, k=5, seed=0):
    """クラスごとの型紙に雑音を足した画像 (n, 1, size, size)。"""
    g = torch.Generator().manual_seed(seed)
    y = torch.arange(n) % k
    x = torch.randn(k, 1, size, size, generator=g)[y]
    return x + 0.7 * torch.randn(n, 1, size, size, generator=g), y


def curve(n=256, d=8, seed=0):
    """滑らかな関数の回帰。(n, d) と (n, 1)。"""
    g = torch.Generator().manual_seed(seed)
    x = torch.randn(n, d, generator=g)
    y = torch.sin(x[:, :1]) + 0.5 * x[:, 1:2] * x[:, 2:3]
    return x, (y - y.mean()) / y.std()


def tokens(n=64, length=12, vocabulary=20, k=4, seed=0):
    """語の番号。クラスは、初めの k 語のうち最も多いもの。"""
    g = torch.Generator().manual_seed(seed)
    y = torch.arange(n) % k
    x = torch.randint(k, vocabulary, (n, length), generator=g)
    spots = torch.rand(n, length, generator=g) < 0.5
    return torch.where(spots, y[:, None], x), y


def sequence(n=64, length=30, d=8, k=4, seed=0, where="all"):
    """雑音の系列に、すべての時刻か、最初の時刻だけにクラスを足す。"""
    g = torch.Generator().manual_seed(seed)
    y = torch.arange(n) % k
    code = torch.randn(k, d, generator=g)[y]
    x = 0.5 * torch.randn(n, length, d, generator=g)
    if where == "all":
        x = x + 0.5 * code[:, None]
    else:
        x[:, 0] = 2 * code
    return x, y


def he(layer):
    nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")


def xavier(layer):
    nn.init.xavier_normal_(layer.weight)


def normal(std):
    return lambda layer: nn.init.normal_(layer.weight, 0.0, std)


def mlp(sizes, act=nn.ReLU, init=None, norm=None):
    """全結合の層を ``act`` でつなぐ。``init`` は、バイアスも 0 にする。"""
    layers = []
    for i, (n_in, n_out) in enumerate(pairwise(sizes)):
        linear = nn.Linear(n_in, n_out)
        if init is not None:
            init(linear)
            nn.init.zeros_(linear.bias)
        layers.append(linear)
        if i < len(sizes) - 2:
            if norm is not None:
                layers.append(norm(n_out))
            layers.append(act())
    return nn.Sequential(*layers)


def sgd(model, lr=0.05, **other):
    return torch.optim.SGD(model.parameters(), lr=lr, **other)


def adam(model, lr=1e-3, **other):
    return torch.optim.Adam(model.parameters(), lr=lr, **other)


def step(c, x=None, y=None):
    """1 回の更新。更新の前の損失を返す。"""
    c.optimizer.zero_grad(set_to_none=True)
    value = c.loss(c.model(c.x if x is None else x), c.y if y is None else y)
    if value.requires_grad:
        value.backward()
        c.optimizer.step()
    return float(value.detach())


def train(c, steps):
    return [step(c) for _ in range(steps)]


class Lambda(nn.Module):
    def __init__(self, f):
        super().__init__()
        self.f = f

    def forward(self, x):
        return self.f(x)


class Residual(nn.Module):
    def __init__(self, branch):
        super().__init__()
        self.branch = branch

    def forward(self, x):
        return x + self.branch(x)


class Autocast(nn.Module):
    """重みは float32 のまま、低い精度で動かす。"""

    def __init__(self, body, dtype):
        super().__init__()
        self.body, self.dtype = body, dtype

    def forward(self, x):
        if self.dtype is None:
            return self.body(x)
        with torch.autocast("cpu", dtype=self.dtype):
            return self.body(x).float()


CE = F.cross_entropy
MSE = F.mse_loss

# --- 健康 --------------------------------------------------------------------------------


@case("", "He の初期値の ReLU 8 層")
def relu_he_8():
    torch.manual_seed(0)
    x, y = blobs()
    model = mlp([32, *[64] * 8, 10], nn.ReLU, he)
    return Patient(model, x, y, CE, sgd(model, 0.05))


@case("", "PyTorch の既定の初期値の 8 層。第 1 層の δ は最後の 1 % 未満だが、Adam は学習する")
def default_init_8_adam():
    torch.manual_seed(1)
    x, y = blobs(seed=1)
    model = mlp([32, *[64] * 8, 10])
    return Patient(model, x, y, CE, adam(model, 1e-3))


@case("", "幅 2048 の隠れ層 1 つ。2 つの層の勾配の平均は、幅の分だけ違う")
def one_hidden_2048():
    torch.manual_seed(3)
    x, y = curve()
    model = mlp([8, 2048, 1], nn.ReLU)
    return Patient(model, x, y, MSE, adam(model, 1e-3))


@case("", "枝の最後の層が 0 の残差。その前の層は 1 回だけ待つ")
def fixup_zero_branch():
    torch.manual_seed(5)
    x, y = blobs(seed=5)
    blocks = []
    for _ in range(6):
        branch = mlp([64, 64, 64], nn.ReLU, he)
        nn.init.zeros_(branch[-1].weight)
        blocks.append(Residual(branch))
    model = nn.Sequential(nn.Linear(32, 64), *blocks, nn.Linear(64, 10))
    return Patient(model, x, y, CE, sgd(model, 0.1))


class Transformer(nn.Module):
    def __init__(self, depth, norm_first, width=32, vocabulary=20, k=4, length=12):
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, width)
        self.position = nn.Parameter(0.02 * torch.randn(length, width))
        self.blocks = nn.Sequential(
            *[
                nn.TransformerEncoderLayer(
                    width, 4, 2 * width, dropout=0.0, batch_first=True, norm_first=norm_first
                )
                for _ in range(depth)
            ]
        )
        self.norm = nn.LayerNorm(width) if norm_first else nn.Identity()
        self.head = nn.Linear(width, k)

    def forward(self, x):
        h = self.blocks(self.embedding(x) + self.position)
        return self.head(self.norm(h).mean(1))


@case("", "前置の正規化の 6 ブロック。注意の鍵のバイアスの勾配は、式から 0")
def transformer_pre_ln():
    torch.manual_seed(6)
    x, y = tokens()
    model = Transformer(6, True)
    return Patient(model, x, y, CE, adam(model, 1e-3))


class Recurrent(nn.Module):
    def __init__(self, cell, readout="last", d=8, width=32, k=4):
        super().__init__()
        self.cell, self.readout = cell, readout
        self.head = nn.Linear(width, k)

    def forward(self, x):
        h = self.cell(x)[0]
        return self.head(h[:, -1] if self.readout == "last" else h.mean(1))


@case("", "既定の初期値の LSTM。信号は全部の時刻にある")
def lstm_30():
    torch.manual_seed(7)
    x, y = sequence()
    model = Recurrent(nn.LSTM(8, 32, batch_first=True))
    return Patient(model, x, y, CE, adam(model, 5e-3))


class Block(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.conv1 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)

    def forward(self, x):
        h = F.relu(self.bn1(self.conv1(x)))
        return F.relu(x + self.bn2(self.conv2(h)))


def resnet(width=8, k=5):
    return nn.Sequential(
        nn.Conv2d(1, width, 3, padding=1, bias=False),
        nn.BatchNorm2d(width),
        nn.ReLU(),
        Block(width),
        nn.MaxPool2d(2),
        Block(width),
        Block(width),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(width, k),
    )


@case("", "BN のある ResNet。畳み込みの勾配は 1/|W| に比例する")
def resnet_bn():
    torch.manual_seed(8)
    x, y = images()
    model = resnet()
    return Patient(model, x, y, CE, sgd(model, 0.1, momentum=0.9))


@case("", "SiLU の CNN。正規化なし")
def silu_cnn():
    torch.manual_seed(10)
    x, y = images(seed=10)
    model = nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1),
        nn.SiLU(),
        nn.Conv2d(8, 16, 3, stride=2, padding=1),
        nn.SiLU(),
        nn.Conv2d(16, 16, 3, stride=2, padding=1),
        nn.SiLU(),
        nn.Flatten(),
        nn.Linear(144, 5),
    )
    return Patient(model, x, y, CE, adam(model, 3e-3))


@case("", "埋め込みのほとんどの行は、1 つのミニバッチで勾配が 0")
def embedding_unused_rows():
    torch.manual_seed(12)
    x, y = tokens(seed=12)
    model = nn.Sequential(
        nn.Embedding(500, 16),
        Lambda(lambda h: h.mean(1)),
        nn.Linear(16, 32),
        nn.ReLU(),
        nn.Linear(32, 4),
    )
    return Patient(model, x, y, CE, adam(model, 1e-2))


@case("", "わざと固定した第 1 層")
def frozen_first_layer():
    torch.manual_seed(13)
    x, y = images(seed=13)
    model = nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(8, 8, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(288, 5),
    )
    model[0].requires_grad_(False)
    opt = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=3e-3)
    return Patient(model, x, y, CE, opt)


@case("", "bfloat16 の自動混合精度")
def bf16_autocast():
    torch.manual_seed(15)
    x, y = blobs(seed=15)
    model = Autocast(mlp([32, *[64] * 4, 10], nn.ReLU, he), torch.bfloat16)
    return Patient(model, x, y, CE, adam(model, 1e-3))


@case("", "Dropout 0.5。損失が揺れる")
def dropout_half():
    torch.manual_seed(17)
    x, y = blobs(seed=17)
    model = nn.Sequential(
        nn.Linear(32, 128),
        nn.ReLU(),
        nn.Dropout(0.5),
        nn.Linear(128, 128),
        nn.ReLU(),
        nn.Dropout(0.5),
        nn.Linear(128, 10),
    )
    return Patient(model, x, y, CE, adam(model, 2e-3))


@case("", "もう収束している。勾配が小さいのは、損失が小さいから")
def converged():
    torch.manual_seed(19)
    x, y = blobs(seed=19)
    model = mlp([32, 64, 64, 10], nn.ReLU, he)
    c = Patient(model, x, y, CE, adam(model, 3e-3))
    train(c, 300)
    return c


@case("", "ReLU のユニットの 3 分の 1 は、このバッチで 0 だが、学習は進む")
def sparse_relu():
    torch.manual_seed(21)
    x, y = blobs(seed=21)
    model = mlp([32, 128, 128, 10], nn.ReLU, he)
    with torch.no_grad():
        model[0].bias[:40] = -30.0
        model[2].bias[:40] = -30.0
    c = Patient(model, x, y, CE, sgd(model, 0.02))
    train(c, 60)
    return c


@case("", "LogSoftmax と負の対数尤度は正しい組")
def log_softmax_nll():
    torch.manual_seed(23)
    x, y = blobs(seed=23)
    model = nn.Sequential(*mlp([32, 64, 64, 10], nn.ReLU, he), nn.LogSoftmax(dim=1))
    return Patient(model, x, y, F.nll_loss, adam(model, 2e-3))


@case("", "ずれたデータへの微調整。更新はわざと小さい")
def fine_tuning():
    torch.manual_seed(24)
    x, y = blobs(seed=24)
    model = mlp([32, 64, 64, 10], nn.ReLU, he, norm=nn.LayerNorm)
    train(Patient(model, x, y, CE, adam(model, 3e-3)), 200)
    g = torch.Generator().manual_seed(24)
    x = x + 1.2 * torch.randn(x.shape, generator=g)
    return Patient(model, x, y, CE, torch.optim.AdamW(model.parameters(), lr=2e-4))


# --- 病気 --------------------------------------------------------------------------------


@case("softmax-twice", "確率を交差エントロピーに渡した")
def softmax_before_ce(cured=False):
    torch.manual_seed(30)
    x, y = blobs(seed=30)
    model = mlp([32, 64, 64, 10], nn.ReLU, he)
    if not cured:
        model.append(nn.Softmax(dim=1))
    return Patient(model, x, y, CE, sgd(model, 0.1))


@case("step-large", "学習率 3 の ReLU")
def lr_too_high(cured=False):
    torch.manual_seed(32)
    x, y = blobs(seed=32)
    model = mlp([32, 64, 64, 64, 10], nn.ReLU, he)
    return Patient(model, x, y, CE, sgd(model, 0.05 if cured else 10.0))


@case("input-scale", "0〜255 の画素に、標準化したときの学習率")
def pixels_0_255(cured=False):
    torch.manual_seed(34)
    x, y = images(seed=34)
    if not cured:
        x = (255 * (x - x.min()) / (x.max() - x.min())).round()
    model = nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(8, 16, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(576, 5),
    )
    return Patient(model, x, y, CE, sgd(model, 0.05, momentum=0.9))


@case("dead", "初めの数回の大きな更新で、ユニットが死んだ")
def dead_relu(cured=False):
    torch.manual_seed(35)
    x, y = blobs(seed=35)
    x = x + 3.0
    model = mlp([32, 64, 64, 64, 64, 10], nn.ReLU, he)
    train(Patient(model, x, y, CE, sgd(model, 0.01 if cured else 1.0)), 10)
    return Patient(model, x, y, CE, sgd(model, 0.01))


@case("vanishing", "シグモイド 8 層")
def sigmoid_8(cured=False):
    torch.manual_seed(36)
    x, y = blobs(seed=36)
    model = mlp([32, *[64] * 8, 10], nn.Tanh if cured else nn.Sigmoid, xavier)
    return Patient(model, x, y, CE, sgd(model, 0.1))


@case("exploding init-large", "He の 1.4 倍の 60 層")
def exploding_60(cured=False):
    torch.manual_seed(38)
    x, y = blobs(seed=38)
    if cured:
        blocks = [
            Residual(nn.Sequential(nn.LayerNorm(32), *mlp([32, 32], init=normal(0.05)), nn.ReLU()))
            for _ in range(60)
        ]
        model = nn.Sequential(*blocks, nn.LayerNorm(32), nn.Linear(32, 10))
    else:
        model = mlp([32, *[32] * 60, 10], nn.ReLU, normal(1.4 * (2 / 32) ** 0.5))
    return Patient(model, x, y, CE, sgd(model, 0.05))


@case("vanishing", "スペクトル半径 0.6 の RNN。クラスは 200 時刻前にだけ現れる")
def rnn_200_vanishing(cured=False):
    torch.manual_seed(39)
    x, y = sequence(n=32, length=200, seed=39, where="first")
    x[:, 1:] = x[:1, 1:]  # the same noise for everyone: only step 1 tells the samples apart
    model = Recurrent(nn.RNN(8, 32, batch_first=True), "mean" if cured else "last")
    return Patient(model, x, y, CE, adam(model, 1e-2))


@case("batch-norm", "初めの移動平均のままの BN を推論モードで")
def bn_eval_fresh(cured=False):
    torch.manual_seed(41)
    x, y = blobs(seed=41)
    x = 20 * x + 30
    model = mlp([32, *[64] * 4, 10], nn.ReLU, he, norm=nn.BatchNorm1d)
    c = Patient(model, x, y, CE, sgd(model, 0.05))
    model.train(cured)
    return c


class Branches(nn.Module):
    def __init__(self, cut):
        super().__init__()
        self.encoder = mlp([32, 64, 6], nn.ReLU, he)
        self.head = nn.Linear(6, 10)
        self.cut = cut

    def forward(self, x):
        h = self.encoder(x)
        return self.head(h.detach() if self.cut else h)


@case("no-gradient unused", "forward の途中で detach()")
def detached_encoder(cured=False):
    torch.manual_seed(42)
    x, y = blobs(seed=42)
    model = Branches(not cured)
    return Patient(model, x, y, CE, adam(model, 3e-3))


@case("symmetry", "どの重みも 0.05")
def equal_init(cured=False):
    torch.manual_seed(44)
    x, y = blobs(seed=44)
    init = he if cured else (lambda m: nn.init.constant_(m.weight, 0.05))
    model = mlp([32, 64, 64, 10], nn.Tanh, init)
    return Patient(model, x, y, CE, sgd(model, 0.1))


@case("saturated init-large", "標準偏差 3 の重みの tanh")
def saturated_tanh(cured=False):
    torch.manual_seed(46)
    x, y = blobs(seed=46)
    model = mlp([32, *[64] * 4, 10], nn.Tanh, xavier if cured else normal(3.0))
    return Patient(model, x, y, CE, sgd(model, 0.02))


@case("underflow", "損失を大きくしない float16。6e-8 より小さい δ は 0 になる")
def fp16_underflow(cured=False):
    torch.manual_seed(47)
    x, y = blobs(seed=47)
    body = mlp([32, *[64] * 3, 10], nn.ReLU, he)
    model = Autocast(body, None if cured else torch.float16)

    def loss(out, y):
        return 1e-5 * CE(out, y)

    return Patient(model, x, y, loss, adam(model, 1e-3, eps=1e-12))


@case("loss-reduction step-large", "1024 個の損失の和に、平均のときの学習率")
def sum_reduction(cured=False):
    torch.manual_seed(49)
    x, y = blobs(n=1024, seed=49)
    model = mlp([32, 64, 64, 10], nn.ReLU, he)

    def loss(out, y):
        return CE(out, y, reduction="mean" if cured else "sum")

    return Patient(model, x, y, loss, sgd(model, 0.1))


class Experts(nn.Module):
    def __init__(self, sick):
        super().__init__()
        self.gate = nn.Linear(32, 4)
        self.experts = nn.ModuleList([mlp([32, 32, 10], nn.ReLU, he) for _ in range(4)])
        if sick:
            with torch.no_grad():
                self.gate.bias[2:] = -50.0

    def forward(self, x):
        p = self.gate(x).softmax(1)
        best = p.argmax(1)
        out = x.new_zeros(len(x), 10)
        for i, expert in enumerate(self.experts):
            rows = (best == i).nonzero()[:, 0]
            if len(rows):
                out = out.index_add(0, rows, p[rows, i, None] * expert(x[rows]))
        return out


@case("unused no-gradient", "4 つの専門家のうち 2 つが一度も選ばれない")
def moe_unused_experts(cured=False):
    torch.manual_seed(51)
    x, y = blobs(seed=51)
    model = Experts(not cured)
    return Patient(model, x, y, CE, adam(model, 3e-3))


class Distance(nn.Module):
    def __init__(self, eps):
        super().__init__()
        self.body, self.eps = mlp([8, 32, 4], nn.ReLU, he), eps

    def forward(self, x):
        h = self.body(x)
        square = (h[:, None] - h[None]).square().sum(-1)
        return (square + self.eps).sqrt()


@case("non-finite", "0 での平方根。順伝播は有限で、δ が NaN")
def sqrt_at_zero(cured=False):
    torch.manual_seed(53)
    x, y = curve(n=64, seed=53)
    y = (y - y.T).abs()
    model = Distance(1e-6 if cured else 0.0)
    return Patient(model, x, y, MSE, adam(model, 3e-3))


@case("loss-shape", "(N, 1) の出力と (N,) の目標。平均しか学べない")
def broadcast_loss(cured=False):
    torch.manual_seed(54)
    x, y = curve(seed=54)
    model = mlp([8, 64, 64, 1], nn.ReLU, he)
    return Patient(model, x, y if cured else y[:, 0], MSE, adam(model, 3e-3))


@case("indistinguishable vanishing", "小さい重みと大きいバイアスの tanh 20 層。標本の違いが消える")
def ordered_tanh_20(cured=False):
    torch.manual_seed(56)
    x, y = blobs(seed=56)
    model = mlp([32, *[64] * 20, 10], nn.Tanh, xavier if cured else normal(0.1))
    if not cured:
        for layer in model[:-1:2]:
            nn.init.normal_(layer.bias, 0.0, 0.5)
    return Patient(model, x, y, CE, sgd(model, 0.05))
