#include "lab/call_run.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <vector>

#include "base/check.h"
#include "lab/names.h"

namespace tcpwhy::lab {
namespace {

SignalLog* signal_log = nullptr;

// Async-signal-safe: one clock_gettime and stores.
void on_signal(int signal) {
  if (!signal_log) return;
  const std::uint32_t index = signal_log->count.fetch_add(1);
  if (index >= SignalLog::capacity) return;
  signal_log->slots[index].signal = signal;
  signal_log->slots[index].at_ns.store(now_ns());
}

void keep(CallSlot& slot, const std::vector<char>& received) {
  if (slot.result <= 0) return;
  slot.data_length = static_cast<std::uint32_t>(
      std::min<std::size_t>({CallSlot::kept_bytes, received.size(), static_cast<std::size_t>(slot.result)}));
  std::memcpy(slot.data, received.data(), slot.data_length);
}

}  // namespace

std::int64_t now_ns() {
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  return now.tv_sec * 1'000'000'000LL + now.tv_nsec;
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

std::string payload_of(const ReadyCall& call, const CallContext& context) {
  TCPWHY_CHECK(std::size_t{call.payload_offset} + call.payload_length <= context.payload.size());
  const std::string_view once = context.payload.substr(call.payload_offset, call.payload_length);
  std::string bytes;
  bytes.reserve(once.size() * call.payload_repeat);
  for (std::uint32_t i = 0; i < call.payload_repeat; ++i) bytes += once;
  return bytes;
}

const sockaddr* address_of(const ReadyCall& call) { return reinterpret_cast<const sockaddr*>(&call.address); }

void set_signal_log(SignalLog* log) { signal_log = log; }

void reset_signals() {
  struct sigaction action{};
  action.sa_handler = SIG_DFL;
  for (int signal = 1; signal < NSIG; ++signal)
    if (signal != SIGKILL && signal != SIGSTOP) sigaction(signal, &action, nullptr);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
}

void run_socket(const ReadyCall& call, const CallContext&, CallSlot& slot) {
  stamped(slot, [&] { return ::socket(call.family, SOCK_STREAM, 0); });
  note_made(slot);
}

void run_bind(const ReadyCall& call, const CallContext&, CallSlot& slot) {
  stamped(slot, [&] { return ::bind(call.fd, address_of(call), call.address_length); });
  note_socket(slot, call.fd);
}

void run_listen(const ReadyCall& call, const CallContext&, CallSlot& slot) {
  stamped(slot, [&] { return ::listen(call.fd, call.number); });
  note_socket(slot, call.fd);
}

void run_accept(const ReadyCall& call, const CallContext&, CallSlot& slot) {
  sockaddr_storage from{};
  socklen_t length = sizeof from;
  stamped(slot, [&] { return ::accept(call.fd, reinterpret_cast<sockaddr*>(&from), &length); });
  note_made(slot);
}

void run_connect(const ReadyCall& call, const CallContext&, CallSlot& slot) {
  stamped(slot, [&] { return ::connect(call.fd, address_of(call), call.address_length); });
  note_socket(slot, call.fd);
}

void run_send(const ReadyCall& call, const CallContext& context, CallSlot& slot) {
  const std::string bytes = payload_of(call, context);
  stamped(slot, [&] { return ::send(call.fd, bytes.data(), bytes.size(), call.flags); });
}

void run_write(const ReadyCall& call, const CallContext& context, CallSlot& slot) {
  const std::string bytes = payload_of(call, context);
  stamped(slot, [&] { return ::write(call.fd, bytes.data(), bytes.size()); });
}

void run_recv(const ReadyCall& call, const CallContext&, CallSlot& slot) {
  std::vector<char> room(call.size);
  stamped(slot, [&] { return ::recv(call.fd, room.data(), room.size(), call.flags); });
  keep(slot, room);
}

void run_read(const ReadyCall& call, const CallContext&, CallSlot& slot) {
  std::vector<char> room(call.size);
  stamped(slot, [&] { return ::read(call.fd, room.data(), room.size()); });
  keep(slot, room);
}

void run_shutdown(const ReadyCall& call, const CallContext&, CallSlot& slot) {
  stamped(slot, [&] { return ::shutdown(call.fd, call.number); });
}

void run_close(const ReadyCall& call, const CallContext&, CallSlot& slot) {
  stamped(slot, [&] { return ::close(call.fd); });
}

void run_setsockopt(const ReadyCall& call, const CallContext& context, CallSlot& slot) {
  const SocketOption& option = socket_options()[call.option];
  linger both{call.values[0], call.values[1]};
  tcp_md5sig signature{};
  const void* value = &call.values[0];
  socklen_t length = sizeof(int);
  if (option.value == OptionValue::linger) value = &both, length = sizeof both;
  if (option.value == OptionValue::key) {
    const std::string key = payload_of(call, context);
    std::memcpy(&signature.tcpm_addr, &call.address, sizeof call.address);
    signature.tcpm_keylen = static_cast<std::uint16_t>(std::min<std::size_t>(key.size(), TCP_MD5SIG_MAXKEYLEN));
    std::memcpy(signature.tcpm_key, key.data(), signature.tcpm_keylen);
    value = &signature, length = sizeof signature;
  }
  stamped(slot, [&] { return ::setsockopt(call.fd, option.level, option.number, value, length); });
}

void run_getsockopt(const ReadyCall& call, const CallContext&, CallSlot& slot) {
  const SocketOption& option = socket_options()[call.option];
  linger both{};
  socklen_t length = option.value == OptionValue::linger ? sizeof both : sizeof(int);
  stamped(slot, [&] { return ::getsockopt(call.fd, option.level, option.number, &both, &length); });
  slot.value = both.l_onoff;  // the first int, also of an option that is one int
  slot.second_value = both.l_linger;
}

void run_poll(const ReadyCall& call, const CallContext&, CallSlot& slot) {
  pollfd entry{call.fd, POLLIN | POLLPRI | POLLOUT | POLLRDHUP, 0};
  stamped(slot, [&] { return ::poll(&entry, 1, call.number); });
  slot.value = entry.revents;
}

void run_signal(const ReadyCall& call, const CallContext&, CallSlot& slot) {
  struct sigaction action{};
  if (call.disposition == Disposition::handle)
    action.sa_handler = on_signal;
  else
    action.sa_handler = call.disposition == Disposition::ignore ? SIG_IGN : SIG_DFL;
  stamped(slot, [&] { return ::sigaction(call.number, &action, nullptr); });
}

// Neither of the two stamps a return: the process may not live to see it.
void run_exit(const ReadyCall& call, const CallContext&, CallSlot& slot) {
  slot.entered_ns.store(now_ns(), std::memory_order_release);
  ::_exit(call.number);
}

void run_kill(const ReadyCall& call, const CallContext&, CallSlot& slot) {
  const pid_t self = ::getpid();
  stamped(slot, [&] { return ::kill(self, call.number); });
}

void run_fork(const ReadyCall& call, const CallContext& context, CallSlot& slot) {
  slot.entered_ns.store(now_ns(), std::memory_order_release);
  const std::int64_t result = context.fork ? context.fork(call.number) : -1;
  const int error = context.fork ? errno : ENOSYS;
  finish(slot, result, error, now_ns());
}

void run_dup(const ReadyCall& call, const CallContext&, CallSlot& slot) {
  stamped(slot, [&] { return ::dup(call.fd); });
  note_made(slot);
}

}  // namespace tcpwhy::lab
