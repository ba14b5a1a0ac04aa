"""redis-cli waits in BLPOP, another says CLIENT KILL: the server's close() ends it, and the victim's read() returns 0."""
import subprocess
import time

from live import Case, listens, need, wait_for

case = Case()
need("redis-server", "redis-cli")
server = case.start("redis-server", "--port", "6379", "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", case.folder,
                    "--daemonize", "no", stdout=subprocess.DEVNULL)
wait_for("redis-server listens", lambda: listens(6379))
served = case.attach(server.pid)
victim = case.trace("redis-cli", "-h", "127.0.0.1", "BLPOP", "nothing", "0", stdout=subprocess.PIPE)


def blocked():
    # Each question is a connection in the trace of the server, of whose calls stacks are taken 200 times a second at most.
    time.sleep(0.05)
    said = case.run("redis-cli", "-h", "127.0.0.1", "INFO", "clients", capture_output=True, text=True).stdout
    return "blocked_clients:1" in said


wait_for("the victim waits", blocked)
killed = case.run("redis-cli", "-h", "127.0.0.1", "CLIENT", "KILL", "TYPE", "normal", capture_output=True, text=True)
assert killed.stdout == "1\n", killed

# As the victim sees it: the other side closed first.
story = victim.story()
connection = story.only_connection()
assert connection["opener"]["name"] == "redis-cli", connection["opener"]
assert story.closed_first(connection) == "listener", connection
finding = story.find("recv.end_of_file", connection)
[read] = story.calls(finding)[:1]
assert story.actor(read) == "redis-cli", read
[fin] = story.segments(connection, "listener", "F")

# As the server sees it: of its connections, the one that it closed first.
story = served.story()
ended = [c for c in story.connections if story.closed_first(c) == "listener"]
assert len(ended) == 1, [(c["opener"]["address"], story.closed_first(c)) for c in story.connections]
assert ended[0]["opener"]["address"] == connection["opener"]["address"], ended[0]["opener"]
assert ended[0]["listener"]["name"] == "redis-server", ended[0]["listener"]
close = story.call(story.find("close.fin", ended[0]), "close", "redis-server")
assert "redis" in close["stack"], close["stack"]
[fin] = story.segments(ended[0], "listener", "F")
assert story.events[fin["cause"]["by"]]["call"] == close["call"], fin
case.end(server)
case.done()
