#include "calls/decode.h"

#include <fcntl.h>
#include <sys/syscall.h>

#include "calls/spelling/spelling.h"

namespace tcpwhy::calls {
namespace {

std::optional<std::uint64_t> byte_count_of(ByteCount count, const CallView& call) {
  switch (count) {
    case ByteCount::none: return std::nullopt;
    case ByteCount::vectors: return count_io_vectors(call.memory, call[1], call[2]);
    case ByteCount::message: return count_message(call.memory, call[1]);
    default: return call[static_cast<std::size_t>(count)];
  }
}

bool makes_descriptor(const CallRow& row, const CallView& call) {
  if (row.number == SYS_fcntl) return call.flags(1) == F_DUPFD || call.flags(1) == F_DUPFD_CLOEXEC;
  return row.makes_descriptor;
}

}  // namespace

Entry decode_entry(const CallRow& row, const SyscallArguments& arguments, const Memory& memory, bool on_second) {
  Entry entry;
  const CallView call{arguments, memory};
  const std::int8_t fd = on_second ? row.second_fd_argument : row.fd_argument;
  if (fd >= 0 && !row.fd_range) entry.fd = call.integer(static_cast<std::size_t>(fd));
  if (row.enter != nullptr) row.enter(call, entry.arguments);
  entry.byte_count = byte_count_of(row.byte_count, call);
  const std::int32_t length = call.integer(2);
  if (row.effect == Effect::connects && length > 0)
    entry.remote = read_sockaddr(memory, call[1], static_cast<std::uint64_t>(length));
  return entry;
}

Return decode_return(const CallRow& row, const SyscallArguments& arguments, std::int64_t result, const Memory& memory) {
  const CallView call{arguments, memory, result};
  Return back;
  back.result = call.failed() ? -1 : result;
  back.error = call.failed() ? static_cast<std::int32_t>(-result) : 0;
  if (row.leave != nullptr) row.leave(call, back.detail);
  if (!call.failed() && makes_descriptor(row, call)) back.new_fd = static_cast<std::int32_t>(result);
  return back;
}

}  // namespace tcpwhy::calls
