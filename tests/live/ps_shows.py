"""tcpwhy ps: a listener, its connection and who holds them, by the kernel's sock_diag; for root and for others alike."""
import json
import os
import socket

from live import Case

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
print("ok")
