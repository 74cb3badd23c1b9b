// 表紙の図。棒の位置も文も、組むときに計算してある。最初の図は HTML にある。
"use strict";

for (const cover of document.querySelectorAll(".vg-cover")) {
  const { tops, verdicts, readout, stds } = JSON.parse(cover.querySelector("script").textContent);
  const slider = cover.querySelector("input[type=range]"), shown = cover.querySelector(".vg-value");
  const bars = cover.querySelectorAll("rect"), said = cover.querySelector("[role=status]");
  const one = Number(cover.querySelector(".one").getAttribute("d").match(/ (\d+)H/)[1]); // 1 倍の線
  const show = () => {
    const i = Number(cover.querySelector(":checked").value), j = Number(slider.value);
    for (const [k, top] of tops[i][j].entries()) {
      bars[k].setAttribute("y", Math.min(top, one) - 1);
      bars[k].setAttribute("height", Math.abs(top - one) + 2);
    }
    cover.dataset.verdict = verdicts[i][j];
    shown.textContent = stds[j];
    slider.setAttribute("aria-valuetext", stds[j]);
    if (said.textContent !== readout[i][j]) said.textContent = readout[i][j];
  };
  cover.addEventListener("input", show);
  show(); // 戻ってきた読者のつまみは、前の位置にある
}
