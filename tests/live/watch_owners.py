"""tcpwhy watch: a connection is one line, told of who accepted and closed it, not of who listened, and in 80 columns."""
import json
import os
import signal
import socket
import subprocess
import threading

from live import PATIENCE, Case, is_in, skip, wait_for

case = Case()
if case.backend != "bpf":
    skip("watch needs the kernel's tracepoints")


def watch(*options):
    process = case.start(case.tcpwhy, "watch", "--lang", "en", *options, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    wait_for("the watch waits", lambda: is_in("poll", f"/proc/{process.pid}"))
    return process


def told_by(process):
    process.send_signal(signal.SIGINT)
    out, error = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, error
    return out


listener = socket.create_server(("127.0.0.1", 0))
port = listener.getsockname()[1]
documents, chosen, text = watch("-o", "ndjson"), watch("-o", "ndjson", "--port", str(port)), watch("--width", "80")


def in_child(work):
    child = os.fork()
    if child == 0:
        work()
        os._exit(0)
    os.waitpid(child, 0)
    return child


# A server that forks for each connection; the client closes first, so nothing but the last close() tells whose it is.
client = socket.create_connection(("127.0.0.1", port))
server, _ = listener.accept()


def serve():
    client.close()
    server.recv(1)
    server.close()


threading.Timer(0.05, client.close).start()
child = os.fork()
if child == 0:
    serve()
    os._exit(0)
server.close()
os.waitpid(child, 0)

# Refused, and then connected by the same socket.
twice = socket.socket()
unused = socket.socket()
unused.bind(("127.0.0.1", 0))
try:
    twice.connect(unused.getsockname())
except ConnectionRefusedError:
    pass
twice.connect(("127.0.0.1", port))
server, _ = listener.accept()
twice.close()
server.recv(1)
server.close()

# Two generations on one port: the older one closes with a connection in its queue.
shared = socket.socket()
shared.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
shared.bind(("127.0.0.1", 0))
address = shared.getsockname()
ready, go = os.pipe(), os.pipe()
older = os.fork()
if older == 0:
    old = socket.socket()
    old.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    old.bind(address)
    old.listen()
    os.write(ready[1], b"x")
    os.read(go[0], 1)
    old.close()
    os._exit(0)
os.read(ready[0], 1)
queued = socket.create_connection(address)
shared.listen()
os.write(go[1], b"x")
os.waitpid(older, 0)
wait_for("the reset", lambda: queued.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] == 7)
queued.close()

# Reset, while its descriptor stays open; and one end that stays in CLOSE-WAIT.
kept = socket.create_connection(("127.0.0.1", port))
server, _ = listener.accept()
kept.sendall(b"x")
wait_for("the byte", lambda: server.recv(1, socket.MSG_PEEK))
server.close()
leaked = socket.create_connection(("127.0.0.1", port))
server, _ = listener.accept()
leaked.close()
wait_for("CLOSE-WAIT", lambda: server.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] == 8)

# Its namespace's connections have the same addresses, and are none of this one's.
subprocess.run(["unshare", "-n", "sh", "-c", f"ip link set lo up; exec python3 -c 'import socket; l = socket.create_server((\"127.0.0.1\", {port})); c = socket.create_connection((\"127.0.0.1\", {port})); c.close(); l.close()'"], check=True)

told = [json.loads(line) for line in told_by(documents).splitlines()]
here = os.getpid()
whys = [line["why"] for line in told]
assert sorted(whys) == sorted(["life.in_order", "open.refused", "life.in_order", "reset.listener_closed", "reset.unread_data_at_close",
                               "life.half_over"]), [(line["why"], line["words"]) for line in told]
forked = told[whys.index("life.in_order")]
assert forked["peer"]["pid"] == child and not forked["peer"]["only_listens"], forked
again = told[len(whys) - 1 - whys[::-1].index("life.in_order")]
assert again["pid"] == again["peer"]["pid"] == here and again["remote"].endswith(f":{port}"), again
queue = told[whys.index("reset.listener_closed")]
assert f"[{older}]" in queue["words"], queue
half = told[whys.index("life.half_over")]
assert half["still_open"] == "remote" and "CLOSE-WAIT" in half["words"] and half["peer"]["pid"] == here, half
unread = told[whys.index("reset.unread_data_at_close")]
assert unread["peer"]["closer_pid"] == here, unread

assert all(f":{port}" in line for line in told_by(chosen).splitlines())
lines = told_by(text).splitlines()
assert lines[0].startswith("Watching all TCP of this network namespace since "), lines[0]
assert all(len(line) <= 80 for line in lines), max(lines, key=len)
counts = lines.index(next(line for line in lines if line.startswith("In ")))
assert "6 connections ended, 3 of them not well" in lines[counts], lines[counts:]
assert sum(int(line.split()[0]) for line in lines[counts + 1:] if line[:10].strip().isdigit()) == 6, lines[counts:]
print("ok")
