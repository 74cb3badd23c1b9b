// 頁の見える字を、見え方 (色、大きさ、太さ、濃さ、下に重なる箱の色) の組にまとめる。
() => {
  const style = (box) => getComputedStyle(box);
  const painted = (box) => style(box).backgroundColor !== "rgba(0, 0, 0, 0)";
  const boxes = [...document.querySelectorAll("body *")].filter(painted);
  const rects = new Map(boxes.map((box) => [box, box.getBoundingClientRect()]));
  const canvas = [document.documentElement, document.body]; // 地の色は、この順に画面の全体に塗られる

  // 箱をまとめて透かす組。外側から並べた [番号, 濃さ]
  const chains = new Map([[null, []]]);
  function groups(box) {
    if (!chains.has(box)) {
      const outer = groups(box.parentElement), share = Number(style(box).opacity);
      chains.set(box, share === 1 ? outer : [...outer, [chains.size, share]]);
    }
    return chains.get(box);
  }

  const middle = (place) => {
    const { left, top, width, height } = place.getBoundingClientRect();
    return [left + width / 2, top + height / 2];
  };
  const over = (rect, [x, y]) =>
    rect.left <= x && x <= rect.right && rect.top <= y && y <= rect.bottom;

  // place の中心で、box から下に重なる箱。色のある先祖の上にあって、ほかの箱と重ならなければ、先祖だけ。
  // そうでなければ、画面に入れて、Chromium に尋ねる
  function below(box, place) {
    const at = middle(place);
    if (boxes.every((one) => over(rects.get(one), at) === one.contains(box)))
      return boxes.filter((one) => one.contains(box)).reverse();
    const before = [];
    for (let one = box; one; one = one.parentElement)
      before.push([one, { left: one.scrollLeft, top: one.scrollTop, behavior: "instant" }]);
    box.scrollIntoView({ block: "center", inline: "start", behavior: "instant" });
    const all = document.elementsFromPoint(...middle(place));
    for (const [one, place] of before) one.scrollTo(place); // 測った箱の位置も、もとに戻る
    return all.includes(box) ? all.slice(all.indexOf(box)) : null;
  }

  const looks = new Map(), covered = [];
  function look(box, place, words) {
    const found = below(box, place), { color, fontSize, fontWeight } = style(box);
    const said = box.cloneNode().outerHTML + words.trim().slice(0, 40);
    if (!found) return covered.push(said);
    const grounds = [...found.filter(painted), ...canvas]
      .map((one) => [style(one).backgroundColor, groups(one)]);
    const key = JSON.stringify([fontSize, fontWeight, [color, groups(box)], grounds]);
    if (!looks.has(key)) looks.set(key, []);
    return looks.get(key).push(said);
  }

  const seen = (box) => !box.closest(".katex, svg, :disabled, [aria-disabled=true]")
    && box.checkVisibility({ opacityProperty: true, visibilityProperty: true });
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const range = document.createRange();
  for (let text = texts.nextNode(); text; text = texts.nextNode()) {
    const first = text.data.search(/\S/);
    if (first < 0 || !seen(text.parentElement)) continue;
    range.setStart(text, first);
    range.setEnd(text, first + 1);
    look(text.parentElement, range, text.data);
  }
  const fields = "textarea, select, input:not([type=radio], [type=checkbox], [type=range])";
  for (const field of document.querySelectorAll(fields))
    if (seen(field)) look(field, field, field.value);
  return { looks: [...looks].map(([key, said]) => [JSON.parse(key), said]), covered };
}
