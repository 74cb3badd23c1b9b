"""PyTorch のモデルの診断の入り口の確かめ: モデル、データ、損失、最適化手法。"""

import inspect
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from vgbook._edge import check_callable
from vgbook.clinic.torch.subject import tensors


def check_model(model: nn.Module) -> None:
    """層の中を測れる、学習するモデルであることを確かめる。"""
    if not any(True for _ in model.parameters()):
        raise ValueError(
            "model に学習するパラメーターがありません。"
            "nn.Linear などの層をもつモデルを渡してください。"
        )
    if any(isinstance(p, nn.parameter.UninitializedParameter) for p in model.parameters()):
        raise ValueError(
            "model に、形の決まっていない層 (nn.LazyLinear など) があります。"
            "model(x) を 1 度呼んで、形を決めてから渡してください。"
        )
    if isinstance(model, torch.jit.ScriptModule) or any(p.is_meta for p in model.parameters()):
        raise TypeError(
            "model には、層の中を測れるふつうの nn.Module を渡してください。TorchScript に変える"
            "前の、重みが meta デバイスにないモデルです。"
            f"受け取った型: {type(model).__name__}"
        )


def check_arguments(model: nn.Module, x: Any, loss: Any, optimizer: Any, step: Any) -> None:
    """測るのに要るものが、そろっていることを確かめる。"""
    if not any(t.numel() for t in tensors(x)) and tensors(x):
        raise ValueError("x には 1 個以上の標本を渡してください。受け取った標本の数: 0")
    if (loss is None) == (step is None):
        raise TypeError(
            "loss か step のどちらか 1 つを渡してください。loss は (出力, 正解) から、"
            "step は (モデル, x) から、損失のテンソルを返す関数です。"
        )
    for name, value in (("loss", loss), ("step", step)):
        if value is not None:
            check_callable(name, value)
        if isinstance(value, type):
            raise TypeError(
                f"{name} にはクラスではなく、()を付けて作ったもの (nn.CrossEntropyLoss() など) を"
                f"渡してください。受け取った値: {value!r}"
            )
    if optimizer is not None:
        check_optimizer(model, optimizer)
    if step is None:
        _check_call(model, x)


def check_optimizer(model: nn.Module, optimizer: Any) -> None:
    """``model`` の学習に使う、PyTorch の最適化手法であることを確かめる。"""
    if not isinstance(optimizer, torch.optim.Optimizer):
        raise TypeError(
            "optimizer には torch.optim の最適化手法 (torch.optim.Adam(model.parameters()) など) を"
            f"渡してください。受け取った値: {optimizer!r}"
        )
    own = {id(p) for p in model.parameters()}
    if not any(id(p) in own for group in optimizer.param_groups for p in group["params"]):
        raise ValueError(
            "optimizer のパラメーターが、model のものではありません。model を作った後に、"
            "model.parameters() から optimizer を作ってください。"
        )


def _check_call(model: nn.Module, x: Any) -> None:
    """引数の数が合うか。中身の形の間違いは、モデルの出すエラーのほうが詳しい。"""
    args = tuple(x) if isinstance(x, tuple | list) else () if isinstance(x, Mapping) else (x,)
    kwargs = dict(x) if isinstance(x, Mapping) else {}
    try:
        inspect.signature(model.forward).bind(*args, **kwargs)
    except TypeError as error:
        raise ValueError(
            f"model.forward の引数と x が合いません ({error})。引数がいくつもあるときは、"
            "x に組 (a, b) か辞書 {'名前': 値} を渡すか、step を渡してください。"
        ) from error
