"""A call of the 32-bit ABI in a program of 64 bits is no call of the same number: no shutdown() is made up, and EPIPE has its true cause."""
import os
import platform
import subprocess
import sys

from live import Case

case = Case()
if platform.machine() != "x86_64":
    print("another machine has no int 0x80")
    sys.exit(77)
alone = subprocess.run([case.program("compat_calls")], capture_output=True, text=True, timeout=60)
if alone.returncode != 0 or not alone.stdout.startswith("compat ") or int(alone.stdout.split()[1]) == -38:
    print("this kernel has no calls of 32 bits:", alone.returncode, alone.stdout.strip())
    sys.exit(77)
trace = case.trace(case.program("compat_calls"), stdout=subprocess.PIPE, text=True)
trace.process.stdout.read()
story = trace.story()
connection = story.only_connection()
assert not story.calls_named("shutdown", connection), "a shutdown() that was not made"
found = [finding["rule"] for finding in story.recording["findings"]]
assert "call.send_after_shutdown" not in found and "send.broken_pipe" in found, found
case.done()
