"""Methods beside SimpleITK, resampling alone: a real MR head, 512x512x120 u16, to 0.4 mm, straight and through a rigid transform.

Two comparisons, each of the same work. Resampling alone: SimpleITK's Execute, its image in memory, and the stages of ours that
bring source voxels to the workers and compute (seconds of all workers, by threads). The whole job: both from .nii to .nii, ours the
process, theirs without the import. Runs alternate. Where SimpleITK takes minutes it gets the middle of the scan only, nothing is
written, and its time is scaled by voxels made, which favours it: a small image stays in its caches.
"""

import json
import statistics
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from measure import measure
from tables import Workspace, arguments, markdown, parse, remove, report

PEER = Path(__file__).with_name("simpleitk_method.py")
SMALL = (96, 80, 24)


@dataclass
class Job:
    method: str
    least: float
    """How many times faster resampling alone must be at the least; 0 where nothing is asked."""
    crop: bool = False
    rigid: bool = False

    @property
    def name(self):
        return f"{self.method}, {'rigid' if self.rigid else 'straight'}"


JOBS = [
    Job("bspline3", 15),
    Job("sinc-lanczos", 200, crop=True),
    Job("gaussian", 50, crop=True),
    Job("label", 0, crop=True),
    Job("linear", 3, rigid=True),
    Job("bspline3", 3, rigid=True),
]


def main():
    parser = arguments(__doc__)
    parser.add_argument("--repeats", type=int, default=3, help="of both, after one of ours that warms the page cache")
    parser.add_argument("--spacing", type=float, default=0.4)
    parser.add_argument("--crop", default="128,128,40", help="source voxels that SimpleITK gets where it is slow")
    parser.add_argument("--memory", default="256MiB")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--only", help="methods, with commas")
    parser.add_argument("--small", action="store_true", help=f"only {'x'.join(map(str, SMALL))} voxels of the scan")
    args = parse(parser)
    if not args.scan.exists():
        sys.exit(f"no scan at {args.scan}")
    wanted = args.only.split(",") if args.only else [job.method for job in JOBS]
    with Workspace(args.work) as folder:
        prepare(args, folder)
        figures = [compare(args, job, folder) for job in JOBS if job.method in wanted]
    report(args, table(figures), figures)
    sys.exit(0 if args.small or all(f["times_faster"] >= f["least"] for f in figures) else 1)


def prepare(args, folder):
    """The scan as .nii, labels made of it, and a rigid transform about its middle."""
    image = sitk.ReadImage(str(args.scan))
    if args.small:
        image = image[200 : 200 + SMALL[0], 200 : 200 + SMALL[1], 40 : 40 + SMALL[2]]
    sitk.WriteImage(image, str(folder / "scan.nii"))
    # Eight classes of brightness: SimpleITK's time grows with the number of labels.
    labels = np.minimum(sitk.GetArrayFromImage(image) // 64, 7).astype(np.uint16)
    named = sitk.GetImageFromArray(labels)
    named.CopyInformation(image)
    sitk.WriteImage(named, str(folder / "labels.nii"))
    middle = image.TransformContinuousIndexToPhysicalPoint([(n - 1) / 2 for n in image.GetSize()])
    rigid = sitk.Euler3DTransform(middle, 0.12, -0.09, 0.19, (2.5, -1.5, 3.0))
    sitk.WriteTransform(rigid, str(folder / "rigid.tfm"))


def compare(args, job, folder):
    source, out = folder / ("labels.nii" if job.method == "label" else "scan.nii"), folder / "out.nii"
    ours_argv = [args.reslice, "resample", source, out, "--spacing", args.spacing, "--interp", job.method]
    ours_argv += ["--rounding", "truncate", "--memory", args.memory, "--threads", args.threads]
    ours_argv += ["--summary", folder / "summary.json"]
    theirs_argv = [sys.executable, PEER, source, job.method, args.spacing, args.threads]
    if job.rigid:
        ours_argv += ["--transform", folder / "rigid.tfm"]
        theirs_argv += ["--transform", folder / "rigid.tfm"]
    theirs_argv += ["--crop", args.crop] if job.crop else ["--out", folder / "theirs.nii"]
    reslice(ours_argv, out, args.threads)
    ours, theirs = [], []
    for _ in range(args.repeats):
        ours.append(reslice(ours_argv, out, args.threads))
        remove(folder / "theirs.nii")
        theirs.append(json.loads(succeed(theirs_argv).stdout))
    voxels = int(np.prod(sitk_size(out), dtype=np.int64))
    remove(out)
    return facts_of(args, job, ours, theirs, voxels)


def reslice(argv, out, threads):
    """One run of ours to a file that is not there yet; `run.alone` is what resampling alone takes of it."""
    remove(out)
    run = succeed(argv)
    stages = [one["done"]["stages"] for one in json.loads((out.parent / "summary.json").read_text())["passes"]]
    run.alone = sum(stage["read"] + stage["apply"] for stage in stages) / threads
    return run


def facts_of(args, job, ours, theirs, voxels):
    median = statistics.median
    made = theirs[0]["voxels"]
    facts = {
        "job": job.name,
        "least": job.least,
        "repeats": args.repeats,
        "voxels": voxels,
        "peer_voxels": made,
        "peer_execute": median(run["execute"] for run in theirs),
        "peer_execute_all": [round(run["execute"], 3) for run in theirs],
        "alone": median(run.alone for run in ours),
        "alone_all": [round(run.alone, 3) for run in ours],
        "seconds": median(run.seconds for run in ours),
        "seconds_all": [round(run.seconds, 3) for run in ours],
        "cpu_seconds": median(run.cpu_seconds for run in ours),
        "peak_mib": max(run.peak_mib for run in ours),
    }
    facts["times_faster"] = facts["peer_execute"] * voxels / made / facts["alone"]
    if not job.crop:
        facts["peer_seconds"] = median(run["read"] + run["execute"] + run["write"] for run in theirs)
        facts["times_faster_whole"] = facts["peer_seconds"] / facts["seconds"]
    print(f"{job.name}: {facts['alone']:.2f} s, {facts['times_faster']:.1f} times faster", file=sys.stderr)
    return facts


def sitk_size(path):
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    reader.ReadImageInformation()
    return reader.GetSize()


def succeed(argv):
    run = measure(argv, timeout=7200)
    if run.code:
        sys.exit(f"exit {run.code}: {' '.join(map(str, argv))}\n{run.stderr}")
    return run


def table(figures):
    heads = ["method, mapping", "million voxels", "SimpleITK's Execute s", "on million voxels", "scaled s",
             "reslice alone s", "times faster", "SimpleITK's whole job s", "reslice's s", "times faster", "peak MiB"]
    rows = []
    for f in figures:
        scaled, whole = f["peer_voxels"] != f["voxels"], "peer_seconds" in f
        rows.append([
            f["job"],
            f"{f['voxels'] / 1e6:.1f}",
            f"{f['peer_execute']:.2f}",
            f"{f['peer_voxels'] / 1e6:.1f}",
            f"{f['peer_execute'] * f['voxels'] / f['peer_voxels']:.0f}" if scaled else "",
            f"{f['alone']:.2f}",
            f"**{f['times_faster']:.1f}**",
            f"{f['peer_seconds']:.2f}" if whole else "",
            f"{f['seconds']:.2f}",
            f"**{f['times_faster_whole']:.1f}**" if whole else "",
            f"{f['peak_mib']:.0f}",
        ])
    return markdown(heads, rows)


if __name__ == "__main__":
    main()
