"""What a program of a user looks like; checked by mypy and pyright in their strict modes, and run."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import reslice


def fraction_above(source: Path, threshold: float, step: float) -> float:
    """The part of a volume above a threshold, on a grid of one step, slab by slab."""
    volume = reslice.open(source, memory="64MiB").resampled(isotropic=step, interpolation="linear")
    above = 0
    for z in range(0, volume.shape[2], 16):
        slab: NDArray[np.int16] = volume[:, :, z : z + 16]
        above += int((slab > threshold).sum())
    return above / volume.size


def to_one_millimetre(source: Path, target: Path) -> reslice.Result:
    """A file to voxels of 1 mm."""
    try:
        done = reslice.resample(source, target, spacing=1, rounding="truncate", transforms=[], memory=256 << 20)
    except reslice.MemoryLimitError as error:
        raise SystemExit(str(error)) from error
    assert done.grid.spacing == (1.0, 1.0, 1.0)
    return done


def halved(image: reslice.Image) -> reslice.Image:
    """An image with voxels twice as long along each axis."""
    half: reslice.Image = reslice.resample_array(image, scale=0.5, antialias=True)
    return half


def array_halved(array: NDArray[np.float32], affine: NDArray[np.float64]) -> NDArray[np.float32]:
    """The same for an array and its affine."""
    image = reslice.resample_array(array, affine, scale=0.5, interpolation="mean")
    return image.data


if __name__ == "__main__":
    folder = Path(".")
    print(f"{fraction_above(folder / 'scan.nii.gz', 100, 0.5):.3f} of the voxels are above 100")
    print(to_one_millimetre(folder / "scan.nii.gz", folder / "one.nii.gz"))
    print(halved(reslice.Image(np.zeros((8, 8, 8), np.float32), np.eye(4))))
    print(array_halved(np.ones((8, 8, 8), np.float32), np.eye(4)).shape)
