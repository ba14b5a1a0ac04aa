#include "tcp/state.h"

#include <algorithm>
#include <array>

namespace tcpwhy::tcp {
namespace {

struct StateName {
  State state;
  std::string_view name;
};
constexpr StateName state_names[] = {
    {State::not_seen, "?"},
    {State::closed, "CLOSED"},
    {State::listen, "LISTEN"},
    {State::syn_sent, "SYN-SENT"},
    {State::syn_received, "SYN-RECEIVED"},
    {State::established, "ESTABLISHED"},
    {State::fin_wait_1, "FIN-WAIT-1"},
    {State::fin_wait_2, "FIN-WAIT-2"},
    {State::close_wait, "CLOSE-WAIT"},
    {State::closing, "CLOSING"},
    {State::last_ack, "LAST-ACK"},
    {State::time_wait, "TIME-WAIT"},
};
static_assert(std::size(state_names) == state_count);

constexpr std::string_view stimulus_names[] = {
    "listens",
    "sends SYN",
    "sends SYN-ACK",
    "sends FIN",
    "sends RST",
    "gets SYN",
    "gets SYN-ACK",
    "gets ACK of SYN",
    "gets FIN",
    "gets ACK of FIN",
    "gets FIN and ACK of FIN",
    "gets RST",
    "forgets",
};
static_assert(std::size(stimulus_names) == stimulus_count);

using S = State;
using W = Stimulus;

// RFC 9293 3.3.2, Figure 5, in the order of its drawing; what the drawing leaves to the text of 3.10 says so.
constexpr Transition table[] = {
    {S::closed, W::listens, S::listen, "3.10.1"},
    {S::not_seen, W::listens, S::listen, "3.10.1"},
    // RFC 9293 3.10.1: "A SYN segment of the form <SEQ=ISS><CTL=SYN> is sent. ... enter SYN-SENT state"
    {S::closed, W::sends_syn, S::syn_sent, "3.10.1"},
    {S::not_seen, W::sends_syn, S::syn_sent, "3.10.1"},
    {S::listen, W::sends_syn, S::syn_sent, "3.10.1"},
    // RFC 9293 3.10.7.2, third: "The connection state should be changed to SYN-RECEIVED." Here the listener itself
    // stays in LISTEN; its child is what SYN-RECEIVED means.
    {S::listen, W::sends_syn_ack, S::syn_received, "3.10.7.2"},
    {S::closed, W::sends_syn_ack, S::syn_received, "3.10.7.2"},
    {S::not_seen, W::sends_syn_ack, S::syn_received, "3.10.7.2"},
    // RFC 9293 3.10.7.3, fourth: "If SND.UNA > ISS (our SYN has been ACKed), change the connection state to
    // ESTABLISHED ... Otherwise, enter SYN-RECEIVED, form a SYN,ACK segment"
    {S::syn_sent, W::gets_syn, S::syn_received, "3.10.7.3, fourth"},
    {S::syn_sent, W::gets_syn_ack, S::established, "3.10.7.3, fourth"},
    // RFC 9293 3.10.7.4, fifth: "If SND.UNA < SEG.ACK =< SND.NXT, then enter ESTABLISHED state"
    {S::syn_received, W::gets_ack_of_syn, S::established, "3.10.7.4, fifth"},
    {S::syn_received, W::gets_syn_ack, S::established, "3.10.7.4, fifth"},

    // RFC 9293 3.10.4: "then form a FIN segment and send it. In any case, enter FIN-WAIT-1 state." The kernel is in
    // FIN-WAIT-1 from close() on, also while its FIN waits behind data; an outsider learns of it by the FIN.
    {S::established, W::sends_fin, S::fin_wait_1, "3.10.4"},
    {S::syn_received, W::sends_fin, S::fin_wait_1, "3.10.4"},
    // RFC 9293 3.10.4: "then send a FIN segment, enter LAST-ACK state"
    {S::close_wait, W::sends_fin, S::last_ack, "3.10.4"},
    {S::not_seen, W::sends_fin, S::fin_wait_1, "3.10.4"},

    {S::established, W::gets_fin, S::close_wait, "3.10.7.4, eighth"},
    {S::syn_received, W::gets_fin, S::close_wait, "3.10.7.4, eighth"},
    {S::not_seen, W::gets_fin, S::close_wait, "3.10.7.4, eighth"},
    // RFC 9293 3.10.7.4, eighth: "If our FIN has been ACKed (perhaps in this segment), then enter TIME-WAIT, start
    // the time-wait timer, turn off the other timers; otherwise, enter the CLOSING state."
    {S::fin_wait_1, W::gets_fin, S::closing, "3.10.7.4, eighth"},
    // RFC 9293 3.10.7.4, fifth: "if the FIN segment is now acknowledged, then enter FIN-WAIT-2"
    {S::fin_wait_1, W::gets_ack_of_fin, S::fin_wait_2, "3.10.7.4, fifth"},
    {S::fin_wait_1, W::gets_fin_and_ack_of_fin, S::time_wait, "3.10.7.4, eighth"},
    {S::fin_wait_2, W::gets_fin, S::time_wait, "3.10.7.4, eighth"},
    {S::fin_wait_2, W::gets_fin_and_ack_of_fin, S::time_wait, "3.10.7.4, eighth"},
    // RFC 9293 3.10.7.4, fifth: "if the ACK acknowledges our FIN, then enter the TIME-WAIT state; otherwise, ignore
    // the segment"
    {S::closing, W::gets_ack_of_fin, S::time_wait, "3.10.7.4, fifth"},
    {S::closing, W::gets_fin_and_ack_of_fin, S::time_wait, "3.10.7.4, fifth"},
    // RFC 9293 3.10.7.4, fifth: "If our FIN is now acknowledged, delete the TCB, enter the CLOSED state"
    {S::last_ack, W::gets_ack_of_fin, S::closed, "3.10.7.4, fifth"},
    {S::last_ack, W::gets_fin_and_ack_of_fin, S::closed, "3.10.7.4, fifth"},

    {S::syn_sent, W::gets_rst, S::closed, "3.10.7.3, second"},
    // RFC 9293 3.10.7.4, second: "If this connection was initiated with a passive OPEN (i.e., came from the LISTEN
    // state), then return this connection to LISTEN state and return." Here the listener never left LISTEN: its child
    // goes.
    {S::syn_received, W::gets_rst, S::closed, "3.10.7.4, second"},
    {S::established, W::gets_rst, S::closed, "3.10.7.4, second"},
    {S::fin_wait_1, W::gets_rst, S::closed, "3.10.7.4, second"},
    {S::fin_wait_2, W::gets_rst, S::closed, "3.10.7.4, second"},
    {S::close_wait, W::gets_rst, S::closed, "3.10.7.4, second"},
    {S::closing, W::gets_rst, S::closed, "3.10.7.4, second"},
    {S::last_ack, W::gets_rst, S::closed, "3.10.7.4, second"},
    {S::not_seen, W::gets_rst, S::closed, "3.10.7.4, second"},
    // RFC 9293 3.10.7.4, second: "If the RST bit is set, then enter the CLOSED state, delete the TCB, and return." RFC
    // 1337 would keep TIME-WAIT, as Linux does with tcp_rfc1337 = 1 (default 0): tcp_timewait_state_process().
    {S::time_wait, W::gets_rst, S::closed, "tcp_timewait_state_process()"},

    {S::syn_sent, W::sends_rst, S::closed, "3.10.5"},
    {S::syn_received, W::sends_rst, S::closed, "3.10.5"},
    {S::established, W::sends_rst, S::closed, "3.10.5"},
    {S::fin_wait_1, W::sends_rst, S::closed, "3.10.5"},
    {S::fin_wait_2, W::sends_rst, S::closed, "3.10.5; tcp_timewait_state_process() for a closed socket's entry"},
    {S::close_wait, W::sends_rst, S::closed, "3.10.5"},
    // RFC 9293 3.10.5 sends none from CLOSING and LAST-ACK; Linux does while data is unsent (tcp_disconnect()), or in
    // answer to a segment.
    {S::closing, W::sends_rst, S::closed, "3.10.5"},
    {S::last_ack, W::sends_rst, S::closed, "3.10.5"},
    {S::not_seen, W::sends_rst, S::closed, "3.10.5"},

    // RFC 9293 3.10.8: "If the time-wait timeout expires on a connection, delete the TCB, enter the CLOSED state"
    {S::time_wait, W::forgets, S::closed, "3.10.8"},
    {S::fin_wait_2, W::forgets, S::closed, "tcp_fin_timeout, inet_twsk_deschedule_put()"},
    {S::fin_wait_1, W::forgets, S::closed, "tcp_orphan_retries, tcp_out_of_resources()"},
    {S::last_ack, W::forgets, S::closed, "tcp_orphan_retries"},
    // RFC 9293 3.10.8: "For any state if the user timeout expires, flush all queues"
    {S::syn_sent, W::forgets, S::closed, "3.10.8 (user or retransmission timeout)"},
    {S::syn_received, W::forgets, S::closed, "reqsk_timer_handler()"},
    {S::listen, W::forgets, S::closed, "3.10.4"},
};

}  // namespace

std::string_view name(State state) { return state_names[static_cast<std::size_t>(state)].name; }

std::optional<State> state_named(std::string_view text) {
  const auto* row = std::ranges::find(state_names, text, &StateName::name);
  if (row == std::end(state_names)) return std::nullopt;
  return row->state;
}

std::string_view name(Stimulus stimulus) { return stimulus_names[static_cast<std::size_t>(stimulus)]; }

std::span<const Transition> transitions() { return table; }

const Transition* find_transition(State from, Stimulus stimulus) {
  const auto* row =
      std::ranges::find_if(table, [&](const Transition& t) { return t.from == from && t.stimulus == stimulus; });
  return row == std::end(table) ? nullptr : row;
}

}  // namespace tcpwhy::tcp
