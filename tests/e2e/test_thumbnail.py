"""Thumbnails in fixed memory, in a small form: see benches/thumbnail.py."""

import argparse

import pytest

import thumbnail
from command import RESLICE, refused

MEMORY_MIB = 64
EDGE, STORED, SIZE = 2560, 60, 32
# CPU seconds of a run over 8 000 chunks of 4 MiB, of which sixty are stored: read one by one, they would take minutes.
CPU_SECONDS = 20


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    path = tmp_path_factory.mktemp("virtual") / "virtual.zarr"
    assert thumbnail.write_virtual(path, EDGE, STORED) == STORED
    return path


def test_what_cannot_stream_is_refused_and_told_what_can(store, tmp_path):
    job = ("resample", store, tmp_path / "out.zarr", "--size", f"{SIZE},{SIZE},{SIZE}", "--memory", f"{MEMORY_MIB}MiB")
    run = refused(*job, "--interp", "median", expect=2, says=("is too small", "use --memory"))
    assert f"--memory {MEMORY_MIB}MiB is enough for --interp mean, --interp linear --antialias" in run.stderr
    refused(*job, "--interp", "mode", expect=2, says=f"--memory {MEMORY_MIB}MiB is enough for --interp nearest")


@pytest.mark.parametrize("method", [method for method in thumbnail.METHODS if method not in thumbnail.OF_FEW_SAMPLES])
def test_a_thumbnail_of_a_volume_that_is_mostly_absent(store, tmp_path, method):
    args = argparse.Namespace(reslice=RESLICE, size=SIZE, memory=f"{MEMORY_MIB}MiB", threads=2)
    figures = thumbnail.thumbnail(args, tmp_path, store, method, STORED)
    assert figures["peak_mib"] <= MEMORY_MIB
    assert figures["decodes"] == figures["distinct"], "each chunk once"
    assert figures["cpu_seconds"] < CPU_SECONDS
    small = thumbnail.content(tmp_path / "out.zarr")
    thumbnail.thumbnail(args, tmp_path, store, method, STORED, memory="2GiB")
    assert small == thumbnail.content(tmp_path / "out.zarr")
