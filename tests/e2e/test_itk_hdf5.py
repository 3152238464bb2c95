"""ITK's transforms in HDF5: what SimpleITK and ANTs write, and what they make of it."""

import ants
import h5py
import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
from scipy import ndimage

from command import refused, reslice

SOURCE, TARGET = (33, 30, 28), (27, 25, 26)


def smooth(shape, seed):
    samples = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=shape), 1.5)
    return (1000 * (samples - samples.min()) / np.ptp(samples) + 1).astype(np.float32)


def sitk_image(path, samples, spacing, turn=0.0):
    """An image in (x, y, z) order about the origin, turned about z."""
    image = sitk.GetImageFromArray(samples.T)
    image.SetSpacing(spacing)
    c, s = np.cos(turn), np.sin(turn)
    direction = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])
    image.SetDirection(direction.ravel())
    image.SetOrigin((-direction @ (np.array(samples.shape) - 1) * spacing / 2).tolist())
    sitk.WriteImage(image, str(path))
    return sitk.ReadImage(str(path))


def affine():
    transform = sitk.AffineTransform(3)
    transform.SetMatrix([1.02, 0.05, -0.03, -0.04, 0.97, 0.06, 0.02, -0.05, 1.01])
    transform.SetTranslation((0.7, -1.1, 0.4))
    transform.SetCenter((1.0, 2.0, -1.0))
    return transform


def euler():
    transform = sitk.Euler3DTransform()
    transform.SetRotation(0.06, -0.04, 0.08)
    transform.SetTranslation((-0.5, 0.3, 0.9))
    return transform


def field(over, seed=5):
    vectors = np.stack([smooth(over.GetSize(), seed + n) / 400 - 1.2 for n in range(3)], axis=-1)
    image = sitk.GetImageFromArray(vectors.transpose(2, 1, 0, 3).astype(np.float64), isVector=True)
    image.CopyInformation(over)
    return sitk.DisplacementFieldTransform(image)


def composite(*parts):
    return sitk.CompositeTransform(list(parts))


CASES = {
    "one affine": lambda over: affine(),
    "one field": field,
    "affine of a field": lambda over: composite(affine(), field(over)),
    "field of an affine": lambda over: composite(field(over), affine()),
    "three": lambda over: composite(euler(), field(over), affine()),
    "affines": lambda over: composite(affine(), euler(), affine().GetInverse()),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("interp", ["linear", "bspline3"])
def test_as_simpleitk(resample, tmp_path, case, interp):
    source = sitk_image(tmp_path / "in.nii", smooth(SOURCE, 1), (1.2, 1.0, 1.5), 0.2)
    like = sitk_image(tmp_path / "like.nii", smooth(TARGET, 2), (1.3, 1.4, 1.5), -0.1)
    transform = CASES[case](like)
    sitk.WriteTransform(transform, str(tmp_path / "t.h5"))
    run = resample(tmp_path / "in.nii", tmp_path / "out.nii", "--like", tmp_path / "like.nii", "--transform", tmp_path / "t.h5", "--interp", interp)
    assert "ITK" in run.stderr and "t.h5" in run.stderr, "the chain is told"
    method = sitk.sitkLinear if interp == "linear" else sitk.sitkBSpline3
    theirs = sitk.GetArrayFromImage(sitk.Resample(source, like, transform, method, 0.0)).T
    alike(np.asarray(nib.load(tmp_path / "out.nii").dataobj), theirs, 1000)


def alike(ours, theirs, scale, ties=3):
    """Where both look inside; the edge may fall to either side by rounding."""
    both = (ours != 0) & (theirs != 0)
    assert both.mean() > 0.3 and ((ours != 0) != (theirs != 0)).sum() <= ties
    worst = np.abs(ours.astype(float) - theirs)[both].max() / scale
    assert worst < 1e-4, f"{worst:.2g} of the range"


def test_the_inverse_of_affines(resample, tmp_path):
    source = sitk_image(tmp_path / "in.nii", smooth(SOURCE, 1), (1.2, 1.0, 1.5), 0.2)
    transform = composite(affine(), euler())
    sitk.WriteTransform(transform, str(tmp_path / "t.h5"))
    resample(tmp_path / "in.nii", tmp_path / "out.nii", "--like", tmp_path / "in.nii", "--transform", f"{tmp_path / 't.h5'},inverse")
    theirs = sitk.GetArrayFromImage(sitk.Resample(source, source, transform.GetInverse(), sitk.sitkLinear, 0.0)).T
    alike(np.asarray(nib.load(tmp_path / "out.nii").dataobj), theirs, 1000)


def test_points(tmp_path):
    like = sitk_image(tmp_path / "like.nii", smooth(TARGET, 2), (1.3, 1.4, 1.5), -0.1)
    transform = composite(euler(), field(like), affine())
    sitk.WriteTransform(transform, str(tmp_path / "t.h5"))
    points = np.random.default_rng(7).uniform(-12, 12, (200, 3))
    table = tmp_path / "points.csv"
    table.write_text("x,y,z\n" + "\n".join(",".join(repr(float(v)) for v in point) for point in points) + "\n")
    run = reslice("points", table, "--lps", "--transform", tmp_path / "t.h5")
    ours = np.array([[float(v) for v in line.split(",")[:3]] for line in run.stdout.splitlines()[1:]])
    theirs = np.array([transform.TransformPoint(point.tolist()) for point in points])
    assert np.abs(ours - theirs).max() < 1e-6


def test_larger_than_the_budget(resample, tmp_path):
    """A field of 90 MB in chunks, under 48 MiB; the same bytes with plenty."""
    shape = (160, 190, 250)
    like = sitk.Image(shape[::-1], sitk.sitkUInt8)
    sitk.WriteImage(like, str(tmp_path / "like.nii"))
    rng = np.random.default_rng(3)
    with h5py.File(tmp_path / "t.h5", "w") as file:
        text = h5py.string_dtype()
        group = file.create_group("TransformGroup/0")
        group.create_dataset("TransformType", data=np.array(["CompositeTransform_float_3_3"], dtype=text))
        group = file.create_group("TransformGroup/1")
        group.create_dataset("TransformType", data=np.array(["DisplacementFieldTransform_float_3_3"], dtype=text))
        fixed = [*shape[::-1], 0, 0, 0, 1, 1, 1, 1, 0, 0, 0, 1, 0, 0, 0, 1]
        group.create_dataset("TransformFixedParameters", data=np.array(fixed, float))
        vectors = (3 * np.sin(np.arange(3 * np.prod(shape)) / 5e4) + rng.normal(size=3 * np.prod(shape)) / 1000).astype(np.float32)
        group.create_dataset("TransformParameters", data=vectors, chunks=(1 << 20,), compression=5)
    source = sitk.GetImageFromArray(smooth((40, 45, 50), 4))
    source.SetSpacing((5, 4.2, 4))
    sitk.WriteImage(source, str(tmp_path / "in.nii"))
    outputs = []
    for memory in ("56MiB", "1GiB"):
        out = tmp_path / f"{memory}.nii"
        run = resample(tmp_path / "in.nii", out, "--like", tmp_path / "like.nii", "--transform", tmp_path / "t.h5", "--memory", memory)
        assert run.peak_bytes <= (56 << 20 if memory == "56MiB" else 1 << 30)
        outputs.append(out.read_bytes())
    assert outputs[0] == outputs[1]


def test_what_antsregistration_writes(resample, tmp_path):
    """A composite of a real registration, both ways, 3-D and each volume of a series."""
    fixed_samples = smooth((40, 38, 36), 11)
    fixed = ants.from_numpy(fixed_samples, spacing=(1.5, 1.4, 1.6), origin=(-20.0, 10.0, 5.0))
    moved = ndimage.shift(np.roll(fixed_samples, 1, 0), (0.4, -0.8, 1.1), mode="nearest")
    moving = ants.from_numpy(moved.astype(np.float32), spacing=(1.5, 1.4, 1.6), origin=(-21.0, 11.0, 5.0))
    made = ants.registration(fixed, moving, "SyN", outprefix=str(tmp_path / "reg_"), write_composite_transform=True, reg_iterations=(10, 5), random_seed=1)
    ants.image_write(fixed, str(tmp_path / "fixed.nii.gz"))
    ants.image_write(moving, str(tmp_path / "moving.nii.gz"))
    for key, source, target, names in (("fwdtransforms", moving, fixed, ("moving", "fixed")), ("invtransforms", fixed, moving, ("fixed", "moving"))):
        name = made[key] if isinstance(made[key], str) else made[key][0]
        assert name.endswith(".h5"), name
        theirs = ants.apply_transforms(target, source, [name], interpolator="linear").numpy()
        out = tmp_path / f"{key}.nii.gz"
        resample(tmp_path / f"{names[0]}.nii.gz", out, "--like", tmp_path / f"{names[1]}.nii.gz", "--transform", name)
        alike(np.asarray(nib.load(out).dataobj), theirs, 1000)
    series = nib.Nifti1Image(np.stack([moving.numpy(), 2 * moving.numpy()], -1), nib.load(tmp_path / "moving.nii.gz").affine)
    nib.save(series, tmp_path / "series.nii.gz")
    name = made["fwdtransforms"] if isinstance(made["fwdtransforms"], str) else made["fwdtransforms"][0]
    resample(tmp_path / "series.nii.gz", tmp_path / "o4.nii.gz", "--like", tmp_path / "fixed.nii.gz", "--transform", name)
    both = np.asarray(nib.load(tmp_path / "o4.nii.gz").dataobj)
    one = np.asarray(nib.load(tmp_path / "fwdtransforms.nii.gz").dataobj)
    assert both.shape[3] == 2 and np.array_equal(both[..., 0], one) and np.array_equal(both[..., 1], 2 * one)


def test_refusals_are_named(tmp_path):
    sitk_image(tmp_path / "in.nii", smooth((9, 8, 7), 1), (1, 1, 1))
    like = sitk_image(tmp_path / "like.nii", smooth((9, 8, 7), 2), (1, 1, 1))
    run = lambda name, says: refused("resample", tmp_path / "in.nii", tmp_path / "o.nii", "--like", tmp_path / "like.nii", "--transform", tmp_path / name, says=says)
    sitk.WriteTransform(composite(field(like), affine(), field(like, 9)), str(tmp_path / "two.h5"))
    spline = sitk.BSplineTransformInitializer(like, [3, 3, 3], 2)
    sitk.WriteTransform(spline, str(tmp_path / "spline.h5"))
    run("spline.h5", ["order 2", "TransformToDisplacementField"])
    whole = (tmp_path / "two.h5").read_bytes()
    (tmp_path / "cut.h5").write_bytes(whole[: len(whole) // 2])
    run("cut.h5", "cut.h5")
    assert "x12" not in reslice("info", f"{tmp_path / 'two.h5'}?transform=1").stdout
    refused("info", tmp_path / "two.h5", says=["2 displacement fields", "?transform=1"])
