"""A descriptor is handed to a worker (SCM_RIGHTS): the close() of the server leaves it to the worker, which is named."""
import socket
import subprocess

from live import Case, line_of

case = Case()
trace = case.trace(case.program("pass_descriptor"), stdout=subprocess.PIPE, text=True)
port = int(trace.process.stdout.readline())
with socket.create_connection(("127.0.0.1", port)) as client:
    assert client.recv(64) == b"late\n"
    assert client.recv(64) == b""
story = trace.story()
assert trace.process.returncode == 0, trace.process.returncode
connection = story.only_connection()
passing = [e for e in story.calls_named("sendmsg", connection) if "SCM_RIGHTS" in e["arguments"]]
taking = [e for e in story.calls_named("recvmsg", connection)]
assert len(passing) == 1 and len(taking) == 1, (passing, taking)
assert "SCM_RIGHTS" in story.line(taking[0]), story.line(taking[0])
for message in passing:
    assert message["socket"] == connection["listener"]["socket"], message
left = story.find("close.left_to_another", connection)
close = story.call(left, "close", "pass_descriptor")
assert line_of("pass_descriptor.c", "server closes") in close["stack"], close["stack"]
worker = story.recording["actors"][taking[0]["actor"]]["pid"]
assert worker != story.recording["actors"][close["actor"]]["pid"]
assert f"pass_descriptor[{worker}]" in left["text"], left["text"]
[fin] = [s for s in connection["segments"] if s["from"] == "listener" and "F" in s["flags"]]
by = story.events[fin["cause"]["by"]]
assert line_of("pass_descriptor.c", "worker closes") in by["stack"], by
# Bytes of the message are not the connection's.
sent = [s for s in connection["segments"] if s["from"] == "listener" and s["length"] > 0]
assert [s["length"] for s in sent] == [5], sent
case.done()
