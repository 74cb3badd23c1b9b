// 読者の言葉の問い (questions.toml) との近さ。本に書いていない言い方から、ページを見つける。
"use strict";

// 特徴の重さ: 辞書の語、英字の語、平仮名の 2 字、ほかの 2 字
const TRAIT = { name: 1.6, talk: 1, latin: 1, kana: 0.5, pair: 1 };

// 字の木。頭から 1 字ずつたどると、その語のある組に着く。
function* tree({ groups, talk }) {
  const node = () => ({ next: new Map(), names: [], talks: [] }), root = node();
  const reach = (at, letter) => at.next.get(letter) ?? at.next.set(letter, node()).get(letter);
  const leaf = (name) => Array.from(keyOf(name)).reduce(reach, root);
  for (const [at, group] of groups.entries()) yield group.forEach((name) => leaf(name).names.push(`組${at}`));
  for (const [at, group] of talk.entries()) yield group.forEach((name) => leaf(name).talks.push(`話${at}`));
  return root;
}

// 問いの特徴 → 重さ。辞書の語 (同じ意味の語なら同じ組)、英字の語、続く 2 字。語順にも、切り方にもよらない。
function traits(text, dict) {
  dict.tree ??= finish(tree(dict));
  const all = letters(clean(text, dict)), found = new Map();
  for (let from = 0; from < all.length; from += 1) {
    const { kind, start, key } = all[from], after = all[from + 1];
    const next = after && !after.gap && after.kind !== "a" ? after : null;
    for (let at = dict.tree.next.get(key), to = from + 1; at; at = at.next.get(all[to++]?.key)) {
      if (at.names.length && isWord(all, from, to)) for (const name of at.names) found.set(name, TRAIT.name);
      if (at.talks.length && (kind !== "a" || start)) for (const name of at.talks) found.set(name, TRAIT.talk);
    }
    if (kind !== "a") {
      if (next) found.set(key + next.key, kind === "か" && next.kind === "か" ? TRAIT.kana : TRAIT.pair);
    } else if (start) {
      let word = key;
      for (let to = from + 1; to < all.length && !all[to].start; to += 1) word += all[to].key;
      found.set(word, TRAIT.latin);
    }
  }
  return found;
}

// 問いの一覧と、特徴 → それをもつ問いの番号と重さ。珍しい特徴ほど重く、どの問いも長さ 1 のベクトルにする。
function* bank(pages, dict) {
  dict.tree ??= yield* tree(dict);
  const asked = pages.flatMap((page) => page.sections.flatMap((section) => (section.asks ?? []).map((text) => ({ page, section, text }))));
  const index = new Map();
  for (const [at, { text }] of asked.entries()) {
    for (const [name, weight] of traits(text, dict)) {
      if (!index.has(name)) index.set(name, []);
      index.get(name).push({ at, weight });
    }
    yield;
  }
  const rare = (name) => Math.log(1 + asked.length / ((index.get(name)?.length ?? 0) + 0.5)), squares = new Float64Array(asked.length);
  for (const [name, having] of index) {
    const scale = rare(name);
    for (const each of having) squares[each.at] += (each.weight *= scale) ** 2;
    yield;
  }
  for (const having of index.values()) {
    for (const each of having) each.weight /= Math.sqrt(squares[each.at]);
    yield;
  }
  return { asked, index, rare };
}

// ページ → 近い問い。near は 2 つのベクトルの余弦、cover は、尋ねた特徴のうち、そのページのどれかの問いにあるものの割合 (どちらも 0 から 1)。
function answering(query, pages, dict) {
  pages.bank ??= finish(bank(pages, dict));
  const { asked, index, rare } = pages.bank, nears = new Float64Array(asked.length), found = new Map();
  let square = 0;
  for (const [name, weight] of traits(query, dict)) {
    const own = weight * rare(name), having = index.get(name) ?? [];
    square += own * own;
    for (const { at, weight: theirs } of having) nears[at] += own * theirs;
    for (const page of new Set(having.map(({ at }) => asked[at].page))) {
      if (!found.has(page)) found.set(page, { near: 0, second: 0, cover: 0 });
      found.get(page).cover += own * own;
    }
  }
  nears.forEach((sum, at) => {
    if (!sum) return;
    const { page, section, text } = asked[at], best = found.get(page), near = sum / Math.sqrt(square);
    if (near > best.near) Object.assign(best, { near, section, text, second: best.near });
    else best.second = Math.max(best.second, near);
  });
  for (const each of found.values()) each.cover /= square;
  return found;
}

// 本にない語を使って、同じことを尋ねている問いがあるか。あれば、打ち間違いではない。
function isAsked(query, missing, pages, dict) {
  const near = [...answering(query, pages, dict).values()].filter((each) => each.near > CLEAR);
  return missing.length > 0 && near.some(({ text }) => missing.every(({ key }) => keyOf(text).includes(key)));
}

const FAR = 0.2; // これより遠い問いは、たまたま字が重なっただけ
const CLEAR = 0.5; // これより近ければ、同じことを尋ねている
const ASKING = { near: 0.4, second: 0.12, cover: 0.22 }; // 語が 1 つの問いでの、近さの重さ
const SURE = 7; // 題や見出しに当たったときの、語の点
const ASIDE = { quiz: 0.5, api: 0.5 }; // 探していると言わない限り、説明するページを先に見せる

// 語の点に、問いの近さを足した順。語の点は、いちばん高いページを 1 とする (SURE に届かなければ、もっと小さい)。
// 語の多い (length) 問いほど、語がばらばらに当たるので、問いの近さを重く見る。
function withQuestions(written, found, length, asked) {
  const top = Math.max(SURE, written[0]?.score ?? 0), long = Math.min(4, Math.max(1, length));
  const rated = new Map(written.map((result) => [result.page, { ...result, score: result.score / top }]));
  for (const [page, { near, second, cover, section, text }] of found) {
    if (near < FAR && !rated.has(page)) continue;
    const { hits, score } = rated.get(page) ?? { hits: [], score: 0 };
    const question = near > CLEAR && length !== 1 ? { section, text } : null, aside = asked.includes(page.kind) ? 1 : ASIDE[page.kind] ?? 1;
    const added = ASKING.near * near + ASKING.second * second + ASKING.cover * cover;
    rated.set(page, { page, hits, question, score: score + long * aside * added });
  }
  return [...rated.values()].sort((a, b) => b.score - a.score);
}
