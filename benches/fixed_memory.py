"""One budget, growing volumes: sparse u16 NIfTI files of up to 16.8 GB and a Zarr array of 4 GB under 96 MiB.

Known voxels stand at random places in the sources and are found again in the outputs; everything else of the sparse
volumes must be zero there. Each job runs twice: freely, and inside a memory cgroup of 128 MiB.
"""

import gzip
import struct
import sys

import numpy as np
import zarr

from measure import MIB, cgroup_facts, measure, memory_cgroup
from tables import Workspace, arguments, markdown, parse, remove, report, size_of

VOLUMES = [(509, 512, 500), (1021, 1024, 1000), (2045, 2048, 2000)]
CHUNKED = (1280, 1536, 1024)  # x, y, z: 4.03 GB of u16
NEAREST_STEP, LINEAR_STEP = (1.7, 2.3, 1.9), (3.0, 3.0, 3.0)
KNOWN = 200
HEADER = 352


def main():
    parser = arguments(__doc__)
    parser.add_argument("--memory", default="96MiB")
    parser.add_argument("--cgroup-mib", type=int, default=128)
    parser.add_argument("--volumes", type=int, default=len(VOLUMES), help="only the first so many of the NIfTI volumes")
    parser.add_argument("--no-chunked", action="store_true", help="without the Zarr source")
    parser.add_argument("--seed", type=int, default=20)
    args = parse(parser)
    figures = []
    with Workspace(args.work) as folder:
        for shape in VOLUMES[: args.volumes]:
            source = folder / "source.nii"
            known = Known(shape, args.seed)
            sparse_nifti(source, shape, known)
            figures += jobs(args, folder, source, shape, known.nearest, known.linear, sparse=True)
            remove(source)
        if not args.no_chunked:
            source = folder / "source.zarr"
            chunked_zarr(source, CHUNKED)
            known = Known(CHUNKED, args.seed)
            figures += jobs(args, folder, source, CHUNKED, Pattern(known.nearest), Pattern(known.linear), sparse=False)
            remove(source)
    report(args, table(args, figures), figures)
    budget = float(args.memory.removesuffix("MiB"))
    sys.exit(0 if all(f["found"] == f["known"] and f["peak_mib"] <= budget for f in figures) else 1)


class Known:
    """Voxels that are certain to be seen again: `nearest` and `linear` map target index to (source index, value)."""

    def __init__(self, shape, seed):
        rng = np.random.default_rng(seed)
        self.nearest = self._choose(rng, shape, NEAREST_STEP, ties=True)
        self.linear = self._choose(rng, shape, LINEAR_STEP, ties=False)
        # A voxel of one set that the other output also sees would be an unexpected voxel there: drop those.
        self.nearest = {t: sv for t, sv in self.nearest.items() if not self._near_linear_sample(sv[0])}
        self.linear = {t: sv for t, sv in self.linear.items() if not self._is_nearest_sample(sv[0], shape)}

    @staticmethod
    def _choose(rng, shape, step, ties):
        """Random target indices with the source voxel that each looks at, ties left out."""
        size = target_shape(shape, step)
        chosen = {}
        while len(chosen) < KNOWN:
            target = tuple(int(rng.integers(0, n)) for n in size)
            at = np.array(target) * step
            if ties and (np.abs(at + 0.5 - np.rint(at + 0.5)) < 1e-6).any():
                continue
            source = tuple(int(v) for v in np.floor(at + 0.5))
            if all(s < n for s, n in zip(source, shape)):
                chosen[target] = (source, int(rng.integers(1, 65535)))
        return chosen

    @staticmethod
    def _near_linear_sample(source):
        return all(s % int(step) == 0 for s, step in zip(source, LINEAR_STEP))

    @staticmethod
    def _is_nearest_sample(source, shape):
        size = target_shape(shape, NEAREST_STEP)
        for s, step, n in zip(source, NEAREST_STEP, size):
            near = range(max(0, int(s / step) - 1), min(n, int(s / step) + 3))
            if not any(abs(t * step - s) <= 0.5 + 1e-6 for t in near):
                return False
        return True


class Pattern:
    """Target indices of a source whose every voxel is known by formula."""

    def __init__(self, chosen):
        self.chosen = chosen

    def items(self):
        return [(target, (source, int(pattern(*source)))) for target, (source, _) in self.chosen.items()]

    def __len__(self):
        return len(self.chosen)


def pattern(x, y, z):
    """The voxels of the chunked source: smooth along x, never 0, different in every chunk."""
    return ((x >> 2) * 3 + y * 31 + z * 127 + (x >> 7) * 9973 + (y >> 7) * 4099 + (z >> 7) * 577) % 60013 + 1


def target_shape(shape, step):
    return tuple(max(1, round(n / s)) for n, s in zip(shape, step))


def sparse_nifti(path, shape, known):
    """A NIfTI-1 file with spacing 1 whose voxels are holes, but for the known ones."""
    header = bytearray(HEADER)
    struct.pack_into("<i", header, 0, 348)
    struct.pack_into("<8h", header, 40, 3, *shape, 1, 1, 1, 1)
    struct.pack_into("<2h", header, 70, 512, 16)
    struct.pack_into("<8f", header, 76, 1, 1, 1, 1, 0, 0, 0, 0)
    struct.pack_into("<f", header, 108, HEADER)
    struct.pack_into("<B", header, 123, 2)
    struct.pack_into("<2h", header, 252, 0, 1)
    struct.pack_into("<12f", header, 280, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0)
    header[344:348] = b"n+1\0"
    nx, ny, nz = shape
    with open(path, "wb") as f:
        f.write(header)
        f.truncate(HEADER + 2 * nx * ny * nz)
        for (x, y, z), value in [*known.nearest.values(), *known.linear.values()]:
            f.seek(HEADER + 2 * (x + nx * (y + ny * z)))
            f.write(struct.pack("<H", value))


def chunked_zarr(path, shape, edge=128):
    """An OME-Zarr 0.5 group of one level, u16, cubic chunks, zstd, spacing 1."""
    remove(path)
    group = zarr.open_group(path, mode="w")
    axes = [{"name": n, "type": "space", "unit": "millimeter"} for n in "zyx"]
    steps = [{"type": "scale", "scale": [1.0, 1.0, 1.0]}]
    datasets = [{"path": "0", "coordinateTransformations": steps}]
    group.attrs["ome"] = {"version": "0.5", "multiscales": [{"axes": axes, "datasets": datasets}]}
    data = group.create_array("0", shape=shape[::-1], chunks=(edge, edge, edge), dtype="u2", dimension_names=list("zyx"))
    for box in data_boxes(shape):
        x, y, z = np.ogrid[box]
        data[box[::-1]] = pattern(x, y, z).astype(np.uint16).T


def data_boxes(shape):
    """Slices in x, y, z order: runs of whole chunks along x."""
    for z in range(0, shape[2], 128):
        for y in range(0, shape[1], 128):
            yield slice(0, shape[0]), slice(y, min(y + 128, shape[1])), slice(z, min(z + 128, shape[2]))


def jobs(args, folder, source, shape, nearest, linear, sparse):
    """Both outputs of one source."""
    spacing = ",".join(map(str, NEAREST_STEP))
    todo = [
        (folder / "out.zarr", ["--spacing", spacing, "--interp", "nearest"], nearest, NEAREST_STEP, found_in_zarr),
        (folder / "out.nii.gz", ["--spacing", "3"], linear, LINEAR_STEP, found_in_gzip),
    ]
    figures = []
    for out, options, known, step, find in todo:
        argv = [args.reslice, "resample", source, out, *options, "--memory", args.memory]
        remove(out)
        run = measure(argv)
        if run.code:
            sys.exit(f"exit {run.code}: {' '.join(map(str, argv))}\n{run.stderr}")
        facts = {
            "source": "x".join(map(str, shape)) + source.suffix,
            "source_bytes": source.stat().st_size if source.is_file() else 2 * int(np.prod(shape, dtype=np.int64)),
            "output": " ".join([out.name.removeprefix("out"), *options]),
            "output_bytes": size_of(out),
            "seconds": run.seconds,
            "peak_mib": run.peak_mib,
            "known": len(known),
            "found": find(out, target_shape(shape, step), known, sparse),
            "cgroup": in_cgroup(args, argv, out),
        }
        figures.append(facts)
        print(f"{facts['source']} -> {facts['output']}: {facts['seconds']:.1f} s, {facts['peak_mib']:.1f} MiB, "
              f"{facts['found']} of {facts['known']} found, cgroup {facts['cgroup']}", file=sys.stderr)
        remove(out)
    return figures


def in_cgroup(args, argv, out):
    """The same run inside a memory cgroup; None where none can be made."""
    with memory_cgroup(args.cgroup_mib * MIB) as cgroup:
        if cgroup is None:
            print("no memory cgroup can be made here: left out", file=sys.stderr)
            return None
        remove(out)
        run = measure(argv, cgroup=cgroup)
        facts = cgroup_facts(cgroup)
        if run.code or facts["killed"]:
            sys.exit(f"exit {run.code} in a cgroup of {args.cgroup_mib} MiB: {' '.join(map(str, argv))}\n{run.stderr}")
        return {"limit_mib": args.cgroup_mib, "peak_mib": run.peak_mib, "seconds": run.seconds}


def found_in_zarr(path, shape, known, sparse):
    """How many known voxels the store has; 0 where a sparse one has any voxel besides."""
    group = zarr.open_group(path, mode="r")
    data = group[group.attrs["ome"]["multiscales"][0]["datasets"][0]["path"]]
    expect(data.shape == shape[::-1], f"{path.name} has shape {data.shape}, expected {shape[::-1]}")
    planes = {}
    for (x, y, z), (_, value) in known.items():
        planes.setdefault(z, []).append((x, y, value))
    found = set_voxels = 0
    depth = data.shards[0] if data.shards else data.chunks[0]
    for at in range(0, shape[2], depth):
        if not sparse and not any(at <= z < at + depth for z in planes):
            continue
        slab = data[at : at + depth]
        set_voxels += int(np.count_nonzero(slab))
        for z in range(at, at + len(slab)):
            found += sum(int(slab[z - at, y, x]) == value for x, y, value in planes.get(z, []))
    return found if not sparse or set_voxels == found else 0


def found_in_gzip(path, shape, known, sparse):
    """The same for a NIfTI stream, plane by plane."""
    planes = {}
    for (x, y, z), (_, value) in known.items():
        planes.setdefault(z, []).append((x, y, value))
    found = set_voxels = 0
    with gzip.open(path) as f:
        header = f.read(HEADER)
        dims = struct.unpack_from("<8h", header, 40)
        expect(dims[1:4] == shape, f"{path.name} has shape {dims[1:4]}, expected {shape}")
        f.read(int(struct.unpack_from("<f", header, 108)[0]) - HEADER)
        for z in range(shape[2]):
            plane = np.frombuffer(f.read(2 * shape[0] * shape[1]), "<u2").reshape(shape[1], shape[0])
            set_voxels += int(np.count_nonzero(plane))
            found += sum(int(plane[y, x]) == value for x, y, value in planes.get(z, []))
        expect(not f.read(1), f"{path.name} is longer than its voxels")
    return found if not sparse or set_voxels == found else 0


def expect(truth, message):
    if not truth:
        sys.exit(message)


def table(args, figures):
    heads = ["source", "GB", "output", "s", f"peak MiB (of {args.memory})", f"peak MiB in a cgroup of {args.cgroup_mib} MiB",
             "known voxels found"]
    rows = []
    for f in figures:
        cgroup = f"{f['cgroup']['peak_mib']:.1f}" if f["cgroup"] else "not possible here"
        rows.append([f["source"], f"{f['source_bytes'] / 1e9:.2f}", f"`{f['output']}`", f"{f['seconds']:.1f}",
                     f"**{f['peak_mib']:.1f}**", cgroup, f"{f['found']} of {f['known']}"])
    return markdown(heads, rows)


if __name__ == "__main__":
    main()
