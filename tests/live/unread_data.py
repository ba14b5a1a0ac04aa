"""A server that closes with a request unread: the trace names the unread data, the call and its line, on every kernel; SO_LINGER 0 is told apart.

TCPWHY_WITHOUT names programs of the probe that do not run (tests/live/refused_hooks.py): what only they tell is not asked for."""
import os
import sys

from live import Case

case = Case()
without = os.environ.get("TCPWHY_WITHOUT", "").split()

PROGRAM = """
import socket, struct, sys
listener = socket.create_server(("127.0.0.1", 0))
client = socket.create_connection(listener.getsockname())
server, _ = listener.accept()
if "linger" in sys.argv:
    server.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
else:
    client.sendall(b"a request")
    server.recv(1, socket.MSG_PEEK)
server.close()
try:
    client.recv(1)
except ConnectionResetError:
    pass
"""


def story_of(*arguments):
    story = case.trace(sys.executable, "-c", PROGRAM, *arguments).story(calls_are_seen=not calls_are_lost,
                                                                             causes_are_seen="on_segment" not in without)
    connections = [c for c in story.connections if c["opener"]["address"]]
    assert len(connections) == 1, connections
    return story, connections[0]


calls_are_lost = case.backend == "bpf" and bool({"on_sys_enter", "on_sys_exit"} & set(without))
grade = "observed" if case.backend == "bpf" and "on_segment" not in without else None
for arguments, rule in ((), "reset.unread_data_at_close"), (("linger",), "reset.linger_zero"):
    story, connection = story_of(*arguments)
    [reset] = story.segments(connection, "listener", "R")
    if calls_are_lost:
        continue
    finding = story.find(rule, connection)
    if grade:
        assert finding["grade"] == grade, finding
        assert reset["cause"]["grade"] == grade and reset["cause"]["trigger"] == "call", reset
    close = story.call(finding, "close", connection["listener"]["name"].split(" ")[0])
    assert "<string>" in close["stack"] or "sock_close" in close["stack"] or not close["stack"], close
case.done()
