"""診断の試験に使う、健康とわかっているネットワークと、病気とわかっているネットワーク。

`PATIENTS` の関数はどれも、決まった種から `Patient` を作ります。病気の関数は ``cured=True`` で、
原因だけを取り除いた双子を作ります。双子は健康です。判定を調整する前に作り、``python verify.py``
が学習させて、健康か病気かを確かめます。
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

CE, MSE, BCE = F.cross_entropy, F.mse_loss, F.binary_cross_entropy_with_logits


@dataclass
class Patient:
    """診断に渡すもの。"""

    model: nn.Module
    x: Any
    y: Any
    loss: Callable[[Any, Any], torch.Tensor]
    optimizer: torch.optim.Optimizer


@dataclass(frozen=True)
class Entry:
    """作り方と、正しい判定。``roots`` が空なら健康。"""

    make: Callable[..., Patient]
    roots: frozenset[str]
    why: str


PATIENTS: dict[str, Entry] = {}


def patient(roots: str, why: str) -> Callable[[Callable[..., Patient]], Callable[..., Patient]]:
    def register(make: Callable[..., Patient]) -> Callable[..., Patient]:
        PATIENTS[make.__name__] = Entry(make, frozenset(roots.split()), why)
        return make

    return register


# --- データ ------------------------------------------------------------------------------


def moons(n=200, k=4, seed=0):
    """角度で分かれた k 個の輪の一部。"""
    g = torch.Generator().manual_seed(seed)
    y = torch.arange(n) % k
    t = 2 * torch.pi * (y + torch.rand(n, generator=g) * 0.8) / k
    x = torch.stack([t.cos(), t.sin(), (2 * t).cos(), (2 * t).sin()], 1)
    return x + 0.1 * torch.randn(n, 4, generator=g), y


def stripes(n=48, size=16, k=4, seed=0):
    """向きの違う縞 (n, 1, size, size)。"""
    g = torch.Generator().manual_seed(seed)
    y = torch.arange(n) % k
    a, b = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    angle = (torch.pi * y / k)[:, None, None]
    phase = 6 * torch.rand(n, generator=g)[:, None, None]
    x = torch.sin(0.9 * (a * angle.cos() + b * angle.sin()) + phase)[:, None]
    return 1.4 * x + 0.3 * torch.randn(x.shape, generator=g), y


def waves(n=200, d=6, seed=0):
    """滑らかな関数の回帰。"""
    g = torch.Generator().manual_seed(seed)
    x = torch.randn(n, d, generator=g)
    y = torch.tanh(x[:, :1] * x[:, 1:2]) + 0.5 * torch.cos(2 * x[:, 2:3])
    return x, (y - y.mean()) / y.std()


def melody(n=48, length=25, d=6, k=3, seed=0, first=False):
    """クラスごとの周期をもつ系列。``first`` なら、クラスは最初の時刻にだけ現れる。"""
    g = torch.Generator().manual_seed(seed)
    y = torch.arange(n) % k
    t = torch.arange(length)[None, :, None]
    x = torch.sin(t * (0.3 + 0.4 * y[:, None, None]) + torch.arange(d)[None, None, :])
    if first:
        x = torch.randn(1, length, d, generator=g).repeat(n, 1, 1)
        x[:, 0] = 2 * torch.randn(k, d, generator=g)[y]
        return x, y
    return x + 0.3 * torch.randn(n, length, d, generator=g), y


def words(n=48, length=10, vocabulary=30, k=3, seed=0):
    """クラスごとの目印の語が 3 回現れる文。"""
    g = torch.Generator().manual_seed(seed)
    y = torch.arange(n) % k
    x = torch.randint(k, vocabulary, (n, length), generator=g)
    for i in range(n):
        x[i, torch.randperm(length, generator=g)[:3]] = y[i]
    return x, y


# --- 部品 --------------------------------------------------------------------------------


def dense(widths, act=nn.ReLU, init=None, norm=None):
    layers: list[nn.Module] = []
    for i in range(len(widths) - 1):
        layer = nn.Linear(widths[i], widths[i + 1])
        if init is not None:
            init(layer.weight)
            nn.init.zeros_(layer.bias)
        layers.append(layer)
        if i < len(widths) - 2:
            layers += [norm(widths[i + 1])] if norm else []
            layers.append(act())
    return nn.Sequential(*layers)


def he(W):
    nn.init.kaiming_normal_(W, nonlinearity="relu")


def xavier(W):
    nn.init.xavier_normal_(W)


def std(s):
    return lambda W: nn.init.normal_(W, std=s)


def adam(model, lr=2e-3, **options):
    return torch.optim.Adam(model.parameters(), lr=lr, **options)


def sgd(model, lr=0.05, **options):
    return torch.optim.SGD(model.parameters(), lr=lr, **options)


def fit(p, steps):
    for _ in range(steps):
        p.optimizer.zero_grad()
        p.loss(p.model(p.x), p.y).backward()
        p.optimizer.step()


class Last(nn.Module):
    """再帰層の最後の時刻 (か平均) から分類する。"""

    def __init__(self, cell, width, k=3, mean=False):
        super().__init__()
        self.cell, self.mean, self.head = cell, mean, nn.Linear(width, k)

    def forward(self, x):
        h = self.cell(x)[0]
        return self.head(h.mean(1) if self.mean else h[:, -1])


class UNet(nn.Module):
    """1 段の U-Net。画素ごとに 2 クラスへ分ける。"""

    def __init__(self, width=8):
        super().__init__()
        self.down1 = nn.Conv2d(1, width, 3, padding=1)
        self.down2 = nn.Conv2d(width, 2 * width, 3, padding=1)
        self.up = nn.ConvTranspose2d(2 * width, width, 2, stride=2)
        self.out = nn.Conv2d(2 * width, 2, 3, padding=1)

    def forward(self, x):
        a = F.relu(self.down1(x))
        b = F.relu(self.down2(F.max_pool2d(a, 2)))
        return self.out(torch.cat([a, F.relu(self.up(b))], 1))


class Block(nn.Module):
    """注意と全結合の 1 ブロック。``pre`` なら正規化が枝の前にある。"""

    def __init__(self, width, pre):
        super().__init__()
        self.pre, self.heads = pre, 2
        self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mlp = nn.Sequential(
            nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width)
        )
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)

    def attend(self, x):
        n, t, d = x.shape
        q, k, v = self.qkv(x).view(n, t, 3, self.heads, d // self.heads).permute(2, 0, 3, 1, 4)
        return self.proj(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(n, t, d))

    def forward(self, x):
        if self.pre:
            x = x + self.attend(self.norm1(x))
            return x + self.mlp(self.norm2(x))
        x = self.norm1(x + self.attend(x))
        return self.norm2(x + self.mlp(x))


class Reader(nn.Module):
    """埋め込みと注意で文を分類する。"""

    def __init__(self, depth=2, pre=True, width=16, k=3):
        super().__init__()
        self.embed = nn.Embedding(30, width)
        self.place = nn.Parameter(0.1 * torch.randn(10, width))
        self.blocks = nn.ModuleList([Block(width, pre) for _ in range(depth)])
        self.norm = nn.LayerNorm(width) if pre else nn.Identity()
        self.head = nn.Linear(width, k)

    def forward(self, x):
        h = self.embed(x) + self.place
        for block in self.blocks:
            h = block(h)
        return self.head(self.norm(h).mean(1))


class Towers(nn.Module):
    """同じ重みの塔を 2 回使うシャムネットワーク。"""

    def __init__(self, cut=False):
        super().__init__()
        self.tower, self.cut = dense([4, 32, 8], nn.ReLU, he), cut

    def forward(self, a, b):
        a, b = self.tower(a), self.tower(b)
        if self.cut:
            a, b = a.detach(), b.detach().requires_grad_()
        return (a - b).square().sum(1)


def margin(distance, same):
    return (same * distance + (1 - same) * F.relu(2 - (distance + 1e-6).sqrt()).square()).mean()


def pairs(seed):
    x, y = moons(seed=seed)
    g = torch.Generator().manual_seed(seed)
    j = torch.randperm(len(y), generator=g)
    return (x, x[j]), (y == y[j]).float()


class Mixture(nn.Module):
    """重みつきの和ではなく、1 つの専門家だけを選ぶ混合。"""

    def __init__(self, bias):
        super().__init__()
        self.gate = nn.Linear(4, 3)
        self.experts = nn.ModuleList([dense([4, 24, 4], nn.ReLU, he) for _ in range(3)])
        nn.init.normal_(self.gate.weight)
        with torch.no_grad():
            self.gate.bias[0] = bias

    def forward(self, x):
        p = self.gate(x).softmax(1)
        top = p.argmax(1)
        out = x.new_zeros(len(x), 4)
        for i, expert in enumerate(self.experts):
            mine = top == i
            if mine.any():
                out[mine] = p[mine, i, None] * expert(x[mine])
        return out


# --- 健康 --------------------------------------------------------------------------------


@patient("", "でたらめなラベルの丸暗記。遅いが下がる")
def memorising():
    torch.manual_seed(100)
    x, y = torch.randn(64, 10), torch.randint(0, 5, (64,))
    model = dense([10, 64, 64, 5])
    return Patient(model, x, y, CE, adam(model, 1e-3))


@patient("", "標本 8 個、ラベルの 4 割が誤り")
def noisy_minibatch():
    torch.manual_seed(101)
    x, y = moons(8, seed=101)
    y = torch.where(torch.rand(8) < 0.4, torch.randint(0, 4, (8,)), y)
    model = dense([4, 32, 32, 4], init=he)
    return Patient(model, x, y, CE, sgd(model, 0.03, momentum=0.9))


@patient("", "ウォームアップの 1 回目。学習率は本来の 1/10000")
def warm_up_first_step():
    torch.manual_seed(102)
    x, y = words(seed=102)
    model = Reader()
    optimizer = adam(model, 1e-3)
    torch.optim.lr_scheduler.LambdaLR(optimizer, lambda t: min(1.0, (t + 1) / 10000))
    return Patient(model, x, y, CE, optimizer)


@patient("", "余弦の予定の終わり。学習率はほぼ 0 で、損失はもう低い")
def end_of_cosine():
    torch.manual_seed(103)
    x, y = moons(seed=103)
    model = dense([4, 32, 4], init=he)
    p = Patient(model, x, y, CE, adam(model, 5e-3))
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(p.optimizer, 150, 1e-8)
    for _ in range(150):
        fit(p, 1)
        schedule.step()
    return p


class Adversaries(nn.Module):
    def __init__(self):
        super().__init__()
        self.generator, self.critic = (
            dense([4, 32, 6]),
            dense([6, 32, 1], lambda: nn.LeakyReLU(0.2)),
        )
        self.critic.requires_grad_(False)

    def forward(self, z):
        return self.critic(self.generator(z))


@patient("", "GAN の生成器の更新。識別器は固定")
def gan_generator():
    torch.manual_seed(104)
    model = Adversaries()
    optimizer = torch.optim.Adam(model.generator.parameters(), 1e-3, betas=(0.5, 0.999))
    return Patient(model, torch.randn(64, 4), torch.ones(64, 1), BCE, optimizer)


@patient("", "GAN の識別器の更新")
def gan_discriminator():
    torch.manual_seed(105)
    x = torch.cat([torch.randn(32, 6) * 0.5 + 1, torch.randn(32, 6)])
    y = torch.cat([torch.ones(32, 1), torch.zeros(32, 1)])
    model = dense([6, 32, 32, 1], lambda: nn.LeakyReLU(0.2))
    return Patient(model, x, y, BCE, torch.optim.Adam(model.parameters(), 2e-4, betas=(0.5, 0.999)))


@patient("", "対照学習 (InfoNCE)。目標は組の番号")
def contrastive():
    torch.manual_seed(106)
    x, _ = moons(64, seed=106)
    views = (x + 0.1 * torch.randn_like(x), x + 0.1 * torch.randn_like(x))

    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.body = dense([4, 64, 16])

        def forward(self, a, b):
            return F.normalize(self.body(a)) @ F.normalize(self.body(b)).T / 0.1

    model = Two()
    return Patient(model, views, torch.arange(64), CE, adam(model, 1e-3))


@patient("", "学習済みの胴を固定し、頭だけを小さな学習率で学ぶ")
def head_only_fine_tuning():
    torch.manual_seed(107)
    x, y = stripes(seed=107)
    body = nn.Sequential(
        nn.Conv2d(1, 8, 5, stride=2), nn.ReLU(), nn.Flatten(), nn.Linear(288, 32), nn.ReLU()
    )
    model = nn.Sequential(body, nn.Linear(32, 4))
    fit(Patient(model, x, y, CE, adam(model)), 60)
    body.requires_grad_(False)
    model[1].reset_parameters()
    return Patient(model, x, y, CE, torch.optim.AdamW(model[1].parameters(), 1e-3))


@patient("", "ミニバッチに 1 つのクラスしかない")
def single_class():
    torch.manual_seed(108)
    x, y = moons(seed=108)
    model = dense([4, 32, 32, 4], init=he)
    return Patient(model, x[y == 1], y[y == 1], CE, sgd(model, 0.02))


@patient("", "線形回帰。雑音の下限に収束している")
def at_the_noise_floor():
    torch.manual_seed(109)
    x = torch.randn(400, 5)
    y = x @ torch.randn(5, 1) + torch.randn(400, 1)
    model = nn.Linear(5, 1)
    p = Patient(model, x, (y - y.mean()) / y.std(), MSE, sgd(model, 0.1))
    fit(p, 300)
    return p


@patient("", "GRU。信号は全部の時刻にある")
def gru():
    torch.manual_seed(110)
    x, y = melody(seed=110)
    model = Last(nn.GRU(6, 24, batch_first=True), 24)
    return Patient(model, x, y, CE, adam(model, 5e-3))


@patient("", "U-Net。画素ごとの分類")
def unet():
    torch.manual_seed(111)
    x, _ = stripes(n=24, seed=111)
    model = UNet()
    return Patient(model, x, (x[:, 0] > 0.5).long(), CE, adam(model, 3e-3))


@patient("", "シャム。1 つの塔を 2 回使う")
def siamese():
    torch.manual_seed(112)
    x, y = pairs(112)
    model = Towers()
    distance = model.forward
    assert distance is not None
    return Patient(model, x, y, margin, adam(model, 2e-3))


@patient("", "埋め込みと注意")
def attention_reader():
    torch.manual_seed(113)
    x, y = words(seed=113)
    model = Reader(3)
    return Patient(model, x, y, CE, adam(model, 2e-3))


@patient("", "自己符号化器。次元を減らすので 0 にはならない")
def autoencoder():
    torch.manual_seed(114)
    x = torch.randn(128, 3) @ torch.randn(3, 16) + 0.1 * torch.randn(128, 16)
    x = x / x.std()
    model = dense([16, 12, 3, 12, 16], nn.Tanh)
    return Patient(model, x, x, MSE, adam(model, 5e-3))


@patient("", "SELU の 12 層。正規化なし")
def selu_12():
    torch.manual_seed(115)
    x, y = moons(seed=115)
    model = dense(
        [4, *[48] * 12, 4], nn.SELU, lambda W: nn.init.kaiming_normal_(W, nonlinearity="linear")
    )
    return Patient(model, x, y, CE, sgd(model, 0.01))


@patient("", "シグモイドの出力と二値の交差エントロピーは正しい組")
def sigmoid_with_bce():
    torch.manual_seed(116)
    x, y = moons(seed=116)
    model = nn.Sequential(*dense([4, 32, 32, 1]), nn.Sigmoid())
    return Patient(model, x, (y % 2).float()[:, None], F.binary_cross_entropy, adam(model))


@patient("", "0〜255 の画素。最初の BN が標準化する")
def raw_pixels_behind_bn():
    torch.manual_seed(117)
    x, y = stripes(seed=117)
    x = (40 * x + 128).clamp(0, 255).round()
    model = nn.Sequential(
        nn.BatchNorm2d(1), nn.Conv2d(1, 8, 5, stride=2), nn.ReLU(), nn.Flatten(), nn.Linear(288, 4)
    )
    return Patient(model, x, y, CE, sgd(model, 0.02, momentum=0.9))


@patient("", "損失は和だが、Adam は損失の尺度によらない")
def sum_with_adam():
    torch.manual_seed(118)
    x, y = moons(400, seed=118)
    model = dense([4, 32, 32, 4], init=he)
    return Patient(model, x, y, lambda o, t: CE(o, t, reduction="sum"), adam(model))


@patient("", "目標は (N,)、出力は (N, 1)。損失の中でそろえている")
def squeezed_in_the_loss():
    torch.manual_seed(119)
    x, y = waves(seed=119)
    model = dense([6, 64, 64, 1])
    return Patient(model, x, y[:, 0], lambda o, t: MSE(o[:, 0], t), adam(model))


@patient("", "GroupNorm と残差のある CNN、重み減衰 0.01")
def group_norm_cnn():
    torch.manual_seed(120)
    x, y = stripes(seed=120)

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.stem = nn.Conv2d(1, 8, 3, stride=2, padding=1)
            self.norm1, self.norm2 = nn.GroupNorm(2, 8), nn.GroupNorm(2, 8)
            self.conv = nn.Conv2d(8, 8, 3, padding=1)
            self.head = nn.Linear(8 * 64, 4)

        def forward(self, x):
            h = F.relu(self.norm1(self.stem(x)))
            h = h + F.relu(self.norm2(self.conv(h)))
            return self.head(h.flatten(1))

    model = Net()
    return Patient(model, x, y, CE, torch.optim.AdamW(model.parameters(), 2e-3, weight_decay=0.01))


# --- 病気 --------------------------------------------------------------------------------


@patient("step-small", "学習率 1e-8")
def tiny_rate(cured=False):
    torch.manual_seed(200)
    x, y = moons(seed=200)
    model = dense([4, 32, 32, 4], init=he)
    return Patient(model, x, y, CE, sgd(model, 0.1 if cured else 1e-8))


@patient("step-large", "Adam の学習率 3")
def adam_rate_three(cured=False):
    torch.manual_seed(201)
    x, y = stripes(seed=201)
    model = nn.Sequential(
        nn.Conv2d(1, 8, 3, stride=2),
        nn.ReLU(),
        nn.Conv2d(8, 16, 3, stride=2),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(144, 4),
    )
    return Patient(model, x, y, CE, adam(model, 3e-3 if cured else 3.0))


@patient("target-scale", "目標の平均 2 万、標準偏差 5000 を Adam で")
def raw_prices(cured=False):
    torch.manual_seed(202)
    x, y = waves(seed=202)
    model = dense([6, 64, 64, 1])
    return Patient(model, x, y if cured else 5000 * y + 20000, MSE, adam(model, 3e-3))


@patient("target-scale", "目標の標準偏差 300 を SGD で。発散する")
def raw_targets_sgd(cured=False):
    torch.manual_seed(203)
    x, y = waves(seed=203)
    model = dense([6, 64, 64, 1], init=he)
    return Patient(model, x, y if cured else 300 * y + 1000, MSE, sgd(model, 0.03))


@patient("zero-init symmetry", "どの重みも 0")
def all_zero(cured=False):
    torch.manual_seed(204)
    x, y = moons(seed=204)
    model = dense([4, 32, 32, 4], nn.Tanh, xavier if cured else nn.init.zeros_)
    return Patient(model, x, y, CE, sgd(model, 0.1))


@patient("not-in-optimizer", "オプティマイザーを作った後で、層を取り替えた")
def replaced_after_optimizer(cured=False):
    torch.manual_seed(205)
    x, y = moons(seed=205)
    model = dense([4, 32, 32, 4], init=he)
    optimizer = sgd(model, 0.1)
    if not cured:
        model[2] = nn.Linear(32, 32)
    return Patient(model, x, y, CE, optimizer)


@patient("weight-decay", "重み減衰 1 の SGD")
def heavy_decay(cured=False):
    torch.manual_seed(206)
    x, y = moons(seed=206)
    model = dense([4, 64, 64, 4], init=he)
    return Patient(model, x, y, CE, sgd(model, 0.1, weight_decay=0.0 if cured else 1.0))


@patient("post-norm step-large", "後置の正規化の 12 ブロックに、Adam 3e-2 をウォームアップなしで")
def post_norm_12(cured=False):
    torch.manual_seed(207)
    x, y = words(seed=207)
    model = Reader(12, pre=cured)
    return Patient(model, x, y, CE, adam(model, 1e-2 if cured else 3e-2))


@patient("batch-norm", "BN に標本 2 個")
def bn_batch_of_two(cured=False):
    torch.manual_seed(208)
    x, y = moons(seed=208)
    n = 64 if cured else 2
    model = dense([4, 32, 32, 4], init=he, norm=nn.BatchNorm1d)
    return Patient(model, x[:n], y[:n], CE, sgd(model, 0.05))


@patient("softmax-twice", "シグモイドの出力に、ロジット用の損失")
def sigmoid_twice(cured=False):
    torch.manual_seed(209)
    x, y = moons(seed=209)
    model = dense([4, 32, 32, 1], init=he)
    if not cured:
        model.append(nn.Sigmoid())
    return Patient(model, x, (y % 2).float()[:, None], BCE, adam(model))


@patient("vanishing indistinguishable", "GRU。クラスは 150 時刻前にだけ現れる")
def gru_150(cured=False):
    torch.manual_seed(210)
    x, y = melody(n=24, length=150, seed=210, first=True)
    model = Last(nn.GRU(6, 16, batch_first=True), 16, mean=cured)
    return Patient(model, x, y, CE, adam(model, 1e-2))


@patient("exploding init-large", "ReLU の RNN の再帰の重みが 2 倍の単位行列")
def rnn_doubling(cured=False):
    torch.manual_seed(211)
    x, y = melody(seed=211, length=40)
    model = Last(nn.RNN(6, 24, nonlinearity="relu", batch_first=True), 24)
    with torch.no_grad():
        model.cell.weight_hh_l0.copy_((0.8 if cured else 2.0) * torch.eye(24))
    return Patient(model, x, y, CE, sgd(model, 0.02))


@patient("input-scale", "0〜255 の画素を U-Net に、SGD で")
def unet_raw_pixels(cured=False):
    torch.manual_seed(212)
    x, _ = stripes(n=24, seed=212)
    y = (x[:, 0] > 0.5).long()
    model = UNet()
    return Patient(
        model, x if cured else (40 * x + 128).clamp(0, 255), y, CE, sgd(model, 0.1, momentum=0.9)
    )


@patient("no-gradient", "塔の出力を detach() した")
def siamese_detached(cured=False):
    torch.manual_seed(213)
    x, y = pairs(213)
    model = Towers(not cured)
    return Patient(model, x, y, margin, adam(model, 2e-3))


@patient("vanishing init-small", "標準偏差 0.02 の CNN、10 層")
def small_cnn_10(cured=False):
    torch.manual_seed(214)
    x, y = stripes(seed=214)
    layers: list[nn.Module] = []
    for i in range(10):
        conv = nn.Conv2d(8 if i else 1, 8, 3, padding=1, stride=2 if i == 0 else 1)
        (he if cured else std(0.02))(conv.weight)
        nn.init.zeros_(conv.bias)
        layers += [conv, nn.ReLU()]
    model = nn.Sequential(*layers, nn.Flatten(), nn.Linear(8 * 64, 4))
    return Patient(model, x, y, CE, sgd(model, 0.01, momentum=0.9))


@patient("underflow step-small", "bfloat16 の重み。更新が丸めで消える")
def bf16_weights(cured=False):
    torch.manual_seed(215)
    x, y = moons(seed=215)
    model = dense([4, 64, 64, 4], init=he)
    if not cured:
        model, x = model.bfloat16(), x.bfloat16()
    return Patient(model, x, y, lambda o, t: CE(o.float(), t), adam(model, 5e-5))


@patient("loss-reduction step-large", "512 個の二乗誤差の和に、平均のときの学習率")
def squared_sum(cured=False):
    torch.manual_seed(216)
    x, y = waves(512, seed=216)
    model = dense([6, 64, 64, 1], init=he)
    return Patient(
        model, x, y, lambda o, t: MSE(o, t, reduction="mean" if cured else "sum"), sgd(model, 0.05)
    )


@patient("non-finite", "0 になりうる値の対数")
def log_of_zero(cured=False):
    torch.manual_seed(217)
    x, y = moons(seed=217)
    model = nn.Sequential(*dense([4, 32, 4], init=he), nn.ReLU())
    eps = 1e-3 if cured else 0.0

    def loss(out, t):
        p = (out + eps) / (out + eps).sum(1, keepdim=True)
        return F.nll_loss(p.log(), t)

    return Patient(model, x, y, loss, adam(model, 1e-3))


@patient("unused no-gradient", "1 つの専門家しか選ばれない")
def collapsed_mixture(cured=False):
    torch.manual_seed(218)
    x, y = moons(seed=218)
    model = Mixture(0.0 if cured else 40.0)
    return Patient(model, x, y, CE, adam(model))


@patient("loss-shape", "(N,) の出力と (N, 1) の目標の差")
def broadcast_difference(cured=False):
    torch.manual_seed(219)
    x, y = waves(seed=219)
    model = nn.Sequential(*dense([6, 64, 1], init=he), nn.Flatten(0))
    return Patient(
        model, x, y[:, 0] if cured else y, lambda o, t: (o - t).abs().mean(), adam(model)
    )


@patient("dead", "畳み込みのバイアスが −10")
def dead_cnn(cured=False):
    torch.manual_seed(220)
    x, y = stripes(seed=220)
    model = nn.Sequential(
        nn.Conv2d(1, 8, 3, stride=2),
        nn.ReLU(),
        nn.Conv2d(8, 8, 3),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(200, 4),
    )
    if not cured:
        nn.init.constant_(model[2].bias, -10.0)
    return Patient(model, x, y, CE, adam(model))


@patient("saturated init-large", "標準偏差 3 の重みの tanh 5 層の回帰")
def saturated_regression(cured=False):
    torch.manual_seed(221)
    x, y = waves(seed=221)
    model = dense([6, *[48] * 5, 1], nn.Tanh, xavier if cured else std(3.0))
    return Patient(model, x, y, MSE, sgd(model, 0.02))


@patient("symmetry", "どの重みも 0.1 の GRU")
def equal_gru(cured=False):
    torch.manual_seed(222)
    x, y = melody(seed=222)
    model = Last(nn.GRU(6, 24, batch_first=True), 24)
    if not cured:
        for p in model.parameters():
            nn.init.constant_(p, 0.1)
    return Patient(model, x, y, CE, adam(model, 5e-3))
