"""Every JSON that the command prints or writes, held against the schemas of docs/schema."""

import json
import subprocess
import sys
from pathlib import Path

import jsonschema
import numpy as np
import pytest
from referencing import Registry, Resource

from scans import save, straight

SCHEMAS = Path(__file__).resolve().parents[2] / "docs" / "schema"
DOCUMENTS = {path.stem: json.loads(path.read_text()) for path in SCHEMAS.glob("*.json")}
REGISTRY = Registry().with_resources((f"{name}.json", Resource.from_contents(text)) for name, text in DOCUMENTS.items())


def valid(name, document):
    """Holds a document against the schema of that name; gives it back."""
    jsonschema.Draft202012Validator(DOCUMENTS[name], registry=REGISTRY).validate(document)
    return document


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(4)
    save(tmp_path / "scan.nii.gz", rng.integers(0, 1000, (29, 23, 19), dtype=np.int16), straight())
    save(tmp_path / "series.nii", rng.integers(0, 1000, (13, 11, 7, 3), dtype=np.int16), straight())
    (tmp_path / "turn.tfm").write_text(
        "#Insight Transform File V1.0\n#Transform 0\nTransform: AffineTransform_double_3_3\n"
        "Parameters: 0.995 -0.0998 0 0.0998 0.995 0 0 0 1 0.3 -0.2 0.1\nFixedParameters: 0 0 0\n"
    )
    return tmp_path


@pytest.mark.parametrize("schema", sorted(DOCUMENTS))
def test_schemas_are_schemas(schema):
    jsonschema.Draft202012Validator.check_schema(DOCUMENTS[schema])


def test_the_page_is_made_from_the_schemas():
    subprocess.run([sys.executable, SCHEMAS / "page.py", "--check"], check=True)


SUMMARIES = [
    ("scan.nii.gz", "a.nii.gz", "--spacing", "1"),
    ("scan.nii.gz", "b.nii", "--spacing", "3", "--dtype", "u8"),
    ("scan.nii.gz", "c.ome.zarr", "--isotropic", "--pyramid", "--chunk", "8", "--shard", "16"),
    ("scan.nii.gz", "d.nii", "--like", "series.nii", "--transform", "turn.tfm"),
    ("scan.nii.gz", "e.zarr", "--size", "20", "--rank", "0/3"),
    ("series.nii", "f.nii.gz", "--scale", "2", "--interp", "bspline3"),
    ("scan.nii.gz", "g.nii", "--transform", "turn.tfm,inverse", "--interp", "label"),
    ("series.nii", "h.nii"),
]


@pytest.mark.parametrize("job", SUMMARIES)
def test_summaries_and_plans(reslice, folder, job):
    source, target, *options = job
    job = [folder / source, folder / target, *(folder / o if o.endswith("nii") else o for o in options)]
    job = [str(word).replace("turn.tfm", str(folder / "turn.tfm")) for word in job]
    plan = valid("summary", json.loads(reslice("resample", *job, "--dry-run=json").stdout))
    assert plan["target_state"]["state"] == "planned" and plan["schema"] == 1
    summary = valid("summary", json.loads(reslice("resample", *job, "--summary", "-", "-q").stdout))
    assert summary["target"] == plan["target"] and summary["peak_bytes"] > 0


def test_axes_are_in_file_order(reslice, folder):
    """One axis of three is long, and stays so in every triple; what lies outside is beyond the end of z."""
    save(folder / "long.nii", np.zeros((7, 9, 300), np.int16), np.diag([1.0, 1, 3, 1]))
    job = ("resample", folder / "long.nii", folder / "l.zarr", "--spacing", "1", "--chunk", "8,16,32", "--shard", "8,16,64")
    summary = json.loads(reslice(*job, "--summary", "-", "-q").stdout)
    assert summary["target"]["shape"] == [7, 9, 900]
    assert summary["outside"]["high"] == [0, 0, 63] and summary["outside"]["low"] == [0, 0, 0]
    for triple in ("block", "piece"):
        x, y, z = summary["passes"][0]["plan"][triple]
        assert x <= 8 and y <= 16 and z >= 32, summary["passes"][0]["plan"]
    info = json.loads(reslice("info", folder / "l.zarr", "--json").stdout)
    assert info["zarr"]["shard"] == [7, 9, 64] or info["zarr"]["shard"] == [8, 16, 64]


def test_every_warning_that_is_printed_is_in_the_summary(reslice, folder):
    """Before the run (aliasing), after it (clipped samples), about the machine (memory); quiet runs have them too."""
    job = ("resample", folder / "scan.nii.gz", "--spacing", "3", "--dtype", "u8", "--memory", "900TiB", "--summary", "-")
    run = reslice(*job[:2], folder / "a.nii", *job[2:])
    printed = [line.removeprefix("warning: ") for line in run.stderr.splitlines() if line.startswith("warning: ")]
    summary = json.loads(run.stdout)
    assert len(printed) >= 3 and sorted(summary["warnings"]) == sorted(printed)
    notes = [line.removeprefix("note: ") for line in run.stderr.splitlines() if line.startswith("note: ")]
    assert summary["notes"] == notes
    quiet = json.loads(reslice(*job[:2], folder / "b.nii", *job[2:], "-q").stdout)
    assert set(quiet["warnings"]) >= {text for text in printed if "900" not in text}


def test_pyramids(reslice, folder):
    store = folder / "p.ome.zarr"
    reslice("resample", folder / "scan.nii.gz", store, "--chunk", "8", "--shard", "16")
    plan = valid("pyramid", json.loads(reslice("pyramid", store, "--levels", "2", "--dry-run=json").stdout))
    reslice("pyramid", store, "--levels", "2", "--summary", folder / "s.json")
    made = valid("pyramid", json.loads((folder / "s.json").read_text()))
    assert made["levels"] == plan["levels"] and [level["path"] for level in made["levels"]] == ["1", "2"]


def test_answers(reslice, folder):
    scan, store = folder / "scan.nii.gz", folder / "s.ome.zarr"
    reslice("resample", scan, store, "--pyramid=1", "--chunk", "8", "--shard", "none")
    for file in (scan, folder / "series.nii", store, store / "0"):
        valid("info", json.loads(reslice("info", file, "--json").stdout))
        assert valid("verify", json.loads(reslice("verify", file, "--json").stdout))["ok"]
    same = valid("compare", json.loads(reslice("compare", scan, store, "--json").stdout))
    assert same["geometry"]["same"] and same["differences"]["different"] == 0
    other = valid("compare", json.loads(reslice("compare", scan, folder / "series.nii", "--json", expect=1).stdout))
    assert other["differences"] is None
    chunk = next(path for path in (store / "0" / "c").rglob("*") if path.is_file())
    chunk.write_bytes(b"nothing")
    assert valid("verify", json.loads(reslice("verify", store, "--json", expect=1).stdout))["problem_count"] == 1


def test_status(reslice, folder):
    def status(name, code):
        return valid("status", json.loads(reslice("status", folder / name, "--json", expect=code).stdout))

    assert status("s.zarr", 1)["state"] == "absent"
    reslice("resample", folder / "scan.nii.gz", folder / "s.zarr", "--size", "20", "--rank", "0/2")
    unfinished = status("s.zarr", 1)
    assert unfinished["state"] == "unfinished" and unfinished["ranks"] == 2 and unfinished["job"]
    reslice("resample", folder / "scan.nii.gz", folder / "s.zarr", "--size", "20", "--rank", "1/2")
    assert status("s.zarr", 0)["state"] == "finished"


def test_batches(reslice, folder):
    table = folder / "jobs.tsv"
    rows = [("input", "output", "spacing"), ("scan.nii.gz", "a.nii", "1"), ("series.nii", "b.nii", "2"), ("cut.nii", "c.nii", "1")]
    cut = (folder / "series.nii").read_bytes()
    (folder / "cut.nii").write_bytes(cut[: len(cut) // 2])
    table.write_text("".join("\t".join(str(folder / c) if "." in c else c for c in row) + "\n" for row in rows))
    options = ("--keep-going", "--memory", "256MiB")
    plans = valid("batch-plan", json.loads(reslice("batch", table, *options, "--dry-run=json", expect=1).stdout))
    assert [plan["job"] for plan in plans] == [1, 2]
    run = reslice("batch", table, *options, "--summary", "-", "--progress", "json", expect=1)
    ended = valid("batch", json.loads(run.stdout))
    assert {job["job"]: job["status"] for job in ended} == {1: "done", 2: "done", 3: "failed"}
    for line in run.stderr.splitlines():
        valid("progress", json.loads(line))


@pytest.mark.parametrize("options", [("--scale", "2"), ("--scale", "0.3", "--dtype", "u8"), ("--memory", "1MiB")])
def test_progress_lines(reslice, folder, options):
    run = reslice("resample", folder / "scan.nii.gz", folder / "p.nii.gz", *options, "--progress", "json", expect=(0, 2))
    events = [valid("progress", json.loads(line))["event"] for line in run.stderr.splitlines()]
    assert events[-1] == ("error" if run.code else "end")
    verify = reslice("verify", folder / "scan.nii.gz", "--progress", "json")
    for line in verify.stderr.splitlines():
        valid("progress", json.loads(line))
