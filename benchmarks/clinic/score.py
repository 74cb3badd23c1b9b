"""診断の成績: 病気を見つけ、健康を責めないか。"""

import importlib.util
import sys
import time
import warnings

import torch
from patients import PATIENTS

from vgbook.clinic import diagnose

torch.set_num_threads(1)
warnings.simplefilter("ignore")


def collection(path):
    if path is None:
        return {n: (e.make, e.roots) for n, e in PATIENTS.items()}
    spec = importlib.util.spec_from_file_location("zoo", path)
    assert spec is not None
    assert spec.loader is not None
    zoo = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(zoo)
    return {n: (e.make, e.root - {"healthy"}) for n, e in zoo.CASES.items()}


def main():
    path = next((a for a in sys.argv[1:] if a.endswith(".py")), None)
    wanted = [a for a in sys.argv[1:] if not a.endswith(".py")]
    found = accused = sick = well = 0
    for name, (make, roots) in collection(path).items():
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
