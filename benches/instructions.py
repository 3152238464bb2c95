#!/usr/bin/env python3
"""Counts the instructions of the hot loops, and holds them against benches/instructions.txt: `benches/instructions.py [--write]`.

A count does not depend on what else the machine does, so that a loop that got slower shows at once, and in CI. Valgrind's callgrind counts; where
it is not installed, nothing is checked, and this says so. Valgrind knows AVX2 but not AVX-512, so the copies for AVX2 are what is counted. Other
compilers make other code: `--write` takes the counts as they are into the table.
"""

import argparse
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TABLE = Path(__file__).with_suffix(".txt")
TOLERANCE = 0.05


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="make the table anew")
    args = parser.parse_args()
    if not shutil.which("valgrind"):
        print("instructions: not counted, for valgrind is not installed")
        return
    program, compiler = built(), output(["rustc", "--version"]).strip()
    names = output([program]).split("\n")[:-1]
    start = counted(program, "nothing")
    counts = {name: counted(program, name) - start for name in names}
    if args.write:
        lines = [f"# {compiler}; instructions of each loop of benches/instructions.rs, by benches/instructions.py --write"]
        TABLE.write_text("\n".join(lines + [f"{name}\t{count}" for name, count in counts.items()]) + "\n")
        print(f"instructions: wrote {TABLE.relative_to(ROOT)}")
        return
    sys.exit(compare(counts, compiler))


def built():
    """The release build of the loops."""
    argv = ["cargo", "bench", "--locked", "--bench", "instructions", "--no-run", "--message-format=json"]
    told = subprocess.run(argv, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True, stdin=subprocess.DEVNULL).stdout
    found = re.findall(r'"executable":"([^"]*/instructions-[^"]*)"', told)
    return found[-1] if found else sys.exit("instructions: cargo named no program")


def counted(program, name):
    argv = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", program, name]
    told = subprocess.run(argv, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    found = re.search(r"Collected\s*:\s*(\d+)", told.stderr)
    return int(found[1]) if found and told.returncode == 0 else sys.exit(f"instructions: {name}: {told.stderr}")


def compare(counts, compiler):
    if not TABLE.exists():
        sys.exit(f"instructions: no {TABLE.name} yet: benches/instructions.py --write")
    head, *lines = TABLE.read_text().splitlines()
    stored = {name: int(count) for name, count in (line.split("\t") for line in lines)}
    if compiler not in head:
        print(f"instructions: the table is of another compiler ({head[2:].split(';')[0]}), this one is {compiler}")
    worse = 0
    for name, count in counts.items():
        if name not in stored:
            print(f"instructions: {name} is not in the table: benches/instructions.py --write")
            worse += 1
            continue
        change = count / stored[name] - 1
        if abs(change) > TOLERANCE:
            print(f"instructions: {name}: {count / 1e6:.2f} million, {100 * change:+.1f} % of what the table has")
            worse += change > 0
    print(f"instructions: {len(counts)} loops, {worse} of them need more than {100 * TOLERANCE:.0f} % more than in the table")
    return 1 if worse else 0


def output(argv):
    return subprocess.run(argv, check=True, capture_output=True, text=True, stdin=subprocess.DEVNULL).stdout


if __name__ == "__main__":
    main()
