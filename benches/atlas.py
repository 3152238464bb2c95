"""Labels: an atlas of 5 000 labels of 64 bits beside the same parcels under 5 names, and beside 5 large regions.

Parcels are the neighbourhoods of random places, 256^3 voxels of 1 mm, to 0.68 mm with `--interp label`. What may cost is how much
border there is between parcels; the number of names must not. Every label of the targets is one of the source.
"""

import os
import statistics
import sys

import numpy as np
import SimpleITK as sitk
from scipy.spatial import cKDTree

from measure import measure
from tables import Workspace, arguments, markdown, parse, report

SIZE, STEP = 256, 0.68
HEADER = 352


def main():
    parser = arguments(__doc__)
    parser.add_argument("--size", type=int, default=SIZE, help="voxels along an axis of the atlas")
    parser.add_argument("--labels", type=int, default=5000)
    parser.add_argument("--few", type=int, default=5)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--memory", default="256MiB")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--interp", default="label")
    args = parse(parser)
    with Workspace(args.work) as folder:
        sources = atlases(args, folder)
        runs = {name: [] for name in sources}
        for turn in range(args.repeats + 1):
            for name, (path, labels) in sources.items():
                run = resample(args, path, folder / "out.nii")
                if turn:
                    runs[name].append(run)
                else:
                    check(folder / "out.nii", labels, name)
        figures = [facts(name, runs[name], labels, runs) for name, (_, labels) in sources.items()]
    report(args, table(figures), figures)


def atlases(args, folder):
    """Name of each source, with its file and its labels. The first is the one to beat."""
    many, few = parcels(args.size, args.labels), parcels(args.size, args.few)
    made = {
        f"{args.few} large regions": few,
        f"{args.few} names for {args.labels} parcels": many % args.few,
        f"{args.labels} labels": many,
    }
    sources = {}
    for number, (name, numbers) in enumerate(made.items()):
        # Names that no f64 tells apart.
        labels = np.iinfo(np.uint64).max - numbers.astype(np.uint64)
        path = folder / f"atlas{number}.nii"
        sitk.WriteImage(sitk.GetImageFromArray(labels), str(path))
        sources[name] = (path, np.unique(labels))
    return sources


def parcels(size, count, seed=5):
    """The number of the nearest of `count` random places, for every voxel, a few planes at a time."""
    tree = cKDTree(np.random.default_rng(seed).uniform(0, size, (count, 3)))
    nearest = np.empty((size, size, size), np.uint32)
    for z in range(0, size, 8):
        at = np.stack(np.mgrid[z : min(z + 8, size), :size, :size], axis=-1)
        nearest[z : z + 8] = tree.query(at, workers=len(os.sched_getaffinity(0)))[1]
    return nearest


def resample(args, source, out):
    argv = [args.reslice, "resample", source, out, "--spacing", STEP, "--align", "edges", "--interp", args.interp]
    argv += ["--memory", args.memory, "--threads", args.threads, "--overwrite"]
    run = measure(argv)
    if run.code:
        sys.exit(f"exit {run.code}: {' '.join(map(str, argv))}\n{run.stderr}")
    return run


def check(out, labels, name):
    """Ends with a message if the target has a label that the source has not."""
    voxels = np.memmap(out, np.uint64, "r", offset=HEADER)
    found = np.unique(voxels)
    strange = np.setdiff1d(found, labels)
    if strange.size:
        sys.exit(f"{name}: {strange.size} labels were invented, {strange[0]} among them")
    print(f"{name}: {found.size} of {labels.size} labels in {voxels.size / 1e6:.0f} million voxels", file=sys.stderr)


def facts(name, mine, labels, runs):
    first = next(iter(runs.values()))
    seconds = statistics.median(run.seconds for run in mine)
    return {
        "source": name,
        "labels": int(labels.size),
        "seconds": seconds,
        "seconds_all": [round(run.seconds, 3) for run in mine],
        "cpu_seconds": statistics.median(run.cpu_seconds for run in mine),
        "peak_mib": max(run.peak_mib for run in mine),
        "of_first": seconds / statistics.median(run.seconds for run in first),
    }


def table(figures):
    heads = ["atlas", "s", "CPU s", "of the first", "peak MiB"]
    rows = [[f["source"], f"{f['seconds']:.2f}", f"{f['cpu_seconds']:.2f}", f"**{f['of_first']:.2f}**", f"{f['peak_mib']:.0f}"]
            for f in figures]
    return markdown(heads, rows)


if __name__ == "__main__":
    main()
