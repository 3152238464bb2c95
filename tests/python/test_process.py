"""The process: Ctrl-C, threads, forks, memory, the command."""

import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

import reslice

from conftest import noise

#: A run of many seconds, of a file that is small.
LONG = "spacing=0.15, interpolation='lanczos6', threads=2"


def test_ctrl_c_within_a_second_and_what_is_stored_is_kept(scan, tmp_path):
    source = scan("scan.nii", (150, 150, 60))
    script = f"""
import reslice, sys, time
try:
    reslice.resample({str(source)!r}, "out.ome.zarr", {LONG}, chunk=32, shard="none",
                     progress=lambda done, total: print("at work", done, flush=True))
except KeyboardInterrupt as stopped:
    print("interrupted:", stopped, flush=True)
    # Python goes on.
    print(reslice.info({str(source)!r}).grid.shape)
    sys.exit(7)
"""
    process = subprocess.Popen([sys.executable, "-c", script], cwd=tmp_path, stdout=subprocess.PIPE, text=True)
    lines = []
    for line in process.stdout:
        lines.append(line)
        if line.startswith("at work") and int(line.split()[2]) >= 3:
            break
    begun = time.monotonic()
    process.send_signal(signal.SIGINT)
    rest = process.stdout.read()
    code = process.wait(30)
    took = time.monotonic() - begun
    assert code == 7, rest
    assert "what is stored is kept" in rest and "(150, 150, 60)" in rest
    assert took < 1.5, took
    assert not (tmp_path / "out.ome.zarr").exists() and (tmp_path / "out.ome.zarr.reslice").exists()
    status = subprocess.run(
        [sys.executable, "-m", "reslice._command", "status", "out.ome.zarr", "--json"], cwd=tmp_path, capture_output=True, text=True
    )
    assert '"unfinished"' in status.stdout, status.stdout + status.stderr


def test_ctrl_c_in_a_slice(scan, tmp_path):
    source = scan("scan.nii", (150, 150, 60))
    script = f"""
import reslice, sys
volume = reslice.open({str(source)!r}).resampled(spacing=0.15, interpolation="lanczos6", threads=1)
print("reading", flush=True)
try:
    volume[:, :, :300]
except KeyboardInterrupt:
    print(volume[3:5, 3, 3].shape)
    sys.exit(7)
"""
    process = subprocess.Popen([sys.executable, "-c", script], cwd=tmp_path, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "reading\n"
    time.sleep(0.3)
    begun = time.monotonic()
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == 7 and process.stdout.read() == "(2,)\n"
    assert time.monotonic() - begun < 1.5


def test_python_goes_on_meanwhile(scan, tmp_path):
    """Another thread counts while a run goes on: the lock is let go."""
    source, counted, running = scan("scan.nii", (150, 150, 60)), [0], [True]

    def count():
        while running[0]:
            counted[0] += 1
            time.sleep(0.001)

    counter = threading.Thread(target=count)
    counter.start()
    begun = time.monotonic()
    reslice.resample(source, tmp_path / "out.nii", spacing=0.4, interpolation="lanczos4", threads=1)
    took = time.monotonic() - begun
    running[0] = False
    counter.join()
    assert counted[0] > max(5, 50 * took), (took, counted)


def test_threads_share_a_volume_and_run_jobs(scan, tmp_path):
    source = scan("scan.ome.zarr")
    volume = reslice.open(source, memory="32MiB").resampled(isotropic=1.1)
    whole, problems = np.asarray(volume), []

    def read(seed):
        rng = np.random.default_rng(seed)
        try:
            for _ in range(20):
                x, y, z = (int(rng.integers(0, n)) for n in volume.shape)
                if not np.array_equal(volume[x:, y, : z + 1], whole[x:, y, : z + 1]):
                    problems.append((seed, x, y, z))
            done = reslice.resample(source, tmp_path / f"{seed}.nii", isotropic=1.1, memory="64MiB")
            assert done.grid == volume.grid
        except Exception as error:  # told below
            problems.append(error)

    threads = [threading.Thread(target=read, args=(seed,)) for seed in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not problems
    assert len({(tmp_path / f"{seed}.nii").read_bytes() for seed in range(6)}) == 1


def test_children_of_a_fork_go_on(scan, child):
    source = scan("scan.nii.gz")
    other = scan("scan.ome.zarr")
    told = child(
        f"""
        import multiprocessing, os, warnings
        import numpy as np, reslice
        warnings.simplefilter("ignore")
        volumes = [reslice.open(name).resampled(isotropic=1.1) for name in ({str(source)!r}, {str(other)!r})]
        whole = [np.asarray(volume) for volume in volumes]
        reslice.resample({str(source)!r}, "parent.nii", isotropic=1.1)

        def work(n):
            same = all(np.array_equal(volume[n:], array[n:]) for volume, array in zip(volumes, whole))
            reslice.resample({str(source)!r}, f"child{{n}}.nii", isotropic=1.1)
            image = reslice.resample_array(np.ones((4, 4, 4)), np.eye(4), scale=2)
            return same and image.shape == (8, 8, 8)

        with multiprocessing.get_context("fork").Pool(3) as pool:
            print(all(pool.map(work, range(6), chunksize=1)))
        files = [open(name, "rb").read() for name in ["parent.nii", *(f"child{{n}}.nii" for n in range(6))]]
        print(len(set(files)))
        # The parent goes on, too.
        print(np.array_equal(volumes[0][5:], whole[0][5:]))
        """
    )
    assert told.split() == ["True", "1", "True"]


def test_a_volume_behind_a_url_is_opened_anew_after_a_fork(scan, child, tmp_path):
    scan("scan.ome.zarr")
    told = child(
        """
        import functools, http.server, os, threading
        import numpy as np, reslice

        class Quiet(http.server.SimpleHTTPRequestHandler):
            def log_message(self, *_):
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory="."))
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/scan.ome.zarr"
        volume = reslice.open(url)
        here = reslice.open("scan.ome.zarr")
        print(np.array_equal(volume[3:5], here[3:5]), flush=True)
        pid = os.fork()
        if pid == 0:
            try:
                volume[9:12]
            except reslice.OptionError as error:
                print("do not outlive a fork" in str(error), error.hint, flush=True)
            os._exit(0)
        os.waitpid(pid, 0)
        print(np.array_equal(volume[9:12], here[9:12]))
        """
    )
    assert told.split("\n")[:3] == ["True", "True open it again in this process", "True"]


def test_forked_children_have_names_of_their_own(scan, child):
    """Runs of two children at one target do not take each other for themselves."""
    source = scan("scan.nii", (150, 150, 60))
    told = child(
        f"""
        import os, signal, warnings
        import reslice
        warnings.simplefilter("ignore")
        reslice.resample({str(source)!r}, "first.nii", spacing=2)
        begun, tells = os.pipe()

        def stops(done, total):
            if done:
                os.write(tells, b"at work")
                os.kill(os.getpid(), signal.SIGSTOP)

        pid = os.fork()
        if pid == 0:
            reslice.resample({str(source)!r}, "same.nii", {LONG}, progress=stops)
            os._exit(0)
        os.read(begun, 1)
        try:
            reslice.resample({str(source)!r}, "same.nii", {LONG})
            print("both at work")
        except reslice.StorageError as error:
            print("refused" if f"process {{pid}}" in str(error) else error)
        os.kill(pid, 9)
        os.waitpid(pid, 0)
        """
    )
    assert told.strip() == "refused"


def peak_script(source, memory, body):
    return f"""
    import numpy, reslice, warnings
    warnings.simplefilter("ignore")
    def status(name):
        with open("/proc/self/status") as lines:
            return next(int(line.split()[1]) << 10 for line in lines if line.startswith(name))
    reslice.resample_array(numpy.ones((4, 4, 4)), numpy.eye(4), scale=2)
    held = status("VmRSS")
    {body}
    print(status("VmHWM") - held)
    """


@pytest.mark.parametrize("name", ["big.nii.gz", "big.nii"])
def test_a_run_keeps_to_its_memory(scan, child, name):
    source = scan(name, (300, 300, 150))
    body = f'reslice.resample({str(source)!r}, "out.nii.gz", spacing=0.8, memory="40MiB", threads=2)'
    assert int(child(peak_script(source, 0, body))) <= 40 << 20


def test_slices_keep_to_their_memory(tmp_path, child):
    rng = np.random.default_rng(0)
    data = rng.integers(0, 4000, (400, 300, 300), dtype=np.int16)
    reslice.resample(reslice.Image(data, np.eye(4)), tmp_path / "big.ome.zarr", chunk=64, shard="none")
    body = f"""
    volume = reslice.open("big.ome.zarr", memory="32MiB", threads=2).resampled(isotropic=0.7)
    held = status("VmRSS")
    rng = numpy.random.default_rng(1)
    for _ in range(60):
        x, y, z = (int(rng.integers(0, n - 48)) for n in volume.shape)
        volume[x : x + 48, y : y + 48, z : z + 48]"""
    taken = int(child(peak_script(None, 0, body.strip())))
    # The arrays that are handed out are the caller's.
    assert taken <= (32 << 20) + 2 * 48**3 * 2, taken


def test_the_command_is_the_command(scan, tmp_path):
    run = lambda *words, **more: subprocess.run(["reslice", *words], cwd=tmp_path, capture_output=True, text=True, **more)  # noqa: E731
    path = os.pathsep.join([os.path.dirname(sys.executable), os.environ["PATH"]])
    environment = {**os.environ, "PATH": path}
    version = run("--version", env=environment)
    assert version.returncode == 0 and version.stdout == f"reslice {reslice.__version__}\n"
    source = scan()
    done = run("resample", str(source), "out.nii.gz", "--spacing", "1", env=environment)
    assert done.returncode == 0 and "26 x" in done.stderr or "26x" in done.stderr
    wrong = run("resample", str(source), "--reference", "x", env=environment)
    assert wrong.returncode == 2 and "--like" in wrong.stderr
    differ = run("compare", str(source), "out.nii.gz", env=environment)
    assert differ.returncode == 1 and differ.stdout.startswith("A ")


def test_the_command_stops_as_the_program_does(scan, tmp_path):
    source = scan("scan.nii", (150, 150, 60))
    words = "resample {} out.ome.zarr --spacing 0.15 --interp lanczos6 --chunk 32 --shard none --progress json".format(source)
    process = subprocess.Popen([sys.executable, "-m", "reslice._command", *words.split()], cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    for line in process.stderr:
        if '"blocks_done":' in line and '"blocks_done":0' not in line:
            break
    process.send_signal(signal.SIGTERM)
    rest = process.stderr.read()
    assert process.wait(20) == 75 and "--resume goes on" in rest


def test_budgets_come_from_the_environment(scan, child):
    source = scan("scan.nii", (150, 150, 60))
    script = f"""
    import reslice
    try:
        reslice.resample({str(source)!r}, "out.nii", spacing=0.5)
    except reslice.MemoryLimitError as error:
        print(error.hint)
    """
    assert "memory=" in child(script, env={**os.environ, "RESLICE_MEMORY": "1MiB"})
    assert noise().dtype == np.int16
