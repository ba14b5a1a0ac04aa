"""python3 -m http.server, killed in the middle of an answer: its client sees an end of file or a reset, and the trace says which and why."""
import os
import pathlib
import signal
import socket
import subprocess
import sys

from live import Case, is_in, listens, text_of, wait_for

case = Case()
with open(case.folder / "big", "wb") as big:
    big.truncate(64 << 20)


def queued(client):
    """Bytes that the server's kernel holds for this client: /proc/net/tcp, tx_queue."""
    client_port = f"{client.getsockname()[1]:04X}"
    for line in text_of("/proc/self/net/tcp").splitlines()[1:]:
        local, remote, _, queues = line.split()[1:5]
        if local.endswith(":1F90") and remote.endswith(":" + client_port):
            return int(queues.split(":")[0], 16)
    return 0


def sleeps_in_send(pid):
    """A thread of it sleeps inside sendto(2), as /proc tells: not merely stopped there by a tracer."""
    return any(is_in("sendto", thread) and "\nState:\tS" in text_of(thread / "status")
               for thread in pathlib.Path(f"/proc/{pid}/task").iterdir())


def killed_while_answering(client_does):
    """Kills the server while it can't go on sending, because the client does not read; says what the client saw of the rest."""
    trace = case.trace(sys.executable, "-m", "http.server", "--bind", "127.0.0.1", "--directory", case.folder, "8080",
                       stdout=subprocess.DEVNULL)
    wait_for("http.server listens", lambda: listens(8080))
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)  # before: it decides the window
        client.connect(("127.0.0.1", 8080))
        client.sendall(b"GET /big HTTP/1.0\r\n\r\n")
        assert client.recv(12) == b"HTTP/1.0 200"
        server = trace.traced("http.server")
        wait_for("the server can send no more", lambda: queued(client) > 100_000 and sleeps_in_send(server))
        client_does(client)
        os.kill(server, signal.SIGKILL)
        # Not before it is dead: it must not get rid of more meanwhile.
        wait_for("the server is gone", lambda: not os.path.exists(f"/proc/{server}"))
        got = 0
        try:
            while piece := client.recv(1 << 20):
                got += len(piece)
            seen = "end of file"
        except ConnectionResetError:
            seen = "reset"
    assert 0 < got < 64 << 20 or seen == "reset", got
    story = trace.story()
    assert trace.process.returncode == -signal.SIGKILL, trace.process.returncode
    connection = story.only_connection()
    assert connection["listener"]["name"].startswith("python3"), connection["listener"]
    return seen, story, connection


# Everything the client has sent was read: the kernel delivers what is queued, and then a FIN.
seen, story, connection = killed_while_answering(lambda client: None)
assert seen == "end of file", seen
finding = story.find("close.delivered_after_exit", connection)
assert "killed by SIGKILL" in finding["text"], finding["text"]
story.ended_by(finding, "SIGKILL")
assert not [rule for rule in story.rules(connection) if rule.startswith("reset.")], story.rules(connection)
[fin] = story.segments(connection, "listener", "F")
assert story.closed_first(connection) == "listener", connection

# Something it had not read: a reset, and what was queued is lost.
seen, story, connection = killed_while_answering(lambda client: client.sendall(b"GET /big HTTP/1.0\r\n\r\n"))
assert seen == "reset", seen
finding = story.find("reset.unread_data_at_exit", connection)
assert "killed by SIGKILL" in finding["text"], finding["text"]
story.ended_by(finding, "SIGKILL")
[reset] = story.segments(connection, "listener", "R")
assert reset["cause"]["trigger"] == "process end", reset
case.done()
