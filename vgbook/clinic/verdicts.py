"""判定の名前: 何が起きているか、どう治すか、どこで導いたか。"""

from collections.abc import Collection
from enum import Enum, auto
from typing import NamedTuple


class Remedy(Enum):
    """もうしているか、試して効かなかったかを、診断が見分ける治し方。"""

    INITIALISE = auto()
    NORMALISE = auto()
    REPLACE_SIGMOID = auto()
    ADD_RESIDUAL = auto()
    UNCLIP = auto()


class Cure(NamedTuple):
    """治し方。"""

    text: str
    """勧める文。"""
    remedy: Remedy | None = None
    """文が勧めること。見分けなくてよいものは None。"""


class Verdict(NamedTuple):
    """判定の種類。"""

    japanese: str
    """日本語の名前。"""
    slug: str
    """英語の名前。JSON と ``--fail-on`` で使えます。"""
    meaning: str
    """何が起きているか。"""
    cures: tuple[Cure, ...]
    """治し方。先に試すものから並べます。"""
    section: str
    """導いた章のラベル。"""

    @property
    def chapter(self) -> "Chapter":
        """導いた章。"""
        return CHAPTERS[self.section]

    def advice(
        self, without: Collection[Remedy] = (), first: Remedy | None = None
    ) -> tuple[str, ...]:
        """``without`` を除き、``first`` を先頭に並べた治し方の文。何も残らないなら、除かない。

        Examples
        --------
        >>> VERDICTS["saturated"].advice({Remedy.INITIALISE}, first=Remedy.NORMALISE)
        ('層の前に正規化を入れる。', '入力を標準化する。')
        """
        left = [c for c in self.cures if c.remedy is None or c.remedy not in without]
        ranked = sorted(left or self.cures, key=lambda c: first is None or c.remedy != first)
        return tuple(cure.text for cure in ranked)


class Chapter(NamedTuple):
    """本の章。"""

    title: str
    """章の題。"""
    page: str
    """本の最初の頁から見た場所。"""


CHAPTERS = {
    "sec-vanishing": Chapter("勾配消失とは何か", "part1/vanishing.html"),
    "sec-sigmoid": Chapter("シグモイド関数", "part2/sigmoid.html"),
    "sec-relu": Chapter("ReLU とその仲間", "part2/relu.html"),
    "sec-zero-init": Chapter("ゼロ初期化と対称性", "part3/zero-init.html"),
    "sec-variance": Chapter("分散の伝わり方", "part3/variance.html"),
    "sec-batchnorm": Chapter("バッチ正規化の計算", "part4/batchnorm.html"),
    "sec-layernorm": Chapter("層正規化と勾配の倍率", "part4/layernorm.html"),
    "sec-meanfield": Chapter("平均場と相図", "part5/meanfield.html"),
    "sec-diagnosis": Chapter("自分のネットワークを診断する", "part6/diagnosis.html"),
}
"""ラベルから章への表。"""


_TABLE = (
    Verdict(
        "発散",
        "non-finite",
        "値か勾配が有限でない (NaN か ∞)。",
        (
            Cure(
                "最初に有限でなくなった演算を見る。0 での平方根・対数・割り算には小さな数を足す。"
            ),
            Cure("データと重みに NaN がないか確かめる。"),
        ),
        "sec-vanishing",
    ),
    Verdict(
        "無勾配",
        "no-gradient",
        "学習するはずの重みに、損失の勾配が届いていない。",
        (
            Cure("順伝播の detach()、.data、.item()、torch.no_grad() を外す。"),
            Cure("わざと固定するなら requires_grad_(False) にする。"),
        ),
        "sec-diagnosis",
    ),
    Verdict(
        "使われない部分",
        "unused",
        "順伝播がこの部分を一度も通らない。",
        (
            Cure("forward で呼んでいるか確かめる。要らなければ消す。"),
            Cure("専門家の混合なら、負荷をならす損失を足し、ゲートのバイアスを 0 から始める。"),
        ),
        "sec-diagnosis",
    ),
    Verdict(
        "最適化の対象外",
        "not-in-optimizer",
        "勾配は届くが、オプティマイザーが知らないので動かない。",
        (
            Cure("モデルを作り終えてから optimizer を作る。"),
            Cure("わざと固定するなら requires_grad_(False) にする。"),
        ),
        "sec-diagnosis",
    ),
    Verdict(
        "二重の softmax",
        "softmax-twice",
        "損失がロジットを待っているのに、確率が渡されている。",
        (Cure("モデルの最後の Softmax か Sigmoid を外し、損失にはロジットを渡す。"),),
        "sec-sigmoid",
    ),
    Verdict(
        "損失の形",
        "loss-shape",
        "出力と目標の形が違い、すべての組の差をとっている。平均しか学べない。",
        (Cure("目標を y[:, None] にするか、出力を out.squeeze(1) にして、形をそろえる。"),),
        "sec-diagnosis",
    ),
    Verdict(
        "桁あふれ",
        "underflow",
        "半精度の数で表せず、δ か更新が 0 に丸められている。",
        (
            Cure("float16 なら torch.amp.GradScaler で損失を大きくしてから逆伝播する。"),
            Cure("bfloat16 で計算し、重みは float32 で持つ。"),
        ),
        "sec-sigmoid",
    ),
    Verdict(
        "ゼロ初期化",
        "zero-init",
        "重みが 0 なので、前の層にも後の層にも勾配が流れない。",
        (Cure("He か Xavier の乱数で初期化する。", Remedy.INITIALISE),),
        "sec-zero-init",
    ),
    Verdict(
        "対称",
        "symmetry",
        "1 つの層のユニットがどれも同じ重みと勾配をもち、ずっと同じユニットのままでいる。",
        (Cure("定数ではなく、He か Xavier の乱数で初期化する。", Remedy.INITIALISE),),
        "sec-zero-init",
    ),
    Verdict(
        "BN の統計",
        "batch-norm",
        "バッチ正規化の統計が、いまのデータを代表していない。",
        (
            Cure("学習では model.train()、評価では model.eval() にする。"),
            Cure("移動平均の momentum を確かめる。"),
            Cure("バッチを 16 個以上にするか、GroupNorm か LayerNorm に替える。"),
        ),
        "sec-batchnorm",
    ),
    Verdict(
        "入力の尺度",
        "input-scale",
        "入力の平均や標準偏差が、初期値と学習率の仮定から大きく外れている。",
        (Cure("入力を、訓練データの平均と標準偏差で標準化する。"),),
        "sec-variance",
    ),
    Verdict(
        "目標の尺度",
        "target-scale",
        "目標の大きさが、出力の届く大きさから大きく外れている。",
        (Cure("目標を標準化して学び、予測を元の単位に戻す。"),),
        "sec-variance",
    ),
    Verdict(
        "損失の和",
        "loss-reduction",
        "損失が標本の和なので、勾配がバッチの大きさに比例する。",
        (Cure("損失を平均 (reduction='mean') にする。"), Cure("学習率をバッチの大きさで割る。")),
        "sec-diagnosis",
    ),
    Verdict(
        "重み減衰",
        "weight-decay",
        "重み減衰が、損失の勾配より強く重みを 0 へ引いている。",
        (Cure("weight_decay を 1e-2 以下にする。AdamW を使う。"),),
        "sec-diagnosis",
    ),
    Verdict(
        "後置の正規化",
        "post-norm",
        "残差の和の後に正規化があり、深いと最初の更新に弱い。",
        (
            Cure("正規化を枝の前に置く (norm_first=True)。"),
            Cure("学習率を 0 から上げるウォームアップを使う。"),
        ),
        "sec-layernorm",
    ),
    Verdict(
        "死",
        "dead",
        "どの標本でも 0 を出すユニットが、層のほとんどを占める。",
        (
            Cure("初期値からやり直し、学習率を下げる。バイアスは 0 から始める。"),
            Cure("Leaky ReLU か GELU に替える。"),
        ),
        "sec-relu",
    ),
    Verdict(
        "飽和",
        "saturated",
        "活性化関数の平らな部分に値が集まり、φ′ がほぼ 0 になっている。",
        (
            Cure("重みを Xavier の大きさで初期化する。", Remedy.INITIALISE),
            Cure("入力を標準化する。"),
            Cure("層の前に正規化を入れる。", Remedy.NORMALISE),
        ),
        "sec-sigmoid",
    ),
    Verdict(
        "爆発",
        "exploding",
        "信号か δ が、層 (時刻) を通るたびに大きくなる。",
        (
            Cure("重みを He か Xavier の大きさで初期化する。", Remedy.INITIALISE),
            Cure("正規化を入れる。", Remedy.NORMALISE),
            Cure("勾配をクリップする。"),
        ),
        "sec-variance",
    ),
    Verdict(
        "消失",
        "vanishing",
        "δ が、層 (時刻) をさかのぼるたびに小さくなり、入力側が学べない。",
        (
            Cure(
                "活性化関数に合う初期値 (ReLU なら He、tanh なら Xavier) にする。",
                Remedy.INITIALISE,
            ),
            Cure("シグモイドを ReLU か GELU に替える。", Remedy.REPLACE_SIGMOID),
            Cure("正規化を入れる。", Remedy.NORMALISE),
            Cure("残差接続を入れる。", Remedy.ADD_RESIDUAL),
        ),
        "sec-vanishing",
    ),
    Verdict(
        "埋没",
        "indistinguishable",
        "どの標本でも層の出力がほぼ同じで、入力の違いが失われている。",
        (
            Cure("重みを He か Xavier の大きさにし、バイアスを 0 にする。", Remedy.INITIALISE),
            Cure("原点で 0 になる活性化関数に替える。"),
            Cure("正規化を入れる。", Remedy.NORMALISE),
        ),
        "sec-meanfield",
    ),
    Verdict(
        "更新が大きすぎる",
        "step-large",
        "1 回の更新が大きすぎて、損失が下がらずに跳ねる。",
        (
            Cure("学習率を 1/10 か 1/30 にする。"),
            Cure("勾配をクリップする。ウォームアップを使う。"),
        ),
        "sec-diagnosis",
    ),
    Verdict(
        "更新が小さすぎる",
        "step-small",
        "1 回の更新が重みをほとんど動かさない。",
        (
            Cure("学習率を 10 倍ずつ上げて、損失が下がり始めるところを探す。"),
            Cure("勾配を切り詰める上限 (max_norm) を上げるか、切り詰めをやめる。", Remedy.UNCLIP),
        ),
        "sec-diagnosis",
    ),
)

VERDICTS = {verdict.slug: verdict for verdict in _TABLE}
"""英語の名前から判定への表。"""


def named(name: str) -> Verdict | None:
    """日本語か英語の名前から、判定を探す。なければ None。

    Examples
    --------
    >>> named("消失").slug, named("dead").japanese
    ('vanishing', '死')
    """
    return next((v for v in _TABLE if name in (v.japanese, v.slug)), None)
