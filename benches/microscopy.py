"""Decode once: a light-sheet volume in 128^3 chunks to 0.8 of its step in z and 1.6 in y and x, beside dask-image.

Both read the same store and write 128^3 chunks with the same codec. Runs alternate; each is a process of its own. The
time of dask-image is that of its job without the imports (ours is the whole process). Both results are then compared,
streamed, wherever the linear taps lie inside the source: beyond, dask-image fills with zeros half a voxel earlier.
"""

import json
import statistics
import sys
from pathlib import Path

import numpy as np
import zarr

from measure import measure
from tables import Workspace, arguments, markdown, parse, remove, report, size_of
from volume import BENCH, CHUNK, codecs_of, volume

RECIPE = Path(__file__).with_name("dask_image_recipe.py")
STEP = (0.8, 1.6, 1.6)  # z, y, x
BUDGETS = ["256MiB", "512MiB"]
MOST = {"256MiB": 1.25, "512MiB": 1.02}


def main():
    parser = arguments(__doc__)
    parser.add_argument("--small", action="store_true", help="a volume of 256x384x384 voxels")
    parser.add_argument("--repeats", type=int, default=3, help="of reslice, after one that warms the page cache")
    parser.add_argument("--peer-repeats", type=int, default=2)
    parser.add_argument("--threads", type=int, default=2)
    args = parse(parser)
    source = volume(args.small)
    with Workspace(args.work or BENCH / "microscopy") as folder:
        ours, theirs = alternate(args, source, folder)
        difference = compare(folder / "ours-256MiB.zarr", folder / "theirs.zarr", source)
        figures = [facts_of_peer(theirs, folder)] + [facts_of(runs, budget, folder) for budget, runs in ours.items()]
        for name in ["theirs.zarr", *(f"ours-{budget}.zarr" for budget in ours)]:
            remove(folder / name)
    for f in figures[1:]:
        f["times_faster"] = figures[0]["seconds"] / f["seconds"]
    report(args, f"{table(figures)}\n\n{sentence(difference)}", [*figures, difference])
    sys.exit(0 if all(within(f) for f in figures[1:]) and difference["largest"] <= 1 else 1)


def alternate(args, source, folder):
    """Runs per budget, each with its summary, and runs of the peer."""
    ours, theirs = {budget: [] for budget in BUDGETS}, []
    for turn in range(args.repeats + 1):
        for budget in BUDGETS:
            run = reslice(args, source, folder, budget)
            if turn:
                ours[budget].append(run)
        if turn < args.peer_repeats:
            remove(folder / "theirs.zarr")
            steps = ",".join(map(str, STEP))
            theirs.append(succeed([sys.executable, RECIPE, source / "0", folder / "theirs.zarr", steps, args.threads]))
    return ours, theirs


def reslice(args, source, folder, budget):
    """One run of ours, its summary in `run.summary`."""
    out, summary = folder / f"ours-{budget}.zarr", folder / "summary.json"
    remove(out)
    spacing = ",".join(map(str, STEP[::-1]))
    layout = ["--codec", "blosc-zstd:5", "--chunk", CHUNK, "--shard", "none"]
    limits = ["--memory", budget, "--threads", args.threads, "--summary", summary]
    run = succeed([args.reslice, "resample", source, out, "--spacing", spacing, *layout, *limits])
    run.summary = json.loads(summary.read_text())
    summary.unlink()
    return run


def succeed(argv):
    run = measure(argv)
    if run.code:
        sys.exit(f"exit {run.code}: {' '.join(map(str, argv))}\n{run.stderr}")
    print(f"{Path(argv[0]).name} {run.seconds:.1f} s, {run.peak_mib:.0f} MiB", file=sys.stderr)
    return run


def facts_of_peer(runs, folder):
    jobs = [json.loads(run.stdout)["job"] for run in runs]
    return {
        "what": "dask-image",
        "repeats": len(runs),
        "seconds": statistics.median(jobs),
        "seconds_all": [round(s, 2) for s in jobs],
        "process_seconds": statistics.median(run.seconds for run in runs),
        "cpu_seconds": statistics.median(run.cpu_seconds for run in runs),
        "peak_mib": max(run.peak_mib for run in runs),
        "bytes": size_of(folder / "theirs.zarr"),
    }


def facts_of(runs, budget, folder):
    """Figures of one budget; the plan's are those of the first pass, which every run must share."""
    passes = runs[0].summary["passes"]
    return {
        "what": f"reslice `--memory {budget}`",
        "budget_mib": float(budget.removesuffix("MiB")),
        "most_amplification": MOST[budget],
        "repeats": len(runs),
        "seconds": statistics.median(run.seconds for run in runs),
        "seconds_all": [round(run.seconds, 2) for run in runs],
        "cpu_seconds": statistics.median(run.cpu_seconds for run in runs),
        "peak_mib": max(run.peak_mib for run in runs),
        "bytes": size_of(folder / f"ours-{budget}.zarr"),
        "passes": len(passes),
        "block": passes[0]["plan"]["block"],
        "projected_mib": passes[0]["projected_bytes"] / (1 << 20),
        "planned": passes[0]["planned_amplification"],
        "measured": [run.summary["passes"][0]["amplification"] for run in runs],
        "stages": passes[0]["done"]["stages"],
    }


def within(f):
    """What must hold on any machine; times are for the reader."""
    equal = all(measured == f["planned"] for measured in f["measured"])
    return equal and f["planned"] <= f["most_amplification"] and f["peak_mib"] <= f["budget_mib"] and f["passes"] == 1


def compare(ours, theirs, source):
    """Largest difference of two stores where every tap lies inside the source; a slab of chunks at a time."""
    ours, theirs, source = zarr.open_array(ours / "0"), zarr.open_array(theirs), zarr.open_array(source / "0")
    if ours.shape != theirs.shape or codecs_of(ours) != codecs_of(theirs) or ours.chunks != theirs.chunks:
        sys.exit(f"not the same target: {ours.metadata} and {theirs.metadata}")
    inside = [int(np.floor((n - 1) / step + 1e-9)) + 1 for n, step in zip(source.shape, STEP)]
    inside = [min(n, m) for n, m in zip(inside, ours.shape)]
    largest = differ = voxels = 0
    for z in range(0, inside[0], CHUNK):
        box = (slice(z, min(z + CHUNK, inside[0])), slice(0, inside[1]), slice(0, inside[2]))
        a, b = ours[box], theirs[box]
        unequal = a != b
        apart = np.abs(a[unequal].astype(np.int32) - b[unequal])
        largest, differ, voxels = max(largest, int(apart.max(initial=0))), differ + apart.size, voxels + a.size
    return {"largest": largest, "differ": differ, "voxels": voxels, "target_voxels": int(np.prod(ours.shape))}


def sentence(d):
    share = "none differ" if not d["differ"] else f"{d['differ']} differ"
    return (f"Largest difference of the two results over {d['voxels'] / 1e6:.0f} of {d['target_voxels'] / 1e6:.0f} million "
            f"voxels, all whose taps lie inside: {d['largest']} ({share}).")


def table(figures):
    heads = ["", "s", "times faster", "peak RSS MiB", "amplification planned", "measured", "output MiB"]
    rows = []
    for f in figures:
        ours = "planned" in f
        rows.append([
            f["what"],
            f"{f['seconds']:.1f}",
            f"**{f['times_faster']:.2f}**" if ours else "",
            f"**{f['peak_mib']:.0f}**" if ours else f"{f['peak_mib']:.0f}",
            f"{f['planned']:.3f}" if ours else "",
            f"{statistics.median(f['measured']):.3f}" if ours else "",
            f"{f['bytes'] / (1 << 20):.0f}",
        ])
    return markdown(heads, rows)


if __name__ == "__main__":
    main()
