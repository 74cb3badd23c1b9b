// 本の検索。searchdata.js (組むときに vg.search.index が作る) の文字を、words.js が切った語で、そのまま探す。
// 本にない言い方は、読者の問い (questions.js) と比べて探す。
"use strict";

const SHOWN = 10; // 1 度に見せるページ

// 途中まで打った語は、その字で始まる辞書の語のどれか。
function complete(part, pages, dict) {
  if (part.name || part.key.length < 2 || known(part, pages)) return part;
  const begun = [...dict.names].filter(([key]) => key.startsWith(part.key)).flatMap(([, alike]) => alike);
  return begun.length ? { ...part, alike: [...new Set([part.text, ...begun])] } : part;
}

// 本にない語は、一部の語に切り直す: どの言い方も本にない辞書の語 (phase transition) と、点や記号でつないだ英字 (np.exp)。
function smaller(part, pages, dict) {
  if (known(part, pages)) return [part];
  const names = new Map(dict.names);
  names.delete(part.key);
  if (part.name) return words(part.text, { ...dict, names });
  return part.kind === "a" && /[^a-z0-9]/i.test(part.text) ? words(part.text.replace(/[^a-z0-9.]|\.(?!\d)/gi, " "), dict) : [part];
}

function look(query, pages, dict) {
  const parts = withSymptom(words(query.replace(PACKAGE, ""), dict), query, dict)
    .flatMap((part) => smaller(part, pages, dict)).map((part) => complete(part, pages, dict));
  const missing = parts.filter((part) => !part.weak && !known(part, pages));
  return { parts, missing, kept: parts.filter((part) => !missing.includes(part)) };
}

// 1 字直して読んだ語があれば、直した問い
const mended = (parts, query) => parts.filter(({ near }) => near).reduce((said, { typed, text }) => said.replace(typed, text), query);

// 問いの語。見つからない語があれば、近い語に直して読む (said)。
function understand(query, pages, dict) {
  const first = look(query, pages, dict);
  const broken = !first.missing.length && first.kept.length > 1 && !first.kept.some(({ name }) => name); // プレ活性 → プレ + 性
  const doubtful = (first.missing.length || broken) && !isAsked(query, first.missing, pages, dict);
  const near = doubtful ? corrected(query, first.missing, pages, dict) : null;
  const again = near && look(near, pages, dict);
  const better = again && (broken || again.missing.length < first.missing.length);
  const { missing, kept } = better ? again : first;
  return { missing, kept, said: mended(kept, better ? near : query) };
}

// 探す語と、探している頁の種類 (「活性化関数の練習問題」の練習問題、「Residual クラス」のクラス)
function intent(parts, query, pages, dict) {
  const code = parts.some(({ text }) => isFunction(text, pages));
  const kindOf = ({ key }) => dict.kinds.get(key) ?? (code && dict.code.has(key) ? "api" : undefined);
  const asking = parts.filter(kindOf), asked = asking.map(kindOf);
  if (PACKAGE.test(query)) asked.push("api");
  const spoken = parts.filter((part) => !part.weak && !asking.includes(part));
  const sought = spoken.length ? parts.filter((part) => !asking.includes(part)) : parts;
  const terms = sought.map((part) => ({ ...part, find: finder(part), same: part.alike.length > 1 && pattern([part.text]) }));
  if (spoken.length > 1) terms.push({ phrase: true, alike: [], find: together(spoken) });
  return { terms, asked };
}

function search(pages, typed, dict) {
  const asIs = clean(typed, dict), query = converted(asIs, dict);
  const { missing, kept, said } = understand(query, pages, dict);
  const suggested = said === asIs ? null : said, answers = query ? answering(said, pages, dict) : new Map();
  const pieces = missing.map((part) => longest(part, pages, dict)).filter(Boolean);
  const parts = [...kept, ...pieces].map((part) => ({ ...part, alike: part.alike.filter((name) => name === part.text || occurs(name, pages)) }));
  const { terms, asked } = parts.every((part) => part.weak) && missing.length ? { terms: [], asked: [] } : intent(parts, query, pages, dict);
  const written = terms.length ? rank(terms, said, pages, asked) : [], length = terms.filter((term) => !term.weak && !term.phrase).length;
  return { terms, missing, pieces, suggested, written, results: withQuestions(written, answers, length, asked) };
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

function entry({ page, hits, question }, terms) {
  const title = page.number ? `${page.number}. ${page.title}` : page.title;
  const item = element("li", {});
  const link = (section, name) => element("a", { href: section === page.sections[0] ? page.url : `${page.url}#${section.id}` }, name);
  item.append(link(page.sections[0], title));
  if (question) item.append(element("p", { className: "question" }, "近い問い：", link(question.section, question.text)));
  const inside = hits.filter(({ section }) => section !== page.sections[0] && section !== question?.section).slice(0, 3);
  const [top] = hits;
  if (top?.section.text) item.append(excerpt(top.section, terms));
  if (inside.length) {
    item.append(element("ul", {}, ...inside.map(({ section }) => element("li", {}, link(section, section.name)))));
  }
  return item;
}

const quoted = (parts) => parts.map((part) => `「${part.text}」`).join("");

// 何が見つかり、何が見つからなかったか。
function sentence(query, { terms, missing, pieces, suggested, written, results }) {
  const typed = query.trim(), absent = missing.filter((part) => !part.stem); // 「賢くならない」の「賢」だけでは、語にならない
  if (!typed) return "";
  const more = results.length > SHOWN ? `上位 ${SHOWN} ページです。` : "";
  const lacking = absent.length ? `${quoted(absent)}は、この本にありません。` : "";
  if (!results.length) return `${lacking || `「${typed}」は、この本にありません。`}別の言い方や、短い語で探してください。`;
  if (!written.length) return `${lacking}近い問いに答えるページを示します。${more}`;
  if (suggested) return `「${typed}」は見つかりません。もしかして「${suggested}」：${written.length} ページにあります。${more}`;
  if (absent.length) return `${lacking}${pieces.length ? quoted(pieces) : "ほかの語"}のあるページを示します。${more}`;
  if (terms.length > 1) return `「${typed}」に近い順に示します。${more}`;
  return `「${typed}」は ${written.length} ページにあります。${more}`;
}

function show(pages, query, dict) {
  const found = search(pages, query, dict);
  document.getElementById("search-results").replaceChildren(...found.results.slice(0, SHOWN).map((result) => entry(result, found.terms)));
  document.querySelector(".search-summary").textContent = sentence(query, found);
  document.querySelector(".search-examples").hidden = query.trim() !== "";
  document.querySelector(".search-elsewhere").hidden = found.results.length > 0;
}

// --- 支度 ----------------------------------------------------------------------

const SLICE = 8; // ミリ秒。画面を 1 度描くあいだの半分

// 長い計算を、手の空いたときに少しずつ進める。返すのは、残りを続けて済ませ、結果をもらう関数。
function gradually(steps) {
  let step = { done: false };
  const advance = (until) => {
    while (!step.done && performance.now() < until) step = steps.next();
  };
  const slice = () => {
    advance(performance.now() + SLICE);
    if (!step.done) setTimeout(slice);
  };
  setTimeout(slice);
  return () => {
    advance(Infinity);
    return step.value;
  };
}

function* preparing() {
  const written = JSON.parse(SEARCH_PAGES);
  yield;
  const pages = yield* prepare(written), dict = yield* dictionary(JSON.parse(SEARCH_WORDS));
  pages.bank = yield* bank(pages, dict);
  gradually(remembering(pages, dict));
  return [pages, dict];
}

// 打ち間違いに備える。答えるだけなら、待たなくてよい。
function* remembering(pages, dict) {
  const words = yield* vocabulary(pages, dict);
  pages.words ??= words;
}

if (typeof document !== "undefined") {
  const prepared = gradually(preparing());
  const ask = (query) => {
    const [pages, dict] = prepared();
    show(pages, query, dict);
  };
  const query = new URLSearchParams(location.search).get("q") ?? "";
  for (const input of document.querySelectorAll('input[name="q"]')) input.value = query;
  const input = document.querySelector(".search-form input");
  const remember = () => { // 戻ったときも、同じ問いが残る
    const url = input.value ? `?q=${encodeURIComponent(input.value)}` : location.pathname;
    if (location.protocol !== "file:") history.replaceState(null, "", url);
  };
  let pause;
  input.addEventListener("input", () => {
    ask(input.value);
    clearTimeout(pause); // 打つ手が止まってから。Safari は、30 秒に 100 回を超えると断る
    pause = setTimeout(remember, 500);
  });
  if (query) ask(query);
  if (!query && matchMedia("(hover: hover)").matches) input.focus(); // 指の画面では、キーボードを勝手に出さない
}
