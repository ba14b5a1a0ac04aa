#include "lab/agents/call_run.h"

#include <sys/socket.h>
#include <time.h>

#include "base/check.h"

namespace tcpwhy::lab {

std::int64_t now_ns() {
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  return now.tv_sec * 1'000'000'000LL + now.tv_nsec;
}

void enter(const CallContext& context, CallSlot& slot) {
  if (context.entering) context.entering();
  slot.entered_ns.store(now_ns(), std::memory_order_release);
}

void finish(CallSlot& slot, std::int64_t result, int error, std::int64_t returned_ns) {
  slot.result = result;
  slot.error = result < 0 ? error : 0;
  slot.returned_ns.store(returned_ns, std::memory_order_release);
}

void note_socket(CallSlot& slot, int fd) {
  if (fd < 0) return;
  socklen_t length = sizeof slot.cookie;
  if (getsockopt(fd, SOL_SOCKET, SO_COOKIE, &slot.cookie, &length) != 0) return;
  slot.local_length = sizeof slot.local;
  if (getsockname(fd, reinterpret_cast<sockaddr*>(&slot.local), &slot.local_length) != 0) slot.local_length = 0;
  slot.remote_length = sizeof slot.remote;
  if (getpeername(fd, reinterpret_cast<sockaddr*>(&slot.remote), &slot.remote_length) != 0) slot.remote_length = 0;
}

void note_made(CallSlot& slot) {
  if (slot.result < 0) return;
  slot.new_fd = static_cast<std::int32_t>(slot.result);
  note_socket(slot, slot.new_fd);
}

std::string payload_of(const ReadyCall& call, std::string_view batch) {
  TCPWHY_CHECK(std::size_t{call.payload_offset} + call.payload_length <= batch.size());
  const std::string_view once = batch.substr(call.payload_offset, call.payload_length);
  std::string bytes;
  bytes.reserve(once.size() * call.payload_repeat);
  for (std::uint32_t i = 0; i < call.payload_repeat; ++i) bytes += once;
  return bytes;
}

std::uint64_t payload_size(const ReadyCall& call) { return std::uint64_t{call.payload_length} * call.payload_repeat; }

const sockaddr* address_of(const ReadyCall& call) { return reinterpret_cast<const sockaddr*>(&call.address); }

std::uint64_t put_address(const ReadyCall& call, CallImage& image) {
  return call.address_length < sizeof call.address.ss_family ? 0 : image.put_value(call.address);
}

}  // namespace tcpwhy::lab
