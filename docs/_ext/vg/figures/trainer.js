// 頁の中で学習するネットワーク。選ぶたびに初めから学習し、損失と、層ごとの δ を描き続ける。
// はじめの絵と文は、vgbook が組むときに学習した記録。
"use strict";

for (const box of document.querySelectorAll(".vg-trainer")) {
  const spec = JSON.parse(box.querySelector("script").textContent);
  const { takePanel, takeControl, takeAll } = vgFigures;
  const numbers = ({ rows, cols, v }) => vgNetwork.matrix(rows, cols, Float64Array.from(v, (n) => n / spec.unit));
  const x = numbers(spec.x), base = spec.base.map(numbers), { labels, lr, steps } = spec;
  const said = box.querySelector("[role=status]");
  const nulls = (n) => Array(n).fill(null);
  const [loss, delta] = spec.panels.map((panel) => panel.series[0]);
  const panels = takeAll(box, ".vg-panel", spec.panels, takePanel);
  const controls = takeAll(box, ".vg-choice", spec.controls, (part, control) => takeControl(part, control, () => train()));
  const still = matchMedia("(prefers-reduced-motion: reduce)");
  let run = 0;

  const raised = (n) => String(n).replace(/./g, (c) => "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"["-0123456789".indexOf(c)]);
  const times = (ratio) => {
    if ((ratio >= 1e-3 && ratio < 1e3) || ratio === 0) return `${Number(ratio.toPrecision(3))}\u00a0倍`;
    const [mantissa, exponent] = ratio.toExponential(1).split("e");
    return `${mantissa}\u00a0×\u00a010${raised(Number(exponent))}\u00a0倍`;
  };
  const diverged = ({ loss: last, delta: sizes }) => ![last, ...sizes].every(Number.isFinite);
  const sentence = (now, updates) => {
    if (diverged(now)) return `${updates}\u00a0回の更新の後：損失か δ が、数で表せる範囲を超えました。学習は発散しました。`;
    const ratio = now.delta[0] / now.delta.at(-1);
    return `${updates}\u00a0回の更新の後：損失 ${now.loss.toFixed(2)}、正解率 ${Math.round(100 * now.accuracy)}\u00a0%。第\u00a01\u00a0層の δ は、出力層の ${times(ratio)}です。`;
  };

  function train() {
    const chosen = Object.fromEntries(spec.controls.map(({ key, values }, i) => [key, values[controls[i].now()]]));
    const mine = (run += 1), layers = vgNetwork.mlp(base, chosen), history = [];
    loss.y = nulls(steps);
    box.history = history; // 試験が読む
    const go = () => {
      if (mine !== run) return; // 学習の途中で、選び直した
      const until = still.matches ? Infinity : performance.now() + 12;
      let over = false; // 発散したら、そこでやめる
      while (!over && history.length < steps && performance.now() < until) {
        history.push(vgNetwork.step(layers, x, labels, lr));
        loss.y[history.length - 1] = history.at(-1).loss;
        over = diverged(history.at(-1));
      }
      const now = history.at(-1);
      delta.y = [...now.delta, ...nulls(delta.x.length - now.delta.length)];
      for (const panel of panels) panel.show([]);
      if (!over && history.length < steps) requestAnimationFrame(go);
      else said.textContent = sentence(now, over ? history.length - 1 : steps);
    };
    said.textContent = "学習しています。";
    go();
  }
  box.querySelector(".vg-again").addEventListener("click", train);
  // 見えるところに来たら、学習を始める
  new IntersectionObserver(([seen], observer) => {
    if (!seen.isIntersecting) return;
    observer.disconnect();
    train();
  }).observe(box);
}
