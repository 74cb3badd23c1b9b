"""公開関数の入り口で使う検査。

引数の種類ごとに検査は 1 つで、名前・期待・受け取った値を日本語で伝えます。値まで見る検査
(`check_data` など) は `mlp`、`fit`、実験、データの入り口で 1 度だけ行います。層の入り口の
`incoming` と `upstream` は形と型だけを見ます。学習の間に何度呼ばれても、時間をとらないためです。
"""

import math
import numbers
import operator
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

Array = np.ndarray[Any, Any]
Shape = tuple[int, ...]


def check_count(name: str, value: object, *, least: int = 1) -> int:
    """``value`` が ``least`` 以上の整数であることを確かめて int で返す。"""
    try:
        count = operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        count = None
    if count is None or isinstance(value, bool) or not least <= count <= sys.maxsize:
        most = f" {sys.maxsize} 以下" if count is not None and count > sys.maxsize else ""
        raise ValueError(
            f"{name} には {least} 以上{most}の整数を渡してください。受け取った値: {value!r}"
        )
    return count


def check_shape(name: str, shape: object) -> tuple[int, ...]:
    """``shape`` が正の整数のタプルかリストであることを確かめてタプルで返す。"""
    if not isinstance(shape, tuple | list):
        raise TypeError(f"{name} には正の整数のタプルを渡してください。受け取った値: {shape!r}")
    return tuple(check_count(f"{name} の各要素", n) for n in shape)


def check_dtype(dtype: DTypeLike) -> np.dtype[Any]:
    """``dtype`` が float32 か float64 であることを確かめる。"""
    for accepted in (np.float32, np.float64):
        if np.dtype(accepted) == dtype:
            return np.dtype(accepted)
    raise ValueError(f"dtype には float32 か float64 を渡してください。受け取った値: {dtype!r}")


def check_callable(name: str, value: object) -> None:
    """``value`` が呼び出せることを確かめる。"""
    if not callable(value):
        raise TypeError(f"{name} には関数を渡してください。受け取った値: {value!r}")


def check_text(name: str, value: object) -> None:
    """``value`` が文字列であることを確かめる。"""
    if not isinstance(value, str):
        raise TypeError(f"{name} には文字列を渡してください。受け取った値: {value!r}")


def elementwise(name: str, f: Callable[[Array], Array], z: Array) -> Array:
    """要素ごとの関数 ``f`` の、``z`` と同じ型の値。``z`` を書き換えるか、形を変えれば断る。"""
    shown = z.view()
    shown.flags.writeable = False  # 書き換えれば、NumPy がエラーにする
    try:
        y = f(shown)
        if y.shape != z.shape or y.dtype.kind not in "fiub":
            raise TypeError(f"形 {y.shape}、dtype {y.dtype}")
    except (TypeError, ValueError, AttributeError) as error:
        raise TypeError(
            f"{name} は、浮動小数点数の配列を受け取り、書き換えずに、同じ形の実数の配列を返さ"
            "なければなりません。math.tanh は np.tanh に、if や z[z < 0] = 0 は np.where に、定数は"
            f" np.full_like に変えてください。渡した形: {z.shape}、受け取った値: {error!r}"
        ) from error
    if y.dtype != z.dtype or np.may_share_memory(y, z):  # np.where(z > 0, 1.0, 0.0) や z そのもの
        return np.array(y, z.dtype)[()]
    return y


def check_flag(name: str, value: object) -> bool:
    """``value`` が True か False であることを確かめる。"""
    if not isinstance(value, bool | np.bool_):
        raise TypeError(f"{name} には True か False を渡してください。受け取った値: {value!r}")
    return bool(value)


def check_kinks(kinks: object) -> tuple[float, ...]:
    """``kinks`` が有限な実数の列であることを確かめ、タプルで返す。"""
    points = kinks if isinstance(kinks, tuple | list | np.ndarray) else [None]
    found = tuple(as_real(point) for point in points)
    if any(map(math.isnan, found)):
        raise TypeError(f"kinks には有限な実数の列を渡してください。受け取った値: {kinks!r}")
    return found


def check_slice(name: str, value: object) -> None:
    """``value`` が slice であることを確かめる。"""
    if not isinstance(value, slice):
        raise TypeError(
            f"{name} には slice (slice(0, 2) など) を渡してください。受け取った値: {value!r}"
        )


def came(value: object, kind: type) -> str:
    """``kind`` でないものを断るときの、受け取った値。読み込み直す前の ``kind`` なら、そう言う。"""
    wanted = (kind.__module__, kind.__qualname__)
    classes = [c for v in (value if isinstance(value, list) else [value]) for c in type(v).__mro__]
    same = any(c is not kind and (c.__module__, c.__qualname__) == wanted for c in classes)
    why = f"vgbook を読み込み直す前の {kind.__name__} なので、作り直してください。" if same else ""
    return f"{why}受け取った値: {value!r}"


def as_array(name: str, value: object) -> Array:
    """``value`` を配列にする。長さのそろわないリストと、隠した値のある配列は断る。"""
    if _is_masked(value):
        raise ValueError(
            f"{name} には、値を隠していない配列を渡してください。マスク付き配列 (numpy.ma) の"
            "マスクは計算で無視されます。隠した値を埋める (filled) か、その標本を除いてください。"
            f"受け取った型: {type(value).__name__}"
        )
    try:
        return np.asarray(value)
    except ValueError:
        raise ValueError(
            f"{name} には長さのそろった配列を渡してください。受け取った値: {value!r}"
        ) from None
    except (TypeError, RuntimeError) as error:  # 勾配を追うテンソル、GPU のテンソルなど
        raise TypeError(
            f"{name} を NumPy の配列にできません。PyTorch のテンソルなら "
            ".detach().cpu().numpy() を渡してください (bfloat16 なら .float() を、疎なテンソルなら "
            f".to_dense() を先に付けます)。受け取った型: {type(value).__name__}"
        ) from error


def _is_masked(value: object) -> bool:
    if isinstance(value, list | tuple):
        return any(map(_is_masked, value))
    return isinstance(value, np.ma.MaskedArray)


def check_real(name: str, value: object) -> Array:
    """``value`` が実数の配列であることを確かめて、float32 か float64 の配列で返す。"""
    array = as_array(name, value)
    if array.dtype.kind not in "iuf":
        hint = (
            f"疎行列なら {name}.toarray()、要素が数なら np.asarray({name}, float) で変わります。"
            if array.dtype.kind == "O"
            else ""
        )
        raise TypeError(
            f"{name} には実数の配列を渡してください。{hint}受け取った dtype: {array.dtype}"
        )
    return as_float(array)


def check_rng(rng: object) -> None:
    """``rng`` が numpy.random.Generator であることを確かめる。"""
    if not isinstance(rng, np.random.Generator):
        raise TypeError(
            "rng には numpy.random.Generator (np.random.default_rng(0) など) を"
            f"渡してください。受け取った値: {rng!r}"
        )


def check_positive(name: str, value: object, *, many: bool = False) -> None:
    """``value`` が正の有限な実数、``many`` ならその配列であることを確かめる。"""
    array = as_array(name, value)
    if array.dtype.kind not in "iuf" or array.size == 0 or (array.ndim and not many):
        raise ValueError(f"{name} には正の実数を渡してください。受け取った値: {value!r}")
    if not np.all(np.isfinite(array) & (array > 0)):
        raise ValueError(f"{name} には正の有限な実数を渡してください。受け取った値: {value!r}")


def check_fraction(name: str, value: object) -> float:
    """``value`` が 0 以上 1 未満の実数であることを確かめて float で返す。"""
    number = as_real(value)
    if not 0 <= number < 1:
        raise ValueError(
            f"{name} には 0 以上 1 未満の実数を渡してください。受け取った値: {value!r}"
        )
    return number


def check_numbers(name: str, value: object, *, least: float = -math.inf) -> Array | float:
    """``value`` が ``least`` 以上の有限な実数か、その配列であることを確かめる。"""
    array = as_array(name, value)
    fine = array.dtype.kind in "iuf" and array.size > 0
    if not (fine and np.all(np.isfinite(array) & (array >= least))):
        bound = f" {least:g} 以上の" if math.isfinite(least) else ""
        raise ValueError(f"{name} には{bound}有限な実数を渡してください。受け取った値: {value!r}")
    return array if array.ndim else float(array)


def as_real(value: object) -> float:
    """``value`` が有限な実数なら float、そうでなければ NaN。真偽値は数に入れない。"""
    if not isinstance(value, numbers.Real) or isinstance(value, bool):
        return math.nan
    try:
        number = float(value)
    except (OverflowError, TypeError):  # 大きすぎる整数、NumPy では整数の仲間の timedelta64
        return math.nan
    return number if math.isfinite(number) else math.nan


def check_number(name: str, value: object, *, least: float = -math.inf) -> float:
    """``value`` が ``least`` 以上の有限な、1 つの実数であることを確かめる。"""
    number = check_numbers(name, value, least=least)
    if not isinstance(number, float):
        raise ValueError(f"{name} には 1 つの実数を渡してください。受け取った値: {value!r}")
    return number


def as_float(array: Array) -> Array:
    """float32 か float64 の配列にする。float16 は float32 に、整数などは float64 にする。

    小さな整数の型では引き算があふれて回り込み、計算機と逆のバイト順では計算が遅くなるためです。
    """
    if array.dtype in (np.float32, np.float64):
        return array
    small = array.dtype.kind == "f" and array.dtype.itemsize <= 4
    with np.errstate(over="ignore"):  # float64 で表せない longdouble は inf になる
        return array.astype(np.float32 if small else np.float64)


def signal(name: str, x: object, *, width: int | None = None, members: Shape = ()) -> Array:
    """層を流れる信号 (..., 標本数, 特徴数) の形と型だけを確かめる。値は見ない。

    ``members`` は、層がもつ集団の軸です。
    """
    if type(x) is not np.ndarray or x.dtype.char not in "fd":
        x = check_real(name, x)
    if x.ndim < 2 or (width is not None and x.shape[-1] != width):
        raise ValueError(_expected_shape(name, x.shape, width))
    _check_members(name, x.shape, members)
    return x


def incoming(layer: Any, x: object, *, width: int | None = None, members: Shape = ()) -> Array:
    """層に入る信号。層が残す値は入れ替わるので、前の `Network.forward` の印を消す。"""
    layer._pass = None
    return signal("x", x, width=width, members=members)


def _check_members(name: str, shape: Shape, members: Shape) -> None:
    """集団の軸が ``members`` と並べて計算できること。"""
    if not members or len(shape) == 2 or shape[:-2] == members:
        return
    try:
        np.broadcast_shapes(shape[:-2], members)
    except ValueError:
        raise ValueError(
            f"{name} の先頭の軸は、集団の軸 {members} にそろえてください。受け取った形: {shape}"
        ) from None


def upstream(dy: object, kept: Array | None, *, width: int | None = None) -> Array:
    """出力での勾配 ``dy`` が、最後の順伝播の信号 ``kept`` と標本数でそろうことを確かめる。"""
    if kept is None:
        raise RuntimeError(
            "backward の前に forward を呼んでください。逆伝播は、順伝播で残した値を使います。"
        )
    dy = signal("dy", dy, width=kept.shape[-1] if width is None else width)
    if dy.shape[-2] != kept.shape[-2]:
        raise ValueError(
            f"dy の標本数は、最後の順伝播の {kept.shape[-2]} でなければなりません。"
            f"受け取った形: {dy.shape}"
        )
    _check_members("dy", dy.shape, kept.shape[:-2])
    return dy


def _expected_shape(name: str, shape: tuple[int, ...], width: int | None) -> str:
    if len(shape) < 2:
        wanted = f"{name} には (..., 標本数, 特徴数) の配列を渡してください。"
        hint = f"標本が 1 つなら {name}[None] と軸を足します。" if len(shape) == 1 else ""
    else:
        wanted = f"{name} の特徴数は {width} でなければなりません。"
        hint = f"画像は {name}.reshape(len({name}), -1) で 1 枚を 1 行に並べます。"
        hint = hint if math.prod(shape[1:]) == width else ""
    return f"{wanted}{hint}受け取った形: {shape}"


def check_data(name: str, x: object, *, width: int | None = None) -> Array:
    """``x`` が空でなく有限な実数の行列 (..., 標本数, 特徴数) であることを確かめる。"""
    array = check_real(name, x)
    if array.size == 0 and array.ndim >= 2:
        raise ValueError(f"{name} には空でない配列を渡してください。受け取った形: {array.shape}")
    array = signal(name, array, width=width)
    if not np.all(np.isfinite(array)):
        bad = int(np.size(array) - np.count_nonzero(np.isfinite(array)))
        raise ValueError(f"{name} に有限でない値 (NaN または inf) が {bad} 個あります。")
    return array


def check_rows(name: str, x: object, *, width: int | None = None) -> Array:
    """``x`` が空でなく有限な実数の、集団の軸のない行列 (標本数, 特徴数) であることを確かめる。"""
    array = check_data(name, x, width=width)
    if array.ndim != 2:
        raise ValueError(f"{name} の形は (標本数, 特徴数) です。受け取った形: {array.shape}")
    return array


def check_labels(name: str, labels: object, *, size: int, classes: float = math.inf) -> Array:
    """``labels`` が 0 以上 ``classes`` 未満の整数を ``size`` 個もつことを確かめ、int で返す。

    MNIST のような uint8 のままだと、``2 * labels - 1`` の −1 が 255 に回り込みます。
    """
    array = as_array(name, labels)
    if array.ndim == 2 and array.shape[0] == size and array.shape[1] > 1:
        raise ValueError(
            f"{name} には、クラスの番号を 1 列に並べた形 ({size},) の整数の配列を渡してください。"
            f"one-hot の配列なら {name}.argmax(axis=1) で番号に変わります。"
            f"受け取った形: {array.shape}"
        )
    if array.dtype.kind not in "iu":
        hint = ""
        if array.dtype.kind == "f" and np.isnan(array).any():
            hint = f"値の欠けた標本 (NaN) が {np.isnan(array).sum()} 個あるので、除いてください。"
        elif array.dtype.kind in "fb":
            hint = f"番号が実数や真偽値なら {name}.astype(int) で変わります。"
        raise TypeError(
            f"{name} には整数の配列を渡してください。{hint}受け取った dtype: {array.dtype}"
        )
    if array.shape != (size,):
        hint = f"{name}.ravel() で 1 列になります。" if array.shape == (size, 1) else ""
        raise ValueError(
            f"{name} の形は ({size},) でなければなりません。{hint}受け取った形: {array.shape}"
        )
    if size and (array.min() < 0 or array.max() >= classes):
        raise ValueError(
            f"{name} には 0 以上{f' {classes} 未満' if classes < math.inf else ''}の整数を"
            "渡してください。"
            f"受け取った範囲: {array.min()} から {array.max()}"
        )
    return array.astype(int, copy=False)
