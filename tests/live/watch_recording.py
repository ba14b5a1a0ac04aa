"""tcpwhy watch -w: what the kernel said of each connection that ended, as a file that `read` understands; -i: of one interface only."""
import json
import signal
import socket
import subprocess

from live import PATIENCE, Case, is_in, skip, wait_for

case = Case()
if case.backend != "bpf":
    skip("watch needs the kernel's tracepoints")
subprocess.run(["ip", "link", "add", "there0", "type", "veth", "peer", "name", "there1"], check=True)
subprocess.run(["ip", "address", "add", "192.0.2.1/24", "dev", "there0"], check=True)
listener = socket.create_server(("127.0.0.1", 0))
port = listener.getsockname()[1]


def watch(name, *options):
    file = case.folder / f"{name}.pcapng"
    process = case.start(case.tcpwhy, "watch", "-w", file, "-o", "ndjson", *options, "port", str(port),
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    return process, file


watches = [watch("lo", "-i", "lo"), watch("there", "-i", "there0"), watch("abnormal", "--abnormal")]
for process, _ in watches:
    # Its programs are attached before it waits for their first word, in poll(2).
    wait_for("the watch waits", lambda: is_in("poll", f"/proc/{process.pid}"))


def connection(unread):
    client = socket.create_connection(("127.0.0.1", port))
    server, _ = listener.accept()
    server.sendall(b"hello")
    if unread:
        wait_for("the data is there", lambda: client.recv(5, socket.MSG_PEEK) == b"hello")
    else:
        assert client.recv(5) == b"hello"
    client.close()
    try:
        server.recv(1)
    except ConnectionResetError:
        pass
    server.close()


connection(unread=False)
connection(unread=True)
told = {}
for process, file in watches:
    process.send_signal(signal.SIGINT)
    out, error = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, error
    told[file] = [json.loads(line) for line in out.splitlines()]


def recordings(file):
    shown = case.run(case.tcpwhy, "read", file, "-o", "json", "--lang", "en", capture_output=True, text=True)
    assert shown.returncode == 0, shown.stderr
    return json.loads(shown.stdout)["recordings"]


(_, lo), (_, there), (_, abnormal) = watches
assert len(told[lo]) == 2 and told[there] == [], told
assert there.stat().st_size == 0, there.stat()
ended = recordings(lo)
assert len(ended) == 2, [r["provenance"] for r in ended]
for recording, line in zip(ended, told[lo]):
    states = [e["to"] for e in recording["events"] if e["kind"] == "socket_state" and e["socket"] == line["socket"]]
    assert states[:2] == ["SYN-SENT", "ESTABLISHED"], states
    [note] = [e for e in recording["events"] if e["kind"] == "note"]
    assert note["text"] == line["words"], (note, line)
    assert len(recording["connections"]) == 1, recording["connections"]
[only] = recordings(abnormal)
resets = [e for e in only["events"] if e["kind"] == "reset" and e["sent"]]
assert resets and resets[0]["reason"] in ("", "TCP_ABORT_ON_CLOSE"), resets
case.check(watches[0][1], watches[2][1])
print("ok")
