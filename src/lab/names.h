// Names of the numbers that sockets speak: errno, signals, MSG_*, POLL*, SHUT_*, socket options. Tables; both
// directions.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace tcpwhy::lab {

std::string errno_name(int error);  // "EPIPE"; "errno 4711" for a number without a name
std::optional<int> find_errno(std::string_view name);
std::string signal_name(int signal);                    // "SIGPIPE"; "signal 99"
std::optional<int> find_signal(std::string_view name);  // "SIGPIPE" or "PIPE", any case

struct NamedNumber {
  std::string_view name;
  int value;
};

// MSG_NOSIGNAL ...; the flags of send(2) and recv(2) that a stream socket knows.
std::span<const NamedNumber> message_flags();
// POLLIN ...
std::span<const NamedNumber> poll_events();
// SHUT_RD, SHUT_WR, SHUT_RDWR; find_named also takes them without the prefix.
std::span<const NamedNumber> shutdown_ways();

// Any case; with or without `prefix`.
std::optional<int> find_named(std::span<const NamedNumber> table, std::string_view name, std::string_view prefix);
// "A|B"; unknown bits as 0x...; "0" for none.
std::string join_flags(std::span<const NamedNumber> table, int bits);

// key: for a peer, struct tcp_md5sig.
enum class OptionValue : std::uint8_t { number, linger, key };

struct SocketOption {
  std::string_view name, level_name;  // "SO_LINGER", "SOL_SOCKET"
  int level, number;
  OptionValue value;
  bool is_errno = false;  // SO_ERROR: the value reads as an errno
};
std::span<const SocketOption> socket_options();
std::optional<std::uint16_t> find_socket_option(std::string_view name);  // row; any case

// The states of RFC 9293 3.3.2 in its spelling, in its order.
std::span<const std::string_view> state_names();

}  // namespace tcpwhy::lab
