"""One target by many ranks: their CPU time beside one run's, and, from chunks, their decodes.

Each rank is a process of its own, one after the other; the target must have the bytes of one run.
"""

import json
import sys

import numpy as np
import SimpleITK as sitk

from cgroup import digest
from measure import measure
from tables import Workspace, arguments, markdown, parse, remove, report

SHAPE = (500, 600, 640)
RANKS = (1, 2, 5, 16)
JOBS = [
    ("nii", ".nii", ["--scale", "1.3"]),
    ("nii", ".nii.gz", ["--scale", "1.1"]),
    ("zarr", ".zarr", ["--scale", "0.8", "--chunk", "64", "--shard", "128"]),
]


def main():
    parser = arguments(__doc__)
    parser.add_argument("--memory", default="512MiB")
    args = parse(parser)
    figures = []
    with Workspace(args.work) as folder:
        sources = {"nii": noise(args, folder), "zarr": folder / "noise.zarr"}
        converted = [args.reslice, "resample", sources["nii"], sources["zarr"], "--chunk", "64", "--shard", "none", "-q"]
        assert measure(converted).code == 0
        for source, suffix, options in JOBS:
            for ranks in RANKS:
                figures.append(row(args, folder, sources[source], suffix, options, ranks, figures))
                print(figures[-1], file=sys.stderr)
    report(args, table(figures), figures)
    sys.exit(0 if all(f["same"] for f in figures) else 1)


def noise(args, folder):
    path = folder / "noise.nii"
    voxels = np.random.default_rng(3).integers(0, 4000, SHAPE, np.uint16)
    image = sitk.GetImageFromArray(voxels)
    image.SetSpacing((1.0, 1.0, 1.5))
    sitk.WriteImage(image, str(path))
    return path


def row(args, folder, source, suffix, options, ranks, before):
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
    one = next((f for f in before if f["source"] == source.suffix and f["target"] == suffix), None)
    return {
        "source": source.suffix, "target": suffix, "ranks": ranks, "cpu_seconds": seconds, "decodes": decodes,
        "planned": planned, "digest": found, "same": one is None or one["digest"] == found,
        "ratio": seconds / one["cpu_seconds"] if one else 1.0,
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
