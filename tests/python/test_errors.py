"""Failures: each is the right built-in exception, and says the way out in words of Python."""

import errno
import os
import stat

import numpy as np
import pytest

import reslice
from reslice._errors import in_python


def test_each_is_a_builtin_exception():
    for own, builtin in [
        (reslice.GeometryError, ValueError),
        (reslice.OptionError, ValueError),
        (reslice.FormatError, ValueError),
        (reslice.StorageError, OSError),
        (reslice.MemoryLimitError, MemoryError),
    ]:
        assert issubclass(own, reslice.ReslicingError) and issubclass(own, builtin)


def test_too_little_memory_names_what_works(scan, tmp_path):
    source = scan("scan.nii.gz", (300, 200, 50))
    with pytest.raises(MemoryError, match="memory budget 1.0 MiB is too small") as caught:
        reslice.resample(source, tmp_path / "out.nii.gz", spacing=0.5, memory="1MiB")
    hint = caught.value.hint
    assert "memory='" in hint
    smallest = hint.split("memory='")[1].split("'")[0]
    reslice.resample(source, tmp_path / "out.nii.gz", spacing=0.5, memory=smallest)


def test_files_that_are_none(tmp_path):
    with pytest.raises(OSError) as caught:
        reslice.info(tmp_path / "none.nii.gz")
    assert caught.value.errno == errno.ENOENT and caught.value.filename == str(tmp_path / "none.nii.gz")
    (tmp_path / "bad.nii").write_bytes(os.urandom(4000))
    with pytest.raises(reslice.FormatError):
        reslice.resample(tmp_path / "bad.nii", tmp_path / "out.nii", spacing=1)
    with pytest.raises(reslice.FormatError):
        reslice.open(tmp_path / "bad.nii")


def test_targets_that_cannot_be(scan, tmp_path):
    source = scan()
    (tmp_path / "there.nii").write_bytes(b"mine")
    with pytest.raises(OSError, match="already exists") as caught:
        reslice.resample(source, tmp_path / "there.nii", spacing=2)
    assert caught.value.errno == errno.EEXIST and "overwrite=True" in caught.value.hint
    assert (tmp_path / "there.nii").read_bytes() == b"mine"
    with pytest.raises(reslice.StorageError, match="parents=True"):
        reslice.resample(source, tmp_path / "no" / "folder.nii", spacing=2)
    if os.geteuid():
        locked = tmp_path / "locked"
        locked.mkdir(mode=stat.S_IRUSR | stat.S_IXUSR)
        with pytest.raises(OSError):
            reslice.resample(source, locked / "out.nii", spacing=2)


@pytest.mark.parametrize(
    "options, text",
    [
        ({"spacing": -1}, "-1"),
        ({"spacing": (1, 2)}, "expected one number, or three"),
        ({"interpolation": "quintic"}, "interp"),
        ({"spaceing": 1}, "spacing="),
        ({"spacing": 1, "scale": 2}, "cannot be used with"),
        ({"spacing": object()}, "spacing="),
        ({"labels": True, "interpolation": "linear"}, "labels=True"),
        ({"grid": ((2, 2), np.eye(4))}, "three extents"),
        ({"grid": ((2, 2, 2), np.zeros((4, 4)))}, "last row"),
        ({"grid": ((2, 2, 2), np.eye(4)), "spacing": 1}, "leave out one"),
        ({"transforms": "a.mat"}, "list of them"),
        ({"memory": "lots"}, "size such as"),
        ({"chunk": 16}, "Zarr"),
        ({"outside": 1e9}, "32767"),
    ],
)
def test_options_that_make_no_sense(scan, tmp_path, options, text):
    with pytest.raises(ValueError) as caught:
        reslice.resample(scan(), tmp_path / "out.nii", **options)
    assert isinstance(caught.value, reslice.OptionError) and text in str(caught.value), str(caught.value)
    assert not (tmp_path / "out.nii").exists()


def test_texts_of_the_command_in_words_of_python():
    for text, expected in [
        ("use --memory 104MiB, --threads 1", "use memory='104MiB', threads=1"),
        ("--outside edge fills it; --align center avoids both", "outside='edge' fills it; align='center' avoids both"),
        ("--antialias smooths it", "antialias=True smooths it"),
        ("--resume goes on, --restart begins anew", "resume=True goes on, restart=True begins anew"),
        ("--interp label, or mode for a coarser grid", "interpolation='label', or mode for a coarser grid"),
        ("leave out --align, or --like", "leave out align=, or like="),
        ("--no-disk-check goes on", "disk_check=False goes on"),
        ("a -- b, x--y", "a -- b, x--y"),
        ("--scratch", "scratch="),
        ("--size says", "shape= says"),
    ]:
        assert in_python(text) == expected
