// 頁の中で学習するネットワーク。選ぶたびに初めから学習し、損失と、層ごとの δ を描き続ける。
"use strict";

for (const box of document.querySelectorAll(".vg-trainer")) {
  const spec = JSON.parse(box.querySelector("script").textContent);
  const { html, makePanel, makeChoice } = vgFigures;
  const numbers = ({ rows, cols, v }) => vgNetwork.matrix(rows, cols, Float64Array.from(v, (n) => n / spec.unit));
  const x = numbers(spec.x), base = spec.base.map(numbers), { labels, lr, steps } = spec;
  const chosen = Object.fromEntries(spec.controls.map(({ key, values, start }) => [key, values[start]]));
  const said = html("p", { class: "vg-readout", role: "status", id: `${box.id}-readout` });
  const nulls = (n) => Array(n).fill(null);
  const [loss, delta] = spec.panels.map((panel) => panel.series[0]);
  const panels = spec.panels.map((panel, i) => makePanel(panel, `${box.id}-${i}`, said.id));
  const still = matchMedia("(prefers-reduced-motion: reduce)");
  let run = 0;

  const draw = () => panels.forEach((panel) => panel.show([]));
  const share = (part) => `${Math.round(100 * part)} %`;
  function train() {
    const mine = (run += 1), layers = vgNetwork.mlp(base, chosen), history = [];
    loss.y = nulls(steps);
    box.history = history; // 試験が読む
    const go = () => {
      if (mine !== run) return; // 学習の途中で、選び直した
      const until = still.matches ? Infinity : performance.now() + 12;
      while (history.length < steps && performance.now() < until) {
        history.push(vgNetwork.step(layers, x, labels, lr));
        loss.y[history.length - 1] = history.at(-1).loss;
      }
      const now = history.at(-1);
      delta.y = [...now.delta, ...nulls(delta.x.length - now.delta.length)];
      draw();
      if (history.length < steps) requestAnimationFrame(go);
      else said.textContent = `${steps} 回の更新の後：損失 ${now.loss.toPrecision(3)}、正解率 ${share(now.accuracy)}。第 1 層の δ は、出力層の ${(now.delta[0] / now.delta.at(-1)).toPrecision(2)} 倍です。`;
    };
    said.textContent = "学習しています。";
    go();
  }
  const controls = spec.controls.map((control, i) =>
    makeChoice(control, `${box.id}-control-${i}`, (option) => {
      chosen[control.key] = control.values[option];
      train();
    }));
  const again = html("button", { type: "button", class: "vg-again" }, "もう一度");
  again.addEventListener("click", train);
  box.replaceChildren(
    html("p", { class: "vg-title", "aria-hidden": "true" }, box.getAttribute("aria-label")),
    html("div", { class: "vg-controls" }, ...controls, again),
    said,
    html("div", { class: "vg-panels" }, ...panels.map(({ box: panel }) => panel)),
  );
  const layout = () => panels.map((panel) => panel.layout()).some(Boolean);
  new ResizeObserver(() => layout() && draw()).observe(box);
  layout();
  // 見えるところに来たら、学習を始める
  new IntersectionObserver(([seen], observer) => {
    if (!seen.isIntersecting) return;
    observer.disconnect();
    train();
  }).observe(box);
}
