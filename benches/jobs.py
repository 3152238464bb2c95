"""Every kind of job beside its floors and its peers: a real MR head, 512x512x120 u16, mostly to 0.4 mm, .nii to .nii, two threads.

Floors are the least that such a job can take, measured in the same turns: `cp` of the target's bytes; reading and decoding the source alone;
`nearest` on the same grid, which reads, copies and writes; encoding the finished target alone, where it is compressed. Peers do the same
work, from file to file, in a process of their own; the time of their imports is told apart and does not count (`benches/peers.py`). All of
a job run in turn, and again, but for what takes more than 8 s; medians. CPU seconds are user and system time of the whole process.
"""

import json
import os
import shutil
import statistics
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import SimpleITK as sitk

import displacement
from interpolators import prepare
from jobs_picture import picture
from measure import measure
from tables import ROOT, Workspace, arguments, markdown, parse, remove, report

PICTURE = ROOT / "docs" / "pictures" / "jobs.svg"
PEERS = Path(__file__).with_name("peers.py")
# Seconds of a run that is not repeated.
LONG = 8
GRIDS = {"fine": [0.4] * 3, "half": [0.8, 0.8, 3.0], "quarter": None, "field": None}


@dataclass
class Job:
    name: str
    method: str
    grid: str = "fine"
    turned: bool = False
    options: list = field(default_factory=list)
    suffix: str = ".nii"
    peers: list = field(default_factory=list)


STRAIGHT = ["SimpleITK", "nilearn", "scipy", "TorchIO", "MONAI", "VTK"]
JOBS = [
    Job("linear", "linear", peers=[*STRAIGHT, "mrgrid"]),
    Job("cubic", "cubic", peers=["mrgrid", "VTK"]),
    Job("lanczos3", "lanczos3", peers=["mrgrid", "VTK"]),
    Job("mean", "mean"),
    Job("bspline3", "bspline3", peers=[*STRAIGHT]),
    Job("label", "label"),
    Job("mode to half", "mode", grid="half", peers=["tensorstore"]),
    Job("median to half", "median", grid="half", peers=["tensorstore"]),
    Job(".nii.gz to .nii.gz", "linear", suffix=".nii.gz", peers=["SimpleITK", "mrgrid"]),
    Job(".nii.gz to BGZF", "linear", suffix=".nii.gz", options=["--gzip", "bgzf"], peers=["SimpleITK", "mrgrid"]),
    Job("oblique linear", "linear", turned=True, peers=["SimpleITK", "nilearn", "VTK"]),
    Job("oblique nearest", "nearest", turned=True, peers=["SimpleITK", "nilearn", "VTK"]),
    Job("oblique cubic", "cubic", turned=True, peers=["VTK"]),
    Job("oblique bspline3", "bspline3", turned=True, peers=["SimpleITK", "nilearn", "VTK"]),
    Job("oblique lanczos3", "lanczos3", turned=True, peers=["VTK"]),
    Job("oblique label", "label", turned=True),
    Job("displacement field 256^3", "linear", grid="field", peers=["SimpleITK"]),
    Job("4x coarser, antialias", "linear", grid="quarter", options=["--antialias"],
        peers=["skimage", "mrgrid", "SimpleITK", "ngff-zarr"]),
]


def main():
    parser = arguments(__doc__)
    parser.add_argument("--repeats", type=int, default=3, help="turns of everything")
    parser.add_argument("--memory", default="256MiB")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--only", help="jobs, by parts of their names, with commas")
    parser.add_argument("--no-peers", action="store_true")
    parser.add_argument("--small", action="store_true", help="only a small part of the scan")
    args = parse(parser)
    if not args.scan.exists():
        sys.exit(f"no scan at {args.scan}")
    args.peer_python = None if args.no_peers else peer_python()
    wanted = [job for job in JOBS if not args.only or any(part in job.name for part in args.only.split(","))]
    with Workspace(args.work) as folder:
        sources(args, folder)
        figures = [measured(args, job, folder) for job in wanted]
    shown = table(figures)
    if not args.only and not args.small:
        PICTURE.write_text(picture(figures))
        shown = f"![Seconds of each job, beside its floor and its peers](pictures/{PICTURE.name})\n\n{shown}"
    report(args, shown, figures)


def peer_python():
    """The interpreter of the peers: RESLICE_PEERS, or that of an environment with `benches/peers/requirements.txt`."""
    if os.environ.get("RESLICE_PEERS"):
        return os.environ["RESLICE_PEERS"]
    made = subprocess.run([ROOT / "tests/e2e/venv", Path(__file__).with_name("peers")], check=True, capture_output=True, text=True)
    return made.stdout.strip()


def sources(args, folder):
    """The scan as .nii and .nii.gz, a rigid transform, and a volume with its field."""
    prepare(args, folder)
    image = sitk.ReadImage(str(folder / "scan.nii"))
    GRIDS["quarter"] = [4 * step for step in image.GetSpacing()]
    if args.small:
        sitk.WriteImage(image, str(folder / "scan.nii.gz"))
    else:
        shutil.copyfile(args.scan, folder / "scan.nii.gz")
    displacement.make(folder, 64 if args.small else 256)


def measured(args, job, folder):
    """The medians of a job, its floors and its peers."""
    source = folder / ("volume.nii" if job.grid == "field" else f"scan{job.suffix}")
    out = folder / f"ours{job.suffix}"
    kept, scrap = folder / f"kept{job.suffix}", folder / f"scrap{job.suffix}"
    ours = ours_argv(args, job, job.method, source, out, folder)
    succeed(ours)
    shutil.move(out, kept)
    runs = {"ours": ours, "cp": ["cp", kept, scrap], "read": ["dd", f"if={source}", "of=/dev/null", "bs=1M", "status=none"]}
    if job.suffix == ".nii.gz":
        plain = folder / "kept.nii"
        succeed([args.reslice, "resample", kept, plain, "--threads", args.threads, "--overwrite"])
        runs["read"] = [args.reslice, "verify", source, "--threads", args.threads]
        runs["encode"] = [args.reslice, "resample", plain, scrap, "--threads", args.threads, *job.options]
    if job.method != "nearest":
        options = [option for option in job.options if option != "--antialias"]
        copied = Job(job.name, "nearest", job.grid, job.turned, options, job.suffix)
        runs["nearest"] = ours_argv(args, copied, "nearest", source, scrap, folder)
    spec = {"method": job.method, "grid": str(kept), "antialias": job.grid == "quarter", "threads": args.threads}
    spec |= {"turned": str(folder / "rigid.tfm")} if job.turned else {}
    spec |= {"field": str(folder / "field.nii")} if job.grid == "field" else {}
    for peer in job.peers if args.peer_python else []:
        runs[peer] = [args.peer_python, PEERS, peer, source, folder / f"theirs{job.suffix}", json.dumps(spec)]
    turns = {name: [] for name in runs}
    for _ in range(args.repeats):
        for name, argv in runs.items():
            for path in (out, scrap, folder / f"theirs{job.suffix}"):
                remove(path)
            # What takes long does not need to be repeated: noise is a matter of seconds.
            if turns[name] and turns[name][0]["seconds"] > LONG:
                continue
            figure = one(name, argv)
            if figure:
                turns[name].append(figure)
    medians = {name: {what: statistics.median(turn[what] for turn in all_turns) for what in all_turns[0]}
               for name, all_turns in turns.items() if all_turns}
    for path in (out, kept, scrap, folder / "kept.nii", folder / f"theirs{job.suffix}"):
        remove(path)
    print(f"{job.name}: {medians['ours']['seconds']:.2f} s, {medians['ours']['cpu_seconds']:.2f} CPU s", file=sys.stderr)
    return {"job": job.name, "method": job.method, "repeats": args.repeats, "medians": medians, "turns": turns}


def ours_argv(args, job, method, source, out, folder):
    argv = [args.reslice, "resample", source, out, "--interp", method, "--memory", args.memory, "--threads", args.threads]
    argv += ["--spacing", ",".join(f"{step:.9g}" for step in GRIDS[job.grid])] if GRIDS[job.grid] else []
    argv += ["--transform", folder / "rigid.tfm"] if job.turned else []
    argv += ["--transform", folder / "field.nii"] if job.grid == "field" else []
    return [*argv, *job.options]


def one(name, argv):
    """Seconds and CPU seconds of one run; of a peer those after its imports. `None` where a peer is not installed."""
    run = measure(argv, env={"OMP_NUM_THREADS": "2", "OPENBLAS_NUM_THREADS": "2", "MKL_NUM_THREADS": "2"})
    if run.code == 3:
        print(f"{name}: {run.stderr.strip()}", file=sys.stderr)
        return None
    if run.code:
        sys.exit(f"exit {run.code}: {' '.join(map(str, argv))}\n{run.stderr}")
    figure = {"seconds": run.seconds, "cpu_seconds": run.cpu_seconds, "peak_mib": run.peak_mib, "import_seconds": 0.0}
    if PEERS in argv:
        told = json.loads(run.stdout.splitlines()[-1])
        figure |= {"seconds": told["seconds"], "cpu_seconds": told["cpu_seconds"], "import_seconds": told["import_seconds"]}
    return figure


def succeed(argv):
    if one("", argv) is None:
        sys.exit(f"exit 3: {' '.join(map(str, argv))}")


FLOORS = ("cp", "read", "nearest", "encode")


def table(figures):
    heads = ["job", "s", "CPU s", "`cp` s", "read, decode CPU s", "`nearest` CPU s", "of `nearest`", "encode CPU s", "of read and encode",
             "peak MiB", "peers: s (times ours), CPU s (times ours), MiB"]
    return markdown(heads, [row(f["job"], f["medians"]) for f in figures])


def row(name, medians):
    ours = medians["ours"]
    cpu = {floor: medians[floor]["cpu_seconds"] for floor in FLOORS if floor in medians}
    cell = lambda floor: f"{cpu[floor]:.2f}" if floor in cpu else ""
    of_nearest = f"**{ours['cpu_seconds'] / cpu['nearest']:.1f}**" if "nearest" in cpu else ""
    of_codecs = f"**{ours['cpu_seconds'] / (cpu['read'] + cpu['encode']):.2f}**" if "encode" in cpu else ""
    peers = sorted((m["seconds"], peer, m) for peer, m in medians.items() if peer not in ("ours", *FLOORS))
    told = [f"{peer} {m['seconds']:.2f} (**{m['seconds'] / ours['seconds']:.1f}**), {m['cpu_seconds']:.2f} "
            f"({m['cpu_seconds'] / ours['cpu_seconds']:.1f}), {m['peak_mib']:.0f}" for _, peer, m in peers]
    return [name, f"{ours['seconds']:.2f}", f"{ours['cpu_seconds']:.2f}", f"{medians['cp']['seconds']:.2f}", cell("read"), cell("nearest"),
            of_nearest, cell("encode"), of_codecs, f"{ours['peak_mib']:.0f}", "; ".join(told)]


if __name__ == "__main__":
    main()
