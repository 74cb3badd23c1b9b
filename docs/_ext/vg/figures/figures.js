// 動かせる図。値も文も、軸もつまみも、はじめの絵も、vgbook が組むときに作ってある (vgbook/book/drawing.py)。
// ここでは、つまみが動いたときに、その位置にあたる値を選んで、線と棒だけを描き直す。
// 横の位置は軸の幅に対する割合で書くので、画面の幅が変わっても描き直さない。
"use strict";

const vgFigures = (() => {
  const NAMESPACE = "http://www.w3.org/2000/svg";
  const TOP = 26, BOTTOM = 42, SPAN = 1000, PAD = 4; // drawing.py と同じ
  const FAR = 1e9; // 発散した値も、絵に書ける数にする
  const MARKERS = {
    o: "M-3.2 0a3.2 3.2 0 1 0 6.4 0a3.2 3.2 0 1 0-6.4 0z",
    s: "M-2.8-2.8h5.6v5.6h-5.6z",
    "^": "M0-3.8L3.5 2.6h-7z",
    v: "M0 3.8L3.5-2.6h-7z",
    D: "M0-4L4 0L0 4L-4 0z",
    X: "M-2.3-3.5L0-1.2L2.3-3.5L3.5-2.3L1.2 0L3.5 2.3L2.3 3.5L0 1.2L-2.3 3.5L-3.5 2.3L-1.2 0L-3.5-2.3z",
    P: "M-1.3-4h2.6v2.7h2.7v2.6h-2.7v2.7h-2.6v-2.7h-2.7v-2.6h2.7z",
  };

  function svg(tag, attributes, ...children) {
    const element = document.createElementNS(NAMESPACE, tag);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    element.append(...children);
    return element;
  }

  // つまみの位置 state にあたる値。数の列だけならどの位置でも同じ。長さ 1 の軸は、そのつまみによらない。
  const pick = (data, state) =>
    state.reduce((part, i) => (Array.isArray(part[0]) ? part[part.length === 1 ? 0 : i] : part), data);
  const pickText = (data, state) => state.reduce((part, i) => part[i], data);

  // 軸の下の端を 0、上の端を 1 とした位置
  function shareOf({ limits, log }) {
    const f = log ? Math.log10 : Number;
    const [low, high] = limits.map(f);
    return (value) => (value === null ? NaN : (f(value) - low) / (high - low));
  }

  // ---- 線・帯・棒 ------------------------------------------------------------------------
  // 値のない点 (発散、軸に描けない 0) で線を切る。
  function runs(points) {
    const found = [[]];
    for (const point of points) {
      if (point.every(Number.isFinite)) found.at(-1).push(point);
      else if (found.at(-1).length) found.push([]);
    }
    return found.filter((run) => run.length);
  }
  const through = (points) => points.map(([a, b], i) => `${i ? "L" : "M"}${(SPAN * a).toFixed(1)} ${b.toFixed(1)}`).join("");

  // 線と帯は引き伸ばす絵に、印は伸ばさない絵に描く
  function drawLine(series, state, across, down, height) {
    const place = (key, f) => pick(series[key], state).map(f);
    const xs = place("x", across), ys = place("y", down), shapes = [], marks = [];
    if (series.low) {
      const low = place("low", down), high = place("high", down);
      const outline = runs(xs.map((at, i) => [at, low[i], high[i]])).map((run) =>
        `${through([...run.map(([at, , b]) => [at, b]), ...run.map(([at, a]) => [at, a]).reverse()])}Z`);
      shapes.push(svg("path", { class: "band", fill: series.color, d: outline.join("") }));
    }
    const line = runs(xs.map((at, i) => [at, ys[i]])).map(through).join("");
    shapes.push(svg("path", { class: "line", stroke: series.color, "stroke-dasharray": series.dash, d: line }));
    const every = Math.max(1, Math.ceil(xs.length / 12));
    for (const [i, x] of xs.entries()) {
      if (!series.marker || i % every || !(x >= -0.001 && x <= 1.001 && ys[i] >= -PAD && ys[i] <= height + PAD)) continue;
      const mark = svg("path", { fill: series.color, d: MARKERS[series.marker] });
      marks.push(svg("svg", { class: "mark", x: `${(100 * x).toFixed(2)}%`, y: (ys[i] + TOP).toFixed(1) }, mark));
    }
    return [shapes, marks];
  }

  function drawBars(series, state, across, down, height) {
    const edges = pick(series.x, state).map(across);
    const bars = pick(series.y, state).map((value, i) => {
      const top = down(value), width = 0.97 * SPAN * (edges[i + 1] - edges[i]);
      return svg("rect", { fill: series.color, x: (SPAN * edges[i]).toFixed(1), y: top.toFixed(1), width: Math.max(1, width).toFixed(1), height: Math.max(0, height - top).toFixed(1) });
    });
    return [bars, []];
  }

  // ---- 軸 1 つ ----------------------------------------------------------------------------
  function takePanel(box, panel) {
    const canvas = box.querySelector(".vg-canvas"), note = box.querySelector(".vg-note"), layers = box.querySelectorAll(".drawn");
    const height = panel.height - TOP - BOTTOM, x = shareOf(panel.x), upward = shareOf(panel.y);
    const down = (value) => {
      const at = height * (1 - upward(value));
      return Number.isFinite(at) ? Math.max(-FAR, Math.min(FAR, at)) : at;
    };
    const show = (state) => {
      if (panel.notes) note.textContent = pickText(panel.notes, state);
      const drawn = panel.series.map((series) => (series.bar ? drawBars : drawLine)(series, state, x, down, height));
      for (const [k, layer] of layers.entries()) {
        layer.replaceChildren(...panel.series.map(({ label }, i) => svg("g", { class: "series", "data-label": label }, ...drawn[i][k])));
      }
    };
    // 図の上で指した所に近い選択肢。軸の外を指しても、端の選択肢になる
    const pointed = (event) => {
      const { left, top, width } = canvas.querySelector(".plot").getBoundingClientRect();
      const at = { x: (event.clientX - left) / width, y: 1 - (event.clientY - top - PAD) / height };
      return panel.drag.map(({ axis, control, positions }) => {
        const gaps = positions.map((value) => Math.abs((axis === "x" ? x : upward)(value) - at[axis]));
        return [control, gaps.indexOf(Math.min(...gaps))];
      });
    };
    return { canvas, show, pointed };
  }

  // 指かマウスで押している間、指した所の選択肢を選び続ける。
  function follow({ canvas, pointed }, choose) {
    const move = (event) => {
      if (!(event.buttons & 1)) return;
      for (const [control, option] of pointed(event)) choose(control, option);
    };
    canvas.addEventListener("pointerdown", (event) => {
      canvas.setPointerCapture(event.pointerId);
      move(event);
    });
    canvas.addEventListener("pointermove", move);
  }

  // つまみ 1 つ。いまの番号を読み、動けば changed に番号を渡す
  function takeControl(box, { options }, changed) {
    const input = box.querySelector("input[type=range]"), value = box.querySelector(".vg-value");
    if (!input) {
      box.addEventListener("change", (event) => changed(Number(event.target.value)));
      return { now: () => Number(box.querySelector(":checked").value) };
    }
    const tell = () => {
      value.textContent = options[input.value];
      input.setAttribute("aria-valuetext", options[input.value]);
    };
    input.addEventListener("input", () => {
      tell();
      changed(Number(input.value));
    });
    tell();
    return { now: () => Number(input.value), input };
  }

  const takeAll = (box, selector, specs, take) => Array.from(box.querySelectorAll(selector), (part, i) => take(part, specs[i]));

  // ---- 図 -----------------------------------------------------------------------------
  function start(figure) {
    const spec = JSON.parse(figure.querySelector("script").textContent);
    const said = figure.querySelector("[role=status]");
    const panels = takeAll(figure, ".vg-panel", spec.panels, takePanel);
    const show = () => {
      const state = controls.map(({ now }) => now());
      for (const panel of panels) panel.show(state);
      const text = pickText(spec.readout, state);
      if (said.textContent !== text) said.textContent = text;
    };
    const controls = takeAll(figure, ".vg-slider, .vg-choice", spec.controls, (box, control) => takeControl(box, control, show));
    const choose = (control, option) => {
      const { input } = controls[control];
      if (Number(input.value) === option) return;
      input.value = option;
      input.dispatchEvent(new Event("input"));
    };
    for (const panel of panels) if (panel.canvas.matches(".plane, .along")) follow(panel, choose);
    show(); // 戻ってきた読者のつまみは、前の位置にある
  }

  for (const figure of document.querySelectorAll(".vg-figure:not(.vg-figure-live)")) start(figure);
  return { svg, takePanel, takeControl, takeAll }; // 頁の中で計算する図も、同じ部品で描く
})();
