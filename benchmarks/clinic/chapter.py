"""診断の章の例。``python benchmarks/clinic/record.py reports`` が動かし、結果を章に残す。"""

from itertools import pairwise

import torch
from torch import nn
from torch.nn import functional as F

from vgbook import digits
from vgbook.clinic import diagnose, watch

DATA = digits()


def batch(n=200):
    """手書き数字 n 枚。画素は標準化してある。"""
    x = torch.tensor(DATA.x_train[:n], dtype=torch.float32)
    return x, torch.tensor(DATA.labels_train[:n])


def deep(activation, depth=8):
    """幅 100 の全結合の層を重ねる。初期値は PyTorch の既定のまま。"""
    widths = [64, *[100] * depth]
    hidden = [[nn.Linear(a, b), activation()] for a, b in pairwise(widths)]
    return nn.Sequential(*(layer for pair in hidden for layer in pair), nn.Linear(100, 10))


def first():
    torch.manual_seed(0)
    x, y = batch()
    model = deep(nn.Sigmoid)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    return diagnose(model, x, y, loss=F.cross_entropy, optimizer=optimizer)


def treated():
    torch.manual_seed(0)
    x, y = batch()
    model = deep(nn.ReLU)
    for layer in model[::2]:
        nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    return diagnose(model, x, y, loss=F.cross_entropy, optimizer=optimizer)


def watched():
    torch.manual_seed(0)
    x, y = batch()
    model = deep(nn.Sigmoid)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with watch(model, optimizer, every=20) as w:
        for _ in range(100):
            optimizer.zero_grad()
            loss = F.cross_entropy(model(x), y)
            loss.backward()
            optimizer.step()
            w.loss(loss.detach())
    return w.report()


# --- 章の表に並べる、ほかの病気 -------------------------------------------------------------


def plain(optimizer=None, change=None, scale=None):
    """2 つの隠れ層の ReLU のモデルに、1 つだけ悪いところを作って診断する。"""
    torch.manual_seed(0)
    x, y = batch()
    if scale is not None:
        x = scale(x)
    model = deep(nn.ReLU, 2)
    if change is not None:
        model = change(model)
    make = optimizer or (lambda p: torch.optim.SGD(p, lr=0.1))
    return diagnose(model, x, y, loss=F.cross_entropy, optimizer=make(model.parameters()))


class Detached(nn.Module):
    """途中で勾配を切ってしまったモデル。"""

    def __init__(self, model):
        super().__init__()
        self.body, self.head = model[:-1], model[-1]

    def forward(self, x):
        return self.head(self.body(x).detach())


def in_eval_mode(model):
    """BN を入れたのに、model.train() を呼び忘れたモデル。"""
    return nn.Sequential(model[0], nn.BatchNorm1d(100), *model[1:]).eval()


def all_constant(model):
    for p in model.parameters():
        nn.init.constant_(p, 0.05)
    return model


def negative_bias(model):
    nn.init.constant_(model[2].bias, -20.0)
    return model


OTHERS = {
    "手を加えない": plain,
    "Softmax を付けたまま cross_entropy に渡す": lambda: plain(
        change=lambda m: m.append(nn.Softmax(dim=1))
    ),
    "画素を 0〜255 のまま渡す": lambda: plain(scale=lambda x: 50 * x + 128),
    "学習率 1e-8": lambda: plain(lambda p: torch.optim.SGD(p, lr=1e-8)),
    "学習率 3 の Adam": lambda: plain(lambda p: torch.optim.Adam(p, lr=3.0)),
    "weight_decay = 1": lambda: plain(lambda p: torch.optim.SGD(p, lr=0.1, weight_decay=1.0)),
    "forward の途中で detach()": lambda: plain(change=Detached),
    "BN を model.eval() のまま、標準化しない入力で": lambda: plain(
        change=in_eval_mode, scale=lambda x: 50 * x + 128
    ),
    "どのパラメーターも 0.05": lambda: plain(change=all_constant),
    "第 2 層のバイアスが −20": lambda: plain(change=negative_bias),
}
