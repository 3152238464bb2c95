"""Methods that pick a voxel beside those that copy or mix: CPU seconds of whole processes, as medians of ratios in one run.

The MR head, its samples taken for labels, by `label` beside `nearest`, and reduced by `mode` and `median` beside `nearest`; straight and through
the rigid transform of interpolators.py. An atlas (`--atlas`, default the files `atlas*.nii.gz` of the data; left out where there is none), 1.37
times finer, by `label` beside `linear`.
"""

import gzip
import statistics
import sys
from pathlib import Path

from interpolators import prepare
from measure import measure
from tables import Workspace, arguments, markdown, parse, remove, report

# Where the NIfTI-1 header has its intent: without one no method is refused.
INTENT = slice(68, 70)
FINER, REDUCED, ATLAS = ["--spacing", "0.4"], ["--spacing", "0.8,0.8,3"], ["--scale", "1.37"]


def main():
    parser = arguments(__doc__)
    parser.add_argument("--atlas", type=Path, action="append")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--memory", default="256MiB")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--small", action="store_true", help="only a part of the scan")
    args = parse(parser)
    if not args.scan.exists():
        sys.exit(f"no scan at {args.scan}")
    with Workspace(args.work) as folder:
        prepare(args, folder)
        figures = [facts(args, folder, *job) for job in jobs(args, folder)]
    report(args, table(figures), figures)


def jobs(args, folder):
    """What a job is, its source, its options, its method and the one beside it."""
    scan, rigid = folder / "scan.nii", ["--transform", folder / "rigid.tfm"]
    yield "MR head to 0.4 mm", scan, FINER, "label", "nearest"
    yield "the same, rigid", scan, FINER + rigid, "label", "linear"
    yield "MR head to 0.8,0.8,3 mm", scan, REDUCED, "mode", "nearest"
    yield "the same", scan, REDUCED, "median", "nearest"
    for number, atlas in enumerate(args.atlas or sorted(Path(args.data).glob("atlas*.nii.gz"))):
        source = folder / f"atlas{number}.nii"
        voxels = bytearray(gzip.decompress(atlas.read_bytes()))
        voxels[INTENT] = bytes(2)
        source.write_bytes(voxels)
        yield f"{atlas.name.removesuffix('.nii.gz')}, 1.37 times finer", source, ATLAS, "label", "linear"


def facts(args, folder, what, source, options, method, beside):
    """The first turn warms the caches and does not count."""
    turns = [[cpu_seconds(args, folder, source, options, name) for name in (method, beside)] for _ in range(args.repeats + 1)][1:]
    medians = [statistics.median(turn[n] for turn in turns) for n in (0, 1)]
    times = statistics.median(mine / other for mine, other in turns)
    print(f"{what} by {method}: {times:.2f} times {beside}", file=sys.stderr)
    return {"job": what, "method": method, "beside": beside, "cpu_seconds": medians, "turns": turns, "times": times}


def cpu_seconds(args, folder, source, options, method):
    out = folder / "out.nii"
    argv = [args.reslice, "resample", source, out, "--interp", method, *options, "--memory", args.memory, "--threads", args.threads]
    run = measure(argv)
    if run.code:
        sys.exit(f"exit {run.code}: {' '.join(map(str, argv))}\n{run.stderr}")
    remove(out)
    return run.cpu_seconds


def table(figures):
    heads = ["job", "method", "CPU s", "beside", "CPU s", "times"]
    rows = [[f["job"], f"`{f['method']}`", f"{f['cpu_seconds'][0]:.2f}", f"`{f['beside']}`", f"{f['cpu_seconds'][1]:.2f}",
             f"**{f['times']:.1f}**"] for f in figures]
    return markdown(heads, rows)


if __name__ == "__main__":
    main()
