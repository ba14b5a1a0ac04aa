// A TCP socket as the kernel tells it at one moment: its state, its queues, its timers, and who keeps it.
#pragma once

#include <cstdint>
#include <optional>

#include "tcp/state.h"
#include "wire/address.h"

namespace tcpwhy::recording {

// What of struct tcp_info (linux/tcp.h) an explanation needs. Times in microseconds, as the kernel gives them.
struct TcpDetails {
  std::uint32_t rto_us = 0;  // tcpi_rto, backoff included
  std::uint32_t ato_us = 0;  // tcpi_ato: the delayed-ACK timer's length; 0 until the first data segment arrived
  std::uint32_t rtt_us = 0;  // tcpi_rtt, smoothed
  std::uint32_t rtt_variance_us = 0;  // tcpi_rttvar
  std::uint32_t snd_mss = 0;          // bytes
  std::uint32_t unacked = 0;          // segments in flight
  std::uint32_t retransmissions = 0;  // tcpi_retransmits: of the segment that is being tried again now
  std::uint32_t total_retransmissions = 0;
  std::uint32_t congestion_window = 0;  // segments
  std::uint8_t send_window_scale = 0, receive_window_scale = 0;
  bool timestamps = false, sack = false, window_scaling = false, ecn = false;  // TCPI_OPT_*
  bool operator==(const TcpDetails&) const = default;
};

// Who keeps the socket alive.
enum class HeldBy : std::uint8_t {
  process,       // a descriptor in some process
  accept_queue,  // a finished connection that no accept() has taken yet: no process has ever held it
  request,       // a handshake under way at a listener
  kernel,        // nobody any more: an orphan, or a TIME-WAIT or FIN-WAIT-2 entry
};

// What a socket waits for, and since when: struct inet_diag_msg's timer, and of struct tcp_info what only tells how it stands now.
struct SocketActivity {
  // idiag_timer: which timer runs. inet_diag(7) calls `on` the retransmission, tail-loss-probe or reordering timer.
  enum class Timer : std::uint8_t { off, retransmission, keep_alive, time_wait, zero_window_probe };
  Timer timer = Timer::off;
  std::uint32_t timer_expires_ms = 0;
  std::uint32_t retransmissions = 0;  // idiag_retrans: how often by this timer, without an answer
  std::uint32_t backoff = 0;          // tcpi_backoff
  std::uint32_t last_data_sent_ms = 0, last_data_received_ms = 0, last_ack_received_ms = 0;  // ago; full sockets only
  std::uint32_t not_sent_bytes = 0;                                                          // tcpi_notsent_bytes
  std::optional<std::uint32_t> send_window;  // tcpi_snd_wnd, bytes the peer would take (Linux 5.4)
};

// Multipath TCP (RFC 8684): the program's socket is one of protocol 262, whose bytes go by subflows, each a TCP connection.
enum class MptcpPart : std::uint8_t {
  none,
  subflow,        // of a socket that is not known: its process and what it waits for are not
  known_subflow,  // `inode` is its socket's
  socket,         // `state` is the connection's, its addresses are those of its first subflow
};

struct SocketSnapshot {
  std::uint64_t cookie = 0;           // SO_COOKIE; a TIME-WAIT entry keeps its socket's, a connection its request's
  wire::SocketAddress local, remote;  // IPv4-mapped addresses as the IPv4 addresses they mean
  tcp::State state = tcp::State::not_seen;  // never closed; not_seen for a number that no kernel uses
  HeldBy holder = HeldBy::process;
  // Bytes as the kernel counts them, an unread FIN and an unacknowledged SYN or FIN as 1 each (tcp_diag_get_info()).
  // A listener: connections waiting for accept(), and how many may.
  std::uint32_t receive_queue = 0, send_queue = 0;
  std::uint32_t inode = 0;  // of the socket's descriptor, as in /proc/PID/fd; 0 unless holder is process
  std::uint32_t uid = 0;
  std::uint8_t shutdown = 0;      // sk_shutdown: 1 receiving, 2 sending; 0 where it is not told
  std::optional<TcpDetails> tcp;  // full sockets only, and no listeners
  // It connected: among the bytes of its that were acknowledged is a SYN (tcp_snd_una_update()). Absent: not known, while something is on
  // its way and once it has sent a FIN.
  std::optional<bool> opener;
  SocketActivity activity;
  MptcpPart mptcp = MptcpPart::none;
  std::uint32_t mptcp_token = 0;  // of its connection at this end; 0: not told (it takes CAP_NET_ADMIN)
};

}  // namespace tcpwhy::recording
