"""A transform for each volume of a series, volume by volume against SimpleITK; vectors turned along with their image."""

import re

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
import zarr

import grids
import parity
from command import digest, refused, summary_of
from measure import MIB

FLIP = np.diag([-1.0, -1.0, 1.0, 1.0])


def rigid(rng, centre):
    """A small motion about a point (LPS)."""
    return sitk.Euler3DTransform(tuple(centre), *rng.uniform(-0.15, 0.15, 3).tolist(), tuple(rng.uniform(-4, 4, 3)))


def matrix_of(transform):
    """The 4x4 matrix of an affine ITK transform, LPS."""
    offset = np.array(transform.TransformPoint((0, 0, 0)))
    matrix = np.eye(4)
    matrix[:3, :3] = np.array([transform.TransformPoint(unit) for unit in np.eye(3).tolist()]).T - offset[:, None]
    matrix[:3, 3] = offset
    return matrix


def lps_centre(grid):
    centre = grid.affine @ np.append((np.array(grid.shape) - 1) / 2, 1)
    return (FLIP @ centre)[:3]


def check_volume(ours, samples, source, target, lps, interp):
    """Holds one volume against SimpleITK's resampling through the matrix `lps`, snapped, away from the borders by 1e-6 voxel."""
    m = grids.mapping(source, grids.Grid(target.shape, FLIP @ lps @ FLIP @ target.affine, target.step))
    lps = FLIP @ source.affine @ m @ np.linalg.inv(target.affine) @ FLIP
    transform = sitk.AffineTransform(lps[:3, :3].ravel().tolist(), lps[:3, 3].tolist())
    resampler = parity.as_reference(target.shape, target.affine)
    resampler.SetTransform(transform)
    image = parity.itk_image(samples, source.affine)
    exact = parity.resampled(sitk.Cast(image, sitk.sitkFloat64), resampler, interp).T
    index = np.indices(target.shape).reshape(3, -1)
    c = (m[:3, :3] @ index + m[:3, 3:]).reshape(3, *target.shape)
    last = np.array(source.shape).reshape(3, 1, 1, 1) - 0.5
    keep = ((np.abs(c + 0.5) > parity.TIE) & (np.abs(c - last) > parity.TIE)).all(axis=0)
    assert (exact[keep] != 0).mean() > 0.2
    largest = np.abs(samples).max()
    if ours.dtype.kind == "f":
        np.testing.assert_allclose(ours[keep], exact[keep], rtol=0, atol=1e-5 * largest)
        return
    near = (1e-5 if parity.is_spline(interp) else 1e-6) * largest
    clear = keep & (np.abs(exact - np.rint(exact)) > near)
    theirs = parity.resampled(image, resampler, interp).T
    np.testing.assert_array_equal(ours[clear], theirs[clear])
    assert np.abs(ours[keep] - exact[keep]).max() <= 1 + near


def series(path, shape, volumes, flip=1):
    rng = np.random.default_rng(7)
    samples = rng.integers(-900, 3000, (*shape, volumes)).astype(np.int16)
    affine = np.array([[-2.0, 0.1, 0, 30], [0.1, 2.0, 0.2, -20], [0, -0.2, 2.5, -25], [0, 0, 0, 1]])
    image = nib.Nifti1Image(samples, affine @ np.diag([flip, 1, 1, 1]))
    image.header.set_xyzt_units("mm", "sec")
    nib.save(image, path)
    return path


@pytest.mark.parametrize("interp", ["linear", "bspline3"])
def test_a_perfusion_series_volume_by_volume(data, resample, tmp_path, interp):
    scan = data / "perfusion_4d.nii.gz"
    image = nib.load(scan)
    source, samples = grids.of(image), grids.raw(image)
    rng = np.random.default_rng(4)
    moves = [rigid(rng, lps_centre(source)) for _ in range(samples.shape[3])]
    lines = []
    for n, move in enumerate(moves):
        sitk.WriteTransform(move, str(tmp_path / f"move{n}.tfm"))
        lines.append(f"move{n}.tfm")
    (tmp_path / "moves.txt").write_text("# motion\n" + "\n".join(lines) + "\n")
    options = ["--transform-list", tmp_path / "moves.txt", "--interp", interp, "--raw"]
    resample(scan, tmp_path / "out.nii.gz", *options, "--summary", tmp_path / "s.json")
    resample(scan, tmp_path / "again.nii", *options, "--memory", "256MiB", "--threads", "1")
    ours = grids.raw(nib.load(tmp_path / "out.nii.gz"))
    np.testing.assert_array_equal(ours, grids.raw(nib.load(tmp_path / "again.nii")))
    assert ours.shape == samples.shape
    for n, move in enumerate(moves):
        check_volume(ours[..., n], samples[..., n], source, source, matrix_of(move), interp)
    summary = summary_of(tmp_path / "s.json")
    assert summary["mapping"] == "per_volume" and summary["outside"]["outside"] > 0
    assert [entry["volume"] for entry in summary["passes"]] == list(range(len(moves)))


def scaled(grid):
    """FSL's coordinates of a grid: voxel (i, j, k) to millimetres, i from the other end where the determinant is positive."""
    matrix = np.diag([*grid.step, 1.0])
    if np.linalg.det(grid.affine[:3, :3]) > 0:
        matrix[0, 0], matrix[0, 3] = -grid.step[0], (grid.shape[0] - 1) * grid.step[0]
    return matrix


@pytest.mark.parametrize("flip", [1, -1])
def test_matrices_of_mcflirt(resample, tmp_path, flip):
    """F takes FSL's coordinates of a volume to those of the reference, which is a volume of the series."""
    path = series(tmp_path / "in.nii", (23, 21, 17), 12, flip=flip)
    image = nib.load(path)
    source, samples = grids.of(image), grids.raw(image)
    mats = tmp_path / "in_mcf.mat"
    mats.mkdir()
    rng, worlds = np.random.default_rng(11), []
    world_to_scaled = scaled(source) @ np.linalg.inv(source.affine)
    for n in range(samples.shape[3]):
        fsl = matrix_of(rigid(rng, scaled(source)[:3, :3] @ np.array(source.shape) / 2))
        np.savetxt(mats / f"MAT_{n:04}", fsl, fmt="%.17g", delimiter="  ")
        worlds.append(np.linalg.inv(world_to_scaled) @ np.linalg.inv(fsl) @ world_to_scaled)
    resample(path, tmp_path / "same.nii", "--transform-list", mats, "--rounding", "truncate")
    ours = grids.raw(nib.load(tmp_path / "same.nii"))
    for n, world in enumerate(worlds):
        check_volume(ours[..., n], samples[..., n], source, source, FLIP @ world @ FLIP, "linear")

    # Onto another grid through one more transform: the matrices still speak of the series.
    shift = sitk.TranslationTransform(3, (3.25, -2.5, 1.125))
    sitk.WriteTransform(shift, str(tmp_path / "shift.tfm"))
    options = ["--transform-list", mats, "--transform", tmp_path / "shift.tfm", "--spacing", "3", "--rounding", "truncate"]
    resample(path, tmp_path / "other.nii", *options)
    ours, target = grids.raw(nib.load(tmp_path / "other.nii")), grids.resized(source, spacing=3)
    for n, world in enumerate(worlds):
        check_volume(ours[..., n], samples[..., n], source, target, FLIP @ world @ FLIP @ matrix_of(shift), "linear")


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz", ".zarr"])
@pytest.mark.parametrize("source", ["in.nii", "in.nii.gz"])
def test_the_same_bytes_in_the_least_memory(resample, tmp_path, source, suffix):
    path = series(tmp_path / source, (128, 120, 50), 5)
    rng = np.random.default_rng(3)
    for n in range(5):
        sitk.WriteTransform(rigid(rng, (0, 0, 0)), str(tmp_path / f"move{n}.tfm"))
    moves = tmp_path / "moves.txt"
    moves.write_text("".join(f"move{n}.tfm\n" for n in range(5)))
    options = ["--transform-list", moves, "--interp", "bspline3"]
    free, tight = tmp_path / f"free{suffix}", tmp_path / f"tight{suffix}"
    resample(path, free, *options, "--memory", "2GiB", "--threads", "2")
    in_least_memory(resample, path, tight, *options)
    assert digest(free) == digest(tight)


def in_least_memory(resample, path, target, *options):
    """Resamples in the least memory that will do, and checks that it did."""
    told = refused("resample", path, target, *options, "--memory", "1MiB", "--threads", "1", says="use --memory")
    least = int(re.search(r"use --memory (\d+)MiB", told.stderr)[1]) + 1
    run = resample(path, target, *options, "--memory", f"{least}MiB", "--threads", "1")
    assert run.peak_bytes <= least * MIB, f"{run.peak_mib:.1f} MiB held, {least} MiB allowed"


def test_long_lists_are_told_in_few_words(resample, reslice, tmp_path):
    path = series(tmp_path / "in.nii", (5, 6, 7), 300)
    (tmp_path / "one.txt").write_text("0.9 -0.1 0 1\n0.1 1 0 2\n0 0 1 3\n")
    (tmp_path / "list.txt").write_text("one.txt\n" * 300)
    options = ["--transform-list", tmp_path / "list.txt"]
    plan = reslice("resample", path, tmp_path / "out.nii", *options, "--dry-run").stdout
    assert len(plan.splitlines()) < 15 and "volume 0" in plan and "volume 299" in plan, plan
    assert f"each volume's of {tmp_path / 'list.txt'}" in plan
    run = resample(path, tmp_path / "out.nii", *options, "--progress", "json")
    assert '"blocks":' in run.stderr
    in_least_memory(resample, path, tmp_path / "least.nii", *options, "--summary", tmp_path / "s.json")
    (tmp_path / "list.txt").write_text("one.txt\n" * 299)
    refused("resample", path, tmp_path / "b.nii", *options, says=["299 transforms", "300 volumes"])


@pytest.mark.parametrize("name", ["in.nii", "in.nii.gz"])
def test_vectors_turn_by_the_nearest_rotation(resample, tmp_path, name):
    """Intent 1007: LPS. The turn is the orthogonal factor of the map from source to target, by a singular value decomposition."""
    shape, rng = (19, 23, 17), np.random.default_rng(8)
    affine = np.array([[-2.0, 0, 0.3, 20], [0, 2.0, 0, -22], [0.3, 0, 2.5, -20], [0, 0, 0, 1]])
    vectors = rng.normal(0, 3, (*shape, 1, 3)).astype(np.float32)
    image = nib.Nifti1Image(vectors, affine)
    image.header.set_xyzt_units("mm")
    image.header["intent_code"] = 1007
    nib.save(image, tmp_path / name)
    matrix = np.array([[0.8, -0.5, 0.2], [0.6, 0.9, -0.1], [-0.1, 0.3, 1.2]])
    source = grids.of(nib.load(tmp_path / name))
    transform = sitk.AffineTransform(matrix.ravel().tolist(), (1.0, 2.0, -1.0), tuple(lps_centre(source)))
    sitk.WriteTransform(transform, str(tmp_path / "a.tfm"))
    options = ["--transform", tmp_path / "a.tfm", "--spacing", "1.75"]
    resample(tmp_path / name, tmp_path / "turned.nii.gz", *options, "--reorient-vectors")
    resample(tmp_path / name, tmp_path / "plain.nii.gz", *options)
    turned, plain = (grids.raw(nib.load(tmp_path / f"{of}.nii.gz")).astype(float) for of in ("turned", "plain"))
    u, _, vt = np.linalg.svd(np.linalg.inv(matrix))
    np.testing.assert_allclose(turned, plain @ (u @ vt).T, rtol=0, atol=1e-5)
    assert np.abs(turned - plain).max() > 1
    assert (plain != 0).mean() > 0.2
    refused("resample", tmp_path / name, tmp_path / "b.nii", "--transform", tmp_path / name, "--reorient-vectors",
            says="displacement field")


def test_chunks_that_span_volumes(reslice, resample, tmp_path):
    """Each is decoded for every volume in it, which is warned about; the voxels are those of a file without chunks."""
    rng = np.random.default_rng(6)
    samples = rng.integers(0, 3000, (5, 11, 13, 17)).astype(np.uint16)
    group = zarr.open_group(tmp_path / "in.zarr", mode="w", zarr_format=3)
    group.create_array("0", shape=samples.shape, dtype="u2", chunks=(2, 4, 5, 6))[...] = samples
    axes = [{"name": "t", "type": "time", "unit": "second"}]
    axes += [{"name": name, "type": "space", "unit": "millimeter"} for name in "zyx"]
    level = {"path": "0", "coordinateTransformations": [{"type": "scale", "scale": [1, 3, 2, 2]}]}
    group.attrs["ome"] = {"version": "0.5", "multiscales": [{"axes": axes, "datasets": [level]}]}
    resample(tmp_path / "in.zarr", tmp_path / "in.nii")
    for n in range(5):
        sitk.WriteTransform(rigid(rng, (-17, -13, 16)), str(tmp_path / f"move{n}.tfm"))
    (tmp_path / "moves.txt").write_text("".join(f"move{n}.tfm\n" for n in range(5)))
    options = ["--transform-list", tmp_path / "moves.txt", "--interp", "cubic"]
    run = resample(tmp_path / "in.zarr", tmp_path / "a.nii", *options, "--summary", tmp_path / "s.json")
    assert "chunks of the source span 2 volumes" in run.stderr, run.stderr
    resample(tmp_path / "in.nii", tmp_path / "b.nii", *options)
    a, b = (grids.raw(nib.load(tmp_path / name)) for name in ("a.nii", "b.nii"))
    np.testing.assert_array_equal(a, b)
    assert (a != 0).mean() > 0.4
    for entry in summary_of(tmp_path / "s.json")["passes"]:
        assert entry["done"]["decodes"] == entry["plan"]["totals"]["decodes"]
    # Shares of ranks were once cut by groups of the source's volumes, of which each pass made the first: no rank ever came to the others.
    for ranks in (2, 4):
        for rank in range(ranks):
            share = [*options, "--chunk", "8", f"--rank={rank}/{ranks}"]
            shared = reslice("resample", tmp_path / "in.zarr", tmp_path / f"c{ranks}.zarr", *share)
        assert "% left" not in shared.stderr, shared.stderr
        resample(tmp_path / f"c{ranks}.zarr", tmp_path / "c.nii", "--overwrite")
        np.testing.assert_array_equal(a, grids.raw(nib.load(tmp_path / "c.nii")))
