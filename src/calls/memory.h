// The memory of a process that makes a call, and which pieces of it a call's spelling needs.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "calls/taken_piece.h"

namespace tcpwhy::calls {

// As a speller may ask for it: read live by ptrace, cut out in advance by a BPF program, or put together by the laboratory.
class Memory {
 public:
  virtual ~Memory() = default;
  // Up to `length` bytes from `address` on; fewer, or none, where they can't be read or were not taken along.
  [[nodiscard]] virtual std::vector<std::uint8_t> read(std::uint64_t address, std::size_t length) const = 0;
};

// A piece of the caller's memory that the spelling of its call will ask for.
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

// For those that can't include this.
taken_piece layout_of(const Piece& piece);

}  // namespace tcpwhy::calls
