"""tcpwhy ps: a listener, its connection and who holds them, by the kernel's sock_diag; what hangs together on this host; for root and for
others alike."""
import json
import os
import socket

from live import Case, wait_for

case = Case()
listener = socket.create_server(("127.0.0.1", 0))
client = socket.create_connection(listener.getsockname())
server, _ = listener.accept()
client.close()
shown = case.run(case.tcpwhy, "ps", "--all", "-o", "json", capture_output=True, text=True)
assert shown.returncode in (0, 1), shown.stderr
document = json.loads(shown.stdout)
states = {s["state"]: s for s in document["sockets"] if s["local"].endswith(f":{listener.getsockname()[1]}")}
assert set(states) == {"LISTEN", "CLOSE-WAIT"}, document["sockets"]
for socket_ in states.values():
    assert [p["pid"] for p in socket_["processes"]] == [os.getpid()], socket_


def shown_of(*options):
    shown = case.run(case.tcpwhy, "ps", "-o", "json", *options, capture_output=True, text=True)
    assert shown.returncode in (0, 1), shown.stderr
    return json.loads(shown.stdout)


# A queue with room for one, and connect()s that hang at it: no firewall, and one thing with a count.
full = socket.socket()
full.bind(("127.0.0.1", 0))
full.listen(0)
port = full.getsockname()[1]
hanging = [socket.socket() for _ in range(4)]
for one in hanging:
    one.setblocking(False)
    one.connect_ex(full.getsockname())


def groups_of(port):
    return {g["id"]: g for g in shown_of("--port", str(port))["groups"]}


wait_for("SYNs are sent again", lambda: groups_of(port).get("connecting_to_full_queue", {}).get("count") == 3)
found = groups_of(port)
assert set(found) == {"accept_queue_full", "connecting_to_full_queue"}, found
assert found["connecting_to_full_queue"]["is_effect"] and not found["accept_queue_full"]["is_effect"], found
victims = [s for s in shown_of("--port", str(port))["sockets"] if s["state"] == "SYN-SENT"]
assert all(f"(pid {os.getpid()})" in s["findings"][0]["text"] for s in victims), victims

# The same of many sockets.
leaking = socket.create_server(("127.0.0.1", 0), backlog=100)
leaked = []
for _ in range(50):
    with socket.create_connection(leaking.getsockname()):
        leaked.append(leaking.accept()[0])
port = leaking.getsockname()[1]
wait_for("all are in CLOSE-WAIT", lambda: groups_of(port).get("close_wait", {}).get("count") == 50)
text = case.run(case.tcpwhy, "ps", "--lang", "en", "--port", str(port), "--width", "80", capture_output=True, text=True).stdout
assert text.startswith(f"50 sockets at 127.0.0.1:{port}") and text.count("CLOSE-WAIT for") == 1, text
assert all(len(line) <= 80 for line in text.splitlines()), text

# Multipath TCP: the connection's own state, which no subflow has.
try:
    listening, client = (socket.socket(socket.AF_INET, socket.SOCK_STREAM, 262) for _ in range(2))
except OSError as error:
    print(f"no Multipath TCP here: {error}")
else:
    listening.bind(("127.0.0.1", 0))
    listening.listen()
    client.connect(listening.getsockname())
    server, _ = listening.accept()
    client.close()
    port = listening.getsockname()[1]
    parts = {s["mptcp"] for s in shown_of("--port", str(port))["sockets"]}
    if "socket" in parts:
        wait_for("its CLOSE-WAIT", lambda: "close_wait" in groups_of(port))
        [waits] = [s for s in shown_of("--port", str(port))["sockets"] if s["findings"]]
        assert waits["mptcp"] == "socket" and [p["pid"] for p in waits["processes"]] == [os.getpid()], waits
print("ok")
