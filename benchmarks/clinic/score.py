"""診断の成績: 病気を見つけ、健康を責めないか。``python score.py [集まり] [名前 ...]``"""

import sys
import time
import warnings

import torch
from held_back import HELD_BACK
from patients import PATIENTS
from zoo import ZOO

from vgbook.clinic import diagnose

torch.set_num_threads(1)
warnings.simplefilter("ignore")


def main():
    collections = {"zoo": ZOO, "patients": PATIENTS, "held_back": HELD_BACK}
    chosen = [a for a in sys.argv[1:] if a in collections] or list(collections)
    wanted = [a for a in sys.argv[1:] if a not in collections]
    everyone = {n: e for c in chosen for n, e in collections[c].items()}
    found = accused = sick = well = 0
    for name, entry in everyone.items():
        make, roots = entry.make, entry.roots
        if wanted and name not in wanted:
            continue
        for cured in (False, True) if roots else (None,):
            c = make() if cured is None else make(cured=cured)
            expect = roots if cured is False else set()
            t = time.process_time()
            r = diagnose(c.model, c.x, c.y, loss=c.loss, optimizer=c.optimizer)
            spent = time.process_time() - t
            first = r.findings[0].slug if r.findings else ""
            good = first in expect if expect else not first
            if expect:
                sick, found = sick + 1, found + good
            else:
                well, accused = well + 1, accused + (not good)
            trials = " ".join(f"{t.name}:{t.score:.2f}({len(t.losses)})" for t in r.trials)
            print(
                f"{'ok ' if good else 'NG '} {name + (' cured' if cured else ''):28s} "
                f"want {'/'.join(sorted(expect)) or '-':24s} "
                f"got {','.join(f.slug for f in r.findings) or '-':18s}"
                f" {spent:5.1f}s {trials} | {r.findings[0].evidence if r.findings else ''}",
                flush=True,
            )
    print(f"病気 {found}/{sick}、責めた健康 {accused}/{well}")


if __name__ == "__main__":
    main()
