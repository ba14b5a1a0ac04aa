// io_uring operations on sockets: what a program asks of its ring instead of making a system call. One row each.
//
// An operation is told as the call that does the same, under its own name: IORING_OP_SEND_ZC is send_zc. Its arguments are in
// the order of liburing's io_uring_prep_*(), without the entry; flags of the operation and of its entry stand behind them:
// recv(5, "x", 4096, 0, IORING_RECV_MULTISHOT|IOSQE_BUFFER_SELECT).
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "calls/call.h"
#include "calls/decode.h"

namespace tcpwhy::calls {

// Where a field of the submission entry stands in an operation's SyscallArguments (struct io_uring_sqe, linux/io_uring.h).
enum OperationField : std::int8_t {
  field_fd,
  field_address,  // addr, splice_off_in
  field_length,
  field_flags,   // the operation's own: msg_flags, accept_flags, poll32_events, splice_flags
  field_offset,  // off, addr2
  field_rest,    // ioprio; << 16: IOSQE_*; << 32: file_index, splice_fd_in
};

struct OperationRow {
  std::uint8_t opcode = 0;              // IORING_OP_*
  CallRow call;                         // its pieces and descriptors count the fields above
  long same_as = -1;                    // the system call whose arguments it has; -1: spelled by itself
  std::array<std::int8_t, 6> fields{};  // of that call's arguments; -1: 0
  std::uint8_t field_count = 0;
};

std::span<const OperationRow> operation_table();
// Null: not in the table.
const OperationRow* find_operation(std::uint32_t opcode);

// `on_second`: see decode_entry().
Entry decode_operation_entry(const OperationRow& row, const SyscallArguments& fields, const Memory& memory,
                             bool on_second = false);
Return decode_operation_return(const OperationRow& row, const SyscallArguments& fields, std::int64_t result,
                               const Memory& memory);
// It is completed again and again, until it is cancelled or fails.
bool is_multishot(const OperationRow& row, const SyscallArguments& fields);

}  // namespace tcpwhy::calls
