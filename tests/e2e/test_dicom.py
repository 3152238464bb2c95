"""DICOM series made by pydicom, and pydicom's own files: the voxels, places and values that SimpleITK and pydicom read, or a refusal by name."""

import gzip
from pathlib import Path

import gdcm
import imagecodecs
import nibabel as nib
import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian, RLELossless

from command import refused
from test_transform_pairs import FLIP

SYNTAXES = [ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian, RLELossless]


def turn(rng):
    """A random rotation, right-handed."""
    q, r = np.linalg.qr(rng.normal(size=(3, 3)))
    q = q * np.sign(np.diag(r))
    return q if np.linalg.det(q) > 0 else q * [1, 1, -1]


def write(folder, array, rng, syntax=ExplicitVRLittleEndian, slope=lambda k: (1, -1024), tilt=0.0, stored=12, digits=None, more=lambda k: {}, place=lambda k: k):
    """A series of random direction, its files in random order; index to LPS. `digits` are those of places, `more` and `place` what slice k states."""
    rotation = turn(rng)
    spacing = rng.uniform(0.4, 3, 3)
    origin = rng.uniform(-100, 100, 3)
    series = pydicom.uid.generate_uid()
    names = rng.permutation(len(array))
    folder.mkdir()
    affine = np.eye(4)
    affine[:3, :3] = rotation * spacing
    affine[:3, 2] += tilt * rotation[:, 1]
    affine[:3, 3] = origin
    for k, plane in enumerate(array):
        meta = FileMetaDataset()
        meta.MediaStorageSOPClassUID = CTImageStorage
        meta.MediaStorageSOPInstanceUID = pydicom.uid.generate_uid()
        meta.TransferSyntaxUID = syntax
        ds = Dataset()
        ds.file_meta = meta
        ds.SOPClassUID, ds.SOPInstanceUID = CTImageStorage, meta.MediaStorageSOPInstanceUID
        ds.SeriesInstanceUID, ds.StudyInstanceUID, ds.Modality = series, series, "CT"
        ds.Rows, ds.Columns = plane.shape
        ds.PixelSpacing = [f"{spacing[1]:.10g}", f"{spacing[0]:.10g}"]
        ds.ImageOrientationPatient = [f"{x:.12g}" for x in rotation[:, :2].T.ravel()]
        at = affine[:3, :3] @ [0, 0, place(k)] + origin
        ds.ImagePositionPatient = [f"{x:.12g}" if digits is None else f"{x:.{digits}f}" for x in at]
        for name, value in more(k).items():
            setattr(ds, name, value)
        ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
        ds.BitsAllocated, ds.BitsStored, ds.HighBit = 16, stored, stored - 1
        ds.PixelRepresentation = int(plane.dtype.kind == "i")
        ds.RescaleSlope, ds.RescaleIntercept = slope(k)
        big = syntax == ExplicitVRBigEndian
        ds.PixelData = plane.astype(plane.dtype.newbyteorder(">" if big else "<")).tobytes()
        ds["PixelData"].VR = "OW"
        if syntax == RLELossless:
            meta.TransferSyntaxUID = ExplicitVRLittleEndian
            ds.compress(RLELossless, generate_instance_uid=False)
        pydicom.dcmwrite(folder / f"{names[k]}", ds, enforce_file_format=True)
    return affine


def real(path):
    return nib.load(path).get_fdata().T


def sitk_read(folder):
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder)))
    return reader.Execute()


@pytest.mark.parametrize("syntax", SYNTAXES, ids=lambda uid: uid.name)
@pytest.mark.parametrize("dtype", ["u2", "i2"])
def test_series(resample, tmp_path, syntax, dtype):
    rng = np.random.default_rng([SYNTAXES.index(syntax), dtype == "i2"])
    low = -2048 if dtype == "i2" else 0
    array = rng.integers(low, low + 4096, (7, 6, 5)).astype(dtype)
    affine = write(tmp_path / "series", array, rng, syntax)
    resample(tmp_path / "series", tmp_path / "out.nii", "--scale", "1")
    out = nib.load(tmp_path / "out.nii")
    assert out.get_data_dtype() == np.dtype(dtype)
    assert (real(tmp_path / "out.nii") == array.astype(float) - 1024).all()
    assert np.allclose(out.affine, FLIP @ affine, atol=1e-4)
    if syntax == RLELossless:
        return  # GDCM refuses what pydicom writes.
    image = sitk_read(tmp_path / "series")
    assert (sitk.GetArrayFromImage(image) == real(tmp_path / "out.nii")).all()
    theirs = np.array(image.GetDirection()).reshape(3, 3) * image.GetSpacing()
    assert np.allclose((FLIP @ out.affine)[:3, :3], theirs, atol=1e-4)
    assert np.allclose((FLIP @ out.affine)[:3, 3], image.GetOrigin(), atol=1e-4)


def transcode(folder, out, syntax):
    """The same series in another transfer syntax, by GDCM."""
    out.mkdir()
    for path in folder.iterdir():
        reader, change, writer = gdcm.ImageReader(), gdcm.ImageChangeTransferSyntax(), gdcm.ImageWriter()
        reader.SetFileName(str(path))
        assert reader.Read()
        change.SetTransferSyntax(gdcm.TransferSyntax(syntax))
        change.SetInput(reader.GetImage())
        assert change.Change()
        writer.SetFileName(str(out / path.name))
        writer.SetFile(reader.GetFile())
        writer.SetImage(change.GetOutput())
        assert writer.Write()


@pytest.mark.parametrize("stored", [8, 12, 16])
@pytest.mark.parametrize("dtype", ["u2", "i2"])
@pytest.mark.parametrize("name", ["JPEGLosslessProcess14", "JPEGLosslessProcess14_1", "JPEGLSLossless"])
def test_coded_series(resample, tmp_path, name, dtype, stored):
    """What GDCM codes is what was coded, and what pydicom decodes."""
    rng = np.random.default_rng([stored, dtype == "i2"])
    low = -(1 << stored - 1) if dtype == "i2" else 0
    smooth = np.add.outer(np.add.outer(np.arange(5), 3 * np.arange(67)), np.arange(59) // 4)
    array = (low + (smooth * 5 + rng.integers(0, 9, (5, 67, 59))) % (1 << stored)).astype(dtype)
    write(tmp_path / "series", array, rng, stored=stored, slope=lambda k: (1, 0))
    transcode(tmp_path / "series", tmp_path / "coded", getattr(gdcm.TransferSyntax, name))
    for path in (tmp_path / "coded").iterdir():
        assert "PixelData" in pydicom.dcmread(path)
    resample(tmp_path / "coded", tmp_path / "out.nii", "--scale", "1")
    assert (real(tmp_path / "out.nii") == array).all()


def encapsulated(folder, array, syntax, encode, **elements):
    """A series whose frames are coded by `encode`."""
    rng = np.random.default_rng(11)
    bits = elements.get("BitsStored", 8 * array.dtype.itemsize)
    write(folder, array, rng, stored=bits, slope=lambda k: (1, 0))
    for path in folder.iterdir():
        ds = pydicom.dcmread(path)
        # A byte may follow, to make them even.
        k = next(k for k, plane in enumerate(array) if ds.PixelData.startswith(plane.tobytes()))
        ds.file_meta.TransferSyntaxUID = f"1.2.840.10008.1.2.4.{syntax}"
        ds.BitsAllocated = 8 * array.dtype.itemsize
        for name, value in elements.items():
            setattr(ds, name, value)
        ds.PixelData = pydicom.encaps.encapsulate([encode(array[k])])
        ds["PixelData"].VR, ds["PixelData"].is_undefined_length = "OB", True
        pydicom.dcmwrite(path, ds)


def smooth(bits, signed):
    rng = np.random.default_rng([bits, signed])
    waves = np.add.outer(np.add.outer(np.arange(3), 3 * np.arange(67)), np.arange(59) // 4)
    most = (1 << bits) - 1
    array = (most * (0.5 + 0.4 * np.sin(waves / 37)) + rng.integers(0, max(2, most >> 6), waves.shape)).astype("i8")
    array = np.clip(array, 0, most) - (1 << bits - 1 if signed else 0)
    return array.astype(("i" if signed else "u") + ("1" if bits == 8 else "2"))


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("bits", [8, 12, 16])
@pytest.mark.parametrize("syntax", [90, 201])
def test_jpeg_2000_lossless(resample, tmp_path, syntax, bits, signed):
    """What OpenJPEG and OpenJPH code is what was coded."""
    array = smooth(bits, signed)
    if syntax == 90:
        encode = lambda plane: imagecodecs.jpeg2k_encode(plane, codecformat="j2k", reversible=True, level=0, bitspersample=bits)
    else:
        # OpenJPH codes the whole type.
        encode = lambda plane: imagecodecs.htj2k_encode(plane, reversible=True)
    encapsulated(tmp_path / "in", array, syntax, encode, BitsStored=bits, HighBit=bits - 1)
    run = resample(tmp_path / "in", tmp_path / "out.nii", "--scale", "1")
    assert (real(tmp_path / "out.nii") == array).all()
    assert "lossy" not in run.stderr


@pytest.mark.parametrize("syntax", [91, 203])
@pytest.mark.parametrize("bits", [8, 12, 16])
def test_jpeg_2000_lossy(resample, tmp_path, syntax, bits):
    """As OpenJPEG decodes it, to one step; HTJ2K near what was coded, no more than twice as far as OpenJPEG comes."""
    array = smooth(bits, False)
    codes = {
        91: lambda plane: imagecodecs.jpeg2k_encode(plane, codecformat="j2k", reversible=False, level=50, bitspersample=bits),
        203: lambda plane: imagecodecs.htj2k_encode(plane, reversible=False, level=0.0005),
    }
    encapsulated(tmp_path / "in", array, syntax, codes[syntax], BitsStored=bits, HighBit=bits - 1)
    run = resample(tmp_path / "in", tmp_path / "out.nii", "--scale", "1")
    theirs = np.stack([imagecodecs.jpeg2k_decode(codes[syntax](plane)) for plane in array]).astype(float)
    error = lambda found: np.sqrt(((found - array) ** 2).mean())
    if syntax == 91:
        assert np.abs(real(tmp_path / "out.nii") - theirs).max() <= 1
    assert error(real(tmp_path / "out.nii")) <= 2 * error(theirs) + 0.3
    assert "decoded from lossy" in run.stderr


@pytest.mark.parametrize("quality", [60, 98])
@pytest.mark.parametrize("bits", [8, 12])
def test_jpeg_lossy(resample, tmp_path, bits, quality):
    """As libjpeg-turbo decodes it, to one step."""
    array = smooth(bits, False)
    encode = lambda plane: imagecodecs.jpeg_encode(plane, level=quality, bitspersample=bits)
    encapsulated(tmp_path / "in", array, 50 if bits == 8 else 51, encode, BitsStored=bits, HighBit=bits - 1)
    run = resample(tmp_path / "in", tmp_path / "out.nii", "--scale", "1")
    theirs = np.stack([imagecodecs.jpeg_decode(encode(plane), bitspersample=bits) for plane in array]).astype(int)
    assert np.abs(real(tmp_path / "out.nii") - theirs).max() <= 1
    assert "decoded from lossy JPEG" in run.stderr


def test_slopes_of_their_own(resample, tmp_path):
    rng = np.random.default_rng(5)
    array = rng.integers(0, 4096, (7, 6, 5)).astype("u2")
    write(tmp_path / "pet", array, rng, slope=lambda k: (f"{0.1 + 0.37 * k:.6g}", 0))
    resample(tmp_path / "pet", tmp_path / "out.nii", "--scale", "1")
    expected = array * np.array([float(f"{0.1 + 0.37 * k:.6g}") for k in range(7)])[:, None, None]
    assert np.allclose(real(tmp_path / "out.nii"), expected, rtol=1e-6)
    assert np.allclose(sitk.GetArrayFromImage(sitk_read(tmp_path / "pet")), real(tmp_path / "out.nii"), rtol=1e-6)


def test_tilt(resample, tmp_path):
    rng = np.random.default_rng(6)
    array = rng.integers(0, 4096, (7, 6, 5)).astype("u2")
    affine = write(tmp_path / "tilted", array, rng, tilt=0.4)
    resample(tmp_path / "tilted", tmp_path / "out.nii", "--scale", "1")
    out = nib.load(tmp_path / "out.nii")
    assert np.allclose(out.affine, FLIP @ affine, atol=1e-4)
    assert (real(tmp_path / "out.nii") == array.astype(float) - 1024).all()


def own_files():
    folder = Path(pydicom.__file__).parent / "data" / "test_files"
    return sorted(path for path in folder.rglob("*") if path.is_file() and path.suffix not in {".py", ".json", ".zip"})


@pytest.mark.parametrize("path", own_files(), ids=lambda path: path.name)
def test_files_of_pydicom(reslice, tmp_path, path):
    """Each alone in a folder: read as pydicom reads it, or refused by name."""
    try:
        ds = pydicom.dcmread(path, force=True)
        theirs = ds.pixel_array if "PixelData" in ds else None
    except Exception:
        ds, theirs = None, None
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / path.name).write_bytes(path.read_bytes())
    out = tmp_path / "out.nii"
    answer = reslice("resample", tmp_path / "in" / path.name, out, "--scale", "1", "--raw", expect=(0, 1, 2), timeout=60)
    if answer.code:
        assert "error: " in answer.stderr, answer.stderr
        return
    if ds is None:
        return
    assert theirs is not None, "read, and pydicom reads no image"
    raw = np.asarray(nib.load(out).dataobj)
    if raw.dtype.names:
        raw = np.stack([raw[c] for c in raw.dtype.names], -1)
        ours = raw[:, :, 0].transpose(1, 0, 2)
    else:
        ours = raw.reshape(raw.shape[:3]).T
        ours = ours[0] if theirs.ndim == 2 else ours
    assert ours.dtype == theirs.dtype.newbyteorder("=")
    assert ours.shape == theirs.shape
    if "decoded from lossy" not in answer.stderr:
        assert (ours == theirs).all()
        return
    # Colours that voxels share are spread in other ways.
    assert np.abs(ours.astype(int) - theirs).mean() < 3
    assert ds.SamplesPerPixel == 3 or np.abs(ours.astype(int) - theirs).max() <= 1


def planes(count):
    """Slices that tell their numbers."""
    return np.arange(count, dtype="u2")[:, None, None] + np.zeros((9, 11), "u2")


def test_rounded_places_are_no_tilt(resample, tmp_path):
    """SimpleITK refuses NIfTI of a sheared grid; places in files often have two decimals."""
    for seed in range(6):
        rng = np.random.default_rng(seed)
        write(tmp_path / f"{seed}", planes(4), rng, digits=2)
        resample(tmp_path / f"{seed}", tmp_path / "o.nii", "--scale", "1", "--overwrite")
        ours = sitk.ReadImage(str(tmp_path / "o.nii"))
        theirs = sitk_read(tmp_path / f"{seed}")
        assert np.allclose(ours.GetDirection(), theirs.GetDirection(), atol=1e-5)
        assert np.allclose(ours.GetSpacing(), theirs.GetSpacing(), rtol=5e-3)


def test_mosaics_are_refused(tmp_path):
    write(tmp_path / "m", planes(3), np.random.default_rng(1), more=lambda k: {"ImageType": ["ORIGINAL", "PRIMARY", "M", "ND", "MOSAIC"]})
    refused("info", tmp_path / "m", says=["mosaics", "dcm2niix"])


def test_a_series_that_crosses_midnight(resample, tmp_path):
    """Four volumes of two slices, five seconds apart; nothing else tells them apart."""
    times = [("20240101", "235950"), ("20240101", "235955"), ("20240102", "000000"), ("20240102", "000005")]

    def more(k):
        day, time = times[k // 2]
        return {"AcquisitionDate": day, "AcquisitionTime": time, "ContentDate": day, "ContentTime": time}

    write(tmp_path / "s", planes(8), np.random.default_rng(2), slope=lambda k: (1, 0), more=more, place=lambda k: k % 2)
    resample(tmp_path / "s", tmp_path / "o.nii", "--scale", "1")
    image = nib.load(tmp_path / "o.nii")
    volumes = np.asarray(image.dataobj)
    assert sorted(volumes[0, 0, :, 0]) == [0, 1] and (np.diff(volumes[0, 0, 0]) == 2).all()
    assert image.header.get_zooms()[3] == 5


def test_phases_of_a_heart(resample, tmp_path):
    """Trigger times differ a little from place to place."""
    more = lambda k: {"TriggerTime": 100 * (k // 4) + k % 4, "AcquisitionTime": f"1200{k % 4:02}"}  # noqa: E731
    write(tmp_path / "s", planes(12), np.random.default_rng(3), slope=lambda k: (1, 0), more=more, place=lambda k: k % 4)
    resample(tmp_path / "s", tmp_path / "o.nii", "--scale", "1")
    volumes = np.asarray(nib.load(tmp_path / "o.nii").dataobj)
    assert volumes.shape[2:] == (4, 3) and (np.diff(volumes[0, 0, 0]) == 4).all()


def test_gzip_of_a_slice(tmp_path):
    write(tmp_path / "s", planes(1), np.random.default_rng(4))
    one = next((tmp_path / "s").iterdir())
    (tmp_path / "one.dcm.gz").write_bytes(gzip.compress(one.read_bytes()))
    refused("info", tmp_path / "one.dcm.gz", says=["in a gzip stream", "gunzip "])
