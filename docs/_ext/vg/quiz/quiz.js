// 問題に答える。ページには、選択肢の列と、たたんだ答えがもうある。ここでは、それを答えられる形に組み替える。
(() => {
  // ---- 成績: この端末のブラウザーだけに残す ---------------------------------------
  const KEY = "vgbook-quiz";
  let kept = {}; // 保存できない設定 (プライベートブラウズなど) でも、ページを閉じるまでは覚えておく

  function load() {
    try {
      const stored = Object.entries(JSON.parse(localStorage.getItem(KEY)) ?? {});
      kept = Object.fromEntries(stored.filter(([, each]) => Number.isInteger(each?.tries))); // 壊れた記録は捨てる
    } catch {}
    return kept;
  }

  function save(records) {
    kept = records;
    try {
      localStorage.setItem(KEY, JSON.stringify(records));
    } catch {}
  }

  const answered = new Set(); // ページを開いてから答えた問題

  function record(name, title, answer, correct) {
    const records = load();
    const before = records[name] ?? { tries: 0, first: correct, solved: false };
    const lately = answered.has(name) ? before.lately : correct; // ページを開き直して、最初に答えたとき
    answered.add(name);
    // 解けた後の試しは、成績に数えない
    records[name] = before.solved ? { ...before, lately } : {
      ...before, lately, title, answer, tries: before.tries + 1, solved: correct, at: new Date().toISOString(),
    };
    save(records);
  }

  const count = (names, test) => names.filter((name) => load()[name] && test(load()[name])).length;
  const isSolved = (each) => each.solved;
  const isWrong = (each) => !(each.lately ?? each.first); // 最近の 1 回目に間違えた

  function summary(names) {
    return `${names.length} 問中 ${count(names, isSolved)} 問正解 (1 回目で ${count(names, (each) => each.first)} 問)`;
  }

  function toCsv(records) {
    const head = ["問題", "題", "正解した", "1 回目で正解", "答えた回数", "最後の答え", "最後に答えた日時"];
    const yes = (value) => (value ? "はい" : "いいえ");
    const rows = Object.entries(records).map(([name, r]) => [
      name, r.title, yes(r.solved), yes(r.first), r.tries, r.answer, r.at,
    ]);
    const quoted = (cell) => `"${String(cell).replaceAll('"', '""')}"`;
    return "\uFEFF" + [head, ...rows].map((row) => row.map(quoted).join(",") + "\r\n").join("");
  }

  // ---- 部品 ---------------------------------------------------------------------
  function element(tag, properties = {}, ...children) {
    const made = Object.assign(document.createElement(tag), properties);
    made.append(...children);
    return made;
  }

  // 全角の数字、1/32、9.5×10⁻⁷ も読む。check.py の number と同じ。
  function toNumber(text) {
    const plain = text.normalize("NFKC").replace(/[\s,]/g, "").replace(/\u2212/g, "-").replace(/[×x*]10\^?/i, "e");
    const match = plain.match(/^([-+]?(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?)(?:\/(\d+))?(?![\d.])/i);
    const value = match ? Number(match[1]) / Number(match[2] ?? 1) : NaN;
    return Number.isFinite(value) ? value : null;
  }

  function near(a, b, tolerance) {
    const room = tolerance.endsWith("%") ? (parseFloat(tolerance) / 100) * Math.abs(b) : Number(tolerance);
    return Math.abs(a - b) <= room * (1 + 1e-9);
  }

  // 説明の写し。同じ id が 2 つにならないようにする。
  function copyOf(reason, skip = 0) {
    return [...reason.childNodes].slice(skip).map((node) => {
      const copy = node.cloneNode(true);
      for (const part of copy.querySelectorAll?.("[id]") ?? []) part.removeAttribute("id");
      return copy;
    });
  }

  // ---- 答え方: 欄を作り、{ answer, correct, say } を返す関数を返す。答えていなければ { ask } --------
  function choiceField(quiz, fieldset, reasons) {
    const right = quiz.dataset.right.split(" ");
    const listing = quiz.querySelector(".quiz-choices");
    const inputs = [...listing.children].map((item, index) => {
      const input = element("input", {
        type: right.length > 1 ? "checkbox" : "radio", name: quiz.id, value: String(index + 1),
      });
      // 読み上げでは、行頭の番号も数式だけの選択肢も読まれないことがあるので、番号を名前に入れる
      const spoken = element("span", { className: "quiz-spoken", textContent: `選択肢 ${index + 1} ` });
      const text = element("span", {}, spoken, ...item.firstElementChild.childNodes);
      item.replaceChildren(element("label", {}, input, text));
      return input;
    });
    const legend = `${right.length} つ選んでください`;
    fieldset.append(element("legend", { textContent: legend }), listing);

    return () => {
      const chosen = inputs.filter((input) => input.checked).map((input) => input.value);
      if (chosen.length !== right.length) return { ask: `${legend}。` };
      const correct = chosen.every((value) => right.includes(value));
      const tell = correct ? chosen : chosen.filter((value) => !right.includes(value));
      const say = tell.flatMap((value) => [
        element("p", { className: "quiz-chosen", textContent: `選択肢 ${value}` }), ...copyOf(reasons[value - 1]),
      ]);
      return { answer: chosen.join(" "), correct, say };
    };
  }

  function numberField(quiz, fieldset, reasons) {
    const { right, tolerance } = quiz.dataset;
    const values = quiz.dataset.values.split(" ").map(Number);
    const input = element("input", { type: "text", inputMode: "decimal", autocomplete: "off", id: `${quiz.id}-input` });
    const hint = element("p", { id: `${quiz.id}-hint`, className: "quiz-hint" });
    const room = tolerance.endsWith("%") ? `${parseFloat(tolerance)} %` : tolerance;
    hint.textContent = `誤差 ${room} まで正解とします。全角の数字、1/32、1e-3 の形でも入力できます。`;
    input.setAttribute("aria-describedby", hint.id);
    const label = element("label", { htmlFor: input.id, textContent: "答え" });
    fieldset.append(element("legend", { textContent: "数で答えてください" }), label, input, hint);

    return () => {
      const value = toNumber(input.value);
      if (value === null) return { ask: "数を入力してください。例：0.5、1/32、1e-3" };
      const correct = near(value, values[right - 1], tolerance);
      const match = correct ? right - 1 : values.findIndex((wrong) => near(value, wrong, tolerance));
      const other = [element("p", { textContent: "よくある間違いの値とも違います。式を立てるところから確かめてください。" })];
      return { answer: input.value, correct, say: match < 0 ? other : copyOf(reasons[match], 1) };
    };
  }

  // ---- 1 つの問題 -----------------------------------------------------------------
  function enhance(quiz) {
    const name = quiz.id.replace(/^quiz-/, "");
    const question = quiz.querySelector(".quiz-question");
    const heading = quiz.closest("section")?.querySelector("h1, h2, h3")?.cloneNode(true);
    heading?.querySelector(".headerlink")?.remove();
    const details = quiz.querySelector("details");
    const reasons = details.querySelectorAll(".quiz-reasons > li");
    question.id = `${quiz.id}-question`;

    const fieldset = element("fieldset");
    fieldset.setAttribute("aria-describedby", question.id);
    const field = quiz.dataset.kind === "number" ? numberField : choiceField;
    const judge = field(quiz, fieldset, reasons);
    const mark = element("span", { className: "quiz-mark" });
    const feedback = element("div", { className: "quiz-feedback" });
    feedback.setAttribute("role", "status");
    const bar = element("div", { className: "quiz-bar" }, element("button", { textContent: "答え合わせ" }), mark);
    const form = element("form", { noValidate: true }, fieldset, bar, feedback);

    const show = () => {
      const solved = load()[name]?.solved;
      mark.textContent = solved ? "正解ずみ" : "";
    };
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      const { ask, answer, correct, say } = judge();
      feedback.dataset.result = ask ? "ask" : correct ? "right" : "wrong";
      if (ask) return feedback.replaceChildren(element("p", { textContent: ask }));
      record(name, heading?.textContent ?? "", answer, correct);
      const verdict = element("p", { className: "quiz-verdict", textContent: correct ? "正解です。" : "不正解です。" });
      feedback.replaceChildren(verdict, ...say);
      dispatchEvent(new Event("quiz-scored"));
    });
    addEventListener("quiz-scored", show);
    quiz.insertBefore(form, details);
    quiz.classList.add("ready");
    show();
    return name;
  }

  const names = [...document.querySelectorAll(".quiz")].map(enhance);

  // 問題の節。確かめるセルも一緒に隠す。節に題 (h1) があるなら、問題だけ。
  function placeOf(quiz) {
    const section = quiz.closest("section");
    return section && section.firstElementChild.tagName !== "H1" && section.querySelectorAll(".quiz").length === 1 ? section : quiz;
  }

  // ---- このページの成績 ---------------------------------------------------------------
  if (names.length) {
    const line = element("p", { className: "quiz-total" });
    const again = element("button", { type: "button" });
    const bar = element("div", { className: "quiz-bar quiz-again" }, again);
    let only = false;
    const show = () => {
      line.textContent = `このページの成績：${summary(names)}`;
      bar.hidden = !only && count(names, isWrong) === 0;
      again.textContent = only ? "すべての問題を見る" : `間違えた ${count(names, isWrong)} 問だけをもう一度`;
    };
    // 節ごと隠す。答えた印も消して、はじめから解けるようにする
    again.addEventListener("click", () => {
      only = !only;
      answered.clear();
      for (const quiz of document.querySelectorAll(".quiz")) {
        const wrong = load()[quiz.id.replace(/^quiz-/, "")];
        placeOf(quiz).hidden = only && !(wrong && isWrong(wrong));
        if (!only) continue;
        quiz.querySelector("form").reset();
        quiz.querySelector(".quiz-feedback").replaceChildren();
      }
      show();
      const first = [...document.querySelectorAll(".quiz")].find((quiz) => !placeOf(quiz).hidden);
      if (only) first?.querySelector("input").focus(); // 間違えた最初の問題へ
    });
    addEventListener("quiz-scored", show);
    document.querySelector("article").append(line, bar);
    show();
  }

  // ---- 成績の一覧 -----------------------------------------------------------------
  for (const box of document.querySelectorAll(".quiz-scores")) {
    const pages = JSON.parse(box.dataset.pages);
    for (const item of box.querySelectorAll("li")) {
      const own = pages[item.querySelector("a").getAttribute("href").split("#")[0]] ?? [];
      const score = element("span", { className: "quiz-score" });
      const share = element("meter", { max: own.length || 1 });
      share.setAttribute("aria-hidden", "true"); // 隣の文が同じことを述べる
      const show = () => {
        score.textContent = summary(own);
        share.value = count(own, isSolved);
      };
      addEventListener("quiz-scored", show);
      item.append(score, share);
      show();
    }
    const all = Object.values(pages).flat();
    const total = element("p", { className: "quiz-total" });
    const wrongs = element("ul"), wrong = element("div", { className: "quiz-wrong" }, element("p", { textContent: "間違えた問題" }), wrongs);
    const show = () => {
      total.textContent = `全部で ${summary(all)}`;
      const links = Object.entries(pages).flatMap(([page, own]) => own.filter((name) => load()[name] && isWrong(load()[name]))
        .map((name) => element("li", {}, element("a", { href: `${page}#quiz-${name}`, textContent: load()[name].title || name }))));
      wrongs.replaceChildren(...links);
      wrong.hidden = !links.length;
    };
    addEventListener("quiz-scored", show);
    box.append(total, wrong);
    show();
    const status = element("p", { className: "quiz-hint" });
    status.setAttribute("role", "status");
    const saveButton = element("button", { type: "button", textContent: "成績を CSV で保存" });
    const eraseButton = element("button", { type: "button", textContent: "成績を消す" });
    saveButton.addEventListener("click", () => {
      const url = URL.createObjectURL(new Blob([toCsv(load())], { type: "text/csv" }));
      element("a", { href: url, download: "vgbook-quiz.csv" }).click();
      setTimeout(() => URL.revokeObjectURL(url), 10000);
      status.textContent = "vgbook-quiz.csv に保存しました。";
    });
    eraseButton.addEventListener("click", () => {
      if (!confirm("すべてのページの成績を消します。元には戻せません。")) return;
      save({});
      dispatchEvent(new Event("quiz-scored"));
      status.textContent = "成績を消しました。";
    });
    box.append(element("div", { className: "quiz-bar" }, saveButton, eraseButton), status);
    box.classList.add("ready");
  }
})();
