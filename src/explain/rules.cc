#include <algorithm>

#include "explain/finding.h"

namespace tcpwhy::explain {
namespace {

using enum Severity;

// One rule, one row; its text stands in catalogue.cc under the same id, the code that finds it in find_*.cc.
constexpr Rule table[] = {
    // --- opening ---
    {"open.handshake", chat, "SYN, SYN-ACK and the ACK of it were seen", "RFC 9293 3.5", ""},
    {"open.inside_connect", chat, "all three segments left between entry and return of connect()",
     "RFC 9293 3.10.1; inet_stream_connect()", ""},
    {"open.before_accept", chat, "the listening side was ESTABLISHED before accept() was entered",
     "tcp_check_req(), inet_csk_accept()", ""},
    {"open.never_accepted", note, "the listening side was ESTABLISHED and accept() never handed the connection out",
     "inet_csk_accept()", ""},
    {"open.options", chat, "both SYNs were seen", "RFC 9293 3.7.1, RFC 7323 1.3, RFC 2018 2", ""},
    {"open.refused", error, "connect() failed with ECONNREFUSED and a RST had answered its SYN",
     "RFC 9293 3.10.7.1, 3.10.7.3; tcp_v4_rcv(): no_tcp_socket", "from packets alone a firewall may have sent it"},
    // --- closing ---
    {"close.fin", chat, "close() sent a FIN", "RFC 9293 3.6, 3.10.4; __tcp_close()", ""},
    {"close.fin_at_exit", note, "a FIN left as the process ended", "exit(2); do_exit()", ""},
    {"close.nothing_sent", warning, "close() returned 0, sent nothing, and the connection lived on",
     "fput(): another descriptor still refers to the socket", ""},
    {"shutdown.fin", chat, "shutdown() sent a FIN", "RFC 9293 3.10.4; tcp_shutdown()", ""},
    {"shutdown.half_close", chat, "after a side's shutdown(SHUT_WR), data of the other side arrived and was read",
     "RFC 9293 3.6, half-close; shutdown(2)", ""},
    {"close.orphan_waits", chat, "after close(): FIN acknowledged, FIN-WAIT-2 here, CLOSE-WAIT there",
     "RFC 9293 3.6; tcp_time_wait(TCP_FIN_WAIT2)", ""},
    {"close.both", chat, "both FINs were sent and acknowledged", "RFC 9293 3.6", ""},
    {"fin_ack.next_tick", chat,
     "the ACK of a FIN came by the delayed-ACK timer, and its sender had never received data",
     "tcp_fin(), tcp_send_delayed_ack(): icsk_ack.ato is 0", ""},
    {"fin_ack.delayed", chat,
     "the ACK of a FIN came by the delayed-ACK timer, started by the FIN, and its sender had received data before",
     "tcp_send_delayed_ack(): TCP_ATO_MIN, 40 ms", ""},
    {"fin_ack.covers_data", note,
     "the ACK of a FIN came by the delayed-ACK timer, which data before the FIN had started",
     "tcp_send_delayed_ack() keeps the earlier timeout", ""},
    {"fin_ack.on_fin", chat, "a FIN was acknowledged by the other side's own FIN", "RFC 9293 3.6", ""},
    {"fin_ack.on_data", chat, "a FIN was acknowledged by a segment with data", "RFC 9293 3.10.7.4", ""},
    {"fin.probed", note, "a FIN was sent again by the tail-loss-probe timer", "RFC 8985 7; tcp_send_loss_probe()", ""},
    // --- calls ---
    {"call.bad_descriptor", error, "a call on a descriptor that had been closed failed with EBADF, and no segment left",
     "close(2), fdget(): the number means nothing any more", ""},
    {"call.send_after_shutdown", error, "a sending call failed with EPIPE after the same side's shutdown(SHUT_WR)",
     "send(2); tcp_sendmsg_locked(): SEND_SHUTDOWN", ""},
    {"call.recv_after_shutdown", chat,
     "a receiving call returned 0 after the same side's shutdown(SHUT_RD), no FIN having come",
     "shutdown(2); tcp_recvmsg_locked(): RCV_SHUTDOWN", ""},
    {"send.after_peer_closed", warning, "a sending call succeeded after the other side's FIN had arrived",
     "RFC 9293 3.6: a FIN says only that no more data will come", ""},
    {"send.before_reset", note, "a sending call succeeded after such a send, the reset not having arrived",
     "tcp_sendmsg(): no error is known yet", ""},
    {"send.not_sent", note, "the bytes of a successful call never left, the reset having come first",
     "tcp_reset(): tcp_write_queue_purge()", ""},
    {"send.broken_pipe", error, "a sending call failed with EPIPE after FIN and reset had arrived",
     "tcp_reset(): sk_err = EPIPE in CLOSE-WAIT; sk_stream_error()", ""},
    {"send.connection_reset", error, "a sending call failed with ECONNRESET, a reset having come without a FIN",
     "tcp_reset(): sk_err = ECONNRESET", ""},
    {"send.broken_pipe_later", error,
     "a sending call failed with EPIPE after the error of a reset had been taken by an earlier call",
     "tcp_sendmsg_locked(): SEND_SHUTDOWN; sk_stream_error()", ""},
    {"recv.end_of_file", chat, "receiving calls returned 0 after the other side's FIN had arrived",
     "recv(2); RFC 9293 3.10.7.4, eighth", ""},
    {"recv.end_of_file_after_reset", note,
     "receiving calls returned 0 although a reset had arrived, the FIN having come before it",
     "tcp_recvmsg_locked(): SOCK_DONE is tested before sk_err", ""},
    {"recv.connection_reset", error, "a receiving call failed with ECONNRESET",
     "tcp_reset(); sock_error() takes the error", ""},
    {"recv.zero_after_error", note, "a receiving call returned 0 after another had taken the error of a reset",
     "tcp_recvmsg_locked(): SOCK_DONE", ""},
    {"recv.data_before_reset", note, "data that had arrived before a reset was still read after it",
     "tcp_reset() purges only the write queue", ""},
    // --- resets ---
    {"reset.fin_wait_2_entry", error, "a RST answered data that came after a closed socket's FIN had been acknowledged",
     "RFC 9293 3.6.1, RFC 1122 4.2.2.13; tcp_timewait_state_process(): TCP_TW_RST", ""},
    {"reset.orphan_fin_wait_1", error,
     "a RST answered data that arrived while a closed socket's FIN was not yet acknowledged",
     "RFC 9293 3.6.1, RFC 1122 4.2.2.13; tcp_rcv_state_process(): TCPABORTONDATA", ""},
    {"reset.after_shutdown", error, "a RST answered data for a socket whose program had called shutdown(SHUT_RDWR)",
     "tcp_rcv_state_process(): RCV_SHUTDOWN", ""},
    {"reset.forgotten", error, "a RST answered a segment for a connection that this side's kernel no longer knew",
     "RFC 9293 3.10.7.1; tcp_v4_rcv(): no_tcp_socket, tcp_v4_send_reset()", ""},
    {"reset.unread_data_at_close", error, "close() sent a RST, and received bytes had not been read",
     "RFC 2525 2.17, RFC 1122 4.2.2.13; __tcp_close(): TCPABORTONCLOSE",
     "from packets alone this may also be SO_LINGER 0"},
    {"reset.unread_data_at_exit", error, "a RST left as the process ended, and received bytes had not been read",
     "do_exit(), __tcp_close(): TCPABORTONCLOSE", ""},
    {"reset.linger_zero", error, "close() sent a RST after SO_LINGER had been set to {on, 0}",
     "RFC 9293 3.10.5; socket(7) SO_LINGER; __tcp_close(), tcp_disconnect()", ""},
    {"reset.unexplained", warning, "a RST was seen and no rule above says why", "RFC 9293 3.5.2", "why it was sent"},
    // --- signals ---
    {"signal.killed", error, "a process was killed by SIGPIPE inside a sending call",
     "send(2), signal(7); sk_stream_error(): send_sig(SIGPIPE)", ""},
    {"signal.handled", note, "a handler ran for SIGPIPE during a sending call that failed with EPIPE", "signal(7)", ""},
    {"signal.ignored", chat, "a sending call failed with EPIPE while SIGPIPE was ignored", "signal(7): SIG_IGN", ""},
    {"signal.not_asked_for", chat, "a sending call with MSG_NOSIGNAL failed with EPIPE", "send(2): MSG_NOSIGNAL", ""},
    {"signal.none_with_econnreset", note, "a sending call failed with ECONNRESET, and no signal came",
     "sk_stream_error(): SIGPIPE only with EPIPE", ""},
};

constexpr std::string_view severity_names[] = {"chat", "note", "warning", "error"};

}  // namespace

std::string_view name(Severity severity) { return severity_names[static_cast<std::size_t>(severity)]; }

std::span<const Rule> rules() { return table; }

const Rule* find_rule(std::string_view id) {
  const auto* row = std::ranges::find(table, id, &Rule::id);
  return row == std::end(table) ? nullptr : row;
}

}  // namespace tcpwhy::explain
