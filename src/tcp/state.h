// The connection states of RFC 9293 3.3.2 and the moves between them, as a table.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace tcpwhy::tcp {

enum class State : std::uint8_t {
  not_seen,  // the observer has seen nothing that tells
  closed,
  listen,
  syn_sent,
  syn_received,
  established,
  fin_wait_1,
  fin_wait_2,
  close_wait,
  closing,
  last_ack,
  time_wait,
};
inline constexpr std::size_t state_count = 12;

// RFC 9293 spelling: "SYN-SENT"; "?" for not_seen.
std::string_view name(State state);
std::optional<State> state_named(std::string_view name);

// What an endpoint does or what reaches it, as far as an outsider can see it on the wire.
enum class Stimulus : std::uint8_t {
  listens,  // the program calls listen(); not on the wire
  sends_syn,
  sends_syn_ack,
  sends_fin,
  sends_rst,  // a reset of its own connection
  gets_syn,
  gets_syn_ack,  // that acknowledges its SYN
  gets_ack_of_syn,
  gets_fin,  // in order: everything before it has arrived
  gets_ack_of_fin,
  gets_fin_and_ack_of_fin,
  gets_rst,  // an acceptable one
  forgets,   // 2 MSL or FIN-WAIT-2 timer, orphan given up; not on the wire
};
inline constexpr std::size_t stimulus_count = 13;
std::string_view name(Stimulus stimulus);

struct Transition {
  State from;
  Stimulus stimulus;
  State to;
  std::string_view clause;  // section of RFC 9293, or the kernel function where Linux goes its own way
};

// All moves; a pair that is not listed leaves the state as it is.
std::span<const Transition> transitions();
const Transition* find_transition(State from, Stimulus stimulus);

}  // namespace tcpwhy::tcp
