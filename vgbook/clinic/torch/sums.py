"""残差の和: 枝と元の値の和か、その和が後でまた正規化されるか。"""

from typing import Any

import torch

NORMS = ("layer_norm", "rms_norm")
SUMS = ("add", "__add__", "__radd__", "__iadd__")


class Sums:
    """モデルが呼んだ関数の名前と値から、残差の和を見分ける。"""

    def __init__(self) -> None:
        self.residual = False
        """同じ形の 2 つの値を足したか。"""
        self.post_norms = 0
        """正規化した値を足して、また正規化した数。"""
        self._kept: list[torch.Tensor] = []
        self._of_normed: dict[int, bool] = {}
        self._normed: set[int] = set()

    def follow(self, name: str, args: Any, result: torch.Tensor) -> bool:
        """``result`` を覚える。正規化した値の和を、また正規化したものなら真。"""
        if name in (*NORMS, *SUMS):
            self._kept.append(result)  # 番地が使い回されないように、値を残しておく
        if name in SUMS:
            both = [a for a in args if isinstance(a, torch.Tensor) and a.shape == result.shape]
            if len(both) == 2 and result.requires_grad and both[0].requires_grad:
                self.residual = True
            self._of_normed[id(result)] = any(id(a) in self._normed for a in args)
        if name not in NORMS:
            return False
        self._normed.add(id(result))
        post_norm = bool(args) and self._of_normed.get(id(args[0]), False)
        self.post_norms += post_norm
        return post_norm
