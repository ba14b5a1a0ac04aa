#include "lab/names.h"

#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

namespace tcpwhy::lab {
namespace {

constexpr int highest_errno = 133;  // EHWPOISON, asm-generic/errno.h

char upper(char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c; }

bool same_word(std::string_view a, std::string_view b) {
  return std::ranges::equal(a, b, [](char x, char y) { return upper(x) == upper(y); });
}

constexpr NamedNumber message_flag_rows[] = {
    {"MSG_OOB", MSG_OOB},         {"MSG_PEEK", MSG_PEEK},         {"MSG_DONTWAIT", MSG_DONTWAIT},
    {"MSG_WAITALL", MSG_WAITALL}, {"MSG_NOSIGNAL", MSG_NOSIGNAL}, {"MSG_MORE", MSG_MORE},
    {"MSG_TRUNC", MSG_TRUNC},     {"MSG_EOR", MSG_EOR},           {"MSG_FASTOPEN", MSG_FASTOPEN},
};

// In strace's order.
constexpr NamedNumber poll_rows[] = {
    {"POLLIN", POLLIN},   {"POLLPRI", POLLPRI},   {"POLLOUT", POLLOUT},     {"POLLERR", POLLERR},
    {"POLLHUP", POLLHUP}, {"POLLNVAL", POLLNVAL}, {"POLLRDHUP", POLLRDHUP},
};

constexpr NamedNumber shutdown_rows[] = {{"SHUT_RD", SHUT_RD}, {"SHUT_WR", SHUT_WR}, {"SHUT_RDWR", SHUT_RDWR}};

constexpr SocketOption option_rows[] = {
    {"SO_REUSEADDR", "SOL_SOCKET", SOL_SOCKET, SO_REUSEADDR, OptionValue::number},
    {"SO_ERROR", "SOL_SOCKET", SOL_SOCKET, SO_ERROR, OptionValue::number, true},
    {"SO_KEEPALIVE", "SOL_SOCKET", SOL_SOCKET, SO_KEEPALIVE, OptionValue::number},
    {"SO_LINGER", "SOL_SOCKET", SOL_SOCKET, SO_LINGER, OptionValue::linger},
    {"SO_SNDBUF", "SOL_SOCKET", SOL_SOCKET, SO_SNDBUF, OptionValue::number},
    {"SO_RCVBUF", "SOL_SOCKET", SOL_SOCKET, SO_RCVBUF, OptionValue::number},
    {"SO_REUSEPORT", "SOL_SOCKET", SOL_SOCKET, SO_REUSEPORT, OptionValue::number},
    {"SO_OOBINLINE", "SOL_SOCKET", SOL_SOCKET, SO_OOBINLINE, OptionValue::number},
    {"SO_RCVLOWAT", "SOL_SOCKET", SOL_SOCKET, SO_RCVLOWAT, OptionValue::number},
    {"TCP_NODELAY", "SOL_TCP", IPPROTO_TCP, TCP_NODELAY, OptionValue::number},
    {"TCP_CORK", "SOL_TCP", IPPROTO_TCP, TCP_CORK, OptionValue::number},
    {"TCP_QUICKACK", "SOL_TCP", IPPROTO_TCP, TCP_QUICKACK, OptionValue::number},
    {"TCP_KEEPIDLE", "SOL_TCP", IPPROTO_TCP, TCP_KEEPIDLE, OptionValue::number},
    {"TCP_KEEPINTVL", "SOL_TCP", IPPROTO_TCP, TCP_KEEPINTVL, OptionValue::number},
    {"TCP_KEEPCNT", "SOL_TCP", IPPROTO_TCP, TCP_KEEPCNT, OptionValue::number},
    {"TCP_SYNCNT", "SOL_TCP", IPPROTO_TCP, TCP_SYNCNT, OptionValue::number},
    {"TCP_LINGER2", "SOL_TCP", IPPROTO_TCP, TCP_LINGER2, OptionValue::number},
    {"TCP_DEFER_ACCEPT", "SOL_TCP", IPPROTO_TCP, TCP_DEFER_ACCEPT, OptionValue::number},
    {"TCP_USER_TIMEOUT", "SOL_TCP", IPPROTO_TCP, TCP_USER_TIMEOUT, OptionValue::number},
    {"TCP_MAXSEG", "SOL_TCP", IPPROTO_TCP, TCP_MAXSEG, OptionValue::number},
    {"TCP_WINDOW_CLAMP", "SOL_TCP", IPPROTO_TCP, TCP_WINDOW_CLAMP, OptionValue::number},
    {"TCP_FASTOPEN", "SOL_TCP", IPPROTO_TCP, TCP_FASTOPEN, OptionValue::number},
    {"TCP_FASTOPEN_CONNECT", "SOL_TCP", IPPROTO_TCP, TCP_FASTOPEN_CONNECT, OptionValue::number},
    {"TCP_NOTSENT_LOWAT", "SOL_TCP", IPPROTO_TCP, TCP_NOTSENT_LOWAT, OptionValue::number},
    {"TCP_MD5SIG", "SOL_TCP", IPPROTO_TCP, TCP_MD5SIG, OptionValue::key},
    {"IPV6_V6ONLY", "SOL_IPV6", IPPROTO_IPV6, IPV6_V6ONLY, OptionValue::number},
};

constexpr std::string_view state_rows[] = {"LISTEN",     "SYN-SENT",   "SYN-RECEIVED", "ESTABLISHED",
                                           "FIN-WAIT-1", "FIN-WAIT-2", "CLOSE-WAIT",   "CLOSING",
                                           "LAST-ACK",   "TIME-WAIT",  "CLOSED"};

}  // namespace

std::string errno_name(int error) {
  const char* name = strerrorname_np(error);
  return name ? name : fmt::format("errno {}", error);
}

std::optional<int> find_errno(std::string_view name) {
  for (int error = 1; error <= highest_errno; ++error)
    if (const char* known = strerrorname_np(error); known && name == known) return error;
  if (name == "EWOULDBLOCK") return EWOULDBLOCK;
  return std::nullopt;
}

std::string signal_name(int signal) {
  const char* name = sigabbrev_np(signal);
  return name ? fmt::format("SIG{}", name) : fmt::format("signal {}", signal);
}

std::optional<int> find_signal(std::string_view name) {
  if (name.size() > 3 && same_word(name.substr(0, 3), "SIG")) name.remove_prefix(3);
  for (int signal = 1; signal < 32; ++signal)
    if (const char* known = sigabbrev_np(signal); known && same_word(name, known)) return signal;
  return std::nullopt;
}

std::span<const NamedNumber> message_flags() { return message_flag_rows; }
std::span<const NamedNumber> poll_events() { return poll_rows; }
std::span<const NamedNumber> shutdown_ways() { return shutdown_rows; }

std::optional<int> find_named(std::span<const NamedNumber> table, std::string_view name, std::string_view prefix) {
  for (const NamedNumber& row : table) {
    if (same_word(name, row.name)) return row.value;
    if (row.name.starts_with(prefix) && same_word(name, row.name.substr(prefix.size()))) return row.value;
  }
  return std::nullopt;
}

std::string join_flags(std::span<const NamedNumber> table, int bits) {
  std::string text;
  for (const NamedNumber& row : table) {
    if ((bits & row.value) != row.value || row.value == 0) continue;
    if (!text.empty()) text += '|';
    text += row.name;
    bits &= ~row.value;
  }
  if (bits != 0) text += fmt::format("{}{:#x}", text.empty() ? "" : "|", static_cast<unsigned>(bits));
  return text.empty() ? "0" : text;
}

std::span<const SocketOption> socket_options() { return option_rows; }

std::optional<std::uint16_t> find_socket_option(std::string_view name) {
  for (std::size_t row = 0; row < std::size(option_rows); ++row)
    if (same_word(name, option_rows[row].name)) return static_cast<std::uint16_t>(row);
  return std::nullopt;
}

std::span<const std::string_view> state_names() { return state_rows; }

}  // namespace tcpwhy::lab
