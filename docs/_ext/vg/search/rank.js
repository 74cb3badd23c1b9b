// 頁の点数。題、別名、見出し、本文での、問いの語の当たり方から決める。
"use strict";

// 見出しや別名の中での当たり方。全部と等しければ 1、短い一部なら 0.5 に近い。
function cover(find, text) {
  find.lastIndex = 0;
  const hit = find.exec(text);
  if (!hit) return 0;
  const { at, length } = spot(hit);
  const cut = /[a-z0-9]/.test(text[at + length - 1]) && /^[a-z0-9]/.test(text.slice(at + length));
  return (cut ? 0.4 : 0.5) + (0.5 * length) / text.length;
}

// 題のうち、語に当たった割合
function part(find, text) {
  find.lastIndex = 0;
  const hit = find.exec(text);
  return hit ? spot(hit).length / text.length : 0;
}

const best = (find, texts) => texts.reduce((most, text) => Math.max(most, cover(find, text)), 0);
const count = (find, text) => text.match(find)?.length ?? 0;

// 打った語そのものに当たれば、同じ意味の語に当たるより少し重い。
const most = (rate, { find, same }, texts) => Math.max(0.85 * rate(find, texts), same ? rate(same, texts) : 0);

// 頁の種類の重さ。説明する章を、用語集、問題、検算、API より先に見せる。
const KINDS = { chapter: 1, other: 0.5, glossary: 0.65, notation: 0.35, quiz: 0.5, checks: 0.35, api: 0.4 };
const ASKED = 8; // その種類の頁を探していると分かるとき
// 場所の重さ。本文の語は、数えるほど足し方が減る。
const PLACE = { title: 8, name: 6, body: 1, section: { head: 5, body: 2.5 } };
const PHRASE = 2; // 打った語が続けて書かれたところ

function* prepare(pages) {
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
    page.bare = bare(page.folded);
    yield;
  }
  const mean = pages.reduce((sum, page) => sum + page.folded.length, 0) / pages.length;
  for (const page of pages) page.long = 0.7 + (0.3 * page.folded.length) / mean; // 長い頁ほど、語の数は多い
  return pages;
}

// 本のどこかに書いてあるか。言い換えの多くは本にないので、探す前に除く。
function occurs(name, pages) {
  pages.corpus ??= pages.map((page) => page.bare).join("\n");
  pages.occurring ??= new Map();
  if (!pages.occurring.has(name)) pages.occurring.set(name, pages.corpus.includes(keyOf(name)));
  return pages.occurring.get(name);
}

// 1 つの語の、頁ごとの点と、その頁の節ごとの点
function ratings(term, pages) {
  pages.rated ??= new Map(); // 1 字打つたびに、変わらない語を数え直さない
  const key = term.find.source + (term.same || "");
  if (!pages.rated.has(key)) {
    const found = pages.filter((page) => (term.find.lastIndex = 0, term.find.test(page.folded)));
    pages.rated.set(key, new Map(found.map((page) => [page, rate(term, page)])));
  }
  return pages.rated.get(key);
}

function rate(term, page) {
  const times = page.sections.map((section) => count(term.find, section.folded));
  const heads = page.sections.map((section, i) => (i ? Math.max(section.own * most(cover, term, section.head), 0.9 * most(best, term, section.also)) : 0));
  const total = times.reduce((sum, n) => sum + n, 0);
  const here = times.map((n, i) => PLACE.section.head * heads[i] + (PLACE.section.body * n) / (n + 3));
  const name = most(best, term, page.also), body = total / (total + 10 * page.long);
  return { title: most(cover, term, page.head), part: part(term.find, page.head), name, body, here };
}

// vgbook の関数やクラスの名前か
function isFunction(text, pages) {
  pages.functions ??= new Set(pages.filter(({ kind }) => kind === "api").flatMap(({ sections }) => sections.slice(1).map(({ head }) => head)));
  return pages.functions.has(fold(text));
}

// API の名前そのもの (softmax_cross_entropy、BatchNorm) を打ったなら、API の頁が先。
function isCode(query, pages) {
  const name = query.trim().replace(PACKAGE, "");
  return (/_|[A-Z]/.test(name) || PACKAGE.test(query)) && pages.some((page) => page.kind === "api" && page.sections.some((section) => section.name === name));
}

// 探している頁の種類。種類を言う語 (練習問題) と、記号だけの問いから分かる。
function kindsFor(query, pages, asked) {
  const kinds = { ...KINDS };
  for (const kind of asked) kinds[kind] *= ASKED;
  if (isCode(query, pages)) kinds.api = KINDS.api * ASKED;
  if (/^[^a-z々\u3041-\u9fff]*[\u0370-\u03ff∂∇][^々\u3041-\u9fff]*$/u.test(query)) kinds.notation = 1.5;
  return kinds;
}

// 頁の点と、点の高い順の節。題と別名、本文、いちばん合う節の点の和で、どれにも、そこにある語の割合が掛かる。
function judge(page, rated, total) {
  const hits = rated.filter(({ found }) => found.has(page)).map(({ term, found, weight }) => ({ ...found.get(page), weight, own: term.phrase ? 0 : weight }));
  const sum = (value) => hits.reduce((all, hit) => all + hit.weight * value(hit), 0);
  const share = (has) => hits.reduce((all, hit) => all + (has(hit) ? hit.own : 0), 0) / total;
  // 題は、問いの語を合わせて、どれだけが当たったか (「シグモイドに Xavier」と「シグモイドと Xavier」)
  const parts = hits.reduce((all, hit) => all + (hit.own && hit.part), 0);
  const named = PLACE.title * sum(({ title, part }) => title && title + 0.5 * (Math.min(1, parts) - part)) + PLACE.name * sum(({ name }) => name);
  const sections = page.sections.map((section, i) => ({ section, here: sum(({ here }) => here[i]) * Math.sqrt(share(({ here }) => here[i])) }))
    .filter((hit) => hit.here > 0).sort((a, b) => b.here - a.here);
  const all = named * Math.sqrt(share(({ title, name }) => title || name)) + PLACE.body * sum(({ body }) => body) + (sections[0]?.here ?? 0);
  return { page, hits: sections, score: share(() => true) * all };
}

// 語は、珍しいほど重い。
function rank(terms, query, pages, asked = []) {
  const rated = terms.map((term) => ({ term, found: ratings(term, pages) }));
  for (const each of rated) {
    const { phrase, weight, weak } = each.term;
    each.weight = phrase ? PHRASE : weight ?? (weak ? 0.15 : 1) * Math.sqrt(Math.log(1 + pages.length / (each.found.size + 0.5)));
  }
  const total = rated.reduce((sum, { term, found, weight }) => sum + (term.phrase || !found.size ? 0 : weight), 0);
  const kinds = kindsFor(query, pages, asked);
  const results = pages.map((page) => judge(page, rated, total)).filter(({ score }) => score > 0);
  for (const result of results) result.score *= kinds[result.page.kind];
  return results.sort((a, b) => b.score - a.score);
}
