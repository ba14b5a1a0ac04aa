"""Of several calls that failed with EPIPE the one is named whose SIGPIPE killed or was handled, and none where it came from elsewhere."""
import signal

from live import Case

case = Case()
# Of the sends to the dead connection, counted from 0: of which a handler ran, by which the process was killed, which were blocked.
WAYS = {
    "default": ([], [0], []),
    "handled, then default": ([0, 1], [2], []),
    "handled once": ([0], [1], []),
    "ignored, then a pipe": ([], [], []),
    "no signal, then a pipe": ([], [], []),
    "no signal, then kill": ([], [], []),
    "blocked, then default": ([], [], [0]),
    "blocked, then handled": ([], [], [0]),
    "handler leaves": ([0], [], []),
    "handler jumps": ([0], [], []),
}
DEADLY = ("default", "handled, then default", "handled once", "ignored, then a pipe", "no signal, then a pipe", "blocked, then default")
for way, (handled, killed, blocked) in WAYS.items():
    trace = case.trace(case.program("sigpipe_ways"), way)
    story = trace.story()
    assert trace.process.returncode == (-signal.SIGPIPE if way in DEADLY else 0), (way, trace.process.returncode)
    connection = story.only_connection()
    sends = [call["call"] for call in story.calls_named("sendto", connection)][1:]

    def said(rule):
        return sorted(sends.index(story.calls(f, "sendto")[0]["call"]) for f in story.findings if f["rule"] == rule)

    assert said("signal.handled") == handled, (way, said("signal.handled"))
    assert said("signal.killed") == killed, (way, said("signal.killed"))
    # Without root nobody tells of a signal that waits.
    assert said("signal.blocked") == (blocked if case.backend == "bpf" else []), (way, said("signal.blocked"))
    assert ("signal.not_asked_for" in story.rules(connection)) == way.startswith("no signal"), (way, story.rules(connection))
case.done()
