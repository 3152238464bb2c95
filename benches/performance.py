"""Runs the benchmarks and writes their tables into docs/performance.md, between the markers of each.

    benches/run [--only seed_job,interpolators,atlas,...] [--repeats N]
"""

import argparse
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "performance.md"
# Tables that stand on another page.
PAGES = {}
BENCHMARKS = [
    "jobs", "seed_job", "interpolators", "methods", "picking", "atlas", "displacement", "dicom_series", "microscopy", "thumbnail", "pyramid", "blosc",
    "fixed_memory", "same_bytes", "cgroup", "ranks",
]
REPEATED = ["jobs", "seed_job", "interpolators", "picking", "atlas"]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default=",".join(BENCHMARKS))
    parser.add_argument("--repeats", help=f"of {', '.join(REPEATED)} (default: what each says)")
    args = parser.parse_args()
    for name in args.only.split(","):
        options = ["--repeats", args.repeats] if name in REPEATED and args.repeats else []
        write(PAGES.get(name, PAGE), name, table_of(name, options))
        write(PAGE, "machine", machine())
        print(f"wrote {name}")


def write(path, name, text):
    path.write_text(replaced(path.read_text(), path.name, name, text))


def table_of(name, options):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "figures.json"
        script = Path(__file__).with_name(f"{name}.py")
        done = subprocess.run([sys.executable, script, "--json", path, *options], check=False)
        if not path.exists():
            sys.exit(f"{name} ended with {done.returncode} and no figures")
        return json.loads(path.read_text())["table"]


def replaced(page, page_name, name, text):
    """`page` with what stands between `<!-- NAME -->` and `<!-- /NAME -->` replaced."""
    pattern = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
    if not pattern.search(page):
        sys.exit(f"{page_name} has no <!-- {name} --> markers")
    return pattern.sub(lambda m: f"{m[1]}{text}\n{m[2]}", page)


def machine():
    """Cores, processor, memory and system; no names."""
    cpu = platform.machine()
    flags = ""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        key, _, value = line.partition(":")
        if key.strip() == "model name":
            cpu = value.strip()
        if key.strip() == "flags":
            found = [f for f in ("avx512f", "avx2", "avx") if f in value.split()]
            flags = f" ({found[0]})" if found else ""
            break
    total = next(line for line in Path("/proc/meminfo").read_text().splitlines() if line.startswith("MemTotal"))
    gib = int(total.split()[1]) / (1 << 20)
    return f"{len(os.sched_getaffinity(0))} cores of {cpu}{flags}, {gib:.0f} GiB of memory, {platform.system()}."


if __name__ == "__main__":
    main()
