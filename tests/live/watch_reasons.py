"""tcpwhy watch: why connections ended, by the kernel's own word and its stack, so that causes that share a reason are told apart; on every kernel."""
import json
import signal
import socket
import struct
import subprocess

from live import PATIENCE, Case, is_in, skip, wait_for

case = Case()
if case.backend != "bpf":
    skip("watch needs the kernel's tracepoints")
listener = socket.create_server(("127.0.0.1", 0))
port = listener.getsockname()[1]
watch = case.start(case.tcpwhy, "watch", "-o", "ndjson", "port", str(port), stdout=subprocess.PIPE,
                   stderr=subprocess.PIPE, text=True)
wait_for("the watch waits", lambda: is_in("poll", f"/proc/{watch.pid}"))


def pair():
    client = socket.create_connection(("127.0.0.1", port))
    server, _ = listener.accept()
    return client, server


def in_order():
    client, server = pair()
    client.close()
    server.recv(1)
    server.close()


def unread():
    client, server = pair()
    client.sendall(b"a request")
    server.recv(1, socket.MSG_PEEK)
    server.close()
    client.close()


def linger_zero():
    client, server = pair()
    server.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    server.close()
    client.close()


def linger2():
    client, server = pair()
    server.setsockopt(socket.IPPROTO_TCP, socket.TCP_LINGER2, -1)
    server.shutdown(socket.SHUT_WR)
    client.recv(1)
    wait_for("FIN-WAIT-2", lambda: server.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] == 5)
    server.close()
    client.close()


def sent_after_close():
    client, server = pair()
    server.close()
    client.recv(1)
    client.sendall(b"late")
    client.close()


def destroyed():
    client, server = pair()
    local, remote = server.getsockname()[1], server.getpeername()[1]
    subprocess.run(["ss", "-K", f"sport = {local} and dport = {remote}"], check=True, capture_output=True)
    server.close()
    client.close()


cases = [(in_order, "life.in_order"), (unread, "reset.unread_data_at_close"), (linger_zero, "reset.linger_zero"),
         (linger2, "reset.linger_2"), (sent_after_close, "reset.after_close"), (destroyed, "reset.aborted_from_outside")]
for make, _ in cases:
    make()
watch.send_signal(signal.SIGINT)
out, error = watch.communicate(timeout=PATIENCE)
assert watch.returncode == 0, error
told = [json.loads(line) for line in out.splitlines()]
assert [line["why"] for line in told] == [why for _, why in cases], [(line["why"], line["reset_cause"], line["words"]) for line in told]
print("ok")
