// 検索の語: 字の違いをなくし、問いを語に切り、同じ意味の語をまとめ、打ち間違いに近い語を探す。
"use strict";

// --- 字 ------------------------------------------------------------------------

const SEPARATOR = /[ _\-ー・]/; // あってもなくてもよい字
const BREAKS = /[\s、。，．「」『』()（）[\]{}:：;；!！?？,"“”]/u;

// 字の種類。漢字・片仮名・平仮名・そのほか (英数字と記号)
function script(letter) {
  if (/[々〆\u3400-\u9fff]/.test(letter)) return "漢";
  if (/[\u30a1-\u30fa]/.test(letter)) return "カ";
  if (/[\u3041-\u3096]/.test(letter)) return "か";
  return "a";
}

// 全角と半角、大文字と小文字、添字と並みの字、プライムと横棒の違いをなくす。長さは変えない。
const lookalikes = new Map([..."’'"].map((c) => [c, "′"]).concat([..."−‐‑–"].map((c) => [c, "-"])));

const folded = new Map(); // 字 → 直した字

function fold(text) {
  let out = "";
  for (const letter of text) {
    let kept = folded.get(letter);
    if (kept === undefined) {
      const same = letter.normalize("NFKC").toLowerCase();
      kept = same.length === letter.length ? same : letter;
      folded.set(letter, (kept = lookalikes.get(kept) ?? kept));
    }
    out += kept;
  }
  return out;
}

const toHiragana = (text) => text.replace(/[\u30a1-\u30f6]/g, (kana) => String.fromCharCode(kana.charCodeAt(0) - 0x60));

// 辞書を引く鍵。長音、空白、ハイフン、かなの違いもなくす。
const keyOf = (text) => toHiragana(fold(text.normalize("NFKC"))).replace(/[\s_\-ー・]/g, "");

// --- 辞書 ----------------------------------------------------------------------

// groups は同じ意味の語の組、variants は替える字 (左 → 右)、weak はあってもなくてもよい語。
// symptoms は症状の言い方 (正規表現)、general はその文に出る、専門でない語。
function dictionary({ groups, variants, weak, symptoms, general }) {
  const names = new Map(); // 鍵 → 語の列
  for (const group of groups) {
    for (const name of group) names.set(keyOf(name), [...new Set([...(names.get(keyOf(name)) ?? []), ...group])]);
  }
  const longest = Math.max(1, ...[...names.keys()].map((key) => key.length));
  const swap = new Map(variants.map(([from, to]) => [from, to]));
  const common = new Set(general.flatMap((name) => (names.get(keyOf(name)) ?? [name]).map(keyOf)));
  const symptom = new RegExp(symptoms.join("|") || "$^", "u");
  return { names, longest, swap, symptom, common, weak: new Set(weak.map(keyOf)), shown: new Map(groups.flat().map((name) => [keyOf(name), name])) };
}

// ゼイヴィアはゼイビア: 外来語の音の、もう 1 つの書き方
const SOUNDS = { ヴァ: "バ", ヴィ: "ビ", ヴェ: "ベ", ヴォ: "ボ", ヴ: "ブ" };

// 打たれたままの問いを、異体字のない形にする。「レイヤ-」の横棒は長音と読む。
function clean(query, { swap }) {
  const same = query.normalize("NFKC").trim().replace(/([\u30a1-\u30fa])[-−‐–](?![a-z])/giu, "$1ー");
  const oneSound = same.replace(/ヴ[ァィェォ]?/g, (sound) => SOUNDS[sound]);
  return Array.from(oneSound, (letter) => swap.get(letter) ?? letter).join("");
}

// --- 問いを語に切る --------------------------------------------------------------

// 空白や横棒を除いた字の列。start は、その前で切れるところ。
function letters(query) {
  const found = [];
  let gap = true;
  Array.from(query).forEach((raw) => {
    if (BREAKS.test(raw) || SEPARATOR.test(raw)) {
      if (raw === "ー" && found.length) found[found.length - 1].raw += raw;
      else {
        gap = true;
        if (raw === "_" && found.length) found[found.length - 1].tail = raw;
      }
      return;
    }
    const kind = script(raw);
    found.push({ raw, kind, key: keyOf(raw) || raw, start: gap || found[found.length - 1].kind !== kind });
    gap = false;
  });
  return found;
}

// 辞書の語をなるべく長く、なるべく少なく使う切り方。
function divide(query, dict) {
  const all = letters(query);
  const can = (at) => at === 0 || at === all.length || all[at].start || "漢カ".includes(all[at].kind);
  const best = [{ cost: 0, from: 0, name: false }];
  for (let to = 1; to <= all.length; to += 1) {
    best[to] = { cost: Infinity };
    if (!can(to)) continue;
    let key = "";
    for (let from = to - 1; from >= 0; from -= 1) {
      key = all[from].key + key;
      if (!can(from) || best[from].cost === Infinity) continue;
      const whole = (all[from].start || from === 0) && (to === all.length || all[to].start);
      const one = all.slice(from + 1, to).every((each) => !each.start);
      const kind = all[from].kind;
      const name = key.length <= dict.longest && dict.names.has(key);
      let cost = Infinity;
      if (name) cost = 1 + 0.01 * (to - from);
      else if (one && kind === "漢") cost = 1.5 + 0.5 * (to - from);
      else if (one && whole) cost = kind === "か" ? 0.5 : 2.5;
      if (best[from].cost + cost < best[to].cost) best[to] = { cost: best[from].cost + cost, from, name };
    }
  }
  const parts = [];
  for (let to = all.length; to > 0; to = best[to].from) {
    const inside = all.slice(best[to].from, to);
    const text = inside.map((each, i) => (each.start && i && each.kind === "a" && inside[i - 1].kind === "a" ? (inside[i - 1].tail ?? " ") : "") + each.raw).join("");
    parts.unshift({ text, key: inside.map((each) => each.key).join(""), name: best[to].name, kind: inside[0].kind });
  }
  return parts;
}

// 問いの語。助詞や送り仮名は、ほかに語があれば捨てる。
function words(query, dict) {
  const all = divide(query, dict);
  const parts = all.filter((part) => part.name || part.kind !== "か");
  const found = (parts.length ? parts : all).map((part) => {
    const alike = (part.name ? dict.names.get(part.key) : []).filter((name) => !/^[\u3041-\u309fー]+$/.test(name));
    return { ...part, alike: [...new Set([part.text, ...alike])], weak: dict.weak.has(part.key) };
  });
  const seen = new Set();
  const once = found.filter(({ key }) => !seen.has(key) && seen.add(key));
  return once.every((part) => part.weak) ? once.map((part) => ({ ...part, weak: false })) : once;
}

// 専門の語でない語: 辞書にない漢字の語と、数 (10%、3)
const isPlain = (part) => (part.kind === "漢" && !part.name) || /^[\d.%]+$/.test(part.text);

// 「学習が進まない」のように、専門の語を使わずに症状を述べた問いには、「症状」という語を足す。
function withSymptom(parts, query, dict) {
  if (!dict.symptom.test(fold(query))) return parts;
  const rest = parts.filter((part) => !dict.symptom.test(fold(part.text)));
  const plain = rest.every((part) => part.weak || dict.common.has(part.key) || isPlain(part));
  return [...rest, { text: "症状", key: keyOf("症状"), kind: "漢", name: true, alike: ["症状"], weak: false, weight: plain ? 4 : 0.5 }];
}

// --- 探す型 --------------------------------------------------------------------

// 語の途中まででも当たる。空白、ハイフン、添字の _、長音は、あってもなくてもよい。平仮名は片仮名にも当たる。
function body(text) {
  const kept = Array.from(fold(text.normalize("NFKC"))).filter((letter, _, all) => all.length === 1 || !SEPARATOR.test(letter));
  return kept.map((letter, i) => {
    const kind = script(letter);
    const katakana = String.fromCharCode(letter.charCodeAt(0) + 0x60);
    const one = kind === "か" ? `[${letter}${katakana}]` : letter.replace(/[.*+?^${}()|[\]\\/]/g, "\\$&");
    if (i === kept.length - 1) return one;
    const next = script(kept[i + 1]);
    return one + (kind === "漢" && next === "漢" ? "" : kind === next && kind !== "a" ? "ー?" : "[ _\\-ー・]?");
  }).join("");
}

// どれかの語に当たる式の文字。長い語から試す。
const either = (texts) => [...new Set(texts.map(body))].filter(Boolean).sort((a, b) => b.length - a.length).join("|");

// 英字の語は頭から (he は the に当たらない)。古い Safari は後読みを知らないので、前の 1 字も当てて、後で除く。
function anyOf(texts) {
  const isLatin = (text) => /^[a-z0-9]/.test(fold(text.normalize("NFKC")));
  const latin = either(texts.filter(isLatin)), others = either(texts.filter((text) => !isLatin(text)));
  return [latin && `(^|[^a-z0-9])(?:${latin})`, others].filter(Boolean).join("|");
}

const pattern = (texts) => new RegExp(anyOf(texts), "gu");

// 続けて書かれたところに当たる型。間の助詞は、あってもなくてもよい。
const together = (parts) => new RegExp(parts.map(({ alike }) => `(?:${either(alike)})`).join("[ _\\-ー・]?[のをがはにで]? ?"), "gu");

// 当たった場所と長さ。英字の前の 1 字を除く。
function spot(hit) {
  const lead = (hit.slice(1).find((group) => group !== undefined) ?? "").length;
  return { at: hit.index + lead, length: hit[0].length - lead };
}

// --- 打ち間違い -----------------------------------------------------------------

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

// いちばん近い語。同じ近さなら、頭と終わりの字が多く同じ語、よい (isGood) 語。
function nearest(key, words, isGood) {
  const isKanji = /^[\u3400-\u9fff]+$/.test(key);
  const most = key.length >= 6 ? 2 : key.length >= 3 ? 1 : 0;
  let found = { far: Infinity };
  for (const word of most ? words : []) {
    if (Math.abs(word.length - key.length) > most || key.includes(word)) continue; // 一部なら、間違いではない
    if (key.length === 3 && !isKanji && word.length < 4) continue; // 短い語は、1 字抜けたときだけ
    let same = 0, end = 0; // 頭と終わりから数えた、同じ字の数
    while (same < key.length && key[same] === word[same]) same += 1;
    while (end < key.length - same && key[key.length - 1 - end] === word[word.length - 1 - end]) end += 1;
    if (same + end < key.length - 2 && (most < 2 || same === 0)) continue; // 2 字違うときは、頭の字が同じものだけ
    const far = distance(key, word, most), shared = 2 * (same + end) + isGood(word); // 同じ字の多いほう
    if (far < found.far || (far < Infinity && far === found.far && shared > found.shared)) found = { word, far, shared };
  }
  return found.word;
}
