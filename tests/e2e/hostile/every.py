"""Runs hostile cases, and prints how many of each kind there were and which were bad.

    target/e2e-venv/bin/python tests/e2e/hostile/every.py [ROUNDS] [--seed N] [--only KIND] [--seconds N]

RESLICE_ROUNDS and RESLICE_SEED say the same. Case n of a seed is always the same. RESLICE is the binary.
"""

import argparse
import os
import shutil
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

E2E = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(E2E), str(E2E.parent.parent / "benches")]
os.environ.setdefault("RESLICE", str(E2E.parent.parent / "target/release/reslice"))

from hostile.cases import KINDS, Case, Launcher, Wrong, make_sources  # noqa: E402


def run(rounds, seed, only=None, seconds=float("inf")):
    """(kind, seed of the case, what is wrong) of each bad case, and how many there were of each kind."""
    kinds = [kind for kind in KINDS if only in (None, kind.__name__)]
    if os.geteuid() != 0:
        # Limits of processes are a user's, and so are others' links.
        kinds = [kind for kind in kinds if kind.__name__ not in ("threads", "links")]
    bad, count, begun, peak = [], Counter(), time.monotonic(), 0
    with tempfile.TemporaryDirectory() as top:
        os.chmod(top, 0o755)
        top, launcher = Path(top), Launcher()
        sources = top / "sources"
        sources.mkdir()
        make_sources(sources)
        for n in range(rounds):
            if time.monotonic() - begun > seconds:
                break
            kind, folder = kinds[n % len(kinds)], top / f"case-{n}"
            case = Case(launcher, sources, folder, f"{seed}-{n}")
            count[kind.__name__] += 1
            try:
                kind(case)
            except Wrong as wrong:
                bad.append((kind.__name__, f"{seed}-{n}", f"{wrong}; {told(case)}"))
            peak = max([peak, *(done["peak_bytes"] for _, _, done in case.runs)])
            shutil.rmtree(folder, ignore_errors=True)
        launcher.close()
    return bad, count, peak


def told(case):
    if not case.runs:
        return ""
    args, how, done = case.runs[-1]
    return f"exit {done['code']} of {' '.join(map(repr, args))} {how or ''}: {done['stderr'][-600:]!r}"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("rounds", type=int, nargs="?", default=int(os.environ.get("RESLICE_ROUNDS", 5000)))
    parser.add_argument("--seed", default=os.environ.get("RESLICE_SEED", "1"))
    parser.add_argument("--only")
    parser.add_argument("--seconds", type=float, default=float("inf"))
    args = parser.parse_args()
    bad, count, peak = run(args.rounds, args.seed, args.only, args.seconds)
    bad_of = Counter(kind for kind, _, _ in bad)
    for kind in count:
        print(f"{kind:15} {count[kind]:6} cases {bad_of[kind]:5} bad")
    print(f"{'all':15} {sum(count.values()):6} cases {len(bad):5} bad, highest peak {peak / (1 << 20):.1f} MiB")
    for kind, seed, what in bad[:60]:
        print(f"{kind} {seed}: {what}")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
