// 用語・式・図・文献への参照に、マウスを重ねるか Tab で移ると、中身を札にして見せる。
// 札は Esc で消え、マウスを載せても消えない (WCAG 1.4.13)。指で触れたときは、ふつうのリンクとして働く。

const PARTS = { term: (dt) => dt.nextElementSibling.childNodes, equation: (box) => [box.querySelector(".formula")], fig: (box) => box.childNodes };
const SELECTOR = ["#term-", "#equation-", "#fig-", "references.html#id"].map((part) => `article a.reference.internal[href*="${part}"]`).join();

const card = document.createElement("div");
card.id = card.className = "card";
card.setAttribute("role", "tooltip");
card.hidden = true;
let owner, timer;

// 同じ頁なら参照先から、別の頁なら頁の末尾の <template> から写す
function content(link) {
  const template = [...document.querySelectorAll("template[data-card]")]
    .find((template) => template.dataset.card === link.getAttribute("href"));
  if (template) return template.content.cloneNode(true);
  const target = document.getElementById(decodeURIComponent(link.hash.slice(1)));
  const part = target && PARTS[target.id.split("-")[0]];
  if (!part) return null;
  const copy = document.createDocumentFragment();
  copy.append(...[...part(target)].map((node) => node.cloneNode(true)));
  copy.querySelectorAll(".headerlink, annotation").forEach((extra) => extra.remove());
  copy.querySelectorAll("a").forEach((a) => a.replaceWith(...a.childNodes));
  copy.querySelectorAll("[id]").forEach((element) => element.removeAttribute("id"));
  return copy;
}

function place(link) {
  const base = card.offsetParent.getBoundingClientRect(), at = link.getClientRects()[0];
  const below = at.bottom + card.offsetHeight + 8 < innerHeight || at.top < card.offsetHeight + 8;
  const top = below ? at.bottom + 4 : at.top - card.offsetHeight - 4;
  const left = Math.max(8, Math.min(at.left, document.documentElement.clientWidth - card.offsetWidth - 8));
  card.style.translate = `${left - base.left}px ${top - base.top}px`;
}

function open(link) {
  clearTimeout(timer);
  if (owner === link) return;
  close();
  const copy = content(link);
  if (!copy) return;
  owner = link;
  card.replaceChildren(copy);
  card.hidden = false;
  link.setAttribute("aria-describedby", card.id);
  place(link);
}

function close() {
  clearTimeout(timer);
  owner?.removeAttribute("aria-describedby");
  owner = undefined;
  card.hidden = true;
}

// すぐには出さず、すぐには消さない。通り過ぎただけでは出ず、札へ移る間に消えない
const later = (action, wait) => (clearTimeout(timer), (timer = setTimeout(action, wait)));

for (const link of document.querySelectorAll(SELECTOR)) {
  link.addEventListener("pointerenter", (event) => event.pointerType === "mouse" && later(() => open(link), 250));
  link.addEventListener("pointerleave", () => later(close, 200));
  link.addEventListener("focus", () => link.matches(":focus-visible") && open(link));
  link.addEventListener("blur", close);
}
card.addEventListener("pointerenter", () => clearTimeout(timer));
card.addEventListener("pointerleave", () => later(close, 200));
document.addEventListener("keydown", (event) => event.key === "Escape" && close());
document.querySelector("article")?.append(card);
