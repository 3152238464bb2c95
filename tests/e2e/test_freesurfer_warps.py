"""FreeSurfer's warps (.mgz) and labels: written by the rules of its sources, evaluated in numpy."""

import gzip
import json
import struct

import nibabel as nib
import numpy as np
import pytest
from scipy.ndimage import map_coordinates

from command import refused
from test_other_warps import displacements, image, looked_up

VOXELS, VOXEL_STEPS, PLACES, MOVES = range(4)
GEOMETRIES, META, AFFINE, HISTORY = 10, 13, 14, 3


def geometry(img):
    """Steps, directions and centre, as MGH has them."""
    linear = img.affine[:3, :3]
    steps = np.linalg.norm(linear, axis=0)
    centre = img.affine[:3, 3] + linear @ (np.array(img.shape) / 2)
    return struct.pack(">15f", *steps, *(linear / steps).T.ravel(), *centre)


def mgh(array, img, intent, tags=b"", kind=(3, ">f4")):
    """An MGH file of `array` (i, j, k, frames) on the grid of an image."""
    head = struct.pack(">7iH", intent << 8 | 1, *array.shape, kind[0], 0, 1) + geometry(img)
    return head.ljust(284, b"\0") + array.astype(kind[1]).tobytes(order="F") + bytes(20) + tags


def tags(source, reference, form, valid=1):
    one = lambda img: struct.pack(">4i", valid, *img.shape) + geometry(img) + b"image.mgz".ljust(512, b"\0")  # noqa: E731
    said = struct.pack(">iq", HISTORY, 6) + b"made.\0"
    said += struct.pack(">i", GEOMETRIES) + one(source) + one(reference)
    said += struct.pack(">iq", META, 12) + struct.pack(">2if", form, 1, 0.0)
    return said + struct.pack(">iq", AFFINE, 16) + bytes(16)


def put(path, content):
    path.write_bytes(gzip.compress(content) if path.suffix == ".mgz" else content)


def warp(path, source, reference, form, **how):
    """Writes a warp; gives the places (RAS mm) that the voxels of the reference look at."""
    voxels = np.stack(np.meshgrid(*map(np.arange, reference.shape), indexing="ij"), -1)
    world = voxels @ reference.affine[:3, :3].T + reference.affine[:3, 3]
    places = world + displacements(reference.shape)
    inverse = np.linalg.inv(source.affine)
    at = places @ inverse[:3, :3].T + inverse[:3, 3]
    numbers = {VOXELS: at, VOXEL_STEPS: at - voxels, PLACES: places, MOVES: places - world}[form]
    put(path, mgh(numbers, reference, 3, tags(source, reference, form, **how)))
    return places


@pytest.mark.parametrize("ending", [".mgh", ".mgz"])
@pytest.mark.parametrize("flips", [(0, 1), (1, 0)], ids=str)
@pytest.mark.parametrize("form", [VOXELS, VOXEL_STEPS, PLACES, MOVES], ids=["voxels", "voxel steps", "places", "moves"])
def test_as_freesurfer_says(resample, tmp_path, form, flips, ending):
    source = image(tmp_path / "in.nii", (25, 21, 19), (1.4, 1.5, 1.6), flips[0], 1)
    reference = image(tmp_path / "ref.nii", (23, 24, 17), (1.3, 1.2, 1.7), flips[1], 2, angle=0.2)
    path = tmp_path / f"warp{ending}"
    places = warp(path, source, reference, form)
    run = resample(tmp_path / "in.nii", tmp_path / "out.nii", "--like", tmp_path / "ref.nii", "--transform", path)
    said = {VOXELS: "FreeSurfer warp, voxels", VOXEL_STEPS: "FreeSurfer warp, voxels", PLACES: "field of positions, RAS", MOVES: "displacement field, RAS"}
    assert said[form] in run.stderr, run.stderr
    expected, inside = looked_up(source, places)
    assert np.abs(nib.load(tmp_path / "out.nii").get_fdata() - expected)[inside].max() < 0.05


def morph(path, source, reference, spacing, places, nowhere=(), kind=1):
    """Writes a morph whose nodes lead to these places (RAS mm)."""
    inverse = np.linalg.inv(source.affine)
    at = places @ inverse[:3, :3].T + inverse[:3, 3]
    nodes = np.zeros((*places.shape[:3], 9), ">f4")
    nodes[..., :3] = 1.0
    nodes[..., 3:6] = at
    for node in nowhere:
        nodes[node] = 0
    said = tags(source, reference, VOXELS)
    geometries = said[said.index(struct.pack(">i", GEOMETRIES)) :][: 4 + 2 * 588]
    content = struct.pack(">f4if", 1.0, *places.shape[:3], spacing, 0.0) + nodes.tobytes() + geometries
    content += struct.pack(">2i", 11, kind) + struct.pack(">i", 31) + b"AffineM"
    path.write_bytes(gzip.compress(content) if path.suffix == ".m3z" else content)


@pytest.mark.parametrize("spacing", [1, 2])
@pytest.mark.parametrize("ending", [".m3d", ".m3z"])
@pytest.mark.parametrize("flip", [0, 1])
def test_morphs(resample, tmp_path, flip, ending, spacing):
    source = image(tmp_path / "in.nii", (25, 21, 19), (1.4, 1.5, 1.6), flip, 1)
    reference = image(tmp_path / "ref.nii", (23, 25, 17), (1.3, 1.2, 1.7), 1 - flip, 2, angle=0.2)
    shape = [(n - 1) // spacing + 1 for n in reference.shape]
    voxels = np.stack(np.meshgrid(*(spacing * np.arange(n) for n in shape), indexing="ij"), -1)
    nodes = voxels @ reference.affine[:3, :3].T + reference.affine[:3, 3]
    nodes = nodes + displacements(shape)
    hole = (4, 5, 3)
    morph(tmp_path / f"talairach{ending}", source, reference, spacing, nodes, [hole])
    argv = ("--like", tmp_path / "ref.nii", "--transform", tmp_path / f"talairach{ending}")
    run = resample(tmp_path / "in.nii", tmp_path / "out.nii", *argv, "--outside", "-77", "--dtype", "f32")
    assert "FreeSurfer warp, voxels" in run.stderr, run.stderr
    nodes = nodes.astype("f8")
    nodes[hole] = np.nan
    at = np.stack(np.meshgrid(*map(np.arange, reference.shape), indexing="ij"), 0) / spacing
    places = np.stack([map_coordinates(nodes[..., c], at, order=1, mode="nearest") for c in range(3)], -1)
    expected, inside = looked_up(source, places)
    # A weight that rounding makes of none is enough to lead nowhere.
    inside &= ~np.all([abs(index - node) < 1.001 for index, node in zip(at, hole)], axis=0)
    found = nib.load(tmp_path / "out.nii").get_fdata()
    assert np.abs(found - expected)[inside].max() < 0.05
    assert found[tuple(spacing * n for n in hole)] == -77
    refused("resample", tmp_path / f"talairach{ending}", tmp_path / "no.nii")


def test_what_a_warp_has_to_say(tmp_path):
    source = image(tmp_path / "in.nii", (25, 21, 19), (1.4, 1.5, 1.6), 0, 1)
    reference = image(tmp_path / "ref.nii", (23, 24, 17), (1.3, 1.2, 1.7), 0, 2)
    argv = ("resample", tmp_path / "in.nii", tmp_path / "out.nii", "--like", tmp_path / "ref.nii", "--transform")
    numbers = np.zeros((*reference.shape, 3))
    put(tmp_path / "plain.mgz", mgh(numbers, reference, 0))
    refused(*argv, tmp_path / "plain.mgz", says=["does not say that it is a warp", "mri_warp_convert"])
    put(tmp_path / "bare.mgz", mgh(numbers, reference, 3))
    refused(*argv, tmp_path / "bare.mgz", says="none of a warp")
    warp(tmp_path / "unknown.mgh", source, reference, VOXELS, valid=0)
    refused(*argv, tmp_path / "unknown.mgh", says="an image that it does not describe")
    put(tmp_path / "cut.mgz", mgh(numbers, reference, 3, tags(source, reference, MOVES)[:700]))
    refused(*argv, tmp_path / "cut.mgz", says="a tag ends")


def test_labels_are_told_by_the_version(reslice, resample, tmp_path):
    """FreeSurfer 7.4 writes what a volume is of beside the version."""
    reference = image(tmp_path / "ref.nii", (9, 8, 7), (1.3, 1.2, 1.7), 0, 2)
    labels = np.random.default_rng(2).choice([0, 17, 2035], (9, 8, 7, 1))
    put(tmp_path / "aseg.mgz", mgh(labels, reference, 1, kind=(1, ">i4")))
    put(tmp_path / "norm.mgz", mgh(labels, reference, 0, kind=(1, ">i4")))
    is_label = lambda name: json.loads(reslice("info", tmp_path / name, "--json").stdout)["is_label"]  # noqa: E731
    assert is_label("aseg.mgz") and not is_label("norm.mgz")
    resample(tmp_path / "aseg.mgz", tmp_path / "out.nii.gz", "--spacing", "1", "--interp", "auto")
    assert set(np.unique(nib.load(tmp_path / "out.nii.gz").get_fdata())) <= {0.0, 17.0, 2035.0}


def test_a_copy_is_no_warp(reslice, tmp_path):
    source = image(tmp_path / "in.nii", (25, 21, 19), (1.4, 1.5, 1.6), 0, 1)
    reference = image(tmp_path / "ref.nii", (23, 24, 17), (1.3, 1.2, 1.7), 0, 2)
    warp(tmp_path / "warp.mgz", source, reference, VOXELS)
    run = reslice("resample", tmp_path / "warp.mgz", tmp_path / "copy.nii.gz")
    assert "a copy does not say so" in run.stderr, run.stderr
