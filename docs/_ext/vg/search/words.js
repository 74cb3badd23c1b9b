// 検索の語: 字の違いをなくし、問いを語に切り、同じ意味の語をまとめ、打ち間違いに近い語を探す。
"use strict";

// 本を読み込む長い計算は、区切り (yield) ごとに手を離せる形に書く。待てないときは、終わりまで続ける。
function finish(steps) {
  let step = steps.next();
  while (!step.done) step = steps.next();
  return step.value;
}

// --- 字 ------------------------------------------------------------------------

const SEPARATOR = /[ _\-ー・]/; // あってもなくてもよい字
const BREAKS = /[\s、。，．「」『』()（）[\]{}:：;；!！?？,"“”=+→]/u;

const KANJI = "々〆\\u3400-\\u9fff";

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
const bare = (text) => toHiragana(text).replace(/[\s_\-ー・]/g, "");
const keys = new Map(); // 字の列 → 鍵

function keyOf(text) {
  if (!keys.has(text)) keys.set(text, bare(fold(text.normalize("NFKC"))));
  return keys.get(text);
}

// --- 辞書 ----------------------------------------------------------------------

// groups は同じ意味の語の組、variants は替える字 (左 → 右)、weak はあってもなくてもよい語。
// symptoms は症状の言い方 (正規表現)、general はその文に出る、専門でない語。kinds は頁の種類 → それを言う語。
// code は、関数やクラスの名前に添える語。talk は、問いどうしを比べるときだけ同じとみなす、
// ふだんの言葉の組。homophones は、変換の間違いと、そのつもりだった語。
function* dictionary({ groups, variants, weak, symptoms, general, kinds, code, talk = [], homophones = [] }) {
  const names = new Map(); // 鍵 → 語の列
  for (const group of groups) {
    for (const name of group) names.set(keyOf(name), [...new Set([...(names.get(keyOf(name)) ?? []), ...group])]);
    yield;
  }
  const longest = Math.max(1, ...[...names.keys()].map((key) => key.length));
  const swap = new Map(variants.map(([from, to]) => [from, to]));
  const common = new Set(general.flatMap((name) => (names.get(keyOf(name)) ?? [name]).map(keyOf)));
  const symptom = new RegExp(symptoms.join("|") || "$^", "u");
  const asking = new Map(Object.entries(kinds).flatMap(([kind, leads]) => groups.filter((group) => leads.includes(group[0])).flat().map((name) => [keyOf(name), kind])));
  const shown = new Map(groups.flat().reverse().map((name) => [keyOf(name), name])); // 先に並べた書き方を見せる
  const holed = new Map();
  for (const key of names.keys()) {
    if (!/[\u3041-\u3096]/.test(shown.get(key))) for (const [hole, whose] of holes(key)) holed.set(hole, whose);
    yield;
  }
  return { names, groups, talk, homophones, longest, swap, symptom, common, weak: new Set(weak.map(keyOf)), shown, kinds: asking, code: new Set(code.map(keyOf)), holed };
}

// 1 字を抜いた形 → 語。1 字の変換の間違い (活性か関数、直行行列) を見つける。短い語は、別の語に似すぎる。
function holes(key) {
  const all = Array.from(key);
  if (all.length < 4 || !/[^!-~]/.test(key)) return [];
  return all.map((_, at) => [[...all.slice(0, at), "*", ...all.slice(at + 1)].join(""), key]);
}

// ゼイヴィアはゼイビア: 外来語の音の、もう 1 つの書き方
const SOUNDS = { ヴァ: "バ", ヴィ: "ビ", ヴェ: "ベ", ヴォ: "ボ", ヴ: "ブ" };

const PACKAGE = /^\s*(?:vg|vgbook)\.(?:[a-z_]+\.)*/; // vg.he と打つ人は、関数を探している

// 打たれたままの問いを、異体字のない形にする。「レイヤ-」の横棒は長音と読む。
function clean(query, { swap }) {
  const same = query.normalize("NFKC").trim().replace(/([\u30a1-\u30fa])[-−‐–](?![a-z])/giu, "$1ー");
  const oneSound = same.replace(/ヴ[ァィェォ]?/g, (sound) => SOUNDS[sound]);
  return Array.from(oneSound, (letter) => swap.get(letter) ?? letter).join("");
}

// 変換の間違い (直行行列) を、そのつもりだった語に直す。
const converted = (query, { homophones }) => homophones.reduce((said, [wrong, meant]) => said.replaceAll(wrong, meant), query);

// --- 問いを語に切る --------------------------------------------------------------

// 1 字の種類と鍵。同じ字を何度も調べない。
const studied = new Map();

function study(raw) {
  let found = studied.get(raw);
  if (!found) {
    const between = BREAKS.test(raw) || SEPARATOR.test(raw);
    studied.set(raw, (found = { raw, between, kind: script(raw), key: keyOf(raw) || raw }));
  }
  return found;
}

// 空白や横棒を除いた字の列。start は、その前で切れるところ。
function letters(query) {
  const found = [];
  let gap = true;
  for (const each of query) {
    const { raw, between, kind, key } = study(each), last = found[found.length - 1];
    if (!between) {
      found.push({ raw, kind, gap, key, start: gap || last.kind !== kind });
      gap = false;
    } else if (raw === "ー" && last) last.raw += raw;
    else {
      gap = true;
      if (raw === "_" && last) last.tail = raw;
    }
  }
  return found;
}

const PARTICLES = "はがをのにでともへや";
const SLIP = 3.1; // 1 字違う辞書の語は、辞書にない 1 字と辞書の語 (再 + 初期化) より遠い

const edge = (all, at) => at === 0 || at === all.length || all[at].start;
const cuts = (all, at) => edge(all, at) || "漢カ".includes(all[at].kind);

// 辞書の語と読んでよい切れか。平仮名と英字の列は、長い語だけが途中で切る。送り仮名 (触れる) は読み (れる) ではない。
function isWord(all, from, to) {
  const { kind, gap } = all[from], length = to - from;
  if (length > 3 || "漢カ".includes(kind)) return true;
  const tail = kind === "か" && from > 0 && !gap && all[from - 1].kind === "漢";
  return edge(all, from) && edge(all, to) && !tail && (kind !== "か" || length > 2 || length === all.length);
}

// from から to までを 1 語と読むときの、辞書からの遠さ。near は、1 字違う辞書の語
function piece(all, from, to, key, dict) {
  const { kind } = all[from], length = to - from;
  if (key.length <= dict.longest && isWord(all, from, to)) {
    if (dict.names.has(key)) return { cost: 1 + 0.01 * length, name: true };
    if (length > 1 && (dict.weak.has(key) || dict.code.has(key))) return { cost: 1 + 0.01 * length };
  }
  const one = all.slice(from + 1, to).every((each) => !each.start);
  let cost = Infinity;
  if (one && kind === "か") cost = 0.1 + 0.6 * length;
  else if (one && kind === "漢") cost = 1.5 + 0.5 * length;
  else if (one && edge(all, from) && edge(all, to)) cost = 2.5;
  if (cost <= SLIP || length < 4 || !cuts(all, from) || !cuts(all, to) || [kind, all[to - 1].kind].includes("か")) return { cost };
  const near = holes(key).map(([hole]) => dict.holed.get(hole)).find(Boolean);
  return near ? { cost: SLIP, name: true, near } : { cost };
}

// 辞書の語をなるべく長く、なるべく少なく使う切り方
function divide(query, dict) {
  const all = letters(query);
  const best = [{ cost: 0 }];
  for (let to = 1; to <= all.length; to += 1) {
    best[to] = { cost: Infinity };
    let key = "";
    for (let from = to - 1; from >= 0; from -= 1) {
      key = all[from].key + key;
      if (best[from].cost >= best[to].cost) continue;
      const found = piece(all, from, to, key, dict), cost = best[from].cost + found.cost;
      if (cost < best[to].cost) best[to] = { ...found, cost, from, key };
    }
  }
  const parts = [];
  for (let to = all.length; to > 0; to = best[to].from) {
    const { from, key, name = false, near } = best[to], inside = all.slice(from, to), next = all[to];
    const typed = inside.map((each, i) => (each.start && i && each.kind === "a" && inside[i - 1].kind === "a" ? (inside[i - 1].tail ?? " ") : "") + each.raw).join("");
    const stem = !name && inside.length === 1 && inside[0].kind === "漢" && next?.kind === "か" && !next.gap && !PARTICLES.includes(next.raw);
    parts.unshift({ text: near ? dict.shown.get(near) : typed, typed, key: near ?? key, name, near: Boolean(near), stem, kind: inside[0].kind });
  }
  return parts;
}

// 続く 2 語を、同じ意味の語に替えてつなぐと辞書の語になるなら、1 語と読む (ロス + 関数 → 損失関数)。
function join(parts, dict) {
  const out = [];
  for (const part of parts) {
    const last = out[out.length - 1], both = last?.name && part.name ? [last, part] : null;
    const [heads, tails] = (both ?? []).map(({ key }) => dict.names.get(key).map(keyOf));
    const key = heads?.flatMap((head) => tails.map((tail) => head + tail)).find((name) => dict.names.get(name)?.length > 1);
    if (key) out[out.length - 1] = { ...last, text: last.text + part.text, typed: last.typed + part.typed, key, near: last.near || part.near };
    else out.push(part);
  }
  return out;
}

// 問いの語。助詞や送り仮名は、ほかに語があれば捨てる。
function words(query, dict) {
  const all = join(divide(query, dict), dict);
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

const WHY = /なぜ|何故|どうして|\bwhy\b/i; // 仕組みを尋ねる問い

// 「学習が進まない」のように、専門の語を使わずに症状を述べた問いには、「症状」という語を足す。
function withSymptom(parts, query, dict) {
  if (!dict.symptom.test(fold(query))) return parts;
  const rest = parts.filter((part) => part.name || !dict.symptom.test(fold(part.text)));
  const plain = !WHY.test(query) && rest.every((part) => part.weak || dict.common.has(part.key) || isPlain(part));
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

const isLatin = (text) => /^[a-z0-9]/.test(fold(text.normalize("NFKC")));
const isLone = (text) => /^[\u3400-\u9fff]$/.test(text);

// 英字の語は頭から (he は the に当たらない)。辞書にある漢字 1 字の語は、熟語の一部 (図と相図) には当たらない。
// 古い Safari は後読みを知らないので、前の 1 字も当てて、後で除く。
function anyOf(texts, inside = false) {
  const latin = either(texts.filter(isLatin)), lone = inside ? "" : either(texts.filter(isLone));
  const others = either(texts.filter((text) => !isLatin(text) && (inside || !isLone(text))));
  return [latin && `(^|[^a-z0-9])(?:${latin})`, lone && `(^|[^${KANJI}])(?:${lone})(?![${KANJI}])`, others].filter(Boolean).join("|");
}

const pattern = (texts, inside) => new RegExp(anyOf(texts, inside), "gu");

// 語を探す型。送り仮名の付いた 1 字 (小さい、調べる) も、熟語の一部には当たらない。
const finder = ({ text, stem, name, alike }) => (stem ? new RegExp(`(^|[^${KANJI}])${body(text)}[\\u3041-\\u3096]`, "gu") : pattern(alike, !name));

// 続けて書かれたところに当たる型。間の助詞は、あってもなくてもよい。
const together = (parts) => new RegExp(parts.map(({ alike }) => `(?:${either(alike)})`).join("[ _\\-ー・]?[のをがはにで]? ?"), "gu");

// 当たった場所と長さ。英字の前の 1 字を除く。
function spot(hit) {
  const lead = (hit.slice(1).find((group) => group !== undefined) ?? "").length;
  return { at: hit.index + lead, length: hit[0].length - lead };
}
