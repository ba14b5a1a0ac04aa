#include "trace/calls/decode.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include <algorithm>
#include <array>
#include <iterator>
#include <utility>

#include "calls/names.h"
#include "trace/calls/spelling.h"

namespace tcpwhy::trace {
namespace {

using namespace calls;

void put(std::string& out, std::int64_t number) { fmt::format_to(std::back_inserter(out), "{}", number); }

void nothing(const CallView&, std::string&) {}

void enter_socket(const CallView& call, std::string& out) {
  const std::uint32_t type = call.flags(1);
  constexpr std::uint32_t kind_bits = 0xf;  // SOCK_TYPE_MASK, linux/net.h
  out += spell_value(address_families(), call.flags(0), "AF_???");
  out += ", " + spell_value(socket_types(), type & kind_bits, "SOCK_???");
  if ((type & ~kind_bits) != 0) out += "|" + spell_flags(socket_type_flags(), type & ~kind_bits, "SOCK_???");
  const bool has_names = call.flags(0) == AF_INET || call.flags(0) == AF_INET6;
  out +=
      ", " + (has_names ? spell_value(ip_protocols(), call.flags(2), "IPPROTO_???") : fmt::to_string(call.integer(2)));
}

// One or two numbers: descriptors, a backlog, a status.
void enter_number(const CallView& call, std::string& out) { put(out, call.integer(0)); }
void enter_numbers(const CallView& call, std::string& out) {
  fmt::format_to(std::back_inserter(out), "{}, {}", call.integer(0), call.integer(1));
}

// bind, connect
void enter_address(const CallView& call, std::string& out) {
  put(out, call.integer(0));
  out += ", ";
  const std::int32_t length = call.integer(2);
  spell_sockaddr(call.memory, call[1], length < 0 ? 0 : static_cast<std::uint64_t>(length), out);
  fmt::format_to(std::back_inserter(out), ", {}", length);
}

// accept, getsockname, getpeername
void enter_asked_address(const CallView& call, std::string& out) {
  put(out, call.integer(0));
  out += call[1] == 0 ? ", NULL, NULL" : ", ...";
}
void enter_accept4(const CallView& call, std::string& out) {
  enter_asked_address(call, out);
  out += ", " + spell_flags(socket_type_flags(), call.flags(3), "SOCK_???");
}
void spell_answered_address(const CallView& call, std::size_t address, std::string& out) {
  const auto length = read_value<std::int32_t>(call.memory, call[address + 1]);
  if (!length || *length < 0) return spell_pointer(call[address], out);
  spell_sockaddr(call.memory, call[address], static_cast<std::uint64_t>(*length), out);
  fmt::format_to(std::back_inserter(out), ", [{}]", *length);
}
void return_address(const CallView& call, std::string& out) {
  if (!call.failed() && call[1] != 0) spell_answered_address(call, 1, out);
}

void enter_write(const CallView& call, std::string& out) {
  put(out, call.integer(0));
  out += ", ";
  spell_bytes(call.memory, call[1], call[2], out);
  fmt::format_to(std::back_inserter(out), ", {}", call[2]);
}

void enter_sendto(const CallView& call, std::string& out) {
  enter_write(call, out);
  out += ", " + spell_flags(message_flags(), call.flags(3), "MSG_???") + ", ";
  const std::int32_t length = call.integer(5);
  spell_sockaddr(call.memory, call[4], length < 0 ? 0 : static_cast<std::uint64_t>(length), out);
  fmt::format_to(std::back_inserter(out), ", {}", length);
}

void enter_sendmsg(const CallView& call, std::string& out) {
  put(out, call.integer(0));
  out += ", ";
  spell_message_header(call.memory, call[1], UINT64_MAX, out);
  out += ", " + spell_flags(message_flags(), call.flags(2), "MSG_???");
}

// struct mmsghdr: a message header and how many bytes of it were sent or received, which is known of the first `done` ones.
void spell_messages(const CallView& call, std::uint64_t count, std::uint64_t done, bool received, std::string& out) {
  constexpr std::uint64_t size = 64, length_at = 56;
  spell_array(count, out, [&](std::uint64_t i) {
    const std::uint64_t place = call[1] + i * size;
    const auto length = i < done ? read_value<std::uint32_t>(call.memory, place + length_at) : std::nullopt;
    out += "{msg_hdr=";
    spell_message_header(call.memory, place, received ? length.value_or(0) : UINT64_MAX, out);
    if (length) fmt::format_to(std::back_inserter(out), ", msg_len={}", *length);
    out += '}';
    return true;
  });
}

void enter_messages(const CallView& call, std::string& out) {
  fmt::format_to(std::back_inserter(out), "{}, ..., {}, {}", call.integer(0), call.flags(2),
                 spell_flags(message_flags(), call.flags(3), "MSG_???"));
}
void enter_recvmmsg(const CallView& call, std::string& out) {
  enter_messages(call, out);
  out += ", ";
  spell_time(call.memory, call[4], "nsec", out);
}
void return_sendmmsg(const CallView& call, std::string& out) {
  spell_messages(call, call.flags(2), call.failed() ? 0 : static_cast<std::uint64_t>(call.result), false, out);
}
void return_recvmmsg(const CallView& call, std::string& out) {
  if (call.failed()) return;
  const auto count = static_cast<std::uint64_t>(call.result);
  spell_messages(call, count, count, true, out);
}

void enter_writev(const CallView& call, std::string& out) {
  put(out, call.integer(0));
  out += ", ";
  spell_io_vectors(call.memory, call[1], call[2], UINT64_MAX, out);
  fmt::format_to(std::back_inserter(out), ", {}", call[2]);
}
void spell_position_and_flags(const CallView& call, std::string& out) {
  fmt::format_to(std::back_inserter(out), ", {}, {}", static_cast<std::int64_t>(call[3]),
                 spell_flags(vector_flags(), call.flags(5), "RWF_???"));
}
void enter_pwritev2(const CallView& call, std::string& out) {
  enter_writev(call, out);
  spell_position_and_flags(call, out);
}

void enter_sendfile(const CallView& call, std::string& out) {
  enter_numbers(call, out);
  if (call[2] != 0)
    out += ", ...";
  else
    fmt::format_to(std::back_inserter(out), ", NULL, {}", call[3]);
}
void return_sendfile(const CallView& call, std::string& out) {
  if (call[2] == 0) return;
  const auto after = read_value<std::int64_t>(call.memory, call[2]);
  if (!after)
    spell_pointer(call[2], out);
  else if (call.failed() || call.result == 0)
    fmt::format_to(std::back_inserter(out), "[{}]", *after);
  else
    fmt::format_to(
        std::back_inserter(out), "[{}] => [{}]",
        static_cast<std::int64_t>(static_cast<std::uint64_t>(*after) - static_cast<std::uint64_t>(call.result)),
        *after);
  fmt::format_to(std::back_inserter(out), ", {}", call[3]);
}

void spell_offset(const CallView& call, std::size_t argument, std::string& out) {
  if (const auto offset = read_value<std::int64_t>(call.memory, call[argument]))
    fmt::format_to(std::back_inserter(out), "[{}]", *offset);
  else
    spell_pointer(call[argument], out);
}
void enter_splice(const CallView& call, std::string& out) {
  put(out, call.integer(0));
  out += ", ";
  spell_offset(call, 1, out);
  fmt::format_to(std::back_inserter(out), ", {}, ", call.integer(2));
  spell_offset(call, 3, out);
  fmt::format_to(std::back_inserter(out), ", {}, {}", call[4],
                 spell_flags(splice_flags(), call.flags(5), "SPLICE_F_???"));
}
void enter_tee(const CallView& call, std::string& out) {
  enter_numbers(call, out);
  fmt::format_to(std::back_inserter(out), ", {}, {}", call[2],
                 spell_flags(splice_flags(), call.flags(3), "SPLICE_F_???"));
}

void enter_read(const CallView& call, std::string& out) {
  fmt::format_to(std::back_inserter(out), "{}, ..., {}", call.integer(0), call[2]);
}
void return_read(const CallView& call, std::string& out) {
  if (!call.failed()) spell_bytes(call.memory, call[1], static_cast<std::uint64_t>(call.result), out);
}
void enter_recvfrom(const CallView& call, std::string& out) {
  put(out, call.integer(0));
  // Who sent it comes last: with it, everything from the bytes on is told on return.
  if (call[4] != 0)
    out += ", ...";
  else
    fmt::format_to(std::back_inserter(out), ", ..., {}, {}, NULL, NULL", call[2],
                   spell_flags(message_flags(), call.flags(3), "MSG_???"));
}
void return_recvfrom(const CallView& call, std::string& out) {
  return_read(call, out);
  if (call.failed() || call[4] == 0) return;
  fmt::format_to(std::back_inserter(out), ", {}, {}, ", call[2],
                 spell_flags(message_flags(), call.flags(3), "MSG_???"));
  spell_answered_address(call, 4, out);
}
void enter_recvmsg(const CallView& call, std::string& out) {
  fmt::format_to(std::back_inserter(out), "{}, ..., {}", call.integer(0),
                 spell_flags(message_flags(), call.flags(2), "MSG_???"));
}
void return_recvmsg(const CallView& call, std::string& out) {
  if (!call.failed()) spell_message_header(call.memory, call[1], static_cast<std::uint64_t>(call.result), out);
}
void enter_readv(const CallView& call, std::string& out) {
  fmt::format_to(std::back_inserter(out), "{}, ..., {}", call.integer(0), call[2]);
}
void enter_preadv2(const CallView& call, std::string& out) {
  enter_readv(call, out);
  spell_position_and_flags(call, out);
}
void return_readv(const CallView& call, std::string& out) {
  if (!call.failed()) spell_io_vectors(call.memory, call[1], call[2], static_cast<std::uint64_t>(call.result), out);
}

void enter_shutdown(const CallView& call, std::string& out) {
  fmt::format_to(std::back_inserter(out), "{}, {}", call.integer(0),
                 spell_value(shutdown_ways(), call.flags(1), "SHUT_???"));
}
void enter_close_range(const CallView& call, std::string& out) {
  fmt::format_to(std::back_inserter(out), "{}, {}, {}", call.flags(0), call.flags(1),
                 spell_flags(close_range_flags(), call.flags(2), "CLOSE_RANGE_???"));
}
void enter_dup3(const CallView& call, std::string& out) {
  enter_numbers(call, out);
  out += ", " + spell_flags(open_flags(), call.flags(2), "O_???");
}

// Where a call says how many bytes it offers or has room for.
enum class Count : std::int8_t { none = -1, vectors = -2, message = -3 };
constexpr Count argument(int i) { return static_cast<Count>(i); }

struct Decoder {
  long number;
  Speller* enter;
  Speller* leave = nothing;
  Count count = Count::none;
  bool makes_descriptor = false;
};

constexpr Decoder decoders[] = {
    {SYS_socket, enter_socket, nothing, Count::none, true},
    {SYS_bind, enter_address},
    {SYS_listen, enter_numbers},
    {SYS_accept, enter_asked_address, return_address, Count::none, true},
    {SYS_accept4, enter_accept4, return_address, Count::none, true},
    {SYS_connect, enter_address},
    {SYS_sendto, enter_sendto, nothing, argument(2)},
    {SYS_sendmsg, enter_sendmsg, nothing, Count::message},
    {SYS_sendmmsg, enter_messages, return_sendmmsg, Count::message},
    {SYS_write, enter_write, nothing, argument(2)},
    {SYS_writev, enter_writev, nothing, Count::vectors},
    {SYS_pwritev2, enter_pwritev2, nothing, Count::vectors},
    {SYS_sendfile, enter_sendfile, return_sendfile, argument(3)},
    {SYS_splice, enter_splice, nothing, argument(4)},
    {SYS_tee, enter_tee, nothing, argument(2)},
    {SYS_recvfrom, enter_recvfrom, return_recvfrom, argument(2)},
    {SYS_recvmsg, enter_recvmsg, return_recvmsg, Count::message},
    {SYS_recvmmsg, enter_recvmmsg, return_recvmmsg, Count::message},
    {SYS_read, enter_read, return_read, argument(2)},
    {SYS_readv, enter_readv, return_readv, Count::vectors},
    {SYS_preadv2, enter_preadv2, return_readv, Count::vectors},
    {SYS_shutdown, enter_shutdown},
    {SYS_close, enter_number},
#ifdef SYS_close_range
    {SYS_close_range, enter_close_range},
#endif
#ifdef SYS_dup2
    {SYS_dup2, enter_numbers, nothing, Count::none, true},
#endif
    {SYS_dup3, enter_dup3, nothing, Count::none, true},
    {SYS_fcntl, enter_fcntl, return_fcntl},
    {SYS_setsockopt, enter_setsockopt},
    {SYS_getsockopt, enter_getsockopt, return_getsockopt},
    {SYS_getsockname, enter_asked_address, return_address},
    {SYS_getpeername, enter_asked_address, return_address},
    {SYS_ioctl, enter_ioctl, return_ioctl},
#ifdef SYS_poll
    {SYS_poll, enter_poll, return_poll},
#endif
    {SYS_ppoll, enter_ppoll, return_ppoll},
#ifdef SYS_select
    {SYS_select, enter_select, return_select},
#endif
    {SYS_pselect6, enter_pselect6, return_pselect6},
#ifdef SYS_epoll_create
    {SYS_epoll_create, enter_epoll_create, nothing, Count::none, true},
#endif
    {SYS_epoll_create1, enter_epoll_create1, nothing, Count::none, true},
    {SYS_epoll_ctl, enter_epoll_ctl},
#ifdef SYS_epoll_wait
    {SYS_epoll_wait, enter_epoll_wait, return_epoll},
#endif
    {SYS_epoll_pwait, enter_epoll_pwait, return_epoll},
#ifdef SYS_epoll_pwait2
    {SYS_epoll_pwait2, enter_epoll_pwait2, return_epoll},
#endif
    {SYS_dup, enter_number, nothing, Count::none, true},
#ifdef SYS_fork
    {SYS_fork, nothing},
#endif
#ifdef SYS_vfork
    {SYS_vfork, nothing},
#endif
    {SYS_clone, enter_clone, return_clone},
#ifdef SYS_clone3
    {SYS_clone3, enter_clone3},
#endif
#ifdef SYS_pidfd_getfd
    {SYS_pidfd_getfd, enter_pidfd_getfd, nothing, Count::none, true},
#endif
    {SYS_execve, enter_execve},
    {SYS_exit_group, enter_number},
#ifdef SYS_io_uring_setup
    {SYS_io_uring_setup, enter_io_uring_setup, return_io_uring_setup, Count::none, true},
    {SYS_io_uring_enter, enter_io_uring_enter},
#endif
};

constexpr std::size_t number_limit = 512;  // as the table's

constexpr auto decoder_index = [] {
  std::array<std::int16_t, number_limit> index{};
  index.fill(-1);
  for (std::size_t i = 0; i < std::size(decoders); ++i)
    index.at(static_cast<std::size_t>(decoders[i].number)) = static_cast<std::int16_t>(i);
  return index;
}();

const Decoder* find_decoder(long number) {
  if (number < 0 || static_cast<std::size_t>(number) >= decoder_index.size()) return nullptr;
  const std::int16_t index = decoder_index[static_cast<std::size_t>(number)];
  return index < 0 ? nullptr : &decoders[index];
}

std::optional<std::uint64_t> byte_count_of(Count count, const CallView& call) {
  switch (count) {
    case Count::none: return std::nullopt;
    case Count::vectors: return count_io_vectors(call.memory, call[1], call[2]);
    case Count::message: return count_message(call.memory, call[1]);
    default: return call[static_cast<std::size_t>(count)];
  }
}

bool makes_descriptor(const Decoder& decoder, const CallView& call) {
  if (decoder.number == SYS_fcntl) return call.flags(1) == F_DUPFD || call.flags(1) == F_DUPFD_CLOEXEC;
  return decoder.makes_descriptor;
}

}  // namespace

void decode_entry(const SyscallRow& row, const SyscallArguments& arguments, const TraceeMemory& memory,
                  recording::CallEntered& entered) {
  entered.name = row.name;
  entered.arguments.clear();
  const CallView call{arguments, memory};
  if (row.fd_argument >= 0 && !row.fd_range) entered.fd = call.integer(static_cast<std::size_t>(row.fd_argument));
  const Decoder* decoder = find_decoder(row.number);
  if (decoder == nullptr) return;
  decoder->enter(call, entered.arguments);
  entered.byte_count = byte_count_of(decoder->count, call);
  // The socket itself does not know it yet, and after a failure no longer does.
  const std::int32_t length = call.integer(2);
  if (row.number == SYS_connect && length > 0)
    entered.remote = read_sockaddr(memory, call[1], static_cast<std::uint64_t>(length));
}

void decode_return(const SyscallRow& row, const SyscallArguments& arguments, std::int64_t result,
                   const TraceeMemory& memory, recording::CallReturned& returned) {
  const CallView call{arguments, memory, result};
  returned.result = call.failed() ? -1 : result;
  returned.error = call.failed() ? static_cast<std::int32_t>(-result) : 0;
  returned.detail.clear();
  const Decoder* decoder = find_decoder(row.number);
  if (decoder == nullptr) return;
  decoder->leave(call, returned.detail);
  if (!call.failed() && makes_descriptor(*decoder, call)) returned.new_fd = static_cast<std::int32_t>(result);
}

}  // namespace tcpwhy::trace
