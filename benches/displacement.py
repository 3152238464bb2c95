"""A displacement field of the size of its volume, both larger than the budget: time, peak, and the difference from SimpleITK.

400^3 f32 voxels and three f32 components for each, .nii. The field is smooth, up to 9 mm, so that lines bend and some points leave the
volume. Compared are all voxels but those whose source index is within 1e-6 of a border.
"""

import json
import sys
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from measure import measure
from tables import Workspace, arguments, markdown, parse, report

PEER = Path(__file__).with_name("simpleitk_method.py")
HEADER, TIE, ALLOWED = 352, 1e-6, 1e-5


def main():
    parser = arguments(__doc__)
    parser.add_argument("--size", type=int, default=400, help="voxels along an axis")
    parser.add_argument("--interp", default="linear,bspline3")
    parser.add_argument("--memory", default="128MiB")
    parser.add_argument("--threads", type=int, default=2)
    args = parse(parser)
    with Workspace(args.work) as folder:
        make(folder, args.size)
        figures = [compare(args, folder, interp) for interp in args.interp.split(",")]
    report(args, table(args, figures), figures)
    budget = float(args.memory.removesuffix("MiB"))
    sys.exit(0 if all(f["worst"] <= ALLOWED and f["peak_mib"] <= budget for f in figures) else 1)


def make(folder, size):
    """`volume.nii` and `field.nii`, spacing 1, origin 0, written by SimpleITK."""
    volume, field = np.empty((size,) * 3, np.float32), np.empty((size, size, size, 3), np.float32)
    rng = np.random.default_rng(3)
    for z in range(size):
        k, j, i = np.ogrid[z : z + 1, :size, :size]
        volume[z] = (1000 * np.sin(k / 5) * np.cos(j / 7) * np.sin(i / 3 + k / 50))[0] + rng.normal(0, 100, (size, size))
        field[z] = displacement(size, k, j, i)[0]
    sitk.WriteImage(sitk.GetImageFromArray(volume), str(folder / "volume.nii"))
    sitk.WriteImage(sitk.GetImageFromArray(field, isVector=True), str(folder / "field.nii"))


def displacement(size, k, j, i):
    """LPS millimetres, last axis x, y, z."""
    wave = 2 * np.pi / size
    x = 9 * np.sin(wave * j) * np.cos(wave * k) + 0 * i
    y = 6 * np.sin(2 * wave * k + 1) * np.cos(wave * i) + 0 * j
    z = 7.5 * np.cos(wave * i) * np.sin(1.5 * wave * j) + 0 * k
    return np.stack(np.broadcast_arrays(x, y, z), axis=-1)


def compare(args, folder, interp):
    volume, field, out, theirs = (folder / name for name in ("volume.nii", "field.nii", "out.nii", "theirs.nii"))
    argv = [args.reslice, "resample", volume, out, "--transform", field, "--interp", interp, "--overwrite"]
    ours = succeed([*argv, "--memory", args.memory, "--threads", args.threads])
    peer = succeed([sys.executable, PEER, volume, interp, 1.0, args.threads, "--field", field, "--out", theirs])
    worst, compared = difference(args.size, volume, out, theirs)
    return {
        "interp": interp,
        "size": args.size,
        "seconds": ours.seconds,
        "peak_mib": ours.peak_mib,
        "peer_seconds": json.loads(peer.stdout)["execute"],
        "peer_peak_mib": peer.peak_mib,
        "worst": worst,
        "compared": compared,
    }


def difference(size, volume, ours, theirs):
    """Largest difference of the largest source value, and voxels compared; a plane at a time."""
    source, a, b = (np.memmap(path, np.float32, "r", offset=HEADER, shape=(size,) * 3) for path in (volume, ours, theirs))
    largest, worst, compared = float(np.abs(source).max()), 0.0, 0
    for z in range(size):
        k, j, i = np.ogrid[z : z + 1, :size, :size]
        # Where the field was stored, in f32, spacing 1: index and millimetre are the same.
        moved = displacement(size, k, j, i).astype(np.float32).astype(np.float64)[0]
        at = np.stack(np.broadcast_arrays(i, j, k), axis=-1)[0] + moved
        tie = ((np.abs(at + 0.5) <= TIE) | (np.abs(at + 0.5 - size) <= TIE)).any(axis=-1)
        off = np.abs(a[z].astype(np.float64) - b[z])[~tie]
        worst, compared = max(worst, float(off.max(initial=0.0))), compared + off.size
    return worst / largest, compared


def succeed(argv):
    run = measure(argv, timeout=7200)
    if run.code:
        sys.exit(f"exit {run.code}: {' '.join(map(str, argv))}\n{run.stderr}")
    return run


def table(args, figures):
    heads = ["method", "volume", "reslice s", f"peak MiB (of {args.memory})", "SimpleITK's Execute s", "peak MiB",
             "largest difference of max\\|source\\|", "million voxels compared"]
    rows = [[f["interp"], f"{f['size']}^3", f"{f['seconds']:.1f}", f"**{f['peak_mib']:.1f}**", f"{f['peer_seconds']:.1f}",
             f"{f['peer_peak_mib']:.0f}", f"**{f['worst']:.1e}**", f"{f['compared'] / 1e6:.1f}"] for f in figures]
    return markdown(heads, rows)


if __name__ == "__main__":
    main()
