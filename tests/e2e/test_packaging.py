"""The recipes of packaging/: linted, rendered, of the version of Cargo.toml; what they copy is what cargo asks for. Completions and manual pages."""

import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGING = ROOT / "packaging"
VERSION = tomllib.loads((ROOT / "Cargo.toml").read_text())["package"]["version"]


@pytest.fixture(scope="module")
def tools():
    """The folder of the linters."""
    made = subprocess.run([ROOT / "tests/e2e/venv", PACKAGING], check=True, capture_output=True, text=True)
    return Path(made.stdout.strip()).parent


def test_the_dockerfile_is_clean(tools):
    run = subprocess.run([tools / "hadolint", PACKAGING / "Dockerfile"], capture_output=True, text=True)
    assert run.returncode == 0, run.stdout
    # The linter finds what is wrong, where something is.
    bad = subprocess.run([tools / "hadolint", "-"], input="FROM debian\nRUN cd /tmp\n", capture_output=True, text=True)
    assert bad.returncode == 1


def test_the_conda_recipe_renders(tools):
    run = subprocess.run([tools / "python", PACKAGING / "render.py"], capture_output=True, text=True)
    assert run.stdout.split() == ["reslice", VERSION], run.stderr


def copied(name):
    """What a recipe takes from the clone."""
    text = (PACKAGING / name).read_text()
    if name == "Dockerfile":
        words = [line.split()[1:-1] for line in text.splitlines() if line.startswith("COPY ") and "--from" not in line]
        return sorted(word for line in words for word in line)
    section = text.split("%files\n")[1].split("%post")[0]
    return sorted(line.split()[0] for line in section.splitlines() if line.strip())


def test_cargo_has_all_that_it_asks_for(tmp_path):
    assert copied("Dockerfile") == copied("reslice.def")
    for name in copied("Dockerfile"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, tmp_path / name)
        assert f"!{name}" in (PACKAGING / "Dockerfile.dockerignore").read_text().split()
    words = ["cargo", "metadata", "--locked", "--offline", "--no-deps", "--format-version", "1"]
    run = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True)
    assert run.returncode == 0 and '"name":"reslice"' in run.stdout, run.stderr


@pytest.mark.parametrize(
    ("file", "pattern"),
    [
        ("packaging/Dockerfile", r'image\.version="([\d.]+)"'),
        ("packaging/reslice.def", r"Version ([\d.]+)"),
        ("examples/workflows/nextflow/modules/reslice/resample/main.nf", r'container "reslice:([\d.]+)"'),
        ("examples/workflows/nextflow/modules/reslice/resample/environment.yml", r"reslice=([\d.]+)"),
    ],
)
def test_versions_are_the_same(file, pattern):
    assert re.search(pattern, (ROOT / file).read_text())[1] == VERSION


@pytest.mark.parametrize(("shell", "check"), [("bash", ["bash", "-n"]), ("zsh", ["zsh", "-n"]), ("fish", ["fish", "-n"])])
def test_completions_are_scripts_of_their_shell(reslice, tmp_path, shell, check):
    script = tmp_path / "script"
    script.write_text(reslice("completions", shell).stdout)
    if not shutil.which(check[0]):
        pytest.skip(f"{shell} is not installed")
    subprocess.run([*check, script], check=True)


def test_manual_pages_have_a_head(reslice):
    for command in ("", "resample", "pyramid", "info", "compare", "points", "verify", "status", "batch", "demo", "completions"):
        page = reslice("man", *([command] if command else [])).stdout
        assert ".TH" in page and ".SH NAME" in page and ".SH SYNOPSIS" in page, command


def test_the_command_needs_no_home_folder_and_no_more_than_its_target(reslice, tmp_path):
    """As in a container that is read-only, without variables."""
    reslice("demo", tmp_path / "demo", env={"PATH": "/usr/bin:/bin", "HOME": "/nonexistent", "TMPDIR": "/nonexistent"})
