"""Report pages in a real browser: what is drawn, clicks, keys, blinking, dark and light, 360 pixels wide.

Chromium comes from the system (installed as root on Debian where it is missing), and playwright drives it, from an environment of its own.
REPORT_PICTURES=docs/pictures makes those of the documentation; all others go to pytest's folder.
"""

import base64
import io
import json
import os
import shutil
import site
import subprocess
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from command import reslice, resample

HERE = Path(__file__).parent
MOST_PAGE_BYTES = 3_000_000
MOST_PICTURE_BYTES = 200_000
DOCUMENTED = {"demo-light", "labels-dark", "microscopy-light"}
WIDE, NARROW = {"width": 1180, "height": 900}, {"width": 360, "height": 740}
DATA = Path(os.environ.get("RESLICE_DATA", HERE.parents[2] / ".." / "shared" / "data"))


def chromium():
    """The browser, installed where that can be done."""
    name = os.environ.get("CHROMIUM", "chromium")
    if not shutil.which(name) and os.geteuid() == 0 and shutil.which("apt-get"):
        for step in (["apt-get", "update", "-qq"], ["apt-get", "install", "-y", "-qq", "--no-install-recommends", "chromium"]):
            subprocess.run(step, check=False, capture_output=True, timeout=900)
    return shutil.which(name)


@pytest.fixture(scope="session")
def browser():
    executable = chromium()
    if not executable:
        pytest.skip("no chromium here, and none could be installed")
    made = subprocess.run([HERE / "venv", HERE / "browser"], capture_output=True, text=True, timeout=900, check=False)
    if made.returncode:
        pytest.skip(f"playwright could not be installed: {made.stderr.strip()[-200:]}")
    packages = next((Path(made.stdout.strip()).parents[1] / "lib").glob("python3.*/site-packages"))
    site.addsitedir(str(packages))
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox", "--disable-dev-shm-usage"])
        yield opened
        opened.close()


@pytest.fixture
def page_of(browser):
    """Opens a report from the disk, without network; fails on any error of its script and on any request."""
    contexts = []

    def opened(path, viewport=WIDE, **options):
        context = browser.new_context(viewport=viewport, **options)
        contexts.append(context)
        page = context.new_page()
        page.troubles = []
        page.on("pageerror", lambda error: page.troubles.append(str(error)))
        page.on("console", lambda message: page.troubles.append(message.text) if message.type == "error" else None)
        page.on("request", lambda request: None if request.url.startswith(("file:", "data:")) else page.troubles.append(request.url))
        assert path.stat().st_size < MOST_PAGE_BYTES
        page.goto(path.resolve().as_uri())
        page.wait_for_selector("html[data-ready=yes]", timeout=60_000)
        return page

    yield opened
    for context in contexts:
        for page in context.pages:
            assert not page.troubles, page.troubles
        context.close()


def keep(page, name, folder):
    """A screenshot of the first screen; those of DOCUMENTED go where REPORT_PICTURES says."""
    if name in DOCUMENTED and "REPORT_PICTURES" in os.environ:
        folder = HERE.parents[1] / os.environ["REPORT_PICTURES"]
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"report-{name}.png"
    from PIL import Image

    shot = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    # 64 steps a colour instead of 256 make the file small.
    shot.point(lambda v: v if v > 247 else round(v / 4) * 4).save(path, optimize=True)
    assert path.stat().st_size > 10_000
    assert name not in DOCUMENTED or path.stat().st_size < MOST_PICTURE_BYTES


def write(path, voxels, affine):
    image = nib.Nifti1Image(voxels, affine)
    image.header.set_xyzt_units("mm")
    nib.save(image, path)
    return path


def ellipsoid(shape, centre, radii):
    grids = np.meshgrid(*(np.arange(n) for n in shape), indexing="ij")
    return sum(((g - c) / r) ** 2 for g, c, r in zip(grids, centre, radii)) <= 1


def ct(folder):
    """A body of Hounsfield units, leaning in the scanner."""
    rng, shape = np.random.default_rng(1), (150, 120, 40)
    voxels = np.full(shape, -1000.0)
    voxels[ellipsoid(shape, (75, 60, 20), (62, 48, 60))] = 50
    for x in (45, 105):
        voxels[ellipsoid(shape, (x, 56, 20), (22, 30, 16))] = -850
    voxels[ellipsoid(shape, (75, 92, 20), (10, 9, 60))] = 700
    voxels[ellipsoid(shape, (75, 48, 18), (14, 16, 10))] = 130
    voxels += rng.normal(0, 12, shape)
    s, c = np.sin(0.2), np.cos(0.2)
    affine = np.array([[-1.6, 0, 0, 120], [0, -1.6 * c, 4 * s, 90], [0, 1.6 * s, 4 * c, -80], [0, 0, 0, 1]])
    return write(folder / "ct.nii.gz", voxels.round().astype(np.int16), affine)


def labels(folder):
    shape = (90, 110, 60)
    voxels = np.zeros(shape, np.int16)
    for label, centre, radii in [(2, (45, 55, 30), (38, 48, 26)), (17, (32, 55, 28), (9, 20, 9)), (53, (60, 52, 30), (10, 16, 10)), (4, (45, 40, 34), (5, 12, 6))]:
        voxels[ellipsoid(shape, centre, radii)] = label
    return write(folder / "labels.nii.gz", voxels, np.diag([-2.0, -2.0, 2.5, 1]))


def microscopy(folder):
    """Cells of some micrometres in a volume that is coarse along z, as an OME-Zarr."""
    rng, shape = np.random.default_rng(3), (200, 180, 30)
    voxels = rng.poisson(90, shape).astype(float)
    for _ in range(60):
        x, y, z = (rng.integers(8, n - 8) if n > 30 else rng.integers(3, n - 3) for n in shape)
        voxels += rng.uniform(300, 2500) * np.exp(-sum(((g - c) / w) ** 2 for g, c, w in zip(np.ogrid[:shape[0], :shape[1], :shape[2]], (x, y, z), (5, 5, 1.4))))
    image = nib.Nifti1Image(voxels.clip(0, 65535).astype(np.uint16), np.diag([0.65, 0.65, 4, 1]))
    image.header.set_xyzt_units("micron")
    image.set_qform(image.affine, 0)
    image.set_sform(image.affine, 0)
    nib.save(image, folder / "cells.nii")
    resample(folder / "cells.nii", folder / "cells.ome.zarr", "--spacing-in", "0.65,0.65,4")
    return folder / "cells.ome.zarr"


def mr(folder):
    scan = DATA / "mr_head_512.nii.gz"
    if scan.exists():
        return scan
    return demo(folder)


def demo(folder):
    reslice("demo", folder / "demo")
    return folder / "demo" / "scan.nii.gz"


VOLUMES = {
    "demo": (demo, ["--spacing", "1"], "intensities"),
    "ct": (ct, ["--spacing", "2.5"], "ct"),
    "mr": (mr, ["--spacing", "1"], "intensities"),
    "labels": (labels, ["--spacing", "1.5", "--interp", "label"], "labels"),
    "microscopy": (microscopy, ["--isotropic"], "microscopy"),
}


@pytest.fixture(scope="session")
def reports(tmp_path_factory):
    """Paths of the page and of its JSON, made once for each volume."""
    folder, made = tmp_path_factory.mktemp("reports"), {}

    def report(name):
        if name not in made:
            make, options, _ = VOLUMES[name]
            source = make(folder)
            ending = ".ome.zarr" if source.name.endswith(".zarr") else ".nii.gz"
            page, data = folder / f"{name}.html", folder / f"{name}.json"
            resample(source, folder / f"{name}-resampled{ending}", *options, "--report", page, "--report-json", data)
            made[name] = (page, json.loads(data.read_text()))
        return made[name]

    return report


def pixels(page, n=0):
    """The colours of picture `n` as they are drawn: rows, columns, red, green, blue."""
    page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
    width, height, values = page.evaluate(
        """n => { const c = document.querySelector(`#picture-${n} canvas`);
           const bytes = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;
           let text = "";
           for (let at = 0; at < bytes.length; at += 8192) text += String.fromCharCode(...bytes.subarray(at, at + 8192));
           return [c.width, c.height, btoa(text)]; }""",
        n,
    )
    return np.frombuffer(base64.b64decode(values), np.uint8).reshape(height, width, 4)[..., :3]


@pytest.mark.parametrize("name", VOLUMES)
def test_each_kind_of_volume_is_shown_as_suits_it(reports, page_of, name, tmp_path):
    path, data = reports(name)
    assert data["content"] == VOLUMES[name][2]
    for scheme in ("light", "dark"):
        page = page_of(path, color_scheme=scheme)
        keep(page, f"{name}-{scheme}", tmp_path)
        ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (sum(map(int, ground[4:-1].split(","))) < 300) == (scheme == "dark")
    drawn = pixels(page)
    is_coloured = (drawn.max(axis=2).astype(int) - drawn.min(axis=2) > 40).mean() > 0.05
    assert drawn.std() > 10 and is_coloured == (name == "labels")
    letters = [text.strip() for text in page.locator("#picture-0 .edge").all_inner_texts()]
    assert letters == (["R", "L", "A", "P"] if data["anatomical"] else ["", "x →", "", "y ↓"])


def test_shapes_are_those_of_the_world(reports, page_of):
    path, data = reports("ct")
    page = page_of(path)
    for n, picture in enumerate(data["pictures"]):
        box = page.locator(f"#picture-{n} canvas").bounding_box()
        shown = box["width"] / box["height"]
        stated = picture["width"] * picture["pixel"][0] / (picture["height"] * picture["pixel"][1])
        assert abs(shown / stated - 1) < 0.02


def test_the_slider_shows_before_at_its_left_and_after_at_its_right(reports, page_of):
    page = page_of(reports("mr")[0])
    page.keyboard.press("1")
    before = pixels(page)
    page.keyboard.press("2")
    after = pixels(page)
    assert (before != after).mean() > 0.05
    page.keyboard.press("s")
    middle = before.shape[1] // 2
    both = pixels(page)
    assert (both[:, : middle - 1] == before[:, : middle - 1]).all() and (both[:, middle + 1 :] == after[:, middle + 1 :]).all()
    page.keyboard.press("ArrowLeft")
    assert (pixels(page) != both).any()
    box = page.locator("#picture-0 canvas").bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] - 2, box["y"] + box["height"] / 2, steps=4)
    page.mouse.up()
    dragged = pixels(page)
    assert (dragged[:, : int(0.97 * dragged.shape[1])] == before[:, : int(0.97 * before.shape[1])]).all()
    assert "before" in page.locator("#picture-0 .readout").inner_text()
    page.get_by_text("After", exact=True).first.click()
    assert (pixels(page) == after).all()


def test_blinking_is_slow_and_off_for_those_who_ask_for_less_motion(reports, page_of):
    path = reports("mr")[0]
    page = page_of(path)
    page.evaluate("""() => { window.changes = 0;
        new MutationObserver(() => { window.changes += 1; }).observe(document.querySelector('#picture-0 .tag.after'), { attributes: true }); }""")
    page.keyboard.press("b")
    page.wait_for_timeout(3000)
    changes = page.evaluate("window.changes")
    assert 2 <= changes <= 9, f"{changes} changes in 3 s"
    page.keyboard.press("b")
    still = pixels(page)
    page.wait_for_timeout(1500)
    assert (pixels(page) == still).all()
    calm = page_of(path, reduced_motion="reduce")
    calm.keyboard.press("b")
    still = pixels(calm)
    calm.wait_for_timeout(1500)
    assert (pixels(calm) == still).all() and "less motion" in calm.locator("#status").inner_text()


def test_windows_change_what_is_seen_and_numbers_do_not(reports, page_of):
    path, data = reports("ct")
    page = page_of(path)
    page.keyboard.press("2")
    soft = pixels(page)
    page.keyboard.press("w")
    assert page.locator("#window").input_value() == "1" and (pixels(page) != soft).mean() > 0.1
    page.locator("#window").select_option("0")
    assert (pixels(page) == soft).all()
    page.locator("#width").evaluate("e => { e.value = 100; e.dispatchEvent(new Event('input')); }")
    assert (pixels(page) != soft).any()
    shown = json.loads(page.locator("#data").evaluate("e => e.textContent"))
    assert shown == data and shown["windows"][0]["low"] == -160


def test_what_lies_outside_is_drawn_and_can_be_hidden(reports, page_of, tmp_path):
    source = mr(tmp_path)
    path = tmp_path / "outside.html"
    reference = write(tmp_path / "large.nii", np.zeros((60, 60, 60), np.uint8), np.array([[-5.0, 0, 0, 150], [0, -5, 0, 150], [0, 0, 5, -150], [0, 0, 0, 1]]))
    resample(source, tmp_path / "moved.nii", "--like", reference, "--report", path)
    page = page_of(path)
    page.keyboard.press("2")
    hatched = pixels(page)
    is_marked = (hatched[..., 0].astype(int) - hatched[..., 1] > 50).mean()
    assert is_marked > 0.02
    page.keyboard.press("o")
    plain = pixels(page)
    assert (plain[..., 0] == plain[..., 1]).all()
    assert "outside the source" in page.locator("body").inner_text()


def test_it_can_be_used_at_360_pixels_and_by_keys_alone(reports, page_of, tmp_path):
    page = page_of(reports("mr")[0], viewport=NARROW, color_scheme="dark")
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    keep(page, "mr-narrow", tmp_path)
    for _ in range(3):
        page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.matches('input, select, button, .view')")
    unnamed = page.evaluate("""() => [...document.querySelectorAll('input, select, button, [role=img]')].filter(e =>
        !e.getAttribute('aria-label') && !e.closest('label') && !e.textContent.trim()).map(e => e.outerHTML)""")
    assert unnamed == []


def test_the_text_for_a_paper_is_copied(reports, page_of):
    page = page_of(reports("ct")[0])
    page.locator("#copy").click()
    page.get_by_text("Copied.").wait_for()
    assert page.locator("#methods").inner_text().startswith("Volumes were resampled with reslice ")


def test_names_from_files_are_no_markup(page_of, tmp_path):
    name = "<img src=x onerror=document.title='run'>&amp;.nii"
    write(tmp_path / name.replace("/", ""), np.arange(1000, dtype=np.int16).reshape(10, 10, 10), np.eye(4))
    path = tmp_path / "odd.html"
    reslice("report", tmp_path / name, "--report", path)
    page = page_of(path)
    assert page.locator("h1").inner_text() == name and page.title() != "run"
