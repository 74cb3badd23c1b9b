// 動かせる図。値と文は vgbook が組むときに計算してある。ここでは、つまみの位置にあたる値を選んで描く。
// スクリプトが動かなければ、つまみは現れず、上にある静かな図だけが残る。
"use strict";

const vgFigures = (() => {
  const NAMESPACE = "http://www.w3.org/2000/svg";
  const MARGIN = { left: 46, right: 10, top: 26, bottom: 42 };
  const MARKERS = {
    o: "M-3.2 0a3.2 3.2 0 1 0 6.4 0a3.2 3.2 0 1 0-6.4 0z",
    s: "M-2.8-2.8h5.6v5.6h-5.6z",
    "^": "M0-3.8L3.5 2.6h-7z",
    v: "M0 3.8L3.5-2.6h-7z",
    D: "M0-4L4 0L0 4L-4 0z",
    X: "M-2.3-3.5L0-1.2L2.3-3.5L3.5-2.3L1.2 0L3.5 2.3L2.3 3.5L0 1.2L-2.3 3.5L-3.5 2.3L-1.2 0L-3.5-2.3z",
    P: "M-1.3-4h2.6v2.7h2.7v2.6h-2.7v2.7h-2.6v-2.7h-2.7v-2.6h2.7z",
  };

  const fill = (element, attributes, children) => {
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    element.append(...children);
    return element;
  };
  const html = (tag, attributes, ...children) => fill(document.createElement(tag), attributes, children);
  const svg = (tag, attributes, ...children) =>
    fill(document.createElementNS(NAMESPACE, tag), attributes, children);

  // つまみの位置 state にあたる値。数の列だけならどの位置でも同じ。長さ 1 の軸は、そのつまみによらない。
  const pick = (data, state) =>
    state.reduce((part, i) => (Array.isArray(part[0]) ? part[part.length === 1 ? 0 : i] : part), data);
  const pickText = (data, state) => state.reduce((part, i) => part[i], data);

  // ---- 軸 -----------------------------------------------------------------------------
  function scale({ limits, log }, from, to) {
    const f = log ? Math.log10 : Number;
    const [low, high] = limits.map(f);
    return (value) => from + ((f(value) - low) / (high - low)) * (to - from);
  }

  function ticksOf({ limits, log, ticks }, most) {
    if (ticks) return ticks;
    const [low, high] = log ? limits.map(Math.log10) : limits;
    const rough = (high - low) / most;
    const power = 10 ** Math.floor(Math.log10(rough));
    let step = [1, 2, 5, 10].find((n) => n * power >= rough) * power;
    if (log) step = Math.max(1, Math.ceil(rough));
    const found = [];
    for (let k = Math.ceil(low / step - 1e-9); k * step <= high + 1e-9 * step; k += 1) {
      found.push(log ? 10 ** (k * step) : Number((k * step).toPrecision(6)));
    }
    return found;
  }

  const superscript = (n) => String(n).replace(/./g, (c) => "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"["-0123456789".indexOf(c)]);
  function tickLabel(value, log) {
    if (log && (value >= 1e4 || value < 1e-2)) return `10${superscript(Math.round(Math.log10(value)))}`;
    return String(value).replace("-", "−");
  }

  // 軸と目盛り。つまみを動かしても変わらないので、幅が変わったときだけ描く。
  function frame(panel, width, x, y) {
    const [left, right] = [MARGIN.left, width - MARGIN.right];
    const [top, bottom] = [MARGIN.top, panel.height - MARGIN.bottom];
    const group = svg("g", { class: "vg-axes" });
    for (const value of ticksOf(panel.y, (bottom - top) / 34)) {
      const at = y(value);
      if (at > bottom + 0.5 || at < top - 0.5) continue;
      group.append(
        svg("path", { class: "grid", d: `M${left} ${at}H${right}` }),
        svg("text", { class: "y tick", "data-value": value, x: left - 6, y: at + 4 }, tickLabel(value, panel.y.log)),
      );
    }
    for (const value of ticksOf(panel.x, (right - left) / 46)) {
      group.append(
        svg("path", { class: "grid", d: `M${x(value)} ${top}V${bottom}` }),
        svg("text", { class: "x tick", "data-value": value, x: x(value), y: bottom + 16 }, tickLabel(value, panel.x.log)),
      );
    }
    group.append(
      svg("path", { class: "edge", d: `M${left} ${top}V${bottom}H${right}` }),
      svg("text", { class: "name", x: 2, y: 14 }, panel.y.label),
      svg("text", { class: "x name", x: (left + right) / 2, y: panel.height - 6 }, panel.x.label),
    );
    return group;
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
  const through = (points) => points.map(([a, b], i) => `${i ? "L" : "M"}${a.toFixed(1)} ${b.toFixed(1)}`).join("");
  const place = (f, values) => values.map((value) => (value === null ? NaN : f(value)));

  function drawLine(series, state, x, y) {
    const [xs, ys] = [place(x, pick(series.x, state)), place(y, pick(series.y, state))];
    const group = svg("g", { class: "series", "data-label": series.label });
    if (series.low) {
      const [low, high] = [place(y, pick(series.low, state)), place(y, pick(series.high, state))];
      const outline = runs(xs.map((at, i) => [at, low[i], high[i]])).map((run) =>
        `${through([...run.map(([at, , b]) => [at, b]), ...run.map(([at, a]) => [at, a]).reverse()])}Z`);
      group.append(svg("path", { class: "band", fill: series.color, d: outline.join("") }));
    }
    const line = runs(xs.map((at, i) => [at, ys[i]]));
    group.append(svg("path", { class: "line", stroke: series.color, "stroke-dasharray": series.dash, d: line.map(through).join("") }));
    const every = Math.max(1, Math.ceil(xs.length / 12));
    for (const [i, at] of xs.entries()) {
      if (!series.marker || i % every || !Number.isFinite(at + ys[i])) continue;
      group.append(svg("path", { class: "mark", fill: series.color, d: MARKERS[series.marker], transform: `translate(${at.toFixed(1)} ${ys[i].toFixed(1)})` }));
    }
    return group;
  }

  function drawBars(series, state, x, y) {
    const [edges, floor] = [place(x, pick(series.x, state)), y(0)];
    const bars = pick(series.y, state).map((value, i) => {
      const top = y(value);
      return svg("rect", { fill: series.color, x: edges[i].toFixed(1), y: top.toFixed(1), height: Math.max(0, floor - top).toFixed(1), width: Math.max(0.5, edges[i + 1] - edges[i] - 0.5).toFixed(1) });
    });
    return svg("g", { class: "series", "data-label": series.label }, ...bars);
  }

  // ---- 軸 1 つ、つまみ 1 つ ----------------------------------------------------------------
  function makePanel(panel, id, readout) {
    const note = html("span", { class: "vg-note" });
    const image = svg("svg", {
      role: "img",
      height: panel.height,
      "aria-label": `${panel.title}。横軸は${panel.x.label}、縦軸は${panel.y.label}`,
      "aria-describedby": readout,
    });
    const box = html("div", { class: "vg-panel" }, html("p", { class: "vg-panel-title" }, panel.title, note), image);
    box.style.flexBasis = `min(${panel.width}px, 50% - 0.25rem)`; // 電話でも 2 枚ずつ並べ、つまみとともに見えるようにする
    const clip = `${id}-clip`;
    const data = svg("g", { "clip-path": `url(#${clip})` });
    let [x, y, width] = [null, null, 0];
    const show = (state) => {
      if (!width) return; // 閉じた箱の中。開けば、幅が決まって描かれる
      if (panel.notes) note.textContent = pickText(panel.notes, state);
      data.replaceChildren(...panel.series.map((series) => (series.bar ? drawBars : drawLine)(series, state, x, y)));
    };
    const layout = () => {
      if (width === image.clientWidth) return false;
      width = image.clientWidth;
      x = scale(panel.x, MARGIN.left, width - MARGIN.right);
      y = scale(panel.y, panel.height - MARGIN.bottom, MARGIN.top);
      image.setAttribute("viewBox", `0 0 ${width} ${panel.height}`);
      const window = { x: MARGIN.left - 4, y: MARGIN.top - 4, width: Math.max(0, width - MARGIN.left - MARGIN.right + 8), height: panel.height - MARGIN.top - MARGIN.bottom + 8 };
      image.replaceChildren(svg("clipPath", { id: clip }, svg("rect", window)), frame(panel, width, x, y), data);
      return true;
    };
    // 図の上で指した所に近い選択肢。軸の外を指しても、端の選択肢になる
    const pointed = (event) => {
      const frame = image.getBoundingClientRect();
      const at = { x: (event.clientX - frame.left) * (width / frame.width), y: (event.clientY - frame.top) * (width / frame.width) };
      return panel.drag.map(({ axis, control, positions }) => {
        const gaps = positions.map((value) => Math.abs((axis === "x" ? x : y)(value) - at[axis]));
        return [control, gaps.indexOf(Math.min(...gaps))];
      });
    };
    if (panel.drag.length) image.classList.add(panel.drag.length > 1 ? "plane" : "along");
    return { box, image, layout, show, pointed };
  }

  // 指かマウスで押している間、指した所の選択肢を選び続ける。
  function follow({ image, pointed }, choose) {
    const move = (event) => {
      if (!(event.buttons & 1)) return;
      for (const [control, option] of pointed(event)) choose(control, option);
    };
    image.addEventListener("pointerdown", (event) => {
      image.setPointerCapture(event.pointerId);
      move(event);
    });
    image.addEventListener("pointermove", move);
  }

  function makeSlider(control, id, changed) {
    const value = html("span", { class: "vg-value", "aria-hidden": "true" }, control.options[control.start]);
    const input = html("input", { id, type: "range", min: 0, max: control.options.length - 1, step: 1, value: control.start, "aria-valuetext": control.options[control.start] });
    input.addEventListener("input", () => {
      value.textContent = control.options[input.value];
      input.setAttribute("aria-valuetext", control.options[input.value]);
      changed(Number(input.value));
    });
    return html("div", { class: "vg-slider" }, html("label", { for: id }, control.name), value, input);
  }

  function makeChoice(control, id, changed) {
    const choices = control.options.map((option, i) => {
      const input = html("input", { type: "radio", name: id, id: `${id}-${i}` });
      input.checked = i === control.start;
      input.addEventListener("change", () => changed(i));
      return html("label", { for: input.id }, input, option);
    });
    return html("fieldset", { class: "vg-choice" }, html("legend", {}, control.name), ...choices);
  }

  function legend(panels) {
    const all = panels.flatMap((panel) => panel.series);
    const distinct = all.filter((one, i) => all.findIndex((other) => other.label === one.label) === i);
    if (distinct.length < 2) return [];
    const items = distinct.map((one) => {
      const line = svg("path", { class: "line", stroke: one.color, "stroke-dasharray": one.dash, d: "M0 6H32" });
      const mark = svg("path", { fill: one.color, d: MARKERS[one.marker] ?? "", transform: "translate(16 6)" });
      const swatch = one.bar ? [svg("rect", { fill: one.color, x: 8, width: 16, height: 12 })] : [line, mark];
      return html("li", {}, svg("svg", { viewBox: "0 0 32 12", width: 32, height: 12, "aria-hidden": "true" }, ...swatch), one.label);
    });
    return [html("ul", { class: "vg-legend", "aria-label": "凡例" }, ...items)];
  }

  // ---- 図 -----------------------------------------------------------------------------
  function start(figure) {
    const spec = JSON.parse(figure.querySelector("script").textContent);
    const state = spec.controls.map((control) => control.start);
    const readout = html("p", { class: "vg-readout", role: "status", id: `${figure.id}-readout` });
    const panels = spec.panels.map((panel, i) => makePanel(panel, `${figure.id}-${i}`, readout.id));
    const show = () => {
      for (const panel of panels) panel.show(state);
      readout.textContent = pickText(spec.readout, state);
    };
    const controls = spec.controls.map((control, i) =>
      (control.slider ? makeSlider : makeChoice)(control, `${figure.id}-control-${i}`, (value) => {
        state[i] = value;
        show();
      }));
    const choose = (control, option) => {
      const input = controls[control].querySelector("input[type=range]");
      if (Number(input.value) === option) return;
      input.value = option;
      input.dispatchEvent(new Event("input"));
    };
    for (const panel of panels) if (panel.image.matches(".plane, .along")) follow(panel, choose);
    figure.replaceChildren(
      html("p", { class: "vg-title", "aria-hidden": "true" }, figure.getAttribute("aria-label")),
      html("div", { class: "vg-controls" }, ...controls),
      readout,
      ...legend(spec.panels),
      html("div", { class: "vg-panels" }, ...panels.map(({ box }) => box)),
    );
    new ResizeObserver(() => {
      if (panels.map((panel) => panel.layout()).some(Boolean)) show();
    }).observe(figure);
    for (const panel of panels) panel.layout();
    show();
  }

  for (const figure of document.querySelectorAll(".vg-figure:not(.vg-figure-live)")) start(figure);
  return { html, svg, makePanel, makeChoice }; // 頁の中で計算する図も、同じ部品で描く
})();
