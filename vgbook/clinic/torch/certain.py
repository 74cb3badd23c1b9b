"""試しの学習がなくても確かな病気: 仕組みだけで、損失が下がらない (か、正しくない) とわかるもの。"""

from collections.abc import Iterator
from math import isfinite
from typing import Any

import torch
from torch import nn

from vgbook.clinic.record import Finding, finding
from vgbook.clinic.rules import ALL_EQUAL, ALL_ZERO, FEW, FIRST_BROKEN, SETTLED
from vgbook.clinic.torch.courses import constant_answer
from vgbook.clinic.torch.hooks import RECURRENT
from vgbook.clinic.torch.losses import wrong_loss
from vgbook.clinic.torch.measure import Measurement
from vgbook.clinic.torch.sizes import dense, drift, wide
from vgbook.clinic.torch.subject import Subject, tensors

LEARNED = 0.9  # 損失が、入力を見ない答えのこの割合を下回れば、学べている
FLAT = 0.5  # 飽和した値か死んだユニットがこれより多い層があれば、勾配が 0 なのはそのため
HALF_ZEROS = 0.3  # 半精度の δ のうち、これを超える割合が 0 なら、桁あふれを疑う


def certainties(subject: Subject, measured: Measurement) -> list[Finding]:
    """確かな病気を、根になりやすいものから並べる。"""
    checks = (
        not_finite, wrong_loss, disconnected, half_precision, equal_units, few_samples,
        wrong_averages,
    )  # fmt: skip
    found = [each for check in checks for each in check(subject, measured)]
    return found or list(no_slope(measured))


# --- 有限でない値 -------------------------------------------------------------------------


def not_finite(subject: Subject, measured: Measurement) -> Iterator[Finding]:
    """データ、重み、損失、勾配の NaN と ∞。"""
    for name, tree in (("x", subject.x), ("y", subject.y)):
        bad = sum(int((~t.isfinite()).sum()) for t in tensors(tree) if t.is_floating_point())
        if bad:
            yield finding("non-finite", (name,), f"{name} に有限でない値が {bad} 個ある")
            return
    initial = [w.record for w in measured.watched.values() if not isfinite(w.record.W)]
    if initial:
        names = tuple(record.name for record in initial)
        yield finding("non-finite", names, "重みに有限でない値がある")
        return
    first = next((r for r in measured.layers if "h" in r.overflow), None)
    if first is not None:
        yield finding("non-finite", (first.name,), FIRST_BROKEN)
    elif not isfinite(measured.loss):
        yield finding("non-finite", ("loss",), f"出力は有限なのに、損失が {measured.loss}")
    elif broken := [
        n for n, g in measured.grads.items() if g is not None and not g.isfinite().all()
    ]:
        where = next((r.name for r in reversed(measured.layers) if "δ" in r.overflow), broken[-1])
        yield finding(
            "non-finite",
            (where,),
            f"順伝播は有限なのに、逆伝播で有限でなくなる{_culprit(subject)}",
        )


def _culprit(subject: Subject) -> str:
    """逆伝播で最初に NaN を返した演算の名前。"""
    copy = subject.copy()
    try:
        with torch.autograd.detect_anomaly(check_nan=True):
            copy.value().backward()
    except RuntimeError as error:
        words = str(error).split("'")
        return f" (最初の演算: {words[1]})" if len(words) > 1 else ""
    return ""


# --- 勾配とオプティマイザーの届かない部分 -------------------------------------------------


def disconnected(subject: Subject, measured: Measurement) -> Iterator[Finding]:
    """勾配が届かないパラメーターと、オプティマイザーが知らないパラメーター。"""
    if not measured.connected:
        frozen = not subject.trainable()
        why = (
            "学習するパラメーターがない (どれも requires_grad=False)"
            if frozen
            else "損失から勾配を求められない"
        )
        yield finding("no-gradient", ("モデル全体",), why)
        return
    missing = [name for name, grad in measured.grads.items() if grad is None]
    called = {
        name for name, watched in measured.watched.items() if watched.record.h == watched.record.h
    }
    cut = [n for n in missing if _owner(n) in called]
    unused = [n for n in missing if _owner(n) not in called]
    if cut:
        yield finding("no-gradient", _modules(cut), "順伝播は通るのに、勾配が None のまま")
    elif unused:
        yield finding("unused", _modules(unused), "順伝播を一度も通らず、勾配が None のまま")
    if subject.optimizer is not None:
        known = {id(p) for group in subject.optimizer.param_groups for p in group["params"]}
        left = [n for n, p in subject.trainable().items() if id(p) not in known]
        left = [n for n in left if n not in missing]
        if left:
            yield finding(
                "not-in-optimizer",
                _modules(left),
                "requires_grad=True なのに optimizer に入っていない",
            )


def _owner(parameter: str) -> str:
    return parameter.rpartition(".")[0] or parameter


def _modules(names: list[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(_owner(n) for n in names))


# --- 半精度 -------------------------------------------------------------------------------


def half_precision(subject: Subject, measured: Measurement) -> Iterator[Finding]:
    """float16 の δ が 0 に丸められていないか。損失を大きくして、0 が減るかで確かめる。"""
    halves = [w for w in measured.watched.values() if w.half and w.zeros]
    small = [w for w in halves if max(w.zeros) > HALF_ZEROS]
    if not small or not measured.connected:
        return
    scaled = subject.copy()
    (scaled.value() * 2.0**14).backward()
    grads = {name: dense(p.grad) for name, p in scaled.trainable().items()}
    lost = [w for w in small if _revives(measured.grads.get(w.parameter), grads.get(w.parameter))]
    if lost:
        share = max(max(w.zeros) for w in small)
        yield finding(
            "underflow",
            tuple(w.record.name for w in lost),
            f"float16 の δ の {100 * share:.0f} % が 0 で、損失を 2^14 倍すると戻る",
        )


def _revives(here: torch.Tensor | None, scaled: torch.Tensor | None) -> bool:
    """損失を 2^14 倍して求めた勾配が、いまの勾配の 2 倍より大きいか。"""
    if here is None or scaled is None:
        return False
    return float(wide(here).norm()) < 0.5 * float(wide(scaled).norm()) / 2.0**14


# --- 同じユニット -------------------------------------------------------------------------


def equal_units(subject: Subject, measured: Measurement) -> Iterator[Finding]:
    """どのユニットも同じ重みと同じ勾配をもつ層。0 ばかりで勾配も 0 なら、ゼロ初期化。"""
    same, zero = [], []
    for name, watched in measured.watched.items():
        if isinstance(watched.module, nn.Embedding) or not watched.record.trainable:
            continue
        full = watched.parameter
        W, grad = subject.model.get_parameter(full).detach(), measured.grads.get(full)
        if grad is None or len(W) < 2:
            continue
        if not W.any() and not grad.any():
            zero.append(name)
        elif (
            W.any()
            and grad.any()
            and _rows_equal(watched.module, W)
            and _rows_equal(watched.module, grad)
        ):
            same.append(name)
    if zero:
        yield finding("zero-init", tuple(zero), ALL_ZERO)
    elif same:
        yield finding("symmetry", tuple(same), ALL_EQUAL)


def _rows_equal(module: nn.Module, W: torch.Tensor) -> bool:
    """行 (再帰層ではゲートごとの行) がすべて等しいか。"""
    size = module.hidden_size if isinstance(module, RECURRENT) else len(W)
    blocks = wide(W).flatten(1).split(size)
    if len(blocks[0]) < 2:
        return False
    tolerance = 1e-6 * max(float(W.abs().max()), 1e-300)
    return all(bool(((b - b[:1]).abs() <= tolerance).all()) for b in blocks)


def no_slope(measured: Measurement) -> Iterator[Finding]:
    """どの勾配もちょうど 0 か。丸め (round) や個数の損失のように、平らなところにいる。"""
    grads = [grad for grad in measured.grads.values() if grad is not None]
    if any(max(layer.saturated, layer.dead) > FLAT for layer in measured.layers):
        return  # 平らなところは、モデルの中にある
    half = any(watched.half for watched in measured.watched.values())
    # 損失が 0 なら、ヒンジ損失のように、もう直すところがないのかもしれない
    if grads and not half and measured.loss != 0 and not any(grad.any() for grad in grads):
        yield finding("no-gradient", ("loss",), "どのパラメーターの勾配も、ちょうど 0")


# --- バッチ正規化 -------------------------------------------------------------------------


def few_samples(subject: Subject, measured: Measurement) -> Iterator[Finding]:
    """学習モードのバッチ正規化に、標本が少なすぎないか。"""
    stats = measured.recorder.batch_stats
    modules = dict(subject.model.named_modules())
    few = [n for n, (samples, *_) in stats.items() if samples < FEW and modules[n].training]
    if few:
        samples = min(stats[n][0] for n in few)
        yield finding("batch-norm", tuple(few), f"学習モードで標本が {samples} 個 < {FEW} 個")


def wrong_averages(subject: Subject, measured: Measurement) -> Iterator[Finding]:
    """学習モードでは学べているのに、移動平均を使う推論モードでは当てずっぽうより悪いか。"""
    modules: dict[str, Any] = dict(subject.model.named_modules())
    off = [
        name
        for name, (_, mean, var) in measured.recorder.batch_stats.items()
        if modules[name].training
        and modules[name].running_mean is not None
        and modules[name].num_batches_tracked >= SETTLED
        and drift(modules[name], mean, var) > 1
    ]
    guess = constant_answer(subject, measured.output) if off else None
    if guess is None or not measured.loss < LEARNED * guess:
        return
    copy = subject.copy()
    for name, module in copy.model.named_modules():
        if name in off:
            module.eval()
    with torch.no_grad():
        value = float(copy.value())
    if not value <= guess:
        yield finding(
            "batch-norm",
            tuple(off),
            f"学習モードの損失は {measured.loss:.3g}、移動平均を使うと {value:.3g} で、"
            f"入力を見ない答えの {guess:.3g} より悪い",
        )
