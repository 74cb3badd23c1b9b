// 1 つのユニットのバッチ。点を動かすと、バッチ正規化の平均、広がり、出力、勾配が変わる。
// はじめの絵は vgbook が描いてある (vgbook/book/batch.py)。ここでは、動いた後の絵を同じ形に描く。
"use strict";

for (const box of document.querySelectorAll(".vg-batch")) {
  const { dy, low, high, rows: ROWS, arrow: ARROW, side: SIDE, colors: COLORS } = JSON.parse(box.querySelector("script").textContent);
  const { svg } = vgFigures;
  const layer = new vgNetwork.BatchNorm(1), column = (v) => vgNetwork.matrix(v.length, 1, Float64Array.from(v));
  const said = box.querySelector("[role=status]"), image = box.querySelector("svg"), drawn = box.querySelector(".drawn");
  const sliders = [...box.querySelectorAll("input")];
  const show = (number) => number.toFixed(2).replace("-", "−");
  const share = (value) => SIDE + ((100 - 2 * SIDE) * (value - low)) / (high - low);
  const percent = (number) => `${number.toFixed(2)}%`, at = (value) => percent(share(value));

  const dot = (value, name) => svg("circle", { cx: at(value), cy: ROWS[name], r: 7, fill: COLORS[name], "data-mark": name });
  const edge = (value, row) => svg("line", { class: "edge", x1: at(value), x2: at(value), y1: row - 12, y2: row + 12 });
  const arrow = (from, length) => {
    const tip = Math.sign(length) * Math.min(6, Math.abs(length));
    const d = `M0 0H${length.toFixed(1)}m${(-tip).toFixed(1)}-4l${tip.toFixed(1)} 4l${(-tip).toFixed(1)} 4`;
    return svg("svg", { x: at(from), y: ROWS.dx }, svg("path", { class: "line", stroke: COLORS.dx, d }));
  };

  function draw() {
    const x = sliders.map((input) => Number(input.value));
    const y = layer.forward(column(x)), dx = layer.backward(column(dy));
    const mean = layer.mean.v[0], spread = Math.sqrt(layer.variance.v[0]);
    box.result = { mean, variance: layer.variance.v[0], y: [...y.v], dx: [...dx.v] }; // 試験が読む
    const text = `平均 μ = ${show(mean)}、標準偏差 σ = ${show(spread)}。`;
    if (said.textContent !== text) said.textContent = text;
    const band = { class: "band", fill: COLORS.x, x: at(mean - spread), width: percent(share(mean + spread) - share(mean - spread)), y: ROWS.x - 9, height: 18 };
    drawn.replaceChildren(
      svg("rect", band), edge(mean, ROWS.x), edge(0, ROWS.y),
      ...x.map((value) => dot(value, "x")), ...[...y.v].map((value) => dot(value, "y")),
      ...x.map((value, i) => arrow(value, ARROW * dx.v[i])),
    );
  }

  // 指した所にいちばん近い点をつかみ、離すまで動かす
  let held = null;
  const pointed = ({ clientX }) => {
    const { left, width } = image.getBoundingClientRect();
    return low + (((100 * (clientX - left)) / width - SIDE) / (100 - 2 * SIDE)) * (high - low);
  };
  const move = (event) => {
    if (held === null) return;
    sliders[held].value = pointed(event);
    draw();
  };
  image.addEventListener("pointerdown", (event) => {
    image.setPointerCapture(event.pointerId);
    const gaps = sliders.map((input) => Math.abs(input.value - pointed(event)));
    held = gaps.indexOf(Math.min(...gaps));
    move(event);
  });
  image.addEventListener("pointermove", move);
  for (const end of ["pointerup", "pointercancel"]) image.addEventListener(end, () => (held = null));
  for (const input of sliders) input.addEventListener("input", draw);
  draw(); // 戻ってきた読者の点は、前の位置にある
}
