"""NiftyReg's control points (reg_f3d -cpp): an evaluation of its rules in numpy."""

import nibabel as nib
import numpy as np
import pytest

from command import refused
from test_other_warps import image, looked_up

CUBIC, VELOCITIES, LINEAR = 2, 5, 6


def control_points(reference, step, seed):
    """The affine of a grid of control points, one step larger than the reference on each side, and where they lead."""
    shape = np.ceil(np.array(reference.shape) / step).astype(int) + 3
    affine = reference.affine @ np.diag([step, step, step, 1.0])
    affine[:3, 3] -= affine[:3, :3].sum(1)
    nodes = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), -1) @ affine[:3, :3].T + affine[:3, 3]
    return affine, nodes + np.random.default_rng(seed).uniform(-2.5, 2.5, nodes.shape)


def write(path, affine, places, kind, before=None, dtype="f4"):
    written = nib.Nifti1Image(places[:, :, :, None, :].astype(dtype), affine)
    written.header.set_sform(affine, 1)
    written.header["intent_code"] = 1007
    written.header["intent_name"] = b"NREG_TRANS"
    written.header["intent_p1"] = kind
    if before is not None:
        written.header.extensions.append(nib.nifti1.Nifti1Extension(0, before.astype("<f4").tobytes() + bytes(8)))
    nib.save(written, path)
    return nib.load(path).get_fdata()[:, :, :, 0, :]


def basis(t, kind):
    if kind == LINEAR:
        return [np.zeros_like(t), 1 - t, t, np.zeros_like(t)]
    return [(1 - t) ** 3 / 6, (3 * t**3 - 6 * t**2 + 4) / 6, (-3 * t**3 + 3 * t**2 + 3 * t + 1) / 6, t**3 / 6]


def led(points, affine, places, kind):
    """Where the spline leads points of the world."""
    inverse = np.linalg.inv(affine)
    index = points @ inverse[:3, :3].T + inverse[:3, 3]
    first = np.floor(index).astype(int)
    weights = [basis(index[..., a] - first[..., a], kind) for a in range(3)]
    beyond = (index < 1) | (index > np.array(places.shape[:3]) - 2)
    sums = np.zeros(points.shape)
    for i, j, k in np.ndindex(4, 4, 4):
        at = [np.clip(first[..., a] + n - 1, 0, places.shape[a] - 1) for a, n in enumerate((i, j, k))]
        sums += (weights[0][i] * weights[1][j] * weights[2][k])[..., None] * places[tuple(at)]
    # Beyond the domain of its splines it leads nowhere here.
    return np.where(beyond.any(-1, keepdims=True), np.nan, sums) if kind == CUBIC else sums


@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
@pytest.mark.parametrize("flip", [0, 1])
@pytest.mark.parametrize("symmetric", [False, True], ids=["one way", "affine before"])
@pytest.mark.parametrize("kind", [CUBIC, LINEAR], ids=["cubic", "linear"])
def test_as_niftyreg_says(resample, tmp_path, kind, symmetric, flip, ending):
    source = image(tmp_path / "in.nii", (25, 21, 19), (1.4, 1.5, 1.6), flip, 1)
    reference = image(tmp_path / "ref.nii", (23, 24, 17), (1.3, 1.2, 1.7), 1 - flip, 2)
    affine, places = control_points(reference, 5, 3)
    before = None
    if symmetric:
        before = np.eye(4)
        before[:3] = [[1, 0.02, 0, 0.4], [-0.02, 1, 0.01, -0.3], [0, -0.01, 1, 0.2]]
    places = write(tmp_path / f"cpp{ending}", affine, places, kind, before)
    run = resample(tmp_path / "in.nii", tmp_path / "out.nii", "--like", tmp_path / "ref.nii", "--transform", tmp_path / f"cpp{ending}")
    assert ("NiftyReg control points, B-splines" if kind == CUBIC else "field of positions, RAS") in run.stderr, run.stderr
    voxels = np.stack(np.meshgrid(*map(np.arange, reference.shape), indexing="ij"), -1)
    world = voxels @ reference.affine[:3, :3].T + reference.affine[:3, 3]
    if symmetric:
        world = world @ before[:3, :3].astype("f4").T + before[:3, 3].astype("f4")
    world = led(world, affine, places, kind)
    expected, inside = looked_up(source, world)
    assert np.abs(nib.load(tmp_path / "out.nii").get_fdata() - expected)[inside].max() < 0.05


def through(reslice, tmp_path, points, transform):
    """Where `reslice points` sends a table."""
    np.savetxt(tmp_path / "points.csv", points, fmt="%.9f", delimiter=",", header="x,y,z", comments="")
    table = reslice("points", tmp_path / "points.csv", "--transform", transform).stdout
    return np.genfromtxt(table.splitlines(), delimiter=",", skip_header=1)[:, :3]


def test_points_and_inverses(reslice, tmp_path):
    reference = image(tmp_path / "ref.nii", (23, 24, 17), (1.3, 1.2, 1.7), 0, 2)
    affine, places = control_points(reference, 8, 5)
    places = write(tmp_path / "cpp.nii", affine, places, CUBIC, dtype="f8")
    points = np.random.default_rng(1).uniform(4, 12, (20, 3)) @ reference.affine[:3, :3].T + reference.affine[:3, 3]
    sent = through(reslice, tmp_path, points, tmp_path / "cpp.nii")
    np.testing.assert_allclose(sent, led(points, affine, places, CUBIC), atol=1e-4)
    back = through(reslice, tmp_path, sent, f"{tmp_path / 'cpp.nii'},inverse")
    np.testing.assert_allclose(back, points, atol=1e-3)


def test_what_is_not_read_is_named(tmp_path):
    reference = image(tmp_path / "ref.nii", (23, 24, 17), (1.3, 1.2, 1.7), 0, 2)
    affine, places = control_points(reference, 5, 3)
    write(tmp_path / "velocities.nii", affine, places, VELOCITIES)
    argv = ("resample", tmp_path / "ref.nii", tmp_path / "out.nii", "--transform")
    refused(*argv, tmp_path / "velocities.nii", says=["velocities", "reg_transform -ref REF -def"])
    write(tmp_path / "broken.nii", affine, places, CUBIC, np.full((4, 4), np.nan))
    refused(*argv, tmp_path / "broken.nii", says="first extension")
