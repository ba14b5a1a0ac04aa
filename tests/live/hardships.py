"""A traced program that forks a thousand times, that becomes another one, that is killed; a tracer that is killed. Nothing is lost in
silence, and nothing stays: no BPF program, no stopped process."""
import os
import shutil
import signal
import subprocess
import sys
import tempfile

from live import PATIENCE, Case, is_in, need, text_of, wait_for

case = Case()
if case.backend == "bpf":
    need("bpftool")


def program_ids(pid):
    """Of the BPF programs that a process holds."""
    ids = set()
    for fd in os.listdir(f"/proc/{pid}/fdinfo"):
        ids |= {line.split()[1] for line in text_of(f"/proc/{pid}/fdinfo/{fd}").splitlines() if line.startswith("prog_id:")}
    return ids


def lives(program_id):
    return subprocess.run(["bpftool", "prog", "show", "id", program_id], capture_output=True).returncode == 0


def state(pid):
    return next((line.split()[1] for line in text_of(f"/proc/{pid}/status").splitlines() if line.startswith("State:")), "gone")


def lost(story):
    return sum(event["count"] for event in story.losses())


# A thousand children, each of which is another program after its exec.
trace = case.trace("sh", "-c", "i=0; while [ $i -lt 1000 ]; do /bin/true & i=$((i+1)); [ $((i % 50)) = 0 ] && wait; done; wait; exec /bin/false")
story = trace.story(patience=3 * PATIENCE)
assert trace.process.returncode == 1, trace.process.returncode
ended = [event for event in story.events.values() if event["kind"] == "process_ended"]
assert len(ended) <= 1001 and len(ended) + lost(story) >= 1001, (len(ended), story.losses())
names = {story.actor(event) for event in ended}
assert "true" in names and "false" in names, names

# Killed: its death passes through.
trace = case.trace("sleep", "1000")
pid = wait_for("the command runs", lambda: trace.traced("sleep", missing_ok=True))
wait_for("it sleeps", lambda: is_in("clock_nanosleep", f"/proc/{pid}"))
os.kill(pid, signal.SIGKILL)
story = trace.story()
assert trace.process.returncode == -signal.SIGKILL, trace.process.returncode
[end] = [event for event in story.events.values() if event["kind"] == "process_ended"]
assert end["signal"] == "SIGKILL", end

# The tracer is killed: what it was attached to goes on, and the kernel takes the programs away.
target = case.start(sys.executable, "-c", "import sys\nfor line in sys.stdin: print(line, end='', flush=True)", stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE, text=True)
trace = case.attach(target.pid)
programs = program_ids(trace.process.pid)
assert bool(programs) == (case.backend == "bpf"), programs
assert all(map(lives, programs)), programs
trace.process.kill()
trace.process.wait()
target.stdin.write("still here\n")
target.stdin.flush()
assert target.stdout.readline() == "still here\n"
assert state(target.pid) in "SRD", state(target.pid)
assert "TracerPid:\t0\n" in text_of(f"/proc/{target.pid}/status")
wait_for("no program of the tracer's is left", lambda: not any(map(lives, programs)))

# A program whose file only root may read is not dumpable: to anybody else its descriptors can't be looked at, which is said.
if case.backend == "ptrace" and os.environ["TCPWHY_LIVE_ROOT"] == "yes" and shutil.which("setpriv"):
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        hidden = os.path.join(folder, "hidden")
        shutil.copyfile(shutil.which("true"), hidden)
        os.chmod(hidden, 0o711)
        said = subprocess.run(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=-all", case.tcpwhy, "trace",
                               "--backend", "ptrace", "--lang", "en", "--", hidden], capture_output=True, text=True, cwd=folder)
        assert said.returncode == 0 and "lost 1 process's calls: " in said.stdout + said.stderr, said
case.done()
