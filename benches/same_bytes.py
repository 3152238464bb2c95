"""Hashes of the seed job's outputs for every budget and number of threads: one line per format, one hash in each."""

import hashlib
import itertools
import sys

from measure import measure
from tables import Workspace, arguments, markdown, parse, remove, report

BUDGETS, THREADS = ["64MiB", "200MiB", "2GiB"], ["1", "2", "5"]
FORMATS = [".nii", ".nii.gz", ".zarr"]


def main():
    args = parse(arguments(__doc__))
    if not args.scan.exists():
        sys.exit(f"no scan at {args.scan}")
    figures = []
    with Workspace(args.work) as folder:
        for suffix in FORMATS:
            hashes = {}
            for memory, threads in itertools.product(BUDGETS, THREADS):
                out = folder / f"out{suffix}"
                argv = [args.reslice, "resample", args.scan, out, "--spacing", "0.4"]
                run = measure([*argv, "--memory", memory, "--threads", threads])
                if run.code:
                    sys.exit(f"exit {run.code}: {suffix} {memory} {threads}\n{run.stderr}")
                hashes[f"{memory}, {threads} threads"] = digest(out)
                remove(out)
            figures.append({"format": suffix, "hashes": hashes, "equal": len(set(hashes.values())) == 1})
    rows = [[f["format"], len(f["hashes"]), "yes" if f["equal"] else "**no**",
             next(iter(f["hashes"].values()))[:16]] for f in figures]
    report(args, markdown(["output", "runs", "same bytes", "sha256"], rows), figures)
    sys.exit(0 if all(f["equal"] for f in figures) else 1)


def digest(path):
    """A hash of a file, or of every file of a folder with its name."""
    sha = hashlib.sha256()
    files = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
    for file in files:
        sha.update(str(file.relative_to(path)).encode() + b"\0")
        with open(file, "rb") as f:
            while piece := f.read(1 << 20):
                sha.update(piece)
    return sha.hexdigest()


if __name__ == "__main__":
    main()
