"""read --calls: a server and a client under strace, their packets by tcpdump. The calls that strace wrote are tied to the segments that
they sent, as they are for a traced program; only those of the connection that is asked for; a log of another hour is told; and what the calls
tell of a reset beats what the packets alone would let one think.

Run as  strace_calls.py TCPWHY
"""
import json
import os
import re
import subprocess
import sys
import tempfile

from live import enter_own_network, need, skip, wait_for

ENDS = """
import os, socket
server = socket.socket()
server.bind(("127.0.0.1", 0))
server.listen()
name = server.getsockname()
if os.fork() == 0:
    server.close()
    client = socket.create_connection(name)
    client.send(b"hello")
    client.recv(100)
    client.recv(100)
    client.close()
    os._exit(0)
peer, _ = server.accept()
peer.recv(100)
peer.send(b"good bye")
peer.close()
os.wait()
"""

# Answers nothing, and aborts: to who sees packets alone as if it had left them unread.
ABORTS = """
import os, socket, struct
server = socket.socket()
server.bind(("127.0.0.1", 0))
server.listen()
client = socket.create_connection(server.getsockname())
peer, _ = server.accept()
client.send(b"hello")
peer.recv(100)
peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
peer.close()
"""

need("strace", "tcpdump")
enter_own_network()
if subprocess.run(["strace", "-o", "/dev/null", "true"], capture_output=True).returncode != 0:
    skip("strace may trace nothing here")

tcpwhy = sys.argv[1]
python = os.path.realpath(sys.executable)


def read(capture, *options):
    return subprocess.run([tcpwhy, "read", capture, "--stream", "0", *options], capture_output=True, text=True)


def is_over(capture):
    ran = read(capture, "-o", "json")
    return ran.returncode == 0 and json.loads(ran.stdout)["connection"]["listener"]["state"] in ("TIME-WAIT", "CLOSED")


def record(folder, program):
    """The capture and the log of what the program does with one connection."""
    capture, log = f"{folder}/lo.pcap", f"{folder}/strace.log"
    tcpdump = subprocess.Popen(["tcpdump", "-n", "-i", "lo", "-U", "-s", "200", "-w", capture, "tcp"],
                               stderr=subprocess.PIPE, text=True)
    try:
        said = tcpdump.stderr.readline()
        while said and "listening on" not in said:
            said = tcpdump.stderr.readline()
        if not said:
            skip("tcpdump may capture nothing here")
        subprocess.run(["strace", "-o", log, "-f", "-ttt", "-T", "-yy", "-e", "trace=network,desc",
                        python, "-S", "-E", "-c", program], check=True)
        wait_for("the last segment in the capture", lambda: is_over(capture))
    finally:
        tcpdump.terminate()
        tcpdump.wait()
    return capture, log


with tempfile.TemporaryDirectory() as folder:
    capture, log = record(folder, ABORTS)
    alone = read(capture).stdout
    assert "lay unread" in alone and "assumed" in alone, alone
    beside = read(capture, "--calls", log, "--width", "160").stdout
    assert "SO_LINGER was set to {on, 0}" in beside and "lay unread" not in beside, beside
    assert ": SO_LINGER 0" in beside.splitlines()[1], beside

with tempfile.TemporaryDirectory() as folder:
    capture, log = record(folder, ENDS)
    later = f"{folder}/later.log"
    ran = read(capture, "--calls", log, "-o", "json")
    assert ran.returncode == 0 and ran.stderr == "", ran.stderr
    document = json.loads(ran.stdout)
    recording, segments = document["recording"], document["connection"]["segments"]
    [connection] = [c for c in recording["connections"] if len(c["segments"]) == len(segments)]
    calls = {event["id"]: event["name"] for event in recording["events"] if event["kind"] == "call_entered"}
    sent_by = [(s["from"], s["flags"], calls.get(s["cause"]["by"])) for s in connection["segments"]
               if s["cause"]["trigger"] == "call" and (s["length"] > 0 or set(s["flags"]) & set("SF"))]
    assert sent_by == [("opener", "S", "connect"), ("opener", "P.", "sendto"), ("listener", "P.", "sendto"),
                       ("listener", "F.", "close"), ("opener", "F.", "close")], sent_by
    opener, listener = connection["opener"]["actors"], connection["listener"]["actors"]
    assert opener and listener and not set(opener) & set(listener), (opener, listener)
    assert {s["event"] for s in segments} == {s["departed"] for s in connection["segments"]}
    assert all(name not in ("openat", "fstat", "mmap") for name in calls.values()), calls

    text = read(capture, "--calls", log, "--width", "160").stdout
    for wanted in ('sendto(3, "hello", 5, 0, NULL, 0)', "connect(3, 127.0.0.1:", "accept4(", "listen(", "frame 1 ",
                   "All three segments left inside"):
        assert wanted in text, text

    with open(log) as lines, open(later, "w") as out:
        for line in lines:
            out.write(re.sub(r"(\d{10})(\.\d{6})", lambda m: f"{int(m[1]) + 3600}{m[2]}", line, count=1))
    assert "do not overlap" in read(capture, "--calls", later).stderr
    wrong = read(capture, "--calls", capture)
    assert wrong.returncode == 3 and "not a log of strace" in wrong.stderr, wrong.stderr
