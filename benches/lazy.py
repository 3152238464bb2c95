#!/usr/bin/env python3
"""Milliseconds for a slice of 64^3 voxels of a volume of some GB on another grid, and what it holds: `benches/lazy.py [GB]`.

Makes an OME-Zarr of noise over waves (u16, chunks of 128^3, zstd), resamples it lazily to 0.8 of its steps, and slices it at random and along a walk, in a child
with a budget of 256 MiB. Needs the Python package.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

CHILD = """
import sys, time, numpy as np, reslice

def status(name):
    with open("/proc/self/status") as lines:
        return next(int(line.split()[1]) << 10 for line in lines if line.startswith(name))

volume = reslice.open(sys.argv[1], memory="256MiB").resampled(scale=1.25)
held = status("VmRSS")
rng = np.random.default_rng(0)

def timed(corners):
    took = []
    for x, y, z in corners:
        begun = time.perf_counter()
        part = volume[x : x + 64, y : y + 64, z : z + 64]
        took.append(1000 * (time.perf_counter() - begun))
        assert part.shape == (64, 64, 64)
    return took

random = timed([[int(rng.integers(0, n - 64)) for n in volume.shape] for _ in range(200)])
walk = timed([(x, y, z) for z in range(0, 192, 64) for y in range(0, 512, 64) for x in range(0, 512, 64)])
peak = status("VmHWM") - held
for name, took in ("at random", random), ("along a walk", walk):
    print(f"{name}: {np.median(took):.1f} ms (median of {len(took)}; 9 of 10 within {np.percentile(took, 90):.1f} ms)")
print(f"{volume.nbytes / 1e9:.1f} GB on the other grid; {peak / 2**20:.0f} MiB beside the {held / 2**20:.0f} MiB that were held, of 256 MiB")
"""


def source(folder: Path, gigabytes: float) -> Path:
    """The volume, made slab by slab through a raw file."""
    import reslice

    side = 1024
    slices = max(128, int(gigabytes * 1e9 / (2 * side * side)) // 128 * 128)
    x = np.arange(side, dtype=np.float32)
    plane = 1000 + 400 * np.sin(x[:, None] / 40) * np.cos(x[None, :] / 55)
    rng = np.random.default_rng(1)
    noise = rng.integers(0, 64, (8, side, side), dtype=np.uint16)
    raw = np.memmap(folder / "raw.bin", np.uint16, "w+", shape=(slices, side, side))
    for z in range(slices):
        raw[z] = (plane * (1 + 0.3 * np.sin(z / 30))).astype(np.uint16) + np.roll(noise[z % 8], z, axis=z % 2)
    raw.flush()
    target = folder / "volume.ome.zarr"
    image = reslice.Image(raw.transpose(2, 1, 0), np.diag([0.5, 0.5, 0.5, 1.0]))
    reslice.resample(image, target, chunk=128, shard="none", memory="1GiB")
    (folder / "raw.bin").unlink()
    return target


def main() -> None:
    gigabytes = float(sys.argv[1]) if len(sys.argv) > 1 else 4.0
    with tempfile.TemporaryDirectory() as folder:
        made = source(Path(folder), gigabytes)
        subprocess.run([sys.executable, "-c", CHILD, str(made)], check=True)


if __name__ == "__main__":
    main()
