"""What the tests of this folder share: a network of their own, programs that are ended again, a trace and its story.

A case is run as  CASE.py TCPWHY PROGRAMS BACKEND  (BACKEND: bpf or ptrace) and exits with 0, 1, or 77: not possible here, and why.
TCPWHY_LIVE_KEEP names a folder for its reports and recordings; TCPWHY_LIVE_SLOWNESS says how many times as long everything takes here
(tools/kernel-matrix: an emulated processor).
"""
import atexit
import contextlib
import errno
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
SKIPPED = 77
PATIENCE = 20.0 * float(os.environ.get("TCPWHY_LIVE_SLOWNESS", "1"))  # seconds until a condition that must come is given up
# The number of the call by which this machine's C library does it (asm/unistd.h).
CALLS = {"x86_64": {"poll": 7, "sendto": 44, "clock_nanosleep": 230},
         "aarch64": {"poll": 73, "sendto": 206, "clock_nanosleep": 115}}[os.uname().machine]


def skip(reason):
    print(f"skipped: {reason}")
    sys.exit(SKIPPED)


def need(*programs):
    for program in programs:
        if not shutil.which(program):
            skip(f"{program} is not installed")


def enter_own_network():
    """Runs this script again in a network namespace that only it and its children have; it ends with the last of them."""
    if os.environ.get("TCPWHY_LIVE_NETWORK") == "own":
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        return
    need("unshare", "ip")
    unshare = ["unshare", "-n"] if os.geteuid() == 0 else ["unshare", "-r", "-n"]
    if subprocess.run(unshare + ["true"], capture_output=True).returncode != 0:
        skip("no network namespace is to be had: " + " ".join(unshare))
    os.environ["TCPWHY_LIVE_NETWORK"] = "own"
    os.environ["TCPWHY_LIVE_ROOT"] = "yes" if os.geteuid() == 0 else "no"
    os.execvp(unshare[0], unshare + [sys.executable] + sys.argv)


def wait_for(what, condition):
    deadline = time.monotonic() + PATIENCE
    while True:
        result = condition()
        if result:
            return result
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {PATIENCE:.0f} s for: {what}")
        time.sleep(0.002)


def listens(port):
    """Nobody connects to find out: that connection would be in the trace."""
    return any(
        line.split()[1].endswith(f":{port:04X}") and line.split()[3] == "0A"
        for table in ("/proc/self/net/tcp", "/proc/self/net/tcp6")
        for line in pathlib.Path(table).read_text().splitlines()[1:]
    )


def text_of(path):
    try:
        return pathlib.Path(path).read_text(errors="replace")
    except OSError:
        return ""


def is_in(call, thread):
    """Whether the thread waits in that call, by its folder below /proc."""
    return text_of(f"{thread}/syscall").split(" ")[0] == str(CALLS[call])


class Trace:
    """tcpwhy trace, started; story() ends it and reads what it says."""

    def __init__(self, case, command=(), pids=(), options=(), **popen):
        self.case = case
        self.report = case.folder / f"report-{len(case.processes)}.json"
        self.recording = self.report.with_suffix(".pcapng")
        target = ["--", *map(str, command)] if command else [word for pid in pids for word in ("-p", str(pid))]
        self.of_command = bool(command)
        self.process = case.start(
            case.tcpwhy, "trace", "--backend", case.backend, "-o", "json", "--report", self.report, "-w", self.recording,
            "--lang", "en", *options, *target, **popen)
        if pids:
            wait_for("the tracer watches " + " ".join(map(str, pids)), lambda: self.watches(pids))

    def watches(self, pids):
        if self.process.poll() is not None:
            raise AssertionError(f"tcpwhy trace -p ended with {self.process.returncode}")
        if self.case.backend == "ptrace":
            # It is one of its threads that traces.
            threads = {f"TracerPid:\t{thread.name}\n" for thread in self.threads()}
            return all(any(line in text_of(f"/proc/{pid}/status") for line in threads) for pid in pids)
        # Its programs are attached before it waits for their first word, in poll(2).
        folder = f"/proc/{self.process.pid}/fd"
        links = 0
        for fd in os.listdir(folder):
            with contextlib.suppress(OSError):  # closed meanwhile
                links += "bpf" in os.readlink(f"{folder}/{fd}")
        return links > 0 and is_in("poll", f"/proc/{self.process.pid}")

    def threads(self):
        return list(pathlib.Path(f"/proc/{self.process.pid}/task").iterdir())

    def traced(self, word, missing_ok=False):
        """The pid of the command, which has this word in its command line."""
        children = [pid for thread in self.threads() for pid in text_of(thread / "children").split()]
        words = {pid: text_of(f"/proc/{pid}/cmdline").split("\0") for pid in children}
        pids = [int(pid) for pid in children if word in words[pid] and words[pid][0] != self.case.tcpwhy]
        return None if missing_ok and not pids else pids[0]

    def story(self, patience=PATIENCE, **what_is_seen):
        if not self.of_command and self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        self.process.wait(patience)
        story = Story(self.case, json.loads(self.report.read_text()))
        story.holds(**what_is_seen)
        self.case.stories.append((story, self.recording))
        return story


class Story:
    def __init__(self, case, document):
        self.case = case
        self.recording = document["recordings"][0]
        self.events = {event["id"]: event for event in self.recording["events"]}
        self.connections = self.recording["connections"]
        self.findings = self.recording["findings"]

    def actor(self, event):
        return self.recording["actors"][event["actor"]]["name"]

    def only_connection(self):
        assert len(self.connections) == 1, [(c["opener"]["address"], c["listener"]["address"]) for c in self.connections]
        return self.connections[0]

    def rules(self, connection=None):
        index = None if connection is None else self.connections.index(connection)
        return [f["rule"] for f in self.findings if index is None or f["connection"] == index]

    def find(self, rule, connection=None):
        index = None if connection is None else self.connections.index(connection)
        found = [f for f in self.findings if f["rule"] == rule and (index is None or f["connection"] == index)]
        assert found, f"no finding {rule}, but {self.rules(connection)}"
        return found[0]

    def calls(self, finding, name=None):
        """The entries of the calls whose entry or return is among a finding's evidence."""
        numbers = [self.events[e].get("call") for e in finding["evidence"] if self.events[e]["kind"].startswith("call_")]
        entered = [e for e in self.events.values() if e["kind"] == "call_entered" and e["call"] in numbers]
        return [event for event in entered if name in (None, event["name"])]

    def call(self, finding, name, process):
        calls = self.calls(finding, name)
        assert calls, f"{finding['rule']} rests on no {name}(): {finding['text']}"
        assert self.actor(calls[0]) == process, f"{name}() of {self.actor(calls[0])}, not of {process}"
        return calls[0]

    def calls_named(self, name, connection):
        entered = [e for e in self.events.values() if e["kind"] == "call_entered" and e["name"] == name]
        return [event for event in entered if event["call"] in connection["calls"]]

    def segments(self, connection, side, flag):
        return [s for s in connection["segments"] if s["from"] == side and flag in s["flags"]]

    def closed_first(self, connection):
        """Whose end of the connection left ESTABLISHED by its own doing first; None: nobody's."""
        for change in connection["state_changes"]:
            if change["from"] == "ESTABLISHED" and change["to"] in ("FIN-WAIT-1", "CLOSED"):
                return change["side"]
        return None

    def ended_by(self, finding, signal_name):
        """The process's end is among the evidence, and says by which signal."""
        ends = [self.events[e] for e in finding["evidence"] if self.events[e]["kind"] == "process_ended"]
        assert ends and all(event["signal"] == signal_name for event in ends), (finding, ends)

    def line(self, entered):
        """The call as strace would print it, from the fields of its two events."""
        answers = [e for e in self.events.values() if e["kind"] == "call_returned" and e["call"] == entered["call"]]
        arguments, through = entered["arguments"], entered["through"] + ": " if entered["through"] else ""
        if not answers:
            return f"{through}{entered['name']}({arguments} <unfinished ...>"
        [answer] = answers
        detail, place = answer["detail"], re.search(r"(?<![^ ])\.\.\.(?=,|$)", arguments)
        if place:
            arguments = arguments[:place.start()] + (detail or "...") + arguments[place.end():]
        result = str(answer["result"])
        if answer["error"]:
            result += f" {errno.errorcode[answer['error']]} ({os.strerror(answer['error'])})"
        return f"{through}{entered['name']}({arguments}) = {result}" + (f" ({detail})" if detail and not place else "")

    def packet(self, segment):
        return self.events[segment["departed"]]

    def losses(self):
        return [event for event in self.events.values() if event["kind"] == "loss"]

    def holds(self, calls_are_seen=True, causes_are_seen=True):
        """What is to hold of every story: causes are known (where the calls are seen that may be one), they are of the right owner, and
        no line is wider than the terminal."""
        for connection in self.connections:
            for segment in connection["segments"]:
                end = connection[segment["from"]]
                cause = segment["cause"]
                if not end["actors"]:
                    continue
                what = f"{end['name']} {segment['summary']}: {cause}"
                assert cause["trigger"] != "unknown" or not calls_are_seen, what
                if self.case.backend == "bpf" and causes_are_seen:
                    # A program the kernel skipped is counted, and then the cause is derived.
                    assert cause["grade"] == "observed" or self.losses(), what
                    assert (cause.get("kernel") or {}).get("name") != "unknown", what
                if cause["trigger"] == "call" and cause["by"] is not None and self.events[cause["by"]]["kind"] == "call_entered":
                    call = self.events[cause["by"]]
                    if call["socket"] and end["socket"]:
                        assert call["socket"] == end["socket"], what
                    assert self.actor(call) in [self.recording["actors"][a]["name"] for a in end["actors"]], what
        for finding in self.findings:
            assert finding["evidence"], finding
            assert not re.search(r"\{[a-z_]*\}", finding["text"]), finding["text"]  # a place that nothing was put in
            assert not finding["rule"].startswith("reset.unexplained"), finding["text"]


class Case:
    def __init__(self):
        if len(sys.argv) != 4:
            sys.exit(__doc__)
        enter_own_network()
        self.tcpwhy, self.programs, self.backend = sys.argv[1], pathlib.Path(sys.argv[2]), sys.argv[3]
        self.root = os.environ["TCPWHY_LIVE_ROOT"] == "yes"
        if self.backend == "bpf" and not self.root:
            skip("the kernel's tracepoints are for root")
        self.processes, self.stories = [], []
        # Short and open: servers that change their user read what is in it.
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="tcpwhy-live-"))
        self.folder.chmod(0o755)
        atexit.register(self.clean)

    def start(self, *command, **popen):
        popen.setdefault("stdin", subprocess.DEVNULL)
        process = subprocess.Popen(list(map(str, command)), **popen)
        self.processes.append(process)
        return process

    def run(self, *command, **options):
        return subprocess.run(list(map(str, command)), timeout=PATIENCE, stdin=subprocess.DEVNULL, **options)

    def trace(self, *command, **rest):
        return Trace(self, command=command, **rest)

    def attach(self, *pids, **rest):
        return Trace(self, pids=pids, **rest)

    def program(self, name):
        program = self.programs / name
        if not program.exists():
            skip(f"{name} is not built")
        return program

    def end(self, process, how=signal.SIGTERM):
        if process.poll() is None:
            process.send_signal(how)
        process.wait(PATIENCE)

    def clean(self):
        for process in reversed(self.processes):
            if process.poll() is None:
                # tcpwhy lets go of what it traces; what it started gets the signal too.
                process.terminate()
                try:
                    process.wait(5)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
        if keep := os.environ.get("TCPWHY_LIVE_KEEP"):
            for file in self.folder.glob("report-*"):
                shutil.copy(file, keep)
        shutil.rmtree(self.folder, ignore_errors=True)

    def done(self):
        """The same stories as text, on 80 columns: nothing is wider, nothing escapes; and with other payloads."""
        import unicodedata

        def columns(line):
            return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in line)

        for _, recording in self.stories:
            for language in ("en", "zh"):
                shown = self.run(self.tcpwhy, "read", recording, "--width", "80", "--lang", language, "--color", "never",
                                 capture_output=True, text=True)
                assert shown.returncode == 0, shown.stderr
                wide = [line for line in shown.stdout.splitlines() if columns(line) > 80]
                assert not wide, "wider than 80 columns:\n" + "\n".join(wide[:5])
                assert "\x1b" not in shown.stdout
        self.check(*(recording for _, recording in self.stories))
        print("ok")

    def check(self, *recordings):
        """What is told contradicts neither itself nor its evidence; and had the programs sent something else, the same would be found."""
        held = self.run(self.programs / "check_recordings", *recordings, capture_output=True, text=True)
        assert held.returncode == 0, held.stderr


def line_of(source, marker):
    """Where in a helper program the comment `// HERE: marker` stands, as a stack names it."""
    for number, line in enumerate((HERE / "programs" / source).read_text().splitlines(), 1):
        if f"// HERE: {marker}" in line:
            return f"{source}:{number}"
    raise AssertionError(f"{source} has no line marked {marker}")


def nginx(case, port=8080, more=""):
    """The command of an nginx with a master and a worker that serves case.folder / 'www'."""
    need("nginx")
    www = case.folder / "www"
    www.mkdir(exist_ok=True)
    (www / "page.html").write_text("<p>hello\n" * 20)
    temporary = "".join(
        f"{kind}_temp_path {case.folder}/{kind};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    (case.folder / "nginx.conf").write_text(f"""
daemon off; worker_processes 1; pid {case.folder}/nginx.pid; error_log {case.folder}/error.log;
{"user root;" if os.geteuid() == 0 else ""}
events {{ worker_connections 64; }}
http {{ access_log off; {temporary}
  server {{ listen 127.0.0.1:{port}; root {www}; {more} }} }}
""")
    return ["nginx", "-p", case.folder, "-c", case.folder / "nginx.conf", "-e", case.folder / "error.log"]


def end_nginx(case, how=signal.SIGQUIT):
    """By its pid file: tcpwhy's child is nobody else's."""
    os.kill(int((case.folder / "nginx.pid").read_text()), how)
