"""A DICOM series of 2 GB to voxels of 1 mm in .nii.gz: seconds, CPU seconds and peak, beside SimpleITK's ImageSeriesReader, resampling and writing.

4000 files with a frame of 512x512 i16 each (12 bits, RescaleSlope 1, RescaleIntercept -1024), 0.7x0.7x0.5 mm, explicit little endian.
Both read the files once before, so that they lie in memory as far as it goes.
"""

import json
import sys
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from measure import measure
from tables import Workspace, arguments, markdown, parse, report, size_of

PEER = Path(__file__).with_name("simpleitk_recipe.py")
SIZE, SPACING, STEP = 512, (0.7, 0.7), 0.5


def main():
    parser = arguments(__doc__)
    parser.add_argument("--slices", type=int, default=4000)
    parser.add_argument("--memory", default="128MiB")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    args = parse(parser)
    with Workspace(args.work) as folder:
        series = folder / "series"
        if not series.is_dir():
            make(series, args.slices)
        figures = compare(args, folder, series)
    report(args, table(args, figures), figures)
    sys.exit(0 if figures["largest_difference"] <= 1 and figures["peak_mib"] <= float(args.memory.removesuffix("MiB")) else 1)


def make(folder, slices):
    """A head-like ellipsoid with noise, 12 bits."""
    folder.mkdir()
    rng = np.random.default_rng(7)
    y, x = (np.mgrid[:SIZE, :SIZE] - SIZE / 2) / (SIZE / 2.3)
    ring = x**2 + y**2
    tissue = [1000 + 300 * np.sin(9 * x + n / 4) * np.cos(7 * y) + rng.integers(0, 24, ring.shape) for n in range(16)]
    tissue = np.array(tissue, "<i2")
    air = rng.integers(0, 24, (16, *ring.shape)).astype("<i2")
    for k in range(slices):
        height = (k / slices - 0.5) * 2.1
        plane = np.where(ring < 1 - height**2, tissue[k // 8 % 16], air[k % 16])
        (folder / f"{k:05}.dcm").write_bytes(header(k) + plane.tobytes())


def header(k):
    def element(group, number, vr, value):
        if isinstance(value, str):
            value = value.encode()
            value += (b"\0" if vr == b"UI" else b" ") * (len(value) % 2)
        length = len(value).to_bytes(2, "little")
        return group.to_bytes(2, "little") + number.to_bytes(2, "little") + vr + length + value

    def short(n):
        return n.to_bytes(2, "little")

    uid = "1.2.826.0.1.3680043.8.498"
    meta = b"".join([
        element(2, 0x02, b"UI", "1.2.840.10008.5.1.4.1.1.2"),
        element(2, 0x03, b"UI", f"{uid}.3.{k + 1}"),
        element(2, 0x10, b"UI", "1.2.840.10008.1.2.1"),
    ])
    meta = element(2, 0x00, b"UL", len(meta).to_bytes(4, "little")) + meta
    body = b"".join([
        element(0x08, 0x16, b"UI", "1.2.840.10008.5.1.4.1.1.2"),
        element(0x08, 0x18, b"UI", f"{uid}.3.{k + 1}"),
        element(0x08, 0x60, b"CS", "CT"),
        element(0x20, 0x0D, b"UI", f"{uid}.1"),
        element(0x20, 0x0E, b"UI", f"{uid}.2"),
        element(0x20, 0x13, b"IS", str(k + 1)),
        element(0x20, 0x32, b"DS", f"-179.2\\-179.2\\{k * STEP:g}"),
        element(0x20, 0x37, b"DS", "1\\0\\0\\0\\1\\0"),
        element(0x28, 0x02, b"US", short(1)),
        element(0x28, 0x04, b"CS", "MONOCHROME2"),
        element(0x28, 0x10, b"US", short(SIZE)),
        element(0x28, 0x11, b"US", short(SIZE)),
        element(0x28, 0x30, b"DS", "\\".join(f"{s:g}" for s in SPACING)),
        element(0x28, 0x100, b"US", short(16)),
        element(0x28, 0x101, b"US", short(12)),
        element(0x28, 0x102, b"US", short(11)),
        element(0x28, 0x103, b"US", short(1)),
        element(0x28, 0x1052, b"DS", "-1024"),
        element(0x28, 0x1053, b"DS", "1"),
    ])
    pixels = b"\xe0\x7f\x10\x00OW\0\0" + (2 * SIZE * SIZE).to_bytes(4, "little")
    return bytes(128) + b"DICM" + meta + body + pixels


def compare(args, folder, series):
    out, theirs = folder / "out.nii.gz", folder / "theirs.nii.gz"
    argv = [args.reslice, "resample", series, out, "--spacing", "1", "--memory", args.memory, "--threads", args.threads, "--overwrite"]
    peer = [sys.executable, PEER, series, theirs, 1]
    for path in series.iterdir():
        path.read_bytes()
    ours = min((succeed(argv) for _ in range(args.rounds)), key=lambda run: run.cpu_seconds)
    other = succeed(peer)
    images = [sitk.ReadImage(str(path)) for path in (out, theirs)]
    a, b = map(sitk.GetArrayViewFromImage, images)
    return {
        "slices": args.slices,
        "seconds": ours.seconds,
        "cpu_seconds": ours.cpu_seconds,
        "peak_mib": ours.peak_mib,
        "mib": size_of(out) / 2**20,
        "peer_seconds": json.loads(other.stdout)["job"],
        "peer_steps": json.loads(other.stdout),
        "peer_cpu_seconds": other.cpu_seconds,
        "peer_peak_mib": other.peak_mib,
        "peer_mib": size_of(theirs) / 2**20,
        "largest_difference": max(float(np.abs(p.astype(np.int32) - q).max()) for p, q in zip(a, b)),
    }


def succeed(argv):
    run = measure(argv, timeout=7200)
    if run.code:
        sys.exit(f"exit {run.code}: {' '.join(map(str, argv))}\n{run.stderr}")
    return run


def table(args, f):
    heads = ["series", "who", "s", "CPU s", "peak MiB", "output MiB"]
    name = f"{f['slices']} x {SIZE} x {SIZE} i16"
    rows = [
        [name, "SimpleITK", f"{f['peer_seconds']:.1f}", f"{f['peer_cpu_seconds']:.1f}", f"{f['peer_peak_mib']:.0f}", f"{f['peer_mib']:.0f}"],
        [name, f"reslice, {args.memory}", f"**{f['seconds']:.1f}**", f"**{f['cpu_seconds']:.1f}**", f"**{f['peak_mib']:.0f}**", f"{f['mib']:.0f}"],
    ]
    return markdown(heads, rows)


if __name__ == "__main__":
    main()
