"""Types, examples and the page: what they say is so."""

import doctest
import importlib
import inspect
import re
import subprocess
import sys
from pathlib import Path

import nibabel
import numpy as np
import pytest

import reslice

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with what examples name."""
    data = np.random.default_rng(0).integers(0, 900, (40, 40, 20)).astype(np.int16)
    nibabel.save(nibabel.Nifti1Image(data, np.diag([1.0, 1.0, 2.0, 1.0])), tmp_path / "scan.nii.gz")
    labels = np.zeros((40, 40, 20), np.uint8)
    labels[10:20, 10:20, 5:15] = 7
    nibabel.save(nibabel.Nifti1Image(labels, np.diag([1.0, 1.0, 2.0, 1.0])), tmp_path / "labels.nii.gz")
    nibabel.save(nibabel.Nifti1Image(data[::2, ::2], np.diag([2.0, 2.0, 2.0, 1.0])), tmp_path / "fixed.nii.gz")
    (tmp_path / "shift.txt").write_text("1 0 0 1\n0 1 0 2\n0 0 1 3\n0 0 0 1\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


MODULES = ["_answers", "_grid", "_image", "_jobs", "_volume"]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", MODULES)
def test_examples_of_docstrings(folder, name):
    module = importlib.import_module(f"reslice.{name}")
    outcome = doctest.testmod(module, optionflags=doctest.ELLIPSIS)
    assert outcome.attempted > 0 and outcome.failed == 0


@pytest.mark.filterwarnings("ignore")
def test_examples_of_the_page(folder):
    outcome = doctest.testfile(str(ROOT / "docs/python.md"), module_relative=False, optionflags=doctest.ELLIPSIS)
    assert outcome.attempted > 10 and outcome.failed == 0


def test_everything_public_is_described():
    for name in reslice.__all__:
        thing = getattr(reslice, name)
        if name != "__version__":
            assert inspect.getdoc(thing), name
    for function in (reslice.resample, reslice.resample_array, reslice.open, reslice.plan, reslice.info, reslice.compare):
        assert "Examples" in inspect.getdoc(function)
    shown = inspect.signature(reslice.resample).parameters
    assert {"spacing", "interpolation", "memory", "transforms", "pyramid", "progress"} <= set(shown)
    assert set(dir(reslice)) == set(reslice.__all__)
    with pytest.raises(AttributeError):
        reslice.nothing


def test_every_option_of_the_command_is_an_option_here():
    """Options of the command that are not here are about output on a terminal."""
    from reslice import _options

    options = subprocess.run([sys.executable, "-m", "reslice._command", "resample", "--help"], capture_output=True, text=True).stdout
    theirs = set(re.findall(r"^\s+(?:-\w, )?--([a-z][a-z-]+)", options, re.M))
    named = {"interpolation": "interp", "shape": "size", "disk_check": "no-disk-check", "transforms": "transform"}
    ours = {named.get(name, name.replace("_", "-")) for name in _options.FileOptions.__annotations__}
    assert theirs - ours == {"dry-run", "summary", "progress", "verbose", "quiet", "help"}
    assert ours - theirs == {"labels"}


def checked(*command):
    done = subprocess.run([sys.executable, "-m", *command], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_mypy_is_content(tmp_path):
    checked("mypy", "--strict", "--cache-dir", str(tmp_path), "python/reslice", str(HERE / "example.py"))


def test_pyright_is_content():
    checked("pyright", "--pythonpath", sys.executable)


@pytest.mark.filterwarnings("ignore")
def test_the_example_runs(folder):
    done = subprocess.run([sys.executable, str(HERE / "example.py")], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "of the voxels are above 100" in done.stdout and "(4, 4, 4)" in done.stdout


def test_import_is_light():
    """The command does not wait for numpy."""
    script = "import sys, reslice._command; print('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, text=True).stdout == "False\n"
