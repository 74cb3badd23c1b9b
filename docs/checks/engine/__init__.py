"""本の別行の数式を、頁の TeX のまま読み、値を入れて確かめる仕組み。

頁の数式を写し取らないので、頁の式を直せば、確かめる式も変わる。章ごとの検算
(``docs/checks``) が書くのは、記号の意味だけである。
"""

from checks.engine.register import check

__all__ = ["check"]
