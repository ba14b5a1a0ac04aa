"""Who reset, and why, and who was killed, is told without a packet too: by calls, options, errors and what lay unread. As root with packets the
same, as observed."""
import os
import sys

from live import Case

case = Case()
# Both ends in one trace, then each alone: the other is a process that nobody watches.
PROGRAM = '''
import os, signal, socket, struct, sys, time
way, role, port = sys.argv[1], sys.argv[2], int(sys.argv[3])
def server(listener):
    end = listener.accept()[0]
    if way == "unread": time.sleep(0.05); end.recv(4); end.close()
    if way == "linger": end.recv(64); end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)); end.close()
    if way == "kill": end.recv(64); os.kill(os.getpid(), signal.SIGKILL)
    if way == "term": end.recv(64); os.kill(os.getpid(), signal.SIGTERM)
    if way == "gone": end.recv(64); end.close()
    time.sleep(0.5)
def client():
    end = socket.create_connection(("127.0.0.1", port))
    end.sendall(b"a request of some length")
    try:
        if way == "gone":
            for i in range(3): time.sleep(0.1); end.sendall(b"and more")
        while end.recv(64): pass
    except OSError: pass
listener = socket.create_server(("127.0.0.1", port)) if role != "client" else None
if role == "both" and os.fork(): listener.close(); client(); sys.exit()
if listener: print("ready", flush=True)
if role == "client": client()
else: server(listener)
'''
SAID = {"unread": "reset.unread_data_at_close", "linger": "reset.linger_zero", "kill": "close.killed", "term": "close.killed"}
port = 15100
for packets in (True, False) if case.backend == "bpf" else (False,):
    options = [] if packets else ["--no-packets"]
    for way in (*SAID, "gone"):
        for role in ("both", "server"):
            port += 1
            trace = case.trace(sys.executable, "-c", PROGRAM, way, role, port, options=options, stdout=-1)
            if role == "server":
                assert trace.process.stdout.readline() == b"ready\n"
                case.run(sys.executable, "-c", PROGRAM, way, "client", port)
            story = trace.story()
            rules = [rule for rule in story.rules() if rule.startswith(("reset.", "close.killed"))]
            if way in SAID:
                # The kernel's word is there; by calls alone it is only derived.
                finding = story.find(SAID[way])
                assert finding["grade"] == ("derived" if case.backend == "ptrace" else "observed") or way in ("kill", "term"), finding
                assert len(rules) == 1, (way, role, rules)
                if way == "unread" and role == "server":
                    assert "20 bytes" in finding["text"], finding["text"]
            elif role == "both":
                assert story.rules().count("send.after_peer_closed") == 1, story.rules()
                assert any(rule.startswith("reset.") for rule in rules), story.rules()
                assert {"send.broken_pipe", "send.broken_pipe_unseen"} & set(story.rules()), story.rules()

# --- Who the opener is, and what was reset before accept() ----------------------------------------------------------------
EARLY = '''
import os, socket, struct, time
listener = socket.create_server(("127.0.0.1", {port}))
if os.fork():
    time.sleep(0.3)
    end = listener.accept()[0]
    try: end.recv(64)
    except OSError: pass
    os.wait()
else:
    end = socket.create_connection(("127.0.0.1", {port}))
    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    end.close()
'''
FAST = '''
import os, socket
listener = socket.create_server(("127.0.0.1", {port}))
if os.fork():
    end = listener.accept()[0]; end.recv(64); end.close(); os.wait()
else:
    end = socket.socket(); end.sendto(b"hello", 0x20000000, ("127.0.0.1", {port})); end.recv(64); end.close()
'''
for program in (EARLY, FAST):
    for options in (["--no-packets"], ["--no-packets", "--stop-at-calls"]) if case.backend == "ptrace" else ([],):
        port += 1
        story = case.trace(sys.executable, "-c", program.format(port=port), options=options).story()
        connection = story.only_connection()
        assert connection["opener"]["actors"] and connection["listener"]["actors"], connection
        assert story.calls_named("recvfrom", connection), connection["calls"]
        if program is EARLY:
            finding = story.find("reset.linger_zero", connection)
            assert story.find("recv.connection_reset", connection), finding

# --- A wait that ran into the program's own limit -------------------------------------------------------------------------
port += 1
LIMIT = '''
import socket, struct
listener = socket.create_server(("127.0.0.1", {port}))
end = socket.create_connection(("127.0.0.1", {port}))
end.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", 0, 50000))
try: end.recv(64)
except OSError: pass
'''
story = case.trace(sys.executable, "-c", LIMIT.format(port=port), options=["--no-packets"]).story()
assert story.find("recv.own_limit")["severity"] == "warning"
case.done()
