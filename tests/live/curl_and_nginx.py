"""curl against nginx: in order, and who closed first, from either end."""
import subprocess

from live import Case, end_nginx, listens, need, nginx, wait_for

case = Case()
need("curl")
server = case.start(*nginx(case))
wait_for("nginx listens", lambda: listens(8080))

# As a client sees it: it closes first.
story = case.trace("curl", "-s", "-o", "/dev/null", "http://127.0.0.1:8080/page.html").story()
connection = story.only_connection()
assert connection["opener"]["name"] == "curl", connection["opener"]
assert connection["opener"]["final_state"] == "TIME-WAIT", connection["opener"]
story.call(story.find("close.fin", connection), "close", "curl")
story.find("close.both", connection)
assert not [f for f in story.findings if f["severity"] in ("warning", "error")], story.findings
[fin] = [s for s in connection["segments"] if s["from"] == "opener" and "F" in s["flags"]]
close = story.events[fin["cause"]["by"]]
assert (close["name"], story.actor(close)) == ("close", "curl"), close
assert "libcurl" in close["stack"] or "curl" in close["stack"], close["stack"]
[request] = [s for s in connection["segments"] if s["from"] == "opener" and s["length"] > 0]
assert story.events[request["cause"]["by"]]["name"] in ("send", "sendto"), request

# The exit status and the output of the command pass through.
refused = case.trace("curl", "-s", "http://127.0.0.1:9/", stdout=subprocess.PIPE)
story = refused.story()
assert refused.process.returncode == 7, refused.process.returncode
assert refused.process.stdout.read() == b""
if case.backend == "bpf":  # ptrace does not know the address of a connect() that did not wait and failed
    story.call(story.find("open.refused_later"), "connect", "curl")
end_nginx(case)
server.wait(20)

# As the server sees it, master and worker: asked not to keep the connection, it closes first.
server = case.trace(*nginx(case))
wait_for("nginx listens", lambda: listens(8080))
case.run("curl", "-s", "-o", case.folder / "page", "-H", "Connection: close", "http://127.0.0.1:8080/page.html", check=True)
end_nginx(case)
story = server.story()
connection = story.only_connection()
assert connection["listener"]["name"] == "nginx", connection["listener"]
close = story.call(story.find("close.fin", connection), "close", "nginx")
assert close["references"] in (None, 1), close
[fin] = [s for s in connection["segments"] if s["from"] == "listener" and "F" in s["flags"]]
assert story.events[fin["cause"]["by"]]["call"] == close["call"], fin
assert not [f for f in story.findings if f["severity"] in ("warning", "error")], story.findings
case.done()
