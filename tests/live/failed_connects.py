"""Calls that fail before or at the first segment, with and without packets, waiting and not: each is told by its own cause, as many times as it
was; a local firewall is no closed port; who has a port is named."""
import shutil
import sys

from live import Case, listens, skip, wait_for

case = Case()
if not case.root:
    skip("needs a network namespace whose settings may be changed")
BACKENDS = ((), ("--no-packets",))  # without: what anybody may see
START = "import socket, sys, time\n"


def told(source, *options):
    trace = case.trace(sys.executable, "-c", START + source, options=options)
    return trace.story()


def expect(story, rules, absent=()):
    found = story.rules()
    assert all(rule in found for rule in rules), (rules, found)
    assert not any(rule in found for rule in absent), (absent, found)


# --- Nothing was ever sent ------------------------------------------------------------------------------------------------
CONNECT = "s = socket.socket(socket.{family})\ntry: s.connect(({address!r}, 80))\nexcept OSError: pass\ns.close()\n"
BIND = "s = socket.socket(socket.{family})\ntry: s.bind(({address!r}, {port}))\nexcept OSError: pass\ns.close()\n"
case.run("sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=1", check=True)
for options in BACKENDS:
    story = told(CONNECT.format(family="AF_INET", address="192.0.2.9"), *options)
    expect(story, ["open.no_route" if case.backend == "bpf" else "open.no_way"], ["open.unreachable"])
    assert len(story.only_connection()["calls"]) == 3, story.only_connection()
    story = told(CONNECT.format(family="AF_INET6", address="::1"), *options)
    expect(story, ["open.family_off"], ["open.no_local_address"])
    story = told(BIND.format(family="AF_INET", address="10.77.0.99", port=8080), *options)
    expect(story, ["bind.no_such_address"])

# --- One pair of addresses, again at once ---------------------------------------------------------------------------------
FIVE = """
for i in range(5):
    s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1); s.bind(("127.0.0.1", 15061))
    try: s.connect(("127.0.0.1", 15062))
    except OSError: pass
    s.close()
"""
for options in BACKENDS:
    story = told(FIVE, *options)
    assert len(story.connections) == 5, len(story.connections)
    refused = [rule for rule in story.rules() if rule in ("open.refused", "open.refused_unseen")]
    assert len(refused) == 5, story.rules()
    for connection in story.connections:
        assert len(story.calls_named("connect", connection)) == 1, connection["calls"]

# --- A connection to itself, and who has its port -------------------------------------------------------------------------
# A port each: the one before stays in TIME-WAIT.
SELF = 's = socket.socket(); s.bind(("127.0.0.1", {0})); s.connect(("127.0.0.1", {0})); s.sendall(b"x"); s.recv(1)\n'
for port, options in zip((15063, 15064), BACKENDS):
    story = told(SELF.format(port) + "s.close()\n", *options)
    expect(story, ["open.self"])
    story.only_connection()
itself = case.start(sys.executable, "-c", START + SELF.format(15065) + "print('connected', flush=True); time.sleep(60)", stdout=-1)
assert itself.stdout.readline()
story = told('s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)\n'
             'try: s.bind(("127.0.0.1", 15065))\nexcept OSError: pass\n')
finding = story.find("bind.held_by_connection")
assert f"[{itself.pid}]" in finding["text"] and "SO_REUSEADDR was set" in finding["text"], finding["text"]
assert not story.connections, story.connections
case.end(itself)

# --- A firewall of this machine -------------------------------------------------------------------------------------------
if case.backend == "bpf" and shutil.which("nft"):
    case.run("sysctl", "-qw", "net.ipv4.tcp_syn_retries=1", check=True)
    server = case.start(sys.executable, "-c", START + 's = socket.create_server(("127.0.0.1", 8087)); time.sleep(100)')
    wait_for("a listener", lambda: listens(8087))
    WAYS = {"input": {"reject with tcp reset": "open.firewall_reset", "reject": "open.firewall_icmp", "drop": "open.firewall_drop_in"},
            "output": {"drop": "open.firewall_drop_out"}}
    for hook, verdicts in WAYS.items():
        for verdict, rule in verdicts.items():
            case.run("nft", f"flush ruleset; table ip t {{ chain c {{ type filter hook {hook} priority 0; tcp dport 8087 {verdict}; }}; }}",
                     check=True)
            for limit in ("None", "1.2"):
                story = told(f's = socket.socket(); s.settimeout({limit})\n'
                             'try: s.connect(("127.0.0.1", 8087))\nexcept OSError: pass\ns.close()\n')
                expect(story, [rule], ["open.refused", "open.refused_later", "open.refused_by_icmp", "open.timed_out", "open.given_up",
                                       "open.abandoned", "gave_up.retransmissions"])
    case.end(server)
case.done()
