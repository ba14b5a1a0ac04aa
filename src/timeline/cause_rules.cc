#include "timeline/cause.h"

#include <algorithm>
#include <iterator>

namespace tcpwhy::timeline {
namespace {

constexpr CauseRule rules[] = {
    {"kernel", "the recording holds the kernel's own call stack for this segment", "tracepoint net:net_dev_queue"},
    {"syn.connect", "a SYN leaves while its owner is inside connect()", "RFC 9293 3.10.1; tcp_v4_connect()"},
    {"syn_ack.answers_syn", "a SYN-ACK leaves after a SYN arrived", "RFC 9293 3.10.7.2; tcp_conn_request()"},
    {"ack.completes_handshake", "an ACK leaves right after the SYN-ACK arrived",
     "RFC 9293 3.10.7.3; tcp_rcv_synsent_state_process()"},
    {"data.send", "payload leaves while its owner is inside a call that sends",
     "RFC 9293 3.10.2; tcp_sendmsg_locked()"},
    {"data.option_released", "payload leaves while its owner sets TCP_NODELAY or clears TCP_CORK",
     "tcp(7); do_tcp_setsockopt()"},
    {"data.released_by_ack",
     "payload sent earlier leaves, outside every call, right after a segment arrived that acknowledges data (where its owners have ended, less than 200 ms after it)",
     "RFC 9293 3.7.4 (Nagle), 3.8.6 (window); tcp_data_snd_check()"},
    {"fin.close", "a FIN leaves while its owner is inside close()", "RFC 9293 3.10.4; __tcp_close(), tcp_send_fin()"},
    {"fin.shutdown", "a FIN leaves while its owner is inside shutdown()", "RFC 9293 3.10.4; tcp_shutdown()"},
    {"fin.process_end", "a FIN leaves as its owner's process ends: the kernel closes what it held",
     "exit(2); do_exit(), __fput()"},
    {"fin.released_by_ack",
     "a FIN that waited behind data leaves right after an arriving acknowledgment (where its owners have ended, less than 200 ms after it)",
     "tcp_data_snd_check()"},
    {"rst.active_close", "[R.] at SND.NXT leaves while its owner is inside close()",
     "RFC 9293 3.10.5, RFC 2525 2.17; __tcp_close(), tcp_send_active_reset()"},
    {"rst.active_call", "[R.] leaves while its owner is inside connect() or shutdown()", "tcp_disconnect()"},
    {"rst.process_end", "[R.] leaves as its owner's process ends", "do_exit(), __tcp_close()"},
    {"rst.answers_segment",
     "a RST leaves right after a segment arrived, with that segment's ACK number as sequence number (or 0 and its end acknowledged)",
     "RFC 9293 3.10.7.1; tcp_v4_send_reset()"},
    {"ack.of_fin_is_delayed",
     "the ACK of a FIN that moved its receiver to CLOSE-WAIT leaves outside every call: a FIN puts the receiver in pingpong mode, so it is never a quick ACK",
     "tcp_fin(): inet_csk_enter_pingpong_mode(); tcp_send_delayed_ack(), tcp_delack_timer()"},
    {"ack.of_fin_is_immediate", "the ACK of a FIN that arrived in FIN-WAIT-1 or FIN-WAIT-2 leaves at once",
     "RFC 9293 3.10.7.4, eighth; tcp_fin(), tcp_timewait_state_process()"},
    {"ack.of_data_is_immediate", "an ACK leaves within 1 ms of data that had not been acknowledged",
     "RFC 9293 3.8.6.3; __tcp_ack_snd_check() (quick ACK, second full segment)"},
    {"ack.of_data_is_delayed", "an ACK of data leaves later, outside every call",
     "RFC 9293 3.8.6.3; tcp_delack_timer()"},
    {"ack.reader_made_room", "an ACK leaves while its owner is inside a call that receives", "tcp_cleanup_rbuf()"},
    {"ack.quickack_set", "an ACK leaves while its owner sets TCP_QUICKACK", "tcp(7); do_tcp_setsockopt()"},
    {"ack.of_duplicate", "an ACK leaves right after a segment that brought nothing new or was not acceptable",
     "RFC 9293 3.10.7.4, first; tcp_validate_incoming(), tcp_send_dupack()"},
    {"ack.answers_segment", "an ACK leaves within 1 ms of an arriving segment, and no better rule fits",
     "RFC 9293 3.10.7.4"},
    {"again.syn_timer", "a SYN leaves again", "RFC 6298; tcp_retransmit_timer()"},
    {"again.syn_ack_timer", "a SYN-ACK leaves again", "reqsk_timer_handler()"},
    {"again.tail_loss_probe",
     "what was sent leaves again while the counter TCPLossProbes moved (without counters: sooner than 200 ms)",
     "RFC 8985 7; tcp_send_loss_probe()"},
    {"again.timeout",
     "what was sent leaves again while the counter TCPTimeouts moved (without counters: 200 ms or more after it left)",
     "RFC 6298; tcp_retransmit_timer()"},
    {"again.duplicate_acks", "what was sent leaves again right after an arriving duplicate acknowledgment",
     "RFC 5681 3.2, RFC 6675; tcp_xmit_retransmit_queue()"},
    {"probe.keep_alive", "a segment below SND.NXT leaves with nothing outstanding",
     "RFC 9293 3.8.4; tcp_keepalive_timer()"},
    {"probe.zero_window", "the same while the peer's window is 0", "RFC 9293 3.8.6.1; tcp_send_probe0()"},
};

constexpr std::string_view trigger_names[] = {"unknown", "call", "process end", "segment", "timer"};
constexpr std::string_view grade_names[] = {"observed", "derived", "assumed"};
constexpr std::string_view timer_names[] = {
    "none",          "delayed-ACK timer",       "retransmission timer", "tail-loss-probe timer",
    "SYN-ACK timer", "zero-window-probe timer", "keep-alive timer",     "pacing timer"};

struct TimerRow {
  std::string_view prefix;  // of the kernel cause's id
  Timer timer;
};
constexpr TimerRow timers[] = {
    {"delayed_ack", Timer::delayed_ack},
    {"retransmission", Timer::retransmission},
    {"tail_loss_probe", Timer::tail_loss_probe},
    {"zero_window_probe", Timer::zero_window_probe},
    {"keep_alive", Timer::keep_alive},
    {"syn_ack", Timer::syn_ack},
    {"pacing", Timer::pacing},
};

}  // namespace

Timer timer_of_kernel_cause(std::string_view id) {
  const auto* row = std::ranges::find_if(timers, [&](const TimerRow& r) { return id.starts_with(r.prefix); });
  return row == std::end(timers) ? Timer::none : row->timer;
}

std::span<const CauseRule> cause_rules() { return rules; }
std::string_view name(Trigger trigger) { return trigger_names[static_cast<std::size_t>(trigger)]; }
std::string_view name(Grade grade) { return grade_names[static_cast<std::size_t>(grade)]; }
std::string_view name(Timer timer) { return timer_names[static_cast<std::size_t>(timer)]; }

}  // namespace tcpwhy::timeline
