"""Sources of random jobs: odd shapes in every format that is read, small enough for a job of about a second."""

import gzip
import json
import math
from dataclasses import dataclass, field
from pathlib import Path

import nibabel as nib
import numcodecs
import numpy as np
import zarr
from nibabel.eulerangles import euler2mat

import random_formats

DTYPES = ("u1", "i1", "u2", "i2", "u4", "i4", "f4", "f8", "u8", "i8")
# An axis too long for NIfTI-1.
LONG = 32767
# zarr-python takes about a millisecond for each chunk.
MOST_CHUNKS = 1500


@dataclass
class Source:
    path: Path
    # Voxels along i, j, k.
    shape: tuple
    # Volumes along further axes.
    outer: tuple
    spacing: tuple
    # scalars, colours, vectors or complex
    kind: str
    dtype: np.dtype
    # What was chosen, for messages.
    said: dict = field(default_factory=dict)

    @property
    def volumes(self):
        return math.prod(self.outer)

    @property
    def is_raw(self):
        return self.path.suffix in (".nii", ".hdr", ".img")

    @property
    def is_nifti(self):
        return self.is_raw or self.path.name.endswith(".nii.gz")


def make(rng, folder, name, most_bytes):
    """A source of at most `most_bytes` of voxels, all decided by `rng`."""
    kind = rng.choices(["scalars", "colours", "vectors", "complex"], [16, 1, 1, 1])[0]
    dtype = {"colours": "u1", "vectors": "f4", "complex": "c8"}.get(kind) or rng.choice(DTYPES)
    dtype = np.dtype(dtype)
    components = {"colours": 3, "vectors": 3}.get(kind, 1)
    outer = rng.choices([(), (rng.randint(2, 12),), (2, 3)], [12, 3, 1])[0] if kind != "vectors" else ()
    most = max(most_bytes // (dtype.itemsize * components * math.prod(outer)), 8)
    family, shape = choose_shape(rng, most)
    is_zarr = kind == "scalars" and rng.random() < 0.5
    spacing = tuple(rng.choice([0.5, 0.75, 1.0, 1.2345678, 3.0]) for _ in range(3))
    values = choose_values(rng, shape, outer, components, dtype)
    made = Source(Path(), shape, outer, spacing, kind, dtype, {"shape": family})
    other = random_formats.choose(rng, made) if rng.random() < 0.3 else None
    write = other or (write_zarr if is_zarr else write_nifti)
    made.path = write(rng, folder / name, made, values)
    return made


def choose_shape(rng, most):
    """A family of shapes and one of it, with at most `most` voxels."""
    family = rng.choices(["prime", "thin", "flat", "single", "plates"], [10, 5, 2, 1, 2])[0]
    if family == "prime":
        edge = max(round(most ** (1 / 3)), 2)
        shape = [prime_below(rng.randint(max(edge // 3, 2), edge)) for _ in range(3)]
    elif family == "thin":
        length = round(10 ** rng.uniform(3.5, 7))
        shape = [min(length, most), 1, 1]
        if rng.random() < 0.3:
            shape[1] = rng.randint(1, 3)
            shape[0] = max(shape[0] // shape[1], 1)
    elif family == "flat":
        edge = max(math.isqrt(most), 1)
        shape = [rng.randint(max(edge // 4, 1), edge), rng.randint(max(edge // 4, 1), edge), 1]
    elif family == "single":
        shape = [rng.choice([1, 1, 2, 3]) for _ in range(3)]
    else:
        deep = rng.randint(2, 9)
        edge = max(math.isqrt(most // deep), 1)
        shape = [rng.randint(max(edge // 4, 1), edge), rng.randint(max(edge // 4, 1), edge), deep]
    rng.shuffle(shape)
    return family, tuple(shape)


def prime_below(n):
    is_prime = lambda n: n > 1 and all(n % d for d in range(2, math.isqrt(n) + 1))  # noqa: E731
    return next((p for p in range(n, 1, -1) if is_prime(p)), 2)


def choose_values(rng, shape, outer, components, dtype):
    """Samples by i, j, k, further axes, components: noise, a smooth ramp, labels or mostly nothing."""
    numbers = np.random.default_rng(rng.getrandbits(32))
    whole = (*shape, *outer, components)
    style = rng.choice(["noise", "ramp", "labels", "sparse"])
    if style == "noise":
        raw = numbers.integers(0, 256, (*whole, dtype.itemsize), dtype=np.uint8) if dtype.kind in "iu" else None
        return raw.view(dtype)[..., 0] if raw is not None else numbers.normal(0, 1000, whole).astype(dtype)
    if style == "labels":
        return numbers.integers(0, 5, whole).astype(dtype)
    if style == "sparse":
        values = np.zeros(whole, dtype)
        values[tuple(s // 2 for s in whole)] = 7
        return values
    ramp = sum((np.arange(n).reshape([-1 if a == b else 1 for b in range(len(whole))]) for a, n in enumerate(whole)))
    return (ramp % 120).astype(dtype)


def choose_affine(rng, spacing):
    """Axes along the world's in any order and direction, at times a little or much turned; in mm."""
    order = rng.sample(range(3), 3)
    turn = np.zeros((3, 3))
    for column, row in enumerate(order):
        turn[row, column] = rng.choice([1.0, -1.0])
    if rng.random() < 0.4:
        turn = euler2mat(*(rng.uniform(-0.4, 0.4) for _ in range(3))) @ turn
    affine = np.eye(4)
    affine[:3, :3] = turn * spacing
    affine[:3, 3] = [rng.uniform(-100, 100) for _ in range(3)]
    return affine


def write_nifti(rng, stem, source, values):
    affine = choose_affine(rng, source.spacing)
    if source.kind == "colours":
        values = np.ascontiguousarray(values).view([("R", "u1"), ("G", "u1"), ("B", "u1")])[..., 0]
    elif source.kind == "vectors":
        values = values[..., None, :] if not source.outer else values
    else:
        values = values[..., 0]
    version_two = max(source.shape) > LONG or rng.random() < 0.2
    suffix = rng.choices([".nii", ".nii.gz", ".hdr"], [4, 3, 1])[0]
    pairs = suffix == ".hdr"
    kinds = {(False, False): nib.Nifti1Image, (False, True): nib.Nifti1Pair}
    kinds |= {(True, False): nib.Nifti2Image, (True, True): nib.Nifti2Pair}
    image = kinds[version_two, pairs](values, affine, dtype=values.dtype)
    image.header.set_xyzt_units("mm", "sec")
    if source.kind == "vectors":
        image.header.set_intent("vector")
    image.header.set_slope_inter(1, 0)
    source.said |= {"form": suffix, "nifti": 2 if version_two else 1}
    path = stem.with_name(stem.name + suffix)
    save(path, image.header, values)
    return path


def save(path, header, values):
    """Header and samples; nibabel would write long thin volumes plane by plane."""
    samples = values.tobytes(order="F")
    if path.suffix == ".hdr":
        with open(path, "wb") as file:
            header.write_to(file)
        path.with_suffix(".img").write_bytes(samples)
        return
    header["vox_offset"] = header.sizeof_hdr + 4
    with gzip.open(path, "wb", compresslevel=1) if path.suffix == ".gz" else open(path, "wb") as file:
        header.write_to(file)
        file.write(bytes(4))
        file.write(samples)


def write_zarr(rng, stem, source, values):
    """A bare array of either version, or an image of OME-Zarr, with the axes slowest first."""
    samples = values[..., 0].T
    names = [*["t", "c"][: len(source.outer)], "z", "y", "x"]
    version = rng.choice([2, 3])
    is_image = rng.random() < 0.6
    path = stem.with_name(stem.name + ".zarr")
    array = path / "0" if is_image else path
    chunks = choose_chunks(rng, samples.shape)
    how = {"chunks": chunks, "zarr_format": version, "fill_value": 0}
    if version == 2:
        how |= v2_codecs(rng, samples.dtype)
    else:
        how |= v3_codecs(rng, samples.shape, chunks) | {"dimension_names": names}
    source.said |= {"form": f"zarr{version}", "chunks": chunks, "image": is_image} | {k: str(v) for k, v in how.items() if k == "shards"}
    if is_image:
        group = zarr.open_group(path, mode="w", zarr_format=version)
        step = [1.0] * (samples.ndim - 3) + list(source.spacing[::-1])
        write_multiscale(group, version, names, step)
    stored = zarr.create_array(array, shape=samples.shape, dtype=samples.dtype, **how)
    stored[...] = samples
    return path


def write_multiscale(group, version, names, step):
    kinds = {"c": "channel", "t": "time"}
    axes = [{"name": n, "type": kinds.get(n, "space")} | ({} if n in kinds else {"unit": "millimeter"}) for n in names]
    levels = [{"path": "0", "coordinateTransformations": [{"type": "scale", "scale": step}]}]
    multiscale = {"axes": axes, "datasets": levels}
    if version == 3:
        group.attrs["ome"] = {"version": "0.5", "multiscales": [multiscale]}
    else:
        group.attrs["multiscales"] = [multiscale | {"version": "0.4"}]


def choose_chunks(rng, shape):
    """Chunks of any extents, not so small that there are too many of them."""
    edge = rng.choice([7, 16, 32, 64, 128, 1000])
    chunks = [min(n, max(1, round(edge * rng.uniform(0.5, 1.5)))) for n in shape]
    if rng.random() < 0.15:
        chunks[rng.randrange(len(chunks))] = 10**9
    chunks = [min(c, n) for c, n in zip(chunks, shape)]
    while math.prod(-(-n // c) for n, c in zip(shape, chunks)) > MOST_CHUNKS:
        most = max(range(len(shape)), key=lambda a: -(-shape[a] // chunks[a]))
        chunks[most] = min(chunks[most] * 2, shape[most])
    return tuple(chunks)


def v2_codecs(rng, dtype):
    compressors = [
        None, numcodecs.Zstd(level=3), numcodecs.GZip(level=1), numcodecs.Zlib(level=1), numcodecs.BZ2(level=1),
        numcodecs.LZ4(), numcodecs.Blosc("lz4", 5, numcodecs.Blosc.SHUFFLE), numcodecs.Blosc("zstd", 3),
    ]
    filters = [numcodecs.Delta(dtype=dtype.str)] if dtype.kind in "iu" and rng.random() < 0.2 else None
    return {"compressors": rng.choice(compressors), "filters": filters, "order": rng.choice("CF")}


def v3_codecs(rng, shape, chunks):
    codecs = zarr.codecs
    compressors = [
        None, codecs.ZstdCodec(level=3), codecs.GzipCodec(level=1), codecs.BloscCodec(cname="lz4"),
        codecs.BloscCodec(cname="zstd"), [codecs.ZstdCodec(), codecs.Crc32cCodec()],
    ]
    how = {"compressors": rng.choice(compressors)}
    if rng.random() < 0.4:
        how["shards"] = tuple(c * rng.randint(1, 4) for c in chunks)
    return how


def write_field(rng, path, source_path, shape, spacing):
    """A displacement field (a NIfTI of three components, LPS mm) over about the box of a NIfTI source."""
    affine = nib.load(source_path).affine
    points = tuple(min(n, rng.randint(2, 24)) for n in shape)
    over = affine.copy()
    over[:3, :3] = affine[:3, :3] * [n / p for n, p in zip(shape, points)]
    most = rng.choice([0.0, 0.5, 3.0]) * max(spacing)
    vectors = np.random.default_rng(rng.getrandbits(32)).uniform(-most, most, (*points, 1, 3))
    image = nib.Nifti1Image(vectors.astype(np.float32), over)
    image.header.set_intent("vector")
    image.header.set_xyzt_units("mm", "sec")
    image.to_filename(path)
    return path


def write_affine(rng, path, hard=True):
    """A 4x4 matrix in RAS mm: a shift, a small turn, or any."""
    matrix = np.eye(4)
    most = rng.choice([0.0, 0.05, 0.5, 3.0]) if hard else 0.05
    scale = [rng.uniform(0.7, 1.4) for _ in range(3)] if hard and rng.random() < 0.3 else [1.0] * 3
    matrix[:3, :3] = euler2mat(*(rng.uniform(-most, most) for _ in range(3))) * scale
    matrix[:3, 3] = [rng.uniform(-5, 5) for _ in range(3)]
    path.write_text("\n".join(" ".join(f"{x:.9g}" for x in row) for row in matrix) + "\n")
    return path


def said(source):
    """One line of what a source is."""
    facts = {"shape": source.shape, "outer": source.outer, "kind": source.kind, "dtype": source.dtype.str}
    return json.dumps({**source.said, **facts}, default=str)
