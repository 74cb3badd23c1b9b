"""本の式の検算。章ごとに 1 つのモジュール。``EXCUSED`` は、検算しない式とその理由。"""

EXCUSED = {
    "eq-chain-rule-question": "定義: 問いの関数を書き下す",
    "eq-chain-rule-two-increments": "定義: 2 変数の関数が微分できることと、余りの名前",
    "eq-chain-rule-neuron": "定義: 計算グラフの節に名前を付ける",
    "eq-chain-rule-ten": "定義: 10 段の列に名前を付ける",
    "eq-gradcheck-error": "見積もり: 誤差の大きさの目安。同じ節の図で測る",
    "eq-sigmoid-split": "定義: 途中の変数に名前を付ける",
    "eq-variance-layer": "定義: 1 つの層の書き方",
    "eq-length-participation": "定義: 参加率",
    "eq-length-kurtosis": "定義: 尖度",
    "eq-res-shatter": "定義: 倍率に名前を付ける。ReLU での値は、平均場の章の J′ の式で確かめる",
    "eq-diag-measures": "定義: 測る量",
    "eq-quiz-p10-question": "定義: 問いの関数を書き下す",
}
