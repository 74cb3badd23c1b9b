"""文の中での、数の書き方。"""

SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def power(value: float, digits: int = 0) -> str:
    """10 の累乗を掛けた形で、数を書きます。

    Parameters
    ----------
    value : float
        書く数。
    digits : int
        仮数の、小数点の後の桁数。

    Returns
    -------
    str
        0、無限大、NaN は、そのまま書きます。

    Examples
    --------
    >>> power(2.4e7), power(-1.25e-12, 1), power(0.0)
    ('2 × 10⁷', '−1.2 × 10⁻¹²', '0')
    """
    mantissa, _, exponent = f"{value:.{digits}e}".partition("e")
    if not exponent or not value:
        return f"{value:g}"
    return f"{mantissa.replace('-', '−')} × 10{str(int(exponent)).translate(SUPERSCRIPT)}"
