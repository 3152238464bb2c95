"""Where OME-Zarr says that a volume is: orientation of the axes, the NIfTI header beside the levels, coordinate systems.

A left-right swap is the worst of faults: every way in and out is held against nibabel, SimpleITK, nifti-zarr and ngff-zarr.
"""

import json
import warnings

import ngff_zarr
import nibabel as nib
import niizarr
import numpy as np
import pytest
import SimpleITK as sitk
import zarr
from nibabel.eulerangles import euler2mat

from command import reslice

CODES = ["RAS", "LAS", "LPS", "PIR", "ASL", "SRA", "IPL"]
VERSIONS = ["0.4", "0.5", "0.6"]
AHEAD = {"R": (0, 1), "L": (0, -1), "A": (1, 1), "P": (1, -1), "S": (2, 1), "I": (2, -1)}
WAYS = {
    "R": "left-to-right",
    "L": "right-to-left",
    "A": "posterior-to-anterior",
    "P": "anterior-to-posterior",
    "S": "inferior-to-superior",
    "I": "superior-to-inferior",
}
SHAPE = (11, 9, 7)


def affine_of(codes, turn):
    """Steps that f32 does not hold, along these axes, turned."""
    affine = np.eye(4)
    for column, code in enumerate(codes):
        row, sign = AHEAD[code]
        affine[:3, column] = 0
        affine[row, column] = sign * (0.7, 1.1, 2.3)[column]
    affine[:3, :3] = euler2mat(*(turn * np.array([0.2, -0.15, 0.1]))) @ affine[:3, :3]
    affine[:3, 3] = (-31.7, 12.3, 40.1)
    return affine


def scan(path, affine, shape=SHAPE, slope=None, kind=nib.Nifti1Image):
    array = np.random.default_rng(5).integers(-500, 3000, shape).astype(np.int16)
    image = kind(array, affine)
    image.set_sform(affine, 1)
    image.set_qform(affine, 2)
    image.header.set_xyzt_units("mm", "sec")
    image.header["descrip"] = b"a made-up scan"
    if slope:
        image.header.set_slope_inter(*slope)
    nib.save(image, path)
    return path


def check_places(path, affine, rtol=0, atol=1e-5):
    """The world places of all corners, by nibabel and by SimpleITK."""
    image = nib.load(path)
    itk = sitk.ReadImage(str(path)) if image.ndim == 3 and image.header["sizeof_hdr"] == 348 else None
    for corner in np.ndindex(2, 2, 2):
        index = [int(n) * (size - 1) for n, size in zip(corner, image.shape)]
        place = affine[:3, :3] @ index + affine[:3, 3]
        np.testing.assert_allclose(image.affine[:3, :3] @ index + image.affine[:3, 3], place, rtol=rtol, atol=atol)
        if itk is not None:
            lps = np.array(itk.TransformIndexToPhysicalPoint(index))
            np.testing.assert_allclose(lps * [-1, -1, 1], place, rtol=rtol, atol=atol)


def ome_of(store):
    document = store / "zarr.json"
    if document.exists():
        return json.loads(document.read_text())["attributes"]["ome"]
    return json.loads((store / ".zattrs").read_text())


def axes_of(ome):
    image = ome["multiscales"][0]
    return image["axes"] if "axes" in image else image["coordinateSystems"][0]["axes"]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("turn", [0, 1, 2.5], ids=["straight", "oblique", "very-oblique"])
@pytest.mark.parametrize("codes", CODES)
def test_there_and_back(resample, tmp_path, codes, turn, version):
    affine = affine_of(codes, turn)
    source, store = scan(tmp_path / "in.nii", affine), tmp_path / "store.ome.zarr"
    resample(source, store, "--ome", version, "--pyramid=1")
    resample(store, tmp_path / "back.nii")
    before, after = nib.load(source), nib.load(tmp_path / "back.nii")
    check_places(tmp_path / "back.nii", affine)
    np.testing.assert_array_equal(np.asarray(after.dataobj), np.asarray(before.dataobj))
    for name in before.header:
        np.testing.assert_array_equal(after.header[name], before.header[name], err_msg=name)
    if turn <= 1:
        stated = [axis["orientation"] for axis in axes_of(ome_of(store))[::-1]]
        assert stated == [{"type": "anatomical", "value": WAYS[code]} for code in codes]
    # The header is written; our attribute is no more.
    assert (store / "nifti").is_dir() and "reslice" not in (store / "zarr.json" if version != "0.4" else store / ".zattrs").read_text()
    info = json.loads(reslice("info", store, "--json").stdout)
    assert info["zarr"]["nifti_header"] in (1, 2) and info["warnings"] == []
    assert reslice("verify", store).stdout


@pytest.mark.parametrize("version", ["0.4", "0.5"])
@pytest.mark.parametrize("turn", [0, 1], ids=["straight", "oblique"])
@pytest.mark.parametrize("codes", ["LAS", "LPS", "PIR", "ASL"])
@pytest.mark.parametrize("level", [0, 1])
def test_nifti_zarr_reads_ours(resample, tmp_path, codes, turn, version, level):
    affine = affine_of(codes, turn)
    source, store = scan(tmp_path / "in.nii", affine), tmp_path / "store.nii.zarr"
    resample(source, store, "--ome", version, "--pyramid=1")
    theirs = niizarr.zarr2nii(str(store), level=level)
    resample(store, tmp_path / "back.nii", "--level", level)
    ours = nib.load(tmp_path / "back.nii")
    np.testing.assert_allclose(theirs.header.get_best_affine(), ours.affine, rtol=0, atol=1e-5)
    np.testing.assert_array_equal(np.asarray(theirs.dataobj), np.asarray(ours.dataobj))
    if level == 0:
        np.testing.assert_allclose(theirs.header.get_best_affine(), affine, rtol=0, atol=1e-5)
        np.testing.assert_array_equal(np.asarray(theirs.dataobj), np.asarray(nib.load(source).dataobj))


@pytest.mark.parametrize("shape", [(7, 6, 5, 4), (7, 6, 5, 4, 3), (7, 6, 5, 1, 3)])
def test_nifti_zarr_reads_our_volumes_in_their_order(resample, tmp_path, shape):
    affine = affine_of("LPS", 1)
    source, store = scan(tmp_path / "in.nii", affine, shape), tmp_path / "store.nii.zarr"
    resample(source, store)
    theirs = niizarr.zarr2nii(str(store))
    np.testing.assert_array_equal(np.asarray(theirs.dataobj), np.asarray(nib.load(source).dataobj))
    resample(store, tmp_path / "back.nii")
    np.testing.assert_array_equal(np.asarray(nib.load(tmp_path / "back.nii").dataobj), np.asarray(nib.load(source).dataobj))


@pytest.mark.parametrize("shape", [SHAPE, (7, 6, 5, 4), (7, 6, 5, 4, 3)])
@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("codes", ["LAS", "LPS", "PIR"])
def test_we_read_what_nifti_zarr_writes(resample, tmp_path, codes, version, shape):
    affine = affine_of(codes, 1)
    kind = nib.Nifti2Image if codes == "PIR" else nib.Nifti1Image
    source = scan(tmp_path / "in.nii", affine, shape, slope=(0.5, -10), kind=kind)
    store = tmp_path / "theirs.nii.zarr"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        niizarr.nii2zarr(str(source), str(store), zarr_version=version, nb_levels=2)
    before = nib.load(source)
    resample(store, tmp_path / "back.nii")
    check_places(tmp_path / "back.nii", affine)
    np.testing.assert_allclose(nib.load(tmp_path / "back.nii").get_fdata(), before.get_fdata(), rtol=1e-6)
    assert bytes(nib.load(tmp_path / "back.nii").header["descrip"]).startswith(b"a made-up scan")
    resample(store, tmp_path / "level.nii", "--level", "1")
    theirs = niizarr.zarr2nii(str(store), level=1)
    np.testing.assert_allclose(nib.load(tmp_path / "level.nii").affine, theirs.header.get_best_affine(), rtol=0, atol=1e-5)


def test_resampled_volumes_keep_their_place_exactly(resample, tmp_path):
    """A grid that 32-bit numbers do not hold has a header of 64 bits."""
    affine = affine_of("LAS", 1)
    source, store = scan(tmp_path / "in.nii", affine), tmp_path / "fine.ome.zarr"
    resample(source, store, "--spacing", "0.37")
    resample(source, tmp_path / "fine.nii", "--spacing", "0.37")
    direct = nib.load(tmp_path / "fine.nii")
    theirs = niizarr.zarr2nii(str(store))
    assert isinstance(theirs, nib.Nifti2Image)
    np.testing.assert_allclose(theirs.header.get_best_affine(), direct.affine, rtol=0, atol=1e-5)
    before = json.loads(reslice("info", store, "--json").stdout)["grid"]["index_to_world"]
    resample(store, tmp_path / "copy.ome.zarr")
    assert json.loads(reslice("info", tmp_path / "copy.ome.zarr", "--json").stdout)["grid"]["index_to_world"] == before


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("codes", CODES)
def test_ngff_zarr_reads_our_orientation(resample, tmp_path, codes, version):
    affine = affine_of(codes, 0)
    source, store = scan(tmp_path / "in.nii", affine), tmp_path / "store.ome.zarr"
    resample(source, store, "--ome", version)
    image = ngff_zarr.from_ngff_zarr(str(store), validate=version != "0.4").images[0]
    assert [image.axes_orientations[axis].value for axis in "xyz"] == [WAYS[code] for code in codes]
    # Coordinates grow the way that the orientation says (RFC-4), from the place of the first voxel.
    along = [affine[AHEAD[code][0], 3] * AHEAD[code][1] for code in codes]
    np.testing.assert_allclose([image.translation[axis] for axis in "xyz"], along, atol=1e-5)
    itk = sitk.ReadImage(str(source))
    theirs = ngff_zarr.ngff_image_to_itk_image(image, wasm=False)
    direction = np.array(theirs.GetDirection()).reshape(3, 3)
    np.testing.assert_allclose(direction, np.reshape(itk.GetDirection(), (3, 3)), atol=1e-5)


@pytest.mark.parametrize("turn", [0, 1, 2.5], ids=["straight", "oblique", "very-oblique"])
@pytest.mark.parametrize("shape", [SHAPE, (7, 6, 5, 4), (7, 6, 5, 4, 3)])
@pytest.mark.parametrize("codes", ["LPS", "PIR"])
def test_coordinate_systems(resample, tmp_path, codes, shape, turn):
    """0.6: an affine says what the axes cannot, and stands for itself where the header is gone."""
    affine = affine_of(codes, turn)
    source, store = scan(tmp_path / "in.nii", affine, shape), tmp_path / "store.ome.zarr"
    resample(source, store, "--ome", "0.6", "--pyramid=1")
    ome = ome_of(store)
    ngff_zarr.validate({"ome": ome}, version="0.6")
    image = ome["multiscales"][0]
    assert ome["version"] == "0.6" and [s["name"] for s in image["coordinateSystems"]] == ["physical"] + ["world"] * (turn > 0)
    # By hand: index to the image's own system, and on to the world.
    for dataset in image["datasets"]:
        (sequence,) = dataset["coordinateTransformations"]
        assert sequence["input"] == {"path": dataset["path"]} and sequence["output"] == {"name": "physical"}
        scale, translation = (np.array(step[step["type"]]) for step in sequence["transformations"])
        index = np.arange(1.0, len(shape) + 1)
        place = scale * index + translation
        for step in image.get("coordinateTransformations", []):
            assert (step["input"], step["output"]) == ({"name": "physical"}, {"name": "world"})
            matrix = np.array(step["affine"])
            world = (matrix[:, :-1] @ place + matrix[:, -1])[-3:][::-1]
            ratio = scale[-3:][::-1] / np.linalg.norm(affine[:3, :3], axis=0)
            finest = index[-3:][::-1] * ratio + (ratio - 1) / 2
            np.testing.assert_allclose(world, affine[:3, :3] @ finest + affine[:3, 3], atol=1e-4)
    read = ngff_zarr.from_ngff_zarr(str(store)).images[0]
    np.testing.assert_array_equal(read.data.compute(), zarr.open_group(store, mode="r")["0"][...])
    # Without the header: the systems alone.
    for path in sorted((store / "nifti").rglob("*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()
    resample(store, tmp_path / "back.nii")
    check_places(tmp_path / "back.nii", affine)
    resample(store, tmp_path / "level.nii", "--level", "1")
    fine, level = nib.load(tmp_path / "back.nii"), nib.load(tmp_path / "level.nii")
    ratio = np.linalg.norm(level.affine[:3, :3], axis=0) / np.linalg.norm(fine.affine[:3, :3], axis=0)
    np.testing.assert_allclose(level.affine[:3, 3], (fine.affine @ [*(ratio - 1) / 2, 1])[:3], atol=1e-4)


def test_headers_of_other_images_are_told(resample, tmp_path):
    """A store that another program has cropped: its header is stale, and what the axes say counts."""
    source, store = scan(tmp_path / "in.nii", affine_of("LPS", 0)), tmp_path / "store.ome.zarr"
    resample(source, store)
    other = tmp_path / "other.ome.zarr"
    resample(source, other, "--region", "1:9,0:9,0:7")
    (store / "nifti" / "c" / "0").write_bytes((other / "nifti" / "c" / "0").read_bytes())
    (store / "nifti" / "zarr.json").write_bytes((other / "nifti" / "zarr.json").read_bytes())
    run = resample(store, tmp_path / "back.nii")
    assert "this NIfTI header is not the image's" in run.stderr and "8x9x7" in run.stderr
    check_places(tmp_path / "back.nii", affine_of("LPS", 0))
