"""A descriptor is closed by close_range(), by dup2() over it, by execve(), by the end of its process: what sent the FIN is named."""
import socket
import subprocess

from live import Case

case = Case()
for way in ("exit", "kill", "execve", "close_range", "dup2"):
    trace = case.trace(case.program("ways_to_close"), way, stdout=subprocess.PIPE, text=True)
    port = int(trace.process.stdout.readline())
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.send(b"x")
        assert client.recv(64) == b"", way
    story = trace.story()
    connection = story.only_connection()
    [fin] = story.segments(connection, "listener", "F")
    cause = fin["cause"]
    rules = story.rules(connection)
    if way in ("exit", "kill"):
        assert cause["trigger"] == "process end", (way, cause)
        assert "close.fin_at_exit" in rules and "close.delivered_after_exit" not in rules, (way, rules)
    else:
        assert cause["trigger"] == "call" and cause["by"] is not None, (way, cause)
        assert story.events[cause["by"]]["name"] == way, (way, story.events[cause["by"]])
    if case.backend == "bpf":
        assert cause["grade"] == "observed", (way, cause)
case.done()
