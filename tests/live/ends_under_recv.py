"""A server of two threads: one ends the connection while the other waits in recv() on it. shutdown() wakes it; close() does not."""
import socket
import subprocess

from live import Case, line_of

case = Case()
for how in ("close", "shutdown"):
    trace = case.trace(case.program("ends_under_recv"), how, stdout=subprocess.PIPE, text=True)
    port = int(trace.process.stdout.readline())
    with socket.create_connection(("127.0.0.1", port)) as client:
        said = [trace.process.stdout.readline()]
        if how == "close":
            # The reader is still inside recv(), and holds the socket: nothing has left. It takes the client's end to wake it.
            assert said == ["done\n"], said
            client.shutdown(socket.SHUT_WR)
        assert client.recv(64) == b""
    said += trace.process.stdout.readlines()
    assert sorted(said) == ["done\n", "recv 0\n"], said
    story = trace.story()
    connection = story.only_connection()
    assert connection["listener"]["name"] == "ends_under_recv", connection["listener"]
    line = line_of("ends_under_recv.c", {"close": "main closes", "shutdown": "main shuts down"}[how])
    [ending] = story.calls_named(how, connection) if how == "shutdown" else story.calls_named("close", connection)[:1]
    assert line in ending["stack"], ending["stack"]
    [receiving] = story.calls_named("recvfrom", connection)
    reader, main = (story.recording["actors"][event["actor"]] for event in (receiving, ending))
    assert reader["pid"] == main["pid"] and reader["tid"] != main["tid"], (reader, main)
    [fin] = story.segments(connection, "listener", "F")
    if how == "close":
        call = story.call(story.find("close.under_recv", connection), "close", "ends_under_recv")
        assert call["id"] == ending["id"], call
        [first] = story.segments(connection, "opener", "F")
        assert first["departed"] < fin["departed"], (first, fin)
    else:
        call = story.call(story.find("shutdown.fin", connection), "shutdown", "ends_under_recv")
        assert call["id"] == ending["id"], call
        story.find("shutdown.woke_recv", connection)
        assert story.events[fin["cause"]["by"]]["id"] == ending["id"], fin
case.done()
