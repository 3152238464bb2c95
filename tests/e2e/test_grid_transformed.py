"""`--grid transformed`: all of the source is there, where SimpleITK has it."""

import json

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk

from command import refused, reslice

SHAPE = (23, 17, 13)


@pytest.fixture
def source(tmp_path):
    """Bright up to its outermost voxels."""
    affine = np.diag([-1.2, 0.9, 2.0, 1.0])
    affine[:3, 3] = (40, -30, 12)
    array = np.random.default_rng(7).uniform(100, 200, SHAPE).astype("f4")
    nib.save(nib.Nifti1Image(array, affine), tmp_path / "in.nii")
    return tmp_path / "in.nii"


def euler(tmp_path, angles=(0.3, -0.2, 0.5), centre=(-20.0, 25.0, 20.0), shift=(3.5, -8.0, 2.25)):
    transform = sitk.Euler3DTransform(centre, *angles, shift)
    sitk.WriteTransform(transform, str(tmp_path / "turn.tfm"))
    return transform


def corners(image):
    """Places of the outer corners, LPS."""
    size = image.GetSize()
    faces = [[-0.5, n - 0.5] for n in size]
    return [image.TransformContinuousIndexToPhysicalPoint([faces[a][c[a]] for a in range(3)]) for c in np.ndindex(2, 2, 2)]


@pytest.mark.parametrize("options", [[], ["--spacing", "0.8"], ["--scale", "0.5"], ["--orient", "SLP"]])
def test_nothing_is_cut(resample, source, tmp_path, options):
    transform = euler(tmp_path)
    target = tmp_path / "out.nii"
    resample(source, target, "--grid", "transformed", "--transform", tmp_path / "turn.tfm", *options)
    inside, outside = sitk.ReadImage(str(source)), sitk.ReadImage(str(target))
    found = np.array([outside.TransformPhysicalPointToContinuousIndex(transform.GetInverse().TransformPoint(c)) for c in corners(inside)])
    low, high = found.min(0) + 0.5, np.array(outside.GetSize()) - 0.5 - found.max(0)
    assert (low > -1e-4).all() and (high > -1e-4).all() and (low < 0.5001).all()
    np.testing.assert_allclose(low, high, atol=1e-4)
    # The same grid in SimpleITK gives the same voxels.
    theirs = sitk.Resample(inside, outside, transform, sitk.sitkLinear, 0.0)
    np.testing.assert_allclose(sitk.GetArrayFromImage(outside), sitk.GetArrayFromImage(theirs), atol=2e-3)


def test_the_sum_of_voxels_stays(resample, source, tmp_path):
    euler(tmp_path)
    resample(source, tmp_path / "fine.nii", "--grid", "transformed", "--transform", tmp_path / "turn.tfm", "--spacing", "0.5")
    before, after = nib.load(source), nib.load(tmp_path / "fine.nii")
    volume = lambda image: abs(np.linalg.det(image.affine[:3, :3]))  # noqa: E731
    total = lambda image: image.get_fdata().sum() * volume(image)  # noqa: E731
    assert abs(total(after) / total(before) - 1) < 0.005
    cut = tmp_path / "cut.nii"
    resample(source, cut, "--transform", tmp_path / "turn.tfm", "--spacing", "0.5")
    assert total(nib.load(cut)) / total(before) < 0.9


def test_quarter_turns_and_shifts_copy_voxels(resample, source, tmp_path):
    image = nib.load(source)
    cube = nib.Nifti1Image(image.get_fdata().astype("f4"), np.diag([1.5, 1.5, 1.5, 1.0]))
    nib.save(cube, tmp_path / "cube.nii")
    euler(tmp_path, angles=(0, 0, np.pi / 2), centre=(1.0, 2.0, 3.0), shift=(0.3, 0.7, -11.1))
    resample(tmp_path / "cube.nii", tmp_path / "out.nii", "--grid", "transformed", "--transform", tmp_path / "turn.tfm")
    after = nib.load(tmp_path / "out.nii")
    assert after.shape == (SHAPE[1], SHAPE[0], SHAPE[2])
    turned = np.rot90(cube.get_fdata(), 1), np.rot90(cube.get_fdata(), -1)
    assert any(np.array_equal(after.get_fdata(), one) for one in turned)


def test_fields_and_splines_are_within(resample, source, tmp_path):
    """Every voxel of the source is met by the target, wherever the vectors send it."""
    image = sitk.ReadImage(str(source))
    rng = np.random.default_rng(3)
    field = sitk.GetImageFromArray(rng.normal(0, 3, (6, 7, 8, 3)).astype("f8"), isVector=True)
    field.SetSpacing((8.0, 6.0, 8.0))
    field.SetOrigin((-50.0, 10.0, 0.0))
    sitk.WriteImage(sitk.Cast(field, sitk.sitkVectorFloat32), str(tmp_path / "warp.nii.gz"))
    turn = euler(tmp_path)
    spline = sitk.BSplineTransformInitializer(image, (3, 3, 3), 3)
    spline.SetParameters(rng.normal(0, 2, len(spline.GetParameters())).tolist())
    sitk.WriteTransform(spline, str(tmp_path / "spline.tfm"))
    warp = sitk.DisplacementFieldTransform(sitk.Image(field))
    for files, parts in [(["warp.nii.gz", "turn.tfm"], [turn, warp]), (["turn.tfm", "spline.tfm"], [spline, turn])]:
        target = tmp_path / "out.nii"
        chain = [word for file in files for word in ("--transform", tmp_path / file)]
        resample(source, target, "--grid", "transformed", "--overwrite", *chain)
        out = sitk.ReadImage(str(target))
        # Points beyond the faces of the target look outside the source.
        composite = sitk.CompositeTransform(parts)
        size, seen = np.array(out.GetSize()), 0
        for _ in range(3000):
            index = rng.uniform(-0.5, size - 0.5)
            axis, side = rng.integers(3), rng.integers(2)
            index[axis] = -0.5 - rng.uniform(0, 3) if side == 0 else size[axis] - 0.5 + rng.uniform(0, 3)
            point = composite.TransformPoint(out.TransformContinuousIndexToPhysicalPoint(index.tolist()))
            found = np.array(image.TransformPhysicalPointToContinuousIndex(point))
            seen += bool(((found > -0.5 + 1e-4) & (found < np.array(SHAPE) - 0.5 - 1e-4)).all())
        assert seen == 0
        summary = json.loads(reslice("info", target, "--json").stdout)
        assert (np.array(summary["grid"]["shape"]) < 4 * np.array(SHAPE)).all()


def test_what_cannot_be_is_refused(source, tmp_path):
    euler(tmp_path)
    turn = ["--transform", tmp_path / "turn.tfm"]
    ask = ["resample", source, tmp_path / "out.nii", "--grid", "transformed"]
    refused(*ask, expect=2, says="--transform")
    refused(*ask, *turn, "--align", "center", expect=2, says="--align")
    refused(*ask, *turn, "--size", "10", expect=2)
    refused(*ask, *turn, "--like", source, expect=2)
    (tmp_path / "list.txt").write_text("turn.tfm\n")
    refused(*ask, *turn, "--transform-list", tmp_path / "list.txt", expect=2, says="--transform-list")
    np.savetxt(tmp_path / "flat.txt", np.diag([1.0, 1.0, 0.0, 1.0]))
    refused(*ask, "--transform", tmp_path / "flat.txt", says="singular")
    np.savetxt(tmp_path / "far.txt", np.diag([1e-12, 1e-12, 1e-12, 1.0]))
    refused(*ask, "--transform", tmp_path / "far.txt", expect=2)
