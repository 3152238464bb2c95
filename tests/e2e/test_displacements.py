"""Several displacement fields in a chain, their inverses, and B-splines: held against SimpleITK, ANTs and elastix."""

import json

import ants
import itk
import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
from scipy import ndimage

from command import refused, reslice
from test_itk_hdf5 import SOURCE, TARGET, affine, alike, composite, euler, field, sitk_image, smooth

DIRECTION = [0.96, -0.28, 0, 0.28, 0.96, 0, 0, 0, 1]


@pytest.fixture
def images(tmp_path):
    source = sitk_image(tmp_path / "in.nii", smooth(SOURCE, 1), (1.2, 1.0, 1.5), 0.2)
    like = sitk_image(tmp_path / "like.nii", smooth(TARGET, 2), (1.3, 1.4, 1.5), -0.1)
    return source, like


def spline(over, mesh=(5, 4, 6), seed=3, size=1.5, part=0.8):
    """A B-spline over a part of an image: points beyond it stay where they are."""
    transform = sitk.BSplineTransformInitializer(over, list(mesh))
    rng = np.random.default_rng(seed)
    transform.SetParameters(rng.uniform(-size, size, len(transform.GetParameters())).tolist())
    fixed = np.array(transform.GetFixedParameters())
    fixed[6:9] *= part
    transform.SetFixedParameters(fixed.tolist())
    return transform


def warp_file(path, transform):
    """The field of a transform as ANTs writes it: 5-D, intent 1007."""
    image = sitk.Cast(transform.GetDisplacementField(), sitk.sitkVectorFloat32)
    sitk.WriteImage(image, str(path))
    return sitk.DisplacementFieldTransform(sitk.Cast(sitk.ReadImage(str(path)), sitk.sitkVectorFloat64))


def resampled(source, like, transform, interp="linear"):
    method = sitk.sitkLinear if interp == "linear" else sitk.sitkBSpline3
    return sitk.GetArrayFromImage(sitk.Resample(source, like, transform, method, 0.0)).T


def samples(path):
    return np.asarray(nib.load(path).dataobj)


def points_through(tmp_path, points, *transforms):
    table = tmp_path / "points.csv"
    table.write_text("x,y,z\n" + "\n".join(",".join(repr(float(v)) for v in point) for point in points) + "\n")
    given = [word for transform in transforms for word in ("--transform", transform)]
    run = reslice("points", table, "--lps", *given)
    return np.array([[float(v) for v in line.split(",")[:3]] for line in run.stdout.splitlines()[1:]]), run


CASES = {
    "two fields": lambda over: composite(field(over), field(over, 9)),
    "affines between": lambda over: composite(affine(), field(over), euler(), field(over, 9), affine()),
    "a coarse one": lambda over: composite(field(coarse(over)), field(over, 9)),
    "one spline": spline,
    "spline and field": lambda over: composite(euler(), spline(over), field(over)),
    "three": lambda over: composite(field(over), spline(over, (3, 3, 3), 8), affine(), field(coarse(over), 11)),
}


def coarse(over):
    """A smaller, coarser grid over the middle of an image: points beyond it stay where they are."""
    image = sitk.Image(9, 10, 8, sitk.sitkUInt8)
    image.SetSpacing((3.1, 2.7, 3.3))
    image.SetDirection(over.GetDirection())
    image.SetOrigin(over.TransformContinuousIndexToPhysicalPoint((2.3, 1.9, 3.3)))
    return image


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("interp", ["linear", "bspline3"])
def test_as_simpleitk(resample, tmp_path, images, case, interp):
    source, like = images
    transform = CASES[case](like)
    sitk.WriteTransform(transform, str(tmp_path / "t.h5"))
    run = resample(tmp_path / "in.nii", tmp_path / "out.nii", "--like", tmp_path / "like.nii", "--transform", tmp_path / "t.h5", "--interp", interp)
    assert "ITK composite, LPS" in run.stderr, "the chain is told"
    alike(samples(tmp_path / "out.nii"), resampled(source, like, transform, interp), 1000)


@pytest.mark.parametrize("case", CASES)
def test_points_as_simpleitk(tmp_path, images, case):
    _, like = images
    transform = CASES[case](like)
    sitk.WriteTransform(transform, str(tmp_path / "t.h5"))
    points = np.random.default_rng(7).uniform(-18, 18, (300, 3))
    ours, _ = points_through(tmp_path, points, tmp_path / "t.h5")
    theirs = np.array([transform.TransformPoint(point.tolist()) for point in points])
    assert np.abs(ours - theirs).max() < 1e-6


@pytest.mark.parametrize("name", ["t.tfm", "t.txt"])
def test_splines_in_text(resample, tmp_path, images, name):
    source, like = images
    transform = composite(affine(), spline(like), euler())
    sitk.WriteTransform(transform, str(tmp_path / name))
    run = resample(tmp_path / "in.nii", tmp_path / "out.nii", "--like", tmp_path / "like.nii", "--transform", tmp_path / name)
    assert "Euler3DTransform -> BSplineTransform -> AffineTransform" in run.stderr
    alike(samples(tmp_path / "out.nii"), resampled(source, like, transform), 1000)


def test_fields_of_ants_one_after_the_other(resample, tmp_path, images):
    """Two warps and two affines of a list, as antsApplyTransforms takes them; 3-D and each volume of a series."""
    _, like = images
    warps = [warp_file(tmp_path / f"{n}Warp.nii.gz", field(like, seed)) for n, seed in enumerate((5, 9))]
    assert len(warps) == 2
    for name, transform in (("a.mat", affine()), ("b.mat", euler())):
        sitk.WriteTransform(sitk.AffineTransform(transform.GetMatrix(), transform.GetTranslation(), transform.GetCenter()), str(tmp_path / name.replace("mat", "tfm")))
    names = [str(tmp_path / name) for name in ("0Warp.nii.gz", "a.tfm", "1Warp.nii.gz", "b.tfm")]
    given = [word for name in names for word in ("--transform", name)]
    moving, fixed = (ants.image_read(str(tmp_path / name)) for name in ("in.nii", "like.nii"))
    resample(tmp_path / "in.nii", tmp_path / "out.nii", "--like", tmp_path / "like.nii", *given)
    theirs = ants.apply_transforms(fixed, moving, names, interpolator="linear", whichtoinvert=[False] * 4).numpy()
    alike(samples(tmp_path / "out.nii"), theirs, 1000)
    image = nib.load(tmp_path / "in.nii")
    series = np.stack([image.get_fdata(), 2 * image.get_fdata()], -1).astype(np.float32)
    nib.save(nib.Nifti1Image(series, image.affine), tmp_path / "series.nii")
    resample(tmp_path / "series.nii", tmp_path / "o4.nii", "--like", tmp_path / "like.nii", *given)
    both, one = samples(tmp_path / "o4.nii"), samples(tmp_path / "out.nii")
    assert np.array_equal(both[..., 0], one) and np.array_equal(both[..., 1], 2 * one)


def test_each_volume_has_its_own_affine_behind_a_field(resample, tmp_path, images):
    """A field for all volumes, then what motion correction found for each."""
    source, like = images
    warp = warp_file(tmp_path / "warp.nii", field(like))
    motions = [euler(), affine()]
    for n, motion in enumerate(motions):
        sitk.WriteTransform(motion, str(tmp_path / f"{n}.tfm"))
    (tmp_path / "list.txt").write_text("0.tfm\n1.tfm\n")
    image = nib.load(tmp_path / "in.nii")
    nib.save(nib.Nifti1Image(np.stack([image.get_fdata()] * 2, -1).astype(np.float32), image.affine), tmp_path / "series.nii")
    resample(tmp_path / "series.nii", tmp_path / "out.nii", "--like", tmp_path / "like.nii", "--transform", tmp_path / "warp.nii", "--transform-list", tmp_path / "list.txt")
    for n, motion in enumerate(motions):
        alike(samples(tmp_path / "out.nii")[..., n], resampled(source, like, composite(motion, warp)), 1000)


def inverted(transform, points):
    """The places that a transform moves to these, by many steps."""
    places = np.array(points, float)
    for _ in range(200):
        places = places - (np.array([transform.TransformPoint(p.tolist()) for p in places]) - points)
    return places


def gentle(over, seed=5):
    """A field with an inverse, which is 0 at its faces: none of its points is moved into it or out of it."""
    vectors = np.stack([smooth(over.GetSize(), seed + n) / 250 - 2 for n in range(3)], axis=-1)
    vectors = np.stack([ndimage.gaussian_filter(vectors[..., n], 2) for n in range(3)], -1)
    for a in range(3):
        fade = np.minimum(np.arange(vectors.shape[a]), np.arange(vectors.shape[a])[::-1]) / 6
        vectors *= np.minimum(fade, 1).reshape([-1 if b == a else 1 for b in range(4)])
    image = sitk.GetImageFromArray(vectors.transpose(2, 1, 0, 3).astype(np.float64), isVector=True)
    image.CopyInformation(over)
    return sitk.DisplacementFieldTransform(image)


def test_the_inverse_of_a_field(resample, tmp_path, images):
    source, like = images
    transform = warp_file(tmp_path / "warp.nii", gentle(like))
    points = np.random.default_rng(7).uniform(-18, 18, (200, 3))
    ours, run = points_through(tmp_path, points, f"{tmp_path / 'warp.nii'},inverse")
    assert "inverted" in run.stderr and "settle" not in run.stderr
    assert np.abs(ours - inverted(transform, points)).max() < 2e-3
    back, _ = points_through(tmp_path, points, f"{tmp_path / 'warp.nii'},inverse", tmp_path / "warp.nii")
    assert np.abs(back - points).max() < 2e-3
    # As an image: through the inverse, and then through the field, is through nothing.
    resample(tmp_path / "in.nii", tmp_path / "a.nii", "--like", tmp_path / "like.nii", "--transform", f"{tmp_path / 'warp.nii'},inverse", "--transform", tmp_path / "warp.nii", "--summary", tmp_path / "a.json")
    alike(samples(tmp_path / "a.nii"), resampled(source, like, sitk.Transform(3, sitk.sitkIdentity)), 10000)
    assert json.loads((tmp_path / "a.json").read_text())["unsettled"] == 0
    # The inverse itself, voxel by voxel.
    resample(tmp_path / "in.nii", tmp_path / "b.nii", "--like", tmp_path / "like.nii", "--transform", f"{tmp_path / 'warp.nii'},inverse")
    ours = samples(tmp_path / "b.nii")
    rng = np.random.default_rng(2)
    for index in rng.integers(4, np.array(ours.shape) - 4, (40, 3)):
        place = inverted(transform, [like.TransformIndexToPhysicalPoint([int(i) for i in index])])[0]
        expected = ndimage.map_coordinates(sitk.GetArrayFromImage(source).T.astype(float), np.array(source.TransformPhysicalPointToContinuousIndex(place)).reshape(3, 1), order=1)[0]
        assert abs(ours[tuple(index)] - expected) < 0.5


def test_the_inverse_of_a_composite(tmp_path, images):
    _, like = images
    transform = composite(affine(), gentle(like), euler(), spline(like, size=0.3, part=1.0))
    sitk.WriteTransform(transform, str(tmp_path / "t.h5"))
    points = np.random.default_rng(7).uniform(-9, 9, (200, 3))
    moved = np.array([transform.TransformPoint(point.tolist()) for point in points])
    ours, _ = points_through(tmp_path, moved, f"{tmp_path / 't.h5'},inverse")
    assert np.abs(ours - points).max() < 5e-3


def test_points_that_do_not_settle_are_told(resample, tmp_path, images):
    """A field that folds: two places of it are moved to one."""
    _, like = images
    size = like.GetSize()
    wave = 6 * np.sin(np.arange(size[0]) * 1.1).reshape(-1, 1, 1) * np.ones(size)
    vectors = np.stack([wave, 0 * wave, 0 * wave], -1)
    image = sitk.GetImageFromArray(vectors.transpose(2, 1, 0, 3).astype(np.float32), isVector=True)
    image.CopyInformation(like)
    sitk.WriteImage(image, str(tmp_path / "warp.nii"))
    run = resample(tmp_path / "in.nii", tmp_path / "a.nii", "--like", tmp_path / "like.nii", "--transform", f"{tmp_path / 'warp.nii'},inverse", "--summary", tmp_path / "a.json")
    summary = json.loads((tmp_path / "a.json").read_text())
    assert 0 < summary["unsettled"] < np.prod(size)
    assert f"for {summary['unsettled']} of {np.prod(size)} voxels" in run.stderr and "does not settle" in run.stderr
    again = {}
    for memory, threads in (("40MiB", 1), ("1GiB", 2)):
        out = tmp_path / f"{threads}.nii"
        resample(tmp_path / "in.nii", out, "--like", tmp_path / "like.nii", "--transform", f"{tmp_path / 'warp.nii'},inverse", "--memory", memory, "--threads", threads, "--summary", tmp_path / "b.json", "--overwrite")
        again[out.read_bytes()] = json.loads((tmp_path / "b.json").read_text())["unsettled"]
    assert list(again.values()) == [summary["unsettled"]] and next(iter(again)) == (tmp_path / "a.nii").read_bytes()
    _, run = points_through(tmp_path, np.random.default_rng(1).uniform(-9, 9, (50, 3)), f"{tmp_path / 'warp.nii'},inverse")
    assert "of 50 points the inverse of a displacement does not settle" in run.stderr


def test_two_large_fields_in_a_small_budget(resample, tmp_path):
    """Two fields of 50 MB each under 48 MiB; the same bytes with plenty, and by one thread."""
    shape = (150, 160, 180)
    like = sitk.Image(shape[::-1], sitk.sitkUInt8)
    sitk.WriteImage(like, str(tmp_path / "like.nii"))
    z, y, x = np.meshgrid(*(np.linspace(0, 9, n) for n in shape), indexing="ij", sparse=True)
    for n in (1, 2):
        vectors = np.stack(np.broadcast_arrays(4 * np.sin(n * y + z), 3 * np.cos(x + n * z), 5 * np.sin(x + y * n)), -1)
        image = sitk.GetImageFromArray(vectors.astype(np.float32), isVector=True)
        sitk.WriteImage(image, str(tmp_path / f"{n}.nii"))
    sitk.WriteTransform(affine(), str(tmp_path / "a.tfm"))
    source = sitk.GetImageFromArray(smooth((40, 45, 50), 4))
    source.SetSpacing((5, 4.2, 4))
    sitk.WriteImage(source, str(tmp_path / "in.nii"))
    given = ["--transform", tmp_path / "1.nii", "--transform", tmp_path / "a.tfm", "--transform", tmp_path / "2.nii"]
    outputs = set()
    for memory, threads in (("48MiB", 2), ("1GiB", 2), ("200MiB", 1)):
        out = tmp_path / "out.nii"
        run = resample(tmp_path / "in.nii", out, "--like", tmp_path / "like.nii", *given, "--memory", memory, "--threads", threads, "--overwrite")
        assert run.peak_bytes <= int(memory[:-3]) << (30 if memory.endswith("GiB") else 20)
        outputs.add(out.read_bytes())
    assert len(outputs) == 1


# elastix


def elastix_file(path, name, parameters, **more):
    lines = {
        "Transform": f'"{name}"',
        "NumberOfParameters": len(parameters),
        "TransformParameters": " ".join(repr(float(p)) for p in parameters),
        "InitialTransformParameterFileName": '"NoInitialTransform"',
        "HowToCombineTransforms": '"Compose"',
        "FixedImageDimension": 3,
        "MovingImageDimension": 3,
        "FixedInternalImagePixelType": '"float"',
        "MovingInternalImagePixelType": '"float"',
        "Size": "10 11 12",
        "Index": "0 0 0",
        "Spacing": "1 1 1",
        "Origin": "0 0 0",
        "Direction": "1 0 0 0 1 0 0 0 1",
        "UseDirectionCosines": '"true"',
        **more,
    }
    path.write_text("// written by a test\n\n" + "".join(f"({key} {value})\n" for key, value in lines.items()))


def spline_keys():
    size, rng = (7, 6, 8), np.random.default_rng(4)
    keys = {
        "GridSize": " ".join(map(str, size)),
        "GridIndex": "0 0 0",
        "GridSpacing": "6.0 7.0 5.5",
        "GridOrigin": "-15.5 -14.5 -16.25",
        "GridDirection": " ".join(map(str, np.array(DIRECTION).reshape(3, 3).T.ravel())),
        "BSplineTransformSplineOrder": "3",
        "UseCyclicTransform": '"false"',
    }
    return rng.uniform(-1.5, 1.5, 3 * int(np.prod(size))), keys


CENTRE = {"CenterOfRotationPoint": "1.5 -2.0 3.0"}
ELASTIX = {
    "translation": ("TranslationTransform", [1.5, -2.5, 0.75], {}),
    "euler": ("EulerTransform", [0.1, -0.2, 0.3, 1, 2, -1.5], {**CENTRE, "ComputeZYX": '"false"'}),
    "euler zyx": ("EulerTransform", [0.1, -0.2, 0.3, 1, 2, -1.5], {**CENTRE, "ComputeZYX": '"true"'}),
    "similarity": ("SimilarityTransform", [0.1, -0.05, 0.2, 1, 2, -1.5, 1.1], CENTRE),
    "affine": ("AffineTransform", [1.02, 0.05, -0.03, -0.04, 0.97, 0.06, 0.02, -0.05, 1.01, 0.5, -1, 2], CENTRE),
    "spline": ("BSplineTransform", *spline_keys()),
}


def transformix(tmp_path, files, points):
    """Where elastix itself sends points."""
    (tmp_path / "in.pts").write_text(f"point\n{len(points)}\n" + "\n".join(" ".join(repr(float(v)) for v in p) for p in points) + "\n")
    parameters = itk.ParameterObject.New()
    parameters.ReadParameterFiles([str(file) for file in files])
    image = itk.image_from_array(np.zeros((12, 11, 10), np.float32))
    filter = itk.TransformixFilter.New(image)
    filter.SetFixedPointSetFileName(str(tmp_path / "in.pts"))
    filter.SetTransformParameterObject(parameters)
    filter.SetOutputDirectory(str(tmp_path))
    filter.Update()
    said = [line.split("OutputPoint = [")[1].split("]")[0] for line in (tmp_path / "outputpoints.txt").read_text().splitlines()]
    return np.array([[float(v) for v in line.split()] for line in said])


@pytest.mark.parametrize("case", ELASTIX)
def test_as_elastix(tmp_path, case):
    name, parameters, more = ELASTIX[case]
    elastix_file(tmp_path / "t.txt", name, parameters, **more)
    points = np.random.default_rng(7).uniform(-12, 12, (100, 3))
    ours, run = points_through(tmp_path, points, tmp_path / "t.txt")
    assert f"t.txt (elastix, LPS: {name})" in run.stderr
    # It prints six decimals.
    assert np.abs(ours - transformix(tmp_path, [tmp_path / "t.txt"], points)).max() < 2e-6


def test_a_chain_of_elastix(resample, tmp_path, images):
    """The initial transform meets the point first; it is named as elastix was called, and stands beside the file."""
    for n, case in enumerate(["euler", "affine", "spline"]):
        name, parameters, more = ELASTIX[case]
        initial = {} if n == 0 else {"InitialTransformParametersFileName" if n == 1 else "InitialTransformParameterFileName": f'"/elsewhere/out/T.{n - 1}.txt"'}
        elastix_file(tmp_path / f"T.{n}.txt", name, parameters, **more, **initial)
    if n := 1:
        text = (tmp_path / "T.1.txt").read_text().replace('(InitialTransformParameterFileName "NoInitialTransform")\n', "")
        (tmp_path / "T.1.txt").write_text(text)
    points = np.random.default_rng(7).uniform(-12, 12, (100, 3))
    ours, run = points_through(tmp_path, points, tmp_path / "T.2.txt")
    assert "EulerTransform -> AffineTransform -> BSplineTransform" in run.stderr
    # Given several files, elastix makes a chain of them by itself.
    flat = []
    for n in range(3):
        text = (tmp_path / f"T.{n}.txt").read_text()
        kept = [line for line in text.splitlines() if not line.startswith("(InitialTransform")]
        flat.append(tmp_path / f"flat.{n}.txt")
        flat[-1].write_text("\n".join([*kept, '(InitialTransformParameterFileName "NoInitialTransform")', ""]))
    assert np.abs(ours - transformix(tmp_path, flat, points)).max() < 2e-6
    source, like = images
    resample(tmp_path / "in.nii", tmp_path / "out.nii", "--like", tmp_path / "like.nii", "--transform", tmp_path / "T.2.txt")
    rigid = sitk.Euler3DTransform()
    rigid.SetCenter((1.5, -2, 3))
    rigid.SetParameters([0.1, -0.2, 0.3, 1, 2, -1.5])
    linear = sitk.AffineTransform(3)
    linear.SetCenter((1.5, -2, 3))
    linear.SetParameters(ELASTIX["affine"][1])
    coefficients, keys = spline_keys()
    numbers = lambda key: [float(v) for v in keys[key].split()]
    bent = sitk.BSplineTransform(3, 3)
    bent.SetFixedParameters([*numbers("GridSize"), *numbers("GridOrigin"), *numbers("GridSpacing"), *DIRECTION])
    bent.SetParameters(coefficients.tolist())
    alike(samples(tmp_path / "out.nii"), resampled(source, like, composite(bent, linear, rigid)), 1000)


def test_refusals_are_named(tmp_path, images):
    says = lambda text: refused("resample", tmp_path / "in.nii", tmp_path / "o.nii", "--transform", tmp_path / "t.txt", says=text)
    name, parameters, more = ELASTIX["euler"]
    elastix_file(tmp_path / "t.txt", name, parameters, **{**more, "InitialTransformParameterFileName": '"gone.txt"'})
    says(["begins with gone.txt", "beside"])
    elastix_file(tmp_path / "t.txt", name, parameters, **{**more, "InitialTransformParameterFileName": '"t.txt"', "HowToCombineTransforms": '"Add"'})
    says(["HowToCombineTransforms is Add", "Compose"])
    elastix_file(tmp_path / "t.txt", name, parameters, **{**more, "InitialTransformParameterFileName": '"t.txt"'})
    says("a chain of more than 16 files")
    elastix_file(tmp_path / "t.txt", "SplineKernelTransform", parameters, **more)
    says(["SplineKernelTransform", "transformix"])
    elastix_file(tmp_path / "t.txt", name, parameters[:5], **more)
    says(["5 parameters of Euler3DTransform", "6 parameters"])
    elastix_file(tmp_path / "t.txt", name, parameters, **{**more, "UseDirectionCosines": '"false"'})
    says("UseDirectionCosines")
    name, parameters, more = ELASTIX["spline"]
    elastix_file(tmp_path / "t.txt", name, parameters[1:], **more)
    says(["coefficients", "7x6x8"])
    elastix_file(tmp_path / "t.txt", name, parameters, **{**more, "BSplineTransformSplineOrder": "2"})
    says("order 2")
    transform = sitk.BSplineTransform(3, 2)
    sitk.WriteTransform(transform, str(tmp_path / "t.txt"))
    says("order 2")
