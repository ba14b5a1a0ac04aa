"""An echo server on io_uring: accept, recv, send and close are operations in its ring, and each segment of its end is told by one."""
import socket
import subprocess

from live import Case, PATIENCE, skip, text_of

case = Case()
if text_of("/proc/sys/kernel/io_uring_disabled").strip() not in ("", "0"):
    skip("io_uring is switched off: kernel.io_uring_disabled")
trace = case.trace(case.program("uring_echo"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
first = trace.process.stdout.readline()
if not first:
    trace.process.wait(PATIENCE)
    if trace.process.returncode == 77:
        skip("no ring: " + trace.process.stderr.read().strip())
    raise AssertionError(trace.process.stderr.read())
with socket.create_connection(("127.0.0.1", int(first))) as client:
    for said in (b"hello", b"again"):
        client.sendall(said)
        assert client.recv(64) == said
    client.shutdown(socket.SHUT_WR)
    assert client.recv(64) == b""
# ptrace sees no call of the ring: of its segments no cause need be known.
story = trace.story(calls_are_seen=case.backend != "ptrace")
assert trace.process.returncode == 0, trace.process.returncode
connection = story.only_connection()
assert connection["listener"]["name"] == "uring_echo", connection["listener"]
segments = [s for s in connection["segments"] if s["from"] == "listener"]
[fin] = [s for s in segments if "F" in s["flags"]]
if case.backend == "ptrace":
    # No system call, no stop: what the ring does is not seen, and nobody is accused of what is not known.
    assert not story.calls_named("send", connection)
    assert fin["cause"]["grade"] != "observed", fin["cause"]
    case.done()
    raise SystemExit

operations = [e for e in story.events.values() if e["kind"] == "call_entered" and e.get("through") == "io_uring"]
assert [e["name"] for e in operations] == ["accept", "recv", "send", "recv", "send", "recv", "close"], operations
assert {story.actor(e) for e in operations} == {"uring_echo"}
lines = [story.line(e) for e in operations]
assert lines[2].startswith('io_uring: send(') and lines[2].endswith(', "hello", 5, 0) = 5'), lines
assert '"again"' in lines[3], lines
assert lines[5].endswith(" = 0"), lines


def made_by(segment):
    assert segment["cause"]["grade"] == "observed", segment["cause"]
    return story.events[segment["cause"]["by"]]


sent = [s for s in segments if s["length"] > 0]
assert [made_by(s)["call"] for s in sent] == [operations[2]["call"], operations[4]["call"]], sent
assert made_by(fin)["call"] == operations[6]["call"], fin
assert "main uring_echo.c" in operations[6]["stack"], operations[6]["stack"]
case.done()
