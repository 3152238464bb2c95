"""Fixtures: volumes to resample, children to run, real scans."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import nibabel
import numpy as np
import pytest

HERE = Path(__file__).resolve().parent

#: Voxels (x, y, z) that a test of places cannot confuse: extents are unequal and prime, and the axes oblique.
SHAPE = (29, 23, 20)


def noise(shape=SHAPE, dtype=np.int16, seed=1):
    """Smooth enough to interpolate, rough enough to tell voxels apart."""
    rng = np.random.default_rng(seed)
    waves = 300 * np.sin(np.indices(shape[:3]).sum(axis=0) / 5)
    values = rng.normal(0, 20, shape) + waves.reshape(shape[:3] + (1,) * (len(shape) - 3))
    if np.dtype(dtype).kind == "u":
        values -= values.min()
    return values.astype(dtype)


def oblique(spacing=(0.9, 1.1, 2.5), angle=0.3):
    """An affine (RAS mm) turned about z, with the first axis to the left."""
    c, s = np.cos(angle), np.sin(angle)
    turn = np.array([[-c, -s, 0], [-s, c, 0], [0, 0, 1.0]])
    affine = np.eye(4)
    affine[:3, :3] = turn * spacing
    affine[:3, 3] = (31.5, -12.25, 7.0)
    # As a NIfTI file has it.
    return affine.astype(np.float32).astype(np.float64)


@pytest.fixture
def scan(tmp_path):
    """Makes a file of noise, oblique."""

    def make(name="scan.nii.gz", shape=SHAPE, dtype=np.int16, affine=None):
        import reslice

        data = noise(shape, dtype)
        affine = oblique() if affine is None else affine
        path = tmp_path / name
        if name.endswith(".zarr"):
            reslice.resample(reslice.Image(data, affine), path, chunk=(8, 7, 6), shard="none")
        else:
            nibabel.save(nibabel.Nifti1Image(data, affine), path)
        return path

    return make


@pytest.fixture(scope="session")
def data():
    folder = Path(os.environ.get("RESLICE_DATA", HERE.parents[2] / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no scans at {folder} (set RESLICE_DATA)")
    return folder


@pytest.fixture
def child(tmp_path):
    """Runs a script in another process, in the folder of the test; what it printed."""

    def run(script, timeout=120, **more):
        done = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(script)], cwd=tmp_path, text=True, capture_output=True, timeout=timeout, **more
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run
