"""One target by many ranks: their CPU time beside one run's, and, from chunks, their decodes.

Each rank is a process of its own, one after the other; the target must have the bytes of one run. All numbers of ranks are run in
turn, `--repeats` times; CPU times are medians.
"""

import json
import statistics
import sys

import numpy as np
import SimpleITK as sitk

from cgroup import digest
from measure import measure
from tables import Workspace, arguments, markdown, parse, remove, report

SHAPE = (750, 800, 900)
RANKS = (1, 2, 5, 16)
JOBS = [
    ("nii", ".nii", ["--scale", "1.4"]),
    ("nii", ".nii.gz", ["--scale", "0.8"]),
    ("zarr", ".zarr", ["--scale", "0.8", "--chunk", "64", "--shard", "128"]),
]


def main():
    parser = arguments(__doc__)
    parser.add_argument("--memory", default="512MiB")
    parser.add_argument("--repeats", type=int, default=3)
    args = parse(parser)
    figures = []
    with Workspace(args.work) as folder:
        sources = {"nii": noise(args, folder), "zarr": folder / "noise.zarr"}
        converted = [args.reslice, "resample", sources["nii"], sources["zarr"], "--chunk", "64", "--shard", "none", "-q"]
        assert measure(converted).code == 0
        for source, suffix, options in JOBS:
            runs = {ranks: [] for ranks in RANKS}
            for _ in range(args.repeats):
                for ranks in RANKS:
                    runs[ranks].append(run_all(args, folder, sources[source], suffix, options, ranks))
                    print(sources[source].suffix, suffix, ranks, runs[ranks][-1], file=sys.stderr)
            figures += rows(sources[source].suffix, suffix, runs)
    report(args, table(figures), figures)
    sys.exit(0 if all(f["same"] for f in figures) else 1)


def noise(args, folder):
    path = folder / "noise.nii"
    voxels = np.random.default_rng(3).integers(0, 4000, SHAPE, np.uint16)
    image = sitk.GetImageFromArray(voxels)
    image.SetSpacing((1.0, 1.0, 1.5))
    sitk.WriteImage(image, str(path))
    return path


def run_all(args, folder, source, suffix, options, ranks):
    """CPU seconds, decodes, planned decodes and digest of all ranks together."""
    out, summary = folder / f"out{suffix}", folder / "summary.json"
    argv = [args.reslice, "resample", source, out, *options, "--memory", args.memory, "--threads", "1", "--summary", summary]
    seconds, decodes, planned = 0.0, 0, 0
    for rank in range(ranks):
        run = measure([*argv, "--rank", f"{rank}/{ranks}"])
        assert run.code == 0, run.stderr
        facts = json.loads(summary.read_text())
        seconds += run.cpu_seconds
        decodes += sum(p["done"]["decodes"] for p in facts["passes"] if p["done"])
        planned += sum(p["plan"]["totals"]["decodes"] for p in facts["passes"])
    found = digest(out)
    remove(out)
    remove(folder / f"out{suffix}.reslice")
    return seconds, decodes, planned, found


def rows(source, suffix, runs):
    one = statistics.median(seconds for seconds, *_ in runs[1])
    digests = {found for of_ranks in runs.values() for *_, found in of_ranks}
    for ranks, of_ranks in runs.items():
        seconds = statistics.median(seconds for seconds, *_ in of_ranks)
        _, decodes, planned, _ = of_ranks[0]
        yield {
            "source": source, "target": suffix, "ranks": ranks, "cpu_seconds": seconds, "decodes": decodes, "planned": planned,
            "same": len(digests) == 1, "ratio": seconds / one,
        }


def table(figures):
    heads = ["source", "target", "ranks", "CPU seconds, all ranks", "over one", "chunk decodes (planned)", "same bytes"]
    decodes = lambda f: f"{f['decodes']} ({f['planned']})" if f["decodes"] else ""
    rows = [
        [f["source"], f["target"], f["ranks"], f"{f['cpu_seconds']:.1f}", f"{f['ratio']:.2f}", decodes(f), "yes" if f["same"] else "NO"]
        for f in figures
    ]
    return markdown(heads, rows)


if __name__ == "__main__":
    main()
