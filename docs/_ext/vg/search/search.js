// 本の検索。searchdata.js (組むときに vg.search.index が作る) の文字を、そのまま探す。
"use strict";

// --- 語 ------------------------------------------------------------------------

const SHOWN = 10; // 1 度に見せるページ
const BREAKS = /[\s、。，．・「」『』()（）[\]{}:：;；!！?？,"“”]+/u;
const RUNS = /[々〆\u3400-\u9fff]+|[\u30a1-\u30fa\u30fc-\u30ff]+|[\u3041-\u309f\u30fc]+|[^々〆\u3041-\u30ff\u3400-\u9fff]+/gu;
const isHiragana = (run) => /^[\u3041-\u309f\u30fc]+$/.test(run);
const isJapanese = (run) => /[\u3041-\u30ff\u3400-\u9fff]/.test(run);

// 全角と半角、大文字と小文字、片仮名と平仮名、添字と並みの字、プライムの違いをなくす。長さは変えない。
function fold(text) {
  return Array.from(text, (letter) => {
    const same = letter.normalize("NFKC").toLowerCase();
    return same.length === letter.length ? same : letter;
  }).join("")
    .replace(/[\u30a1-\u30f6]/g, (kana) => String.fromCharCode(kana.charCodeAt(0) - 0x60))
    .replace(/['’]/g, "′")
    .replace(/[−‐]/g, "-");
}

// 問いを語に分ける。字の種類の変わり目で切り、助詞や送り仮名は捨てる。
function words(query) {
  const runs = query.normalize("NFKC").split(BREAKS).flatMap((part) => part.match(RUNS) ?? []);
  const kept = runs.some((run) => !isHiragana(run)) ? runs.filter((run) => !isHiragana(run)) : runs;
  return [...new Set(kept)];
}

// 語の途中まででも当たる。ただし英字の語は頭から (he は the に当たらない)。添字の _ はあってもなくてもよい。
function pattern(word) {
  const same = fold(word);
  const letters = Array.from(same.replaceAll("_", "") || same, (letter) => letter.replace(/[.*+?^${}()|[\]\\/]/g, "\\$&"));
  const body = letters.join(isJapanese(word) ? "" : "_?");
  return new RegExp(/^[a-z0-9]/.test(same) ? `(?<![a-z0-9])${body}` : body, "gu");
}

// --- 点数 ----------------------------------------------------------------------

// 見出しや別名の中での当たり方。全部と等しければ 1、短い一部なら 0.5 に近い。
function cover(find, text) {
  find.lastIndex = 0;
  const hit = find.exec(text);
  if (!hit) return 0;
  const cut = /[a-z0-9]$/.test(hit[0]) && /^[a-z0-9]/.test(text.slice(find.lastIndex));
  return (cut ? 0.4 : 0.5) + (0.5 * hit[0].length) / text.length;
}

const best = (find, texts) => Math.max(0, ...texts.map((text) => cover(find, text)));
const count = (find, text) => text.match(find)?.length ?? 0;

// 1 つの節の点数。題 > 別名 > 見出し > 本文の順に重い。
function rate(find, page, section) {
  const body = Math.min(1, Math.log2(1 + count(find, section.folded)) / 4);
  const heading = Math.max(cover(find, section.head), 0.9 * best(find, section.also));
  return { named: 8 * cover(find, page.head) + 6 * best(find, page.also), here: 5 * heading + 2 * body };
}

const KINDS = { chapter: 1, other: 0.8, quiz: 0.6, checks: 0.6, api: 0.6 };

function prepare(pages) {
  for (const page of pages) {
    page.head = fold(page.title);
    page.also = page.names.map(fold);
    for (const section of page.sections) {
      section.head = fold(section.name);
      section.also = section.names.map(fold);
      section.folded = fold(section.text);
    }
    page.folded = [page.head, ...page.also, ...page.sections.flatMap((s) => [s.head, ...s.also, s.folded])].join("\n");
  }
  return pages;
}

// 本にない複合語は、本にある 2 字以上の語に切れるなら切る (平均場理論 → 平均場、理論)。
function divide(word, known) {
  if (!isJapanese(word) || known(word)) return [word];
  for (let end = word.length - 2; end >= 2; end -= 1) {
    if (!known(word.slice(0, end))) continue;
    const rest = divide(word.slice(end), known);
    if (rest.every(known)) return [word.slice(0, end), ...rest];
  }
  return [word];
}

function search(pages, query) {
  const has = (page, word) => page.folded.search(pattern(word)) >= 0;
  const known = (word) => pages.some((page) => has(page, word));
  const terms = words(query).flatMap((word) => divide(word, known));
  if (!terms.length) return { terms, missing: [], results: [] };
  const missing = terms.filter((term) => !known(term));
  const phrase = fold(query.normalize("NFKC").trim());
  const finds = terms.map((term) => {
    const share = pages.filter((page) => has(page, term)).length / pages.length;
    return { find: pattern(term), weight: Math.log(1.5 / share) };
  });
  if (terms.length > 1) {
    const parts = phrase.split(/\s+/).map((part) => part.match(RUNS).join(" "));
    finds.push({ find: new RegExp(pattern(parts.join(" ")).source.replace(/ /g, "\\s*"), "gu"), weight: 2 });
  }
  const found = missing.length ? [] : pages.filter((page) => terms.every((term) => has(page, term)));
  const results = found.map((page) => {
    let named = 0;
    const hits = page.sections.map((section) => {
      named = 0;
      let here = 0;
      for (const { find, weight } of finds) {
        const score = rate(find, page, section);
        named += weight * score.named;
        here += weight * score.here;
      }
      return { section, here };
    }).filter((hit) => hit.here > 0).sort((a, b) => b.here - a.here);
    return { page, hits, score: KINDS[page.kind] * (named + (hits[0]?.here ?? 0)) };
  });
  return { terms, missing, results: results.sort((a, b) => b.score - a.score) };
}

// --- 見せ方 --------------------------------------------------------------------

function element(name, attributes, ...children) {
  const made = Object.assign(document.createElement(name), attributes);
  made.append(...children);
  return made;
}

// 語のまわりを抜き出し、語に印を付ける。
function excerpt({ text, folded }, terms) {
  const all = new RegExp(terms.map((term) => pattern(term).source).join("|"), "gu");
  const first = Math.max(0, folded.search(all));
  const from = first < 50 ? 0 : first - 40;
  const to = Math.min(text.length, from + 130);
  const shown = element("p", { className: "context" }, from ? "…" : "");
  let done = from;
  for (const hit of folded.slice(0, to).matchAll(all)) {
    if (hit.index < done) continue;
    shown.append(text.slice(done, hit.index), element("mark", {}, text.slice(hit.index, hit.index + hit[0].length)));
    done = hit.index + hit[0].length;
  }
  shown.append(text.slice(done, to), to < text.length ? "…" : "");
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

function show(pages, query) {
  const summary = document.querySelector(".search-summary");
  const list = document.getElementById("search-results");
  const { terms, missing, results } = search(pages, query);
  list.replaceChildren(...results.slice(0, SHOWN).map((result) => entry(result, terms)));
  if (!query.trim()) summary.textContent = "";
  else if (results.length) {
    const more = results.length > SHOWN ? ` 上位 ${SHOWN} ページを示します。` : "";
    summary.textContent = `「${query.trim()}」は ${results.length} ページにあります。${more}`;
  } else {
    const what = missing.length ? `「${missing.join("」「")}」は、この本にありません。` : `「${query.trim()}」の語がそろうページはありません。`;
    summary.textContent = `${what}別の言い方や、短い語で探してください。`;
  }
}

if (typeof document !== "undefined") {
  const pages = prepare(SEARCH_PAGES);
  const query = new URLSearchParams(location.search).get("q") ?? "";
  for (const input of document.querySelectorAll('input[name="q"]')) input.value = query;
  const input = document.querySelector(".search-form input");
  input.addEventListener("input", () => show(pages, input.value));
  if (query) show(pages, query);
}
