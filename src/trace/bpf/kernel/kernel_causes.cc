#include "trace/bpf/kernel/kernel_causes.h"

#include <algorithm>
#include <array>
#include <optional>

namespace tcpwhy::trace {
namespace {

// How far outside its trigger a frame still belongs to it: __tcp_close < tcp_close < inet_release < __sock_release < sock_close <
// __fput < task_work_run < do_exit < do_group_exit < get_signal.
constexpr std::size_t context_frames = 12;

// How many frames from the trigger outwards are spelt, itself included.
constexpr std::size_t spelt_frames = 4;

using T = recording::Trigger;

constexpr auto rows = std::to_array<KernelCauseRow>({
    // Answers without a full socket.
    {"tcp_v4_send_reset", "", "tcp_check_req", T::segment, "segment.accept_queue_full"},
    {"tcp_v6_send_reset", "", "tcp_check_req", T::segment, "segment.accept_queue_full"},
    {"tcp_v4_send_reset", "", "tcp_v4_do_rcv", T::segment, "segment.refused"},
    {"tcp_v6_send_reset", "", "tcp_v6_do_rcv", T::segment, "segment.refused"},
    {"tcp_v4_send_reset", "", "", T::segment, "segment.no_socket"},
    {"tcp_v6_send_reset", "", "", T::segment, "segment.no_socket"},
    {"tcp_v4_reqsk_send_ack", "", "", T::segment, "segment.request"},
    {"tcp_v6_reqsk_send_ack", "", "", T::segment, "segment.request"},
    {"tcp_v4_timewait_ack", "", "", T::segment, "segment.time_wait"},
    {"tcp_v6_timewait_ack", "", "", T::segment, "segment.time_wait"},
    {"tcp_v4_send_ack", "", "tcp_check_req", T::segment, "segment.request"},
    {"tcp_v6_send_ack", "", "tcp_check_req", T::segment, "segment.request"},
    {"tcp_v4_send_ack", "", "", T::segment, "segment.time_wait"},
    {"tcp_v6_send_ack", "", "", T::segment, "segment.time_wait"},
    // Timers. Some run late, from release_sock() at the end of a call: the handler's own frame stands inside.
    {"reqsk_timer_handler", "", "", T::timer, "syn_ack_timer"},
    {"tcp_delack_timer_handler", "", "", T::timer, "delayed_ack_timer"},
    {"tcp_delack_timer", "", "", T::timer, "delayed_ack_timer"},
    {"tcp_compressed_ack_kick", "", "", T::timer, "compressed_ack_timer"},
    {"tcp_send_loss_probe", "", "", T::timer, "tail_loss_probe_timer"},
    {"tcp_send_probe0", "", "", T::timer, "zero_window_probe_timer"},
    {"tcp_out_of_resources", "", "", T::timer, "out_of_memory"},
    {"tcp_retransmit_timer", "", "", T::timer, "retransmission_timer"},
    {"tcp_rack_reo_timeout", "", "", T::timer, "reordering_timer"},
    {"tcp_write_timer_handler", "tcp_write_wakeup", "", T::timer, "zero_window_probe_timer"},
    {"tcp_write_timer_handler", "", "", T::timer, "retransmission_timer"},
    {"tcp_write_timer", "tcp_write_wakeup", "", T::timer, "zero_window_probe_timer"},
    {"tcp_write_timer", "", "", T::timer, "retransmission_timer"},
    {"tcp_keepalive_timer", "tcp_send_active_reset", "", T::timer, "keep_alive_gave_up"},
    {"tcp_keepalive_timer", "", "", T::timer, "keep_alive_timer"},
    {"tcp_pace_kick", "", "", T::timer, "pacing_timer"},
    {"tcp_tsq_write", "", "", T::timer, "pacing_timer"},
    {"tcp_tsq_handler", "", "", T::timer, "pacing_timer"},
    {"tcp_tsq_workfn", "", "", T::timer, "pacing_timer"},
    {"tcp_tasklet_func", "", "", T::timer, "pacing_timer"},
    // An arriving segment.
    {"tcp_conn_request", "", "", T::segment, "segment.syn"},
    {"tcp_rtx_synack", "", "tcp_check_req", T::segment, "segment.syn"},
    {"tcp_v4_err", "", "", T::segment, "segment.icmp"},
    {"tcp_v6_err", "", "", T::segment, "segment.icmp"},
    {"tcp_v4_mtu_reduced", "", "", T::segment, "segment.icmp"},
    {"tcp_v6_mtu_reduced", "", "", T::segment, "segment.icmp"},
    {"tcp_validate_incoming", "", "", T::segment, "segment.challenge"},
    {"tcp_send_challenge_ack", "", "", T::segment, "segment.challenge"},
    {"tcp_xmit_retransmit_queue", "", "", T::segment, "segment.fast_retransmit"},
    {"tcp_xmit_recovery", "", "", T::segment, "segment.fast_retransmit"},
    {"tcp_fin", "", "", T::segment, "segment.fin"},
    {"tcp_rcv_established", "tcp_write_xmit", "", T::segment, "segment.ack_made_room"},
    {"tcp_rcv_state_process", "tcp_write_xmit", "", T::segment, "segment.ack_made_room"},
    {"tcp_v4_do_rcv", "tcp_write_xmit", "", T::segment, "segment.ack_made_room"},
    {"tcp_v6_do_rcv", "tcp_write_xmit", "", T::segment, "segment.ack_made_room"},
    {"tcp_rcv_established", "", "", T::segment, "segment.arrived"},
    {"tcp_rcv_synsent_state_process", "", "", T::segment, "segment.syn"},
    {"tcp_rcv_state_process", "", "", T::segment, "segment.arrived"},
    {"tcp_child_process", "", "", T::segment, "segment.arrived"},
    {"tcp_v4_do_rcv", "", "", T::segment, "segment.arrived"},
    {"tcp_v6_do_rcv", "", "", T::segment, "segment.arrived"},
    {"tcp_v4_rcv", "", "", T::segment, "segment.arrived"},
    {"tcp_v6_rcv", "", "", T::segment, "segment.arrived"},
    // An ACK that is due in the backlog's processing waits for its end (tcp_release_cb(), 6.7 and later), whatever the call is.
    {"tcp_release_cb", "tcp_write_xmit", "", T::timer, "pacing_timer"},
    {"tcp_release_cb", "", "", T::segment, "segment.arrived"},
    {"release_sock", "tcp_write_xmit", "", T::timer, "pacing_timer"},
    {"release_sock", "", "", T::segment, "segment.arrived"},
    // The program's calls.
    {"tcp_v4_connect", "", "tcp_sendmsg_fastopen", T::call, "send_fastopen"},
    {"tcp_v6_connect", "", "tcp_sendmsg_fastopen", T::call, "send_fastopen"},
    {"tcp_v4_connect", "", "", T::call, "connect"},
    {"tcp_v6_connect", "", "", T::call, "connect"},
    {"tcp_connect", "", "tcp_sendmsg_fastopen", T::call, "send_fastopen"},
    {"tcp_connect", "", "tcp_sendmsg", T::call, "send_fastopen"},
    {"tcp_connect", "", "", T::call, "connect"},
    {"tcp_sendmsg_locked", "", "", T::call, "send"},
    {"tcp_sendmsg", "", "", T::call, "send"},
    {"tcp_splice_eof", "", "", T::call, "send"},
    {"tcp_recvmsg_locked", "", "", T::call, "recv"},
    {"tcp_recvmsg", "", "", T::call, "recv"},
    {"tcp_splice_read", "", "", T::call, "recv"},
    {"tcp_read_sock", "", "", T::call, "recv"},
    {"tcp_zerocopy_receive", "", "", T::call, "recv"},
    {"tcp_cleanup_rbuf", "", "", T::call, "recv"},
    {"tcp_repair_options_est", "", "", T::call, "setsockopt"},
    {"__tcp_sock_set_nodelay", "", "", T::call, "setsockopt"},
    {"__tcp_sock_set_cork", "", "", T::call, "setsockopt"},
    {"tcp_sock_set_quickack", "", "", T::call, "setsockopt"},
    {"__tcp_sock_set_quickack", "", "", T::call, "setsockopt"},
    {"do_tcp_setsockopt", "", "", T::call, "setsockopt"},
    {"tcp_setsockopt", "", "", T::call, "setsockopt"},
    {"sock_setsockopt", "", "", T::call, "setsockopt"},
    {"tcp_abort", "", "", T::call, "abort.sock_diag"},
    {"tcp_disconnect", "", "inet_csk_listen_stop", T::call, "close.listener_queue"},
    {"tcp_disconnect", "", "__tcp_close", T::call, "close.linger_zero"},
    {"tcp_disconnect", "", "__inet_stream_connect", T::call, "disconnect"},
    {"tcp_disconnect", "", "", T::call, "disconnect"},
    {"inet_csk_listen_stop", "", "", T::call, "close.listener_queue"},
    {"tcp_shutdown", "", "", T::call, "shutdown"},
    {"inet_shutdown", "", "", T::call, "shutdown"},
    {"__tcp_close", "tcp_send_active_reset", "", T::call, "close.unread_data"},
    {"__tcp_close", "", "", T::call, "close"},
    {"tcp_close", "tcp_send_active_reset", "", T::call, "close.unread_data"},
    {"tcp_close", "", "", T::call, "close"},
});

constexpr auto names = std::to_array<KernelCauseName>({
    {"connect", "the program's connect()"},
    {"send", "the program's send(), write(), sendfile() or the like"},
    {"send_fastopen", "the first send() of a connection opened with TCP Fast Open"},
    {"recv", "the program's recv() or read() made room in the receive buffer"},
    {"setsockopt", "the program's setsockopt(): TCP_NODELAY, TCP_CORK 0, TCP_QUICKACK"},
    {"shutdown", "the program's shutdown()"},
    {"close", "close(), or the end of the process that held the last descriptor"},
    {"close.unread_data", "close() while received data had not been read: RST instead of FIN (RFC 2525 2.17)"},
    {"close.linger_zero", "close() with SO_LINGER on and 0 seconds: RST instead of FIN"},
    {"close.linger2", "close() with TCP_LINGER2 below 0: FIN-WAIT-2 is not waited out"},
    {"close.listener_queue", "a listener was closed with connections that nobody had accepted"},
    {"disconnect", "connect(AF_UNSPEC)"},
    {"abort.sock_diag", "somebody aborted the socket from outside: ss -K and the like (SOCK_DESTROY)"},
    {"out_of_memory", "the kernel gave up an orphaned socket: too many of them, or too little memory"},
    {"segment.syn", "an arriving SYN, or SYN-ACK"},
    {"segment.fin", "an arriving FIN"},
    {"segment.arrived", "an arriving segment that is to be acknowledged"},
    {"segment.ack_made_room", "an arriving ACK let data go that was waiting: window, congestion window, Nagle"},
    {"segment.fast_retransmit", "arriving duplicate ACKs or SACKs say that a segment is missing"},
    {"segment.challenge", "an arriving segment that is not acceptable: answered with an ACK of what is (RFC 5961)"},
    {"segment.icmp", "an arriving ICMP message"},
    {"segment.no_socket", "an arriving segment for which there is no socket, or a TIME-WAIT or FIN-WAIT-2 entry only"},
    {"segment.refused", "an arriving segment that its socket refuses: a listener, or one whose program has closed it"},
    {"segment.accept_queue_full", "the last ACK of a handshake met a full accept queue (tcp_abort_on_overflow)"},
    {"segment.time_wait", "an arriving segment, answered by a TIME-WAIT or FIN-WAIT-2 entry"},
    {"segment.request", "an arriving segment, answered by a handshake under way"},
    {"delayed_ack_timer", "the delayed-ACK timer ran out"},
    {"compressed_ack_timer", "the timer of compressed ACKs ran out (tcp_comp_sack_delay_ns)"},
    {"retransmission_timer", "the retransmission timer ran out"},
    {"reordering_timer", "the reordering timer ran out: what is missing counts as lost (RFC 8985, RACK)"},
    {"tail_loss_probe_timer", "the tail-loss probe timer ran out (RFC 8985 7)"},
    {"zero_window_probe_timer", "the timer of zero-window probes ran out"},
    {"keep_alive_timer", "the keep-alive timer ran out"},
    {"keep_alive_gave_up", "keep-alive gave up: no probe was answered"},
    {"syn_ack_timer", "the SYN-ACK timer ran out: the handshake's last ACK is missing"},
    {"pacing_timer", "pacing, or the device's queue, let the next segment go"},
    {"unknown", "the stack is in none of the table's rows"},
});

// What stands before every segment, and the probe itself.
constexpr std::string_view always_there[] = {
    "__dev_queue_xmit",    "dev_queue_xmit",
    "neigh_hh_output",     "neigh_resolve_output",
    "neigh_output",        "ip_finish_output2",
    "__ip_finish_output",  "ip_finish_output",
    "ip_output",           "ip_local_out",
    "__ip_local_out",      "__ip_queue_xmit",
    "ip_queue_xmit",       "ip6_finish_output2",
    "__ip6_finish_output", "ip6_finish_output",
    "ip6_output",          "ip6_xmit",
    "inet6_csk_xmit",      "__tcp_transmit_skb",
    "tcp_transmit_skb",    "ip_build_and_send_pkt",
    "ip6_local_out",       "__ip6_local_out",
    "ip_send_skb",         "ip_push_pending_frames",
};

bool is_probe(std::string_view frame) {
  return frame.empty() || frame.starts_with("bpf_") || frame.starts_with("__bpf_") ||
         frame.starts_with("__traceiter_") || frame.starts_with("trace_call_bpf");
}

// Who carries an io_uring operation out, by a function further out than the operation's own (io_uring/*.c). The nearest decides.
struct RingContext {
  std::string_view frame, through;
};
constexpr RingContext ring_contexts[] = {
    {"io_wq_submit_work", "worker"},
    {"io_worker_handle_work", "worker"},
    {"io_handle_tw_list", "task work"},
    {"tctx_task_work_run", "task work"},
    {"tctx_task_work", "task work"},
    {"__io_run_local_work", "task work"},
    {"io_run_local_work", "task work"},
    {"io_run_task_work", "task work"},
    {"io_sq_thread", "submission thread"},
    {"__do_sys_io_uring_enter", "submission"},
    {"__x64_sys_io_uring_enter", "submission"},
    {"__arm64_sys_io_uring_enter", "submission"},
};
constexpr std::size_t ring_frames = 24;

std::string_view ring_context(std::span<const std::string_view> frames) {
  for (const std::string_view frame : frames.first(std::min(ring_frames, frames.size())))
    for (const RingContext& row : ring_contexts)
      if (row.frame == frame) return row.through;
  return {};
}

struct Found {
  const KernelCauseRow* row;
  std::size_t at;
};

std::optional<Found> find(std::span<const std::string_view> frames) {
  for (std::size_t i = 0; i < frames.size(); ++i) {
    for (const KernelCauseRow& row : rows) {
      if (row.frame != frames[i]) continue;
      const auto inside = frames.first(i);
      const auto outside = frames.subspan(i + 1, std::min(context_frames, frames.size() - i - 1));
      if (!row.inside.empty() && std::ranges::find(inside, row.inside) == inside.end()) continue;
      if (!row.outside.empty() && std::ranges::find(outside, row.outside) == outside.end()) continue;
      return Found{&row, i};
    }
  }
  return std::nullopt;
}

}  // namespace

std::span<const KernelCauseRow> kernel_cause_rows() { return rows; }
std::span<const KernelCauseName> kernel_cause_names() { return names; }

std::string_view cause_of_closing_reset(const ClosingReset& reset) {
  if (reset.reason == "TCP_ABORT_ON_LINGER") return "close.linger2";
  if (reset.reason == "TCP_ABORT_ON_MEMORY") return "out_of_memory";
  if (!reset.reason.empty() || reset.data_unread) return "close.unread_data";
  // A kernel that gives no reason has closed so because nothing else was left.
  return reset.linger2_below_zero ? "close.linger2" : "out_of_memory";
}

KernelCause classify(std::span<const std::string_view> frames) {
  const auto found = find(frames);
  if (!found) return {T::unknown, "unknown"};
  KernelCause cause{found->row->trigger, found->row->name};
  if (cause.name.starts_with("close")) {
    // Descriptors that a process did not close itself are closed in its exit.
    const auto outside = frames.subspan(found->at);
    if (std::ranges::find(outside, "do_exit") != outside.end()) cause.trigger = T::process_end;
  }
  if (cause.trigger == T::call) cause.through = ring_context(frames.subspan(found->at));
  return cause;
}

std::size_t decisive_frames(std::span<const std::string_view> frames) {
  const auto found = find(frames);
  if (!found || found->row->trigger == T::call) return 0;
  std::size_t end = found->at + spelt_frames;
  // Rows that would have won, had their context been there.
  for (std::size_t i = 0; i <= found->at; ++i)
    for (const KernelCauseRow& row : rows)
      if (row.frame == frames[i] && !row.outside.empty()) end = std::max(end, i + 1 + context_frames);
  return end <= frames.size() ? end : 0;
}

std::string spell_stack(std::span<const std::string_view> frames) {
  const auto found = find(frames);
  const std::size_t end = found ? std::min(frames.size(), found->at + spelt_frames) : frames.size();
  std::string text;
  for (const std::string_view frame : frames.first(end)) {
    if (is_probe(frame) || std::ranges::find(always_there, frame) != std::end(always_there)) continue;
    if (!text.empty()) text += " < ";
    text += frame;
  }
  return text;
}

}  // namespace tcpwhy::trace
