// 見つからない語: 打ち間違いに近い語、ローマ字で打った語、語の一部。
"use strict";

// 挿入・削除・置換・隣どうしの入れ替えを 1 と数えた距離。most を超えるなら Infinity。
function distance(a, b, most) {
  if (Math.abs(a.length - b.length) > most) return Infinity;
  let older, old = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i += 1) {
    const now = [i];
    for (let j = 1; j <= b.length; j += 1) {
      const swap = a[i - 1] === b[j - 1] ? 0 : 1;
      now[j] = Math.min(old[j] + 1, now[j - 1] + 1, old[j - 1] + swap);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) now[j] = Math.min(now[j], older[j - 2] + 1);
    }
    if (Math.min(...now) > most) return Infinity;
    [older, old] = [old, now];
  }
  return old[b.length] <= most ? old[b.length] : Infinity;
}

const sorted = (text) => Array.from(text).sort().join("");

// いちばん近い語。同じ近さなら、頭と終わりの字が多く同じ語、よい (isGood) 語。
function nearest(key, words, isGood) {
  const isKanji = /^[\u3400-\u9fff]+$/.test(key);
  const isLatin = /^[a-z]/.test(key); // 英字の短い語は、別の語に似すぎる
  const most = key.length >= (isLatin ? 9 : 6) ? 2 : key.length >= 3 ? 1 : 0;
  let found = { far: Infinity };
  for (const word of most ? words : []) {
    if (Math.abs(word.length - key.length) > most || key.includes(word)) continue; // 一部なら、間違いではない
    const short = key.length < (isLatin ? 5 : 4) && !isKanji; // 短い語は、1 字抜けたか、入れ替わったときだけ
    if (short && !(isGood(word) && (word.length > key.length || sorted(word) === sorted(key)))) continue;
    let same = 0, end = 0; // 頭と終わりから数えた、同じ字の数
    while (same < key.length && key[same] === word[same]) same += 1;
    while (end < key.length - same && key[key.length - 1 - end] === word[word.length - 1 - end]) end += 1;
    if (same + end < key.length - 2 && (most < 2 || same === 0)) continue; // 2 字違うときは、頭の字が同じものだけ
    const far = distance(key, word, most), shared = 2 * (same + end) + isGood(word); // 同じ字の多いほう
    if (far < found.far || (far < Infinity && far === found.far && shared > found.shared)) found = { word, far, shared };
  }
  return found.word;
}

// --- ローマ字 -------------------------------------------------------------------

const ROWS = {
  "": "あいうえお", k: "かきくけこ", s: "さしすせそ", t: "たちつてと", n: "なにぬねの", h: "はひふへほ", m: "まみむめも", y: "や ゆ よ", r: "らりるれろ", w: "わ   を",
  g: "がぎぐげご", z: "ざじずぜぞ", d: "だぢづでど", b: "ばびぶべぼ", p: "ぱぴぷぺぽ", j: " じ   ", f: "  ふ  ", ts: "  つ  ", sh: " し   ", ch: " ち   ",
};
const GLIDES = { ky: "き", sh: "し", sy: "し", ch: "ち", ty: "ち", j: "じ", jy: "じ", zy: "じ", ny: "に", hy: "ひ", my: "み", ry: "り", gy: "ぎ", by: "び", py: "ぴ" };
const KANA = new Map([
  ...Object.entries(ROWS).flatMap(([lead, row]) => Array.from(row, (kana, i) => [`${lead}${"aiueo"[i]}`, kana])),
  ...Object.entries(GLIDES).flatMap(([lead, kana]) => [["a", "ゃ"], ["u", "ゅ"], ["o", "ょ"]].map(([vowel, small]) => [lead + vowel, kana + small])),
].filter(([, kana]) => kana !== " "));

// ローマ字の読み。読めない字があれば null
function toKana(text) {
  const one = text.toLowerCase().replace(/[^a-z]/g, "").replace(/([kstpgzdbcj])(?=\1|ch)/g, "っ").replace(/nn?(?![aiueoy])/g, "ん");
  const kana = one.replace(/[bcdfghjkmnprstwyz]*[aiueo]/g, (sound) => KANA.get(sound) ?? sound);
  return /[a-z]/.test(kana) || !kana ? null : kana;
}

// --- 見つからない語 ---------------------------------------------------------------

// 本に出てくる語の、鍵 → 書き方。打ち間違いを直す先。
function* vocabulary(pages, dict) {
  const words = new Map();
  for (const { folded: text } of pages) {
    for (const word of text.match(/[a-z]{4,}|[\u30a1-\u30fa\u30fc]{4,}|[々\u3400-\u9fff]{4,}/g) ?? []) words.set(keyOf(word), word);
    yield;
  }
  for (const [key, alike] of dict.names) {
    if (key.length > 2 && alike.some((name) => occurs(name, pages))) words.set(key, dict.shown.get(key));
    yield;
  }
  return words;
}

const known = (part, pages) => {
  if (!part.alike.some((name) => occurs(name, pages))) return false;
  const find = finder(part);
  return pages.some((page) => (find.lastIndex = 0, find.test(page.folded)));
};

// 本にある、いちばん長い一部。漢字は 2 字、片仮名は辞書の語、英字は頭から 4 字より長いもの。
function longest({ text, kind }, pages, dict) {
  const least = kind === "漢" ? 2 : kind === "a" ? 4 : 3;
  for (let length = text.length - 1; length >= least; length -= 1) {
    for (let from = 0; from + length <= (kind === "a" ? length : text.length); from += 1) {
      const part = words(text.slice(from, from + length), dict)[0];
      if (part && part.text.length === length && (kind !== "カ" || part.name) && known(part, pages)) return part;
    }
  }
  return null;
}

// ローマ字の読みから分かる、辞書の語
const fromReading = (text, { names }) => names.get(keyOf(toKana(text) ?? ""))?.[0];

// 問い全体か、見つからない語の、いちばん近い書き方に直した問い。なければ null。同じ近さなら、辞書の語。
function corrected(query, missing, pages, dict) {
  pages.words ??= finish(vocabulary(pages, dict));
  const read = fromReading(query, dict);
  if (read) return read;
  const whole = nearest(keyOf(query), dict.names.keys(), (key) => pages.words.has(key));
  if (whole) return dict.shown.get(whole);
  let changed = query;
  for (const part of missing) {
    const near = nearest(part.key, pages.words.keys(), (key) => dict.names.has(key));
    const meant = fromReading(part.text, dict) ?? pages.words.get(near);
    if (meant) changed = changed.replace(part.text, meant);
  }
  return changed === query ? null : changed;
}
