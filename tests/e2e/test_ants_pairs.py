"""Chains of affines and fields through antspyx: what `ants.apply_transforms` makes of a list, `--transform` makes of the same list."""

import os

import nibabel as nib
import numpy as np
import pytest
from scipy import ndimage

from test_transform_pairs import FIELDS, Pairs, centred, image, some_affine

ants = pytest.importorskip("ants")
SEED = int(os.environ.get("RESLICE_SEED", "20261129"))
ROUNDS = int(os.environ.get("RESLICE_ROUNDS", "24"))
SOURCE, TARGET = (19, 17, 16), (12, 13, 11)


@pytest.mark.parametrize("number", range(ROUNDS))
def test_list(resample, tmp_path, number):
    """A list of one to three, the first of which meets the target's points first."""
    rng = np.random.default_rng([SEED, number, 1])
    pairs, names, inverses, options = Pairs(tmp_path, rng), [], [], []
    length = number % 3 + 1
    field = int(rng.integers(length)) if number % 2 else None
    for step in range(length):
        if step == field:
            option, inverse = pairs.field(FIELDS[0])[0], False
        else:
            inverse = bool(rng.integers(2))
            # antspyx inverts matrices of MATLAB files only.
            kind = "itk-mat" if inverse else str(rng.choice(["itk-tfm", "itk-txt", "itk-mat"]))
            option = pairs.affine(kind, inverse)[0]
        names.append(option.removesuffix(",inverse"))
        inverses.append(inverse)
        options += ["--transform", option]

    samples = ndimage.gaussian_filter(rng.normal(size=SOURCE), 1)
    samples = (samples - samples.min() + 0.1).astype(np.float32)
    image(tmp_path / "in.nii", samples, centred(some_affine(rng, True), SOURCE))
    image(tmp_path / "like.nii", np.zeros(TARGET, np.float32), centred(some_affine(rng, True), TARGET))
    resample(tmp_path / "in.nii", tmp_path / "out.nii", "--like", tmp_path / "like.nii", *options)
    fixed, moving = (ants.image_read(str(tmp_path / name)) for name in ("like.nii", "in.nii"))
    theirs = ants.apply_transforms(fixed, moving, names, interpolator="linear", whichtoinvert=inverses).numpy()
    ours = np.asarray(nib.load(tmp_path / "out.nii").dataobj, dtype=float)

    # Where the last voxel ends, ITK's places and ours differ by rounding: one of the two then has the outside value.
    both = (ours != 0) & (theirs != 0)
    assert both.mean() > 0.3, "the generator: the grids overlap"
    assert ((ours != 0) != (theirs != 0)).sum() <= 2, "the same voxels lie outside"
    worst = np.abs(ours - theirs)[both].max() / np.ptp(samples)
    assert worst < 1e-4, f"{worst:.2g} of the range, through {options}"
