"""Transform files: where points go, against SimpleITK and the formats' own formulas; volumes resampled through them."""

import csv
import io

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
import zarr

import grids
import parity
from command import refused, reslice

FLIP = np.diag([-1.0, -1.0, 1.0, 1.0])
RNG = np.random.default_rng(20240229)
POINTS = RNG.uniform(-120, 120, (57, 3))


def mapped(folder, points, *transforms, lps=False, more=()):
    """Where `reslice points` sends points (an array with rows x, y, z)."""
    table = folder / "points.csv"
    lines = ["name,x,y,z"] + [f"p{n},{x!r},{y!r},{z!r}" for n, (x, y, z) in enumerate(points.tolist())]
    table.write_text("\n".join(lines) + "\n")
    options = [part for transform in transforms for part in ("--transform", transform)]
    run = reslice("points", table, *options, *(["--lps"] if lps else []), *more)
    rows = list(csv.DictReader(io.StringIO(run.stdout)))
    assert [row["name"] for row in rows] == [f"p{n}" for n in range(len(points))]
    return np.array([[float(row[axis]) for axis in "xyz"] for row in rows])


def by_itk(transform, points):
    """Where SimpleITK sends LPS points."""
    return np.array([transform.TransformPoint(point) for point in points.tolist()])


def by_matrix(matrix, points):
    return points @ matrix[:3, :3].T + matrix[:3, 3]


def close(ours, theirs, relative=1e-9):
    scale = np.maximum(np.abs(theirs).max(), 1.0)
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=relative * scale)


def euler(zyx=False):
    transform = sitk.Euler3DTransform((12.5, -7.0, 33.0), 0.3, -0.2, 0.7, (4.0, 5.5, -6.25))
    transform.SetComputeZYX(zyx)
    return transform


def affine():
    matrix = np.eye(3) + RNG.uniform(-0.3, 0.3, (3, 3))
    return sitk.AffineTransform(matrix.ravel().tolist(), (3.0, -4.0, 5.0), (10.0, 20.0, 30.0))


def scale_skew():
    transform = sitk.ScaleSkewVersor3DTransform()
    transform.SetCenter((1.0, -2.0, 3.0))
    transform.SetRotation((1, 2, 3), 0.4)
    transform.SetScale((1.1, 0.9, 1.3))
    transform.SetSkew((0.01, 0.02, 0.03, 0.04, 0.05, 0.06))
    transform.SetTranslation((7.0, 8.0, 9.0))
    return transform


def scale_versor():
    transform = sitk.ScaleVersor3DTransform()
    transform.SetCenter((1.0, -2.0, 3.0))
    transform.SetRotation((-1, 2, 3), 2.5)
    transform.SetScale((1.1, 0.9, 1.3))
    transform.SetTranslation((7.0, 8.0, 9.0))
    return transform


CLASSES = {
    "affine": affine(),
    "euler": euler(),
    "euler-zyx": euler(zyx=True),
    "versor": sitk.VersorTransform((1, -2, 0.5), 1.9, (5.0, 6.0, 7.0)),
    "versor-rigid": sitk.VersorRigid3DTransform((1, -2, 0.5), 0.9, (1.0, 2.0, 3.0), (5.0, 6.0, 7.0)),
    "half-turn": sitk.VersorRigid3DTransform((0, 0, 1), np.pi, (1.0, 2.0, 3.0), (5.0, 6.0, 7.0)),
    "similarity": sitk.Similarity3DTransform(1.25, (1, -2, 0.5), 0.9, (1.0, 2.0, 3.0), (5.0, 6.0, 7.0)),
    "scale": sitk.ScaleTransform(3, (1.5, 0.5, 2.0)),
    "scale-versor": scale_versor(),
    "scale-skew-versor": scale_skew(),
    "translation": sitk.TranslationTransform(3, (1.5, -2.5, 1e-7)),
    "identity": sitk.Transform(3, sitk.sitkIdentity),
}


@pytest.mark.parametrize("ending", ["tfm", "txt", "mat"])
@pytest.mark.parametrize("name", CLASSES)
def test_itk(tmp_path, name, ending):
    file = tmp_path / f"a.{ending}"
    sitk.WriteTransform(CLASSES[name], str(file))
    transform = sitk.ReadTransform(str(file))
    expected = by_itk(transform, POINTS)
    close(mapped(tmp_path, POINTS, file, lps=True), expected)
    back = mapped(tmp_path, expected, f"{file},inverse", lps=True)
    close(back, POINTS)


def test_points_are_ras_unless_told(tmp_path):
    sitk.WriteTransform(CLASSES["affine"], str(tmp_path / "a.tfm"))
    lps = by_itk(CLASSES["affine"], POINTS)
    ours = mapped(tmp_path, POINTS * (-1, -1, 1), tmp_path / "a.tfm")
    close(ours, lps * (-1, -1, 1))


def test_itk_composite(tmp_path):
    parts = [CLASSES[name] for name in ("affine", "euler-zyx", "translation", "scale-versor")]
    composite = sitk.CompositeTransform(parts)
    sitk.WriteTransform(composite, str(tmp_path / "a.tfm"))
    expected = by_itk(sitk.ReadTransform(str(tmp_path / "a.tfm")), POINTS)
    close(mapped(tmp_path, POINTS, tmp_path / "a.tfm", lps=True), expected)
    files = []
    for n, part in enumerate(parts):
        files.append(tmp_path / f"part{n}.tfm")
        sitk.WriteTransform(part, str(files[-1]))
    # A list is read from target to source, a composite from its last part.
    close(mapped(tmp_path, POINTS, *reversed(files), lps=True), expected)


def test_mat_of_the_other_byte_order(tmp_path):
    """A MATLAB 4 file as a big-endian machine writes it, in single precision too."""
    numbers = np.array([1.0, 0.25, 0, 0, 1, 0.5, 0, 0, 2, 3, 4, 5])
    for kind, dtype in [(1000, ">f8"), (1010, ">f4"), (1100, ">f8")]:
        parts = []
        for name, values in (("AffineTransform_float_3_3", numbers), ("fixed", np.array([7.0, 8.0, 9.0]))):
            header = np.array([kind, values.size, 1, 0, len(name) + 1], ">i4").tobytes()
            parts.append(header + name.encode() + b"\0" + values.astype(dtype).tobytes())
        (tmp_path / "a.mat").write_bytes(b"".join(parts))
        transform = sitk.AffineTransform(numbers[:9].tolist(), (3.0, 4.0, 5.0), (7.0, 8.0, 9.0))
        close(mapped(tmp_path, POINTS, tmp_path / "a.mat", lps=True), by_itk(transform, POINTS))


def test_plain_matrix(tmp_path):
    matrix = np.eye(4)
    matrix[:3] += RNG.uniform(-0.4, 0.4, (3, 4)) * (1, 1, 1, 100)
    np.savetxt(tmp_path / "a.txt", matrix, fmt="%.17g")
    close(mapped(tmp_path, POINTS, tmp_path / "a.txt"), by_matrix(matrix, POINTS))
    np.savetxt(tmp_path / "b.txt", matrix[:3], fmt="%.17g", delimiter=",", header="three rows")
    close(mapped(tmp_path, POINTS, tmp_path / "b.txt,inverse"), by_matrix(np.linalg.inv(matrix), POINTS))


def oblique(flip, seed):
    """An affine in f32 numbers whose determinant has the sign that is asked for."""
    rotation = sitk.VersorTransform((1, seed, 2), 0.4).GetMatrix()
    matrix = np.eye(4)
    matrix[:3, :3] = np.array(rotation).reshape(3, 3) @ np.diag([-2.0 if flip else 2.0, 1.5, 3.0])
    matrix[:3, 3] = (seed * 7.5, -20.0, 31.0)
    return matrix.astype(np.float32).astype(np.float64)


def volume(path, shape, affine):
    image = nib.Nifti1Image(np.zeros(shape, np.uint8), affine)
    image.header.set_xyzt_units("mm")
    nib.save(image, path)
    return path


@pytest.mark.parametrize("flips", [(False, False), (True, False), (False, True), (True, True)])
def test_flirt(tmp_path, flips):
    shapes = [(11, 13, 17), (19, 23, 29)]
    affines = [oblique(flip, seed) for flip, seed in zip(flips, (1, 3))]
    moving = volume(tmp_path / "moving.nii", shapes[0], affines[0])
    reference = volume(tmp_path / "reference.nii", shapes[1], affines[1])

    def scaled(path):
        image = nib.load(path)
        voxels = np.diag([*np.float64(image.header.get_zooms()), 1.0])
        if np.linalg.det(image.affine) > 0:
            voxels = np.diag([-1.0, 1, 1, 1]) @ voxels
            voxels[0, 3] = (image.shape[0] - 1) * float(image.header.get_zooms()[0])
        return voxels @ np.linalg.inv(image.affine)

    flirt = np.eye(4)
    flirt[:3] += RNG.uniform(-0.2, 0.2, (3, 4)) * (1, 1, 1, 50)
    np.savetxt(tmp_path / "flirt.mat", flirt, fmt="%.17g")
    expected = np.linalg.inv(scaled(moving)) @ np.linalg.inv(flirt) @ scaled(reference)
    grids_ = ("--source", moving, "--target", reference)
    close(mapped(tmp_path, POINTS, tmp_path / "flirt.mat", more=grids_), by_matrix(expected, POINTS))
    refused("points", tmp_path / "points.csv", "--transform", tmp_path / "flirt.mat", says=["src=IN.nii", "ref=REF.nii"])
    # The way out.
    close(mapped(tmp_path, POINTS, f"{tmp_path / 'flirt.mat'},src={moving},ref={reference}"), by_matrix(expected, POINTS))


def lta(kind, matrix, source, target):
    """An LTA as FreeSurfer writes it, of two (shape, affine)."""
    lines = [f"type      = {kind} # kind", "nxforms   = 1", "mean      = 0 0 0", "sigma     = 10000.0", "1 4 4"]
    lines += [" ".join(f"{x:.15e}" for x in row) for row in matrix]
    for name, (shape, affine) in (("src", source), ("dst", target)):
        step = np.linalg.norm(affine[:3, :3], axis=0)
        centre = by_matrix(affine, np.array(shape)[None] / 2)[0]
        lines += [f"{name} volume info", "valid = 1  # volume info valid", f"filename = {name}.mgz"]
        lines += ["volume = %d %d %d" % shape, "voxelsize = " + " ".join(f"{x:.15e}" for x in step)]
        for axis, column in zip("xyz", (affine[:3, :3] / step).T):
            lines.append(f"{axis}ras   = " + " ".join(f"{x:.15e}" for x in column))
        lines.append("cras   = " + " ".join(f"{x:.15e}" for x in centre))
    return "\n".join(lines + ["subject s", "fscale 0.15", ""])


@pytest.mark.parametrize("kind", [0, 1])
def test_lta(tmp_path, kind):
    source, target = ((11, 13, 17), oblique(True, 1)), ((20, 23, 29), oblique(False, 2))
    source_to_target = np.eye(4)
    source_to_target[:3] += RNG.uniform(-0.2, 0.2, (3, 4)) * (1, 1, 1, 50)
    stored = source_to_target
    if kind == 0:
        stored = np.linalg.inv(target[1]) @ source_to_target @ source[1]
    (tmp_path / "a.lta").write_text(lta(kind, stored, source, target))
    expected = by_matrix(np.linalg.inv(source_to_target), POINTS)
    close(mapped(tmp_path, POINTS, tmp_path / "a.lta"), expected)
    close(mapped(tmp_path, expected, tmp_path / "a.lta,inverse"), POINTS)


@pytest.fixture(scope="module")
def fields(tmp_path_factory):
    """One displacement field in every form, and SimpleITK's reading of it; the grid has exact f32 numbers."""
    folder = tmp_path_factory.mktemp("fields")
    shape = (13, 17, 19)
    affine = np.array([[0, -4.0, 0, 30], [6.0, 0, 0, -40], [0, 0, 5.0, -50], [0, 0, 0, 1]])
    vectors = np.random.default_rng(5).normal(0, 4, (*shape, 1, 3)).astype(np.float32)
    image = nib.Nifti1Image(vectors, affine)
    image.header.set_xyzt_units("mm")
    image.header["intent_code"] = 1007
    for ending in ("nii", "nii.gz"):
        nib.save(image, folder / f"warp.{ending}")
    reslice("resample", folder / "warp.nii", folder / "bgzf.nii.gz", "--gzip", "bgzf")
    reslice("resample", folder / "warp.nii", folder / "warp.ome.zarr", "--chunk", "5,6,7", "--shard", "none")
    itk = sitk.Cast(sitk.ReadImage(str(folder / "warp.nii")), sitk.sitkVectorFloat64)
    return folder, sitk.DisplacementFieldTransform(itk)


FORMS = ["warp.nii", "warp.nii.gz", "bgzf.nii.gz", "warp.ome.zarr"]


@pytest.mark.parametrize("form", FORMS)
def test_displacement_field(fields, tmp_path, form):
    folder, transform = fields
    points = np.concatenate([POINTS, by_matrix(FLIP, RNG.uniform(-60, 60, (3000, 3)))])
    expected = by_itk(transform, points)
    moved = np.abs(expected - points).max(axis=1) > 0
    assert moved.sum() > 100 and (~moved).sum() > 100, "points inside and outside"
    close(mapped(tmp_path, points, folder / form, lps=True), expected)


def test_every_form_of_a_field_gives_the_same_bytes(fields, tmp_path):
    folder, _ = fields
    table = tmp_path / "points.csv"
    np.savetxt(table, RNG.uniform(-60, 60, (20_000, 3)), delimiter=",", header="x,y,z", comments="")
    answers = {reslice("points", table, "--transform", folder / form).stdout for form in FORMS}
    assert len(answers) == 1


def test_a_zarr_whose_chunks_span_the_components(tmp_path):
    """OME-Zarr has no direction: x, y, z are RAS, and vectors LPS, as in a NIfTI file of ITK."""
    vectors = RNG.normal(0, 4, (3, 11, 13, 17))
    group = zarr.open_group(tmp_path / "warp.ome.zarr", mode="w", zarr_format=3)
    group.create_array("0", shape=vectors.shape, dtype="f8", chunks=(3, 4, 5, 6))[...] = vectors
    axes = [{"name": "c", "type": "channel"}]
    axes += [{"name": name, "type": "space", "unit": "millimeter"} for name in "zyx"]
    place = [{"type": "scale", "scale": [1, 5, 4, 3]}, {"type": "translation", "translation": [0, -20, -25, -30]}]
    level = {"path": "0", "coordinateTransformations": place}
    group.attrs["ome"] = {"version": "0.5", "multiscales": [{"axes": axes, "datasets": [level]}]}
    image = sitk.GetImageFromArray(np.ascontiguousarray(np.moveaxis(vectors, 0, -1)), isVector=True)
    image.SetSpacing((3.0, 4.0, 5.0))
    image.SetOrigin((30.0, 25.0, -20.0))
    image.SetDirection((-1, 0, 0, 0, -1, 0, 0, 0, 1))
    transform = sitk.DisplacementFieldTransform(image)
    points = RNG.uniform(-35, 35, (2000, 3))
    expected = by_itk(transform, points)
    assert (expected != points).any(axis=1).sum() > 500
    close(mapped(tmp_path, points, tmp_path / "warp.ome.zarr", lps=True), expected)


def test_affines_around_a_field(fields, tmp_path):
    folder, transform = fields
    for name in ("affine", "euler"):
        sitk.WriteTransform(CLASSES[name], str(tmp_path / f"{name}.mat"))
    composite = sitk.CompositeTransform([CLASSES["affine"], transform, CLASSES["euler"]])
    points = RNG.uniform(-50, 50, (500, 3))
    files = (tmp_path / "euler.mat", folder / "warp.nii.gz", tmp_path / "affine.mat")
    close(mapped(tmp_path, points, *files, lps=True), by_itk(composite, points))


def test_displacements_of_intent_1006_are_ras(tmp_path):
    vectors = np.zeros((4, 5, 6, 1, 3), np.float32)
    vectors[..., 0, :] = (1, 2, 3)
    image = nib.Nifti1Image(vectors, np.eye(4))
    image.header.set_xyzt_units("mm")
    image.header["intent_code"] = 1006
    nib.save(image, tmp_path / "a.nii")
    field = sitk.Cast(sitk.ReadImage(str(tmp_path / "a.nii")), sitk.sitkVectorFloat64)
    points = np.array([[-1.0, -2.0, 3.0]])
    close(mapped(tmp_path, points, tmp_path / "a.nii", lps=True), by_itk(sitk.DisplacementFieldTransform(field), points))


def test_what_is_refused(fields, tmp_path):
    folder, _ = fields
    table = tmp_path / "p.csv"
    table.write_text("x,y,z\n1,2,3\n")
    field = folder / "warp.nii"

    def no(*transforms, says):
        options = [part for transform in transforms for part in ("--transform", transform)]
        refused("points", table, *options, says=says)

    no(*[field] * 17, says=["17 displacements", "16 are taken"])
    no(volume(tmp_path / "scalar.nii", (3, 4, 5), np.eye(4)), says="a displacement field")
    no(tmp_path / "missing.tfm", says="missing.tfm")
    (tmp_path / "large.txt").write_bytes(b"1 " * (1 << 20))
    no(tmp_path / "large.txt", says="1 MiB")
    sitk.WriteTransform(sitk.BSplineTransform(3, 2), str(tmp_path / "b.tfm"))
    no(tmp_path / "b.tfm", says=["order 2", "displacement field"])
    refused("resample", field, tmp_path / "out.nii", "--transform", tmp_path / "missing.tfm", says="missing.tfm")


ALIGNED = {
    "translation": sitk.TranslationTransform(3, (3.25, -4.5, 6.125)),
    "quarter-turn": sitk.AffineTransform([0, -1, 0, 1, 0, 0, 0, 0, 1], (1.5, 2.25, 0.0), (3.0, 4.0, 5.0)),
    "scaling": sitk.ScaleTransform(3, (1.5, 0.75, 1.25)),
    "flips": sitk.AffineTransform([0, 0, -1, 0, 1, 0, 1, 0, 0], (0.0, 10.0, 2.0), (0.0, 0.0, 0.0)),
}


@pytest.mark.parametrize("interp", ["nearest", "linear"])
@pytest.mark.parametrize("name", ALIGNED)
def test_resampling_through(resample, tmp_path, name, interp):
    shape = (31, 29, 23)
    affine = np.array([[-2.0, 0, 0, 30], [0, 0, 1.5, -20], [0, 2.5, 0, -25], [0, 0, 0, 1]])
    samples = RNG.normal(0, 100, shape).astype(np.float32)
    image = nib.Nifti1Image(samples, affine)
    image.header.set_xyzt_units("mm")
    nib.save(image, tmp_path / "in.nii")
    file = tmp_path / "a.tfm"
    sitk.WriteTransform(ALIGNED[name], str(file))
    resample(tmp_path / "in.nii", tmp_path / "out.nii", "--transform", file, "--interp", interp, "--spacing", "1.75")
    source = grids.Grid(shape, affine, np.linalg.norm(affine[:3, :3], axis=0))
    target = grids.resized(source, spacing=1.75)
    out = nib.load(tmp_path / "out.nii")
    np.testing.assert_allclose(out.affine, target.affine, rtol=0, atol=1e-5)
    matrix = FLIP @ as_matrix(ALIGNED[name]) @ FLIP
    seen = grids.Grid(target.shape, matrix @ target.affine, target.step)
    parity.check(samples, source, seen, grids.raw(out), interp)
    # As SimpleITK does it with the transform itself.
    resampler = parity.as_reference(target.shape, target.affine)
    resampler.SetTransform(sitk.ReadTransform(str(file)))
    theirs = parity.resampled(parity.itk_image(samples, affine), resampler, interp).T
    keep = parity.kept(grids.mapping(source, seen), source.shape, target.shape, interp)
    pick = np.ix_(*keep)
    assert (theirs[pick] != 0).mean() > 0.2
    np.testing.assert_allclose(grids.raw(out)[pick], theirs[pick], rtol=0, atol=1e-5 * np.abs(samples).max())


def as_matrix(transform):
    """The 4x4 matrix of an affine ITK transform."""
    offset = np.array(transform.TransformPoint((0, 0, 0)))
    matrix = np.eye(4)
    matrix[:3, :3] = np.array([transform.TransformPoint(unit) for unit in np.eye(3).tolist()]).T - offset[:, None]
    matrix[:3, 3] = offset
    return matrix


def test_an_inverse_undoes(resample, tmp_path):
    shape = (31, 29, 23)
    samples = RNG.integers(1, 200, shape).astype(np.uint8)
    image = nib.Nifti1Image(samples, np.diag([2.0, 2.0, 2.0, 1.0]))
    image.header.set_xyzt_units("mm")
    nib.save(image, tmp_path / "in.nii")
    file = tmp_path / "a.mat"
    sitk.WriteTransform(sitk.AffineTransform(np.eye(3).ravel().tolist(), (4.0, 6.0, -2.0)), str(file))
    resample(tmp_path / "in.nii", tmp_path / "there.nii", "--transform", file)
    resample(tmp_path / "there.nii", tmp_path / "back.nii", "--transform", f"{file},inverse")
    both = grids.raw(nib.load(tmp_path / "back.nii"))
    inside = both != 0
    assert inside.mean() > 0.7
    np.testing.assert_array_equal(both[inside], samples[inside])
    resample(tmp_path / "in.nii", tmp_path / "same.nii", "--transform", file, "--transform", f"{file},inverse")
    np.testing.assert_array_equal(grids.raw(nib.load(tmp_path / "same.nii")), samples)
