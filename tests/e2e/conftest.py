"""Fixtures: the command, the folder of scans, and what is skipped without them."""

import os
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parents[1] / "benches")]

import command  # noqa: E402


@pytest.fixture(scope="session")
def data():
    folder = Path(os.environ.get("RESLICE_DATA", HERE.parents[2] / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no scans at {folder} (set RESLICE_DATA)")
    return folder


@pytest.fixture
def reslice():
    return command.reslice


@pytest.fixture
def resample():
    return command.resample
