#include <algorithm>
#include <array>

#include "calls/call.h"

namespace tcpwhy::calls {
namespace {

using enum Effect;

constexpr CallRow plain(std::string_view name, Effect effect) { return {.name = name, .effect = effect}; }
constexpr CallRow transfer(std::string_view name, Effect effect, std::int8_t flags) {
  return {.name = name, .effect = effect, .message_flags = flags};
}
constexpr CallRow message(std::string_view name, Effect effect, std::int8_t flags) {
  return {.name = name, .effect = effect, .message_flags = flags, .takes_message = true};
}
constexpr CallRow messages(std::string_view name, Effect effect, std::int8_t flags) {
  return {.name = name, .effect = effect, .message_flags = flags, .takes_message = true, .counts_messages = true};
}

constexpr auto rows = std::to_array<CallRow>({
    plain("socket", makes_socket),
    plain("bind", binds),
    plain("listen", listens),
    plain("accept", accepts),
    plain("accept4", accepts),
    plain("connect", connects),

    transfer("send", sends, 3),
    transfer("sendto", sends, 3),
    message("sendmsg", sends, 2),
    messages("sendmmsg", sends, 3),
    plain("write", sends),
    plain("writev", sends),
    plain("pwritev2", sends),
    plain("sendfile", sends),
    plain("splice", sends),
    plain("tee", sends),

    transfer("recv", receives, 3),
    transfer("recvfrom", receives, 3),
    message("recvmsg", receives, 2),
    messages("recvmmsg", receives, 3),
    plain("read", receives),
    plain("readv", receives),
    plain("preadv2", receives),

    plain("shutdown", shuts),
    plain("close", closes),
    plain("close_range", closes),
    plain("dup", duplicates),
    {.name = "dup2", .effect = duplicates, .closes_another = true},
    {.name = "dup3", .effect = duplicates, .closes_another = true},
    plain("pidfd_getfd", duplicates),

    plain("setsockopt", sets_option),
    plain("getsockopt", gets_option),
    plain("getsockname", asks_address),
    plain("getpeername", asks_address),
    plain("fcntl", controls),
    plain("ioctl", controls),

    plain("poll", waits),
    plain("ppoll", waits),
    plain("select", waits),
    plain("pselect6", waits),
    plain("epoll_create", waits),
    plain("epoll_create1", waits),
    plain("epoll_ctl", waits),
    plain("epoll_wait", waits),
    plain("epoll_pwait", waits),
    plain("epoll_pwait2", waits),

    plain("signal", changes_signals),
    plain("sigaction", changes_signals),
    plain("rt_sigaction", changes_signals),
    plain("sigprocmask", changes_signals),
    plain("rt_sigprocmask", changes_signals),

    plain("fork", forks),
    plain("vfork", forks),
    plain("clone", forks),
    plain("clone3", forks),
    plain("execve", executes),
    plain("exit_group", ends),
    plain("io_uring_setup", uses_ring),
    plain("io_uring_enter", uses_ring),

    // Operations of io_uring that no call is named like (io_uring_enter(2), liburing's io_uring_prep_*).
    transfer("send_zc", sends, 3),
    message("sendmsg_zc", sends, 2),
    plain("write_fixed", sends),
    plain("read_fixed", receives),
    plain("read_multishot", receives),
    plain("recv_zc", receives),
    plain("poll_add", waits),

    // Of the laboratory's agents, which act on themselves.
    plain("kill", none),
    plain("setitimer", none),
    plain("rt_sigtimedwait", none),
    plain("prlimit64", none),
    plain("socketpair", none),
});

// Of each call of a recording it is asked.
constexpr auto by_name = [] {
  std::array<const CallRow*, rows.size()> sorted{};
  std::ranges::transform(rows, sorted.begin(), [](const CallRow& row) { return &row; });
  std::ranges::sort(sorted, {}, &CallRow::name);
  return sorted;
}();

}  // namespace

std::span<const CallRow> call_table() { return rows; }

const CallRow* find_call(std::string_view name) {
  const auto* const found = std::ranges::lower_bound(by_name, name, {}, &CallRow::name);
  return found == by_name.end() || (*found)->name != name ? nullptr : *found;
}

Effect effect_of(std::string_view name) {
  const CallRow* row = find_call(name);
  return row == nullptr ? none : row->effect;
}

}  // namespace tcpwhy::calls
