#include "calls/names.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/close_range.h>
#include <linux/io_uring.h>
#include <linux/sockios.h>
#include <netinet/in.h>
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
#include <cerrno>
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
constexpr NamedValue unshare_rows[] = {
    {0x80, "CLONE_NEWTIME"},  // of clone()'s flags the signal's
    {CLONE_VM, "CLONE_VM"},           {CLONE_FS, "CLONE_FS"},
    {CLONE_FILES, "CLONE_FILES"},     {CLONE_SIGHAND, "CLONE_SIGHAND"},
    {CLONE_THREAD, "CLONE_THREAD"},   {CLONE_NEWNS, "CLONE_NEWNS"},
    {CLONE_SYSVSEM, "CLONE_SYSVSEM"}, {CLONE_NEWCGROUP, "CLONE_NEWCGROUP"},
    {CLONE_NEWUTS, "CLONE_NEWUTS"},   {CLONE_NEWIPC, "CLONE_NEWIPC"},
    {CLONE_NEWUSER, "CLONE_NEWUSER"}, {CLONE_NEWPID, "CLONE_NEWPID"},
    {CLONE_NEWNET, "CLONE_NEWNET"},
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

constexpr int first_real_time = 32, last_signal = 64;

char upper(char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c; }

// Without SIG.
std::string short_signal_name(int number) {
  if (number >= first_real_time && number <= last_signal)
    return number == first_real_time ? "RTMIN" : fmt::format("RT_{}", number - first_real_time);
  const char* name = number > 0 && number <= last_signal ? sigabbrev_np(number) : nullptr;
  return name == nullptr ? fmt::format("{}", number) : name;
}

struct KernelError {
  std::int32_t number;
  std::string_view name, text;
};
// The kernel's own codes that a tracer sees and errno(3) lacks (include/linux/errno.h); texts as strace prints them.
constexpr KernelError restarts[] = {
    {512, "ERESTARTSYS", "To be restarted if SA_RESTART is set"},
    {513, "ERESTARTNOINTR", "To be restarted"},
    {514, "ERESTARTNOHAND", "To be restarted if no handler"},
    {516, "ERESTART_RESTARTBLOCK", "Interrupted by signal"},
};

}  // namespace

std::int32_t error_named(std::string_view name) {
  constexpr std::int32_t highest = 133;  // EHWPOISON
  for (std::int32_t error = 1; error <= highest; ++error) {
    const char* known = strerrorname_np(error);
    if (known != nullptr && name == known) return error;
  }
  if (name == "EWOULDBLOCK") return EWOULDBLOCK;  // EAGAIN's other name
  const auto* row = std::ranges::find(restarts, name, &KernelError::name);
  return row == std::end(restarts) ? 0 : row->number;
}

std::string error_name(std::int32_t error) {
  const char* name = strerrorname_np(error);
  return name == nullptr ? fmt::format("errno {}", error) : name;
}

std::string error_text(std::int32_t error) {
  const auto* row = std::ranges::find(restarts, error, &KernelError::number);
  if (row != std::end(restarts)) return fmt::format("{} ({})", row->name, row->text);
  const char* name = strerrorname_np(error);
  return name == nullptr ? fmt::format("errno {}", error) : fmt::format("{} ({})", name, strerrordesc_np(error));
}

bool same_word(std::string_view a, std::string_view b) { return std::ranges::equal(a, b, {}, upper, upper); }

std::optional<std::uint64_t> value_named(NamedValues rows, std::string_view name, std::string_view prefix) {
  for (const NamedValue& row : rows) {
    const bool whole = same_word(name, row.name);
    if (whole || (row.name.starts_with(prefix) && same_word(name, row.name.substr(prefix.size())))) return row.value;
  }
  return std::nullopt;
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
NamedValues unshare_flags() { return unshare_rows; }
NamedValues ioctl_requests() { return ioctl_rows; }
NamedValues ring_setup_flags() { return ring_setup_rows; }
NamedValues ring_enter_flags() { return ring_enter_rows; }

std::string signal_name(int number) {
  const bool known = (number >= first_real_time && number <= last_signal) ||
                     (number > 0 && number < first_real_time && sigabbrev_np(number) != nullptr);
  return known ? "SIG" + short_signal_name(number) : fmt::format("{}", number);
}

int signal_named(std::string_view name) {
  if (name.size() > 3 && same_word(name.substr(0, 3), "SIG")) name.remove_prefix(3);
  for (int number = 1; number <= last_signal; ++number) {
    const std::string known = short_signal_name(number);
    if (known.front() > '9' && same_word(name, known)) return number;  // not a number without a name
  }
  return 0;
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
