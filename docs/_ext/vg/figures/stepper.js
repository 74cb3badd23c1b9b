// 計算グラフを 1 手ずつ進める図。計算は OPS の表だけが行い、試験がその値を Python と比べる。

const sigmoid = (z) => 1 / (1 + Math.exp(-z));

// 演算 → 値、局所微分 (入力ごと)、それぞれを文にしたもの。文は、名前でも数でも作れる
const OPS = {
  "+": {
    value: (a, b) => a + b, slopes: () => [1, 1],
    text: (a, b) => `${a} + ${b}`, slopeText: () => ["1", "1"],
  },
  "×": {
    value: (a, b) => a * b, slopes: (a, b) => [b, a],
    text: (a, b) => `${a} × ${b}`, slopeText: (a, b) => [b, a],
  },
  "2 乗": {
    value: (a) => a * a, slopes: (a) => [2 * a],
    text: (a) => `${a}²`, slopeText: (a) => [`2${a}`],
  },
  "σ": {
    value: sigmoid, slopes: (a) => [sigmoid(a) * sigmoid(-a)],
    text: (a) => `σ(${a})`, slopeText: (a) => [`σ′(${a})`],
  },
  "損失": {
    value: (h, y) => (h - y) ** 2 / 2, slopes: (h, y) => [h - y, y - h],
    text: (h, y) => `(${h} − ${y})² / 2`, slopeText: (h, y) => [`(${h} − ${y})`, `(${y} − ${h})`],
  },
};

const MOST = 1000; // 入力の大きさの限り。これより大きい数を打っても、図の数は数のまま
const raised = (exponent) => Array.from(exponent, (c) => "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"["-0123456789".indexOf(c)] ?? "").join("");
const show = (number, digits = 4) =>
  String(Number(number.toPrecision(digits))).replace(/e(.+)/, (_, exponent) => ` × 10${raised(exponent)}`).replace("-", "−");
const brief = (number) => show(number, Math.abs(number) < 1e-4 ? 2 : 4); // 図の中。べきの付く数は長いので、2 桁
const inside = (number) => (number < 0 ? `(${show(number)})` : show(number)); // 式の中の負の数

// 順に 1 手ずつ: 順伝播の各節、出力の 1、逆伝播の各節。手には、見えるようになる値と、それを述べる文がある
function trace(nodes) {
  const value = {}, grad = {}, edges = [], steps = [];
  const inputs = nodes.filter((node) => !node.op), ops = nodes.filter((node) => node.op);
  for (const node of inputs) value[node.name] = node.value;
  const given = inputs.map((node) => `${node.name} = ${show(node.value)}`).join("、");
  steps.push({ at: [], text: `入力は ${given} です。「次へ」で、順伝播を始めます。` });

  for (const node of ops) {
    const op = OPS[node.op], given = node.of.map((name) => value[name]);
    const out = (value[node.name] = op.value(...given));
    const formula = `${op.text(...node.of)} = ${op.text(...given.map(inside))} = ${show(out)}`;
    steps.push({ at: [node.name], text: `順伝播：${node.name} = ${formula}` });
  }
  const output = ops.at(-1).name;
  grad[output] = 1;
  steps.push({ at: ["出力"], text: `逆伝播：出力 ${output} の勾配は 1 です。ここから右から左へ戻ります。` });

  const fixed = new Set(inputs.filter((node) => node.fixed).map((node) => node.name));
  for (const node of [...ops].reverse()) {
    const op = OPS[node.op], given = node.of.map((name) => value[name]), from = grad[node.name];
    const slopes = op.slopes(...given), words = op.slopeText(...node.of), said = [];
    node.of.forEach((name, i) => {
      if (fixed.has(name)) return;
      const part = from * slopes[i], before = grad[name];
      grad[name] = (before ?? 0) + part;
      edges.push({ from: name, to: node.name, part });
      const symbol = words[i] === show(slopes[i]) ? "" : `${inside(from)} × ${words[i]} = `;
      const sum = before === undefined ? "" : `。もう 1 本の道の ${show(before)} と足して ${show(grad[name])}`;
      said.push(`${name} の勾配は ${symbol}${inside(from)} × ${inside(slopes[i])} = ${show(part)}${sum}`);
    });
    steps.push({ at: [node.name], text: `逆伝播：${said.join("、")}` });
  }
  return { value, grad, edges, steps, output };
}

// ---- 描く -----------------------------------------------------------------------------

const RADIUS = 20;

function svg(tag, attributes, text = "") {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.textContent = text;
  return element;
}

// 節の場所。幅が足りなければ、左から右の図を、上から下へ立てる
function places(nodes, width) {
  const across = Math.max(...nodes.map((node) => node.at[0])) + 1; // 右端に出力の丸を足す
  const wide = across * 110 + 60 <= width;
  const rows = nodes.map((node) => node.at[1]), span = Math.max(...rows) - Math.min(...rows);
  const apart = Math.min(110, (width - 60) / span); // 立てた図の左右の間。両端に丸と値の場所を残す
  const put = ([x, y]) => (wide ? [x * 110, -y * 85] : [-y * apart, x * 78]);
  const last = nodes.at(-1).at, at = Object.fromEntries(nodes.map((node) => [node.name, put(node.at)]));
  return { ...at, 出力: put([last[0] + 1, last[1]]) };
}

// 線のどこに値を書くか (根もとからの割合)。隣り合う線の値が並ばないように、順伝播と逆伝播とで高さも変える
const SHARE = {
  level: { forward: 0.5, backward: 0.5 },
  upright: { forward: 0.4, backward: 0.3 },
  slanted: { forward: 0.35, backward: 0.65 },
};

// 矢印 1 本。進む向きの左に寄せ、値はさらに外側に書く
function arrow(tail, head, kind, label, visible) {
  const length = Math.hypot(head[0] - tail[0], head[1] - tail[1]);
  const along = [(head[0] - tail[0]) / length, (head[1] - tail[1]) / length], left = [along[1], -along[0]];
  const point = (from, forward, side) => [0, 1].map((k) => from[k] + forward * along[k] + side * left[k]);
  const a = point(tail, RADIUS + 3, 5), b = point(head, -RADIUS - 3, 5);
  const anchor = Math.abs(left[0]) > 0.35 ? (left[0] > 0 ? "start" : "end") : "middle";
  const lie = anchor === "middle" ? "level" : Math.min(...along.map(Math.abs)) > 0.1 ? "slanted" : "upright";
  const place = point(a, SHARE[lie][kind] * (length - 2 * RADIUS - 6), 12);
  const tip = [point(b, -8, 4), b, point(b, -8, -4)].map((p) => p.join(",")).join(" ");
  const group = svg("g", { class: kind, visibility: visible ? "visible" : "hidden" });
  group.append(
    svg("line", { x1: a[0], y1: a[1], x2: b[0], y2: b[1] }),
    svg("polyline", { points: tip }),
    svg("text", { x: place[0], y: place[1], "text-anchor": anchor }, label),
  );
  return group;
}

// まだ見えない矢印も場所だけは取る。進めても図の大きさが変わらない
function draw(picture, nodes, { value, edges, steps, output }, step, width) {
  const at = places(nodes, width), ops = nodes.filter((node) => node.op).map((node) => node.name);
  const forwardStep = (name) => ops.indexOf(name) + 1; // 入力は 0: はじめから見える
  const backwardStep = (name) => 2 * ops.length + 1 - ops.indexOf(name);
  const links = nodes.flatMap((node) => (node.of ?? []).map((name) => [name, node.name]));
  const shapes = [...links, [output, "出力"]].flatMap(([from, to]) => [
    svg("line", { x1: at[from][0], y1: at[from][1], x2: at[to][0], y2: at[to][1], class: "link" }),
    arrow(at[from], at[to], "forward", `${from} = ${show(value[from])}`, step >= forwardStep(from)),
  ]);
  for (const { from, to, part } of [...edges, { from: output, to: "出力", part: 1 }]) {
    const reached = to === "出力" ? ops.length + 1 : backwardStep(to);
    shapes.push(arrow(at[to], at[from], "backward", brief(part), step >= reached));
  }
  for (const [name, [cx, cy]] of Object.entries(at)) {
    const { op, value: given } = nodes.find((node) => node.name === name) ?? { op: output };
    const kind = `node${steps[step].at.includes(name) ? " active" : ""}${given === undefined ? "" : " given"}`;
    const label = op ?? name;
    shapes.push(svg("circle", { cx, cy, r: RADIUS, class: kind, "data-node": name }));
    shapes.push(svg("text", { x: cx, y: cy, "text-anchor": "middle" }, label));
  }
  picture.replaceChildren(...shapes);
  const box = picture.getBBox(), pad = 4;
  const size = [box.x - pad, box.y - pad, box.width + 2 * pad, box.height + 2 * pad];
  picture.setAttribute("viewBox", size.join(" "));
  picture.setAttribute("width", size[2]);
  picture.setAttribute("height", size[3]);
}

// 節を押したときに見せる手。演算なら、その順伝播の手。もう 1 度押せば逆伝播の手。入力なら、勾配がそろう手
function stepOf(name, nodes, { steps }, now) {
  if (name === "出力") return steps.findIndex(({ at }) => at.includes("出力"));
  const user = nodes.find(({ of }) => of?.includes(name)).name;
  const [forward, backward] = steps.flatMap(({ at }, i) => (at.includes(name) ? [i] : []));
  if (forward === undefined) return steps.findLastIndex(({ at }) => at.includes(user));
  return now === forward ? backward : forward;
}

// ---- 部品と操作 --------------------------------------------------------------------------

function html(tag, properties, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

// 入力 1 つ分の、つまみと数の欄。片方を動かせば、もう片方も動く
function control(node, changed) {
  const number = html("input", { type: "number", step: "any", value: node.value });
  const range = html("input", { type: "range", min: -5, max: 5, step: 0.1, value: node.value });
  range.setAttribute("aria-label", `${node.name} のつまみ`);
  const grad = html("span", { className: "grad" });
  const take = (from, to) => {
    if (!Number.isFinite(from.valueAsNumber)) return; // 書きかけの数
    const value = Math.max(-MOST, Math.min(MOST, from.valueAsNumber));
    if (value !== from.valueAsNumber) from.value = value;
    node.value = to.value = value;
    changed();
  };
  number.addEventListener("input", () => take(number, range));
  range.addEventListener("input", () => take(range, number));
  const set = (value) => {
    range.value = value; // つまみの範囲と刻みに収まる
    take(range, number);
  };
  const row = html("div", { className: "input" }, html("label", {}, `${node.name} = `, number), range, grad);
  return { row, set, show: (text) => (grad.textContent = text) };
}

function start(box) {
  const nodes = JSON.parse(box.dataset.graph);
  let step = 0, result;
  const picture = svg("svg", { role: "img" }), said = html("p", { className: "said" });
  const view = html("div", { className: "picture", tabIndex: 0 }, picture); // 横に動かせる
  view.setAttribute("role", "group");
  view.setAttribute("aria-label", "計算グラフの図 (横に動かせます)");
  said.setAttribute("role", "status");
  const count = html("span", { className: "count" });
  const go = (to) => ((step = Math.max(0, Math.min(result.steps.length - 1, to))), render());
  const button = (text, move) => html("button", { type: "button", onclick: () => go(move()) }, text);
  const first = button("最初", () => 0), last = button("最後", () => Infinity);
  const back = button("前へ", () => step - 1), next = button("次へ", () => step + 1);
  const controls = new Map(nodes.filter((node) => !node.op).map((node) => [node, control(node, update)]));

  function render() {
    const width = box.clientWidth;
    if (!width) return; // 閉じた答えの中。開いたときに描く
    draw(picture, nodes, result, step, width);
    const { text } = result.steps[step];
    picture.setAttribute("aria-label", `${box.getAttribute("aria-label")}の図。${text}`);
    if (said.textContent !== text) said.textContent = text;
    count.textContent = `${step + 1} / ${result.steps.length}`;
    const end = result.steps.length - 1;
    for (const [button, off] of [[first, !step], [back, !step], [next, step === end], [last, step === end]]) {
      button.setAttribute("aria-disabled", off); // disabled にすると、押した人の焦点が失われる
    }
    for (const [node, { show: tell }] of controls) {
      const done = step === end && !node.fixed;
      tell(done ? `∂${result.output}/∂${node.name} = ${show(result.grad[node.name])}` : "");
    }
  }
  function update() {
    result = trace(nodes);
    box.result = result; // 試験が読む
    render();
  }
  box.addEventListener("keydown", (event) => {
    const move = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!move || event.target.tagName === "INPUT") return;
    event.preventDefault();
    go(step + move);
  });
  // 図の上でも動かせる: 節を押せばその手へ進み、入力の節は横に引けば値が変わる。
  // どちらも、ボタン (か左右の矢印) とつまみで、キーボードからもできる
  let held = null;
  picture.addEventListener("pointerdown", (event) => {
    const name = event.target.dataset.node;
    if (!name) return;
    picture.setPointerCapture(event.pointerId);
    const node = nodes.find((each) => each.name === name);
    held = { name, from: event.clientX, value: node?.value, control: controls.get(node), moved: false };
  });
  picture.addEventListener("pointermove", (event) => {
    if (!held?.control) return;
    const along = event.clientX - held.from;
    held.moved ||= Math.abs(along) > 3;
    if (held.moved) held.control.set(held.value + along / 20);
  });
  picture.addEventListener("pointerup", () => {
    if (held && !held.moved) go(stepOf(held.name, nodes, result, step));
    held = null;
  });
  picture.addEventListener("pointercancel", () => (held = null));
  box.append(
    html("div", { className: "inputs" }, ...[...controls.values()].map(({ row }) => row)),
    html("div", { className: "buttons" }, first, back, next, last, count),
    said,
    view,
  );
  update();
  addEventListener("resize", render);
  document.addEventListener("toggle", render, true); // 閉じた答えを開いたとき
}

document.querySelectorAll(".stepper").forEach(start);
