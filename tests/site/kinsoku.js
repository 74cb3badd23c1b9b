// 行頭に来た閉じる約物と、行末に来た開く括弧。
() => {
  const NO_START = /[、。，．：；！？）」』】〕％]/, NO_END = /[（「『【〔]/;
  const found = [];
  const rectOf = (node, i) => { const r = document.createRange(); r.setStart(node, i); r.setEnd(node, i + 1); return r.getClientRects()[0]; };
  const block = (node) => { let e = node.parentElement; while (getComputedStyle(e).display.startsWith("inline") && getComputedStyle(e).display !== "inline-block") e = e.parentElement; return e; };
  const walker = document.createTreeWalker(document.querySelector("article"), NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    if (node.parentElement.closest("pre, code, .katex, script, style, .card")) continue;
    const text = node.data;
    for (let i = 0; i < text.length; i += 1) {
      if (/\s/.test(text[i - 1] ?? "")) continue; // 字そのものを話題にして、空白で離したもの
      if (!NO_START.test(text[i]) && !NO_END.test(text[i])) continue;
      const rect = rectOf(node, i);
      if (!rect || !rect.width) continue;
      const box = block(node);
      const range = document.createRange(); range.selectNodeContents(box);
      const show = () => `${text[i]} … ${box.textContent.replace(/\s+/g, " ").slice(0, 40)}`;
      if (NO_START.test(text[i])) {
        range.setEnd(node, i);
        const before = [...range.getClientRects()].filter((r) => r.width > 0);
        if (before.length && !before.some((r) => r.top < rect.bottom - 2 && r.bottom > rect.top + 2 && r.left < rect.left)) found.push("頭 " + show());
      } else {
        range.setStart(node, i + 1);
        const after = [...range.getClientRects()].filter((r) => r.width > 0);
        if (after.length && !after.some((r) => r.top < rect.bottom - 2 && r.bottom > rect.top + 2 && r.left >= rect.right - 2)) found.push("尾 " + show());
      }
    }
  }
  return found;
}
