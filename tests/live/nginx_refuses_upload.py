"""nginx with lingering_close off refuses an upload (413), and closes while more of it comes: unread, so it is a reset."""
import socket

from live import Case, end_nginx, listens, nginx, wait_for

case = Case()
server = case.trace(*nginx(case, more="client_max_body_size 1k; lingering_close off; lingering_time 1ms;"))
wait_for("nginx listens", lambda: listens(8080))
with socket.create_connection(("127.0.0.1", 8080)) as client:
    client.settimeout(20)
    client.sendall(b"POST /page.html HTTP/1.1\r\nHost: a\r\nContent-Length: 100000000\r\n\r\nthe beginning")
    assert b" 413 " in client.recv(4096)
    seen = "nothing"
    try:
        # What it has refused comes all the same.
        for _ in range(1000):
            client.sendall(bytes(100000))
    except (ConnectionResetError, BrokenPipeError) as error:
        seen = type(error).__name__
assert seen != "nothing"
end_nginx(case)
story = server.story()
connection = story.only_connection()
finding = story.find("reset.unread_data_at_close", connection)
close = story.call(finding, "close", "nginx")
assert "nginx" in close["stack"], close["stack"]
assert story.closed_first(connection) == "listener", connection["state_changes"]
resets = story.segments(connection, "listener", "R")
assert story.events[resets[0]["cause"]["by"]]["call"] == close["call"], resets[0]
assert not story.segments(connection, "listener", "F"), connection["segments"]
case.done()
