"""tcpwhy watch beside 11,000 connections a second: every one is told, whole, and nothing is lost.

TCPWHY_LIVE_SECONDS: for so long (3); TCPWHY_LIVE_RATE: so many a second."""
import json
import os
import pathlib
import signal
import subprocess

from live import PATIENCE, Case, is_in, skip, wait_for

case = Case()
if case.backend != "bpf":
    skip("watch needs the kernel's tracepoints")
seconds, rate = (float(os.environ.get(f"TCPWHY_LIVE_{name}", usual)) for name, usual in (("SECONDS", 3), ("RATE", 11_000)))
# Each waits for a minute in TIME-WAIT.
for setting, value in (("ip_local_port_range", "1024 65535"), ("tcp_max_tw_buckets", "2000000")):
    pathlib.Path(f"/proc/sys/net/ipv4/{setting}").write_text(value)
path = case.folder / "told"
with open(path, "w") as told:
    watch = case.start(case.tcpwhy, "watch", "-o", "ndjson", stdout=told, stderr=subprocess.PIPE, text=True)
    wait_for("the watch waits", lambda: is_in("poll", f"/proc/{watch.pid}"))
    load = subprocess.run([case.program("connections"), str(rate), str(seconds)], stdout=subprocess.PIPE, text=True, check=True,
                          timeout=3 * PATIENCE + 10 * seconds)
    made, took = load.stdout.split()
    wait_for("every end is told", lambda: path.read_bytes().count(b"\n") >= int(made))
    watch.send_signal(signal.SIGINT)
    _, error = watch.communicate(timeout=PATIENCE)
# The machine's other connections are told too.
lines = [line for line in map(json.loads, path.read_text().splitlines()) if line["command"] == "connections"]
print(f"{made} connections, {int(made) / float(took):.0f} a second; {len(lines)} told")
assert watch.returncode == 0 and "lost" not in error, error
assert len(lines) == int(made), (len(lines), made)
# The server closes first, once it has answered; whole lives: nothing of them was missed in silence.
whole = [line for line in lines if line["why"] == "life.in_order" and {line["bytes_sent"], line["bytes_received"]} == {6, 7}]
assert len(whole) == len(lines), next(line for line in lines if line not in whole)
print("ok")
