"""Warps of FSL and MRtrix: an evaluation of their rules in numpy, on images whose storage is left- or right-handed."""

import nibabel as nib
import numpy as np
import pytest
from scipy.ndimage import map_coordinates


def image(path, shape, spacing, flip, seed, angle=0.3):
    """A smooth image with a rotated affine, its first axis to the left or to the right."""
    i, j, k = np.meshgrid(*map(np.arange, shape), indexing="ij")
    data = 500 + 100 * np.sin(i / 3 + seed) * np.cos(j / 4) + 5.0 * k
    c, s = np.cos(angle), np.sin(angle)
    affine = np.eye(4)
    affine[:3, :3] = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]) * spacing
    if flip:
        affine[:3, 0] *= -1
    affine[:3, 3] = [-12 + seed, 7, -3]
    if flip:
        affine[:3, 3] -= affine[:3, 0] * (shape[0] - 1)
    written = nib.Nifti1Image(data.astype("f4"), affine)
    written.header.set_sform(affine, 1)
    nib.save(written, path)
    return nib.load(path)


def to_scaled(img):
    """Voxels to FSL's scaled voxels."""
    scale = np.diag([*img.header.get_zooms()[:3], 1.0])
    if np.linalg.det(img.affine[:3, :3]) > 0:
        scale[0] = [-scale[0, 0], 0, 0, (img.shape[0] - 1) * scale[0, 0]]
    return scale


def displacements(shape):
    i, j, k = np.meshgrid(*map(np.arange, shape), indexing="ij")
    return np.stack([2 * np.sin(i / 5 + k / 9), 1.5 * np.cos(j / 4), -2.5 * np.sin(j / 6) * np.cos(i / 7)], -1)


def write_field(path, reference, moved, absolute):
    voxels = np.stack(np.meshgrid(*map(np.arange, reference.shape), indexing="ij"), -1)
    scaled = to_scaled(reference)
    places = voxels @ scaled[:3, :3].T + scaled[:3, 3]
    field = nib.Nifti1Image((moved + places if absolute else moved).astype("f4"), reference.affine)
    field.header.set_sform(reference.affine, 1)
    field.header["intent_code"] = 2006
    nib.save(field, path)
    return places + moved.astype("f4").astype("f8")


def looked_up(source, places, voxels_to_places=None):
    """Values of the source at places, linear, and which of them are inside; places are in RAS mm unless a matrix says otherwise."""
    inverse = np.linalg.inv(source.affine if voxels_to_places is None else voxels_to_places)
    voxels = places @ inverse[:3, :3].T + inverse[:3, 3]
    known = np.isfinite(voxels).all(-1)
    voxels = np.where(known[..., None], voxels, 0)
    values = map_coordinates(source.get_fdata(), np.moveaxis(voxels, -1, 0), order=1, mode="nearest")
    inside = known & np.all((voxels > 0.01) & (voxels < np.array(source.shape) - 1.01), axis=-1)
    assert inside.mean() > 0.3
    return values, inside


def expected(source, places):
    """The same where FSL's rules lead."""
    return looked_up(source, places, to_scaled(source))


@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
@pytest.mark.parametrize("absolute", [False, True], ids=["relative", "absolute"])
@pytest.mark.parametrize("flips", [(0, 0), (1, 0), (0, 1), (1, 1)], ids=str)
def test_as_fsl_says(resample, tmp_path, flips, absolute, ending):
    source = image(tmp_path / "in.nii", (25, 21, 19), (1.4, 1.5, 1.6), flips[0], 1)
    reference = image(tmp_path / "ref.nii", (23, 24, 17), (1.3, 1.2, 1.7), flips[1], 2)
    warp = tmp_path / f"warp{ending}"
    places = write_field(warp, reference, displacements(reference.shape), absolute)
    run = resample(tmp_path / "in.nii", tmp_path / "out.nii", "--like", tmp_path / "ref.nii", "--transform", warp)
    said = "FSL field of places" if absolute else "FSL displacement field"
    assert said in run.stderr, run.stderr
    values, inside = expected(source, places)
    assert inside.mean() > 0.3
    assert np.abs(nib.load(tmp_path / "out.nii").get_fdata() - values)[inside].max() < 0.05


def test_other_grids_and_chains(resample, reslice, tmp_path):
    """On another target than the field's, and with other transforms, which name the source."""
    source = image(tmp_path / "in.nii", (25, 21, 19), (1.4, 1.5, 1.6), 0, 1)
    reference = image(tmp_path / "ref.nii", (23, 24, 17), (1.3, 1.2, 1.7), 1, 2)
    write_field(tmp_path / "warp.nii.gz", reference, displacements(reference.shape), False)
    np.savetxt(tmp_path / "still.txt", np.eye(4))
    plain = ["--like", tmp_path / "ref.nii", "--transform"]
    resample(tmp_path / "in.nii", tmp_path / "one.nii", *plain, tmp_path / "warp.nii.gz")
    named = f"{tmp_path / 'warp.nii.gz'},src={tmp_path / 'in.nii'}"
    resample(tmp_path / "in.nii", tmp_path / "two.nii", *plain, named, "--transform", f"{tmp_path / 'still.txt'}")
    assert np.allclose(nib.load(tmp_path / "one.nii").get_fdata(), nib.load(tmp_path / "two.nii").get_fdata(), atol=1e-3)
    answer = reslice(
        "resample", tmp_path / "in.nii", tmp_path / "no.nii", *plain, tmp_path / "warp.nii.gz", "--transform",
        tmp_path / "still.txt", expect=2,
    )
    assert "is an FSL field" in answer.stderr and "src=" in answer.stderr
    resample(tmp_path / "in.nii", tmp_path / "fine.nii", "--spacing", "1", "--transform", named)



def basis(u):
    return [(1 - u) ** 3 / 6, (3 * u**3 - 6 * u**2 + 4) / 6, (-3 * u**3 + 3 * u**2 + 3 * u + 1) / 6, u**3 / 6]


def spline(coefficients, voxels, knots):
    """Displacements at voxels of the reference, by the sum over the four coefficients of each axis."""
    at = voxels / knots
    first, rest = np.floor(at).astype(int), at % 1
    weights = [basis(rest[..., axis]) for axis in range(3)]
    found = np.zeros((*voxels.shape[:-1], 3))
    # FNIRT writes no coefficients that only the last voxels look at.
    coefficients = np.pad(coefficients, [(0, 1), (0, 1), (0, 1), (0, 0)])
    for x in range(4):
        for y in range(4):
            for z in range(4):
                weight = weights[0][x] * weights[1][y] * weights[2][z]
                found += weight[..., None] * coefficients[first[..., 0] + x, first[..., 1] + y, first[..., 2] + z]
    return found


@pytest.mark.parametrize("named", [False, True])
def test_coefficients(resample, tmp_path, named):
    """FNIRT's: the inverse of the affine and the displacement, each of the reference's place, as fnirtfileutils adds them."""
    source = image(tmp_path / "in.nii", (25, 21, 19), (1.4, 1.5, 1.6), 0, 1)
    reference = image(tmp_path / "ref.nii", (23, 24, 17), (1.3, 1.2, 1.7), 1, 2)
    if np.linalg.det(reference.affine[:3, :3]) > 0:
        reference = image(tmp_path / "ref.nii", (23, 24, 17), (1.3, 1.2, 1.7), 0, 2)
    knots = np.array([4.0, 3.0, 5.0])
    shape = tuple(int(np.ceil((n + 1) / k)) + 2 for n, k in zip(reference.shape, knots))
    coefficients = np.random.default_rng(3).normal(0, 2, (*shape, 3)).astype("f4")
    flirt = np.eye(4)
    flirt[:3, :3] += np.array([[0.02, 0.05, 0], [-0.05, -0.01, 0.03], [0.01, -0.03, 0.02]])
    flirt[:3, 3] = [1.5, -0.7, 0.4]
    written = nib.Nifti1Image(coefficients, None)
    header = written.header
    header["intent_code"] = 2007
    header["intent_p1"], header["intent_p2"], header["intent_p3"] = reference.header.get_zooms()
    header.set_zooms([*knots, 1.0])
    header.set_sform(flirt, 1)
    header.set_qform(np.block([[np.diag(knots), np.array(reference.shape)[:, None]], [np.zeros(3), 1]]), 1)
    nib.save(written, tmp_path / "coefficients.nii.gz")
    transform = str(tmp_path / "coefficients.nii.gz")
    if named:
        transform += f",src={tmp_path / 'in.nii'},ref={tmp_path / 'ref.nii'}"
    run = resample(tmp_path / "in.nii", tmp_path / "out.nii", "--like", tmp_path / "ref.nii", "--transform", transform)
    assert "FNIRT coefficients" in run.stderr
    voxels = np.stack(np.meshgrid(*map(np.arange, reference.shape), indexing="ij"), -1).astype(float)
    scaled = to_scaled(reference)
    assert scaled[0, 0] > 0
    inverse = np.linalg.inv(flirt)
    places = voxels @ scaled[:3, :3].T + scaled[:3, 3]
    places = places @ inverse[:3, :3].T + inverse[:3, 3] + spline(coefficients.astype("f8"), voxels, knots)
    values, inside = expected(source, places)
    assert inside.mean() > 0.3
    assert np.abs(nib.load(tmp_path / "out.nii").get_fdata() - values)[inside].max() < 0.05


def test_coefficients_of_another_reference(reslice, tmp_path):
    image(tmp_path / "in.nii", (25, 21, 19), (1.4, 1.5, 1.6), 0, 1)
    written = nib.Nifti1Image(np.zeros((8, 8, 8, 3), "f4"), None)
    written.header["intent_code"] = 2007
    written.header.set_zooms([4, 4, 4, 1])
    written.header.set_sform(np.eye(4), 1)
    nib.save(written, tmp_path / "c.nii.gz")
    answer = reslice("resample", tmp_path / "in.nii", tmp_path / "out.nii", "--like", tmp_path / "in.nii", "--transform", tmp_path / "c.nii.gz", expect=1)
    assert "the reference is" in answer.stderr


@pytest.mark.parametrize("positions", [True, False], ids=["positions", "displacements"])
def test_mrtrix(resample, reslice, tmp_path, positions):
    """A 4-D file in RAS without an intent, as MRtrix writes warps: positions, NaN where they lead nowhere, or displacements."""
    source = image(tmp_path / "in.nii", (25, 21, 19), (1.4, 1.5, 1.6), 0, 1)
    reference = image(tmp_path / "ref.nii", (23, 24, 17), (1.3, 1.2, 1.7), 1, 2)
    moved = displacements(reference.shape)
    voxels = np.stack(np.meshgrid(*map(np.arange, reference.shape), indexing="ij"), -1)
    places = voxels @ reference.affine[:3, :3].T + reference.affine[:3, 3] + moved
    stored = (places if positions else moved).astype("f4")
    if positions:
        stored[:4, :5] = np.nan
    written = nib.Nifti1Image(stored, reference.affine)
    nib.save(written, tmp_path / "warp.nii.gz")
    like = ["--like", tmp_path / "ref.nii", "--transform"]
    answer = reslice("resample", tmp_path / "in.nii", tmp_path / "no.nii", *like, tmp_path / "warp.nii.gz", expect=1)
    assert "does not say whether they are a field" in answer.stderr and ",ras for a warp of MRtrix" in answer.stderr
    run = resample(tmp_path / "in.nii", tmp_path / "out.nii", *like, f"{tmp_path / 'warp.nii.gz'},ras")
    assert ("field of positions, RAS" if positions else "displacement field, RAS") in run.stderr
    inverse = np.linalg.inv(source.affine)
    at = places @ inverse[:3, :3].T + inverse[:3, 3]
    values = map_coordinates(source.get_fdata(), np.moveaxis(at, -1, 0), order=1, mode="nearest")
    inside = np.all((at > 0.01) & (at < np.array(source.shape) - 1.01), axis=-1)
    out = nib.load(tmp_path / "out.nii").get_fdata()
    if positions:
        assert (out[:4, :5] == 0).all()
        inside[:4, :5] = False
    assert inside.mean() > 0.3
    assert np.abs(out - values)[inside].max() < 0.05


def test_fields_that_cannot_be_told(reslice, tmp_path):
    """Places along one axis and displacements along the others."""
    image(tmp_path / "in.nii", (25, 21, 19), (1.4, 1.5, 1.6), 0, 1)
    reference = image(tmp_path / "ref.nii", (23, 24, 17), (1.3, 1.2, 1.7), 1, 2)
    write_field(tmp_path / "warp.nii.gz", reference, displacements(reference.shape), False)
    field = nib.load(tmp_path / "warp.nii.gz")
    data = field.get_fdata()
    data[..., 1] += 1.2 * np.arange(24)[None, :, None]
    nib.save(nib.Nifti1Image(data.astype("f4"), field.affine, field.header), tmp_path / "mixed.nii.gz")
    answer = reslice(
        "resample", tmp_path / "in.nii", tmp_path / "out.nii", "--like", tmp_path / "ref.nii", "--transform",
        tmp_path / "mixed.nii.gz", expect=1,
    )
    assert "rises with the voxels along 1 of 3 axes" in answer.stderr
