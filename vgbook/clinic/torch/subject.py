"""診断を受ける PyTorch のモデルと、その写し。元のモデルには触れません。"""

import copy
import inspect
import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from vgbook.clinic.torch.eager import Eager


def tree_map(f: Callable[[torch.Tensor], Any], tree: Any) -> Any:
    """組や辞書の中のテンソルに f を当てる。テンソルでないものは、そのまま。"""
    if isinstance(tree, torch.Tensor):
        return f(tree)
    if isinstance(tree, Mapping):
        return {key: tree_map(f, value) for key, value in tree.items()}
    if isinstance(tree, tuple | list):
        return (
            type(tree)(tree_map(f, value) for value in tree)
            if type(tree) in (tuple, list)
            else tree
        )
    return tree


def tensors(tree: Any) -> list[torch.Tensor]:
    """組や辞書の中のテンソルを、順に並べる。"""
    if isinstance(tree, torch.Tensor):
        return [tree]
    values = tree.values() if isinstance(tree, Mapping) else tree
    if isinstance(tree, Mapping | tuple | list):
        return [tensor for value in values for tensor in tensors(value)]
    return []


def _fresh(tensor: torch.Tensor) -> torch.Tensor:
    """書き換えても元に響かない写し。"""
    return tensor.detach().clone().requires_grad_(tensor.requires_grad)


@dataclass
class Subject:
    """モデル、データ、損失、オプティマイザーの 1 組。"""

    model: nn.Module
    x: Any
    y: Any
    loss: Callable[[Any, Any], torch.Tensor] | None
    step: Callable[[Any, Any], torch.Tensor] | None
    optimizer: torch.optim.Optimizer | None
    output: Any = None

    def copy(self) -> "Subject":
        """モデルとオプティマイザーを写したもの。オプティマイザーは、写したモデルを指す。"""
        memo: dict[int, Any] = {}
        for module in self.model.modules():  # 途中の値 (グラフの中のテンソル) は deepcopy できない
            for tensor in tensors(list(vars(module).values())):
                if not tensor.is_leaf:
                    memo[id(tensor)] = tensor.detach().clone()
        try:
            model, optimizer = (copy.deepcopy(a, memo) for a in (self.model, self.optimizer))
            loss = self.loss  # 学習するパラメーターをもつ損失は、同じ optimizer が動かす
            loss = copy.deepcopy(loss, memo) if isinstance(loss, nn.Module) else loss
        except Exception as error:
            error.add_note(
                "診断は写しの上で行うので、model と optimizer を copy.deepcopy で写せなければ"
                "なりません。ロックやファイルのような写せないものは、モデルの外に置くか、"
                "写しを作らない watch を使ってください。"
            )
            raise
        if isinstance(optimizer, torch.optim.LBFGS):  # 写しには、更新する重みの列が付いてこない
            optimizer._params, optimizer._numel_cache = optimizer.param_groups[0]["params"], None
        return Subject(model, self.x, self.y, loss, self.step, optimizer)

    def forward(self) -> Any:
        """データを渡したモデルの出力。"""
        x = tree_map(_fresh, self.x)
        if isinstance(x, Mapping):
            return self.model(**x)
        return self.model(*x) if isinstance(x, tuple | list) else self.model(x)

    def value(self) -> torch.Tensor:
        """損失。"""
        if self.step is not None:
            return self.step(self.model, tree_map(_fresh, self.x))
        self.output = self.forward()
        assert self.loss is not None
        return self.loss(self.output, tree_map(_fresh, self.y))

    def trainable(self) -> dict[str, nn.Parameter]:
        """勾配を求めるパラメーター。"""
        return {n: p for n, p in self.model.named_parameters() if p.requires_grad}

    def update(self) -> float:
        """オプティマイザーの 1 回の更新。更新の前の損失を返す。"""
        assert self.optimizer is not None
        first: list[float] = []

        def closure() -> torch.Tensor:
            assert self.optimizer is not None
            self.model.zero_grad(set_to_none=True)
            self.optimizer.zero_grad(set_to_none=True)
            value = self.value()
            if value.requires_grad:
                value.backward()
            first.append(float(value.detach()))
            return value

        if _needs_closure(self.optimizer):
            self.optimizer.step(closure)
        else:
            closure()
            self.optimizer.step()
        return first[0]


def _needs_closure(optimizer: torch.optim.Optimizer) -> bool:
    """LBFGS のように、損失を計算し直す関数を渡さなければならないか。"""
    closure = inspect.signature(type(optimizer).step).parameters.get("closure")
    return closure is not None and closure.default is inspect.Parameter.empty


@contextmanager
def untouched(subject: Subject) -> Iterator[None]:
    """この ``with`` の中で何をしても、乱数の状態とパラメーターの勾配は元に戻る。

    損失の関数が元のモデルや自分のパラメーターを使っていると、写しの逆伝播は元の ``.grad`` にも
    届くので、その間だけ外しておく。
    """
    groups = subject.optimizer.param_groups if subject.optimizer else []
    inside = subject.loss.parameters() if isinstance(subject.loss, nn.Module) else ()
    known = [
        *subject.model.parameters(),
        *inside,
        *(p for group in groups for p in group["params"]),
    ]
    grads = [(p, p.grad) for p in known]
    python, legacy = random.getstate(), np.random.get_state()  # noqa: NPY002
    eager = Eager()
    cached = torch.is_autocast_cache_enabled()
    try:
        # autocast の中で呼ばれると、更新した重みの代わりに、型を変えた写しが使い回される
        torch.set_autocast_cache_enabled(False)
        for p, _ in grads:
            p.grad = None
        eager.start()
        with torch.random.fork_rng(), torch.inference_mode(False), torch.enable_grad():
            yield
    finally:
        eager.stop()
        torch.set_autocast_cache_enabled(cached)
        for p, grad in grads:
            p.grad = grad
        random.setstate(python)
        np.random.set_state(legacy)  # noqa: NPY002
