"""Random jobs: what is asked of a random source, as the options of `resample`; a few of them make a batch."""

import argparse
import math
import random
import re
import shlex
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np

import random_sources
from random_sources import Source

MIB = 1 << 20
STRETCHED = ("linear", "cubic", "lanczos2", "lanczos3", "lanczos6", "gaussian", "gaussian:2.5")
SMOOTH = (*STRETCHED, "bspline2", "bspline3", "bspline5", "sinc-hamming", "sinc-lanczos:3")
MEASURES = ("mean",)
PICKS = ("mode", "min", "max", "median", "label", "label-gaussian")
# Most bytes of voxels of a source, and of a target.
MOST_BYTES = 12 * MIB
# What a format of the target cannot hold.
UNWRITTEN = re.compile(r"(MGH has|OME-TIFF has no) ")
# The options of a run, which a batch has once.
RUN = ("threads", "io", "scratch")


@dataclass
class Job:
    source: Source
    target: Path
    # Option without its dashes: a value, a list of values, or True.
    options: dict

    def argv(self, *more):
        return ["resample", str(self.source.path), str(self.target), *tokens(self.options), *more]


def tokens(options):
    listed = {name: value if isinstance(value, list) else [value] for name, value in options.items()}
    return [f"--{name}" if one is True else f"--{name}={one}" for name, all in listed.items() for one in all]


def choose(seed, folder, number=0, run=None):
    """The job of a seed, its source written below `folder`; `run` are run options that it is to have."""
    rng = random.Random(f"{seed}-{number}")
    source = random_sources.make(rng, folder, f"in{number}", round(MOST_BYTES * rng.uniform(0.01, 1)))
    options = {}
    sizing(rng, source, folder, number, options)
    transforms(rng, source, folder, number, options)
    values(rng, source, options)
    target = target_of(rng, source, folder, number, options)
    options |= run if run is not None else run_options(rng, source)
    return Job(source, target, options)


def choose_batch(seed, folder):
    """Two to four jobs with the same run options, and their table."""
    rng = random.Random(f"{seed}-batch")
    run = {"threads": rng.choice([1, 2, 3, 8, 16])}
    jobs = [choose(seed, folder, n, run) for n in range(rng.randint(2, 4))]
    rows = [{name: value for name, value in job.options.items() if name not in RUN} for job in jobs]
    columns = list(dict.fromkeys(name for row in rows for name in row))
    lines = ["\t".join(["input", "output", *columns])]
    for job, row in zip(jobs, rows):
        lines.append("\t".join([str(job.source.path), str(job.target), *(cell(row.get(name)) for name in columns)]))
    table = folder / "jobs.tsv"
    table.write_text("\n".join(lines) + "\n")
    return jobs, ["batch", str(table), *tokens(run)]


def cell(value):
    return "" if value is None else "yes" if value is True else ";".join(value) if isinstance(value, list) else str(value)


def sizing(rng, source, folder, number, options):
    """The grid: any of the rules, with a target that is not much larger than sources are."""
    shape = source.shape
    if rng.random() < 0.25:
        options["orient"] = "".join(rng.choice(pair) for pair in rng.sample(["RL", "AP", "SI"], 3))
    if rng.random() < 0.2:
        box = [sorted((rng.randint(0, n), rng.randint(0, n))) for n in shape]
        box = [(lo, max(hi, lo + 1)) if lo < n else (n - 1, n) for (lo, hi), n in zip(box, shape)]
        options["region"] = ",".join(f"{lo}:{hi}" for lo, hi in box)
    rule = rng.choices(["none", "spacing", "size", "scale", "isotropic", "like", "far"], [3, 5, 4, 5, 1, 2, 0.6])[0]
    voxels = max(MOST_BYTES // (source.dtype.itemsize * max(source.volumes, 1)), 8)
    factors = factors_of(rng, shape, voxels)
    if rule == "spacing":
        options["spacing"] = ",".join(f"{s / f:.7g}" for s, f in zip(source.spacing, factors))
    elif rule == "size":
        options["size"] = ",".join(str(max(round(n * f), 1)) for n, f in zip(shape, factors))
    elif rule == "scale":
        options["scale"] = ",".join(f"{f:.7g}" for f in factors)
    elif rule == "isotropic" and math.prod(n * s for n, s in zip(shape, source.spacing)) / min(source.spacing) ** 3 < voxels:
        options["isotropic"] = True
    elif rule == "far":
        options["spacing"] = rng.choice(["1e4", "1e7", "1e9"])
    elif rule == "like" and source.is_nifti:
        options["like"] = str(write_reference(rng, folder / f"like{number}.nii", source, factors))
    if rng.random() < 0.3 and rule in ("spacing", "scale", "size"):
        options["align"] = rng.choice(["edges", "center"])
    if source.path.suffix == ".zarr" and not source.said.get("image"):
        options["spacing-in"] = ",".join(str(s) for s in source.spacing)


def factors_of(rng, shape, most_voxels):
    """Voxels of the target for one of the source, per axis."""
    weak = rng.random() < 0.6
    factors = [rng.uniform(0.4, 1.6) if weak else 10 ** rng.uniform(-2.5, 0.7) for _ in range(3)]
    if rng.random() < 0.3:
        factors[rng.randrange(3)] = 1.0
    factors = [max(f, 1 / n) if n > 1 else 1.0 for f, n in zip(factors, shape)]
    excess = math.prod(n * f for n, f in zip(shape, factors)) / most_voxels
    if excess > 1:
        longest = max(range(3), key=lambda a: shape[a] * factors[a])
        factors[longest] = max(factors[longest] / excess, 1 / shape[longest])
    return factors


def write_reference(rng, path, source, factors):
    """A file of nothing with about the source's box, at times turned."""
    affine = nib.load(source.path).affine.copy()
    shape = tuple(max(round(n * f), 1) for n, f in zip(source.shape, factors))
    affine[:3, :3] = affine[:3, :3] * [n / m for n, m in zip(source.shape, shape)]
    if rng.random() < 0.6:
        most = rng.choice([0.02, 0.4])
        affine[:3, :3] = nib.eulerangles.euler2mat(*(rng.uniform(-most, most) for _ in range(3))) @ affine[:3, :3]
    kind = nib.Nifti2Image if max(shape) > random_sources.LONG else nib.Nifti1Image
    image = kind(np.broadcast_to(np.uint8(0), shape), affine)
    image.header.set_xyzt_units("mm", "sec")
    image.to_filename(path)
    return path


def transforms(rng, source, folder, number, options):
    if rng.random() < 0.55:
        return
    if source.volumes > 1 and source.kind == "scalars" and rng.random() < 0.3:
        files = [random_sources.write_affine(rng, folder / f"list{number}-{n}.mat", False) for n in range(source.volumes)]
        listed = folder / f"list{number}.txt"
        listed.write_text("\n".join(f"{file}{',ras'}" for file in files) + "\n")
        options["transform-list"] = str(listed)
        return
    chain = []
    if rng.random() < 0.7:
        chain.append(str(random_sources.write_affine(rng, folder / f"affine{number}.txt")) + ",ras")
    if source.is_nifti and (not chain or rng.random() < 0.3):
        field = folder / f"field{number}{rng.choice(['.nii', '.nii.gz'])}"
        chain.append(str(random_sources.write_field(rng, field, source.path, source.shape, source.spacing)))
    rng.shuffle(chain)
    if chain:
        options["transform"] = chain


def values(rng, source, options):
    parts = source.kind == "scalars"
    pools = [("nearest",), SMOOTH, MEASURES, *((PICKS,) if parts else ())]
    method = rng.choice(rng.choices(pools, [2, 6, 2, *((4,) if parts else ())])[0])
    options["interp"] = method
    if method in STRETCHED and (rng.random() < 0.5 or options.get("spacing") in ("1e7", "1e9")):
        options["antialias"] = True
    if rng.random() < 0.3:
        options["outside"] = rng.choice(["edge", "1", "0"])
    if rng.random() < 0.3 and parts:
        options["dtype"] = rng.choice(["u8", "i16", "u16", "f32", "f64"])


def target_of(rng, source, folder, number, options):
    kinds = [".nii", ".nii.gz", ".hdr", ".zarr", ".nrrd", ".mhd", ".mgz", ".tif", ".ozx"]
    weights = [4, 4, 1, 6, 1, 1, 1, 1, 1] if source.kind == "scalars" else [4, 4, 1, *[0] * 6]
    suffix = rng.choices(kinds, weights)[0]
    if suffix == ".nii.gz" and rng.random() < 0.5:
        options["gzip"] = rng.choice(["bgzf", "bgzf:9", "single:1", "single:6", "single:9"])
    if suffix in (".zarr", ".ozx"):
        zarr_target(rng, source, options)
    if suffix == ".ozx":
        options["ome"] = "0.5"
    return folder / f"out{number}{suffix}"


def zarr_target(rng, source, options):
    extent = rng.choice([5, 16, 32, 64, 100, 128, 500])
    if max(source.shape) > 100_000:
        extent = rng.choice([10_000, 65_536, 2_000_000])
    if rng.random() < 0.6:
        options["chunk"] = str(extent) if rng.random() < 0.6 else ",".join(str(max(round(extent * rng.uniform(0.3, 1)), 1)) for _ in range(3))
    options["ome"] = rng.choice(["0.5", "0.5", "0.4"])
    if options["ome"] == "0.5" and rng.random() < 0.6:
        chunk = [int(n) for n in options.get("chunk", "").split(",") if n]
        times = rng.randint(1, 5)
        options["shard"] = ",".join(str(n * times) for n in chunk) if chunk and rng.random() < 0.6 else "none"
    if rng.random() < 0.7:
        options["codec"] = rng.choice(
            ["zstd:1", "zstd:3", "zstd:9", "zstd:15", "blosc-zstd", "blosc-zstd:9", "blosc-lz4", "blosc-lz4:9", "gzip", "gzip:9", "none"]
        )
    if rng.random() < 0.3:
        options["pyramid"] = rng.choice([True, "1", "3"])
        if rng.random() < 0.7:
            options["method"] = rng.choice(["mean", "mode", "gaussian", "stride"])


def run_options(rng, source):
    options = {"threads": rng.choice([1, 1, 2, 2, 3, 4, 8, 16])}
    if source.is_raw and rng.random() < 0.3:
        options["io"] = "mmap"
    return options


def command(argv):
    return shlex.join(["reslice", *argv])


def arguments(description):
    """Rounds, seed and folder, as a program of random jobs is given them."""
    parser = argparse.ArgumentParser(description=description.splitlines()[0])
    parser.add_argument("rounds", nargs="?", type=int, default=100)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    parser.add_argument("--keep", help="leave the files of each round below this folder")
    return parser.parse_args()
