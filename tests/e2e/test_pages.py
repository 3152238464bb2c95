"""The checks of the pages find what is wrong: .ci/links on a small repository."""

import shutil
import subprocess
from pathlib import Path

import pytest

LINKS = Path(__file__).resolve().parents[2] / ".ci" / "links"
README = "# Hello, world: `x`\n\n[a](docs/a.md) [b](docs/a.md#two-words) [c](#hello-world-x) [d](https://example.org/none)\n"
PAGE = "# A\n\n## Two words\n\n```\n[in code](none.md)\n```\n\n`[in code](none.md)` ![p](p.svg)\n"


@pytest.fixture
def repository(tmp_path):
    (tmp_path / ".ci").mkdir()
    (tmp_path / "docs").mkdir()
    shutil.copy(LINKS, tmp_path / ".ci" / "links")
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    (tmp_path / "README.md").write_text(README)
    (tmp_path / "docs/a.md").write_text(PAGE)
    (tmp_path / "docs/p.svg").write_text("")
    (tmp_path / "docs/SUMMARY.md").write_text("- [A](a.md)\n")
    return tmp_path


def check(repository):
    run = subprocess.run([repository / ".ci" / "links"], capture_output=True, text=True)
    return run.returncode, run.stdout


def test_links_that_lead_somewhere(repository):
    assert check(repository) == (0, "links: 6 links of 3 pages lead somewhere\n")


@pytest.mark.parametrize(
    ("page", "text", "says"),
    [
        ("README.md", "[a](docs/none.md)", "README.md:1: (docs/none.md) is not there"),
        ("README.md", "[a](docs/a.md#three)", "README.md:1: (docs/a.md#three) has no heading 'three'"),
        ("README.md", "[a](/docs/a.md)", "begins at the root"),
        ("README.md", "[a](../elsewhere)", "leads out of the repository"),
        ("README.md", "text\n[a]: none.md", "README.md:2: (none.md) is not there"),
        ("docs/a.md", "[r](../README.md)", "leads out of docs/"),
        ("docs/b.md", "# B", "docs/b.md stands not in docs/SUMMARY.md"),
    ],
)
def test_links_that_do_not(repository, page, text, says):
    (repository / page).write_text(text + "\n")
    code, said = check(repository)
    assert code == 1 and says in said, said
