"""A real Slurm on one machine: munged, one slurmctld and three slurmd, all in one temporary folder.

    with Cluster() as cluster:
        job = cluster.sbatch("job.sbatch", "argument", options=["--mem=64M"])
        cluster.wait(job)

Nothing of it outlives the context: every process that it starts, jobs too, carries the folder's name in SLURM_CONF and
is ended by that. No cgroups are used; memory is held to by Slurm's own sampling, once a second. As a program it starts
the cluster and a shell inside it.
"""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PACKAGES = ["munge", "slurmctld", "slurmd", "slurm-client"]
COMMANDS = ["munged", "slurmctld", "slurmd", "sbatch", "srun", "scontrol"]
NODES = ["node1", "node2", "node3"]
PATH = os.environ.get("PATH", "") + ":/usr/local/sbin:/usr/sbin:/sbin"
ENDED = {"COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "OUT_OF_MEMORY", "NODE_FAIL", "BOOT_FAIL", "DEADLINE"}

SLURM_CONF = """\
ClusterName=e2e
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={port}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
CredType=cred/munge
AuthInfo=socket={folder}/munge.socket
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool.%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.%n.pid
SlurmdLogFile={folder}/%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SwitchType=switch/none
MailProg=/bin/true
PropagateResourceLimits=NONE

# A node has more CPUs here than the machine: what is tested is order, not speed.
SlurmdParameters=config_overrides
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
{nodes}
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP

# A job over its memory is killed, as a cgroup would.
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=1
JobAcctGatherParams=OverMemoryKill

# Jobs start at once; after SIGTERM a job has 15 seconds (30 where nothing is set).
SchedulerType=sched/backfill
SchedulerParameters=batch_sched_delay=0,sched_interval=1,sched_min_interval=0,bf_interval=1
JobRequeue=1
KillWait=15
OverTimeLimit=0
MessageTimeout=20
ReturnToService=2
SlurmctldTimeout=30
SlurmdTimeout=60
"""


class Missing(Exception):
    """Slurm is not here and cannot be installed."""


def install():
    """Installs Slurm and munge from the distribution where they are missing."""
    if all(shutil.which(name, path=PATH) for name in COMMANDS):
        return
    if not shutil.which("apt-get"):
        raise Missing("no Slurm here, and no apt-get to install it with")
    as_root = [] if os.geteuid() == 0 else ["sudo", "-n"]
    if as_root and subprocess.run([*as_root, "true"], capture_output=True).returncode != 0:
        raise Missing("no Slurm here, and installing it needs root")
    for step in (["update", "-qq"], ["install", "-y", "-qq", "--no-install-recommends", *PACKAGES]):
        argv = [*as_root, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", *step]
        done = subprocess.run(argv, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=600)
        if done.returncode != 0:
            raise Missing(f"apt-get {step[0]}: {done.stderr.strip()[-500:]}")


class Cluster:
    """One controller and three nodes of four CPUs and 4 GiB each, on loopback."""

    def __init__(self, commands=None):
        """`commands` is a folder that jobs search for commands first."""
        self.path = f"{commands}:{PATH}" if commands else PATH
        self.daemons = []
        self.hastened = set()

    def __enter__(self):
        self.folder = Path(tempfile.mkdtemp(prefix="slurm-"))
        self.conf = self.folder / "slurm.conf"
        self.before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
        try:
            self._start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_):
        self.close()

    def _start(self):
        ports = free_ports(1 + len(NODES))
        user = pwd.getpwuid(os.getuid()).pw_name
        host = socket.gethostname().split(".")[0]
        same = f"NodeHostname={host} NodeAddr=127.0.0.1 CPUs=4 RealMemory=4096 State=UNKNOWN"
        nodes = "\n".join(f"NodeName={node} Port={port} {same}" for node, port in zip(NODES, ports[1:]))
        self.conf.write_text(SLURM_CONF.format(folder=self.folder, host=host, port=ports[0], user=user, nodes=nodes))
        for name in ["state", *(f"spool.{node}" for node in NODES)]:
            (self.folder / name).mkdir()
        key = self.folder / "munge.key"
        key.write_bytes(os.urandom(128))
        key.chmod(0o400)
        self._munged(key)
        self._daemon("slurmctld", "-D", "-i", "-f", self.conf)
        for node in NODES:
            self._daemon("slurmd", "-D", "-N", node, "-f", self.conf)
        self.until(self._idle, "idle nodes")

    def _munged(self, key):
        places = {"socket": "munge.socket", "pid-file": "munged.pid", "seed-file": "munged.seed"}
        flags = [f"--{flag}={self.folder / name}" for flag, name in places.items()]
        self.folder.chmod(0o755)
        self._daemon("munged", "--foreground", f"--key-file={key}", *flags)
        self.until(lambda: (self.folder / "munge.socket").exists(), "munged's socket")

    def _daemon(self, name, *argv):
        """Starts a daemon that ends when this process does, and that Ctrl-C does not reach."""
        argv = ["setpriv", "--pdeathsig", "TERM", shutil.which(name, path=PATH), *map(str, argv)]
        with open(self.folder / f"{name}.log", "ab") as log:
            how = {"stdin": subprocess.DEVNULL, "stdout": log, "stderr": log, "start_new_session": True}
            self.daemons.append(subprocess.Popen(argv, env=self.environment(), **how))

    def _idle(self):
        if any(daemon.poll() is not None for daemon in self.daemons):
            raise RuntimeError(f"a daemon ended at once:\n{self.logs()}")
        seen = self.run("sinfo", "-h", "-N", "-o", "%N %t", check=False).stdout.split("\n")
        return all(f"{node} idle" in seen for node in NODES)

    def until(self, ready, what, seconds=60):
        """Waits until `ready()`; gives what it gave."""
        end = time.monotonic() + seconds
        while not (found := ready()):
            if time.monotonic() > end:
                raise TimeoutError(f"no {what} in {seconds} s:\n{self.logs()}")
            time.sleep(0.05)
        return found

    def close(self):
        """Ends the daemons, then the jobs and whatever else is left, and removes the folder."""
        for daemon in reversed(self.daemons):
            daemon.terminate()
        for daemon in reversed(self.daemons):
            try:
                daemon.wait(5)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()
        # Again for those that a dying script has just started.
        for pid in (pid for _ in range(3) for pid in self.processes()):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        shutil.rmtree(self.folder, ignore_errors=True)
        signal.signal(signal.SIGTERM, self.before)

    def processes(self, **variables):
        """Processes of this cluster, by their environment: `SLURM_JOB_ID="7"` are those of one job."""
        wanted = {f"{name}={value}".encode() for name, value in {"SLURM_CONF": self.conf, **variables}.items()}
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                if wanted <= set((folder / "environ").read_bytes().split(b"\0")):
                    yield int(folder.name)
            except OSError:
                pass

    def environment(self, **more):
        """What a process of the cluster sees: no variable of another Slurm."""
        mine = {k: v for k, v in os.environ.items() if not k.startswith(("SLURM_", "SBATCH_", "SRUN_", "RESLICE"))}
        return {**mine, "PATH": self.path, "SLURM_CONF": str(self.conf), **more}

    def run(self, *argv, check=True, timeout=120, **variables):
        done = subprocess.run(
            [str(a) for a in argv],
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=timeout,
            env=self.environment(**variables),
        )
        if check and done.returncode != 0:
            raise RuntimeError(f"{argv}: exit {done.returncode}\n{done.stdout}{done.stderr}\n{self.logs()}")
        return done

    def sbatch(self, script, *arguments, options=(), folder=".", **variables):
        """Submits a script; gives the job's number."""
        options = ["--parsable", f"--chdir={folder}", f"--output={folder}/%x-%j.log", *options]
        return self.run("sbatch", *options, script, *arguments, **variables).stdout.strip()

    def tasks(self, job):
        """The facts of a job, or of each task of an array, as Slurm has them."""
        text = self.run("scontrol", "show", "job", "-o", job).stdout
        return [dict(word.split("=", 1) for word in line.split() if "=" in word) for line in text.splitlines()]

    def wait(self, *jobs, seconds=120):
        """Waits for the ends of jobs and gives their facts; a requeued one need not wait its two minutes."""
        facts = []

        def ended():
            facts[:] = [task for job in jobs for task in self.tasks(job)]
            self.hasten(facts)
            return all(task["JobState"] in ENDED for task in facts)

        self.until(ended, f"end of jobs {jobs}", seconds)
        return facts

    def hasten(self, tasks):
        """Lets requeued jobs start in two seconds, when what is left of the run before is surely gone."""
        for task in tasks:
            run = (task["JobId"], task["Restarts"])
            if task["JobState"] == "PENDING" and task["Reason"] == "BeginTime" and run not in self.hastened:
                self.run("scontrol", "update", f"JobId={run[0]}", "StartTime=now+2seconds")
                self.hastened.add(run)

    def logs(self):
        texts = [(path, path.read_text(errors="replace")[-2000:]) for path in sorted(self.folder.glob("*.log"))]
        return "\n".join(f"--- {path.name}\n{text}" for path, text in texts if text)


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()


if __name__ == "__main__":
    install()
    with Cluster() as cluster:
        print(f"SLURM_CONF={cluster.conf}", file=sys.stderr)
        subprocess.run(sys.argv[1:] or [os.environ.get("SHELL", "bash")], env=cluster.environment())
