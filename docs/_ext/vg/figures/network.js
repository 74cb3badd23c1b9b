// 頁の中で学習するネットワークの計算。行列は {rows, cols, v} で、vgbook と同じ式を同じ順に計算する。
// 値は、試験が vgbook の float64 の結果と比べる。
"use strict";

const vgNetwork = (() => {
  const matrix = (rows, cols, v = new Float64Array(rows * cols)) => ({ rows, cols, v });
  const NONE = { v: [] };
  // 要素ごとの計算。2 つ目の行列は、なくてもよい
  function map(f, a, b = NONE) {
    const out = matrix(a.rows, a.cols);
    for (let i = 0; i < out.v.length; i += 1) out.v[i] = f(a.v[i], b.v[i]);
    return out;
  }

  function product(a, b) {
    const out = matrix(a.rows, b.cols), { v } = out, left = a.v, right = b.v, inner = a.cols, n = b.cols;
    for (let i = 0; i < a.rows; i += 1) {
      for (let k = 0; k < inner; k += 1) {
        const scale = left[i * inner + k];
        for (let j = 0, to = i * n, from = k * n; j < n; j += 1) v[to + j] += scale * right[from + j];
      }
    }
    return out;
  }
  function transpose(a) {
    const out = matrix(a.cols, a.rows);
    for (let i = 0; i < a.rows; i += 1) for (let j = 0; j < a.cols; j += 1) out.v[j * a.rows + i] = a.v[i * a.cols + j];
    return out;
  }
  // 列ごとの和を、1 行の行列にする
  function columnSums(a) {
    const out = matrix(1, a.cols);
    for (let start = 0; start < a.v.length; start += a.cols) {
      for (let j = 0; j < a.cols; j += 1) out.v[j] += a.v[start + j];
    }
    return out;
  }
  const means = (a) => map((sum) => sum / a.rows, columnSums(a));
  // 1 行の行列 row を、どの行にも使う
  function byColumn(f, a, row, another = NONE) {
    const out = matrix(a.rows, a.cols), { v } = out, { cols } = a;
    for (let start = 0; start < v.length; start += cols) {
      for (let j = 0; j < cols; j += 1) v[start + j] = f(a.v[start + j], row.v[j], another.v[j]);
    }
    return out;
  }
  const rms = (a) => Math.sqrt(a.v.reduce((sum, value) => sum + value * value, 0) / a.v.length);

  const ACTIVATIONS = {
    sigmoid: {
      value: (z) => 1 / (1 + Math.exp(-z)),
      slope: (z) => { const e = Math.exp(-Math.abs(z)); return e / ((1 + e) * (1 + e)); },
    },
    tanh: {
      value: Math.tanh,
      slope: (z) => { const e = Math.exp(-2 * Math.abs(z)); return (4 * e) / ((1 + e) * (1 + e)); },
    },
    relu: { value: (z) => (z > 0 ? z : 0), slope: (z) => (z > 0 ? 1 : 0) },
  };

  class Affine {
    constructor(W) {
      this.params = { W, b: matrix(1, W.cols) };
    }
    forward(x) {
      this.x = x;
      return byColumn((value, b) => value + b, product(x, this.params.W), this.params.b);
    }
    backward(dy) {
      this.delta = dy;
      this.grads = { W: product(transpose(this.x), dy), b: columnSums(dy) };
      return this.first ? null : product(dy, transpose(this.params.W)); // 入力の勾配は、誰も使わない
    }
  }

  class Activate {
    constructor(name) {
      this.f = ACTIVATIONS[name];
      this.params = {};
      this.grads = {};
    }
    forward(z) {
      this.z = z;
      return map(this.f.value, z);
    }
    backward(dy) {
      return map((d, z) => d * this.f.slope(z), dy, this.z);
    }
  }

  class BatchNorm {
    constructor(n, eps = 1e-5) {
      this.eps = eps;
      this.params = { gamma: matrix(1, n, new Float64Array(n).fill(1)), beta: matrix(1, n) };
    }
    forward(x) {
      this.mean = means(x);
      const centered = byColumn((value, mean) => value - mean, x, this.mean);
      this.variance = means(map((c) => c * c, centered));
      this.inverse = map((v) => 1 / Math.sqrt(v + this.eps), this.variance);
      this.xHat = byColumn((c, s) => c * s, centered, this.inverse);
      return byColumn((value, gamma, beta) => gamma * value + beta, this.xHat, this.params.gamma, this.params.beta);
    }
    backward(dy) {
      this.grads = { gamma: columnSums(map((d, x) => d * x, dy, this.xHat)), beta: columnSums(dy) };
      const along = byColumn((x, gamma) => (x * gamma) / dy.rows, this.xHat, this.grads.gamma);
      const left = byColumn((d, beta) => d - beta / dy.rows, dy, this.grads.beta);
      const scale = map((gamma, s) => gamma * s, this.params.gamma, this.inverse);
      return byColumn((value, s) => value * s, map((d, a) => d - a, left, along), scale);
    }
  }

  // 損失と、出力での勾配
  function softmaxCrossEntropy(logits, labels) {
    const { rows, cols } = logits, d = matrix(rows, cols);
    let loss = 0;
    for (let i = 0; i < rows; i += 1) {
      const row = logits.v.subarray(i * cols, (i + 1) * cols), most = Math.max(...row);
      const powers = row.map((value) => Math.exp(value - most)), total = powers.reduce((a, b) => a + b, 0);
      loss += Math.log(total) - (row[labels[i]] - most);
      for (let k = 0; k < cols; k += 1) d.v[i * cols + k] = (powers[k] / total - (k === labels[i] ? 1 : 0)) / rows;
    }
    return { loss: loss / rows, d };
  }

  function accuracy(logits, labels) {
    const { cols } = logits;
    const right = labels.filter((label, i) => {
      const row = logits.v.subarray(i * cols, (i + 1) * cols);
      return row.indexOf(Math.max(...row)) === label;
    });
    return right.length / labels.length;
  }

  // 標準正規の数 base を、gain / √n_in 倍した重みのネットワーク
  function mlp(base, { activation, gain, depth, norm }) {
    const inner = base.length - 1, chosen = [...base.slice(0, depth), base[inner]];
    const layers = chosen.flatMap(({ rows, cols, v }, i) => {
      const scale = gain / Math.sqrt(rows);
      const affine = new Affine(matrix(rows, cols, Float64Array.from(v, (value) => value * scale)));
      if (i === depth) return [affine];
      return [affine, ...(norm ? [new BatchNorm(cols)] : []), new Activate(activation)];
    });
    layers[0].first = true;
    return layers;
  }

  // 全部の標本で 1 回更新し、更新の前の損失と、層ごとの δ の RMS を返す
  function step(layers, x, labels, lr) {
    const logits = layers.reduce((value, layer) => layer.forward(value), x);
    const { loss, d } = softmaxCrossEntropy(logits, labels);
    [...layers].reverse().reduce((dy, layer) => layer.backward(dy), d);
    for (const { params, grads } of layers) {
      for (const [name, { v }] of Object.entries(params)) for (let i = 0; i < v.length; i += 1) v[i] -= lr * grads[name].v[i];
    }
    const delta = layers.filter((layer) => layer.delta).map((layer) => rms(layer.delta));
    return { loss, accuracy: accuracy(logits, labels), delta };
  }

  return { matrix, mlp, step, BatchNorm };
})();
