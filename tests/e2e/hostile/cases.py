"""Hostile cases, made from a seed: what is put in the way, what is run, and what must hold afterwards.

A case is a function of a `Case`; it may run the command several times. `Case.run` holds every run against what all of them must keep to.
"""

import array
import gzip
import json
import os
import random
import shutil
import socket
import struct
import subprocess
import sys
import time
from pathlib import Path

from command import RESLICE, digest

HERE = Path(__file__).resolve().parent
MIB = 1 << 20
SECONDS = 20
SHAPE = (40, 36, 30)
BUDGET_MIB = 96
PRECIOUS = b"not yours"
CONTROLS = ("\x1b[2J", "\x1b]0;owned\x07", "\x9b31m", "\r", "\x08", "\u202e", "\u2066", "\x7f", "\x0c")
# How targets are named, and written.
TARGETS = (
    ("out.nii", ()),
    ("out.nii.gz", ()),
    ("out.hdr", ()),
    ("out.zarr", ("--chunk", "8", "--shard", "16")),
    ("out.zarr", ("--chunk", "8", "--shard", "none")),
    ("out.zarr", ("--chunk", "8", "--ome", "0.4")),
)
ODD = (
    "nan", "inf", "-inf", "-0", "0", "1e300", "-1e300", "1e-300", "1e12", "1e7", "", " ", "-1", "18446744073709551615",
    "18446744073709551616", "9223372036854775807", "1e19", "0x10", "1,2", "1,2,3,4", ",", "1,,3", "nan,nan,nan",
    "1e300,1,1", "4294967296", "2147483647", "0.0000001", "é", "1e", "--", "1:0", "0:0", "-5:5", "0:1e9", ":",
    "0:18446744073709551615,0:1,0:1", "99999999999999999999999", "1e400",
)
ODD_OPTIONS = (
    "--spacing", "--size", "--scale", "--region", "--chunk", "--shard", "--level", "--memory", "--threads", "--outside",
    "--spacing-in", "--orient", "--align", "--dtype", "--codec", "--gzip", "--pyramid", "--rank", "--interp",
    "--isotropic", "--rounding", "--ome", "--channel", "--time",
)


class Wrong(AssertionError):
    """What must hold does not."""


class Launcher:
    """A small process that runs the commands."""

    def __init__(self):
        argv = [sys.executable, "-I", "-S", str(HERE / "launch.py")]
        self.process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.leasts = {}

    def run(self, **case):
        self.process.stdin.write(json.dumps(case) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def least(self, kind):
        """Address space with which the command begins; with less, the system cannot load it."""
        if kind not in self.leasts:
            low, high = 0, 1 << 30
            while high - low > 1 << 16:
                middle = (low + high) // 2
                done = self.run(argv=[RESLICE, "--version"], cwd="/", seconds=SECONDS, limits={kind: middle})
                low, high = (low, middle) if done["code"] == 0 else (middle, high)
            self.leasts[kind] = high
        return self.leasts[kind]

    def close(self):
        self.process.stdin.close()
        self.process.wait()


class Case:
    def __init__(self, launcher, sources, folder, seed):
        self.launcher, self.sources, self.folder = launcher, sources, folder
        self.random, self.runs = random.Random(seed), []
        folder.mkdir()
        os.chmod(folder, 0o777)

    def path(self, name):
        return self.folder / name

    def take(self, *names):
        """Copies of sources, in the folder of the case."""
        for name in names:
            source = self.sources / name
            copy = shutil.copytree if source.is_dir() else shutil.copyfile
            copy(source, self.path(name))

    def run(self, *args, budget_mib=BUDGET_MIB, **how):
        """Runs the command, which must not panic, end by a signal, hang, take too much, or print what a terminal obeys."""
        argv = [RESLICE, *map(str, args)]
        done = self.launcher.run(argv=argv, cwd=str(self.folder), seconds=SECONDS, **how)
        self.runs.append((args, how, done))
        if done["late"]:
            raise Wrong(f"still running after {SECONDS} s")
        if done["code"] < 0:
            raise Wrong(f"ended by signal {-done['code']}")
        text = done["stdout"] + done["stderr"]
        for word in ("panicked", "RUST_BACKTRACE", "memory allocation of", "stack overflow"):
            if word in text:
                raise Wrong(f"{word!r} in the output")
        if odd := sorted({c for c in text if is_control(c)}):
            raise Wrong(f"characters that a terminal obeys: {odd}")
        if done["peak_bytes"] > budget_mib * MIB:
            raise Wrong(f"peak {done['peak_bytes'] / MIB:.1f} of {budget_mib} MiB")
        if done["code"] not in (0, 1, 2, 75):
            raise Wrong(f"exit {done['code']}")
        is_told = "error: " in text or '"event":"error"' in text
        if done["code"] in (1, 2) and args[0] not in ("compare", "verify") and not is_told:
            raise Wrong("no error is told")
        return done

    def resample(self, source, target, *options, **how):
        return self.run("resample", source, target, "--memory", f"{BUDGET_MIB}MiB", "--progress", "none", *options, **how)

    def hold(self, is_so, what):
        if not is_so:
            raise Wrong(what)

    def precious(self, at):
        at.mkdir(parents=True, exist_ok=True)
        (at / "letter.txt").write_bytes(PRECIOUS)

    def is_whole(self, at):
        self.hold((at / "letter.txt").is_file() and (at / "letter.txt").read_bytes() == PRECIOUS, f"{at} is not as it was")

    def right(self, target, options):
        """The bytes of an undisturbed run."""
        key = "-".join((target, *options)).replace("/", "_")
        kept = self.sources / f"right-{key}.txt"
        if not kept.exists():
            folder = self.sources / f"right-{key}"
            folder.mkdir()
            argv = [RESLICE, "resample", self.sources / "scan.nii", folder / target, *options, "--threads", "2"]
            subprocess.run(list(map(str, argv)), check=True, capture_output=True)
            kept.write_text(digest_of(folder / target))
        return kept.read_text()


def is_control(c):
    code = ord(c)
    return (
        (code < 32 and c not in "\n\t") or 0x7F <= code <= 0x9F or 0x202A <= code <= 0x202E or 0x2066 <= code <= 0x2069
    )


def digest_of(target):
    if target.suffix == ".hdr":
        return digest(target) + digest(target.with_suffix(".img"))
    return digest(target)


def nifti(shape, dtype, bits, intent, samples):
    """A NIfTI-1 file: header, four bytes, samples."""
    header = bytearray(352)
    struct.pack_into("<i", header, 0, 348)
    struct.pack_into("<8h", header, 40, len(shape), *shape, *[1] * (7 - len(shape)))
    struct.pack_into("<3h", header, 68, intent, dtype, bits)
    struct.pack_into("<8f", header, 76, 1, 1, 1.2, 1.5, 1, 1, 1, 1)
    struct.pack_into("<f", header, 108, 352)
    header[123] = 2
    struct.pack_into("<2h", header, 252, 0, 1)
    struct.pack_into("<12f", header, 280, 1, 0, 0, 0, 0, 1.2, 0, 0, 0, 0, 1.5, 0)
    header[344:348] = b"n+1\0"
    return bytes(header) + samples


def make_sources(folder):
    rng = random.Random(11)
    nx, ny, nz = SHAPE
    noise = array.array("H", (rng.randrange(4000) for _ in range(nx * ny * (nz - 10))))
    scan = nifti(SHAPE, 512, 16, 0, noise.tobytes() + bytes(2 * nx * ny * 10))
    (folder / "scan.nii").write_bytes(scan)
    (folder / "scan.nii.gz").write_bytes(gzip.compress(scan))
    moved = array.array("f", (rng.random() - 0.5 for _ in range(3 * nx * ny * nz)))
    warp = nifti((*SHAPE, 1, 3), 16, 32, 1007, moved.tobytes())
    (folder / "warp.nii.gz").write_bytes(gzip.compress(warp))
    (folder / "moved.mat").write_text("1 0 0 2\n0 1 0 0\n0 0 1 1\n0 0 0 1\n")
    (folder / "points.csv").write_text("x,y,z\n1,2,3\n4,5,6\n")
    (folder / "jobs.tsv").write_text("input\toutput\nscan.nii\tone.nii\nscan.nii\ttwo.zarr\n")
    for name, options in (("in.zarr", ("--chunk", "8", "--shard", "16")), ("plain.zarr", ("--chunk", "8", "--shard", "none"))):
        argv = [RESLICE, "resample", folder / "scan.nii", folder / name, *options]
        subprocess.run(list(map(str, argv)), check=True, capture_output=True)


def command(case):
    """Any command on the sources, by name, with its target."""
    target, options = case.random.choice(TARGETS)
    source = case.random.choice(("scan.nii", "scan.nii.gz", "in.zarr", "plain.zarr"))
    memory = ("--memory", f"{BUDGET_MIB}MiB", "--threads", str(case.random.choice((1, 2, 4, 8))))
    return case.random.choice((
        ("resample", source, target, *options, *memory),
        ("resample", source, target, *options, *memory, "--resume"),
        ("resample", source, target, *options, "--scale", "0.7", "--interp", "cubic", *memory),
        ("resample", source, target, *options, "--transform", "warp.nii.gz", *memory),
        ("resample", source, "levels.zarr", "--pyramid", *memory),
        ("compare", source, "scan.nii", *memory),
        ("verify", source, *memory),
        ("info", source),
        ("points", "points.csv", "--transform", "warp.nii.gz"),
        ("batch", "jobs.tsv", *memory),
    ))


ALL = ("scan.nii", "scan.nii.gz", "in.zarr", "plain.zarr", "warp.nii.gz", "moved.mat", "points.csv", "jobs.tsv")


def threads(case):
    """No thread to be had."""
    case.take(*ALL)
    user = 20_000 + case.random.randrange(1_000_000)
    for path in case.folder.rglob("*"):
        os.chown(path, user, user)
    os.chown(case.folder, user, user)
    args = command(case)
    done = case.run(*args, user=user, limits={"threads": case.random.randrange(1, 9)})
    # The trouble of a comparison, and of what is verified, is 2.
    case.hold(done["code"] in (0, 2 if args[0] in ("compare", "verify") else 1), f"exit {done['code']}")


def file_size(case):
    """Files may not become long."""
    case.take(*ALL)
    args = command(case)
    done = case.run(*args, limits={"file": case.random.choice((2048, 4096, 1 << 13, 1 << 14, 1 << 15, 1 << 16, 1 << 18))})
    if args[0] == "resample" and done["code"]:
        case.hold(not case.path(args[2]).exists(), "a target that looks complete")


def space(case):
    """Little address space."""
    case.take(*ALL)
    kind = case.random.choice(("space", "space", "data"))
    least = case.launcher.least(kind)
    most = least + (300 if kind == "space" else 60) * MIB
    args = list(command(case))
    if "--memory" in args and case.random.random() < 0.5:
        at = args.index("--memory")
        del args[at : at + 2]
    # Most of them just above what the program needs to begin.
    limit = int(least + (most - least) * case.random.random() ** 2)
    done = case.run(*args, budget_mib=max(BUDGET_MIB, 400), limits={kind: limit})
    if args[0] == "resample" and done["code"]:
        case.hold(not case.path(args[2]).exists(), "a target that looks complete")


def odd_arguments(case):
    """Numbers that are none, too large, or nothing."""
    case.take("scan.nii", "in.zarr")
    options = []
    for _ in range(case.random.randrange(1, 3)):
        options += [case.random.choice(ODD_OPTIONS), case.random.choice(ODD)]
    if case.random.random() < 0.4:
        options.append("--antialias")
    target, more = case.random.choice(TARGETS)
    memory = () if "--memory" in options else ("--memory", f"{BUDGET_MIB}MiB")
    dry = ("--dry-run",) if case.random.random() < 0.5 else ()
    more = () if {"--chunk", "--shard", "--ome"} & set(options) else more
    case.run("resample", case.random.choice(("scan.nii", "in.zarr")), target, *more, *memory, *options, *dry, budget_mib=1 << 20 if not memory else BUDGET_MIB)


def special(case, name):
    """Something under `name` that is no file."""
    path, kind = case.path(name), case.random.choice(("pipe", "socket", "folder", "device", "loop"))
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as end:
            here = os.getcwd()
            os.chdir(path.parent)
            end.bind(path.name)
            os.chdir(here)
    elif kind == "folder":
        path.mkdir()
    elif kind == "device":
        path.symlink_to(case.random.choice(("/dev/zero", "/dev/full", "/dev/null", "/dev/tty")))
    else:
        path.symlink_to(name)


def specials(case):
    """Pipes, sockets, devices, folders and loops where files are expected."""
    case.take("scan.nii", "moved.mat", "points.csv", "in.zarr")
    name = case.random.choice(("s.nii", "s.nii.gz", "s.mat", "s.tsv", "s.csv", "s.zarr"))
    special(case, name)
    shutil.copyfile(case.path("scan.nii"), case.path("pair.hdr"))
    if not case.path("pair.img").exists():
        special(case, "pair.img")
    (case.path("list.txt")).write_text(f"{name}\n")
    key = case.random.choice(("zarr.json", "0/zarr.json", "0/c/0/0/0"))
    args = case.random.choice((
        ("resample", name, "o.nii"), ("resample", "scan.nii", "o.nii", "--like", name), ("info", name), ("verify", name),
        ("compare", name, "scan.nii"), ("compare", "scan.nii", name), ("points", name, "--transform", "moved.mat"),
        ("points", "points.csv", "--transform", name), ("batch", name), ("resample", "pair.hdr", "o.nii"), ("info", "pair.hdr"),
        ("resample", "scan.nii", "o.nii", "--transform", name), ("resample", "scan.nii", "o.nii", "--transform-list", name),
        ("resample", "scan.nii", "o.nii", "--transform-list", "list.txt"), ("resample", "scan.nii", name),
        ("resample", "scan.nii", name, "--overwrite"), ("resample", "scan.nii", name, "--resume"), ("pyramid", name),
        ("resample", "in.zarr", "o.nii"), ("verify", "in.zarr"), ("pyramid", "in.zarr", "--levels", "1"),
    ))
    if "in.zarr" in args:
        case.path("in.zarr", ).joinpath(key).unlink()
        special(case, f"in.zarr/{key}")
    case.run(*args)


def controls(case):
    """Characters that terminals obey: in names, tables, transforms, metadata, leases and arguments."""
    case.take("scan.nii", "in.zarr", "points.csv")
    odd = "".join(case.random.choice(CONTROLS) for _ in range(case.random.randrange(1, 4)))
    name = f"a{odd}b"
    shutil.copyfile(case.path("scan.nii"), case.path(f"{name}.nii"))
    case.path(f"{name}.mat").write_text(f"1 {odd} 2\n")
    case.path("odd.tsv").write_text(f"input\toutput\tinterp\nscan.nii\t{name}.nii\t{odd}\n{odd}\to.nii\t\n")
    case.path("odd.csv").write_text(f"x,y,z,{odd}\n1,2,{odd},4\n")
    document = json.loads(case.path("in.zarr/zarr.json").read_text())
    level = json.loads(case.path("in.zarr/0/zarr.json").read_text())
    scales = document["attributes"]["ome"]["multiscales"][0]
    change = case.random.randrange(8)
    if change == 0:
        scales["axes"][0]["unit"] = odd
    elif change == 1:
        scales["name"] = name
    elif change == 2:
        scales["datasets"][0]["path"] = odd
    elif change == 3:
        level["codecs"][0]["name"] = odd
    elif change == 4:
        level["data_type"] = odd
    elif change == 5:
        scales["axes"][0]["name"] = name
    elif change == 6:
        document["attributes"]["ome"]["version"] = odd
    case.path("in.zarr/zarr.json").write_text(json.dumps(document))
    case.path("in.zarr/0/zarr.json").write_text(json.dumps(level))
    stray = case.path("in.zarr") / f"{odd.replace('/', '')}.txt"
    stray.write_bytes(b"")
    state = case.path("leased.nii.reslice")
    state.mkdir()
    holder = {"host": odd, "boot": "", "namespace": 0, "pid": 1, "started": 1, "writer": odd, "of": 1}
    (state / "lease-0-of-1").write_text(json.dumps(holder))
    case.run(*case.random.choice((
        ("info", f"{name}.nii"), ("info", f"{name}.nii", "--json"), ("info", f"{odd}.nii"), ("info", "in.zarr"),
        ("info", "in.zarr", "--json"), ("verify", "in.zarr"), ("verify", "in.zarr", "--json"), ("compare", "in.zarr", "scan.nii"),
        ("resample", "in.zarr", "o.nii"), ("resample", "in.zarr", "o.zarr", "-v"), ("resample", "scan.nii", "in.zarr", "--overwrite"),
        ("resample", f"{name}.nii", f"o{odd}.nii", "-v"), ("resample", "scan.nii", "o.nii", "--transform", f"{name}.mat"),
        ("batch", "odd.tsv"), ("batch", "odd.tsv", "--keep-going"), ("points", "odd.csv", "--transform", f"{name}.mat"),
        ("resample", "scan.nii", "o.nii", f"--spac{odd}ing", "1"), ("resample", "scan.nii", "o.nii", "--spacing", odd),
        ("resample", "scan.nii", "leased.nii"), ("resample", f"{name}.nii", "o.nii", "--dry-run=json"),
        ("resample", f"{name}.nii", "o.nii", "--progress", "json"), ("pyramid", "in.zarr", "--levels", "1"),
    )))


def links(case):
    """Links, of this user and another, under the names that a run writes to."""
    case.take("scan.nii")
    precious = case.path("elsewhere")
    case.precious(precious)
    target, options = case.random.choice(TARGETS)
    name = case.random.choice((target, f"{target}.reslice", f"{target}.reslice/target", f"{target}.reslice/job.json"))
    link = case.path(name)
    link.parent.mkdir(exist_ok=True)
    link.symlink_to(case.random.choice((precious, precious / "letter.txt", case.path("nowhere"))))
    if case.random.random() < 0.5:
        os.chown(link, 54_321, 54_321, follow_symlinks=False)
    before = sorted(p.name for p in precious.iterdir())
    case.resample("scan.nii", target, *options, *case.random.choice(((), ("--resume",), ("--overwrite",), ("--restart",))))
    case.is_whole(precious)
    case.hold(sorted(p.name for p in precious.iterdir()) == before, "something was written through a link")
    case.hold(not case.path("nowhere").exists(), "something was written through a link to nowhere")


def hurt(path, how, random_):
    time.sleep(0.03)
    data = path.read_bytes()
    path.unlink()
    if how == "cut":
        path.write_bytes(data[: random_.randrange(len(data))] if data else b"")
    elif how == "longer":
        path.write_bytes(data + b"\0" * random_.randrange(1, 5000))
    elif how == "other":
        path.write_bytes(bytes(b ^ 0x5A for b in data))
    elif how == "one byte":
        at = random_.randrange(max(len(data), 1))
        path.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :] if data else b"")
    elif how == "zeros":
        path.write_bytes(bytes(len(data)))


def journals(case):
    """Records that speak of files which were cut, removed or replaced."""
    case.take("scan.nii")
    target, options = case.random.choice(TARGETS)
    of = case.random.randrange(2, 5)
    done = [n for n in range(of) if case.random.random() < 0.6] or [0]
    if len(done) == of:
        done.pop()
    for n in done:
        share = case.resample("scan.nii", target, *options, "--rank", f"{n}/{of}")
        case.hold(share["code"] == 0, "a share was not made")
        if case.path(target).exists():
            # So small a target may have fewer units than ranks.
            case.hold(digest_of(case.path(target)) == case.right(target, options), f"{target} has other bytes")
            return
    state = case.path(f"{target}.reslice")
    files = [p for p in state.rglob("*") if p.is_file() and str(p.relative_to(state)).startswith("target")]
    for path in case.random.sample(files, min(len(files), case.random.randrange(1, 3))):
        if path.name not in ("zarr.json", ".zarray", ".zattrs", ".zgroup"):
            hurt(path, case.random.choice(("cut", "removed", "longer", "other", "one byte", "zeros")), case.random)
    if case.random.random() < 0.3:
        journal = case.random.choice(list(state.glob("journal-*")) or [state / "job.json"])
        hurt(journal, case.random.choice(("cut", "removed", "one byte")), case.random)
    last = case.resample("scan.nii", target, *options, "--resume")
    if last["code"] == 0:
        case.hold(digest_of(case.path(target)) == case.right(target, options), f"{target} has other bytes")
    else:
        case.hold(not case.path(target).exists(), "a target that looks complete")
        case.hold("hint: " in last["stderr"] or "caused by" in last["stderr"] or "expected" in last["stderr"], "no way out")


def foreign(case):
    """Somebody's files where a target is to be, or beside it; and slashes."""
    case.take("scan.nii")
    target, options = case.random.choice(TARGETS)
    at = case.path(case.random.choice((target, f"{target}.reslice", f"{target}/below", f"{target}.reslice/target.d")))
    if target.endswith(".zarr") and case.random.random() < 0.5:
        case.resample("scan.nii", target, *options)
        at = case.path(target) / case.random.choice(("notes", "0/notes", "0/c/notes"))
    at = at if at.name != "target.d" else at.parent
    case.precious(at)
    slash = case.random.choice(("", "/", "//"))
    case.resample("scan.nii", target + slash, *options, *case.random.choice((("--overwrite",), ("--restart",), ("--resume",), ())))
    case.is_whole(at)


def repeated(case):
    """A finished job that comes again, with a slash at its end or through a field, is known."""
    case.take("scan.nii", "warp.nii.gz", "moved.mat")
    target, options = case.random.choice(TARGETS)
    transform = case.random.choice(((), ("--transform", "warp.nii.gz"), ("--transform", "moved.mat,ras")))
    how = case.random.choice((("--resume",), ("--rank", "0/1")))
    slash = case.random.choice(("", "/"))
    first = case.resample("scan.nii", target, *options, *transform, *how)
    case.hold(first["code"] == 0, "the job did not end")
    again = case.resample("scan.nii", target + slash, *options, *transform, *how)
    case.hold(again["code"] == 0 and "finished already" in again["stderr"], "the job was not known again")
    beside = {p.name for p in case.folder.iterdir()} - {"scan.nii", "warp.nii.gz", "moved.mat", "out.img"}
    case.hold(beside <= {target, f"{target}.reslice"}, f"left: {beside}")


def lost(case):
    """Chunks and shards of ours that are gone."""
    name = case.random.choice(("in.zarr", "plain.zarr"))
    case.take("scan.nii", name)
    chunks = sorted(p for p in case.path(name).rglob("c/*/*/*") if p.is_file())
    for path in case.random.sample(chunks, case.random.randrange(1, 4)):
        path.unlink()
    begin = [case.random.randrange(n - 1) for n in SHAPE]
    region = ",".join(f"{b}:{case.random.randrange(b + 1, n + 1)}" for b, n in zip(begin, SHAPE))
    options = case.random.choice(((), ("--region", region)))
    target, more = case.random.choice(TARGETS)
    done = case.resample(name, target, *more, *options)
    if done["code"] == 0:
        # A part that none of them belongs to.
        case.hold(options, "lost chunks became voxels")
        case.resample("scan.nii", "right.nii", *options)
        same = case.run("compare", target, "right.nii")
        case.hold(same["code"] == 0, "lost chunks became voxels")
    else:
        case.hold("chunks are absent" in done["stderr"], "the numbers are not told")
        case.hold(not case.path(target).exists(), "a target that looks complete")
    case.hold(case.run("verify", name)["code"] == 1, "verify finds nothing")
    case.hold(case.run("compare", name, "scan.nii")["code"] == 2, "compare finds nothing")


KINDS = (threads, file_size, space, odd_arguments, specials, controls, links, journals, foreign, repeated, lost)
