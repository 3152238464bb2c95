"""The seed job beside the SimpleITK script, in one run: a real MR head, 512x512x120 u16, to 0.4 mm, linear.

Runs alternate; each is a process of its own. Time of SimpleITK is that of reading, resampling and writing: the start
of Python and the import of SimpleITK are left out of the ratio (and shown). Ours is the whole process.
"""

import json
import statistics
import sys
from pathlib import Path

from measure import measure
from tables import Workspace, arguments, markdown, parse, remove, report, size_of, unpacked

RECIPE = Path(__file__).with_name("simpleitk_recipe.py")
PAIRS = [(".nii.gz", ".nii.gz"), (".nii", ".nii")]


def main():
    parser = arguments(__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--memory", default="128MiB")
    parser.add_argument("--extra", default="", help="further options for reslice, in one string")
    args = parse(parser)
    if not args.scan.exists():
        sys.exit(f"no scan at {args.scan}")
    figures = []
    with Workspace(args.work) as folder:
        plain = unpacked(args.scan, folder / "scan.nii")
        for source_suffix, target_suffix in PAIRS:
            source = args.scan if source_suffix == ".nii.gz" else plain
            figures.append(compare(args, source, folder, source_suffix, target_suffix))
    report(args, table(figures), figures)


def compare(args, source, folder, source_suffix, target_suffix):
    """Alternating runs of both on one pair of formats, after one that warms the page cache."""
    ours_out, theirs_out = folder / f"ours{target_suffix}", folder / f"theirs{target_suffix}"
    ours_argv = [args.reslice, "resample", source, ours_out, "--spacing", "0.4", "--memory", args.memory]
    ours_argv += args.extra.split()
    theirs_argv = [sys.executable, RECIPE, source, theirs_out, "0.4"]
    ours, theirs, jobs = [], [], []
    for turn in range(args.repeats + 1):
        remove(ours_out), remove(theirs_out)
        a = succeed(ours_argv)
        b = succeed(theirs_argv)
        if turn:
            ours.append(a), theirs.append(b), jobs.append(json.loads(b.stdout))
    median = statistics.median
    facts = {
        "job": f"{source_suffix} to {target_suffix}",
        "repeats": args.repeats,
        "memory": args.memory,
        "ours_seconds": median(run.seconds for run in ours),
        "ours_cpu_seconds": median(run.cpu_seconds for run in ours),
        "ours_seconds_all": [round(run.seconds, 3) for run in ours],
        "ours_peak_mib": max(run.peak_mib for run in ours),
        "ours_bytes": size_of(ours_out),
        "theirs_seconds": median(job["job"] for job in jobs),
        "theirs_seconds_all": [round(job["job"], 3) for job in jobs],
        "theirs_process_seconds": median(run.seconds for run in theirs),
        "theirs_import_seconds": median(job["import"] for job in jobs),
        "theirs_resample_seconds": median(job["resample"] for job in jobs),
        "theirs_write_seconds": median(job["write"] for job in jobs),
        "theirs_peak_mib": max(run.peak_mib for run in theirs),
        "theirs_bytes": size_of(theirs_out),
    }
    facts["times_faster"] = facts["theirs_seconds"] / facts["ours_seconds"]
    facts["size_ratio"] = facts["ours_bytes"] / facts["theirs_bytes"]
    remove(ours_out), remove(theirs_out)
    return facts


def succeed(argv):
    run = measure(argv)
    if run.code:
        sys.exit(f"exit {run.code}: {' '.join(map(str, argv))}\n{run.stderr}")
    return run


def table(figures):
    heads = ["job", "SimpleITK (process) s", "reslice s", "times faster", "peak RSS MiB, theirs", "ours", "output MiB, theirs",
             "ours", "ratio"]
    rows = [
        [
            f["job"],
            f"{f['theirs_seconds']:.2f} ({f['theirs_process_seconds']:.2f})",
            f"{f['ours_seconds']:.2f}",
            f"**{f['times_faster']:.2f}**",
            f"{f['theirs_peak_mib']:.0f}",
            f"**{f['ours_peak_mib']:.1f}**",
            f"{f['theirs_bytes'] / (1 << 20):.1f}",
            f"{f['ours_bytes'] / (1 << 20):.1f}",
            f"{f['size_ratio']:.3f}",
        ]
        for f in figures
    ]
    return markdown(heads, rows)


if __name__ == "__main__":
    main()
