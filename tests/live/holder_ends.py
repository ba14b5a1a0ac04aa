"""Who holds a connection without a call on it, and ends: a child, a thread with descriptors of its own. That sent the FIN, not the end of the
server, which comes later."""
import socket
import subprocess

from live import Case

case = Case()


def served(how):
    trace = case.trace(case.program("holder_ends"), how, stdout=subprocess.PIPE, text=True)
    port = int(trace.process.stdout.readline())
    with socket.create_connection(("127.0.0.1", port)) as client:
        assert client.recv(64) == b"hello"
        assert client.recv(64) == b""
        child = int(trace.process.stdout.readline())
    story = trace.story(calls_are_seen=how == "child" or case.backend == "bpf")
    assert trace.process.returncode == 0, trace.process.returncode
    connection = story.only_connection()
    [fin] = story.segments(connection, "listener", "F")
    return story, connection, fin, child


def texts(story, rule):
    return [f["text"] for f in story.findings if f["rule"] == rule]


story, connection, fin, child = served("child")
assert fin["cause"]["trigger"] == "process end", fin["cause"]
end = story.events[fin["cause"]["by"]]
assert story.recording["actors"][end["actor"]]["pid"] == child, end
found = story.find("close.fin_at_other_exit", connection)
assert f"holder_ends[{child}], which held" in found["text"], found["text"]
assert not texts(story, "close.fin_at_exit"), texts(story, "close.fin_at_exit")
story.find("close.nothing_sent", connection)

story, connection, fin, _ = served("thread")
told = texts(story, "close.fin_at_exit")
assert not texts(story, "close.fin_at_other_exit"), texts(story, "close.fin_at_other_exit")
if case.backend == "bpf":
    assert len(told) == 1 and told[0].startswith("A thread of holder_ends with descriptors of its own ended"), told
else:
    assert not told, told  # the kernel says nothing, and a thread's end is not followed
case.done()
