"""Volumes: slices as numpy has them, values as the whole file has them."""

import nibabel
import numpy as np
import pytest

import reslice

from conftest import SHAPE, noise, oblique

NAMES = ["scan.nii", "scan.nii.gz", "scan.ome.zarr"]


@pytest.mark.parametrize("name", NAMES)
def test_slices_are_those_of_numpy(scan, name):
    volume, data = reslice.open(scan(name)), noise()
    assert volume.shape == SHAPE and volume.dtype == np.int16 and volume.ndim == 3 and len(volume) == 29
    assert volume.size == data.size and volume.nbytes == data.nbytes
    for key in [
        np.s_[:],
        np.s_[3:9, 2:4, 1:20],
        np.s_[5],
        np.s_[-1, -1, -1],
        np.s_[..., 4],
        np.s_[2:25:3, ::2, ::5],
        np.s_[::-1, 5:2:-1, ::-4],
        np.s_[4:4, :, 1],
        np.s_[100:200],
        np.s_[np.int64(3), 1:2],
    ]:
        found, expected = volume[key], data[key]
        assert np.shape(found) == np.shape(expected) and np.array_equal(found, expected), key
        assert isinstance(found, np.generic) == isinstance(expected, np.generic)
    for key in [np.s_[29], np.s_[0, 0, 0, 0], np.s_[..., ..., 0], np.s_[[1, 2]], np.s_[True], np.s_[None], np.s_[1.5], np.s_["x"]]:
        with pytest.raises(IndexError):
            volume[key]


def random_boxes(shape, count, seed):
    rng = np.random.default_rng(seed)
    for _ in range(count):
        ends = [np.sort(rng.integers(0, n + 1, 2)) for n in shape]
        yield tuple(slice(int(lo), int(hi)) for lo, hi in ends)


def check_boxes(volume, whole, count=25, seed=11):
    assert volume.shape == whole.shape and volume.dtype == whole.dtype
    for box in random_boxes(volume.shape, count, seed):
        assert np.array_equal(volume[box], whole[box], equal_nan=whole.dtype.kind == "f"), box


CASES = [
    {"spacing": (0.5, 0.7, 1.1)},
    {"spacing": (2.1, 1.9, 4.0), "antialias": True},
    {"isotropic": 1.3, "interpolation": "cubic"},
    {"scale": 1.4, "interpolation": "bspline5", "align": "edges"},
    {"scale": 0.3, "interpolation": "mode"},
    {"grid": ((31, 19, 27), oblique((1.0, 1.2, 1.7), -0.7))},
    {"grid": ((31, 19, 27), oblique((1.0, 1.2, 1.7), -0.7)), "interpolation": "lanczos3", "outside": "edge"},
    {"grid": ((31, 19, 27), oblique((1.0, 1.2, 1.7), -0.7)), "interpolation": "label"},
    {"dtype": "f32", "spacing": 1, "outside": "nan"},
    {"orient": "LPI"},
]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("options", CASES, ids=lambda options: "-".join(map(str, options)))
def test_boxes_are_those_of_the_whole_file(scan, tmp_path, name, options):
    source = scan(name)
    reslice.resample(source, tmp_path / "whole.nii", **options)
    whole = np.asanyarray(nibabel.load(tmp_path / "whole.nii").dataobj)
    # Little memory and one thread; more of either.
    for memory, threads in [("12MiB", 1), ("200MiB", 3)]:
        volume = reslice.open(source, memory=memory, threads=threads).resampled(**options)
        check_boxes(volume, whole)
        assert np.array_equal(np.asarray(volume), whole, equal_nan=whole.dtype.kind == "f")


def test_boxes_through_a_displacement_field(scan, tmp_path):
    field = np.random.default_rng(5).normal(0, 2, (9, 8, 7, 1, 3)).astype(np.float32)
    image = nibabel.Nifti1Image(field, oblique((3.2, 3.4, 8.0)))
    image.header.set_intent("vector")
    nibabel.save(image, tmp_path / "warp.nii.gz")
    options = {"spacing": 1.2, "transforms": [tmp_path / "warp.nii.gz"]}
    reslice.resample(scan(), tmp_path / "whole.nii", **options)
    whole = np.asanyarray(nibabel.load(tmp_path / "whole.nii").dataobj)
    check_boxes(reslice.open(scan()).resampled(**options), whole, 8)


def test_boxes_of_a_series_and_of_real_values(tmp_path):
    data = noise((*SHAPE, 4))
    image = nibabel.Nifti1Image(data, oblique())
    image.header.set_slope_inter(0.25, -3)
    nibabel.save(image, tmp_path / "series.nii.gz")
    volume = reslice.open(tmp_path / "series.nii.gz")
    assert volume.shape == (*SHAPE, 4) and volume.dtype == np.float32
    assert np.allclose(volume[4:9, 3, ::-2, 1:3], (data * 0.25 - 3)[4:9, 3, ::-2, 1:3])
    reslice.resample(tmp_path / "series.nii.gz", tmp_path / "whole.zarr", spacing=1.5)
    whole = np.asarray(reslice.open(tmp_path / "whole.zarr"))
    check_boxes(volume.resampled(spacing=1.5), whole)
    one = reslice.open(tmp_path / "series.nii.gz", time=2)
    assert one.shape == (*SHAPE, 1) or one.shape == SHAPE
    assert np.array_equal(np.squeeze(np.asarray(one)), volume[..., 2])


def test_arrays_are_volumes_too(tmp_path):
    volume = reslice.open(noise(), oblique()).resampled(isotropic=1.1)
    assert np.array_equal(np.asarray(volume), reslice.resample_array(noise(), oblique(), isotropic=1.1).data)
    with pytest.raises(reslice.OptionError, match="resampled already"):
        volume.resampled(isotropic=2)
    assert np.array_equal(volume.load().data[3:5], volume[3:5])


def test_levels_and_pages(scan, tmp_path):
    reslice.resample(scan("a.nii"), tmp_path / "p.ome.zarr", chunk=8, pyramid=True)
    volume = reslice.open(tmp_path / "p.ome.zarr")
    assert len(volume.levels) > 1
    coarse = reslice.open(tmp_path / "p.ome.zarr", level=1)
    assert coarse.shape == volume.levels[1].shape
    page = volume._repr_html_()
    assert "data:image/png;base64," in page and "p.ome.zarr" in page
    assert "Volume(int16, Grid(29 x 23 x 20" in repr(volume)


def test_a_mistake_costs_nothing(scan):
    source = scan("a.ome.zarr")
    with pytest.raises(MemoryError, match="memory budget 1.0 MiB is too small") as caught:
        reslice.open(source, memory="1MiB")[3:5]
    smallest = caught.value.hint.split("memory='")[1].split("'")[0]
    assert np.array_equal(reslice.open(source, memory=smallest)[3:5], noise()[3:5])


def test_a_broken_chunk_is_told_and_the_others_read(scan, tmp_path):
    source = scan("a.ome.zarr")
    chunks = sorted(path for path in source.rglob("c/*/*/*") if path.is_file())
    chunks[0].write_bytes(chunks[0].read_bytes()[:-3])
    volume = reslice.open(source)
    with pytest.raises(reslice.FormatError, match="chunk"):
        volume[0:3, 0:3, 0:3]
    assert np.array_equal(volume[20:, 15:, 12:], noise()[20:, 15:, 12:])
