"""A server whose client lives in another network namespace of this machine, as beside containers: the client's end is watched too."""
import os
import subprocess
import sys

from live import Case, listens, need, skip, wait_for

case = Case()
if case.backend != "bpf":
    skip("only the kernel's tracepoints see an end that is not traced")
need("ip", "nsenter", "unshare")
SERVER = "import socket; s = socket.create_server(('10.77.0.1', 8081)); c = s.accept()[0]; c.recv(16); c.close()"
CLIENT = "import socket; c = socket.create_connection(('10.77.0.1', 8081)); c.sendall(b'hello'); print(c.recv(16))"

other = case.start("unshare", "-n", "sleep", "60")
wait_for("a namespace", lambda: os.readlink(f"/proc/{other.pid}/ns/net") != os.readlink("/proc/self/ns/net"))
inside = ("nsenter", "-t", str(other.pid), "-n")
for command in (("ip", "link", "add", "here", "type", "veth", "peer", "name", "there"),
                ("ip", "link", "set", "there", "netns", str(other.pid)),
                ("ip", "address", "add", "10.77.0.1/24", "dev", "here"),
                ("ip", "link", "set", "here", "up"),
                (*inside, "ip", "address", "add", "10.77.0.2/24", "dev", "there"),
                (*inside, "ip", "link", "set", "there", "up")):
    case.run(*command, check=True)

trace = case.trace(sys.executable, "-c", SERVER)
wait_for("a listener", lambda: listens(8081))
case.run(*inside, sys.executable, "-c", CLIENT, check=True, stdout=subprocess.DEVNULL)
story = trace.story()
connection = story.only_connection()
states = [event for event in story.events.values() if event["kind"] == "socket_state"]
client_port = connection["opener"]["address"].rsplit(":", 1)[1]
of_client = [event["to"] for event in states if str(event.get("local", "")).endswith(":" + client_port)]
# Its SYN left before anybody knew whom it would ask.
assert of_client[:1] == ["ESTABLISHED"] and "LAST-ACK" in of_client, (of_client, states, connection["opener"])
case.done()
