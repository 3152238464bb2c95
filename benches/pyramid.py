"""Four levels of means below a stored volume: reslice pyramid, tensorstore's downsample driver, zarrs_ome.

All make 512x768x768, ... 64x96x96 voxels in 128^3 chunks with the codec of level 0, each level from the stored one
above. reslice and tensorstore add them to a store (its level 0 is linked, not copied); zarrs_ome cannot and writes
level 0 anew as well. Runs alternate; each is a process of its own. Then every level of ours is held against
tensorstore's downsampling of our level above: equal but for exact ties, which tensorstore rounds to even.
"""

import itertools
import json
import statistics
import subprocess
import sys
from pathlib import Path

import numpy as np
import tensorstore as ts
import zarr

from measure import MIB, measure
from tables import ROOT, Workspace, arguments, markdown, parse, remove, report, size_of
from volume import BENCH, CHUNK, codecs_of, linked, volume

RECIPE = Path(__file__).with_name("tensorstore_recipe.py")
LEVELS = 4
ZARRS_TOOLS = "0.8.1"


def main():
    parser = arguments(__doc__)
    parser.add_argument("--small", action="store_true", help="a volume of 256x384x384 voxels")
    parser.add_argument("--repeats", type=int, default=3, help="after one that warms the page cache")
    parser.add_argument("--memory", default="256MiB")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--zarrs-ome", help="its binary (default: built once, into target/zarrs_tools)")
    parser.add_argument("--no-zarrs-ome", action="store_true")
    args = parse(parser)
    source = volume(args.small)
    jobs = {"reslice": reslice, "tensorstore": tensorstore}
    if not args.no_zarrs_ome:
        args.zarrs_ome = args.zarrs_ome or installed()
        jobs["zarrs_ome"] = zarrs_ome
    with Workspace(args.work or BENCH / "pyramid") as folder:
        runs = alternate(args, jobs, source, folder)
        figures = [facts_of(name, runs[name], folder) for name in jobs]
        levels = [compare(folder, level) for level in range(1, LEVELS + 1)]
        for name in jobs:
            remove(folder / f"{name}.zarr")
    for f in figures[1:]:
        f["times_slower"] = f["seconds"] / figures[0]["seconds"]
    report(args, f"{table(figures, args)}\n\n{sentence(levels)}", [*figures, levels])
    peak_holds = figures[0]["peak_mib"] <= float(args.memory.removesuffix("MiB"))
    sys.exit(0 if peak_holds and all(f["ties"] == f["differ"] for f in levels) else 1)


def installed():
    """The binary of the crate zarrs_tools, built where it is missing."""
    root = ROOT / "target" / "zarrs_tools"
    binary = root / "bin" / "zarrs_ome"
    if not binary.exists():
        what = ["zarrs_tools", "--version", ZARRS_TOOLS, "--locked", "--features", "ome", "--bin", "zarrs_ome"]
        subprocess.run(["cargo", "install", *what, "--root", root], check=True, stdin=subprocess.DEVNULL)
    return binary


def alternate(args, jobs, source, folder):
    runs = {name: [] for name in jobs}
    for turn, (name, job) in itertools.product(range(args.repeats + 1), jobs.items()):
        out = folder / f"{name}.zarr"
        remove(out)
        run = job(args, source, out)
        if run.code:
            sys.exit(f"exit {run.code}: {name}\n{run.stderr}")
        print(f"{name} {run.seconds:.1f} s, {run.peak_mib:.0f} MiB", file=sys.stderr)
        if turn:
            runs[name].append(run)
    return runs


def reslice(args, source, out):
    how = ["--levels", LEVELS, "--method", "mean", "--memory", args.memory, "--threads", args.threads]
    run = measure([args.reslice, "pyramid", linked(source, out), *how])
    run.job_seconds = run.seconds
    return run


def tensorstore(args, source, out):
    run = measure([sys.executable, RECIPE, linked(source, out), LEVELS, args.threads])
    run.job_seconds = json.loads(run.stdout)["job"] if not run.code else None
    return run


def zarrs_ome(args, source, out):
    env = {"RAYON_NUM_THREADS": str(args.threads)}
    run = measure([args.zarrs_ome, "--max-levels", LEVELS, source / "0", out], env=env)
    run.job_seconds = run.seconds
    return run


def facts_of(name, runs, folder):
    return {
        "what": name,
        "repeats": len(runs),
        "seconds": statistics.median(run.job_seconds for run in runs),
        "seconds_all": [round(run.job_seconds, 2) for run in runs],
        "process_seconds": statistics.median(run.seconds for run in runs),
        "cpu_seconds": statistics.median(run.cpu_seconds for run in runs),
        "peak_mib": max(run.peak_mib for run in runs),
        "bytes": sum(size_of(folder / f"{name}.zarr" / str(level)) for level in range(1, LEVELS + 1)),
    }


def compare(folder, level):
    """Our level beside tensorstore's view of our level above, and beside what tensorstore stored; chunk by chunk."""
    ours, above = opened(folder / "reslice.zarr", level), opened(folder / "reslice.zarr", level - 1)
    theirs = opened(folder / "tensorstore.zarr", level)
    check_layout(folder, level)
    view = ts.downsample(above, [2] * above.rank, "mean")
    facts = {"level": level, "voxels": int(np.prod(ours.shape)), "differ": 0, "ties": 0, "stored_apart": 0}
    for box in boxes(ours.shape):
        a, b, c = (array[box].read().result() for array in (ours, view, theirs))
        unequal = a != b
        facts["differ"] += int(unequal.sum())
        facts["ties"] += int((unequal & tied(above, box)).sum()) if unequal.any() else 0
        facts["stored_apart"] = max(facts["stored_apart"], int(np.abs(a.astype(np.int64) - c).max()))
    return facts


def tied(above, box):
    """Where the sum of the voxels of the level above leaves half a unit over."""
    voxels = above[tuple(slice(2 * s.start, min(2 * s.stop, n)) for s, n in zip(box, above.shape))].read().result()
    total, count = voxels.astype(np.int64), 1
    for axis, n in enumerate(voxels.shape):
        if n % 2:
            raise SystemExit(f"an odd extent of {n} voxels: not of this benchmark")
        total = np.add.reduceat(total, np.arange(0, n, 2), axis=axis)
        count *= 2
    return total % count == count // 2


def check_layout(folder, level):
    ours, theirs = (zarr.open_array(folder / f"{name}.zarr" / str(level)) for name in ("reslice", "tensorstore"))
    # A chunk is no larger than the array in ours; tensorstore keeps the chunk of level 0.
    chunks = [tuple(map(min, array.chunks, array.shape)) for array in (ours, theirs)]
    if ours.shape != theirs.shape or chunks[0] != chunks[1] or codecs_of(ours) != codecs_of(theirs):
        sys.exit(f"not the same level {level}: {ours.metadata} and {theirs.metadata}")


def opened(store, level):
    return ts.open({"driver": "zarr3", "kvstore": {"driver": "file", "path": f"{store}/{level}/"}}, read=True).result()


def boxes(shape):
    for low in itertools.product(*(range(0, n, CHUNK) for n in shape)):
        yield tuple(slice(at, min(at + CHUNK, n)) for at, n in zip(low, shape))


def sentence(levels):
    parts = [f"level {f['level']}: {f['differ']} of {f['voxels']}" for f in levels]
    other = sum(f["differ"] - f["ties"] for f in levels)
    return (f"Voxels of ours that are not tensorstore's mean of the level above, {', '.join(parts)}; "
            f"all but {other} of them are exact ties. Largest difference of the stored pyramids: "
            f"{max(f['stored_apart'] for f in levels)}.")


def table(figures, args):
    heads = ["", "s", "of reslice's", "peak RSS MiB", "levels 1-4 MiB"]
    rows = []
    for f in figures:
        ours = f["what"] == "reslice"
        rows.append([
            f"reslice `--memory {args.memory}`" if ours else f["what"],
            f"{f['seconds']:.1f}",
            "" if ours else f"**{f['times_slower']:.2f}**",
            f"**{f['peak_mib']:.0f}**" if ours else f"{f['peak_mib']:.0f}",
            f"{f['bytes'] / MIB:.0f}",
        ])
    return markdown(heads, rows)


if __name__ == "__main__":
    main()
