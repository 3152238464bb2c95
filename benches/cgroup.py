"""Runs inside a memory cgroup of 128 MiB: without `--memory`, and with 96 MiB of it. Six volumes of up to 16.8 GB.

What counts is that nothing is killed, how often the limit was met (`failcnt`), and that the bytes are those of a free run.
"""

import hashlib
import struct
import sys
import zlib

import numpy as np

from fixed_memory import chunked_zarr
from measure import MIB, cgroup_facts, measure, memory_cgroup
from tables import Workspace, arguments, markdown, parse, remove, report, size_of

LIMIT_MIB = 128
FRACTION = 96
OBLIQUE = [[0.96, -0.2, 0.19, 5], [0.22, 0.97, -0.1, -7], [-0.16, 0.14, 0.98, 9]]
LARGE, MIDDLE = (2045, 2048, 2000), (1021, 1024, 1000)


def main():
    parser = arguments(__doc__)
    parser.add_argument("--only", help="numbers of jobs, from 1, with commas")
    args = parse(parser)
    figures = []
    with Workspace(args.work) as folder:
        chosen = [int(n) - 1 for n in args.only.split(",")] if args.only else range(len(JOBS))
        for n in chosen:
            figures.append(row(args, folder, *JOBS[n]))
            print(figures[-1], file=sys.stderr)
    report(args, table(figures), figures)
    fine = all(run["killed"] == 0 and run["peak_mib"] <= run["budget_mib"] and f["same"]
               for f in figures for run in f["cgroup"])
    sys.exit(0 if fine else 1)


def row(args, folder, about, make, suffix, options):
    """One job: freely, then twice in a cgroup."""
    source = make(folder)
    options = [str(folder / "like.nii") if o == "LIKE" else o for o in options]
    out = folder / f"out{suffix}"
    argv = [args.reslice, "resample", source, out, *options]
    free = finished(argv, None, ["--memory", f"{FRACTION}MiB"])
    expected, facts = digest(out), {"source": about, "output": " ".join([suffix, *options[::1]]).replace(str(folder) + "/", "")}
    facts |= {"source_bytes": voxel_bytes(source), "output_bytes": size_of(out), "seconds": free.seconds, "cgroup": []}
    same = True
    for budget, memory in ((LIMIT_MIB // 2, []), (FRACTION, ["--memory", f"{FRACTION}MiB"])):
        remove(out)
        with memory_cgroup(LIMIT_MIB * MIB) as cgroup:
            if cgroup is None:
                sys.exit("no memory cgroup can be made here")
            run = finished(argv, cgroup, memory)
            charged = cgroup_facts(cgroup)
        facts["cgroup"].append({"budget_mib": budget, "peak_mib": run.peak_mib, "seconds": run.seconds, **charged})
        same &= digest(out) == expected
    remove(out)
    remove(source)
    return {**facts, "same": same}


def finished(argv, cgroup, memory):
    run = measure([*argv, *memory], cgroup=cgroup)
    if run.code:
        sys.exit(f"exit {run.code}: {' '.join(map(str, [*argv, *memory]))}\n{run.stderr}")
    return run


def header(shape, code, bits, affine=None, outer=()):
    """A NIfTI-1 header with spacing 1."""
    dims = [*shape, *outer]
    text = bytearray(352)
    struct.pack_into("<i", text, 0, 348)
    struct.pack_into("<8h", text, 40, len(dims), *dims, *[1] * (7 - len(dims)))
    struct.pack_into("<2h", text, 70, code, bits)
    struct.pack_into("<8f", text, 76, *[1] * 8)
    struct.pack_into("<f", text, 108, 352)
    struct.pack_into("<B", text, 123, 2)
    struct.pack_into("<2h", text, 252, 0, 1)
    rows = affine or [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0]]
    struct.pack_into("<12f", text, 280, *[v for r in rows for v in r])
    text[344:348] = b"n+1\0"
    return bytes(text)


def sparse(shape, code, dtype, outer=()):
    """A volume of holes with one noisy MiB in every 64."""

    def make(folder):
        path = folder / "source.nii"
        total = int(np.prod([*shape, *outer], dtype=np.int64)) * np.dtype(dtype).itemsize
        noise = np.random.default_rng(7).integers(0, 1000, MIB // np.dtype(dtype).itemsize).astype(dtype).tobytes()
        with open(path, "wb") as f:
            f.write(header(shape, code, 8 * np.dtype(dtype).itemsize, outer=outer))
            f.truncate(352 + total)
            for at in range(0, total - MIB, 64 * MIB):
                f.seek(352 + at)
                f.write(noise)
        (folder / "like.nii").write_bytes(header((400, 400, 400), 512, 16, OBLIQUE) + bytes(2 * 400**3))
        return path

    return make


def stream(folder):
    """A `.nii.gz` of 1021x1024x1000 u16 whose members repeat: noise of 8 bits."""
    path = folder / "source.nii.gz"
    nx, ny, nz = MIDDLE
    slab = np.random.default_rng(7).integers(0, 256, nx * ny * 8).astype("<u2").tobytes()
    with open(path, "wb") as f:
        for part, times in ((header(MIDDLE, 512, 16), 1), (slab, nz // 8)):
            packer = zlib.compressobj(1, zlib.DEFLATED, 31)
            member = packer.compress(part) + packer.flush()
            for _ in range(times):
                f.write(member)
    return path


def chunks(folder):
    path = folder / "source.zarr"
    chunked_zarr(path, (1280, 1536, 1024), 64)
    return path


JOBS = [
    ("u16 2045x2048x2000 .nii", sparse(LARGE, 512, "<u2"), ".zarr", ["--spacing", "1.7,2.3,1.9", "--interp", "nearest"]),
    ("u16 1021x1024x1000 .nii.gz", stream, ".nii.gz", ["--spacing", "1.2"]),
    ("u16 1280x1536x1024 .zarr, 64^3", chunks, ".nii", ["--spacing", "1.1"]),
    ("f32 1021x1024x1000 .nii", sparse(MIDDLE, 16, "<f4"), ".nii", ["--spacing", "1.05"]),
    ("i16 256x256x150x100 .nii", sparse((256, 256, 150), 4, "<i2", (100,)), ".zarr",
     ["--spacing", "0.9", "--shard", "none", "--chunk", "64"]),
    ("u16 1021x1024x1000 .nii", sparse(MIDDLE, 512, "<u2"), ".nii.gz", ["--like", "LIKE"]),
]


def voxel_bytes(source):
    if source.suffix == ".zarr":
        return 2 * 1280 * 1536 * 1024
    return 2 * int(np.prod(MIDDLE)) if source.suffix == ".gz" else source.stat().st_size


def digest(path):
    """Of a file, or of the names and bytes of all files of a folder."""
    whole = hashlib.blake2b()
    for file in sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]:
        whole.update(str(file.relative_to(path)).encode())
        with open(file, "rb") as f:
            while part := f.read(8 * MIB):
                whole.update(part)
    return whole.hexdigest()


def table(figures):
    heads = ["source", "GB", "output", "s freely", "without `--memory`: s", "peak MiB of 64", "failcnt",
             "with 96MiB: s", "peak MiB of 96", "failcnt", "killed", "same bytes"]
    rows = []
    for f in figures:
        cells = [f["source"], f"{f['source_bytes'] / 1e9:.1f}", f"`{f['output']}`", f"{f['seconds']:.1f}"]
        for run in f["cgroup"]:
            cells += [f"{run['seconds']:.1f}", f"{run['peak_mib']:.1f}", run["limit_met"]]
        rows.append([*cells, sum(run["killed"] for run in f["cgroup"]), "yes" if f["same"] else "**no**"])
    return markdown(heads, rows)


if __name__ == "__main__":
    main()
