"""The microscopy volume of the benchmarks: 1024x1536x1536 u16 (z, y, x) in 128^3 blosc-zstd chunks, OME-Zarr 0.5.

Smooth bright structure over a dark background with a camera's Gaussian noise: 4.8 GB that store as about 1.9. Made
once, the same every time, a row of chunks at a time, and kept under target/bench.
"""

import os
import shutil
import sys
from pathlib import Path

import numpy as np
import zarr
from zarr.codecs import BloscCodec

from tables import ROOT, remove

CHUNK = 128
NOISE = 8  # standard deviation
SHAPES = {"full": (1024, 1536, 1536), "small": (256, 384, 384)}
BENCH = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "bench"


def codec():
    """What zarr-python's blosc does when nothing is asked but zstd: level 5, bytes shuffled."""
    return BloscCodec(cname="zstd", clevel=5, shuffle="shuffle")


def volume(small=False):
    """The folder of the store, made where it is missing."""
    shape = SHAPES["small" if small else "full"]
    path = BENCH / f"light-sheet-{'x'.join(map(str, shape))}.ome.zarr"
    if not path.exists():
        unfinished = path.with_suffix(".part")
        remove(unfinished)
        print(f"making {path.name}, once", file=sys.stderr)
        make(unfinished, shape)
        unfinished.rename(path)
    return path


def make(path, shape):
    group = zarr.create_group(path, zarr_format=3)
    axes = [{"name": n, "type": "space", "unit": "micrometer"} for n in "zyx"]
    steps = [{"type": "scale", "scale": [1.0, 1.0, 1.0]}]
    datasets = [{"path": "0", "coordinateTransformations": steps}]
    group.attrs["ome"] = {"version": "0.5", "multiscales": [{"axes": axes, "datasets": datasets}]}
    data = create(group.store_path / "0", shape)
    for z in range(0, shape[0], CHUNK):
        for y in range(0, shape[1], CHUNK):
            data[z : z + CHUNK, y : y + CHUNK] = row(z, y, shape)


def create(path, shape):
    """An empty array as every store of these benchmarks has it."""
    return zarr.create_array(path, shape=shape, chunks=(CHUNK,) * 3, dtype="u2", zarr_format=3,
                             compressors=codec(), dimension_names=list("zyx"))


def row(z, y, shape):
    """The chunks along x that begin at z, y."""
    rng = np.random.default_rng([7, z, y])
    k, j, i = np.ogrid[z : z + CHUNK, y : y + CHUNK, : shape[2]]
    wave = [np.sin(n / period + phase).astype(np.float32) for n, period, phase in ((k, 41, 0.3), (j, 29, 1.1), (i, 37, 2))]
    signal = np.square(np.maximum(wave[0] * wave[1] + wave[2] - 0.4, 0)) * np.float32(200)
    signal += np.float32(120)
    signal += rng.standard_normal(signal.shape, np.float32) * np.float32(NOISE)
    return np.maximum(signal, 0, out=signal).astype(np.uint16)


def linked(store, path):
    """A second store with the same chunks: files are linked, metadata copied, so that it can be added to."""
    def place(old, new):
        shutil.copyfile(old, new) if os.path.basename(old) == "zarr.json" else os.link(old, new)

    remove(path)
    shutil.copytree(store, path, copy_function=place)
    return path


def codecs_of(array):
    """Codecs of a stored array as it says them, checksums left out: they add four bytes to a chunk."""
    codecs = [c.to_dict() for c in array.metadata.codecs]
    return [c for c in codecs if c["name"] != "crc32c"]
