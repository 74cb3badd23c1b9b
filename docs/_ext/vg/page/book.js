// 読むのに JavaScript は要らない。ここにあるのは、あると楽になるものだけ。

// 横にあふれた箱 (コード・数式・表) だけを、キーボードで動かせるようにする。
function focusOverflowing(boxes) {
  const names = { PRE: "コード", DIV: "数式または表" };
  const wide = boxes.map((box) => box.scrollWidth > box.clientWidth); // 測り終えてから書く
  for (const [i, box] of boxes.entries()) {
    if (wide[i]) {
      box.tabIndex = 0;
      box.setAttribute("role", "group");
      box.setAttribute("aria-label", `${names[box.tagName] ?? "出力"} (横に動かせます)`);
    } else if (box.getAttribute("role") === "group") {
      for (const name of ["tabindex", "role", "aria-label"]) box.removeAttribute(name);
    }
  }
}
const boxes = [...document.querySelectorAll("article :is(pre, .formula, .table-wrapper, .output.text_html)")];
const sizes = new ResizeObserver((entries) => focusOverflowing(entries.map((entry) => entry.target)));
boxes.forEach((box) => sizes.observe(box)); // 組まれたとき、開いたとき、幅が変わったとき

// 狭い画面の目次の引き出しを、キーボードと読み上げでも開けるようにする (furo は指とマウスだけ)。
const drawers = [["__navigation", "本の目次", ".sidebar-drawer"], ["__toc", "このページの見出し", ".toc-drawer"]];
for (const [id, name, place] of drawers) {
  const drawer = document.getElementById(id);
  document.querySelector(place)?.setAttribute("tabindex", "-1"); // 開いたら、ここから読み始める
  for (const icon of document.querySelectorAll(`label[for="${id}"] > .icon`)) {
    icon.tabIndex = 0;
    icon.setAttribute("role", "button");
    icon.setAttribute("aria-label", name);
    icon.setAttribute("aria-expanded", "false");
    icon.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" && event.key !== " ") return;
      event.preventDefault();
      icon.click();
    });
    drawer.addEventListener("change", () => {
      icon.setAttribute("aria-expanded", drawer.checked);
      if (!icon.getClientRects().length) return; // 見えていない。checkVisibility は古い Safari にない
      if (drawer.checked) document.querySelector(place).focus();
      else icon.focus();
    });
  }
}
// 引き出しは Esc で閉じる。
addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  for (const drawer of document.querySelectorAll(".sidebar-toggle:checked")) {
    drawer.checked = false;
    drawer.dispatchEvent(new Event("change"));
  }
});

// / で検索の欄へ。欄が見えていなければ (狭い画面)、検索のページへ移る。
addEventListener("keydown", (event) => {
  if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.closest("input, textarea, select, [contenteditable]")) return;
  const fields = [...document.querySelectorAll('input[name="q"]')].reverse(); // 検索のページでは、本文の欄
  const field = fields.find((each) => each.getClientRects().length && getComputedStyle(each).visibility === "visible");
  event.preventDefault();
  if (field) field.select();
  else location.assign(document.querySelector(".sidebar-search-container").action);
});

// sphinx-copybutton は日本語を持たない。
if (typeof messages !== "undefined") {
  messages.ja = {
    copy: "コピー",
    copy_to_clipboard: "クリップボードへコピー",
    copy_success: "コピーしました",
    copy_failure: "コピーできませんでした",
  };
  for (const key of ["copy_to_clipboard", "copy_success"]) {
    iconCopy = iconCopy.replace(messages.en[key], messages.ja[key]);
    iconCheck = iconCheck.replace(messages.en[key], messages.ja[key]);
  }
  locale = "ja";
}

// 紙に刷るときは、隠した答えも、たたんだ図も出す。
addEventListener("beforeprint", () => {
  for (const box of document.querySelectorAll("article details:not([open])")) {
    box.open = true;
    box.dataset.closed = "";
  }
});
addEventListener("afterprint", () => {
  for (const box of document.querySelectorAll("article details[data-closed]")) {
    box.open = false;
    delete box.dataset.closed;
  }
});

// 「読み終えた」の印。この端末にだけ残す。記憶を使えない設定なら、印の欄を出さない。
function openStore() {
  try {
    return localStorage;
  } catch (error) {
    if (error instanceof DOMException) return null; // 読者が記憶を許していない
    throw error;
  }
}

function markFinished(store) {
  const key = "vgbook-finished", root = new URL(document.documentElement.dataset.content_root, location.href);
  const read = () => new Set(JSON.parse(store.getItem(key) ?? "[]"));
  const box = document.querySelector(".finished input"), links = document.querySelectorAll(".sidebar-tree a.reference, .reading-map a.reference");
  function show() {
    const finished = read();
    for (const link of links) {
      const page = link.closest(".current-page") ? box?.dataset.page : link.href.replace(root.href, "").replace(/\.html(#.*)?$/, "");
      link.classList.toggle("finished", finished.has(page));
    }
    const map = document.querySelector(".reading-map"), rows = map?.querySelectorAll("tbody tr").length;
    if (map && finished.size) map.dataset.progress = `読み終えた章：${rows} 章のうち ${map.querySelectorAll("a.finished").length} 章`;
    if (!box) return;
    box.checked = finished.has(box.dataset.page);
    const total = document.querySelector("article progress").max;
    box.parentElement.querySelector(".finished-count").textContent = `(${finished.size} / ${total} 章)`;
    box.parentElement.hidden = false;
  }
  box?.addEventListener("change", () => {
    const finished = read();
    if (box.checked) finished.add(box.dataset.page);
    else finished.delete(box.dataset.page);
    store.setItem(key, JSON.stringify([...finished]));
    show();
  });
  addEventListener("storage", show); // ほかの窓で付けた印
  show();
}
// 記憶を使えない設定では、furo の明暗のボタンは絵が消え、押しても止まる。この頁にいる間だけ切り替える。
function switchTheme() {
  const { theme } = document.body.dataset, system = matchMedia("(prefers-color-scheme: dark)").matches;
  const dark = theme === "dark" || (theme !== "light" && system);
  document.body.dataset.theme = dark ? "light" : "dark";
}
const store = openStore();
if (store) markFinished(store);
else {
  document.body.dataset.theme = "auto";
  for (const button of document.querySelectorAll(".theme-toggle")) button.addEventListener("click", switchTheme);
}
