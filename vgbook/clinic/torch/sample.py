"""見張りの 1 回の測定: 順伝播から更新の終わりまでに、層ごとの値を集める。"""

from collections.abc import Callable
from contextlib import nullcontext
from math import isfinite
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from vgbook.clinic.record import LayerRecord
from vgbook.clinic.torch.eager import Eager
from vgbook.clinic.torch.functions import dead_units, plain_name, reached_units, units
from vgbook.clinic.torch.hooks import BATCH_NORMS, weight_name
from vgbook.clinic.torch.sizes import batch_statistics, dense, drift, wide


class _Hook:
    """フック。測る間に写したり保存したりしたモデルでは、何もしない。"""

    def __init__(self, call: Callable[..., None]) -> None:
        self.call = call

    def __call__(self, *args: Any) -> None:
        self.call(*args)

    def __reduce__(self) -> tuple[Any, ...]:
        return getattr, (nullcontext(), "__exit__")  # どんな引数でも None を返す、標準のもの


class _Functions(TorchFunctionMode):
    """モデルを呼んでいる間だけ、関数の名前を残し、死んだユニットを ``sample`` に残す。"""

    def __init__(self, sample: "Sample") -> None:
        super().__init__()
        self.sample, self.depth = sample, 0
        self.names: set[str] = set()

    def attach(self, module: nn.Module) -> list[Any]:
        """最も外側の呼び出しで始め、終われば (例外でも) やめる。"""
        return [
            module.register_forward_pre_hook(_Hook(self._enter)),
            module.register_forward_hook(_Hook(self._leave), always_call=True),
        ]

    def _enter(self, *_: Any) -> None:
        self.depth += 1
        if self.depth == 1:
            self.__enter__()

    def _leave(self, *_: Any) -> None:
        self.depth -= 1
        if self.depth == 0:
            self.__exit__(None, None, None)

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """テンソルの関数が呼ばれるたびに呼ばれる。"""
        name = plain_name(func)
        self.names.add(name)
        if not self.sample.current:
            return func(*args, **(kwargs or {}))
        module, _ = self.sample.modules[self.sample.current]
        reached = reached_units(name, args, kwargs, module)
        result = func(*args, **(kwargs or {}))
        if reached is not None and result.requires_grad:
            self.sample.dead[self.sample.current] = dead_units(result, reached, module)
        return result


class Sample:
    """1 回の更新の測定。値は、更新が終わるまで装置の上に置いておく。"""

    def __init__(self, step: int) -> None:
        self.step = step
        self.calls: dict[str, dict[str, torch.Tensor]] = {}
        self.modules: dict[str, tuple[nn.Module, str]] = {}
        self.weights: dict[str, torch.Tensor] = {}
        self.values: dict[str, dict[str, float]] = {}
        self.dead: dict[str, torch.Tensor] = {}
        self.gaps: dict[str, torch.Tensor] = {}
        self.current = ""
        self.complete = False
        self.functions = _Functions(self)
        self._eager = Eager()
        self._handles: list[Any] = []

    def attach(self, model: nn.Module) -> None:
        """行列をもつモジュールと BN にフックを付け、ReLU の出力を見る。"""
        self._eager.start()
        for name, module in model.named_modules():
            self._handles += self.functions.attach(module)
            weight = weight_name(module)
            if weight:
                self.modules[name or type(module).__name__] = module, weight
                hook = self._hook(name or type(module).__name__)
                self._handles.append(module.register_forward_hook(hook))
            elif isinstance(module, BATCH_NORMS) and module.track_running_stats:
                self._handles.append(module.register_forward_pre_hook(self._batch_norm(name)))

    def detach(self) -> None:
        """フックを外す。"""
        for handle in self._handles:
            handle.remove()
        self._handles = []
        self._eager.stop()

    def _hook(self, name: str) -> _Hook:
        def after(_module: nn.Module, _args: Any, output: Any) -> None:
            y = output[0] if isinstance(output, tuple) else output
            if not isinstance(y, torch.Tensor) or not y.requires_grad:  # 評価の順伝播は測らない
                return
            var, mean = torch.var_mean(wide(units(y, _module)), 0, correction=0)
            self.calls[name] = {
                "h": (var + mean.square()).mean().sqrt(),
                "distinct": var.mean().sqrt(),
            }
            self.current = name
            if name not in self.weights:  # 更新の前の重み
                self.weights[name] = wide(self.parameter(name))
            y.register_hook(lambda grad: self._delta(name, grad))

        return _Hook(after)

    def parameter(self, name: str) -> torch.Tensor:
        """その層の行列。"""
        module, weight = self.modules[name]
        return module.get_parameter(weight)

    def _batch_norm(self, name: str) -> _Hook:
        def before(module: Any, args: Any) -> None:
            if torch.is_grad_enabled() and module.running_mean is not None:  # 評価では測らない
                self.gaps[name] = drift(module, *batch_statistics(args[0]))

        return _Hook(before)

    def _delta(self, name: str, grad: torch.Tensor) -> None:
        norm = wide(grad).norm()
        self.calls[name]["delta"] = norm / grad.numel() ** 0.5
        self.calls[name]["delta_norm"] = norm / len(grad) ** 0.5

    def close(self, *, updated: bool) -> None:
        """更新の後の重みを前の重みと比べ、数にする。``updated`` が偽なら、更新の前に止まった。"""
        for name, call in self.calls.items():
            W, before = self.parameter(name), self.weights[name]
            grad = dense(W.grad)
            call["W"] = before.norm() / before.numel() ** 0.5
            if grad is not None:
                call["dW"] = wide(grad).norm() / grad.numel() ** 0.5
            if updated and before.any():  # 0 の重みに対する比は、測れない
                call["update"] = (wide(W) - before).norm() / before.norm()
            self.values[name] = {key: float(value) for key, value in call.items()}
        self.weights, self.complete = {}, True

    def broken(self) -> tuple[str, ...]:
        """有限でない値のあった層。"""
        return tuple(n for n, v in self.values.items() if not all(map(isfinite, v.values())))

    def records(self, dead: dict[str, float]) -> list[LayerRecord]:
        """診断書の層の表。"""
        layers = []
        for name, values in self.values.items():
            layer = LayerRecord(name, type(self.modules[name][0]).__name__)
            for column, value in values.items():
                setattr(layer, column, value)
            layer.dead = dead.get(name, 0.0)
            layers.append(layer)
        return layers
