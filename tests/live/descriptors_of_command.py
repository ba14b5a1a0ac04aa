"""A traced command has the descriptors that tcpwhy was given, with the same numbers, and none of tcpwhy's own."""
import os
import subprocess

from live import Case

case = Case()
given = os.memfd_create("given", 0)  # not closed at exec
os.set_inheritable(given, True)


def listed(*before):
    out = subprocess.run([*map(str, before), "/bin/ls", "/proc/self/fd"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                         stderr=subprocess.DEVNULL, text=True, close_fds=False, check=True, timeout=60)
    return out.stdout.split("\n\n")[0].split()


alone = listed()
assert str(given) in alone, alone
for options in ([], ["-w", case.folder / "x.pcapng"], ["--no-packets"]):
    traced = listed(case.tcpwhy, "trace", "--backend", case.backend, *options, "--")
    assert traced == alone, (options, traced, alone)
case.done()
