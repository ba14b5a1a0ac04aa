#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include <algorithm>
#include <array>
#include <initializer_list>

#include "calls/call.h"
#include "calls/spelling/spelling.h"

// What an architecture newer than x86-64 lacks, since a later call replaces it (asm-generic/unistd.h); or a C library's headers, the newest.
// NOLINTBEGIN(cppcoreguidelines-macro-usage)
#ifndef SYS_close_range
#define SYS_close_range (-1)
#endif
#ifndef SYS_dup2
#define SYS_dup2 (-1)
#endif
#ifndef SYS_poll
#define SYS_poll (-1)
#endif
#ifndef SYS_select
#define SYS_select (-1)
#endif
#ifndef SYS_epoll_create
#define SYS_epoll_create (-1)
#endif
#ifndef SYS_epoll_wait
#define SYS_epoll_wait (-1)
#endif
#ifndef SYS_epoll_pwait2
#define SYS_epoll_pwait2 (-1)
#endif
#ifndef SYS_fork
#define SYS_fork (-1)
#endif
#ifndef SYS_vfork
#define SYS_vfork (-1)
#endif
#ifndef SYS_clone3
#define SYS_clone3 (-1)
#endif
#ifndef SYS_pidfd_getfd
#define SYS_pidfd_getfd (-1)
#endif
#ifndef SYS_io_uring_setup
#define SYS_io_uring_setup (-1)
#define SYS_io_uring_enter (-1)
#endif
// NOLINTEND(cppcoreguidelines-macro-usage)

namespace tcpwhy::calls {
namespace {

using enum Effect;
using enum Piece::When;
using enum Piece::Shape;

constexpr std::uint16_t address_bytes = 128;  // struct sockaddr_storage
constexpr std::uint16_t option_bytes = 64;    // more than any option that is spelled by its fields
constexpr std::uint16_t fd_set_bytes = 128;   // FD_SETSIZE bits
constexpr std::uint16_t time_bytes = 16;      // struct timespec, struct timeval
constexpr std::uint16_t poll_bytes = 32 * 8;  // strace shows 32 elements
constexpr std::uint8_t event_size = sizeof(epoll_event);
constexpr std::uint16_t event_bytes = 32 * event_size;
constexpr std::uint16_t header_bytes = 64;  // struct mmsghdr
constexpr std::uint16_t path_bytes = 256;

// A piece by its argument's position and its length's: bytes_at(1, 2) are args[2] bytes from args[1] on.
constexpr Piece bytes_at(Piece::When when, std::uint8_t pointer, std::int8_t length, std::uint16_t most,
                         std::uint8_t element = 1) {
  return {when, bytes, pointer, length, most, element};
}
constexpr Piece fixed(Piece::When when, std::uint8_t pointer, std::uint16_t length) {
  return {when, bytes, pointer, -1, length, 1};
}
// As many bytes (or elements) as the call returned.
constexpr Piece returned(std::uint8_t pointer, std::uint16_t most, std::uint8_t element = 1) {
  return {exit, bytes, pointer, -2, most, element};
}
// What the call handed back, and its length behind args[length].
constexpr Piece handed_back(std::uint8_t pointer, std::int8_t length, std::uint16_t most) {
  return {exit, value_length, pointer, length, most, 1};
}
constexpr Piece header(Piece::When when) { return {when, message_header, 1, -1, payload_taken, 1}; }
constexpr Piece headers(Piece::When when) { return {when, bytes, 1, 2, header_bytes, 64}; }
constexpr Piece vectors(Piece::When when) { return {when, io_vectors, 1, 2, payload_taken, 16}; }
constexpr Piece payload = bytes_at(entry, 1, 2, payload_taken);
constexpr Piece filled = returned(1, payload_taken);

// A row being written, a fact a word.
struct Row : CallRow {
  // Its descriptor, which must be a TCP socket for the call to be recorded; or either of two.
  constexpr Row on(std::int8_t argument, std::int8_t second = -1) const {
    return with([=](Row& row) { row.fd_argument = argument, row.second_fd_argument = second; });
  }
  constexpr Row on_range(std::int8_t first, std::int8_t last) const {
    return on(first, last).with([](Row& row) { row.fd_range = true; });
  }
  constexpr Row always() const {
    return with([](Row& row) { row.only_on_tcp = false; });
  }
  constexpr Row makes() const {
    return with([](Row& row) { row.makes_descriptor = true; });
  }
  constexpr Row from_the_first() const {
    return with([](Row& row) { row.takes_from_first = true; });
  }
  constexpr Row may_also_wait() const {
    return with([](Row& row) { row.may_wait = true; });
  }
  constexpr Row closes_the_second() const {
    return with([](Row& row) { row.closes_another = true; });
  }
  constexpr Row spelt(Speller* enter_, Speller* leave_ = nullptr) const {
    return with([=](Row& row) { row.enter = enter_, row.leave = leave_; });
  }
  constexpr Row takes(std::initializer_list<Piece> memory) const {
    return with([&](Row& row) {
      for (const Piece& piece : memory) row.pieces.at(row.piece_count++) = piece;
    });
  }
  constexpr Row counts(ByteCount count) const {
    return with([=](Row& row) { row.byte_count = count; });
  }
  constexpr Row counts(int argument) const { return counts(static_cast<ByteCount>(argument)); }
  constexpr Row flags_at(std::int8_t argument) const {
    return with([=](Row& row) { row.message_flags = argument; });
  }
  constexpr Row message() const {
    return with([](Row& row) { row.takes_message = true; });
  }
  constexpr Row messages() const {
    return message().with([](Row& row) { row.counts_messages = true; });
  }
  constexpr Row with_stack() const {
    return with([](Row& row) { row.wants_stack = true; });
  }
  constexpr Row at_return() const {
    return with([](Row& row) { row.told_at_return = true; });
  }
  constexpr Row inside() const {
    return with([](Row& row) { row.recorded_inside = true; });
  }
  constexpr Row writes_over() const {
    return with([](Row& row) { row.writes_over_arguments = true; });
  }

 private:
  template <class Change>
  constexpr Row with(Change&& change) const {
    Row changed = *this;
    change(changed);
    return changed;
  }
};

// Arguments as the kernel's SYSCALL_DEFINEs have them.
constexpr Row call(long number, std::string_view name, Effect effect, std::uint8_t arguments) {
  Row row;
  row.name = name, row.effect = effect, row.number = number, row.arguments = arguments;
  row.may_wait = effect == accepts || effect == connects || effect == receives || effect == Effect::waits;
  return row;
}
// What the tracers let be, or is no system call.
constexpr Row named(std::string_view name, Effect effect) { return call(-1, name, effect, 0); }

constexpr auto rows = std::to_array<CallRow>({
    call(SYS_socket, "socket", makes_socket, 3).makes().spelt(enter_socket).with_stack().inside(),
    call(SYS_bind, "bind", binds, 3)
        .on(0)
        .spelt(enter_address)
        .takes({bytes_at(entry, 1, 2, address_bytes)})
        .with_stack()
        .inside(),
    call(SYS_listen, "listen", listens, 2).on(0).spelt(enter_numbers).with_stack().inside(),
    call(SYS_accept, "accept", accepts, 3)
        .on(0)
        .makes()
        .spelt(enter_asked_address, return_address)
        .takes({handed_back(1, 2, address_bytes)})
        .with_stack()
        .inside(),
    call(SYS_accept4, "accept4", accepts, 4)
        .on(0)
        .makes()
        .spelt(enter_accept4, return_address)
        .takes({handed_back(1, 2, address_bytes)})
        .with_stack()
        .inside(),
    call(SYS_connect, "connect", connects, 3)
        .on(0)
        .spelt(enter_address)
        .takes({bytes_at(entry, 1, 2, address_bytes)})
        .with_stack()
        .inside(),

    call(SYS_sendto, "sendto", sends, 6)
        .on(0)
        .spelt(enter_sendto)
        .counts(2)
        .flags_at(3)
        .takes({payload, bytes_at(entry, 4, 5, address_bytes)})
        .inside()
        .at_return(),
    call(SYS_sendmsg, "sendmsg", sends, 3)
        .on(0)
        .spelt(enter_sendmsg)
        .counts(ByteCount::message)
        .flags_at(2)
        .message()
        .takes({header(entry)})
        .inside()
        .at_return(),
    call(SYS_sendmmsg, "sendmmsg", sends, 4)
        .on(0)
        .spelt(enter_messages, return_sendmmsg)
        .counts(ByteCount::message)
        .flags_at(3)
        .messages()
        .takes({header(entry), headers(exit)}),
    call(SYS_write, "write", sends, 3).on(0).spelt(enter_write).counts(2).takes({payload}).inside().at_return(),
    call(SYS_writev, "writev", sends, 3)
        .on(0)
        .spelt(enter_writev)
        .counts(ByteCount::vectors)
        .takes({vectors(entry)})
        .inside()
        .at_return(),
    call(SYS_pwritev2, "pwritev2", sends, 6)
        .on(0)
        .spelt(enter_pwritev2)
        .counts(ByteCount::vectors)
        .takes({vectors(entry)}),
    call(SYS_sendfile, "sendfile", sends, 4)
        .on(0, 1)
        .spelt(enter_sendfile, return_sendfile)
        .counts(3)
        .takes({fixed(entry, 2, 8), fixed(exit, 2, 8)})
        .inside()
        .writes_over(),
    call(SYS_splice, "splice", sends, 6)
        .on(0, 2)
        .spelt(enter_splice)
        .counts(4)
        .from_the_first()
        .may_also_wait()
        .takes({fixed(entry, 1, 8), fixed(entry, 3, 8)}),
    call(SYS_tee, "tee", sends, 4).on(0, 1).spelt(enter_tee).counts(2),

    call(SYS_recvfrom, "recvfrom", receives, 6)
        .on(0)
        .spelt(enter_recvfrom, return_recvfrom)
        .counts(2)
        .flags_at(3)
        .takes({filled, handed_back(4, 5, address_bytes)})
        .inside()
        .at_return(),
    call(SYS_recvmsg, "recvmsg", receives, 3)
        .on(0)
        .spelt(enter_recvmsg, return_recvmsg)
        .counts(ByteCount::message)
        .flags_at(2)
        .message()
        .takes({header(exit)})
        .inside()
        .at_return(),
    call(SYS_recvmmsg, "recvmmsg", receives, 5)
        .on(0)
        .spelt(enter_recvmmsg, return_recvmmsg)
        .counts(ByteCount::message)
        .flags_at(3)
        .messages()
        .takes({header(exit), headers(exit), fixed(entry, 4, time_bytes)}),
    call(SYS_read, "read", receives, 3)
        .on(0)
        .spelt(enter_read, return_read)
        .counts(2)
        .takes({filled})
        .inside()
        .at_return(),
    call(SYS_readv, "readv", receives, 3)
        .on(0)
        .spelt(enter_readv, return_readv)
        .counts(ByteCount::vectors)
        .takes({vectors(exit)})
        .inside()
        .at_return(),
    call(SYS_preadv2, "preadv2", receives, 6)
        .on(0)
        .spelt(enter_preadv2, return_readv)
        .counts(ByteCount::vectors)
        .takes({vectors(exit)}),

    call(SYS_shutdown, "shutdown", shuts, 2).on(0).spelt(enter_shutdown).with_stack().inside(),
    call(SYS_close, "close", closes, 1).on(0).spelt(enter_number).with_stack().inside(),
    call(SYS_close_range, "close_range", closes, 3).on_range(0, 1).spelt(enter_close_range).with_stack(),
    call(SYS_dup2, "dup2", duplicates, 2).on(0, 1).makes().closes_the_second().spelt(enter_numbers).with_stack(),
    call(SYS_dup3, "dup3", duplicates, 3).on(0, 1).makes().closes_the_second().spelt(enter_dup3).with_stack(),

    call(SYS_fcntl, "fcntl", controls, 3).on(0).spelt(enter_fcntl, return_fcntl).inside().at_return(),
    call(SYS_setsockopt, "setsockopt", sets_option, 5)
        .on(0)
        .spelt(enter_setsockopt)
        .takes({bytes_at(entry, 3, 4, option_bytes)})
        .inside()
        .at_return(),
    call(SYS_getsockopt, "getsockopt", gets_option, 5)
        .on(0)
        .spelt(enter_getsockopt, return_getsockopt)
        .takes({handed_back(3, 4, option_bytes)})
        .inside()
        .at_return(),
    call(SYS_getsockname, "getsockname", asks_address, 3)
        .on(0)
        .spelt(enter_asked_address, return_address)
        .takes({handed_back(1, 2, address_bytes)})
        .inside(),
    call(SYS_getpeername, "getpeername", asks_address, 3)
        .on(0)
        .spelt(enter_asked_address, return_address)
        .takes({handed_back(1, 2, address_bytes)})
        .inside(),
    call(SYS_ioctl, "ioctl", controls, 3)
        .on(0)
        .spelt(enter_ioctl, return_ioctl)
        .takes({fixed(exit, 2, 4), fixed(entry, 2, 4)})
        .inside()
        .writes_over(),

    // The descriptors that these wait for stand in memory: whether any is a TCP socket isn't known from the arguments.
    call(SYS_poll, "poll", waits, 3)
        .always()
        .spelt(enter_poll, return_poll)
        .takes({bytes_at(entry, 0, 1, poll_bytes, 8), bytes_at(exit, 0, 1, poll_bytes, 8)})
        .inside(),
    call(SYS_ppoll, "ppoll", waits, 5)
        .always()
        .spelt(enter_ppoll, return_ppoll)
        .takes({bytes_at(entry, 0, 1, poll_bytes, 8), bytes_at(exit, 0, 1, poll_bytes, 8), fixed(entry, 2, time_bytes),
                fixed(entry, 3, 8)})
        .inside()
        .writes_over(),
    call(SYS_select, "select", waits, 5)
        .always()
        .spelt(enter_select, return_select)
        .takes({fixed(entry, 1, fd_set_bytes), fixed(exit, 1, fd_set_bytes), fixed(entry, 2, fd_set_bytes),
                fixed(exit, 2, fd_set_bytes), fixed(entry, 4, time_bytes), fixed(exit, 4, time_bytes)})
        .inside()
        .writes_over(),
    call(SYS_pselect6, "pselect6", waits, 6)
        .always()
        .spelt(enter_pselect6, return_pselect6)
        .takes({fixed(entry, 1, fd_set_bytes), fixed(exit, 1, fd_set_bytes), fixed(entry, 2, fd_set_bytes),
                fixed(exit, 2, fd_set_bytes), fixed(entry, 4, time_bytes), fixed(exit, 4, time_bytes)})
        .inside()
        .writes_over(),
    call(SYS_epoll_create, "epoll_create", waits, 1).always().makes().spelt(enter_epoll_create),
    call(SYS_epoll_create1, "epoll_create1", waits, 1).always().makes().spelt(enter_epoll_create1),
    call(SYS_epoll_ctl, "epoll_ctl", waits, 4)
        .on(2)
        .spelt(enter_epoll_ctl)
        .takes({fixed(entry, 3, event_size)})
        .inside()
        .at_return(),
    call(SYS_epoll_wait, "epoll_wait", waits, 4)
        .on(0)
        .always()
        .spelt(enter_epoll_wait, return_epoll)
        .takes({returned(1, event_bytes, event_size)})
        .inside()
        .at_return(),
    call(SYS_epoll_pwait, "epoll_pwait", waits, 6)
        .on(0)
        .always()
        .spelt(enter_epoll_pwait, return_epoll)
        .takes({returned(1, event_bytes, event_size), fixed(entry, 4, 8)})
        .inside()
        .at_return(),
    call(SYS_epoll_pwait2, "epoll_pwait2", waits, 6)
        .on(0)
        .always()
        .spelt(enter_epoll_pwait2, return_epoll)
        .takes({returned(1, event_bytes, event_size), fixed(entry, 3, time_bytes), fixed(entry, 4, 8)})
        .inside(),

    call(SYS_dup, "dup", duplicates, 1).on(0).makes().spelt(enter_number),
    call(SYS_fork, "fork", forks, 0).always(),
    call(SYS_vfork, "vfork", forks, 0).always(),
    call(SYS_clone, "clone", forks, 5).always().spelt(enter_clone, return_clone).takes({fixed(exit, 2, 4)}),
    call(SYS_clone3, "clone3", forks, 2).always().spelt(enter_clone3).takes({bytes_at(entry, 0, 1, 88)}),
    call(SYS_unshare, "unshare", unshares, 1).always().spelt(enter_unshare),
    call(SYS_pidfd_getfd, "pidfd_getfd", duplicates, 3).always().makes().spelt(enter_pidfd_getfd),

    call(SYS_execve, "execve", executes, 3).always().spelt(enter_execve).takes({fixed(entry, 0, path_bytes)}),
    call(SYS_execveat, "execveat", executes, 5).always().spelt(enter_execveat).takes({fixed(entry, 1, path_bytes)}),
    call(SYS_exit_group, "exit_group", ends, 1).always().spelt(enter_number).with_stack(),

    call(SYS_io_uring_setup, "io_uring_setup", uses_ring, 2)
        .always()
        .makes()
        .spelt(enter_io_uring_setup, return_io_uring_setup)
        .takes({fixed(exit, 1, 120)}),
    call(SYS_io_uring_enter, "io_uring_enter", uses_ring, 6).on(0).always().spelt(enter_io_uring_enter),

    // The tracers leave these; the laboratory's agents make them, as their C library's functions have it (send, recv), not the kernel.
    named("send", sends).on(0).spelt(enter_send).counts(2).flags_at(3),
    named("recv", receives).on(0).spelt(enter_recv, return_read).counts(2).flags_at(3),
    named("signal", changes_signals),
    named("sigaction", changes_signals),
    named("rt_sigaction", changes_signals).spelt(enter_rt_sigaction, return_rt_sigaction),
    named("sigprocmask", changes_signals),
    named("rt_sigprocmask", changes_signals).spelt(enter_rt_sigprocmask, return_rt_sigprocmask),
    named("kill", none).spelt(enter_kill),
    named("setitimer", none).spelt(enter_setitimer, return_setitimer),
    named("rt_sigtimedwait", none).spelt(enter_rt_sigtimedwait, return_rt_sigtimedwait),
    named("prlimit64", none).spelt(enter_prlimit64, return_prlimit64),
    named("socketpair", none).spelt(enter_socketpair, return_socketpair),

    // Operations of io_uring that no call is named like (io_uring_enter(2), liburing's io_uring_prep_*).
    named("send_zc", sends).flags_at(3),
    named("sendmsg_zc", sends).flags_at(2).message(),
    named("write_fixed", sends),
    named("read_fixed", receives),
    named("read_multishot", receives),
    named("recv_zc", receives),
    named("poll_add", waits),
});

// Of each call of a recording it is asked.
constexpr auto by_name = [] {
  std::array<const CallRow*, rows.size()> sorted{};
  std::ranges::transform(rows, sorted.begin(), [](const CallRow& row) { return &row; });
  std::ranges::sort(sorted, {}, &CallRow::name);
  return sorted;
}();

// The numbers of native calls are small; x32's (bit 30) and whatever comes later are not in the table.
constexpr std::size_t number_limit = 512;

constexpr auto by_number = [] {
  std::array<const CallRow*, number_limit> index{};
  for (const CallRow& row : rows)
    if (row.number >= 0) index.at(static_cast<std::size_t>(row.number)) = &row;
  return index;
}();

}  // namespace

std::span<const CallRow> call_table() { return rows; }

const CallRow* find_call(std::string_view name) {
  const auto* const found = std::ranges::lower_bound(by_name, name, {}, &CallRow::name);
  return found == by_name.end() || (*found)->name != name ? nullptr : *found;
}

const CallRow* find_call(long number) {
  if (number < 0 || static_cast<std::size_t>(number) >= by_number.size()) return nullptr;
  return by_number[static_cast<std::size_t>(number)];
}

Effect effect_of(std::string_view name) {
  const CallRow* row = find_call(name);
  return row == nullptr ? none : row->effect;
}

taken_piece layout_of(const Piece& piece) {
  return {.at_exit = piece.when == Piece::When::exit,
          .shape = static_cast<__u8>(piece.shape),
          .pointer_argument = piece.pointer_argument,
          .length_argument = piece.length_argument,
          .constant = piece.constant,
          .element = piece.element,
          .reserved = 0};
}

bool makes_tcp_socket(std::uint64_t family, std::uint64_t type, std::uint64_t protocol) {
  // The kernel takes ints: the upper halves of the registers may hold anything.
  const auto kind = static_cast<std::uint32_t>(type) & ~static_cast<std::uint32_t>(SOCK_NONBLOCK | SOCK_CLOEXEC);
  const auto domain = static_cast<std::uint32_t>(family);
  const auto wanted = static_cast<std::uint32_t>(protocol);
  return (domain == AF_INET || domain == AF_INET6) && kind == SOCK_STREAM &&
         (wanted == 0 || wanted == IPPROTO_TCP || wanted == IPPROTO_MPTCP);
}

}  // namespace tcpwhy::calls
