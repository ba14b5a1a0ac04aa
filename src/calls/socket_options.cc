#include "calls/socket_options.h"

#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <iterator>

#include "calls/names.h"

namespace tcpwhy::calls {
namespace {

using enum OptionValue;

// Numbers without a name are those that the headers of an older C library lack, or have under a name that strace does not use.
constexpr SocketOption rows[] = {
    {SOL_SOCKET, SO_DEBUG, "SO_DEBUG"},
    {SOL_SOCKET, SO_REUSEADDR, "SO_REUSEADDR", number},
    {SOL_SOCKET, SO_TYPE, "SO_TYPE"},
    {SOL_SOCKET, SO_ERROR, "SO_ERROR", error},
    {SOL_SOCKET, SO_DONTROUTE, "SO_DONTROUTE"},
    {SOL_SOCKET, SO_BROADCAST, "SO_BROADCAST"},
    {SOL_SOCKET, SO_SNDBUF, "SO_SNDBUF", number},
    {SOL_SOCKET, SO_RCVBUF, "SO_RCVBUF", number},
    {SOL_SOCKET, SO_KEEPALIVE, "SO_KEEPALIVE", number},
    {SOL_SOCKET, SO_OOBINLINE, "SO_OOBINLINE", number},
    {SOL_SOCKET, SO_NO_CHECK, "SO_NO_CHECK"},
    {SOL_SOCKET, SO_PRIORITY, "SO_PRIORITY"},
    {SOL_SOCKET, SO_LINGER, "SO_LINGER", linger},
    {SOL_SOCKET, SO_BSDCOMPAT, "SO_BSDCOMPAT"},
    {SOL_SOCKET, SO_REUSEPORT, "SO_REUSEPORT", number},
    {SOL_SOCKET, SO_PASSCRED, "SO_PASSCRED"},
    {SOL_SOCKET, SO_PEERCRED, "SO_PEERCRED"},
    {SOL_SOCKET, SO_RCVLOWAT, "SO_RCVLOWAT", number},
    {SOL_SOCKET, SO_SNDLOWAT, "SO_SNDLOWAT"},
    {SOL_SOCKET, 20, "SO_RCVTIMEO_OLD"},
    {SOL_SOCKET, 21, "SO_SNDTIMEO_OLD"},
    {SOL_SOCKET, SO_BINDTODEVICE, "SO_BINDTODEVICE"},
    {SOL_SOCKET, SO_ATTACH_FILTER, "SO_ATTACH_FILTER"},
    {SOL_SOCKET, SO_DETACH_FILTER, "SO_DETACH_FILTER"},
    {SOL_SOCKET, SO_PEERNAME, "SO_PEERNAME"},
    {SOL_SOCKET, 29, "SO_TIMESTAMP_OLD"},
    {SOL_SOCKET, SO_ACCEPTCONN, "SO_ACCEPTCONN"},
    {SOL_SOCKET, SO_PEERSEC, "SO_PEERSEC"},
    {SOL_SOCKET, SO_SNDBUFFORCE, "SO_SNDBUFFORCE"},
    {SOL_SOCKET, SO_RCVBUFFORCE, "SO_RCVBUFFORCE"},
    {SOL_SOCKET, SO_PASSSEC, "SO_PASSSEC"},
    {SOL_SOCKET, 35, "SO_TIMESTAMPNS_OLD"},
    {SOL_SOCKET, SO_MARK, "SO_MARK"},
    {SOL_SOCKET, 37, "SO_TIMESTAMPING_OLD"},
    {SOL_SOCKET, SO_PROTOCOL, "SO_PROTOCOL"},
    {SOL_SOCKET, SO_DOMAIN, "SO_DOMAIN"},
    {SOL_SOCKET, SO_RXQ_OVFL, "SO_RXQ_OVFL"},
    {SOL_SOCKET, SO_WIFI_STATUS, "SO_WIFI_STATUS"},
    {SOL_SOCKET, SO_PEEK_OFF, "SO_PEEK_OFF"},
    {SOL_SOCKET, SO_NOFCS, "SO_NOFCS"},
    {SOL_SOCKET, SO_LOCK_FILTER, "SO_LOCK_FILTER"},
    {SOL_SOCKET, SO_SELECT_ERR_QUEUE, "SO_SELECT_ERR_QUEUE"},
    {SOL_SOCKET, SO_BUSY_POLL, "SO_BUSY_POLL"},
    {SOL_SOCKET, SO_MAX_PACING_RATE, "SO_MAX_PACING_RATE"},
    {SOL_SOCKET, SO_BPF_EXTENSIONS, "SO_BPF_EXTENSIONS"},
    {SOL_SOCKET, SO_INCOMING_CPU, "SO_INCOMING_CPU"},
    {SOL_SOCKET, SO_ATTACH_BPF, "SO_ATTACH_BPF"},
    {SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, "SO_ATTACH_REUSEPORT_CBPF"},
    {SOL_SOCKET, SO_ATTACH_REUSEPORT_EBPF, "SO_ATTACH_REUSEPORT_EBPF"},
    {SOL_SOCKET, SO_CNX_ADVICE, "SO_CNX_ADVICE"},
    {SOL_SOCKET, SO_MEMINFO, "SO_MEMINFO"},
    {SOL_SOCKET, SO_INCOMING_NAPI_ID, "SO_INCOMING_NAPI_ID"},
    {SOL_SOCKET, SO_COOKIE, "SO_COOKIE"},
    {SOL_SOCKET, SO_PEERGROUPS, "SO_PEERGROUPS"},
    {SOL_SOCKET, SO_ZEROCOPY, "SO_ZEROCOPY"},
    {SOL_SOCKET, SO_TXTIME, "SO_TXTIME"},
    {SOL_SOCKET, SO_BINDTOIFINDEX, "SO_BINDTOIFINDEX"},
    {SOL_SOCKET, 66, "SO_RCVTIMEO_NEW"},
    {SOL_SOCKET, 67, "SO_SNDTIMEO_NEW"},
    {SOL_SOCKET, 69, "SO_PREFER_BUSY_POLL"},
    {SOL_SOCKET, 70, "SO_BUSY_POLL_BUDGET"},
    {SOL_SOCKET, 71, "SO_NETNS_COOKIE"},
    {SOL_SOCKET, 72, "SO_BUF_LOCK"},
    {SOL_SOCKET, 73, "SO_RESERVE_MEM"},
    {SOL_SOCKET, 74, "SO_TXREHASH"},
    {SOL_SOCKET, 75, "SO_RCVMARK"},
    {IPPROTO_TCP, TCP_NODELAY, "TCP_NODELAY", number},
    {IPPROTO_TCP, TCP_MAXSEG, "TCP_MAXSEG", number},
    {IPPROTO_TCP, TCP_CORK, "TCP_CORK", number},
    {IPPROTO_TCP, TCP_KEEPIDLE, "TCP_KEEPIDLE", number},
    {IPPROTO_TCP, TCP_KEEPINTVL, "TCP_KEEPINTVL", number},
    {IPPROTO_TCP, TCP_KEEPCNT, "TCP_KEEPCNT", number},
    {IPPROTO_TCP, TCP_SYNCNT, "TCP_SYNCNT", number},
    {IPPROTO_TCP, TCP_LINGER2, "TCP_LINGER2", number},
    {IPPROTO_TCP, TCP_DEFER_ACCEPT, "TCP_DEFER_ACCEPT", number},
    {IPPROTO_TCP, TCP_WINDOW_CLAMP, "TCP_WINDOW_CLAMP", number},
    {IPPROTO_TCP, TCP_INFO, "TCP_INFO"},
    {IPPROTO_TCP, TCP_QUICKACK, "TCP_QUICKACK", number},
    {IPPROTO_TCP, TCP_CONGESTION, "TCP_CONGESTION"},
    {IPPROTO_TCP, TCP_MD5SIG, "TCP_MD5SIG", key},
    {IPPROTO_TCP, 15, "TCP_COOKIE_TRANSACTIONS"},
    {IPPROTO_TCP, TCP_THIN_LINEAR_TIMEOUTS, "TCP_THIN_LINEAR_TIMEOUTS"},
    {IPPROTO_TCP, TCP_THIN_DUPACK, "TCP_THIN_DUPACK"},
    {IPPROTO_TCP, TCP_USER_TIMEOUT, "TCP_USER_TIMEOUT", number},
    {IPPROTO_TCP, TCP_REPAIR, "TCP_REPAIR"},
    {IPPROTO_TCP, TCP_REPAIR_QUEUE, "TCP_REPAIR_QUEUE"},
    {IPPROTO_TCP, TCP_QUEUE_SEQ, "TCP_QUEUE_SEQ"},
    {IPPROTO_TCP, TCP_REPAIR_OPTIONS, "TCP_REPAIR_OPTIONS"},
    {IPPROTO_TCP, TCP_FASTOPEN, "TCP_FASTOPEN", number},
    {IPPROTO_TCP, TCP_TIMESTAMP, "TCP_TIMESTAMP"},
    {IPPROTO_TCP, TCP_NOTSENT_LOWAT, "TCP_NOTSENT_LOWAT", number},
    {IPPROTO_TCP, TCP_CC_INFO, "TCP_CC_INFO"},
    {IPPROTO_TCP, TCP_SAVE_SYN, "TCP_SAVE_SYN"},
    {IPPROTO_TCP, TCP_SAVED_SYN, "TCP_SAVED_SYN"},
    {IPPROTO_TCP, TCP_REPAIR_WINDOW, "TCP_REPAIR_WINDOW"},
    {IPPROTO_TCP, TCP_FASTOPEN_CONNECT, "TCP_FASTOPEN_CONNECT", number},
    {IPPROTO_TCP, TCP_ULP, "TCP_ULP"},
    {IPPROTO_TCP, TCP_MD5SIG_EXT, "TCP_MD5SIG_EXT"},
    {IPPROTO_TCP, TCP_FASTOPEN_KEY, "TCP_FASTOPEN_KEY"},
    {IPPROTO_TCP, TCP_FASTOPEN_NO_COOKIE, "TCP_FASTOPEN_NO_COOKIE"},
    {IPPROTO_TCP, TCP_ZEROCOPY_RECEIVE, "TCP_ZEROCOPY_RECEIVE"},
    {IPPROTO_TCP, TCP_INQ, "TCP_INQ"},
    {IPPROTO_TCP, 37, "TCP_TX_DELAY"},
    {IPPROTO_TCP, 44, "TCP_RTO_MAX_MS", number},
    {IPPROTO_TCP, 45, "TCP_RTO_MIN_US", number},
    {IPPROTO_TCP, 46, "TCP_DELACK_MAX_US", number},
    {IPPROTO_IP, IP_TOS, "IP_TOS"},
    {IPPROTO_IP, IP_TTL, "IP_TTL"},
    {IPPROTO_IP, IP_HDRINCL, "IP_HDRINCL"},
    {IPPROTO_IP, IP_OPTIONS, "IP_OPTIONS"},
    {IPPROTO_IP, IP_RECVOPTS, "IP_RECVOPTS"},
    {IPPROTO_IP, IP_RETOPTS, "IP_RETOPTS"},
    {IPPROTO_IP, IP_PKTINFO, "IP_PKTINFO"},
    {IPPROTO_IP, IP_MTU_DISCOVER, "IP_MTU_DISCOVER"},
    {IPPROTO_IP, IP_RECVERR, "IP_RECVERR"},
    {IPPROTO_IP, IP_RECVTTL, "IP_RECVTTL"},
    {IPPROTO_IP, IP_RECVTOS, "IP_RECVTOS"},
    {IPPROTO_IP, IP_MTU, "IP_MTU"},
    {IPPROTO_IP, IP_FREEBIND, "IP_FREEBIND"},
    {IPPROTO_IP, IP_TRANSPARENT, "IP_TRANSPARENT"},
    {IPPROTO_IP, IP_MINTTL, "IP_MINTTL"},
    {IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, "IP_BIND_ADDRESS_NO_PORT"},
    {IPPROTO_IP, 51, "IP_LOCAL_PORT_RANGE"},
    {IPPROTO_IPV6, IPV6_ADDRFORM, "IPV6_ADDRFORM"},
    {IPPROTO_IPV6, IPV6_UNICAST_HOPS, "IPV6_UNICAST_HOPS"},
    {IPPROTO_IPV6, IPV6_MTU_DISCOVER, "IPV6_MTU_DISCOVER"},
    {IPPROTO_IPV6, IPV6_MTU, "IPV6_MTU"},
    {IPPROTO_IPV6, IPV6_RECVERR, "IPV6_RECVERR"},
    {IPPROTO_IPV6, IPV6_V6ONLY, "IPV6_V6ONLY", number},
    {IPPROTO_IPV6, IPV6_RECVPKTINFO, "IPV6_RECVPKTINFO"},
    {IPPROTO_IPV6, IPV6_TCLASS, "IPV6_TCLASS"},
    {IPPROTO_IPV6, IPV6_TRANSPARENT, "IPV6_TRANSPARENT"},
    {IPPROTO_IPV6, IPV6_FREEBIND, "IPV6_FREEBIND"},
};

struct LevelName {
  std::uint64_t level;
  std::string_view unknown;
};
constexpr LevelName unknown_rows[] = {
    {SOL_SOCKET, "SO_???"}, {IPPROTO_TCP, "TCP_???"}, {IPPROTO_IP, "IP_???"}, {IPPROTO_IPV6, "IPV6_???"}};

}  // namespace

std::span<const SocketOption> socket_options() { return rows; }

const SocketOption* find_option(std::uint64_t level, std::uint64_t number) {
  const auto* row = std::ranges::find_if(
      rows, [&](const SocketOption& option) { return option.level == level && option.number == number; });
  return row == std::end(rows) ? nullptr : row;
}

const SocketOption* find_option(std::string_view name) {
  const auto* row =
      std::ranges::find_if(rows, [&](const SocketOption& option) { return same_word(option.name, name); });
  return row == std::end(rows) ? nullptr : row;
}

std::string spell_option(std::uint64_t level, std::uint64_t number) {
  if (const SocketOption* row = find_option(level, number)) return std::string(row->name);
  const auto* known = std::ranges::find(unknown_rows, level, &LevelName::level);
  // A level that nobody knows has no names to miss.
  if (known == std::end(unknown_rows)) return fmt::to_string(number);
  return fmt::format("{:#x} /* {} */", number, known->unknown);
}

}  // namespace tcpwhy::calls
