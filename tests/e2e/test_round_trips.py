"""Random NIfTI files through OME-Zarr and back: the same voxels, in the same places, of the same type, labels still labels.

RESLICE_SEED     where the random numbers begin (default 1)
RESLICE_ROUNDS   how many volumes (default 40; 200 by hand)
"""

import gzip
import os
from dataclasses import dataclass, field

import ngff_zarr
import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
import zarr
from nibabel.eulerangles import euler2mat

import grids
from peers import by_ngff_zarr, by_tensorstore, by_zarr_python, validate

SEED = int(os.environ.get("RESLICE_SEED", "1"))
ROUNDS = int(os.environ.get("RESLICE_ROUNDS", "40"))
DTYPES = ["u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f4", "f8"]
CODES = [(s, q) for s in (0, 1, 2, 4) for q in (0, 1, 3)]
LABEL = 1002


@dataclass
class Volume:
    """What one random file holds; triples in file order (i, j, k)."""

    array: np.ndarray
    affine: np.ndarray
    codes: tuple
    slope: tuple | None
    labels: bool
    suffix: str
    nifti2: bool
    units: tuple
    zarr: list = field(default_factory=list)

    @property
    def real(self):
        factor, intercept = self.slope or (1, 0)
        return self.array if self.slope is None else self.array * factor + intercept


def random_volume(number):
    rng = np.random.default_rng([SEED, number])
    dims = int(rng.choice([2, 3, 3, 3, 4, 4, 5]))
    shape = tuple(int(n) for n in rng.integers(2, 14, dims))
    if dims == 5:
        shape = shape[:3] + (int(rng.integers(1, 4)), int(rng.integers(2, 4)))
    dtype = np.dtype(DTYPES[number % len(DTYPES)])
    labels = dtype.kind in "iu" and rng.random() < 0.3
    if labels:
        array = rng.choice([0, 1, 3, 17, 53], shape).astype(dtype)
    elif dtype.kind == "f":
        array = rng.normal(0, 1000, shape).astype(dtype)
    else:
        info = np.iinfo(dtype)
        array = rng.integers(info.min, info.max, shape, dtype=dtype, endpoint=True)
    slope = None
    if not labels and dtype.itemsize <= 2 and rng.random() < 0.4:
        slope = (float(rng.choice([0.25, 2.0, -1.5])), float(rng.choice([0.0, 10.0, -7.5])))
    turn = rng.normal(size=3) * float(rng.choice([0, 0.01, 0.5]))
    axes = np.eye(3)[:, rng.permutation(3)] * rng.choice([-1, 1], 3)
    affine = np.eye(4)
    affine[:3, :3] = euler2mat(*turn) @ axes * rng.uniform(0.3, 4, 3)
    affine[:3, 3] = rng.uniform(-200, 200, 3)
    if dims == 2:
        affine = np.diag([*rng.uniform(0.3, 4, 2), 1, 1])
        affine[:2, 3] = rng.uniform(-200, 200, 2)
    affine = affine.astype("f4").astype("f8")
    codes = CODES[rng.integers(len(CODES))]
    suffix, nifti2 = str(rng.choice([".nii", ".nii.gz"])), bool(rng.random() < 0.2)
    units = (str(rng.choice(["mm", "mm", "micron", "meter"])), str(rng.choice(["sec", "msec", "unknown"])))
    version = str(rng.choice(["0.4", "0.5"]))
    store = ["--ome", version, "--chunk", str(rng.integers(2, 9))]
    return Volume(array, affine, codes, slope, labels, suffix, nifti2, units, store)


def save(path, volume):
    kind = nib.Nifti2Image if volume.nifti2 else nib.Nifti1Image
    image = kind(volume.array, None, dtype=volume.array.dtype)
    header = image.header
    header.set_xyzt_units(*volume.units)
    header["pixdim"][1:4] = np.linalg.norm(volume.affine[:3, :3], axis=0)
    for n in range(4, volume.array.ndim + 1):
        header["pixdim"][n] = 1.5
    sform, qform = volume.codes
    image.set_sform(volume.affine if sform else None, sform)
    image.set_qform(volume.affine if qform else None, qform)
    if volume.labels:
        header.set_intent(LABEL, name="labels", allow_unknown=True)
    nib.save(image, path)
    if volume.slope:
        state_slope(path, volume)
    return path


def state_slope(path, volume):
    """Writes slope and intercept into the header as they stand; nibabel would scale the samples."""
    opener = gzip.open if str(path).endswith(".gz") else open
    with opener(path, "rb") as f:
        content = bytearray(f.read())
    at, kind = (176, "<f8") if volume.nifti2 else (112, "<f4")
    content[at : at + 2 * np.dtype(kind).itemsize] = np.array(volume.slope, kind).tobytes()
    with opener(path, "wb") as f:
        f.write(content)


def placed(image):
    """The affine of the voxels by the form that counts, in the file's unit."""
    header = image.header
    if header["sform_code"] > 0:
        return header.get_sform()
    return header.get_qform() if header["qform_code"] > 0 else None


def check_nibabel(volume, source, back):
    before, after = nib.load(source), nib.load(back)
    assert after.shape == before.shape
    if volume.slope is None:
        np.testing.assert_array_equal(grids.raw(after), volume.array.reshape(after.shape))
    real = before.get_fdata().reshape(after.shape)
    np.testing.assert_allclose(after.get_fdata(), real, rtol=1e-5, atol=1e-3 if volume.slope else 0)
    want = np.dtype("f4") if volume.slope else volume.array.dtype
    assert after.get_data_dtype().newbyteorder("=") == want
    if placed(before) is not None:
        step = np.linalg.norm(before.affine[:3, :3], axis=0).min()
        np.testing.assert_allclose(placed(after), placed(before), rtol=1e-6, atol=1e-5 * max(step, 1))
    assert volume.array.ndim < 3 or (after.header["sform_code"] > 0) == (volume.codes[0] > 0), "the code of the sform"
    assert (after.header["intent_code"] == LABEL) == volume.labels
    assert after.header.get_xyzt_units()[0] == volume.units[0]
    zooms = before.header.get_zooms()
    np.testing.assert_allclose(after.header.get_zooms()[: len(zooms)], zooms, rtol=1e-6)


def by_itk(path):
    try:
        return sitk.ReadImage(str(path))
    except RuntimeError:
        return None


def check_itk(source, back):
    """What ITK reads before, it reads after, in the same place; a quaternion that is made anew differs in its last bits."""
    before, after = by_itk(source), by_itk(back)
    if before is None:
        return
    assert after is not None, "ITK reads the source and not what came back"
    if before.GetDimension() == 2:
        after = after[:, :, 0] if after.GetDimension() == 3 else after
    assert after.GetSize() == before.GetSize()
    scale = max(before.GetSpacing())
    np.testing.assert_allclose(after.GetSpacing(), before.GetSpacing(), rtol=1e-5)
    np.testing.assert_allclose(after.GetOrigin(), before.GetOrigin(), atol=1e-4 * max(scale, 1), rtol=1e-5)
    np.testing.assert_allclose(after.GetDirection(), before.GetDirection(), atol=3e-4)


def check_store(volume, store):
    validate(store, volume.zarr[1])
    levels = [reader(store)[0] for reader in (by_zarr_python, by_tensorstore, by_ngff_zarr)]
    for level in levels:
        np.testing.assert_allclose(level.voxels, by_names(volume.real, level.axes), rtol=1e-5, atol=1e-3 if volume.slope else 0)
        space = [n for n, axis in enumerate(level.axes) if axis in "zyx"]
        norms = np.linalg.norm(volume.affine[:3, :3], axis=0)[: len(space)][::-1]
        np.testing.assert_allclose(np.abs(np.take(level.scale, space)), norms, rtol=1e-5)
    attributes = labels_of(store)
    assert attributes == volume.labels, "image-label"


def by_names(array, names):
    """An array of the file (i, j, k, time, fifth) in the order of the axes of a store."""
    of_file = ["x", "y", "z", "t", "fifth"][: array.ndim]
    names = ["fifth" if name not in "tzyx" else name for name in names]
    kept = [of_file.index(name) for name in names if name in of_file]
    assert sorted(kept) == list(range(array.ndim)), f"axes {names} for a file of {array.shape}"
    array = array.transpose(kept)
    return array[np.newaxis] if len(names) > array.ndim else array


def labels_of(store):
    attributes = dict(zarr.open_group(store, mode="r").attrs)
    return "image-label" in attributes.get("ome", attributes)


@pytest.mark.parametrize("number", range(ROUNDS))
def test_a_nifti_comes_back_from_ome_zarr_as_it_was(resample, tmp_path, number):
    volume = random_volume(number)
    print(f"seed {SEED} volume {number}: {volume.array.shape} {volume.array.dtype} codes {volume.codes} slope {volume.slope}")
    source = save(tmp_path / f"in{volume.suffix}", volume)
    store, back = tmp_path / "store.ome.zarr", tmp_path / f"back{volume.suffix}"
    resample(source, store, *volume.zarr)
    check_store(volume, store)
    resample(store, back)
    check_nibabel(volume, source, back)
    check_itk(source, back)


@pytest.mark.parametrize("number", range(ROUNDS // 4))
def test_a_copy_is_a_copy_in_every_reader(resample, tmp_path, number):
    """NIfTI to NIfTI: every byte of the samples, and the place by every form."""
    volume = random_volume(1000 + number)
    source, copy = save(tmp_path / f"in{volume.suffix}", volume), tmp_path / f"copy{volume.suffix}"
    resample(source, copy)
    before, after = nib.load(source), nib.load(copy)
    np.testing.assert_array_equal(grids.raw(after), grids.raw(before))
    for name in ("sform_code", "qform_code", "srow_x", "srow_y", "srow_z", "quatern_b", "quatern_c", "quatern_d"):
        np.testing.assert_array_equal(after.header[name], before.header[name], err_msg=name)
    check_itk(source, copy)


@pytest.mark.parametrize("version", ["0.4", "0.5"])
@pytest.mark.parametrize("codes", ["RAS", "LPS", "LAS", "PIR", "SRA"])
def test_what_ngff_zarr_writes_of_a_scan_keeps_its_place(resample, tmp_path, codes, version):
    """ngff-zarr states how axes lie in the body; the NIfTI says the same."""
    rng = np.random.default_rng(len(codes) + int(version[-1]))
    array = rng.integers(0, 3000, (7, 9, 11)).astype(np.int16)
    flips = dict(zip("RLAPSI", ["left-to-right", "right-to-left", "posterior-to-anterior", "anterior-to-posterior", "inferior-to-superior", "superior-to-inferior"]))
    ngff = ngff_zarr.to_ngff_image(
        array,
        dims=("z", "y", "x"),
        scale={"x": 1.5, "y": 0.75, "z": 2.0},
        translation={"x": 12.0, "y": -30.5, "z": 7.25},
        axes_units={"x": "millimeter", "y": "millimeter", "z": "millimeter"},
    )
    values = {axis: ngff_zarr.AnatomicalOrientation(value=flips[code]) for axis, code in zip("xyz", codes)}
    ngff.axes_orientations = values
    store = tmp_path / "scan.ome.zarr"
    ngff_zarr.to_ngff_zarr(str(store), ngff_zarr.to_multiscales(ngff, scale_factors=[]), version=version)
    resample(store, tmp_path / "back.nii")
    back = sitk.ReadImage(str(tmp_path / "back.nii"))
    assert "".join(nib.aff2axcodes(nib.load(tmp_path / "back.nii").affine)) == codes
    np.testing.assert_array_equal(sitk.GetArrayFromImage(back), array)
    np.testing.assert_allclose(back.GetSpacing(), (1.5, 0.75, 2.0), rtol=1e-6)
