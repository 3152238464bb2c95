"""Thumbnails in fixed memory: a virtual volume whose chunks are mostly absent, and a real one, each to a small cube.

    benches/thumbnail.py [--edge 20000] [--chunks 3000] [--real-scale 4] [--only METHOD ...]

The virtual volume is an OME-Zarr of EDGE^3 u16 in chunks of 128^3, of which CHUNKS are stored: a ball in the middle and some
single ones. The real one is the scan of the other benchmarks, made larger by the command itself. Of both, every method's peak,
seconds and amplification; of the real one also the same bytes under 64 MiB and 2 GiB, and tensorstore and dask beside.
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import zarr

from measure import MIB, measure
from tables import Workspace, arguments, markdown, parse, remove, report, size_of

EDGE = 128
METHODS = {
    "nearest": ["--interp", "nearest"],
    "mean": ["--interp", "mean"],
    "linear --antialias": ["--interp", "linear", "--antialias"],
    "gaussian --antialias": ["--interp", "gaussian", "--antialias"],
    "min": ["--interp", "min"],
    "max": ["--interp", "max"],
    "mode": ["--interp", "mode"],
}
# Modes keep the samples of voxels that are begun: some hundred thousand of each voxel are too many.
OF_FEW_SAMPLES = ("mode",)
# Different chunks; the others are links to them.
PATTERNS = 8


def main():
    parser = arguments(__doc__)
    parser.add_argument("--edge", type=int, default=20_000, help="voxels along each axis of the virtual volume; 0: without it")
    parser.add_argument("--chunks", type=int, default=3000, help="stored chunks of the virtual volume")
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--memory", default="64MiB")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--real-size", default="1024,1024,480", help="of the real volume; empty: without it")
    parser.add_argument("--no-peers", action="store_true", help="without tensorstore and dask")
    parser.add_argument("--only", nargs="*", default=list(METHODS))
    args = parse(parser)
    figures, bad = [], []
    with Workspace(args.work) as folder:
        if args.edge:
            store = folder / "virtual.zarr"
            stored = write_virtual(store, args.edge, args.chunks)
            figures += [thumbnail(args, folder, store, method, stored) for method in args.only if method not in OF_FEW_SAMPLES]
            remove(store)
        if args.real_size:
            store = folder / "real.zarr"
            enlarge(args, store)
            figures += [both_budgets(args, folder, store, method) for method in args.only]
            if not args.no_peers:
                figures += [peer(args, folder, store, name) for name in ("tensorstore", "dask")]
    for f in figures:
        if f.get("budget_mib") and f["peak_mib"] > f["budget_mib"]:
            bad.append(f"{f['source']} {f['method']}: {f['peak_mib']:.1f} MiB")
        if f.get("same_bytes") is False:
            bad.append(f"{f['source']} {f['method']}: other bytes under 2 GiB")
    report(args, table(figures), figures)
    sys.exit("\n".join(bad) or 0)


def write_virtual(path, edge, chunks):
    """The store, and how many chunks it has."""
    remove(path)
    array = new_array(path, (edge,) * 3)
    count = -(-edge // EDGE)
    rng = np.random.default_rng(3)
    z, y, x = np.mgrid[0:EDGE, 0:EDGE, 0:EDGE]
    patterns = []
    for n in range(min(PATTERNS, count**3)):
        at = np.unravel_index(n, (count,) * 3)
        wave = 900 + 400 * np.sin((z + 2 * y + 3 * x) / (7 + n)) + rng.integers(0, 8, z.shape)
        whole = tuple(slice(a * EDGE, (a + 1) * EDGE) for a in at)
        array[whole] = wave.astype("u2")[tuple(slice(0, min(EDGE, edge - a * EDGE)) for a in at)]
        patterns.append(path / "0" / "c" / "/".join(map(str, at)))
    places = set(ball(count, chunks * 9 // 10))
    while len(places) < min(chunks, count**3):
        places.add(tuple(int(a) for a in rng.integers(0, count, 3)))
    kept = {pattern: path / f"pattern{n}" for n, pattern in enumerate(patterns)}
    for pattern, aside in kept.items():
        pattern.rename(aside)
    for n, place in enumerate(sorted(places)):
        file = path / "0" / "c" / "/".join(map(str, place))
        file.parent.mkdir(parents=True, exist_ok=True)
        os.link(kept[patterns[n % len(patterns)]], file)
    for aside in kept.values():
        aside.unlink()
    return len(places)


def ball(count, chunks):
    """About that many places around the middle."""
    middle, radius = (count - 1) / 2, (chunks * 0.75 / np.pi) ** (1 / 3)
    places = np.argwhere(sum((axis - middle) ** 2 for axis in np.ogrid[:count, :count, :count]) <= radius**2)
    return [tuple(int(a) for a in place) for place in places]


def new_array(path, shape):
    group = zarr.open_group(path, mode="w")
    axes = [{"name": n, "type": "space", "unit": "micrometer"} for n in "zyx"]
    steps = [{"type": "scale", "scale": [1.0, 1.0, 1.0]}]
    datasets = [{"path": "0", "coordinateTransformations": steps}]
    group.attrs["ome"] = {"version": "0.5", "multiscales": [{"axes": axes, "datasets": datasets}]}
    names = list("zyx")
    return group.create_array("0", shape=shape, chunks=(EDGE,) * 3, dtype="u2", dimension_names=names)


def enlarge(args, store):
    remove(store)
    options = ["--size", args.real_size, "--chunk", str(EDGE), "--shard", "none", "--interp", "linear", "--threads", "2"]
    ran(measure([args.reslice, "resample", args.scan, store, *options, "-q"]))


def ran(run):
    if run.code:
        sys.exit(f"exit {run.code}: {run.stderr}")
    return run


def thumbnail(args, folder, store, method, stored=None, memory=None):
    """Figures of one run; the target stays."""
    out, told = folder / "out.zarr", folder / "told.json"
    remove(out)
    memory = memory or args.memory
    argv = [args.reslice, "resample", store, out, "--size", ",".join([str(args.size)] * 3), *METHODS[method]]
    argv += ["--memory", memory, "--threads", args.threads, "--codec", "none", "--no-disk-check"]
    plan = ran(measure([*argv, "--dry-run=json"]))
    run = ran(measure([*argv, "-q", "--summary", told]))
    facts = json.loads(told.read_text())["passes"][0]
    shape = zarr.open_group(store, mode="r")["0"].shape
    figures = {
        "source": ("virtual " if stored else "real ") + "x".join(map(str, reversed(shape))),
        "method": method,
        "memory": memory,
        "budget_mib": bytes_of(memory) / MIB,
        "peak_mib": run.peak_mib,
        "plan_cpu_seconds": plan.cpu_seconds,
        "cpu_seconds": run.cpu_seconds,
        "seconds": run.seconds,
        "decodes": facts["done"]["decodes"],
        "distinct": facts["plan"]["totals"]["distinct"],
        "amplification": facts["amplification"],
        "stored_chunks": stored,
    }
    print(json.dumps(figures), file=sys.stderr)
    return figures


def bytes_of(memory):
    return int(memory.removesuffix("MiB").removesuffix("GiB")) * (MIB if memory.endswith("MiB") else MIB << 10)


def both_budgets(args, folder, store, method):
    figures = thumbnail(args, folder, store, method)
    small = content(folder / "out.zarr")
    thumbnail(args, folder, store, method, memory="2GiB")
    return {**figures, "same_bytes": small == content(folder / "out.zarr")}


def content(path):
    """Every file but its metadata."""
    return {p.relative_to(path): p.read_bytes() for p in path.rglob("*") if p.is_file() and p.suffix != ".json"}


PEERS = {
    "tensorstore": """
import sys, tensorstore as ts
store, size, threads, out = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
context = ts.Context({"data_copy_concurrency": {"limit": threads}, "cache_pool": {"total_bytes_limit": 0}})
spec = {"driver": "zarr3", "kvstore": {"driver": "file", "path": f"{store}/0/"}}
source = ts.open(spec, context=context, read=True).result()
factors = [-(-n // size) for n in source.shape]
view = ts.downsample(source, factors, "mean")
target = ts.open({"driver": "zarr3", "kvstore": {"driver": "file", "path": out}}, create=True, delete_existing=True, dtype=ts.uint16,
                 shape=view.shape, chunk_layout=ts.ChunkLayout(read_chunk_shape=[64] * 3), context=context).result()
for z in range(0, view.shape[0], 64):
    slab = slice(z, min(z + 64, view.shape[0]))
    target[slab].write(view[slab]).result()
""",
    "dask": """
import sys, dask, dask.array as da, numpy as np, zarr
store, size, threads, out = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
source = da.from_zarr(zarr.open_group(store, mode="r")["0"])
factors = {a: -(-n // size) for a, n in enumerate(source.shape)}
made = da.coarsen(np.mean, source, factors, trim_excess=True).astype("u2")
made = made.rechunk((64, 64, 64))
with dask.config.set(scheduler="threads", num_workers=threads):
    da.to_zarr(made, out, overwrite=True)
""",
}


def peer(args, folder, store, name):
    """A mean by whole factors, by another program: as near as it comes."""
    out = folder / f"{name}.zarr"
    argv = [sys.executable, "-c", PEERS[name], store, args.size, args.threads, out]
    run = ran(measure(argv))
    shape = zarr.open_group(store, mode="r")["0"].shape
    figures = {
        "source": "real " + "x".join(map(str, reversed(shape))),
        "method": f"{name}, mean by whole factors",
        "peak_mib": run.peak_mib,
        "cpu_seconds": run.cpu_seconds,
        "seconds": run.seconds,
    }
    print(json.dumps(figures), file=sys.stderr)
    remove(out)
    return figures


def table(figures):
    heads = ["source", "method", "peak MiB", "plan, CPU s", "run, CPU s", "run, s", "chunks decoded", "amplification", "same bytes in 2 GiB"]
    rows = []
    for f in figures:
        told = lambda name, form: form.format(f[name]) if f.get(name) is not None else ""  # noqa: E731
        same = {True: "yes", False: "**no**"}.get(f.get("same_bytes"), "")
        rows.append([f["source"], f["method"], f"**{f['peak_mib']:.1f}**", told("plan_cpu_seconds", "{:.2f}"),
                     f"{f['cpu_seconds']:.1f}", f"{f['seconds']:.1f}", told("decodes", "{}"), told("amplification", "{:.2f}"), same])
    return markdown(heads, rows)


if __name__ == "__main__":
    main()
