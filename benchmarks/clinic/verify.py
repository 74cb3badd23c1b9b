"""`patients.py` の健康と病気を、300 回の学習で確かめる。"""

import sys

import torch
from patients import PATIENTS

torch.set_num_threads(1)


def course(p, steps=300):
    losses = []
    for _ in range(steps):
        p.optimizer.zero_grad()
        x = p.x if isinstance(p.x, tuple) else (p.x,)
        value = p.loss(p.model(*x), p.y)
        value.backward()
        p.optimizer.step()
        losses.append(float(value))
    return losses


if __name__ == "__main__":
    for name in sys.argv[1:] or PATIENTS:
        entry = PATIENTS[name]
        losses = course(entry.make())
        words = " ".join(sorted(entry.roots)) or "healthy"
        line = f"{name:26s} {words:28s} {losses[0]:9.3g} -> {losses[-1]:9.3g}"
        if entry.roots:
            twin = course(entry.make(cured=True))
            line += f" | 双子 {twin[0]:9.3g} -> {twin[-1]:9.3g}"
        print(line, flush=True)
