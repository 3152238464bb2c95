"""Random transforms of every format, alone, inverted and in chains, against numpy and scipy; RESLICE_SEED chooses others."""

import os

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
from scipy import ndimage

from test_transforms import lta

FLIP = np.diag([-1.0, -1.0, 1.0, 1.0])
SEED = int(os.environ.get("RESLICE_SEED", "20261129"))
AFFINES = ["itk-tfm", "itk-txt", "itk-mat", "composite", "flirt", "ras-mat", "ras-txt", "lta-0", "lta-1"]
FIELDS = ["ants-field", "ras-field", "spm-positions", "niftyreg-positions"]


def some_affine(rng, steps=False):
    """A rotation with scales; of a world, or of a grid with steps and either handedness."""
    turn = np.array(sitk.VersorTransform(rng.normal(size=3).tolist(), rng.uniform(0, 0.3)).GetMatrix()).reshape(3, 3)
    scale = rng.uniform(1.0, 2.0, 3) if steps else rng.uniform(0.92, 1.08, 3)
    if steps and rng.random() < 0.5:
        scale[0] *= -1
    matrix = np.eye(4)
    matrix[:3, :3] = turn @ np.diag(scale)
    matrix[:3, 3] = rng.uniform(-2, 2, 3)
    return matrix


def centred(matrix, shape):
    """The same with the world's origin in the middle of the grid."""
    matrix = matrix.copy()
    matrix[:3, 3] = -matrix[:3, :3] @ (np.array(shape) - 1) / 2 + matrix[:3, 3]
    return matrix.astype(np.float32).astype(np.float64)


def image(path, samples, affine, codes=1, **fields):
    made = nib.Nifti1Image(samples, affine)
    made.header.set_xyzt_units("mm")
    made.set_sform(affine, codes)
    made.set_qform(affine, codes)
    for name, value in fields.items():
        made.header[name] = value
    nib.save(made, path)
    # What a reader sees of it.
    return nib.load(path).affine if codes else np.diag([*np.float64(made.header.get_zooms()[:3]), 1.0])


def by(matrix, points):
    return points @ matrix[:3, :3].T + matrix[:3, 3]


class Pairs:
    """Writes random transforms into a folder; each is (option, function of RAS points)."""

    def __init__(self, folder, rng):
        self.folder, self.rng, self.count = folder, rng, 0

    def name(self, ending):
        self.count += 1
        return self.folder / f"t{self.count}.{ending}"

    def affine(self, kind, inverse, runs=None):
        world = some_affine(self.rng)
        option = str(getattr(self, kind.split("-")[0])(kind, world, inverse, runs))
        if inverse:
            option, world = option + ",inverse", np.linalg.inv(world)
        return option, lambda points: by(world, points)

    def itk(self, kind, world, *_):
        path, lps = self.name(kind.split("-")[1]), FLIP @ world @ FLIP
        sitk.WriteTransform(sitk.AffineTransform(lps[:3, :3].ravel().tolist(), lps[:3, 3].tolist()), str(path))
        return path

    def composite(self, kind, world, *_):
        """Two parts, of which the last one meets the point first."""
        path, last = self.name("tfm"), sitk.Euler3DTransform((1.0, -2.0, 3.0), 0.1, -0.2, 0.15, (1.0, 2.0, -1.0))
        offset = np.array(last.TransformPoint((0.0, 0.0, 0.0)))
        matrix = np.eye(4)
        matrix[:3, :3], matrix[:3, 3] = np.array(last.GetMatrix()).reshape(3, 3), offset
        first = FLIP @ world @ FLIP @ np.linalg.inv(matrix)
        parts = [sitk.AffineTransform(first[:3, :3].ravel().tolist(), first[:3, 3].tolist()), last]
        sitk.WriteTransform(sitk.CompositeTransform(parts), str(path))
        return path

    def ras(self, kind, world, *_):
        path = self.name(kind.split("-")[1])
        np.savetxt(path, world, fmt="%.17g")
        return f"{path},ras" if kind == "ras-mat" else path

    def flirt(self, kind, world, inverse, runs):
        """Roles named, or those of the run where the matrix stands alone; with codes and without."""
        roles = runs
        if runs is not None and inverse:
            roles = runs[::-1]
        if roles is None:
            roles = []
            for _ in range(2):
                shape, path = tuple(self.rng.integers(5, 20, 3).tolist()), self.name("nii")
                codes = int(self.rng.integers(0, 2))
                affine = image(path, np.zeros(shape, np.uint8), centred(some_affine(self.rng, True), shape), codes)
                roles.append((path, shape, affine, codes))
        source, reference = (self.scaled(*role) @ np.linalg.inv(role[2]) for role in roles)
        path = self.name("mat")
        np.savetxt(path, reference @ np.linalg.inv(world) @ np.linalg.inv(source), fmt="%.17g")
        return path if runs is not None else f"{path},src={roles[0][0]},ref={roles[1][0]}"

    @staticmethod
    def scaled(path, shape, affine, codes):
        step = np.float64(nib.load(path).header["pixdim"][1:4])
        scaled = np.diag([*step, 1.0])
        if codes and np.linalg.det(affine) > 0:
            scaled[0, 0], scaled[0, 3] = -step[0], (shape[0] - 1) * step[0]
        return scaled

    def lta(self, kind, world, *_):
        grids = [((9, 11, 13), some_affine(self.rng, True)), ((7, 8, 9), some_affine(self.rng, True))]
        stored, path = np.linalg.inv(world), self.name("lta")
        if kind == "lta-0":
            stored = np.linalg.inv(grids[1][1]) @ stored @ grids[0][1]
        path.write_text(lta(int(kind[-1]), stored, *grids))
        return path

    def field(self, kind):
        """A smooth field far larger than the target, so that no point is beyond it."""
        shape, path = (15, 14, 16), self.name("nii.gz")
        affine = centred(some_affine(self.rng, True) @ np.diag([4.0, 4, 4, 1]), shape)
        moved = np.stack([ndimage.gaussian_filter(self.rng.normal(size=shape), 2) for _ in range(3)], -1)
        moved = 3 * moved / np.abs(moved).max()
        fields, stored = {"intent_code": 1007}, moved
        if kind.endswith("positions"):
            stored = by(affine, np.moveaxis(np.indices(shape), 0, -1).reshape(-1, 3)).reshape(*shape, 3) + moved
            fields["intent_name"] = b"Mapping" if kind.startswith("spm") else b"NREG_TRANS"
        elif kind == "ants-field":
            stored = moved * (-1, -1, 1)
        else:
            fields["intent_code"] = 1006
        affine = image(path, stored[:, :, :, None].astype(np.float32), affine, **fields)

        def send(points):
            index = by(np.linalg.inv(affine), points).T
            assert (index > -0.5).all() and (index < np.array(shape)[:, None] - 0.5).all(), "points within the field"
            found = [ndimage.map_coordinates(moved[..., c], index, order=1, mode="nearest") for c in range(3)]
            return points + np.stack(found, -1)

        return str(path), send


@pytest.mark.parametrize("number", range(100))
def test_pair(resample, tmp_path, number):
    rng = np.random.default_rng([SEED, number])
    pairs, codes = Pairs(tmp_path, rng), int(rng.integers(0, 4) > 0)
    source_shape, target_shape = (19, 17, 16), (9, 11, 8)
    samples = ndimage.gaussian_filter(rng.normal(size=source_shape), 1).astype(np.float32)
    samples = (samples - samples.min() + 0.1).astype(np.float32)
    source = centred(some_affine(rng, True), source_shape)
    source = image(tmp_path / "in.nii", samples, source)
    target = centred(some_affine(rng, True), target_shape)
    target = image(tmp_path / "like.nii", np.zeros(target_shape, np.uint8), target)
    runs = [(tmp_path / "in.nii", source_shape, source, 1), (tmp_path / "like.nii", target_shape, target, 1)]

    length = number % 3 + 1
    steps = [pairs.affine(str(rng.choice(AFFINES)), bool(rng.integers(2)), None) for _ in range(length)]
    if number % 2:
        steps[rng.integers(length)] = pairs.field(str(rng.choice(FIELDS)))
    elif length == 1 and codes:
        steps = [pairs.affine("flirt", bool(rng.integers(2)), runs)]
    options = [part for option, _ in steps for part in ("--transform", option)]
    run = resample(tmp_path / "in.nii", tmp_path / "out.nii", "--like", tmp_path / "like.nii", *options)
    assert "chain   target -> " in run.stderr and run.stderr.count(" -> ") == length + 1, run.stderr

    points = by(target, np.indices(target_shape).reshape(3, -1).T)
    for _, send in steps:
        points = send(points)
    index = by(np.linalg.inv(source), points).T
    expected = ndimage.map_coordinates(samples.astype(float), index, order=1, mode="nearest")
    last = np.array(source_shape)[:, None]
    expected[((index < -0.5) | (index >= last - 0.5)).any(axis=0)] = 0
    keep = ~((np.abs(index + 0.5) < 1e-3) | (np.abs(index - last + 0.5) < 1e-3)).any(axis=0)
    assert (expected != 0).mean() > 0.3, "the generator: the grids overlap"
    ours = np.asarray(nib.load(tmp_path / "out.nii").dataobj, dtype=float).ravel()
    worst = np.abs(ours - expected)[keep].max() / np.ptp(samples)
    assert worst < 1e-4, f"{worst:.2g} of the range, through {options}"
