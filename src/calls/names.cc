#include "calls/names.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/close_range.h>
#include <linux/io_uring.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <bit>
#include <iterator>

namespace tcpwhy::calls {
namespace {

#define TCPWHY_NAMED(name) \
  NamedValue { static_cast<std::uint64_t>(static_cast<std::uint32_t>(name)), #name }

constexpr NamedValue family_rows[] = {
    TCPWHY_NAMED(AF_UNSPEC),  TCPWHY_NAMED(AF_UNIX),   TCPWHY_NAMED(AF_INET),  TCPWHY_NAMED(AF_INET6),
    TCPWHY_NAMED(AF_NETLINK), TCPWHY_NAMED(AF_PACKET), TCPWHY_NAMED(AF_VSOCK), TCPWHY_NAMED(AF_BLUETOOTH),
};
constexpr NamedValue type_rows[] = {
    TCPWHY_NAMED(SOCK_STREAM),    TCPWHY_NAMED(SOCK_DGRAM), TCPWHY_NAMED(SOCK_RAW),    TCPWHY_NAMED(SOCK_RDM),
    TCPWHY_NAMED(SOCK_SEQPACKET), TCPWHY_NAMED(SOCK_DCCP),  TCPWHY_NAMED(SOCK_PACKET),
};
constexpr NamedValue type_flag_rows[] = {TCPWHY_NAMED(SOCK_CLOEXEC), TCPWHY_NAMED(SOCK_NONBLOCK)};
constexpr NamedValue protocol_rows[] = {
    TCPWHY_NAMED(IPPROTO_IP),   TCPWHY_NAMED(IPPROTO_ICMP),   TCPWHY_NAMED(IPPROTO_TCP),  TCPWHY_NAMED(IPPROTO_UDP),
    TCPWHY_NAMED(IPPROTO_IPV6), TCPWHY_NAMED(IPPROTO_ICMPV6), TCPWHY_NAMED(IPPROTO_SCTP), TCPWHY_NAMED(IPPROTO_UDPLITE),
    TCPWHY_NAMED(IPPROTO_RAW),  {262, "IPPROTO_MPTCP"},
};
// In strace's order, which is that of the bits.
constexpr NamedValue message_rows[] = {
    TCPWHY_NAMED(MSG_OOB),       TCPWHY_NAMED(MSG_PEEK),       TCPWHY_NAMED(MSG_DONTROUTE),
    TCPWHY_NAMED(MSG_CTRUNC),    {0x10, "MSG_PROBE"},          TCPWHY_NAMED(MSG_TRUNC),
    TCPWHY_NAMED(MSG_DONTWAIT),  TCPWHY_NAMED(MSG_EOR),        TCPWHY_NAMED(MSG_WAITALL),
    TCPWHY_NAMED(MSG_FIN),       TCPWHY_NAMED(MSG_SYN),        TCPWHY_NAMED(MSG_CONFIRM),
    TCPWHY_NAMED(MSG_RST),       TCPWHY_NAMED(MSG_ERRQUEUE),   TCPWHY_NAMED(MSG_NOSIGNAL),
    TCPWHY_NAMED(MSG_MORE),      TCPWHY_NAMED(MSG_WAITFORONE), {0x40000, "MSG_BATCH"},
    {0x4000000, "MSG_ZEROCOPY"}, TCPWHY_NAMED(MSG_FASTOPEN),   TCPWHY_NAMED(MSG_CMSG_CLOEXEC),
};
constexpr NamedValue level_rows[] = {
    {SOL_SOCKET, "SOL_SOCKET"}, {IPPROTO_IP, "SOL_IP"},   {IPPROTO_TCP, "SOL_TCP"}, {IPPROTO_UDP, "SOL_UDP"},
    {IPPROTO_IPV6, "SOL_IPV6"}, {IPPROTO_RAW, "SOL_RAW"}, {282, "SOL_TLS"},         {284, "SOL_MPTCP"},
};
constexpr NamedValue socket_option_rows[] = {
    TCPWHY_NAMED(SO_DEBUG),
    TCPWHY_NAMED(SO_REUSEADDR),
    TCPWHY_NAMED(SO_TYPE),
    TCPWHY_NAMED(SO_ERROR),
    TCPWHY_NAMED(SO_DONTROUTE),
    TCPWHY_NAMED(SO_BROADCAST),
    TCPWHY_NAMED(SO_SNDBUF),
    TCPWHY_NAMED(SO_RCVBUF),
    TCPWHY_NAMED(SO_KEEPALIVE),
    TCPWHY_NAMED(SO_OOBINLINE),
    TCPWHY_NAMED(SO_NO_CHECK),
    TCPWHY_NAMED(SO_PRIORITY),
    TCPWHY_NAMED(SO_LINGER),
    TCPWHY_NAMED(SO_BSDCOMPAT),
    TCPWHY_NAMED(SO_REUSEPORT),
    TCPWHY_NAMED(SO_PASSCRED),
    TCPWHY_NAMED(SO_PEERCRED),
    TCPWHY_NAMED(SO_RCVLOWAT),
    TCPWHY_NAMED(SO_SNDLOWAT),
    {20, "SO_RCVTIMEO_OLD"},
    {21, "SO_SNDTIMEO_OLD"},
    TCPWHY_NAMED(SO_BINDTODEVICE),
    TCPWHY_NAMED(SO_ATTACH_FILTER),
    TCPWHY_NAMED(SO_DETACH_FILTER),
    TCPWHY_NAMED(SO_PEERNAME),
    {29, "SO_TIMESTAMP_OLD"},
    TCPWHY_NAMED(SO_ACCEPTCONN),
    TCPWHY_NAMED(SO_PEERSEC),
    TCPWHY_NAMED(SO_SNDBUFFORCE),
    TCPWHY_NAMED(SO_RCVBUFFORCE),
    TCPWHY_NAMED(SO_PASSSEC),
    {35, "SO_TIMESTAMPNS_OLD"},
    TCPWHY_NAMED(SO_MARK),
    {37, "SO_TIMESTAMPING_OLD"},
    TCPWHY_NAMED(SO_PROTOCOL),
    TCPWHY_NAMED(SO_DOMAIN),
    TCPWHY_NAMED(SO_RXQ_OVFL),
    TCPWHY_NAMED(SO_WIFI_STATUS),
    TCPWHY_NAMED(SO_PEEK_OFF),
    TCPWHY_NAMED(SO_NOFCS),
    TCPWHY_NAMED(SO_LOCK_FILTER),
    TCPWHY_NAMED(SO_SELECT_ERR_QUEUE),
    TCPWHY_NAMED(SO_BUSY_POLL),
    TCPWHY_NAMED(SO_MAX_PACING_RATE),
    TCPWHY_NAMED(SO_BPF_EXTENSIONS),
    TCPWHY_NAMED(SO_INCOMING_CPU),
    TCPWHY_NAMED(SO_ATTACH_BPF),
    TCPWHY_NAMED(SO_ATTACH_REUSEPORT_CBPF),
    TCPWHY_NAMED(SO_ATTACH_REUSEPORT_EBPF),
    TCPWHY_NAMED(SO_CNX_ADVICE),
    TCPWHY_NAMED(SO_MEMINFO),
    TCPWHY_NAMED(SO_INCOMING_NAPI_ID),
    TCPWHY_NAMED(SO_COOKIE),
    TCPWHY_NAMED(SO_PEERGROUPS),
    TCPWHY_NAMED(SO_ZEROCOPY),
    TCPWHY_NAMED(SO_TXTIME),
    TCPWHY_NAMED(SO_BINDTOIFINDEX),
    {66, "SO_RCVTIMEO_NEW"},
    {67, "SO_SNDTIMEO_NEW"},
    {69, "SO_PREFER_BUSY_POLL"},
    {70, "SO_BUSY_POLL_BUDGET"},
    {71, "SO_NETNS_COOKIE"},
    {72, "SO_BUF_LOCK"},
    {73, "SO_RESERVE_MEM"},
    {74, "SO_TXREHASH"},
    {75, "SO_RCVMARK"},
};
constexpr NamedValue tcp_option_rows[] = {
    TCPWHY_NAMED(TCP_NODELAY),
    TCPWHY_NAMED(TCP_MAXSEG),
    TCPWHY_NAMED(TCP_CORK),
    TCPWHY_NAMED(TCP_KEEPIDLE),
    TCPWHY_NAMED(TCP_KEEPINTVL),
    TCPWHY_NAMED(TCP_KEEPCNT),
    TCPWHY_NAMED(TCP_SYNCNT),
    TCPWHY_NAMED(TCP_LINGER2),
    TCPWHY_NAMED(TCP_DEFER_ACCEPT),
    TCPWHY_NAMED(TCP_WINDOW_CLAMP),
    TCPWHY_NAMED(TCP_INFO),
    TCPWHY_NAMED(TCP_QUICKACK),
    TCPWHY_NAMED(TCP_CONGESTION),
    TCPWHY_NAMED(TCP_MD5SIG),
    {15, "TCP_COOKIE_TRANSACTIONS"},
    TCPWHY_NAMED(TCP_THIN_LINEAR_TIMEOUTS),
    TCPWHY_NAMED(TCP_THIN_DUPACK),
    TCPWHY_NAMED(TCP_USER_TIMEOUT),
    TCPWHY_NAMED(TCP_REPAIR),
    TCPWHY_NAMED(TCP_REPAIR_QUEUE),
    TCPWHY_NAMED(TCP_QUEUE_SEQ),
    TCPWHY_NAMED(TCP_REPAIR_OPTIONS),
    TCPWHY_NAMED(TCP_FASTOPEN),
    TCPWHY_NAMED(TCP_TIMESTAMP),
    TCPWHY_NAMED(TCP_NOTSENT_LOWAT),
    TCPWHY_NAMED(TCP_CC_INFO),
    TCPWHY_NAMED(TCP_SAVE_SYN),
    TCPWHY_NAMED(TCP_SAVED_SYN),
    TCPWHY_NAMED(TCP_REPAIR_WINDOW),
    TCPWHY_NAMED(TCP_FASTOPEN_CONNECT),
    TCPWHY_NAMED(TCP_ULP),
    TCPWHY_NAMED(TCP_MD5SIG_EXT),
    TCPWHY_NAMED(TCP_FASTOPEN_KEY),
    TCPWHY_NAMED(TCP_FASTOPEN_NO_COOKIE),
    TCPWHY_NAMED(TCP_ZEROCOPY_RECEIVE),
    TCPWHY_NAMED(TCP_INQ),
    {37, "TCP_TX_DELAY"},
};
constexpr NamedValue ip_option_rows[] = {
    TCPWHY_NAMED(IP_TOS),        TCPWHY_NAMED(IP_TTL),
    TCPWHY_NAMED(IP_HDRINCL),    TCPWHY_NAMED(IP_OPTIONS),
    TCPWHY_NAMED(IP_RECVOPTS),   TCPWHY_NAMED(IP_RETOPTS),
    TCPWHY_NAMED(IP_PKTINFO),    TCPWHY_NAMED(IP_MTU_DISCOVER),
    TCPWHY_NAMED(IP_RECVERR),    TCPWHY_NAMED(IP_RECVTTL),
    TCPWHY_NAMED(IP_RECVTOS),    TCPWHY_NAMED(IP_MTU),
    TCPWHY_NAMED(IP_FREEBIND),   TCPWHY_NAMED(IP_TRANSPARENT),
    TCPWHY_NAMED(IP_MINTTL),     TCPWHY_NAMED(IP_BIND_ADDRESS_NO_PORT),
    {51, "IP_LOCAL_PORT_RANGE"},
};
constexpr NamedValue ip6_option_rows[] = {
    TCPWHY_NAMED(IPV6_ADDRFORM),    TCPWHY_NAMED(IPV6_UNICAST_HOPS), TCPWHY_NAMED(IPV6_MTU_DISCOVER),
    TCPWHY_NAMED(IPV6_MTU),         TCPWHY_NAMED(IPV6_RECVERR),      TCPWHY_NAMED(IPV6_V6ONLY),
    TCPWHY_NAMED(IPV6_RECVPKTINFO), TCPWHY_NAMED(IPV6_TCLASS),       TCPWHY_NAMED(IPV6_TRANSPARENT),
    TCPWHY_NAMED(IPV6_FREEBIND),
};
constexpr NamedValue shutdown_rows[] = {TCPWHY_NAMED(SHUT_RD), TCPWHY_NAMED(SHUT_WR), TCPWHY_NAMED(SHUT_RDWR)};
constexpr NamedValue poll_rows[] = {
    {POLLIN, "POLLIN"},    {POLLPRI, "POLLPRI"},   {POLLOUT, "POLLOUT"},  {0x40, "POLLRDNORM"}, {0x80, "POLLRDBAND"},
    {0x100, "POLLWRNORM"}, {0x200, "POLLWRBAND"},  {POLLERR, "POLLERR"},  {POLLHUP, "POLLHUP"}, {POLLNVAL, "POLLNVAL"},
    {0x400, "POLLMSG"},    {0x1000, "POLLREMOVE"}, {0x2000, "POLLRDHUP"},
};
constexpr NamedValue epoll_rows[] = {
    {EPOLLIN, "EPOLLIN"},         {EPOLLPRI, "EPOLLPRI"},         {EPOLLOUT, "EPOLLOUT"},
    {EPOLLRDNORM, "EPOLLRDNORM"}, {EPOLLRDBAND, "EPOLLRDBAND"},   {EPOLLWRNORM, "EPOLLWRNORM"},
    {EPOLLWRBAND, "EPOLLWRBAND"}, {EPOLLMSG, "EPOLLMSG"},         {EPOLLERR, "EPOLLERR"},
    {EPOLLHUP, "EPOLLHUP"},       {EPOLLRDHUP, "EPOLLRDHUP"},     {EPOLLEXCLUSIVE, "EPOLLEXCLUSIVE"},
    {EPOLLWAKEUP, "EPOLLWAKEUP"}, {EPOLLONESHOT, "EPOLLONESHOT"}, {EPOLLET, "EPOLLET"},
};
constexpr NamedValue epoll_operation_rows[] = {TCPWHY_NAMED(EPOLL_CTL_ADD), TCPWHY_NAMED(EPOLL_CTL_DEL),
                                               TCPWHY_NAMED(EPOLL_CTL_MOD)};
constexpr NamedValue epoll_create_rows[] = {TCPWHY_NAMED(EPOLL_CLOEXEC), {O_NONBLOCK, "EPOLL_NONBLOCK"}};
constexpr NamedValue command_rows[] = {
    {0, "F_DUPFD"},   {1, "F_GETFD"},   {2, "F_SETFD"},      {3, "F_GETFL"},      {4, "F_SETFL"},
    {5, "F_GETLK"},   {6, "F_SETLK"},   {7, "F_SETLKW"},     {8, "F_SETOWN"},     {9, "F_GETOWN"},
    {10, "F_SETSIG"}, {11, "F_GETSIG"}, {15, "F_SETOWN_EX"}, {16, "F_GETOWN_EX"}, {1030, "F_DUPFD_CLOEXEC"},
};
constexpr NamedValue access_rows[] = {TCPWHY_NAMED(O_RDONLY), TCPWHY_NAMED(O_WRONLY), TCPWHY_NAMED(O_RDWR)};
constexpr NamedValue close_range_rows[] = {TCPWHY_NAMED(CLOSE_RANGE_UNSHARE), TCPWHY_NAMED(CLOSE_RANGE_CLOEXEC)};
constexpr NamedValue splice_rows[] = {
    {1, "SPLICE_F_MOVE"}, {2, "SPLICE_F_NONBLOCK"}, {4, "SPLICE_F_MORE"}, {8, "SPLICE_F_GIFT"}};
constexpr NamedValue vector_rows[] = {
    {1, "RWF_HIPRI"}, {2, "RWF_DSYNC"}, {4, "RWF_SYNC"}, {8, "RWF_NOWAIT"}, {16, "RWF_APPEND"}};
constexpr NamedValue clone_rows[] = {
    {CLONE_VM, "CLONE_VM"},
    {CLONE_FS, "CLONE_FS"},
    {CLONE_FILES, "CLONE_FILES"},
    {CLONE_SIGHAND, "CLONE_SIGHAND"},
    {CLONE_PIDFD, "CLONE_PIDFD"},
    {CLONE_PTRACE, "CLONE_PTRACE"},
    {CLONE_VFORK, "CLONE_VFORK"},
    {CLONE_PARENT, "CLONE_PARENT"},
    {CLONE_THREAD, "CLONE_THREAD"},
    {CLONE_NEWNS, "CLONE_NEWNS"},
    {CLONE_SYSVSEM, "CLONE_SYSVSEM"},
    {CLONE_SETTLS, "CLONE_SETTLS"},
    {CLONE_PARENT_SETTID, "CLONE_PARENT_SETTID"},
    {CLONE_CHILD_CLEARTID, "CLONE_CHILD_CLEARTID"},
    {CLONE_UNTRACED, "CLONE_UNTRACED"},
    {CLONE_CHILD_SETTID, "CLONE_CHILD_SETTID"},
    {CLONE_NEWCGROUP, "CLONE_NEWCGROUP"},
    {CLONE_NEWUTS, "CLONE_NEWUTS"},
    {CLONE_NEWIPC, "CLONE_NEWIPC"},
    {CLONE_NEWUSER, "CLONE_NEWUSER"},
    {CLONE_NEWPID, "CLONE_NEWPID"},
    {CLONE_NEWNET, "CLONE_NEWNET"},
    {0x80000000, "CLONE_IO"},
    {0x100000000, "CLONE_CLEAR_SIGHAND"},
    {0x200000000, "CLONE_INTO_CGROUP"},
};
// What is asked of sockets, under the names strace chooses where several have the same number.
constexpr NamedValue ioctl_rows[] = {
    {FIONREAD, "FIONREAD"},     {TIOCOUTQ, "TIOCOUTQ"},       {FIONBIO, "FIONBIO"},     {FIOASYNC, "FIOASYNC"},
    {SIOCATMARK, "SIOCATMARK"}, {SIOCOUTQNSD, "SIOCOUTQNSD"}, {TCGETS, "TCGETS"},       {FIOCLEX, "FIOCLEX"},
    {FIONCLEX, "FIONCLEX"},     {SIOCSPGRP, "SIOCSPGRP"},     {SIOCGPGRP, "SIOCGPGRP"}, {TIOCGWINSZ, "TIOCGWINSZ"},
};
constexpr NamedValue ring_setup_rows[] = {
    TCPWHY_NAMED(IORING_SETUP_IOPOLL),        TCPWHY_NAMED(IORING_SETUP_SQPOLL),
    TCPWHY_NAMED(IORING_SETUP_SQ_AFF),        TCPWHY_NAMED(IORING_SETUP_CQSIZE),
    TCPWHY_NAMED(IORING_SETUP_CLAMP),         TCPWHY_NAMED(IORING_SETUP_ATTACH_WQ),
    TCPWHY_NAMED(IORING_SETUP_R_DISABLED),    {1U << 7, "IORING_SETUP_SUBMIT_ALL"},
    {1U << 8, "IORING_SETUP_COOP_TASKRUN"},   {1U << 9, "IORING_SETUP_TASKRUN_FLAG"},
    {1U << 10, "IORING_SETUP_SQE128"},        {1U << 11, "IORING_SETUP_CQE32"},
    {1U << 12, "IORING_SETUP_SINGLE_ISSUER"}, {1U << 13, "IORING_SETUP_DEFER_TASKRUN"},
};
constexpr NamedValue ring_enter_rows[] = {
    {1, "IORING_ENTER_GETEVENTS"}, {2, "IORING_ENTER_SQ_WAKEUP"},        {4, "IORING_ENTER_SQ_WAIT"},
    {8, "IORING_ENTER_EXT_ARG"},   {16, "IORING_ENTER_REGISTERED_RING"},
};

struct OptionLevel {
  std::uint64_t level;
  NamedValues options;
  std::string_view unknown;
};
constexpr OptionLevel option_level_rows[] = {
    {SOL_SOCKET, socket_option_rows, "SO_???"},
    {IPPROTO_TCP, tcp_option_rows, "TCP_???"},
    {IPPROTO_IP, ip_option_rows, "IP_???"},
    {IPPROTO_IPV6, ip6_option_rows, "IPV6_???"},
};

const OptionLevel* find_level(std::uint64_t level) {
  for (const OptionLevel& row : option_level_rows)
    if (row.level == level) return &row;
  return nullptr;
}

constexpr int first_real_time = 32, last_signal = 64;

// Without SIG.
std::string short_signal_name(int number) {
  if (number >= first_real_time && number <= last_signal)
    return number == first_real_time ? "RTMIN" : fmt::format("RT_{}", number - first_real_time);
  const char* name = number > 0 && number <= last_signal ? sigabbrev_np(number) : nullptr;
  return name == nullptr ? fmt::format("{}", number) : name;
}

struct ErrorNumber {
  std::string_view name;
  std::int32_t number;
};
// The kernel's own, that no program sees: include/linux/errno.h.
constexpr ErrorNumber restarts[] = {
    {"ERESTARTSYS", 512}, {"ERESTARTNOINTR", 513}, {"ERESTARTNOHAND", 514}, {"ERESTART_RESTARTBLOCK", 516}};

}  // namespace

std::int32_t error_named(std::string_view name) {
  constexpr std::int32_t highest = 133;  // EHWPOISON
  for (std::int32_t error = 1; error <= highest; ++error) {
    const char* known = strerrorname_np(error);
    if (known != nullptr && name == known) return error;
  }
  const auto* row = std::ranges::find(restarts, name, &ErrorNumber::name);
  return row == std::end(restarts) ? 0 : row->number;
}

const NamedValue* find_value(NamedValues rows, std::uint64_t value) {
  for (const NamedValue& row : rows)
    if (row.value == value) return &row;
  return nullptr;
}

std::string spell_value(NamedValues rows, std::uint64_t value, std::string_view unknown) {
  if (const NamedValue* row = find_value(rows, value)) return std::string(row->name);
  return fmt::format("{:#x} /* {} */", value, unknown);
}

std::string spell_flags(NamedValues rows, std::uint64_t value, std::string_view unknown) {
  if (value == 0) return "0";
  std::string text;
  std::uint64_t left = value;
  for (const NamedValue& row : rows) {
    if (row.value == 0 || (left & row.value) != row.value) continue;
    if (!text.empty()) text += '|';
    text += row.name;
    left &= ~row.value;
  }
  if (text.empty()) return fmt::format("{:#x} /* {} */", value, unknown);
  if (left != 0) text += fmt::format("|{:#x}", left);
  return text;
}

NamedValues address_families() { return family_rows; }
NamedValues socket_types() { return type_rows; }
NamedValues socket_type_flags() { return type_flag_rows; }
NamedValues ip_protocols() { return protocol_rows; }
NamedValues message_flags() { return message_rows; }
NamedValues option_levels() { return level_rows; }
NamedValues shutdown_ways() { return shutdown_rows; }
NamedValues poll_events() { return poll_rows; }
NamedValues epoll_events() { return epoll_rows; }
NamedValues epoll_operations() { return epoll_operation_rows; }
NamedValues epoll_create_flags() { return epoll_create_rows; }
NamedValues descriptor_commands() { return command_rows; }
NamedValues access_modes() { return access_rows; }
NamedValues close_range_flags() { return close_range_rows; }
NamedValues splice_flags() { return splice_rows; }
NamedValues vector_flags() { return vector_rows; }
NamedValues clone_flags() { return clone_rows; }
NamedValues ioctl_requests() { return ioctl_rows; }
NamedValues ring_setup_flags() { return ring_setup_rows; }
NamedValues ring_enter_flags() { return ring_enter_rows; }

NamedValues options_of(std::uint64_t level) {
  const OptionLevel* row = find_level(level);
  return row == nullptr ? NamedValues() : row->options;
}

std::string_view unknown_option_of(std::uint64_t level) {
  const OptionLevel* row = find_level(level);
  return row == nullptr ? std::string_view() : row->unknown;
}

std::string signal_name(int number) {
  const bool known = (number >= first_real_time && number <= last_signal) ||
                     (number > 0 && number < first_real_time && sigabbrev_np(number) != nullptr);
  return known ? "SIG" + short_signal_name(number) : fmt::format("{}", number);
}

std::string spell_signal_set(std::uint64_t bits) {
  // The shorter of the set and what is not in it.
  const bool inverted = std::popcount(bits) > last_signal / 2;
  if (inverted) bits = ~bits;
  std::string text = inverted ? "~[" : "[";
  bool first = true;
  for (int number = 1; number <= last_signal; ++number) {
    if ((bits >> (number - 1) & 1) == 0) continue;
    if (!first) text += ' ';
    first = false;
    text += short_signal_name(number);
  }
  return text + "]";
}

}  // namespace tcpwhy::calls
