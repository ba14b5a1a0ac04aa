#include "calls/operation_table.h"

#include <fmt/format.h>
#include <sys/syscall.h>

#include <algorithm>
#include <initializer_list>
#include <iterator>
#include <string>

#include "calls/names.h"
#include "calls/spelling/spelling.h"

namespace tcpwhy::calls {
namespace {

using enum Piece::When;
using enum Piece::Shape;

// linux/io_uring.h, whose newest names a system's headers may lack.
enum Opcode : std::uint8_t {
  op_readv = 1,
  op_writev = 2,
  op_read_fixed = 4,
  op_write_fixed = 5,
  op_poll_add = 6,
  op_sendmsg = 9,
  op_recvmsg = 10,
  op_accept = 13,
  op_connect = 16,
  op_close = 19,
  op_read = 22,
  op_write = 23,
  op_send = 26,
  op_recv = 27,
  op_splice = 30,
  op_tee = 33,
  op_shutdown = 34,
  op_socket = 45,
  op_send_zc = 47,
  op_sendmsg_zc = 48,
  op_read_multishot = 49,
  op_bind = 56,
  op_listen = 57,
  op_recv_zc = 58,
};

constexpr std::uint16_t address_bytes = 128;  // struct sockaddr_storage
constexpr std::uint8_t at_address = field_address;

constexpr Piece payload = {entry, bytes, at_address, field_length, payload_taken, 1};
constexpr Piece filled = {exit, bytes, at_address, -2, payload_taken, 1};
constexpr Piece asked_address = {entry, bytes, at_address, field_offset, address_bytes, 1};
constexpr Piece peer_address = {exit, value_length, at_address, field_offset, address_bytes, 1};
constexpr Piece header(Piece::When when) { return {when, message_header, at_address, -1, payload_taken, 1}; }
constexpr Piece vectors(Piece::When when) { return {when, io_vectors, at_address, field_length, payload_taken, 16}; }

constexpr bool with_stack = true;

// What it does stands in the row of the call that is named like it (call_table.cc).
OperationRow row(std::uint8_t opcode, std::string_view name, long same_as, std::initializer_list<std::int8_t> fields,
                 std::initializer_list<Piece> pieces = {}, bool stack = false) {
  OperationRow made;
  made.opcode = opcode;
  made.same_as = same_as;
  for (const std::int8_t field : fields) made.fields.at(made.field_count++) = field;
  made.call.name = name;
  const CallRow* named = find_call(name);
  made.call.effect = named->effect;
  made.call.told_at_return = named->told_at_return;
  made.call.fd_argument = opcode == op_socket ? std::int8_t{-1} : std::int8_t{field_fd};
  made.call.second_fd_argument = opcode == op_splice || opcode == op_tee ? std::int8_t{field_rest} : std::int8_t{-1};
  for (const Piece& piece : pieces) made.call.pieces.at(made.call.piece_count++) = piece;
  made.call.wants_stack = stack;
  return made;
}

// As the entries of liburing are filled.
constexpr std::int8_t fd = field_fd, addr = field_address, len = field_length, own = field_flags, off = field_offset;

bool has_message_flags(std::uint8_t opcode) { return opcode == op_send || opcode == op_recv || opcode == op_send_zc; }
bool takes_messages(std::uint8_t opcode) {
  return opcode == op_send || opcode == op_recv || opcode == op_sendmsg || opcode == op_recvmsg ||
         opcode == op_send_zc || opcode == op_sendmsg_zc || opcode == op_recv_zc;
}

// The parts of field_rest.
std::uint32_t priority(const SyscallArguments& fields) { return static_cast<std::uint16_t>(fields[field_rest]); }
std::uint32_t entry_flags(const SyscallArguments& fields) {
  return static_cast<std::uint8_t>(fields[field_rest] >> 16);
}
std::uint32_t file_index(const SyscallArguments& fields) {
  return static_cast<std::uint32_t>(fields[field_rest] >> 32);
}

constexpr std::uint32_t fixed_file = 1U << 0, accept_multishot = 1U << 0, recv_multishot = 1U << 1, poll_multi = 1U;

constexpr NamedValue names_of_entry_flags[] = {
    {1U << 0, "IOSQE_FIXED_FILE"},       {1U << 1, "IOSQE_IO_DRAIN"}, {1U << 2, "IOSQE_IO_LINK"},
    {1U << 3, "IOSQE_IO_HARDLINK"},      {1U << 4, "IOSQE_ASYNC"},    {1U << 5, "IOSQE_BUFFER_SELECT"},
    {1U << 6, "IOSQE_CQE_SKIP_SUCCESS"},
};
constexpr NamedValue names_of_accept_flags[] = {
    {1U << 0, "IORING_ACCEPT_MULTISHOT"}, {1U << 1, "IORING_ACCEPT_DONTWAIT"}, {1U << 2, "IORING_ACCEPT_POLL_FIRST"}};
constexpr NamedValue names_of_message_flags[] = {{1U << 0, "IORING_RECVSEND_POLL_FIRST"},
                                                 {1U << 1, "IORING_RECV_MULTISHOT"},
                                                 {1U << 2, "IORING_RECVSEND_FIXED_BUF"},
                                                 {1U << 3, "IORING_SEND_ZC_REPORT_USAGE"},
                                                 {1U << 4, "IORING_RECVSEND_BUNDLE"}};
constexpr NamedValue names_of_poll_flags[] = {{1U << 0, "IORING_POLL_ADD_MULTI"}, {1U << 3, "IORING_POLL_ADD_LEVEL"}};

void join(std::string& flags, const std::string& more) {
  if (more == "0") return;
  flags += (flags.empty() ? "" : "|") + more;
}

std::string flags_behind(const OperationRow& row, const SyscallArguments& fields) {
  std::string flags;
  if (row.opcode == op_accept) join(flags, spell_flags(names_of_accept_flags, priority(fields), "IORING_ACCEPT_???"));
  if (takes_messages(row.opcode))
    join(flags, spell_flags(names_of_message_flags, priority(fields), "IORING_RECVSEND_???"));
  if (row.opcode == op_poll_add)
    join(flags, spell_flags(names_of_poll_flags, static_cast<std::uint32_t>(fields[field_length]), "IORING_POLL_???"));
  join(flags, spell_flags(names_of_entry_flags, entry_flags(fields), "IOSQE_???"));
  return flags;
}

SyscallArguments as_call(const OperationRow& row, const SyscallArguments& fields) {
  SyscallArguments arguments{};
  for (std::size_t i = 0; i < row.field_count; ++i)
    if (row.fields[i] >= 0) arguments[i] = fields[static_cast<std::size_t>(row.fields[i])];
  return arguments;
}

std::string events(std::uint64_t mask) {
  return spell_flags(poll_events(), static_cast<std::uint16_t>(mask), "POLL???");
}

void spell_own(const OperationRow& row, const SyscallArguments& fields, std::string& out) {
  const auto number = [&](OperationField field) { return static_cast<std::int32_t>(fields[field]); };
  const auto offset = [&](OperationField field) { return static_cast<std::int64_t>(fields[field]); };
  const auto put = std::back_inserter(out);
  const auto splice = spell_flags(splice_flags(), static_cast<std::uint32_t>(fields[field_flags]), "SPLICE_F_???");
  const auto from = static_cast<std::int32_t>(file_index(fields));
  if (row.opcode == op_poll_add)
    fmt::format_to(put, "{}, {}", number(field_fd), events(fields[field_flags]));
  else if (row.opcode == op_splice)
    fmt::format_to(put, "{}, {}, {}, {}, {}, {}", from, offset(field_address), number(field_fd), offset(field_offset),
                   static_cast<std::uint32_t>(fields[field_length]), splice);
  else
    fmt::format_to(put, "{}, {}, {}, {}", from, number(field_fd), static_cast<std::uint32_t>(fields[field_length]),
                   splice);
}

}  // namespace

std::span<const OperationRow> operation_table() {
  static const auto rows = std::to_array<OperationRow>({
      row(op_readv, "readv", SYS_readv, {fd, addr, len}, {vectors(exit)}),
      row(op_writev, "writev", SYS_writev, {fd, addr, len}, {vectors(entry)}),
      row(op_read_fixed, "read_fixed", SYS_read, {fd, addr, len}, {filled}),
      row(op_write_fixed, "write_fixed", SYS_write, {fd, addr, len}, {payload}),
      row(op_poll_add, "poll_add", -1, {}),
      row(op_sendmsg, "sendmsg", SYS_sendmsg, {fd, addr, own}, {header(entry)}),
      row(op_recvmsg, "recvmsg", SYS_recvmsg, {fd, addr, own}, {header(exit)}),
      row(op_accept, "accept", SYS_accept4, {fd, addr, off, own}, {peer_address}, with_stack),
      row(op_connect, "connect", SYS_connect, {fd, addr, off}, {asked_address}, with_stack),
      row(op_close, "close", SYS_close, {fd}, {}, with_stack),
      row(op_read, "read", SYS_read, {fd, addr, len}, {filled}),
      row(op_write, "write", SYS_write, {fd, addr, len}, {payload}),
      row(op_send, "send", SYS_write, {fd, addr, len}, {payload}),
      row(op_recv, "recv", SYS_read, {fd, addr, len}, {filled}),
      row(op_splice, "splice", -1, {}),
      row(op_tee, "tee", -1, {}),
      row(op_shutdown, "shutdown", SYS_shutdown, {fd, len}, {}, with_stack),
      row(op_socket, "socket", SYS_socket, {fd, off, len}, {}, with_stack),
      row(op_send_zc, "send_zc", SYS_write, {fd, addr, len}, {payload}),
      row(op_sendmsg_zc, "sendmsg_zc", SYS_sendmsg, {fd, addr, own}, {header(entry)}),
      row(op_read_multishot, "read_multishot", SYS_read, {fd, addr, len}),
      row(op_bind, "bind", SYS_bind, {fd, addr, off}, {asked_address}, with_stack),
      row(op_listen, "listen", SYS_listen, {fd, len}, {}, with_stack),
      row(op_recv_zc, "recv_zc", SYS_read, {fd, addr, len}),
  });
  return rows;
}

const OperationRow* find_operation(std::uint32_t opcode) {
  const auto rows = operation_table();
  const auto row = std::ranges::find(rows, opcode, [](const OperationRow& r) { return std::uint32_t{r.opcode}; });
  return row == rows.end() ? nullptr : &*row;
}

bool is_multishot(const OperationRow& row, const SyscallArguments& fields) {
  if (row.opcode == op_accept) return (priority(fields) & accept_multishot) != 0;
  if (row.opcode == op_recv || row.opcode == op_recvmsg) return (priority(fields) & recv_multishot) != 0;
  if (row.opcode == op_poll_add) return (fields[field_length] & poll_multi) != 0;
  return row.opcode == op_read_multishot || row.opcode == op_recv_zc;
}

Entry decode_operation_entry(const OperationRow& row, const SyscallArguments& fields, const Memory& memory,
                             bool on_second) {
  Entry entry;
  if (const CallRow* same = find_call(row.same_as))
    entry = decode_entry(*same, as_call(row, fields), memory);
  else
    spell_own(row, fields, entry.arguments);
  if (row.call.fd_argument >= 0) entry.fd = static_cast<std::int32_t>(fields[field_fd]);
  if (has_message_flags(row.opcode))
    entry.arguments += ", " + spell_flags(message_flags(), static_cast<std::uint32_t>(fields[field_flags]), "MSG_???");
  // A registered file has no descriptor, but a slot in the ring's table.
  if (row.opcode == op_close && file_index(fields) != 0) {
    entry.arguments = fmt::format("slot {}", file_index(fields) - 1);
    entry.fd.reset();
  }
  if ((entry_flags(fields) & fixed_file) != 0) entry.fd.reset();
  if (on_second) entry.fd = static_cast<std::int32_t>(file_index(fields));
  if (const auto behind = flags_behind(row, fields); !behind.empty()) entry.arguments += ", " + behind;
  return entry;
}

Return decode_operation_return(const OperationRow& row, const SyscallArguments& fields, std::int64_t result,
                               const Memory& memory) {
  Return back;
  const bool failed = result < 0;
  if (const CallRow* same = find_call(row.same_as)) {
    back = decode_return(*same, as_call(row, fields), result, memory);
  } else {
    back.result = failed ? -1 : result;
    back.error = failed ? static_cast<std::int32_t>(-result) : 0;
    if (row.opcode == op_poll_add && !failed) back.detail = events(static_cast<std::uint64_t>(result));
  }
  const bool makes_slot = (row.opcode == op_accept || row.opcode == op_socket) && file_index(fields) != 0;
  if (makes_slot) back.new_fd.reset();
  return back;
}

}  // namespace tcpwhy::calls
