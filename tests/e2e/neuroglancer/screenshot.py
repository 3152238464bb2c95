"""Resamples the demo's scan to an OME-Zarr pyramid, shows it in Neuroglancer, and keeps the picture.

    screenshot.py PICTURE.png

Fails unless the browser fetched byte ranges of more than one level, and the upper left view has the greys that the
stored voxels of that plane make.
"""

import contextlib
import os
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import neuroglancer
import numpy as np
import zarr
from PIL import Image

from serve import serve

RESLICE, CHROMIUM = os.environ.get("RESLICE", "reslice"), os.environ.get("CHROMIUM", "chromium")
SIZE = (1200, 800)
MOST_BYTES = 400_000
STORE = "phantom.ome.zarr"
WRITTEN = ["--isotropic", "--chunk", "32", "--shard", "128", "--pyramid"]
PLACE = {"x": -20.0, "y": 12.0, "z": -14.0}  # mm
MM_PER_PIXEL = 0.6
BRIGHTEST = 1000
SHADER = """
#uicontrol invlerp normalized
void main() { emitGrayscale(normalized()); }
"""


def main():
    picture = Path(sys.argv[1])
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        quietly(RESLICE, "demo", folder / "demo")
        quietly(RESLICE, "resample", folder / "demo" / "scan.nii.gz", folder / STORE, *WRITTEN)
        address, served = serve(folder)
        with browsing(folder) as viewer:
            shown = shoot(viewer, f"{address}/{STORE}")
            expected = plane(folder / STORE)
    check(np.asarray(shown.convert("L"), np.float64), expected, served)
    shown.save(picture, optimize=True)
    size = picture.stat().st_size
    if size > MOST_BYTES:
        sys.exit(f"{picture} has {size} bytes")
    print(f"{picture}: {shown.width}x{shown.height}, {size} bytes; {summary(served)}")


def quietly(*argv):
    done = subprocess.run([str(a) for a in argv], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"exit {done.returncode}: {' '.join(map(str, argv))}\n{done.stderr}")


@contextlib.contextmanager
def browsing(folder):
    """A viewer that a headless browser has open; WebGL in software."""
    neuroglancer.set_server_bind_address("127.0.0.1")
    viewer = neuroglancer.Viewer()
    flags = ["--headless=new", "--no-sandbox", "--no-first-run", "--disable-background-networking", "--disable-dev-shm-usage",
             "--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--ignore-gpu-blocklist",
             f"--window-size={SIZE[0]},{SIZE[1]}", f"--user-data-dir={folder / 'profile'}"]
    log = open(folder / "browser.log", "w+")
    browser = subprocess.Popen([CHROMIUM, *flags, viewer.get_viewer_url()], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        yield viewer
    finally:
        browser.terminate()
        browser.wait(timeout=30)
        log.close()
        neuroglancer.stop()


def shoot(viewer, url):
    """The four views as Neuroglancer draws them once all visible chunks are there."""
    with viewer.txn() as state:
        state.dimensions = neuroglancer.CoordinateSpace(names=list(PLACE), units="mm", scales=[1] * 3)
        state.position = list(PLACE.values())
        state.layers["phantom"] = neuroglancer.ImageLayer(
            source=f"{url}/|zarr3:", shader=SHADER, shader_controls={"normalized": {"range": [0, BRIGHTEST]}}
        )
        state.layout = neuroglancer.DataPanelLayout(type="4panel")
        state.cross_section_scale, state.projection_scale = MM_PER_PIXEL, 300
        state.projection_orientation = [-0.39, 0.25, 0.13, 0.87]
        state.cross_section_background_color = state.projection_background_color = "#000000"
        state.hide_cross_section_background_3d = True
        state.show_axis_lines = state.show_default_annotations = False
    reply, done = [], threading.Event()

    def take():
        reply.append(viewer.screenshot(size=list(SIZE)))
        done.set()

    threading.Thread(target=take, daemon=True).start()
    if not done.wait(timeout=300):
        sys.exit("the browser made no picture in 5 minutes")
    return Image.fromarray(reply[0].screenshot.image_pixels).convert("RGB")


def plane(store):
    """The stored voxels where the pixels of the upper left view look, as greys: z is level, x goes right, y down."""
    group = zarr.open_group(store, mode="r")
    steps = group.attrs["ome"]["multiscales"][0]["datasets"][0]["coordinateTransformations"]
    step, first = dict(zip("zyx", steps[0]["scale"])), dict(zip("zyx", steps[1]["translation"]))
    columns, rows = SIZE[0] // 2, SIZE[1] // 2
    at = {"x": np.arange(columns) + 0.5 - columns / 2, "y": np.arange(rows) + 0.5 - rows / 2, "z": np.zeros(1)}
    index = {a: np.rint((PLACE[a] + MM_PER_PIXEL * at[a] - first[a]) / step[a]).astype(int) for a in "zyx"}
    voxels = group["0"][index["z"][0]]
    inside = [(index[a] >= 0) & (index[a] < n) for a, n in zip("yx", voxels.shape)]
    greys = voxels[np.ix_(*(np.clip(index[a], 0, n - 1) for a, n in zip("yx", voxels.shape)))]
    return np.minimum(greys * np.outer(*inside) * (255 / BRIGHTEST), 255)


def check(pixels, expected, served):
    levels = levels_of(served)
    if len(levels) < 2 or not any(status == 206 for _, status, _ in served):
        sys.exit(f"levels {levels} were asked for, in {summary(served)}")
    shown = pixels[: expected.shape[0], : expected.shape[1]]
    # The scale bar lies over the lower left corner.
    shown, expected = shown[:-60], expected[:-60]
    alike = np.corrcoef(shown.ravel(), expected.ravel())[0, 1]
    print(f"upper left view and stored plane: correlation {alike:.4f}, median difference "
          f"{np.median(np.abs(shown - expected)):.1f} of 255")
    if not alike > 0.97:
        sys.exit("the picture does not show the stored voxels")


def levels_of(served):
    return sorted({path.split("/")[2] for path, _, _ in served if "/c/" in path})


def summary(served):
    ranges = [s for s in served if s[1] == 206]
    return f"{len(served)} requests, {len(ranges)} of byte ranges, {sum(s[2] for s in served)} bytes, levels {', '.join(levels_of(served))}"


if __name__ == "__main__":
    main()
