"""A listener that refuses what comes for a connection that is gone, and ends: it is no end of any connection, and the reset is the connection's."""
import sys

from live import Case, skip

case = Case()
if case.backend != "bpf":
    skip("TCP_REPAIR, by which a socket is gone without a segment, needs root")

PROGRAM = """
import socket, time
listener = socket.create_server(("127.0.0.1", 0))
client = socket.create_connection(listener.getsockname())
server, _ = listener.accept()
server.setsockopt(socket.IPPROTO_TCP, 19, 1)  # TCP_REPAIR
server.close()
client.send(b"anyone there?")
time.sleep(0.05)
listener.close()
"""
story = case.trace(sys.executable, "-c", PROGRAM).story()
connection = story.only_connection()
[reset] = story.segments(connection, "listener", "R")
[word] = [event for event in story.events.values() if event["kind"] == "reset" and event["sent"]]
assert word["id"] in reset["kernel"], reset
assert reset["cause"]["grade"] == "observed", reset["cause"]
closed = {event["socket"] for event in story.calls_named("close", connection)}
assert closed <= {connection[side]["socket"] for side in ("opener", "listener")}, closed
case.done()
