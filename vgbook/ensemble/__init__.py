"""集団を走らせる: 独立な乱数列での繰り返しと、メモリーの大きさを目安にしたチャンクへの切り分け。

seed ごとに自分の乱数列 (`numpy.random.Generator.spawn`) をもち、集団をチャンクに分けるときは、
どのチャンクも同じ乱数列を初めから引き直します。だから、いくつに分けても、スレッドでもプロセスでも
ほかの計算機でも、同じ計算機の種類なら数値は 1 ビットも変わりません。
"""

from vgbook.ensemble.chunks import footprint, over_members, take, take_rates
from vgbook.ensemble.seeds import over_seeds

__all__ = ["footprint", "over_members", "over_seeds", "take", "take_rates"]
