// Calls that open, send, receive, shut and close.

#include <fmt/format.h>
#include <sys/socket.h>

#include <array>
#include <iterator>

#include "calls/names.h"
#include "calls/spelling/spelling.h"

namespace tcpwhy::calls {
namespace {

void put(std::string& out, std::int64_t number) { fmt::format_to(std::back_inserter(out), "{}", number); }

void spell_answered_address(const CallView& call, std::size_t address, std::string& out) {
  const auto length = read_value<std::int32_t>(call.memory, call[address + 1]);
  if (!length || *length < 0) return spell_pointer(call[address], out);
  spell_sockaddr(call.memory, call[address], static_cast<std::uint64_t>(*length), out);
  fmt::format_to(std::back_inserter(out), ", [{}]", *length);
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

void spell_position_and_flags(const CallView& call, std::string& out) {
  fmt::format_to(std::back_inserter(out), ", {}, {}", static_cast<std::int64_t>(call[3]),
                 spell_flags(vector_flags(), call.flags(5), "RWF_???"));
}

void spell_offset(const CallView& call, std::size_t argument, std::string& out) {
  if (const auto offset = read_value<std::int64_t>(call.memory, call[argument]))
    fmt::format_to(std::back_inserter(out), "[{}]", *offset);
  else
    spell_pointer(call[argument], out);
}

}  // namespace

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

void enter_socketpair(const CallView& call, std::string& out) {
  enter_socket(call, out);
  out += ", ...";
}

void return_socketpair(const CallView& call, std::string& out) {
  if (call.failed()) return;
  if (const auto pair = read_value<std::array<std::int32_t, 2>>(call.memory, call[3]))
    fmt::format_to(std::back_inserter(out), "[{}, {}]", (*pair)[0], (*pair)[1]);
  else
    spell_pointer(call[3], out);
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

void return_address(const CallView& call, std::string& out) {
  if (!call.failed() && call[1] != 0) spell_answered_address(call, 1, out);
}

void enter_write(const CallView& call, std::string& out) {
  put(out, call.integer(0));
  out += ", ";
  spell_bytes(call.memory, call[1], call[2], out);
  fmt::format_to(std::back_inserter(out), ", {}", call[2]);
}

void enter_send(const CallView& call, std::string& out) {
  enter_write(call, out);
  out += ", " + spell_flags(message_flags(), call.flags(3), "MSG_???");
}

void enter_sendto(const CallView& call, std::string& out) {
  enter_send(call, out);
  out += ", ";
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

void enter_recv(const CallView& call, std::string& out) {
  enter_read(call, out);
  out += ", " + spell_flags(message_flags(), call.flags(3), "MSG_???");
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

}  // namespace tcpwhy::calls
