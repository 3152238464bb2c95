#!/usr/bin/env python3
"""A BIDS app: resamples the images of subjects to one spacing, each with a sidecar JSON.

    reslice_bids.py BIDS_DIR OUTPUT_DIR participant --participant-label 01 02 --spacing 1

Segmentations (`dseg`) and masks keep their labels; other images are interpolated linearly, with anti-aliasing on coarser grids. Images that have
their sidecar are done, and passed over. Exit codes are those of reslice: 75 if it was stopped; the same command continues.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

RESLICE = os.environ.get("RESLICE", "reslice")
LABELS = ("dseg", "mask")
# Entities that stand behind `res` in a name.
BEHIND_RES = re.compile(r"_(?=(?:den|label|desc)-)|_(?=[A-Za-z0-9]+$)")


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bids_dir", type=Path)
    parser.add_argument("output_dir", type=Path)
    parser.add_argument("analysis_level", choices=["participant"])
    parser.add_argument("--participant-label", "--participant_label", nargs="+", help="with or without sub-")
    parser.add_argument("--spacing", type=float, default=1.0, help="step along all axes, in mm (1)")
    parser.add_argument("--datatype", nargs="+", default=["anat"], help="folders of a subject or session (anat)")
    parser.add_argument("--mem-mb", type=int, help="ceiling of the memory, in MiB")
    parser.add_argument("--n-cpus", type=int, help="threads")
    parser.add_argument("-v", "--version", action="version", version=version())
    return parser.parse_args()


def version():
    return subprocess.run([RESLICE, "--version"], check=True, capture_output=True, text=True).stdout.strip()


def subjects(root, labels):
    """Folders of the subjects that were asked for; all of them without labels."""
    if not labels:
        return sorted(folder for folder in root.glob("sub-*") if folder.is_dir())
    folders = [root / f"sub-{label.removeprefix('sub-')}" for label in labels]
    if missing := [folder.name for folder in folders if not folder.is_dir()]:
        sys.exit(f"error: not in {root}: {', '.join(missing)}")
    return folders


def images(subject, datatypes):
    found = [image for kind in datatypes for image in subject.glob(f"**/{kind}/*.nii*")]
    return sorted(image for image in found if image.name.endswith((".nii", ".nii.gz")))


def target_of(image, args):
    """`sub-01_T1w.nii.gz` becomes `sub-01_res-1mm_T1w.nii.gz`, in the same folder of the output."""
    stem = image.name.split(".nii")[0]
    resolution = f"{args.spacing:g}mm".replace(".", "p")
    name = BEHIND_RES.sub(f"_res-{resolution}_", stem, count=1) + ".nii.gz"
    return args.output_dir / image.parent.relative_to(args.bids_dir) / name


def resample(image, target, args):
    """Resamples one image; gives reslice's exit code."""
    sidecar = target.with_name(target.name.replace(".nii.gz", ".json"))
    if target.exists() and sidecar.exists():
        return 0
    is_label = image.name.split(".nii")[0].endswith(LABELS)
    how = ["--interp", "label"] if is_label else ["--antialias"]
    limits = [f"--memory={args.mem_mb}MiB"] if args.mem_mb else []
    limits += [f"--threads={args.n_cpus}"] if args.n_cpus else []
    with tempfile.TemporaryDirectory() as folder:
        summary = Path(folder) / "summary.json"
        # A target without its sidecar is of a run that ended between the two.
        again = "--overwrite" if target.exists() else "--resume"
        command = [RESLICE, "resample", image, target, f"--isotropic={args.spacing:g}", *how, *limits]
        code = subprocess.run([*command, again, "--parents", "--summary", summary]).returncode
        if code == 0:
            write_sidecar(sidecar, image, json.loads(summary.read_text()), args)
            shutil.rmtree(f"{target}.reslice", ignore_errors=True)
    return code


def write_sidecar(sidecar, image, summary, args):
    about = {
        "Sources": [f"bids:raw:{image.relative_to(args.bids_dir)}"],
        "Resolution": f"{args.spacing:g} mm isotropic",
        "Interpolation": summary["interpolation"] + (", anti-aliased" if summary["antialias"] else ""),
        "Shape": summary["target"]["shape"],
        "Spacing": summary["target"]["spacing"],
        "Affine": summary["target"]["index_to_world"],
        "VoxelsOutside": summary["outside"]["outside"],
        "Warnings": summary["warnings"],
        "GeneratedBy": [{"Name": "reslice", "Version": summary["version"], "Fingerprint": summary["fingerprint"]}],
    }
    unfinished = sidecar.with_suffix(".part")
    unfinished.write_text(json.dumps(about, indent=2) + "\n")
    unfinished.replace(sidecar)


def main():
    args = arguments()
    args.bids_dir, args.output_dir = args.bids_dir.resolve(), args.output_dir.resolve()
    args.output_dir.mkdir(parents=True, exist_ok=True)
    link = os.path.relpath(args.bids_dir, args.output_dir)
    about = {
        "Name": "Resampled images",
        "BIDSVersion": "1.10.0",
        "DatasetType": "derivative",
        "GeneratedBy": [{"Name": "reslice", "Version": version().removeprefix("reslice ")}],
        "DatasetLinks": {"raw": link},
    }
    (args.output_dir / "dataset_description.json").write_text(json.dumps(about, indent=2) + "\n")
    failed = 0
    for subject in subjects(args.bids_dir, args.participant_label):
        for image in images(subject, args.datatype):
            code = resample(image, target_of(image, args), args)
            if code == 75:
                return code
            failed = failed or code
    return failed


if __name__ == "__main__":
    sys.exit(main())
