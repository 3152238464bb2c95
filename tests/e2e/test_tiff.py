"""TIFF as tifffile and SimpleITK write it: the same voxels, steps and axes as they read."""

import json
import struct

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
import tifffile
import zarr

from command import refused

TYPES = ["u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f4", "f8"]
COMPRESSIONS = [None, "lzw", "deflate", "zstd", "packbits"]


def samples_of(rng, shape, dtype):
    """Smooth, so that predictors have something to do, with a few wild ones."""
    ramp = np.add.outer(np.arange(shape[-2]), np.arange(shape[-1])) * 3
    array = (np.broadcast_to(ramp, shape) + rng.integers(0, 9, shape)).astype(dtype)
    if dtype.startswith("f"):
        return array + rng.normal(size=shape).astype(dtype)
    return array


def copy_of(resample, tmp_path, path, *more):
    """What a copy as NIfTI has, axes t.., z, y, x."""
    out = tmp_path / "copy.nii"
    resample(path, out, "--scale", "1", "--overwrite", *more)
    image = nib.load(out)
    return image, np.asarray(image.dataobj).T


def described(reslice, path):
    answer = reslice("info", path, "--json")
    return json.loads(answer.stdout)


@pytest.mark.parametrize("byteorder", ["<", ">"])
@pytest.mark.parametrize("compression", COMPRESSIONS)
@pytest.mark.parametrize("dtype", TYPES)
def test_scalars(resample, tmp_path, dtype, compression, byteorder):
    rng = np.random.default_rng([TYPES.index(dtype), COMPRESSIONS.index(compression)])
    array = samples_of(rng, (5, 37, 41), dtype)
    ways = [dict(), dict(tile=(16, 32)), dict(rowsperstrip=7), dict(bigtiff=True, tile=(48, 48))]
    if compression in ("lzw", "deflate", "zstd") and dtype not in ("u8", "i8"):
        ways += [dict(predictor=True), dict(predictor=True, tile=(32, 16))]
    for n, way in enumerate(ways):
        path = tmp_path / f"{n}.tif"
        tifffile.imwrite(path, array, compression=compression, byteorder=byteorder, **way)
        image, read = copy_of(resample, tmp_path, path)
        assert image.get_data_dtype() == np.dtype(dtype), way
        assert (read == array).all(), way


@pytest.mark.parametrize("planar", ["contig", "separate"])
@pytest.mark.parametrize("compression", [None, "deflate", "lzw"])
@pytest.mark.parametrize("dtype", ["u1", "u2", "f4"])
def test_colours_and_samples(resample, tmp_path, dtype, compression, planar):
    rng = np.random.default_rng(7)
    array = samples_of(rng, (3, 4, 29, 33), dtype)
    stored = array if planar == "separate" else np.moveaxis(array, 1, -1)
    for n, way in enumerate([dict(), dict(tile=(16, 16)), dict(rowsperstrip=5)]):
        for photometric in ("rgb", "minisblack"):
            path = tmp_path / f"{photometric}-{n}.tif"
            extra = dict(extrasamples=[0] if photometric == "rgb" else [0, 0, 0])
            tifffile.imwrite(path, stored, photometric=photometric, planarconfig=planar, compression=compression, **way, **extra)
            image, read = copy_of(resample, tmp_path, path)
            if dtype == "u1" and photometric == "rgb":
                read = np.stack([read[name] for name in read.dtype.names], 0)
                assert (read == array.swapaxes(0, 1)).all(), way
            else:
                read = read.reshape(4, 3, 29, 33)
                assert (read == array.swapaxes(0, 1)).all(), way


def check_copy(resample, tmp_path, path, array, axes):
    """A copy as OME-Zarr has the samples of `array`, whose axes are `axes`, in the order t, c, z, y, x."""
    out = tmp_path / "copy.zarr"
    resample(path, out, "--scale", "1")
    expected = array.transpose([axes.index(axis) for axis in "TCZYX" if axis in axes])
    assert (zarr.open(out, mode="r")["0"][:].reshape(expected.shape) == expected).all()


def ome_array(axes, dtype="u2"):
    sizes = dict(T=2, C=3, Z=4, Y=19, X=23)
    rng = np.random.default_rng(len(axes))
    return samples_of(rng, tuple(sizes[axis] for axis in axes), dtype)


@pytest.mark.parametrize("axes", ["YX", "ZYX", "CYX", "CZYX", "ZCYX", "TZCYX", "TCZYX", "CTZYX", "ZTCYX", "CZTYX", "ZCTYX"])
@pytest.mark.parametrize("compression", [None, "zlib"])
def test_ome(reslice, resample, tmp_path, axes, compression):
    array = ome_array(axes)
    metadata = dict(
        axes=axes, PhysicalSizeX=0.25, PhysicalSizeY=250, PhysicalSizeYUnit="nm", PhysicalSizeZ=0.0015, PhysicalSizeZUnit="mm",
        TimeIncrement=2.5, TimeIncrementUnit="s",
    )
    path = tmp_path / "a.ome.tif"
    tifffile.imwrite(path, array, ome=True, metadata=metadata, compression=compression)
    info = described(reslice, path)
    assert info["format"].startswith("OME-TIFF")
    assert np.allclose(info["grid"]["spacing"], [0.25, 0.25, 1.5])
    assert info["grid"]["unit"] == "micrometer"
    check_copy(resample, tmp_path, path, array, axes)
    if "T" in axes:
        time = next(axis for axis in info["outer"] if axis["name"] == "t")
        assert (time["step"], time["unit"]) == (2.5, "second")


def test_ome_images(reslice, resample, tmp_path):
    """Several images in one file: listed, and chosen by number or name."""
    path = tmp_path / "many.ome.tif"
    first, second = ome_array("ZYX"), ome_array("CYX")[:, :9, :11]
    with tifffile.TiffWriter(path, ome=True) as writer:
        writer.write(first, metadata=dict(axes="ZYX", Name="one"))
        writer.write(second, metadata=dict(axes="CYX", Name="two"))
    refused("info", path, expect=2, says=["0 one", "1 two"])
    for name, array in (("0", first), ("1", second), ("two", second)):
        _, read = copy_of(resample, tmp_path, f"{path}?image={name}")
        assert (read.reshape(array.shape) == array).all()


@pytest.mark.parametrize("dtype", ["u1", "u2", "f4"])
@pytest.mark.parametrize("axes", ["YX", "ZYX", "TYX", "CYX", "TZYX", "ZCYX", "TZCYX"])
def test_imagej(reslice, resample, tmp_path, axes, dtype):
    array = ome_array(axes, dtype)
    path = tmp_path / "ij.tif"
    metadata = dict(axes=axes, spacing=1.5, unit="um", finterval=0.5)
    tifffile.imwrite(path, array, imagej=True, resolution=(4, 2), metadata=metadata)
    info = described(reslice, path)
    assert info["format"].startswith("ImageJ TIFF")
    assert np.allclose(info["grid"]["spacing"], [0.25, 0.5, 1.5])
    assert info["grid"]["unit"] == "micrometer"
    check_copy(resample, tmp_path, path, array, axes)


def test_imagej_rgb(resample, tmp_path):
    rng = np.random.default_rng(3)
    array = rng.integers(0, 255, (4, 19, 23, 3)).astype("u1")
    tifffile.imwrite(tmp_path / "rgb.tif", array, imagej=True, metadata=dict(axes="ZYXS"))
    _, read = copy_of(resample, tmp_path, tmp_path / "rgb.tif")
    assert (np.stack([read[name] for name in read.dtype.names], -1) == array).all()


def test_levels(reslice, resample, tmp_path):
    """A pyramid in SubIFDs, as bioformats2raw and tifffile write it."""
    array = ome_array("ZYX")[:, :16, :20]
    path = tmp_path / "pyramid.ome.tif"
    with tifffile.TiffWriter(path, ome=True, bigtiff=True) as writer:
        way = dict(tile=(16, 16), compression="zlib")
        writer.write(array, subifds=2, metadata=dict(axes="ZYX", PhysicalSizeX=0.5, PhysicalSizeY=0.5, PhysicalSizeZ=2), **way)
        writer.write(array[:, ::2, ::2], subfiletype=1, **way)
        writer.write(array[:, ::4, ::4], subfiletype=1, **way)
    for level in range(3):
        image, read = copy_of(resample, tmp_path, path, "--level", str(level))
        step = 2**level
        assert (read == array[:, ::step, ::step]).all()
        assert np.allclose(image.header.get_zooms(), [0.5 * step, 0.5 * step, 2])


@pytest.mark.parametrize("shape, axes", [((3, 2, 9, 11), None), ((2, 3, 2, 9, 11), None), ((3, 9, 11), None), ((3, 2, 9, 11), "TZYX"), ((3, 2, 9, 11), "ZCYX")])
@pytest.mark.parametrize("truncate", [False, True])
def test_shapes_of_tifffile(resample, tmp_path, shape, axes, truncate):
    array = samples_of(np.random.default_rng(4), shape, "i2")
    path = tmp_path / "shaped.tif"
    metadata = dict(axes=axes) if axes else {}
    tifffile.imwrite(path, array, metadata=metadata, contiguous=True, photometric="minisblack", **(dict(truncate=True) if truncate else {}))
    out = tmp_path / "shaped.zarr"
    resample(path, out, "--scale", "1")
    read = zarr.open(out, mode="r")["0"][:]
    expected = array.swapaxes(0, 1) if axes == "ZCYX" else array
    assert (read.reshape(expected.shape) == expected).all()


def test_simpleitk_stacks(reslice, resample, tmp_path):
    """What SimpleITK writes and reads: raw, LZW, deflate; steps from the resolution."""
    rng = np.random.default_rng(6)
    array = rng.integers(0, 60000, (5, 17, 19)).astype("u2")
    image = sitk.GetImageFromArray(array)
    image.SetSpacing((0.3, 0.4, 1))
    for name, kind in (("raw.tif", None), ("lzw.tif", "LZW"), ("deflate.tif", "Deflate"), ("pack.tif", "PackBits")):
        writer = sitk.ImageFileWriter()
        writer.SetFileName(str(tmp_path / name))
        writer.SetUseCompression(kind is not None)
        if kind:
            writer.SetCompressor(kind)
        writer.Execute(image)
        read_by_itk = sitk.ReadImage(str(tmp_path / name))
        copy, read = copy_of(resample, tmp_path, tmp_path / name)
        assert (read == sitk.GetArrayFromImage(read_by_itk)).all()
        assert np.allclose(copy.header.get_zooms()[:2], read_by_itk.GetSpacing()[:2], rtol=1e-4)


def test_resampled_as_its_nifti_copy(resample, tmp_path):
    """LZW strips to another spacing: the same voxels as from a NIfTI copy."""
    array = samples_of(np.random.default_rng(8), (20, 130, 140), "f4")
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, array, imagej=True, resolution=(2, 2), metadata=dict(axes="ZYX", spacing=1.25, unit="mm"))
    lzw = tmp_path / "b.ome.tif"
    metadata = dict(axes="ZYX", **{f"PhysicalSize{a}": s for a, s in (("X", 0.5), ("Y", 0.5), ("Z", 1.25))}, **{f"PhysicalSize{a}Unit": "mm" for a in "XYZ"})
    tifffile.imwrite(lzw, array, ome=True, metadata=metadata, compression="zlib", predictor=True, rowsperstrip=9)
    image = nib.Nifti1Image(array.T, np.diag([0.5, 0.5, 1.25, 1]))
    nib.save(image, tmp_path / "a.nii")
    results = []
    for source in (tmp_path / "a.nii", path, lzw):
        resample(source, tmp_path / "out.nii", "--spacing", "0.8", "--overwrite")
        results.append(np.asarray(nib.load(tmp_path / "out.nii").dataobj))
    assert (results[0] == results[1]).all() and (results[0] == results[2]).all()


def sparse(path, shape, **way):
    """A file whose planes are holes but for some voxels."""
    array = tifffile.memmap(path, shape=shape, dtype="u2", **way)
    array[:, 17, 23] = np.arange(len(array)) % 60000
    array.flush()


@pytest.mark.parametrize("kind", ["raw", "imagej", "deflate tiles", "lzw strips"])
def test_peak(reslice, resample, tmp_path, kind):
    """A gigabyte of voxels under 64 MiB, a quarter of it where they are compressed: the same bytes as with more."""
    path, shape = tmp_path / "big.tif", (512 if kind in ("raw", "imagej") else 128, 1024, 1024)
    if kind == "raw":
        sparse(path, shape, bigtiff=True)
    elif kind == "imagej":
        sparse(path, shape, imagej=True, metadata=dict(axes="ZYX", spacing=2, unit="um"))
    else:
        plane = samples_of(np.random.default_rng(1), shape[1:], "u2")
        way = dict(tile=(256, 256), compression="deflate") if kind == "deflate tiles" else dict(compression="lzw", rowsperstrip=16)
        step = 256 if "tile" in way else 1024
        cuts = [np.s_[y : y + step, x : x + step] for y in range(0, 1024, step) for x in range(0, 1024, step)]
        tifffile.imwrite(path, (plane[cut] + n for n in range(shape[0]) for cut in cuts), shape=shape, dtype="u2", metadata=dict(axes="ZYX"), **way)
    out = tmp_path / "out.nii"
    options = ["--spacing-in", "1,1,1", "--spacing", "4", "--interp", "mean"]
    run = resample(path, out, *options, "--memory", "64MiB")
    assert run.peak_bytes <= 64 << 20, run.peak_mib
    small = out.read_bytes()
    resample(path, out, *options, "--memory", "512MiB", "--overwrite")
    assert small == out.read_bytes()
    read = np.asarray(nib.load(out).dataobj).T
    assert read.any() and read.shape == (shape[0] // 4, 256, 256)


def test_more_than_four_gigabytes(reslice, resample, tmp_path):
    """ImageJ's way beyond 4 GB: one directory, planes behind each other, places that 32 bits do not hold."""
    path, shape = tmp_path / "huge.tif", (2200, 1024, 1024)
    description = f"ImageJ=1.54f\nimages={shape[0]}\nslices={shape[0]}\nunit=um\nspacing=2\nloop=false\n"
    tifffile.imwrite(path, np.zeros(shape[1:], "u2"), description=description, metadata=None, byteorder=">", resolution=(2, 2))
    with tifffile.TiffFile(path) as file:
        at = file.pages[0].dataoffsets[0]
    plane = samples_of(np.random.default_rng(2), shape[1:], "u2")
    size = plane.nbytes
    with open(path, "r+b") as file:
        file.truncate(at + shape[0] * size)
        for n in (0, 2100, 2199):
            file.seek(at + n * size)
            file.write((plane + n).astype(">u2").tobytes())
    info = described(reslice, path)
    assert info["grid"]["shape"] == [1024, 1024, 2200] and np.allclose(info["grid"]["spacing"], [0.5, 0.5, 2])
    out = tmp_path / "out.zarr"
    resample(path, out, "--scale", "1", "--region", "0:1024,0:1024,2098:2102", "--memory", "64MiB")
    read = zarr.open(out, mode="r")["0"][:]
    assert (read[2] == plane + 2100).all() and not read[[0, 1, 3]].any()


@pytest.mark.parametrize("dtype", ["u1", "i1", "u2", "i2", "u4", "i4", "f4", "f8"])
@pytest.mark.parametrize("axes", ["YX", "ZYX", "CZYX", "TZYX", "TCZYX"])
def test_written(resample, tmp_path, axes, dtype):
    """OME-TIFF of ours: tifffile reads axes, steps and voxels, SimpleITK the planes of a stack."""
    array = ome_array(axes, dtype)
    source, target = tmp_path / "a.ome.tif", tmp_path / "out.ome.tif"
    metadata = dict(axes=axes, PhysicalSizeX=0.25, PhysicalSizeY=0.5, PhysicalSizeZ=1.5, TimeIncrement=2.5, TimeIncrementUnit="s")
    tifffile.imwrite(source, array, ome=True, metadata=metadata)
    resample(source, target, "--scale", "1")
    with tifffile.TiffFile(target) as file:
        assert file.is_ome and not file.is_bigtiff and len(file.series) == 1
        assert file.series[0].axes == axes
        read = file.series[0].asarray()
        pixels = tifffile.xml2dict(file.ome_metadata)["OME"]["Image"]["Pixels"]
        page = file.pages[0]
        assert page.tags["XResolution"].value[0] / page.tags["XResolution"].value[1] == pytest.approx(40000)
        assert page.tags["ResolutionUnit"].value == 3
    assert read.dtype == np.dtype(dtype) and (read == array).all()
    assert (pixels["PhysicalSizeX"], pixels["PhysicalSizeY"], pixels["PhysicalSizeXUnit"]) == (0.25, 0.5, "µm")
    if "T" in axes:
        assert (pixels["TimeIncrement"], pixels["TimeIncrementUnit"]) == (2.5, "s")
    if axes == "ZYX":
        assert pixels["PhysicalSizeZ"] == 1.5
        if dtype not in ("i4", "f8"):
            image = sitk.ReadImage(str(target))
            assert (sitk.GetArrayFromImage(image) == array).all()
            assert np.allclose(image.GetSpacing()[:2], (0.00025, 0.0005))


def test_written_colours(resample, tmp_path):
    colours = np.random.default_rng(3).integers(0, 255, (4, 19, 23, 3)).astype("u1")
    tifffile.imwrite(tmp_path / "rgb.tif", colours, imagej=True, metadata=dict(axes="ZYXS"))
    resample(tmp_path / "rgb.tif", tmp_path / "out.tif", "--scale", "1")
    with tifffile.TiffFile(tmp_path / "out.tif") as file:
        assert file.is_ome and file.series[0].axes == "ZYXS"
        assert (file.asarray() == colours).all()


IMAGEJ_UNITS = [
    # Slices are in the unit of the resolution.
    (dict(resolution=(1000, 1000), resolutionunit="CENTIMETER"), dict(spacing=0.002), [0.01, 0.01, 0.02], "millimeter"),
    (dict(resolution=(4, 0.004)), dict(unit="um", yunit="mm", zunit="nm", spacing=300), [0.25, 250000, 0.3], "micrometer"),
    # Without a unit the ratio of steps is kept.
    (dict(resolution=(4, 4)), dict(spacing=3), [0.25, 0.25, 3], None),
    (dict(resolution=(4, 4)), dict(unit="um", spacing=-2), [0.25, 0.25, 2], "micrometer"),
]


@pytest.mark.parametrize("way, metadata, spacing, unit", IMAGEJ_UNITS)
def test_units_of_imagej(reslice, tmp_path, way, metadata, spacing, unit):
    path = tmp_path / "ij.tif"
    tifffile.imwrite(path, np.zeros((3, 8, 8), "u2"), imagej=True, metadata=dict(axes="ZYX", **metadata), **way)
    grid = described(reslice, path)["grid"]
    assert np.allclose(grid["spacing"], spacing) and grid["unit"] in (unit, "unknown" if unit is None else unit)


@pytest.mark.parametrize("compression", [None, "lzw", "zlib"])
def test_a_strip_whose_length_is_left_open(resample, tmp_path, compression):
    """As libtiff reads it; a length of 0 among several strips is an error."""
    array = np.arange(1, 385, dtype="u2").reshape(16, 24)
    path = tmp_path / "open.tif"
    for rows in (16, 4):
        tifffile.imwrite(path, array, metadata=None, photometric="minisblack", compression=compression, rowsperstrip=rows)
        with tifffile.TiffFile(path, mode="r+b") as file:
            counts = file.pages[0].tags[279]
            counts.overwrite(0 if rows == 16 else (0, *counts.value[1:]))
        if rows == 16:
            assert (copy_of(resample, tmp_path, path)[1].reshape(array.shape) == array).all()
        else:
            refused("info", path, says=["the length of one of the strips is 0"])


def test_bits_in_the_other_order_are_refused(tmp_path):
    path = tmp_path / "order.tif"
    # Width, height, bits, compression, photometric, fill order, strip, samples, rows, bytes.
    fields = [(256, 22), (257, 20), (258, 16), (259, 1), (262, 1), (266, 2), (273, 134), (277, 1), (278, 20), (279, 880)]
    directory = b"".join(struct.pack("<HHII", tag, 3, 1, value) for tag, value in fields)
    path.write_bytes(b"II*\0" + struct.pack("<IH", 8, len(fields)) + directory + bytes(4) + bytes(880))
    refused("info", path, says="FillOrder 2")


def test_colours_of_several_channels(resample, tmp_path):
    """FirstC counts channels, as Bio-Formats and tifffile have it, or samples."""
    rng = np.random.default_rng(8)
    array = rng.integers(0, 255, (2, 19, 23, 3)).astype("u1")
    for first in (1, 3):
        data = "".join(f'<TiffData IFD="{n}" FirstC="{n * first}" PlaneCount="1"/>' for n in range(2))
        channels = "".join(f'<Channel ID="Channel:0:{n}" SamplesPerPixel="3"/>' for n in range(2))
        pixels = f'<Pixels ID="Pixels:0" DimensionOrder="XYCZT" Type="uint8" SizeX="23" SizeY="19" SizeC="6" SizeZ="1" SizeT="1">{channels}{data}</Pixels>'
        text = f'<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"><Image ID="Image:0">{pixels}</Image></OME>'
        path = tmp_path / "colours.ome.tif"
        with tifffile.TiffWriter(path) as writer:
            for n in range(2):
                writer.write(array[n], photometric="rgb", metadata=None, description=text if n == 0 else None)
        _, read = copy_of(resample, tmp_path, path)
        assert (np.stack([read[name] for name in read.dtype.names], -1).reshape(array.shape) == array).all()


def test_planes_that_an_acquisition_did_not_reach(reslice, resample, tmp_path):
    array = np.arange(1, 4 * 16 * 24 + 1, dtype="u2").reshape(4, 16, 24)
    data = "".join(f'<TiffData IFD="{n}" FirstZ="{n}" PlaneCount="1"/>' for n in range(3))
    pixels = f'<Pixels ID="Pixels:0" DimensionOrder="XYZCT" Type="uint16" SizeX="24" SizeY="16" SizeZ="4" SizeC="1" SizeT="1"><Channel ID="Channel:0:0"/>{data}</Pixels>'
    text = f'<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"><Image ID="Image:0">{pixels}</Image></OME>'
    path = tmp_path / "short.ome.tif"
    for compression in (None, "zlib"):
        with tifffile.TiffWriter(path) as writer:
            for n in range(3):
                writer.write(array[n], metadata=None, compression=compression, description=text if n == 0 else None)
        assert any("1 of 4 planes are not in the file" in warning for warning in described(reslice, path)["warnings"])
        _, read = copy_of(resample, tmp_path, path)
        assert (read[:3] == array[:3]).all() and (read[3] == 0).all()


@pytest.mark.parametrize("way", [dict(resolution=(1000, 1000), resolutionunit=3, metadata=None), dict(imagej=True, resolution=(4, 2), metadata=dict(axes="YX", unit="um"))])
def test_a_plane_stays_a_plane(resample, tmp_path, way):
    tifffile.imwrite(tmp_path / "flat.tif", np.zeros((37, 45), "u2"), **way)
    resample(tmp_path / "flat.tif", tmp_path / "flat.zarr", "--scale", "1")
    image = zarr.open(tmp_path / "flat.zarr", mode="r").attrs.asdict()
    axes = image.get("ome", image)["multiscales"][0]["axes"]
    assert [axis["name"] for axis in axes] == ["y", "x"]
