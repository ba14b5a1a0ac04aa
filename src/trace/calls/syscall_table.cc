#include "trace/calls/syscall_table.h"

#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include <initializer_list>

namespace tcpwhy::trace {
namespace {

using enum CallClass;
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

// Which arguments are descriptors, and whether they must be TCP sockets for the call to be recorded.
struct Descriptors {
  std::int8_t first = -1, second = -1;
  bool only_on_tcp = true, range = false;
};
constexpr Descriptors first_argument{0};
constexpr Descriptors both_arguments{0, 1};
constexpr Descriptors any_descriptor{0, -1, false};
constexpr Descriptors no_descriptor{-1, -1, false};

enum class Stack : std::uint8_t { no, yes };

constexpr SyscallRow row(long number, std::string_view name, CallClass call_class, std::uint8_t arguments,
                         Descriptors descriptors, std::initializer_list<Piece> pieces = {}, Stack stack = Stack::no) {
  SyscallRow made;
  made.number = number;
  made.name = name;
  made.call_class = call_class;
  made.arguments = arguments;
  made.fd_argument = descriptors.first;
  made.second_fd_argument = descriptors.second;
  made.only_on_tcp = descriptors.only_on_tcp;
  made.fd_range = descriptors.range;
  for (const Piece& piece : pieces) made.pieces.at(made.piece_count++) = piece;
  made.wants_stack = stack == Stack::yes;
  return made;
}

// Arguments as the kernel's SYSCALL_DEFINEs have them. Architectures newer than x86-64 lack the calls that a later one
// replaces (asm-generic/unistd.h); a C library's headers may lack the newest.
constexpr auto rows = std::to_array<SyscallRow>({
    row(SYS_socket, "socket", opens, 3, {-1, -1, true}, {}, Stack::yes),
    row(SYS_bind, "bind", opens, 3, first_argument, {bytes_at(entry, 1, 2, address_bytes)}, Stack::yes),
    row(SYS_listen, "listen", opens, 2, first_argument, {}, Stack::yes),
    row(SYS_accept, "accept", opens, 3, first_argument, {handed_back(1, 2, address_bytes)}, Stack::yes),
    row(SYS_accept4, "accept4", opens, 4, first_argument, {handed_back(1, 2, address_bytes)}, Stack::yes),
    row(SYS_connect, "connect", opens, 3, first_argument, {bytes_at(entry, 1, 2, address_bytes)}, Stack::yes),

    row(SYS_sendto, "sendto", sends, 6, first_argument, {payload, bytes_at(entry, 4, 5, address_bytes)}),
    row(SYS_sendmsg, "sendmsg", sends, 3, first_argument, {header(entry)}),
    row(SYS_sendmmsg, "sendmmsg", sends, 4, first_argument, {header(entry), headers(exit)}),
    row(SYS_write, "write", sends, 3, first_argument, {payload}),
    row(SYS_writev, "writev", sends, 3, first_argument, {vectors(entry)}),
    row(SYS_pwritev2, "pwritev2", sends, 6, first_argument, {vectors(entry)}),
    row(SYS_sendfile, "sendfile", sends, 4, both_arguments, {fixed(entry, 2, 8), fixed(exit, 2, 8)}),
    row(SYS_splice, "splice", sends, 6, {0, 2}, {fixed(entry, 1, 8), fixed(entry, 3, 8)}),
    row(SYS_tee, "tee", sends, 4, both_arguments),

    row(SYS_recvfrom, "recvfrom", receives, 6, first_argument, {filled, handed_back(4, 5, address_bytes)}),
    row(SYS_recvmsg, "recvmsg", receives, 3, first_argument, {header(exit)}),
    row(SYS_recvmmsg, "recvmmsg", receives, 5, first_argument,
        {header(exit), headers(exit), fixed(entry, 4, time_bytes)}),
    row(SYS_read, "read", receives, 3, first_argument, {filled}),
    row(SYS_readv, "readv", receives, 3, first_argument, {vectors(exit)}),
    row(SYS_preadv2, "preadv2", receives, 6, first_argument, {vectors(exit)}),

    row(SYS_shutdown, "shutdown", shuts, 2, first_argument, {}, Stack::yes),
    row(SYS_close, "close", closes, 1, first_argument, {}, Stack::yes),
#ifdef SYS_close_range
    row(SYS_close_range, "close_range", closes, 3, {0, 1, true, true}, {}, Stack::yes),
#endif
#ifdef SYS_dup2
    row(SYS_dup2, "dup2", closes, 2, both_arguments, {}, Stack::yes),
#endif
    row(SYS_dup3, "dup3", closes, 3, both_arguments, {}, Stack::yes),

    row(SYS_fcntl, "fcntl", options, 3, first_argument),
    row(SYS_setsockopt, "setsockopt", options, 5, first_argument, {bytes_at(entry, 3, 4, option_bytes)}),
    row(SYS_getsockopt, "getsockopt", options, 5, first_argument, {handed_back(3, 4, option_bytes)}),
    row(SYS_getsockname, "getsockname", options, 3, first_argument, {handed_back(1, 2, address_bytes)}),
    row(SYS_getpeername, "getpeername", options, 3, first_argument, {handed_back(1, 2, address_bytes)}),
    row(SYS_ioctl, "ioctl", options, 3, first_argument, {fixed(exit, 2, 4), fixed(entry, 2, 4)}),

// The descriptors that these wait for stand in memory: whether any is a TCP socket isn't known from the arguments.
#ifdef SYS_poll
    row(SYS_poll, "poll", waits, 3, no_descriptor,
        {bytes_at(entry, 0, 1, poll_bytes, 8), bytes_at(exit, 0, 1, poll_bytes, 8)}),
#endif
    row(SYS_ppoll, "ppoll", waits, 5, no_descriptor,
        {bytes_at(entry, 0, 1, poll_bytes, 8), bytes_at(exit, 0, 1, poll_bytes, 8), fixed(entry, 2, time_bytes),
         fixed(entry, 3, 8)}),
#ifdef SYS_select
    row(SYS_select, "select", waits, 5, no_descriptor,
        {fixed(entry, 1, fd_set_bytes), fixed(exit, 1, fd_set_bytes), fixed(entry, 2, fd_set_bytes),
         fixed(exit, 2, fd_set_bytes), fixed(entry, 4, time_bytes), fixed(exit, 4, time_bytes)}),
#endif
    row(SYS_pselect6, "pselect6", waits, 6, no_descriptor,
        {fixed(entry, 1, fd_set_bytes), fixed(exit, 1, fd_set_bytes), fixed(entry, 2, fd_set_bytes),
         fixed(exit, 2, fd_set_bytes), fixed(entry, 4, time_bytes), fixed(exit, 4, time_bytes)}),
#ifdef SYS_epoll_create
    row(SYS_epoll_create, "epoll_create", waits, 1, no_descriptor),
#endif
    row(SYS_epoll_create1, "epoll_create1", waits, 1, no_descriptor),
    row(SYS_epoll_ctl, "epoll_ctl", waits, 4, {2}, {fixed(entry, 3, event_size)}),
#ifdef SYS_epoll_wait
    row(SYS_epoll_wait, "epoll_wait", waits, 4, any_descriptor, {returned(1, event_bytes, event_size)}),
#endif
    row(SYS_epoll_pwait, "epoll_pwait", waits, 6, any_descriptor,
        {returned(1, event_bytes, event_size), fixed(entry, 4, 8)}),
#ifdef SYS_epoll_pwait2
    row(SYS_epoll_pwait2, "epoll_pwait2", waits, 6, any_descriptor,
        {returned(1, event_bytes, event_size), fixed(entry, 3, time_bytes), fixed(entry, 4, 8)}),
#endif

    row(SYS_dup, "dup", duplicates, 1, first_argument),
#ifdef SYS_fork
    row(SYS_fork, "fork", duplicates, 0, no_descriptor),
#endif
#ifdef SYS_vfork
    row(SYS_vfork, "vfork", duplicates, 0, no_descriptor),
#endif
    row(SYS_clone, "clone", duplicates, 5, no_descriptor, {fixed(exit, 2, 4)}),
#ifdef SYS_clone3
    row(SYS_clone3, "clone3", duplicates, 2, no_descriptor, {bytes_at(entry, 0, 1, 88)}),
#endif
#ifdef SYS_pidfd_getfd
    row(SYS_pidfd_getfd, "pidfd_getfd", duplicates, 3, no_descriptor),
#endif

    row(SYS_execve, "execve", ends, 3, no_descriptor, {fixed(entry, 0, path_bytes)}),
    row(SYS_exit_group, "exit_group", ends, 1, no_descriptor, {}, Stack::yes),

#ifdef SYS_io_uring_setup
    row(SYS_io_uring_setup, "io_uring_setup", rings, 2, no_descriptor, {fixed(exit, 1, 120)}),
    row(SYS_io_uring_enter, "io_uring_enter", rings, 6, any_descriptor),
#endif
});

// The numbers of native calls are small; x32's (bit 30) and whatever comes later are not in the table.
constexpr std::size_t number_limit = 512;

constexpr std::array<std::int16_t, number_limit> index_by_number() {
  std::array<std::int16_t, number_limit> index{};
  index.fill(-1);
  for (std::size_t i = 0; i < rows.size(); ++i)
    index.at(static_cast<std::size_t>(rows[i].number)) = static_cast<std::int16_t>(i);
  return index;
}
constexpr auto row_index = index_by_number();

}  // namespace

std::span<const SyscallRow> syscall_table() { return rows; }

const SyscallRow* find_syscall(long number) {
  if (number < 0 || static_cast<std::size_t>(number) >= row_index.size()) return nullptr;
  const std::int16_t index = row_index[static_cast<std::size_t>(number)];
  return index < 0 ? nullptr : &rows[static_cast<std::size_t>(index)];
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

}  // namespace tcpwhy::trace
