"""One budget, every method: the MR head to 0.4 mm under 96 MiB, and obliquely; the bytes of runs with 2 GiB."""

import sys


from interpolators import SMALL, prepare
from measure import measure
from same_bytes import digest
from tables import Workspace, arguments, markdown, parse, remove, report

STRAIGHT = ["nearest", "linear", "cubic", "bspline3", "lanczos3", "sinc-lanczos", "gaussian", "mean", "label"]
RIGID = ["linear", "bspline3"]
PLENTY = "2GiB"


def main():
    parser = arguments(__doc__)
    parser.add_argument("--memory", default="96MiB")
    parser.add_argument("--spacing", default="0.4")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--only", help="methods, with commas")
    parser.add_argument("--small", action="store_true", help=f"only {'x'.join(map(str, SMALL))} voxels of the scan")
    args = parse(parser)
    if not args.scan.exists():
        sys.exit(f"no scan at {args.scan}")
    wanted = args.only.split(",") if args.only else STRAIGHT
    jobs = [(m, "straight") for m in STRAIGHT] + [(m, "rigid") for m in RIGID]
    with Workspace(args.work) as folder:
        prepare(args, folder)
        figures = [both(args, folder, *job) for job in jobs if job[0] in wanted]
    report(args, table(args, figures), figures)
    sys.exit(0 if all(f["equal"] and f["peak_mib"] <= f["budget_mib"] for f in figures) else 1)


def both(args, folder, method, mapping):
    """The same job under the budget and with plenty."""
    out, runs, digests = folder / "out.nii", [], []
    for memory in (args.memory, PLENTY):
        argv = [args.reslice, "resample", folder / "scan.nii", out, "--spacing", args.spacing, "--interp", method]
        argv += ["--memory", memory, "--threads", args.threads]
        argv += ["--transform", folder / "rigid.tfm"] if mapping == "rigid" else []
        run = measure(argv)
        if run.code:
            sys.exit(f"exit {run.code}: {' '.join(map(str, argv))}\n{run.stderr}")
        runs.append(run), digests.append(digest(out))
        remove(out)
    facts = {
        "method": method,
        "mapping": mapping,
        "budget_mib": float(args.memory.removesuffix("MiB")),
        "peak_mib": runs[0].peak_mib,
        "seconds": runs[0].seconds,
        "plenty_seconds": runs[1].seconds,
        "plenty_peak_mib": runs[1].peak_mib,
        "sha256": digests[0],
        "equal": digests[0] == digests[1],
    }
    print(f"{method} {mapping}: {facts['seconds']:.1f} s, {facts['peak_mib']:.1f} MiB", file=sys.stderr)
    return facts


def table(args, figures):
    heads = ["method", "mapping", f"s (`--memory {args.memory}`)", "peak MiB", f"s ({PLENTY})", "peak MiB", "same bytes"]
    rows = [[f["method"], f["mapping"], f"{f['seconds']:.1f}", f"**{f['peak_mib']:.1f}**", f"{f['plenty_seconds']:.1f}",
             f"{f['plenty_peak_mib']:.0f}", "yes" if f["equal"] else "**no**"] for f in figures]
    return markdown(heads, rows)


if __name__ == "__main__":
    main()
