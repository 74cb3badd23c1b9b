"""壁: 公開されたどの関数・クラス・メソッドの、どの引数も、間違った値を黙って通さない。

呼ぶものは ``__all__`` から見つける。引数を 1 つだけ間違った値に取り替えると、引数の名前・期待・
受け取った値を日本語で言うエラーになり、関数の docstring はそのエラーを挙げている。
配列の作り方 (リスト、型、並び) だけが違うなら、同じ答えになる。
"""

import inspect
import re
import warnings

import numpy as np
import pytest
from wall import (
    ALIASES,
    KINDS,
    OVERRIDES,
    Target,
    good_arguments,
    kind_of,
    public,
)

from vgbook import he

TARGETS = list(public())
CASES = [
    (target, name)
    for target in TARGETS
    for name, parameter in inspect.signature(target.call).parameters.items()
    if parameter.kind is not parameter.VAR_KEYWORD
]
every_target = pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
every_argument = pytest.mark.parametrize(
    ("target", "name"), CASES, ids=[f"{target.name}-{name}" for target, name in CASES]
)


def call(target: Target, arguments: dict[str, object]) -> object:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if target.name == "stack":  # *inits
            return target.call(arguments.pop("inits", he()), **arguments)
        return target.call(**arguments)


def test_every_argument_has_a_kind():
    owners = {(target.name.partition(".")[0], name) for target, name in CASES}
    assert {name for owner, name in owners if (owner, name) not in OVERRIDES} <= set(KINDS)
    assert set(OVERRIDES) <= owners


@every_target
def test_good_arguments_are_taken(target):
    call(target, good_arguments(target))


def fault_of(target: Target, name: str, bad: object) -> str | None:
    """断り方のおかしいところ。断らなければ、それも。"""
    try:
        result = call(target, good_arguments(target) | {name: bad})
    except (ValueError, TypeError, RuntimeError, FileNotFoundError) as error:
        return fault_of_message(target, ALIASES.get((target.name, name), name), error)
    except Exception as error:  # 断り方は、この 4 つのどれか
        return f"{type(error).__name__}: {error}"
    return f"通った: {str(result)[:60]!r}"


def fault_of_message(target: Target, name: str, error: Exception) -> str | None:
    message = str(error)
    if not re.search("[ぁ-ん]", message):
        return f"日本語でない: {type(error).__name__}: {message[:80]}"
    if not re.search(rf"(?<![A-Za-z_]){re.escape(name)}(?![A-Za-z_])", message):
        return f"名前を言わない: {message[:80]}"
    if not re.search("受け取った|個あります|実際の", message):
        return f"受け取ったものを言わない: {message[:80]}"
    if "." not in target.name and type(error).__name__ not in target.doc:
        return f"docstring に {type(error).__name__} がない: {message[:60]}"
    return None


@every_argument
def test_a_bad_argument_is_refused_by_name(target, name):
    faults = {}
    for label, bad in kind_of(target.name, name).bad().items():
        fault = fault_of(target, name, bad)
        if fault:
            faults[label] = fault
    assert not faults


@every_target
def test_a_missing_or_misspelt_argument_is_named_by_python(target):
    """必要な引数の忘れと名前の間違いは、Python が断る。知らない名前を黙って受け取る口がない。"""
    good = good_arguments(target)
    wrong: list[tuple[str, dict[str, object]]] = [("rgn", good | {"rgn": None})]
    wrong += [
        (name, {other: value for other, value in good.items() if other != name})
        for name, parameter in inspect.signature(target.call).parameters.items()
        if parameter.default is parameter.empty and parameter.kind is not parameter.VAR_POSITIONAL
    ]
    for name, arguments in wrong:
        with pytest.raises(TypeError, match=f"'{name}'"):
            target.call(**arguments)


# ---- 中身が同じ配列は、どう作っても同じ答えになる


def big_endian(x: np.ndarray) -> np.ndarray:
    return x.astype(x.dtype.newbyteorder(">"))


def read_only(x: np.ndarray) -> np.ndarray:
    x = x.copy()
    x.flags.writeable = False
    return x


def strided(x: np.ndarray) -> np.ndarray:
    return np.repeat(x, 2, axis=-1)[..., ::2]


WAYS = {
    "リスト": np.ndarray.tolist,
    "big endian": big_endian,
    "書き込み禁止": read_only,
    "とびとび": strided,
    "Fortran の並び": np.asfortranarray,
    "long double": lambda x: x.astype(np.longdouble) if x.dtype.kind == "f" else x,
    "整数": lambda x: x.astype(np.int64),
    "小さな整数": lambda x: x.astype(np.int8),
    "符号なしの整数": lambda x: x.astype(np.uint8) if x.min() >= 0 else x,
    "派生クラス": lambda x: x.view(type("Mine", (np.ndarray,), {})),
}
ARRAYS = [
    (target, name)
    for target, name in CASES
    if isinstance(kind_of(target.name, name).good(), np.ndarray)
    and (target.name, name) != ("numerical_gradient", "a")  # その場で書き換える
]


def flat(result: object) -> list[np.ndarray]:
    """結果に含まれる数の配列のすべて。"""
    if isinstance(result, np.ndarray | np.number | float):
        return [np.asarray(result)]
    if isinstance(result, list | tuple):
        return [array for item in result for array in flat(item)]
    if hasattr(result, "params"):
        return list(result.params.values())
    if hasattr(result, "delta"):
        return [result.h, result.delta, result.dW]
    return []


@pytest.mark.parametrize(
    ("target", "name"), ARRAYS, ids=[f"{target.name}-{name}" for target, name in ARRAYS]
)
def test_the_same_numbers_give_the_same_answer_however_they_are_stored(target, name):
    good = kind_of(target.name, name).good()
    expected = flat(call(target, good_arguments(target) | {name: good}))
    for label, way in WAYS.items():
        got = flat(call(target, good_arguments(target) | {name: way(good.copy())}))
        assert len(got) == len(expected), label
        for a, b in zip(got, expected, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-14, err_msg=label)


@every_target
def test_numpy_settings_do_not_change_the_answer(target):
    """`np.seterr(all="raise")` や `np.set_printoptions` を使う人のところでも、同じ答えになる。"""
    expected = flat(call(target, good_arguments(target)))
    with np.errstate(all="raise"), np.printoptions(precision=1, threshold=2):
        got = flat(call(target, good_arguments(target)))
    for a, b in zip(got, expected, strict=True):
        np.testing.assert_array_equal(a, b)


def test_the_wall_is_wide():
    """見つけた数が減ったら、探し方が壊れている。"""
    bads = sum(len(kind_of(target.name, name).bad()) for target, name in CASES)
    assert len(TARGETS) > 120
    assert len(CASES) > 250
    assert bads > 3000
