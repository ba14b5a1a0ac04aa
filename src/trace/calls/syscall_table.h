// The system calls that matter to a TCP connection: one row each, from which the BPF program knows what to take along, ptrace's
// seccomp filter which calls to stop at, and the decoder how to spell them.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "trace/calls/taken_piece.h"

namespace tcpwhy::trace {

// What a call does to a connection.
enum class CallClass : std::uint8_t {
  opens,       // socket, bind, listen, accept, connect
  sends,       // send family, write family, sendfile, splice
  receives,    // recv family, read family
  shuts,       // shutdown
  closes,      // close, close_range, dup2 and dup3 (over a descriptor)
  options,     // setsockopt, getsockopt, ioctl, fcntl, getsockname, getpeername
  waits,       // poll, select, epoll
  duplicates,  // dup, fork, clone, pidfd_getfd
  ends,        // exit_group, execve
  rings,       // io_uring_setup, io_uring_enter
};

// A piece of the caller's memory that the decoder will ask for.
struct Piece {
  enum class When : std::uint8_t { entry, exit };
  enum class Shape : std::uint8_t {
    bytes,           // `length`, see below
    message_header,  // struct msghdr, its name, first iovec's bytes, control (64 bytes)
    io_vectors,      // struct iovec[], and the bytes of the first
    value_length,  // exit: *(socklen_t*)args[length_argument] bytes (accept's address, getsockopt's value), and that length
  };
  When when = When::entry;
  Shape shape = Shape::bytes;
  std::uint8_t pointer_argument = 0;
  std::int8_t length_argument = -1;  // args[...] is the length; -1: `constant` is; -2: the call's result is
  std::uint16_t constant = 0;        // the length, or the most that is taken of it (payload: payload_taken)
  std::uint8_t element = 1;          // the length counts elements of so many bytes (pollfd 8, epoll_event 12)
};

// Bytes of payload that are taken along: what strace shows.
inline constexpr std::uint16_t payload_taken = 32;
// The most pieces of a row. The first ones matter most: who can take only some, leaves out the last.
inline constexpr std::size_t most_pieces = 6;

struct SyscallRow {
  long number = -1;       // of this machine's architecture; rows that it lacks (poll, fork on arm64, ...) are left out
  std::string_view name;  // strace's
  CallClass call_class = CallClass::opens;
  std::uint8_t arguments = 0;           // how many it takes
  std::int8_t fd_argument = -1;         // which one is the descriptor; -1: none
  std::int8_t second_fd_argument = -1;  // sendfile, splice, dup2; with fd_range: the last one
  // Recorded only if (one of) its descriptor(s) is a TCP socket; false: always. A call that has no descriptor and still is
  // only_on_tcp (socket) is decided by its arguments: makes_tcp_socket().
  bool only_on_tcp = true;
  std::array<Piece, most_pieces> pieces{};
  std::uint8_t piece_count = 0;
  bool wants_stack = false;  // the program's own call stack is taken: opening, shutting, closing
  bool fd_range = false;     // close_range: all descriptors from fd_argument's to second_fd_argument's
};

std::span<const SyscallRow> syscall_table();
// The row of a call; null: not in the table. Constant time.
const SyscallRow* find_syscall(long number);
// Whether a call has failed: its result, as the kernel gives it, is -errno (include/linux/err.h, MAX_ERRNO).
constexpr bool is_error(std::int64_t result) { return result < 0 && result >= -4095; }
// For those that can't include this.
taken_piece layout_of(const Piece& piece);
// socket(family, type, protocol): AF_INET or AF_INET6, SOCK_STREAM whatever its flags, protocol 0 or IPPROTO_TCP; or IPPROTO_MPTCP, whose
// sockets are not followed any further, which only this call can tell.
bool makes_tcp_socket(std::uint64_t family, std::uint64_t type, std::uint64_t protocol);

}  // namespace tcpwhy::trace
