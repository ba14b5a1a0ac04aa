"""tcpwhy ps and tcpwhy watch beside very many sockets: none is missing, every end is told, and what each socket costs in memory has a limit.

TCPWHY_LIVE_SOCKETS: so many (20,000), half of them accepted ones; tried with 200,000."""
import json
import os
import pathlib
import resource
import signal
import socket
import subprocess
import time

from live import PATIENCE, Case, is_in, skip, wait_for

MOST_BYTES_A_SOCKET = {"ps": 500, "ps -a": 700, "ps -o json": 700, "watch": 1000}
CLOSED_A_SECOND = 1000  # by each holder

case = Case()
if case.backend != "bpf":
    skip("watch needs the kernel's tracepoints")
wanted = int(os.environ.get("TCPWHY_LIVE_SOCKETS", 20_000))
patience = PATIENCE + wanted / 1000
for setting, value in (("ip_local_port_range", "1024 65535"), ("tcp_max_tw_buckets", "0")):
    pathlib.Path(f"/proc/sys/net/ipv4/{setting}").write_text(value)


class Holders:
    """Processes that hold the sockets, each as many as it may have descriptors; both ends of a connection are in one."""

    def __init__(self, connections):
        limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
        each = min(20_000, (limit - 100) // 2)  # a listener's port takes so many from the ports of the ephemeral range
        self.controls, self.pids = [], set()
        while connections > 0:
            self.fork(min(connections, each))
            connections -= each
        for control in self.controls:
            assert control.recv(1) == b"r", "the sockets could not be opened"

    def fork(self, connections):
        ours, theirs = socket.socketpair()
        if (pid := os.fork()) != 0:
            theirs.close()
            self.pids.add(pid)
            self.controls.append(ours)
            return
        try:
            ours.close()
            for control in self.controls:
                control.close()
            listener = socket.create_server(("127.0.0.1", 0), backlog=4096)
            sockets = []
            for _ in range(connections):
                client = socket.create_connection(listener.getsockname())
                sockets += [client, listener.accept()[0]]
            theirs.send(b"r")
            if theirs.recv(1) == b"c":  # else the parent has ended
                for at in range(0, len(sockets), 20):
                    for one in sockets[at:at + 20]:
                        one.close()
                    time.sleep(10 / CLOSED_A_SECOND)
                theirs.send(b"c")
        finally:
            os._exit(0)

    def close(self):
        for control in self.controls:
            control.send(b"c")
        for control in self.controls:
            assert control.recv(1) == b"c"
        for pid in self.pids:
            os.waitpid(pid, 0)


def peak_bytes(pid):
    lines = pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) * 1024


def ps(*options):
    """Its peak memory in bytes, and what it said."""
    path = case.folder / "ps"
    with open(path, "w") as out:
        child = subprocess.Popen([case.tcpwhy, "ps", *options], stdout=out)
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = status
    assert status == 0, (options, status)
    return usage.ru_maxrss * 1024, path


def within(name, bytes_before, bytes_beside):
    each = max(0, bytes_beside - bytes_before) / wanted
    print(f"{name:12} {bytes_beside / 2**20:7.1f} MB, {each:6.0f} bytes a socket")
    assert each <= MOST_BYTES_A_SOCKET[name], (name, each)


variants = {"ps": (), "ps -a": ("-a",), "ps -o json": ("-o", "json")}
few = {name: ps(*options)[0] for name, options in variants.items()}
path = case.folder / "told"
with open(path, "w") as told:
    idle = case.start(case.tcpwhy, "watch", "-o", "ndjson", stdout=subprocess.DEVNULL)
    wait_for("a watch beside nobody waits", lambda: is_in("poll", f"/proc/{idle.pid}"))
    watch_few = peak_bytes(idle.pid)
    idle.send_signal(signal.SIGINT)
    assert idle.wait(PATIENCE) == 0
    holders = Holders(wanted // 2)
    for name, options in variants.items():
        beside, said = ps(*options)
        within(name, few[name], beside)
        if name == "ps -o json":
            named = said.read_bytes().count(b'"cookie":')
            assert named >= wanted, named
    watch = case.start(case.tcpwhy, "watch", "-o", "ndjson", stdout=told, stderr=subprocess.PIPE, text=True)
    # Its programs are attached, and what is there already is known, when it waits for their first word.
    deadline = time.monotonic() + patience
    while not is_in("poll", f"/proc/{watch.pid}"):
        assert time.monotonic() < deadline, "the watch does not wait"
        time.sleep(0.05)
    holders.close()
    deadline = time.monotonic() + patience
    while path.read_bytes().count(b"\n") < wanted // 2 and time.monotonic() < deadline:
        time.sleep(0.1)
    peak = peak_bytes(watch.pid)
    watch.send_signal(signal.SIGINT)
    _, error = watch.communicate(timeout=patience)
# The machine's other connections are told too.
ended = [line for line in map(json.loads, path.read_text().splitlines()) if line["event"] == "ended" and line["pid"] in holders.pids]
print(f"watch told the ends of {len(ended)} of {wanted // 2} connections")
assert watch.returncode == 0 and "lost" not in error, error
assert len(ended) == wanted // 2, len(ended)
within("watch", watch_few, peak)
case.done()
