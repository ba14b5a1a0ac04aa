"""Each program of the probe, refused by the kernel in turn: the others work, and the trace says which was refused, and what is lost.

By a build of tcpwhy that spoils the programs which TCPWHY_SPOILT_HOOKS names, so that it is the kernel itself that refuses them."""
import json
import os
import pathlib
import re
import subprocess
import sys

from live import HERE, PATIENCE, Case, skip, wait_for

case = Case()
if case.backend != "bpf":
    skip("it is about the kernel's tracepoints")
spoilt = pathlib.Path(case.tcpwhy).with_name("tcpwhy_spoilt")
if not spoilt.exists():
    skip("tcpwhy_spoilt is not built")

table = (HERE.parent.parent / "src/trace/bpf/hooks.cc").read_text()
hooks = dict(re.findall(r'\{"(on_[a-z_]+)", "([a-z_]+)"', table))
assert len(hooks) > 15, hooks


def run(*command, refused, **more):
    environment = os.environ | {"TCPWHY_SPOILT_HOOKS": refused, "TCPWHY_WITHOUT": refused}
    return subprocess.run(list(map(str, command)), env=environment, capture_output=True, text=True, timeout=3 * PATIENCE,
                          stdin=subprocess.DEVNULL, **more)


chosen = os.environ.get("TCPWHY_HOOKS", "").split() or list(hooks)
for refused in chosen:
    # As a fresh process: the story of a reset is told with what is left.
    ran = run(sys.executable, "-B", HERE / "unread_data.py", spoilt, case.programs, "bpf", refused=refused)
    assert ran.returncode == 0, f"{refused}: {ran.stdout}{ran.stderr}"
    said = run(spoilt, "trace", "-v", "--backend", "bpf", "--", "true", refused=refused).stderr
    is_used = f"the kernel refuses the probe's program on tracepoint {hooks[refused]}" in said
    stands_in = any(tracepoint == hooks[refused] and name != refused for name, tracepoint in hooks.items())
    # A program that this kernel has no tracepoint for, or that stands in for another, is not asked of the kernel.
    if is_used:
        assert "R0 !read_ok" in said, said
    else:
        assert stands_in or refused in ("on_entry_submitted", "on_operation_submitted"), f"{refused}: {said}"

# watch and doctor say it too.
said = run(spoilt, "watch", "--seconds", "0.1", refused="on_socket_error")
assert said.returncode == 0 and "inet_sk_error_report" in said.stderr, said
told = json.loads(run(spoilt, "doctor", "-o", "json", refused="on_segment").stdout)
answers = {probe["id"]: probe for probe in told["probes"]}
assert answers["bpf"]["answer"] == "partly" and "net_dev_queue" in answers["bpf"]["found"], answers["bpf"]
assert answers["bpf_watch"]["answer"] != "no", answers["bpf_watch"]
print(f"{len(chosen)} programs refused, one at a time")
print("ok")
