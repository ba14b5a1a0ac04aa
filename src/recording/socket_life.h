// What the kernel told of one TCP socket from its opening to its end: facts, in the order in which they came.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>

#include "base/clock.h"
#include "tcp/state.h"
#include "wire/address.h"

namespace tcpwhy::recording {

// A process, as far as it is known.
struct Holder {
  std::int32_t pid = 0;  // 0: not known
  std::string command;
  bool operator==(const Holder&) const = default;
};

// Of a listener on this machine, as it stood when a SYN to it had gone unanswered.
struct FullQueue {
  Holder listener;
  std::uint32_t waiting = 0, backlog = 0;
};

struct SocketLife {
  std::uint64_t socket = 0;  // cookie
  std::uint64_t netns = 0;   // cookie of its network namespace; 0: not known
  wire::SocketAddress local, remote;
  Holder holder;                     // who was in a call on it last: who closed it, in the end
  bool holder_only_listens = false;  // nobody has been in a call on it: `holder` listens on its port
  Holder closer;                     // in whose call its first FIN or its RST left; pid 0: in nobody's
  bool in_cgroup = false;            // one of those was in the control group that was asked for
  base::WallTime opened, ended;      // `ended`: CLOSED; of one that is not over: when it was looked at
  bool over = false;
  std::optional<base::WallTime> waits_since;  // it entered CLOSE-WAIT
  bool began_before_watching = false;
  bool opener = false;       // it connected; otherwise it was accepted
  bool established = false;  // the handshake was completed
  // In the order in which they were entered; most lives have six or fewer.
  std::array<tcp::State, 8> states{};
  std::uint8_t state_count = 0;
  bool closed_by_exit = false;                       // its own FIN or RST left because its process ended
  std::uint64_t bytes_sent = 0, bytes_received = 0;  // acknowledged by the peer; taken in order
  std::uint32_t retransmissions = 0, srtt_us = 0;
  bool reset_received = false, reset_sent = false, reset_active = false;
  std::optional<bool> reset_answers_data;  // one that was sent, not active: the segment that it answers carries payload
  std::string reset_reason;                // of the one sent; "" where the kernel does not say
  std::string reset_cause;  // of the one sent, by the kernel's stack: a name of docs/KERNEL-CAUSES.md; "": not known
  std::int32_t error = 0;   // the last errno that was put on it
  bool window_stayed_shut = false;      // with that error: the peer had answered each window probe, and took nothing
  std::optional<FullQueue> full_queue;  // an opener that never stood: what it knocked at

  [[nodiscard]] tcp::State state() const { return state_count == 0 ? tcp::State::not_seen : states[state_count - 1U]; }
  [[nodiscard]] bool was_in(tcp::State state) const {
    for (std::uint8_t i = 0; i < state_count; ++i)
      if (states[i] == state) return true;
    return false;
  }
};

}  // namespace tcpwhy::recording
