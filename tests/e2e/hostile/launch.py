"""Runs commands under limits, one after the other, for whoever writes to its stdin: a process so small that its own memory does not count.

A line of JSON each way: {argv, cwd, user, limits, seconds} in, {code, peak_bytes, stdout, stderr, late} out.
"""

import json
import os
import resource
import signal
import sys
import tempfile
import time

LIMITS = {"threads": resource.RLIMIT_NPROC, "file": resource.RLIMIT_FSIZE, "space": resource.RLIMIT_AS, "data": resource.RLIMIT_DATA}
MOST_TEXT = 1 << 20


def child(case, out, err):
    os.chdir(case["cwd"])
    os.setsid()
    os.dup2(os.open("/dev/null", os.O_RDONLY), 0)
    os.dup2(out.fileno(), 1)
    os.dup2(err.fileno(), 2)
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for name, value in case.get("limits", {}).items():
        resource.setrlimit(LIMITS[name], (value, value))
    if user := case.get("user"):
        os.setgroups([])
        os.setgid(user)
        os.setuid(user)
    os.execv(case["argv"][0], case["argv"])


def run(case):
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        pid = os.fork()
        if pid == 0:
            try:
                child(case, out, err)
            except (OSError, MemoryError) as error:
                os.write(2, f"launcher: {error}\n".encode())
            finally:
                os._exit(127)
        end, late = time.monotonic() + case["seconds"], False
        while (done := os.wait4(pid, os.WNOHANG))[0] == 0:
            if time.monotonic() > end and not late:
                late = True
                os.kill(pid, signal.SIGKILL)
            time.sleep(0.002)
        _, status, usage = done
        texts = []
        for file in (out, err):
            file.seek(0)
            texts.append(file.read(MOST_TEXT).decode("utf-8", "replace"))
        code = os.waitstatus_to_exitcode(status)
        return {"code": code, "peak_bytes": usage.ru_maxrss << 10, "stdout": texts[0], "stderr": texts[1], "late": late}


for line in sys.stdin:
    print(json.dumps(run(json.loads(line))), flush=True)
