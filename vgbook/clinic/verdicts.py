"""判定の名前: 何が起きているか、どう治すか、どこで導いたか。"""

from typing import NamedTuple


class Verdict(NamedTuple):
    """判定の種類。"""

    japanese: str
    """日本語の名前。"""
    slug: str
    """英語の名前。JSON と ``--fail-on`` で使えます。"""
    meaning: str
    """何が起きているか。"""
    cures: tuple[str, ...]
    """治し方。先に試すものから並べます。"""
    section: str
    """導いた章のラベル。"""

    @property
    def chapter(self) -> "Chapter":
        """導いた章。"""
        return CHAPTERS[self.section]


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
            "最初に有限でなくなった演算を見る。0 での平方根・対数・割り算には小さな数を足す。",
            "データと重みに NaN がないか確かめる。",
        ),
        "sec-vanishing",
    ),
    Verdict(
        "無勾配",
        "no-gradient",
        "学習するはずの重みに、損失の勾配が届いていない。",
        (
            "順伝播の detach()、.data、.item()、torch.no_grad() を外す。",
            "わざと固定するなら requires_grad_(False) にする。",
        ),
        "sec-diagnosis",
    ),
    Verdict(
        "使われない部分",
        "unused",
        "順伝播がこの部分を一度も通らない。",
        (
            "forward で呼んでいるか確かめる。要らなければ消す。",
            "専門家の混合なら、負荷をならす損失を足し、ゲートのバイアスを 0 から始める。",
        ),
        "sec-diagnosis",
    ),
    Verdict(
        "最適化の対象外",
        "not-in-optimizer",
        "勾配は届くが、オプティマイザーが知らないので動かない。",
        (
            "モデルを作り終えてから optimizer を作る。",
            "わざと固定するなら requires_grad_(False) にする。",
        ),
        "sec-diagnosis",
    ),
    Verdict(
        "二重の softmax",
        "softmax-twice",
        "損失がロジットを待っているのに、確率が渡されている。",
        ("モデルの最後の Softmax か Sigmoid を外し、損失にはロジットを渡す。",),
        "sec-sigmoid",
    ),
    Verdict(
        "損失の形",
        "loss-shape",
        "出力と目標の形が違い、すべての組の差をとっている。平均しか学べない。",
        ("目標を y[:, None] にするか、出力を out.squeeze(1) にして、形をそろえる。",),
        "sec-diagnosis",
    ),
    Verdict(
        "桁あふれ",
        "underflow",
        "半精度の数で表せず、δ か更新が 0 に丸められている。",
        (
            "float16 なら torch.amp.GradScaler で損失を大きくしてから逆伝播する。",
            "bfloat16 で計算し、重みは float32 で持つ。",
        ),
        "sec-sigmoid",
    ),
    Verdict(
        "ゼロ初期化",
        "zero-init",
        "重みが 0 なので、前の層にも後の層にも勾配が流れない。",
        ("He か Xavier の乱数で初期化する。",),
        "sec-zero-init",
    ),
    Verdict(
        "対称",
        "symmetry",
        "1 つの層のユニットがどれも同じ重みと勾配をもち、ずっと同じユニットのままでいる。",
        ("定数ではなく、He か Xavier の乱数で初期化する。",),
        "sec-zero-init",
    ),
    Verdict(
        "BN の統計",
        "batch-norm",
        "バッチ正規化の統計が、いまのデータを代表していない。",
        (
            "学習では model.train()、評価では model.eval() にする。",
            "移動平均の momentum を確かめる。",
            "バッチを 16 個以上にするか、GroupNorm か LayerNorm に替える。",
        ),
        "sec-batchnorm",
    ),
    Verdict(
        "入力の尺度",
        "input-scale",
        "入力の平均や標準偏差が、初期値と学習率の仮定から大きく外れている。",
        ("入力を、訓練データの平均と標準偏差で標準化する。",),
        "sec-variance",
    ),
    Verdict(
        "目標の尺度",
        "target-scale",
        "目標の大きさが、出力の届く大きさから大きく外れている。",
        ("目標を標準化して学び、予測を元の単位に戻す。",),
        "sec-variance",
    ),
    Verdict(
        "損失の和",
        "loss-reduction",
        "損失が標本の和なので、勾配がバッチの大きさに比例する。",
        ("損失を平均 (reduction='mean') にする。", "学習率をバッチの大きさで割る。"),
        "sec-diagnosis",
    ),
    Verdict(
        "重み減衰",
        "weight-decay",
        "重み減衰が、損失の勾配より強く重みを 0 へ引いている。",
        ("weight_decay を 1e-2 以下にする。AdamW を使う。",),
        "sec-diagnosis",
    ),
    Verdict(
        "後置の正規化",
        "post-norm",
        "残差の和の後に正規化があり、深いと最初の更新に弱い。",
        ("正規化を枝の前に置く (norm_first=True)。", "学習率を 0 から上げるウォームアップを使う。"),
        "sec-layernorm",
    ),
    Verdict(
        "死",
        "dead",
        "どの標本でも 0 を出すユニットが、層のほとんどを占める。",
        (
            "初期値からやり直し、学習率を下げる。バイアスは 0 から始める。",
            "Leaky ReLU か GELU に替える。",
        ),
        "sec-relu",
    ),
    Verdict(
        "飽和",
        "saturated",
        "活性化関数の平らな部分に値が集まり、φ′ がほぼ 0 になっている。",
        ("重みを Xavier の大きさで初期化する。", "入力を標準化する。", "層の前に正規化を入れる。"),
        "sec-sigmoid",
    ),
    Verdict(
        "爆発",
        "exploding",
        "信号か δ が、層 (時刻) を通るたびに大きくなる。",
        (
            "重みを He か Xavier の大きさで初期化する。",
            "正規化を入れる。",
            "勾配をクリップする。",
        ),
        "sec-variance",
    ),
    Verdict(
        "消失",
        "vanishing",
        "δ が、層 (時刻) をさかのぼるたびに小さくなり、入力側が学べない。",
        (
            "活性化関数に合う初期値 (ReLU なら He、tanh なら Xavier) にする。",
            "シグモイドを ReLU か GELU に替える。",
            "正規化を入れる。",
            "残差接続を入れる。",
        ),
        "sec-vanishing",
    ),
    Verdict(
        "埋没",
        "indistinguishable",
        "どの標本でも層の出力がほぼ同じで、入力の違いが失われている。",
        (
            "重みを He か Xavier の大きさにし、バイアスを 0 にする。",
            "原点で 0 になる活性化関数に替える。",
            "正規化を入れる。",
        ),
        "sec-meanfield",
    ),
    Verdict(
        "更新が大きすぎる",
        "step-large",
        "1 回の更新が大きすぎて、損失が下がらずに跳ねる。",
        ("学習率を 1/10 か 1/30 にする。", "勾配をクリップする。ウォームアップを使う。"),
        "sec-diagnosis",
    ),
    Verdict(
        "更新が小さすぎる",
        "step-small",
        "1 回の更新が重みをほとんど動かさない。",
        ("学習率を 10 倍ずつ上げて、損失が下がり始めるところを探す。",),
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
