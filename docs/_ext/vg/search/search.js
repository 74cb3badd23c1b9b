// 本の検索。searchdata.js (組むときに vg.search.index が作る) の文字を、words.js が切った語で、そのまま探す。
"use strict";

const SHOWN = 10; // 1 度に見せるページ

// --- 点数 ----------------------------------------------------------------------

// 見出しや別名の中での当たり方。全部と等しければ 1、短い一部なら 0.5 に近い。
function cover(find, text) {
  find.lastIndex = 0;
  const hit = find.exec(text);
  if (!hit) return 0;
  const { at, length } = spot(hit);
  const cut = /[a-z0-9]/.test(text[at + length - 1]) && /^[a-z0-9]/.test(text.slice(at + length));
  return (cut ? 0.4 : 0.5) + (0.5 * length) / text.length;
}

const best = (find, texts) => texts.reduce((most, text) => Math.max(most, cover(find, text)), 0);
const count = (find, text) => text.match(find)?.length ?? 0;

// 打った語そのものに当たれば、同じ意味の語に当たるより少し重い。
const most = (rate, { find, same }, texts) => Math.max(0.85 * rate(find, texts), same ? rate(same, texts) : 0);

// 説明する章を、用語集、問題、検算、API より先に見せる。
const KINDS = { chapter: 1, other: 0.8, glossary: 0.65, notation: 0.55, quiz: 0.4, checks: 0.35, api: 0.45 };

function prepare(pages) {
  const headings = new Map(); // 見出し → それのある章の数
  for (const page of pages) {
    if (page.kind !== "chapter") continue;
    for (const name of new Set(page.sections.map((section) => section.name))) headings.set(name, (headings.get(name) ?? 0) + 1);
  }
  for (const page of pages) {
    page.head = fold(page.title);
    page.also = page.names.map(fold);
    for (const section of page.sections) {
      section.head = fold(section.name);
      section.also = section.names.map(fold);
      section.folded = fold(section.text);
      section.own = page.kind === "chapter" ? 1 / Math.sqrt(headings.get(section.name)) : 1; // どの章にもある見出しは軽い
    }
    page.folded = [page.head, ...page.also, ...page.sections.flatMap((s) => [s.head, ...s.also, s.folded])].join("\n");
  }
  return pages;
}

// 1 つの語の、頁ごとの点。題 > 別名 > 見出し > 本文の順に重い。本文は節ごとに数える。
function ratings(term, pages) {
  pages.rated ??= new Map(); // 1 字打つたびに、変わらない語を数え直さない
  const kept = pages.rated.get(term.find.source + (term.same || ""));
  if (kept) return kept;
  const found = new Map();
  for (const page of pages) {
    term.find.lastIndex = 0;
    if (!term.find.test(page.folded)) continue;
    const named = 8 * most(cover, term, page.head) + 6 * most(best, term, page.also);
    const here = page.sections.map((section) => {
      const times = Math.min(1, Math.log2(1 + count(term.find, section.folded)) / 4);
      return 5 * Math.max(section.own * most(cover, term, section.head), 0.9 * most(best, term, section.also)) + 2 * times;
    });
    found.set(page, { named, here });
  }
  pages.rated.set(term.find.source + (term.same || ""), found);
  return found;
}

// API の名前そのもの (softmax_cross_entropy、BatchNorm) を打ったなら、API の頁が先。
function isCode(query, pages) {
  const name = query.trim().replace(/^vgbook\./, "");
  const looks = /_|[A-Z]/.test(name) || name !== query.trim();
  return looks && pages.some((page) => page.kind === "api" && page.sections.some((section) => section.name === name));
}

function rank(terms, query, pages) {
  const rated = terms.map((term) => ({ term, found: ratings(term, pages) }));
  for (const each of rated) each.weight = each.term.weight ?? (each.term.weak ? 0.15 : 1) * Math.log(1.5 / (each.found.size / pages.length));
  const wanted = rated.filter(({ term, found }) => !term.phrase && found.size);
  const total = wanted.reduce((sum, { weight }) => sum + weight, 0);
  const kinds = { ...KINDS };
  if (isCode(query, pages)) kinds.api = 4;
  if (/^[^a-z々\u3041-\u9fff]*[\u0370-\u03ff∂∇][^々\u3041-\u9fff]*$/u.test(query)) kinds.notation = 1.5; // 記号だけ
  const results = [];
  for (const page of pages) {
    const hits = rated.filter(({ found }) => found.has(page));
    if (!hits.some(({ term }) => !term.phrase)) continue;
    const share = hits.reduce((sum, { term, weight }) => sum + (term.phrase ? 0 : weight), 0) / total;
    let named = 0;
    const here = page.sections.map(() => 0);
    for (const { found, weight } of hits) {
      named += weight * found.get(page).named;
      found.get(page).here.forEach((value, i) => (here[i] += weight * value));
    }
    const sections = page.sections.map((section, i) => ({ section, here: here[i] })).filter((hit) => hit.here > 0).sort((a, b) => b.here - a.here);
    results.push({ page, share, hits: sections, score: kinds[page.kind] * share * share * (named + (sections[0]?.here ?? 0)) });
  }
  return results.sort((a, b) => b.score - a.score);
}

// --- 見つからない語 ---------------------------------------------------------------

// 本に出てくる語の、鍵 → 書き方。打ち間違いを直す先。
function vocabulary(pages, dict) {
  const text = pages.map((page) => page.folded).join("\n"), corpus = keyOf(text);
  const found = text.match(/[a-z]{4,}|[\u30a1-\u30fa\u30fc]{4,}|[々\u3400-\u9fff]{3,}/g);
  const words = new Map(Array.from(new Set(found), (word) => [keyOf(word), word]));
  for (const [key, alike] of dict.names) {
    if (key.length > 2 && alike.some((name) => corpus.includes(keyOf(name)))) words.set(key, dict.shown.get(key));
  }
  return words;
}

const known = (part, pages) => {
  const find = pattern(part.alike);
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

// 問い全体か、見つからない語の、いちばん近い書き方に直した問い。なければ null。同じ近さなら、辞書の語。
function corrected(query, missing, pages, dict) {
  pages.words ??= vocabulary(pages, dict);
  const whole = nearest(keyOf(query), dict.names.keys(), (key) => pages.words.has(key));
  if (whole) return dict.shown.get(whole);
  let changed = query;
  for (const part of missing) {
    const near = nearest(part.key, pages.words.keys(), (key) => dict.names.has(key));
    if (near) changed = changed.replace(part.text, pages.words.get(near));
  }
  return changed === query ? null : changed;
}

// 途中まで打った語は、その字で始まる辞書の語のどれか。
function complete(part, pages, dict) {
  if (part.name || part.key.length < 2 || known(part, pages)) return part;
  const begun = [...dict.names].filter(([key]) => key.startsWith(part.key)).flatMap(([, alike]) => alike);
  return begun.length ? { ...part, alike: [...new Set([part.text, ...begun])] } : part;
}

// どの言い方も本にない辞書の語 (phase transition) は、その一部の語に切り直す。
function smaller(part, pages, dict) {
  if (!part.name || known(part, pages)) return [part];
  const names = new Map(dict.names);
  names.delete(part.key);
  return words(part.text, { ...dict, names });
}

function look(query, pages, dict) {
  const parts = withSymptom(words(query, dict), query, dict)
    .flatMap((part) => smaller(part, pages, dict)).map((part) => complete(part, pages, dict));
  const missing = parts.filter((part) => !part.weak && !known(part, pages));
  return { parts, missing, kept: parts.filter((part) => !missing.includes(part)) };
}

function search(pages, typed, dict) {
  const query = clean(typed, dict);
  let { missing, kept } = look(query, pages, dict);
  let suggested = null;
  if (missing.length) {
    suggested = corrected(query, missing, pages, dict);
    if (suggested) {
      const again = look(suggested, pages, dict);
      if (again.missing.length < missing.length) ({ missing, kept } = again);
      else suggested = null;
    }
  }
  const pieces = missing.map((part) => longest(part, pages, dict)).filter(Boolean);
  const parts = [...kept, ...pieces];
  if (parts.every((part) => part.weak) && missing.length) return { terms: [], missing, pieces, suggested, results: [] };
  const terms = parts.map((part) => ({ ...part, find: pattern(part.alike), same: part.alike.length > 1 && pattern([part.text]) }));
  const spoken = parts.filter((part) => !part.weak);
  if (spoken.length > 1) terms.push({ phrase: true, alike: [], find: together(spoken), weight: 2 });
  return { terms, missing, pieces, suggested, results: rank(terms, suggested ?? query, pages) };
}

// --- 見せ方 --------------------------------------------------------------------

function element(name, attributes, ...children) {
  const made = Object.assign(document.createElement(name), attributes);
  made.append(...children);
  return made;
}

// 語のまわりを抜き出し、語に印を付ける。
function excerpt({ text, folded }, terms) {
  const all = new RegExp(terms.filter((term) => !term.phrase).map((term) => anyOf(term.alike)).join("|"), "gu");
  const spots = Array.from(folded.matchAll(all), spot);
  const first = spots[0]?.at ?? 0;
  const from = first < 50 ? 0 : first - 40;
  const to = Math.min(text.length, from + 130);
  const shown = element("p", { className: "context" }, from ? "…" : "");
  let done = from;
  for (const { at, length } of spots) {
    if (at < done || at >= to) continue;
    shown.append(text.slice(done, at), element("mark", {}, text.slice(at, at + length)));
    done = at + length;
  }
  shown.append(text.slice(done, Math.max(done, to)), to < text.length ? "…" : "");
  return shown;
}

function entry({ page, hits }, terms) {
  const title = page.number ? `${page.number}. ${page.title}` : page.title;
  const item = element("li", {});
  const link = (section, name) => element("a", { href: section ? `${page.url}#${section.id}` : page.url }, name);
  item.append(link(null, title));
  const inside = hits.filter((hit) => hit.section !== page.sections[0]).slice(0, 3);
  const [top] = hits;
  if (top?.section.text) item.append(excerpt(top.section, terms));
  if (inside.length) {
    item.append(element("ul", {}, ...inside.map(({ section }) => element("li", {}, link(section, section.name)))));
  }
  return item;
}

const quoted = (parts) => parts.map((part) => `「${part.text}」`).join("");

// 何が見つかり、何が見つからなかったか。
function sentence(query, { missing, pieces, suggested, results }) {
  const typed = query.trim();
  if (!typed) return "";
  const more = results.length > SHOWN ? ` 上位 ${SHOWN} ページを示します。` : "";
  const lacking = missing.length ? `${quoted(missing)}は、この本にありません。` : "";
  if (!results.length) return `${lacking || `「${typed}」は、この本にありません。`}別の言い方や、短い語で探してください。`;
  if (suggested) return `「${typed}」は見つかりません。もしかして「${suggested}」：${results.length} ページにあります。${more}`;
  if (missing.length) return `${lacking}${pieces.length ? quoted(pieces) : "ほかの語"}のあるページを示します。${more}`;
  return `「${typed}」は ${results.length} ページにあります。${more}`;
}

function show(pages, query, dict) {
  const found = search(pages, query, dict);
  document.getElementById("search-results").replaceChildren(...found.results.slice(0, SHOWN).map((result) => entry(result, found.terms)));
  document.querySelector(".search-summary").textContent = sentence(query, found);
  document.querySelector(".search-examples").hidden = query.trim() !== "";
  document.querySelector(".search-elsewhere").hidden = found.results.length > 0;
}

if (typeof document !== "undefined") {
  const pages = prepare(SEARCH_PAGES), dict = dictionary(SEARCH_WORDS);
  const query = new URLSearchParams(location.search).get("q") ?? "";
  for (const input of document.querySelectorAll('input[name="q"]')) input.value = query;
  const input = document.querySelector(".search-form input");
  input.addEventListener("input", () => {
    show(pages, input.value, dict);
    const url = input.value ? `?q=${encodeURIComponent(input.value)}` : location.pathname;
    if (location.protocol !== "file:") history.replaceState(null, "", url); // 戻ったときも、同じ問いが残る
  });
  show(pages, query, dict);
  if (!query && matchMedia("(hover: hover)").matches) input.focus(); // 指の画面では、キーボードを勝手に出さない
  setTimeout(() => (pages.words ??= vocabulary(pages, dict)), 300); // 打ち間違いに備える
}
