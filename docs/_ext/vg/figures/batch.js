// 1 つのユニットのバッチ。点を動かすと、バッチ正規化の平均、広がり、出力、勾配が変わる。
"use strict";

for (const box of document.querySelectorAll(".vg-batch")) {
  const { x, dy, low, high, step, colors: COLORS } = JSON.parse(box.querySelector("script").textContent);
  const { html, svg } = vgFigures;
  const layer = new vgNetwork.BatchNorm(1), column = (v) => vgNetwork.matrix(v.length, 1, Float64Array.from(v));
  const ROWS = { x: 34, y: 104, dx: 174 };
  const said = html("p", { class: "vg-readout", role: "status" });
  const image = svg("svg", { height: 200, role: "img", "aria-label": "上から、入力の点、正規化した点、入力の勾配の矢印" });
  const show = (number) => number.toFixed(2).replace("-", "−");
  let width = 0;
  const at = (value) => 8 + ((value - low) / (high - low)) * (width - 16);

  const sliders = x.map((value, i) => {
    const input = html("input", { type: "range", min: low, max: high, step, value, id: `${box.id}-${i}` });
    input.addEventListener("input", () => {
      x[i] = Number(input.value);
      draw();
    });
    return input;
  });
  const text = (row, words) => svg("text", { x: 2, y: row - 16 }, words);
  const dot = (value, row, color, mark) => svg("circle", { cx: at(value), cy: row, r: 7, fill: color, "data-mark": mark });
  const arrow = (from, length, row) => {
    const to = from + length, tip = Math.sign(length) * Math.min(6, Math.abs(length));
    return svg("path", { class: "line", stroke: COLORS.dx, d: `M${from} ${row}H${to}m${-tip}-4l${tip} 4l${-tip} 4` });
  };

  function draw() {
    const y = layer.forward(column(x)), dx = layer.backward(column(dy));
    const mean = layer.mean.v[0], spread = Math.sqrt(layer.variance.v[0]);
    box.result = { mean, variance: layer.variance.v[0], y: [...y.v], dx: [...dx.v] }; // 試験が読む
    said.textContent = `平均 μ = ${show(mean)}、標準偏差 σ = ${show(spread)}。`;
    if (!width) return;
    const band = { class: "band", fill: COLORS.x, x: at(mean - spread), width: at(mean + spread) - at(mean - spread), y: ROWS.x - 9, height: 18 };
    image.replaceChildren(
      ...Object.values(ROWS).map((row) => svg("path", { class: "grid", d: `M0 ${row}H${width}` })),
      text(ROWS.x, "入力 x (帯は μ ± σ)"), text(ROWS.y, "出力 y (0 のまわり)"), text(ROWS.dx, "入力の勾配 (矢印の長さ)"),
      svg("rect", band),
      svg("path", { class: "edge", d: `M${at(mean)} ${ROWS.x - 12}v24M${at(0)} ${ROWS.y - 12}v24` }),
      ...x.map((value) => dot(value, ROWS.x, COLORS.x, "x")),
      ...[...y.v].map((value) => dot(value, ROWS.y, COLORS.y, "y")),
      ...x.map((value, i) => arrow(at(value), 40 * dx.v[i], ROWS.dx)),
    );
  }

  // 指した所にいちばん近い点をつかみ、離すまで動かす
  let held = null;
  const pointed = (event) => low + ((event.clientX - image.getBoundingClientRect().left - 8) / (width - 16)) * (high - low);
  const move = (event) => {
    if (held === null) return;
    sliders[held].value = pointed(event);
    sliders[held].dispatchEvent(new Event("input"));
  };
  image.addEventListener("pointerdown", (event) => {
    image.setPointerCapture(event.pointerId);
    const gaps = x.map((value) => Math.abs(value - pointed(event)));
    held = gaps.indexOf(Math.min(...gaps));
    move(event);
  });
  image.addEventListener("pointermove", move);
  for (const end of ["pointerup", "pointercancel"]) image.addEventListener(end, () => (held = null));
  image.classList.add("along");

  box.replaceChildren(
    html("p", { class: "vg-title", "aria-hidden": "true" }, box.getAttribute("aria-label")),
    said,
    html("div", { class: "vg-panel" }, image),
    html("div", { class: "vg-points" }, ...sliders.map((input, i) => html("label", { for: input.id }, `点 ${i + 1}`, input))),
  );
  new ResizeObserver(() => {
    if (width === image.clientWidth) return;
    width = image.clientWidth;
    image.setAttribute("viewBox", `0 0 ${width} 200`);
    draw();
  }).observe(box);
  draw();
}
