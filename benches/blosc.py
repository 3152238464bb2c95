"""Our Blosc frames beside c-blosc's: size and time of the same chunks, on real scans and on the light-sheet volume.

Each source is copied to 128^3 chunks of blosc-zstd, level 5, by `reslice resample` with one thread; its time is that of the stage
`encode`, which also turns blocks into chunks. The stored chunks are then decoded and encoded by numcodecs (c-blosc) with
one thread, codec alone. Both are single runs after one that warms the page cache.
"""

import json
import sys
import time
from pathlib import Path

import numcodecs
import numpy as np
import zarr
from numcodecs import blosc

from measure import MIB, measure
from tables import Workspace, arguments, markdown, parse, remove, report
from volume import volume

CHUNK, LEVEL = 128, 5
CORNER = 256  # of the voxels of the volume that are taken


def main():
    parser = arguments(__doc__)
    parser.add_argument("--light-sheet", default="512x512x512", help="voxels of the volume that are taken")
    args = parse(parser)
    blosc.use_threads = False
    scans = sorted(Path(args.data).glob("*.nii.gz"))
    if not scans:
        sys.exit(f"no scans in {args.data}")
    size = [int(n) for n in args.light_sheet.split("x")]
    region = ",".join(f"{CORNER}:{CORNER + n}" for n in size)
    jobs = {path.name.removesuffix(".nii.gz"): [path] for path in scans}
    jobs |= {f"{name}, to f32": [*job, "--dtype", "f32", "--scale", 1.3] for name, job in list(jobs.items())[:3]}
    jobs["light-sheet"] = [volume(), "--region", region]
    with Workspace(args.work) as folder:
        figures = [compare(args, name, job, folder / "out.zarr") for name, job in jobs.items()]
    report(args, table(figures), figures)
    sys.exit(0 if all(f["bytes"] <= 1.02 * f["peer_bytes"] for f in figures) else 1)


def compare(args, name, job, out):
    for _ in range(2):
        remove(out)
        summary = out.with_name("summary.json")
        source, *options = job
        layout = ["--codec", f"blosc-zstd:{LEVEL}", "--chunk", CHUNK, "--shard", "none"]
        limits = ["--threads", 1, "--memory", "1GiB", "--summary", summary]
        argv = [args.reslice, "resample", source, out, *options, *layout, *limits]
        run = measure(argv)
        if run.code:
            sys.exit(f"exit {run.code}: {' '.join(map(str, argv))}\n{run.stderr}")
        seconds = sum(p["done"]["stages"]["encode"] for p in json.loads(summary.read_text())["passes"])
        summary.unlink()
    facts = {"what": name, "raw_bytes": 0, "bytes": 0, "peer_bytes": 0, "seconds": seconds, "peer_seconds": 0.0}
    array = zarr.open_array(out / "0", mode="r")
    facts["dtype"] = str(array.dtype)
    for path in sorted((out / "0" / "c").rglob("*")):
        if path.is_file():
            add(facts, path.read_bytes(), array.dtype)
    remove(out)
    return facts


def add(facts, stored, dtype):
    """One chunk: ours ends in four bytes of checksum."""
    raw = np.frombuffer(numcodecs.Blosc().decode(stored[:-4]), dtype)
    codec = numcodecs.Blosc(cname="zstd", clevel=LEVEL, shuffle=numcodecs.Blosc.AUTOSHUFFLE)
    start = time.perf_counter()
    peer = codec.encode(raw)
    facts["peer_seconds"] += time.perf_counter() - start
    facts["peer_bytes"] += len(peer)
    facts["bytes"] += len(stored) - 4
    facts["raw_bytes"] += raw.nbytes


def table(figures):
    heads = ["source", "type", "MiB", "c-blosc MB/s", "ours MB/s", "times faster", "c-blosc's ratio", "ours",
             "of c-blosc's size"]
    rows = []
    for f in figures:
        rate, peer = (f["raw_bytes"] / 1e6 / f[key] for key in ("seconds", "peer_seconds"))
        rows.append([
            f["what"], f["dtype"], f"{f['raw_bytes'] / MIB:.0f}", f"{peer:.0f}", f"{rate:.0f}", f"**{rate / peer:.1f}**",
            f"{f['peer_bytes'] / f['raw_bytes']:.3f}", f"{f['bytes'] / f['raw_bytes']:.3f}",
            f"**{f['bytes'] / f['peer_bytes']:.3f}**",
        ])
    return markdown(heads, rows)


if __name__ == "__main__":
    main()
