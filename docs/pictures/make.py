"""Makes the picture of the README, and the pictures and the measured table of docs/interpolation.md, by running the command.

    $(tests/e2e/venv docs/pictures) docs/pictures/make.py [FOLDER]

RESLICE is the binary (default: target/release/reslice), RESLICE_DATA the folder of scans (default: ../shared/data beside the
repository; the pictures of the scan are left out where it is missing). FOLDER, this one by default, takes the pictures.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import nibabel as nib
import numpy as np
from PIL import Image, ImageDraw, ImageFont

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
RESLICE = os.environ.get("RESLICE", str(ROOT / "target" / "release" / "reslice"))
DATA = Path(os.environ.get("RESLICE_DATA", ROOT.parent / "shared" / "data"))
PAGE = ROOT / "docs" / "interpolation.md"

UP = ["nearest", "linear", "cubic", "bspline3", "bspline5", "lanczos3", "sinc-lanczos", "gaussian"]
DOWN = [
    "nearest", "linear", "bspline3", "lanczos3", "linear --antialias", "cubic --antialias", "lanczos3 --antialias",
    "gaussian --antialias", "mean", "median", "min", "max",
]
LABELS = ["nearest", "label", "label-gaussian", "linear"]
STEPPED = [
    "linear", "cubic", "bspline2", "bspline3", "bspline4", "bspline5", "lanczos2", "lanczos3", "lanczos4",
    "lanczos6", "sinc-hamming", "sinc-cosine", "sinc-welch", "sinc-lanczos", "sinc-blackman", "gaussian",
]
COLUMNS, GAP, CAPTION = 4, 6, 17
PALETTE = np.array([[0, 0, 0], [230, 159, 0], [86, 180, 233], [0, 158, 115], [240, 228, 66], [204, 121, 167]], np.uint8)


def main():
    if not os.access(RESLICE, os.X_OK):
        sys.exit(f"no binary at {RESLICE}: cargo build --release, or set RESLICE")
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else HERE
    with tempfile.TemporaryDirectory(prefix="reslice-pictures-") as work:
        work = Path(work)
        zone_plates(work, folder)
        labels(work, folder)
        scan(work, folder)
        before_after(work, folder)
        steps(work)


def zone_plates(work, folder):
    """Rings whose frequency grows outwards, up to half a cycle a voxel at the middle of each side."""
    save(work / "fine.nii", zone_plate(288))
    down = {m: resampled(work, "fine.nii", m, "--spacing", "3,3,1", "--align", "edges") for m in DOWN}
    sheet(folder / "zone-plate-down.png", down, zoom=2)
    save(work / "coarse.nii", zone_plate(33))
    up = {m: resampled(work, "coarse.nii", m, "--scale", "6,6,1", "--align", "edges") for m in UP}
    sheet(folder / "zone-plate-up.png", up)


def zone_plate(size):
    i, j = np.ogrid[:size, :size]
    r2 = (i - (size - 1) / 2) ** 2 + (j - (size - 1) / 2) ** 2
    plane = 0.5 + 0.4 * np.cos(np.pi * r2 / size)
    return np.repeat(plane[:, :, None], 3, axis=2).astype(np.float32)


def labels(work, folder):
    """Three regions, one beside the other, whose numbers are not in the order of their places."""
    i, j = np.ogrid[:30, :30]
    plane = np.zeros((30, 30), np.uint8)
    plane[(i - 14) ** 2 + (j - 15) ** 2 < 150] = 1
    plane[(i - 14) ** 2 + (j - 15) ** 2 < 55] = 4
    plane[abs(i - j - 4) < 2] = 2
    save(work / "labels.nii", np.repeat(plane[:, :, None], 3, axis=2))
    made = {m: resampled(work, "labels.nii", m, "--scale", "6,6,1", "--align", "edges") for m in LABELS}
    strips = {name: PALETTE[np.clip(tile, 0, 5)] for name, tile in made.items()}
    strips["linear, which invents labels"] = strips.pop("linear")
    sheet(folder / "labels.png", strips)


def scan(work, folder):
    """A plane of the MR head: down to a quarter, and a small part of it up."""
    path = DATA / "mr_head_512.nii.gz"
    if not path.exists():
        print(f"no {path.name} in {DATA} (set RESLICE_DATA): its pictures are left out", file=sys.stderr)
        return
    planes = ["--region", "0:512,0:512,66:69"]
    whole = {m: resampled(work, path, m, *planes, "--scale", "0.25,0.25,1") for m in DOWN}
    whole = {m: windowed(tile, 0, 600) for m, tile in whole.items()}
    sheet(folder / "scan-down.png", {m: tile[10:118, 4:124] for m, tile in whole.items()}, zoom=2)
    part = ["--region", "225:273,118:158,66:69", "--scale", "5,5,1", "--align", "edges"]
    up = {m: resampled(work, path, m, *part) for m in UP}
    sheet(folder / "scan-up.png", {m: windowed(tile, 0, 700) for m, tile in up.items()})


def before_after(work, folder):
    """A coronal plane of the MR head, 0.41 x 1.5 mm as it was scanned, and at 0.4 mm; both at 0.4 mm a pixel."""
    path = DATA / "mr_head_512.nii.gz"
    if not path.exists():
        return
    plane = ["--region", "0:512,255:258,0:120"]
    scanned = values(work, path, "nearest", *plane, "--spacing", "0.4,0.41,0.4", "--align", "center", "--outside", "edge")
    fine = values(work, path, "bspline3", *plane, "--spacing", "0.4,0.41,0.4", "--align", "center", "--outside", "edge")
    tiles = {"as scanned: 0.41 x 1.5 mm": scanned, "reslice resample --spacing 0.4 --interp bspline3": fine}
    upright = {name: windowed(tile[:, 1, ::-1].T, 0, 700) for name, tile in tiles.items()}
    sheet(folder / "before-after.png", {name: tile[20:330, 70:450] for name, tile in upright.items()}, columns=2)


def steps(work):
    """Measured on lines: how far beyond 0 and 1 the answer to a step goes, and what is left of waves between voxels."""
    rows = ["| `--interp` | over- and undershoot | of waves of 4 voxels | of 8/3 voxels | voxels' own values kept |",
            "| --- | ---: | ---: | ---: | ---: |"]
    for method in STEPPED:
        beyond, kept = overshoot(work, method)
        left = [f"{100 * wave_left(work, method, cycles):.1f} %" for cycles in (1 / 4, 3 / 8)]
        rows.append(f"| `{method}` | {100 * beyond:.1f} % | {left[0]} | {left[1]} | {'yes' if kept else 'no'} |")
    text, (start, end) = PAGE.read_text(), ("<!-- steps -->\n", "<!-- /steps -->")
    before, after = text.split(start)[0], text.split(end)[1]
    PAGE.write_text(before + start + "\n".join(rows) + "\n" + end + after)


def overshoot(work, method):
    """Of a step from 0 to 1, sampled 32 times a voxel; and whether voxels keep their values."""
    line = (np.arange(64) >= 32).astype(np.float64)
    answer = answer_to(work, method, line, 32)
    return max(answer.max() - 1, -answer.min(), 0.0), np.abs(answer[::32] - line).max() < 1e-6


def wave_left(work, method, cycles):
    """Amplitude of a wave of `cycles` per voxel half-way between voxels, where kernels keep least; the ends left out."""
    answer = answer_to(work, method, np.cos(2 * np.pi * cycles * np.arange(96)), 2)[65:127:2]
    true = np.cos(2 * np.pi * cycles * (np.arange(32, 63) + 0.5))
    return float(answer @ true / (true @ true))


def answer_to(work, method, line, fold):
    """`line` sampled `fold` times a voxel, from its first to its last voxel."""
    save(work / "line.nii", np.broadcast_to(line[:, None, None], (len(line), 3, 3)))
    return values(work, "line.nii", method, "--spacing", f"{1 / fold},1,1")[:, 1, 1][: (len(line) - 1) * fold + 1]


def save(path, samples):
    nib.save(nib.Nifti1Image(samples, np.eye(4), dtype=samples.dtype), path)


def values(work, source, method, *options):
    """Samples of `source` resampled by `method`, which may bring an option along."""
    name, *more = method.split()
    out = work / "out.nii"
    argv = [RESLICE, "resample", work / source, out, "--interp", name, *more, *options, "--overwrite", "-q"]
    done = subprocess.run([str(a) for a in argv], capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"exit {done.returncode}: {' '.join(map(str, argv))}\n{done.stderr}")
    return np.asarray(nib.load(out).dataobj).copy()


def resampled(work, source, method, *options):
    """The middle plane as rows of a picture: bytes, 0 to 1 of floats over the whole range."""
    plane = values(work, source, method, *options)[:, :, 1].T
    return windowed(plane, 0, 1) if plane.dtype.kind == "f" else plane


def windowed(plane, low, high):
    return np.clip(np.rint((plane.astype(np.float64) - low) * 255 / (high - low)), 0, 255).astype(np.uint8)


def sheet(path, tiles, zoom=1, columns=COLUMNS):
    """All tiles with their names, in rows of `columns`; greys in 64 steps, which nobody sees and which pack well."""
    tiles = {name: tile.repeat(zoom, axis=0).repeat(zoom, axis=1) for name, tile in tiles.items()}
    height, width = next(iter(tiles.values())).shape[:2]
    coloured = next(iter(tiles.values())).ndim == 3
    rows = -(-len(tiles) // columns)
    size = (columns * (width + GAP) - GAP, rows * (height + CAPTION + GAP) - GAP)
    canvas = Image.new("RGB" if coloured else "L", size, "white")
    draw, font = ImageDraw.Draw(canvas), ImageFont.load_default(13)
    for number, (name, tile) in enumerate(tiles.items()):
        x, y = number % columns * (width + GAP), number // columns * (height + CAPTION + GAP)
        draw.text((x + 1, y), name, fill="black", font=font)
        tile = tile if coloured else (tile // 4 * np.uint16(255) // 63).astype(np.uint8)
        canvas.paste(Image.fromarray(tile), (x, y + CAPTION))
    packed = canvas.quantize(64) if not coloured else canvas.quantize(32)
    packed.save(path, optimize=True)
    print(f"{path.name}: {size[0]}x{size[1]}, {path.stat().st_size // 1024} KiB")


if __name__ == "__main__":
    main()
