"""A server that forks: the parent's close() gives up its own copy only, and is not blamed for it; the child's sends the FIN."""
import socket
import subprocess

from live import Case, line_of

case = Case()
trace = case.trace(case.program("fork_and_close"), stdout=subprocess.PIPE, text=True)
port = int(trace.process.stdout.readline())
with socket.create_connection(("127.0.0.1", port)) as client:
    assert client.recv(64) == b"late\n"
    assert client.recv(64) == b""
story = trace.story()
assert trace.process.returncode == 0, trace.process.returncode
connection = story.only_connection()
assert connection["listener"]["name"] == "fork_and_close", connection["listener"]
close = story.call(story.find("close.left_to_another", connection), "close", "fork_and_close")
assert not [f for f in story.findings if f["rule"] == "close.nothing_sent"], story.findings
assert line_of("fork_and_close.c", "parent closes") in close["stack"], close["stack"]
if case.backend == "bpf":
    assert close["references"] == 2, close
[fin] = [s for s in connection["segments"] if s["from"] == "listener" and "F" in s["flags"]]
by = story.events[fin["cause"]["by"]]
assert line_of("fork_and_close.c", "child closes") in by["stack"], by
parent, child = (story.recording["actors"][event["actor"]]["pid"] for event in (close, by))
assert parent != child, parent
case.done()
