"""短い試しの学習: そのまま、あるいは 1 つだけ変えて。"""

from collections.abc import Callable
from math import isfinite
from time import process_time
from typing import Any

import torch
from torch.nn import functional as F

from vgbook.clinic.record import OUT_OF_TIME, Trial
from vgbook.clinic.rules import FEWEST
from vgbook.clinic.torch.hooks import BATCH_NORMS
from vgbook.clinic.torch.subject import Subject, tensors, tree_map

CONVOLUTIONS = (
    torch.nn.Conv1d, torch.nn.Conv2d, torch.nn.Conv3d, torch.nn.ConvTranspose1d,
    torch.nn.ConvTranspose2d, torch.nn.ConvTranspose3d,
)  # fmt: skip


def same_answers(y: object) -> bool:
    """正解がどの標本でも同じか。クラスの番号なら、1 つのクラスだけか。"""
    if not isinstance(y, torch.Tensor) or y.ndim == 0 or len(y) == 0:
        return False
    return bool((y == (y[:1] if y.is_floating_point() else y.flatten()[:1])).all())


def constant_answer(subject: Subject, output: object) -> float | None:
    """入力を見ない答えのうち、損失が最も小さいもの。決められなければ None。"""
    y = subject.y
    if subject.loss is None or not isinstance(output, torch.Tensor) or output.ndim < 2:
        return None
    if same_answers(y):  # 入力を見ない答えが、すべて正しい
        return None
    out = output.detach()
    answers = [out.float().mean(0, keepdim=True)]
    if isinstance(y, torch.Tensor) and y.is_floating_point() and y.shape == out.shape:
        mean = y.float().mean(0, keepdim=True)
        answers += [
            mean,
            y.float().median(0, keepdim=True).values,
            torch.logit(mean.clamp(1e-4, 1 - 1e-4)),
        ]
    if isinstance(y, torch.Tensor) and y.dtype == torch.long and y.ndim + 1 == out.ndim:
        classes = out.shape[1]
        if int(y.min()) >= 0 and int(y.max()) < classes:
            share = torch.bincount(y.flatten(), minlength=classes).float() / y.numel()
            log = share.clamp_min(1e-6).log()
            answers.append(log.reshape(1, classes, *[1] * (out.ndim - 2)))
    values = []
    for answer in answers:
        try:
            value = float(subject.loss(answer.to(out.dtype).expand_as(out).clone(), y))
        except (RuntimeError, ValueError):  # 確率しか受け取らない損失に、ロジットを渡した
            continue
        if isfinite(value):
            values.append(value)
    return min(values, default=None)


def run(subject: Subject, name: str, steps: int, enough: float, deadline: float) -> Trial:
    """写しを ``steps`` 回だけ更新する。損失が基準の ``enough`` 倍を下回れば、そこで終える。"""
    torch.manual_seed(0)
    trial = Trial(name, [], _reference(subject.copy()))
    for _ in range(steps):
        try:
            value = subject.update()
        except (RuntimeError, ValueError, IndexError) as error:  # 発散した値を受け取らない損失など
            if not trial.losses:
                raise
            trial.error = str(error).splitlines()[0]
            value = float("nan")
        trial.losses.append(value)
        if not isfinite(value):
            break
        if process_time() > deadline:
            trial.error = OUT_OF_TIME
            break
        if len(trial.losses) >= FEWEST and trial.score < enough:
            break
    return trial


def _reference(subject: Subject) -> float:
    """最初の損失と、入力を見ない答えの損失の小さいほう。"""
    with torch.no_grad():
        first = float(subject.value())
        constant = constant_answer(subject, subject.output)
    return first if constant is None else min(constant, first)


# --- 1 つだけ変える -----------------------------------------------------------------------


def scale_rate(factor: float) -> Callable[[Subject], None]:
    """学習率を ``factor`` 倍にする。"""

    def change(subject: Subject) -> None:
        assert subject.optimizer is not None
        for group in subject.optimizer.param_groups:
            group["lr"] = group["lr"] * factor

    return change


def initial_rate(subject: Subject) -> None:
    """学習率の予定が始まる前の値に戻す。"""
    assert subject.optimizer is not None
    for group in subject.optimizer.param_groups:
        group["lr"] = group.get("initial_lr", group["lr"])


def no_decay(subject: Subject) -> None:
    """重み減衰をやめる。"""
    assert subject.optimizer is not None
    for group in subject.optimizer.param_groups:
        group["weight_decay"] = 0.0


def standardise(x: torch.Tensor) -> torch.Tensor:
    """列 (画像ならチャネル、系列なら特徴) ごとに、平均を 0、標準偏差を 1 にする。"""
    if not x.is_floating_point():
        return x
    axes = [0, *range(2, x.ndim)] if x.ndim >= 4 else list(range(x.ndim - 1))
    mean = x.mean(axes, keepdim=True) if axes else x.mean()
    std = x.std(axes, keepdim=True, unbiased=False) if axes else x.std()
    return ((x - mean) / std.clamp_min(1e-12)).to(x.dtype)


def standardise_input(subject: Subject) -> None:
    """入力を標準化する。"""
    subject.x = tree_map(standardise, subject.x)


def standardise_target(subject: Subject) -> None:
    """目標を標準化する。"""
    y = subject.y
    subject.y = (y - y.mean()) / y.std().clamp_min(1e-12)


def mean_loss(subject: Subject) -> None:
    """損失を標本の数で割る。"""
    loss, n = subject.loss, len(tensors(subject.y)[0])
    assert loss is not None
    subject.loss = lambda output, y: loss(output, y) / n


def other_mode(subject: Subject) -> None:
    """バッチ正規化の学習と推論を入れ替える。"""
    for module in subject.model.modules():
        if isinstance(module, BATCH_NORMS):
            module.train(not module.training)


def pre_norm(subject: Subject) -> None:
    """Transformer の正規化を枝の前に移す。"""
    for module in subject.model.modules():
        if hasattr(module, "norm_first"):
            module.norm_first = True


def float32(subject: Subject) -> None:
    """モデルも入力も float32 で動かす。"""
    subject.model.float()
    for module in subject.model.modules():
        module.register_forward_pre_hook(_widen)

    subject.x = _float32(subject.x)


def _widen(_module: torch.nn.Module, args: object) -> object:
    return _float32(args)


def _float32(tree: Any) -> Any:
    """浮動小数点数のテンソルだけを変える。"""
    return tree_map(lambda t: t.float() if t.is_floating_point() else t, tree)


def _parameters(subject: Subject) -> list[tuple[str, torch.nn.Parameter]]:
    return [
        (name, p)
        for module in subject.model.modules()
        if not isinstance(module, torch.nn.Embedding)
        for name, p in module.named_parameters(recurse=False)
        if p.requires_grad
    ]


def reinitialise(gain: float) -> Callable[[Subject], None]:
    """行列を標準偏差 gain/√fan_in の乱数に、再帰の行列を直交行列に、バイアスを 0 にする。"""

    def change(subject: Subject) -> None:
        torch.manual_seed(1)
        with torch.no_grad():
            for name, p in _parameters(subject):
                _redraw(name, p, gain)

    return change


def _redraw(name: str, p: torch.Tensor, gain: float) -> None:
    if name.startswith("weight_hh"):
        for block in p.split(p.shape[1]):
            block.copy_(torch.linalg.qr(torch.randn(block.shape).double())[0].to(p))
    elif p.ndim >= 2:
        p.normal_(0, gain / max(p[0].numel(), 1) ** 0.5)
    elif name.startswith("bias"):
        p.zero_()


def normalisable(model: torch.nn.Module) -> list[torch.nn.Module]:
    """出力を標準化できる隠れた層。最後の 1 つは出力層とみなす。"""
    kinds = (torch.nn.Linear, *CONVOLUTIONS)
    return [module for module in model.modules() if isinstance(module, kinds)][:-1]


def normalise(subject: Subject) -> None:
    """隠れた全結合と畳み込みの出力を、ユニットごとにミニバッチで標準化する。"""
    for module in normalisable(subject.model):
        module.register_forward_hook(_normalise)


def _normalise(module: torch.nn.Module, _args: object, y: torch.Tensor) -> torch.Tensor:
    if y.ndim == 2 or isinstance(module, CONVOLUTIONS):
        return F.batch_norm(y, None, None, training=True) if y.numel() > y.shape[1] else y
    return F.layer_norm(y, y.shape[-1:])
