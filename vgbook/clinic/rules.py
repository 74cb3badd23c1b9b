"""疑いの規則: NumPy と PyTorch に共通の閾値と、尺度の見分け方。"""

from collections.abc import Sequence

SMALL_UPDATE = 3e-5  # 更新が重みのこの割合より小さければ、小さすぎると疑う
LARGE_UPDATE = 3e-3  # どの行列の更新もこれより小さければ、大きすぎるとは疑わない
STANDARD = (0.05, 5.0)  # 標準偏差がこの範囲なら、尺度は疑わない
FAR = 5.0  # 平均が標準偏差の何倍を超えて 0 から離れれば、尺度を疑うか
UNEVEN = 100.0  # 列の標準偏差の比が、これを超えれば、尺度を疑う
FEW = 4  # これより少ない標本では、バッチ正規化の統計は標本そのものでほぼ決まる
SETTLED = 30  # これより前の更新では、BN の移動平均に初めの値が残る (momentum 0.1 で 4 % まで減る)
FEWEST = 20  # 初めの数回だけ下がって後で跳ねる学習を、下がったと見ない
STALE = "推論モードの移動平均が、このバッチの平均・分散と大きく違う"
FIRST_BROKEN = "順伝播の値が、この層で初めて有限でなくなる"
ALL_ZERO = "重みがすべて 0 で、勾配もすべて 0"
ALL_EQUAL = "どのユニットの重みも勾配も互いに等しい"
SAME_ANSWERS = "正解がどの標本でも同じなので、入力を見ない答えとは比べていません。"


def odd_scale(mean: float, std: float, columns: Sequence[float] = ()) -> str:
    """平均か標準偏差が、標準化した値から大きく外れていれば、その説明。

    Examples
    --------
    >>> odd_scale(0.0, 1.0)
    ''
    >>> odd_scale(5.0, 400.0)
    '平均 5、標準偏差 400'
    >>> odd_scale(0.0, 1.0, [1e-4, 1.0, 0.0])
    '列の標準偏差が 0.0001 から 1 まで'
    """
    low, high = STANDARD
    if not low <= std <= high or abs(mean) > FAR * max(std, 1):
        return f"平均 {mean:.3g}、標準偏差 {std:.3g}"
    each = [column for column in columns if column > 0]
    if each and max(each) / min(each) > UNEVEN:
        return f"列の標準偏差が {min(each):.1g} から {max(each):.1g} まで"
    return ""
