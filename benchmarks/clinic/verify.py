"""健康と病気を、300 回の学習で確かめる。``python verify.py [zoo か held_back] [名前 ...]``"""

import sys
import warnings

import torch
from held_back import HELD_BACK
from patients import PATIENTS
from zoo import ZOO

torch.set_num_threads(1)


def course(p, steps=300):
    losses = []
    for _ in range(steps):
        p.optimizer.zero_grad()
        x = p.x if isinstance(p.x, tuple) else (p.x,)
        value = p.loss(p.model(*x), p.y)
        if value.requires_grad:
            value.backward()
        p.optimizer.step()
        losses.append(float(value.detach()))
    return losses


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    collections = {"zoo": ZOO, "patients": PATIENTS, "held_back": HELD_BACK}
    chosen = [collections[a] for a in sys.argv[1:] if a in collections]
    entries = chosen[0] if chosen else PATIENTS
    for name in [a for a in sys.argv[1:] if a not in collections] or entries:
        entry = entries[name]
        losses = course(entry.make())
        words = " ".join(sorted(entry.roots)) or "healthy"
        line = f"{name:26s} {words:28s} {losses[0]:9.3g} -> {losses[-1]:9.3g}"
        if entry.roots:
            twin = course(entry.make(cured=True))
            line += f" | 双子 {twin[0]:9.3g} -> {twin[-1]:9.3g}"
        print(line, flush=True)
