"""Small jobs, each of some hundred file operations, and the volumes they start from."""

import json
from dataclasses import dataclass

import nibabel as nib
import numpy as np
import zarr

from command import digest, reslice


@dataclass(frozen=True)
class Job:
    """`reslice resample SOURCE TARGET OPTIONS`; the names are those of files in the folders of sources and of the case."""

    name: str
    source: str
    target: str
    options: tuple = ()
    threads: int = 1
    old: str = ""  # a source that stands under the target's name before the run
    refuses: bool = False  # because of it
    adds_levels: bool = False  # `reslice pyramid TARGET OPTIONS`, to what stands there
    clock: int = 1  # how fast time goes by: what is done every ten seconds is done many times in a run

    def argv(self, sources, folder):
        grid = ("--scale", "0.9,0.8,0.7") if "--scale" not in self.options else ()
        run = ("--threads", str(self.threads), "--progress", "none")
        if self.adds_levels:
            return ["pyramid", folder / self.target, *self.options, *run]
        return ["resample", sources / self.source, folder / self.target, *grid, *self.options, *run]

    def content(self, target):
        """What a reader finds under a name: both files of a pair, the levels that a group tells of; empty if nothing."""
        files = [target]
        beside = {".hdr": ".img", ".mhd": ".raw"}.get(target.suffix)
        if beside:
            files += [target.with_suffix(beside)]
        if self.adds_levels:
            files = [target / "zarr.json"]
            (image,) = json.loads(files[0].read_text())["attributes"]["ome"]["multiscales"]
            files += [target / level["path"] for level in image["datasets"]]
        return tuple(digest(file) for file in files) if all(file.exists() for file in files) else ()


HASTE = 20_000
SHARDED = ("--chunk", "8", "--shard", "16")
CHUNKED = ("--chunk", "16", "--shard", "none")
JOBS = {
    job.name: job
    for job in (
        Job("nii to nii", "in.nii", "out.nii"),
        Job("nii to hdr", "in.nii", "out.hdr"),
        Job("nii to bgzf", "in.nii", "out.nii.gz", ("--gzip", "bgzf")),
        Job("nii.gz to nii.gz", "in.nii.gz", "out.nii.gz"),
        Job("nii to mha", "in.nii", "out.mha"),
        Job("nii to mhd", "in.nii", "out.mhd"),
        Job("nii.gz to nii", "in.nii.gz", "out.nii"),
        Job("nii.gz to sharded zarr", "in.nii.gz", "out.zarr", SHARDED),
        Job("zarr to sharded zarr", "in.zarr", "out.zarr", SHARDED),
        Job("zarr to zarr with levels", "in.zarr", "out.zarr", (*CHUNKED, "--pyramid=1")),
        Job("zarr to nii.gz", "in.zarr", "out.nii.gz"),
        Job("zarr to nii", "in.zarr", "out.nii"),
        Job("nii over nii", "in.nii", "out.nii", ("--overwrite",), old="old.nii"),
        Job("zarr over zarr", "in.zarr", "out.zarr", (*CHUNKED, "--overwrite"), old="old.zarr"),
        Job("nii beside nii", "in.nii", "out.nii", old="old.nii", refuses=True),
        Job("levels into zarr", "", "out.zarr", ("--levels", "1"), old="finest.zarr", adds_levels=True),
        Job("nii to nii, hastened", "in.nii", "out.nii", clock=HASTE),
        Job("zarr to sharded zarr, hastened", "in.zarr", "out.zarr", SHARDED, clock=HASTE),
        Job("zarr to zarr with levels, hastened", "in.zarr", "out.zarr", (*CHUNKED, "--pyramid=1"), clock=HASTE),
        Job("nii.gz to nii.gz, hastened", "in.nii.gz", "out.nii.gz", clock=HASTE),
        Job("nii.gz to sharded zarr, 2 threads", "in.nii.gz", "out.zarr", SHARDED, threads=2),
        Job("zarr to nii.gz, 2 threads", "in.zarr", "out.nii.gz", ("--gzip", "bgzf"), threads=2),
    )
}


def make_sources(folder):
    """20 x 23 x 29 voxels of noise in three formats, and three old targets."""
    folder.mkdir(parents=True, exist_ok=True)
    samples = np.random.default_rng(20).integers(0, 1000, (29, 23, 20)).astype(np.int16)
    image = nib.Nifti1Image(samples, np.diag([1.0, 1.5, 2.0, 1.0]))
    for name in ("in.nii", "in.nii.gz"):
        nib.save(image, folder / name)
    store = zarr.create_array(
        folder / "in.zarr", shape=samples.T.shape, chunks=(10, 12, 29), dtype="i2", dimension_names=("z", "y", "x")
    )
    store[...] = samples.T
    nib.save(nib.Nifti1Image(samples[:5] + 1, np.eye(4)), folder / "old.nii")
    old = zarr.create_array(folder / "old.zarr", shape=(5, 6, 7), chunks=(5, 6, 7), dtype="i2")
    old[...] = 7
    finest = [folder / "in.nii", folder / "finest.zarr", "--chunk", "8", "--shard", "16"]
    reslice("resample", *finest)
    return folder
