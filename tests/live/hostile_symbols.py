"""Programs whose debug information is made to harm its reader: their trace ends soon, whole but for functions and lines, and says so."""
import contextlib
import os
import socket
import struct
import subprocess
import time

from live import PATIENCE, Case, need, text_of

need("objcopy")
case = Case()


def in_our_network(pid):
    with contextlib.suppress(OSError):
        return os.readlink(f"/proc/{pid}/ns/net") == os.readlink("/proc/self/ns/net")
    return False


def change(program, *how):
    subprocess.run(["objcopy", *map(str, how), program], check=True, capture_output=True)


def nested(depth):
    """DWARF 4: a compile unit, and in it a block in a block in a block, each over all addresses."""
    everywhere = struct.pack("<QI", 0, 0x7FFFFFFF)
    unit = struct.pack("<HIB", 4, 0, 8) + b"\x01" + everywhere + (b"\x02" + everywhere) * depth + b"\0" * (depth + 1)
    info, abbrev = case.folder / "info", case.folder / "abbrev"
    info.write_bytes(struct.pack("<I", len(unit)) + unit)
    abbrev.write_bytes(b"\x01\x11\x01\x11\x01\x12\x06\0\0\x02\x0b\x01\x11\x01\x12\x06\0\0\0")
    return ["--update-section", f".debug_info={info}", "--update-section", f".debug_abbrev={abbrev}"]


def linked(name):
    """.gnu_debuglink: the name of the file that has the debug information, and a checksum of it."""
    link = case.folder / "link"
    link.write_bytes(name.encode() + b"\0" * (4 - len(name) % 4) + b"CRC!")
    return ["--strip-debug", "--add-section", f".gnu_debuglink={link}"]


def story_of(name, how):
    program = case.folder / name
    program.write_bytes(case.program("fork_and_close").read_bytes())
    program.chmod(0o755)
    change(program, *how)
    began = time.monotonic()
    trace = case.trace(program, stdout=subprocess.PIPE, text=True)
    with socket.create_connection(("127.0.0.1", int(trace.process.stdout.readline()))) as client:
        assert client.recv(64) == b"late\n"
        assert client.recv(64) == b""
    story = trace.story(patience=3 * PATIENCE)
    assert trace.process.returncode == 0, trace.process.returncode
    assert time.monotonic() - began < 30, "it takes a second or two"
    connection = story.only_connection()
    close = story.call(story.find("close.left_to_another", connection), "close", name[:15])
    return story, close


story, close = story_of("nested", nested(300_000))
assert "nested+0x" in close["stack"] or "0x" in close["stack"], close["stack"]
unread = [loss for loss in story.losses() if loss["what"] == "file's symbols"]
assert len(unread) == 1 and str(case.folder / "nested") in unread[0]["why"], story.losses()

os.mkfifo(case.folder / "fifo")
for name in ("fifo", "../" * 12 + "dev/zero"):
    story, close = story_of("linked", linked(name))
    assert "main+0x" in close["stack"], close["stack"]
    assert not [loss for loss in story.losses() if loss["what"] == "file's symbols"], story.losses()
    (case.folder / "linked").unlink()

# Nothing of it is left: what reads symbols ends with the tracer.
names = {text_of(f"/proc/{pid}/comm").strip() for pid in os.listdir("/proc") if pid.isdigit() and in_our_network(pid)}
assert not names & {"tcpwhy-nursery", "tcpwhy-symbols"}, names
case.done()
