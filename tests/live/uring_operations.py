"""Every operation of a ring on sockets: one line each, as the program itself prints it; submitted by its thread, by the kernel's, and
carried out by the kernel's workers. Each segment that an operation sends is told to be its own."""
import subprocess

from live import Case, PATIENCE, skip, text_of

case = Case()
if case.backend == "ptrace":
    skip("ptrace does not see what a ring does")
if text_of("/proc/sys/kernel/io_uring_disabled").strip() not in ("", "0"):
    skip("io_uring is switched off: kernel.io_uring_disabled")
for how, through in (("", "submission"), ("sqpoll", "submission thread"), ("worker", "worker")):
    trace = case.trace(case.program("uring_operations"), *([how] if how else []), stdout=subprocess.PIPE,
                       stderr=subprocess.PIPE, text=True)
    said = trace.process.stdout.read().splitlines()
    trace.process.wait(PATIENCE)
    if trace.process.returncode == 77:
        skip(f"no ring ({how}): " + trace.process.stderr.read().strip())
    story = trace.story()
    assert trace.process.returncode == 0, trace.process.stderr.read()
    operations = [e for e in story.events.values() if e["kind"] == "call_entered" and e.get("through") == "io_uring"]
    # The accept that is armed still when the ring goes.
    last = [e for e in operations if e["name"] == "accept"][-1]
    lines = sorted(story.line(e) for e in operations if e is not last)
    assert lines == sorted(said), "\n".join(
        [how] + ["traced:  " + x for x in lines if x not in said] + ["program: " + x for x in said if x not in lines])
    assert {story.actor(e) for e in operations} == {"uring_operation"}  # comm has 15 characters
    # Who sent what: by the bytes.
    by_call = {e["call"]: e for e in operations}
    kernel = [e for e in story.events.values() if e["kind"] == "segment_cause" and e["length"] > 0]
    assert len(kernel) == 7, kernel
    for segment in kernel:
        assert segment["name"] == "send" and segment["call"] in by_call, segment
        operation = by_call[segment["call"]]
        assert operation["byte_count"] in (None, segment["length"]), (segment, operation)
        assert operation["socket"] == segment["socket"], (segment, operation)
        if operation["name"] != "send" or "LINK" not in operation["arguments"]:
            assert segment["through"] == through, (segment, operation)
    ends = [e for e in story.events.values() if e["kind"] == "segment_cause" and "F" in e["flags"]]
    assert len(ends) == 4, ends
    for segment in ends:
        assert by_call[segment["call"]]["name"] in ("close", "shutdown"), segment
case.done()
