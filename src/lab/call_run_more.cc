// The calls beyond the everyday ones: other ways to write, descriptors that travel, signals and limits.
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <vector>

#include "base/check.h"
#include "base/unique_fd.h"
#include "lab/call_run.h"
#include "lab/program_user.h"

namespace tcpwhy::lab {
namespace {

// Descriptors of our own must not take numbers that the experiment would get.
constexpr int own_descriptors = 200;
constexpr std::size_t most_in_a_pipe = 65536;  // pipe(7): its capacity

base::UniqueFd moved_up(int fd) {
  base::UniqueFd low(fd);
  return base::UniqueFd(::fcntl(low.get(), F_DUPFD_CLOEXEC, own_descriptors));
}

// A file of `size` bytes that exists nowhere.
base::UniqueFd file_of(std::uint64_t size) {
  base::UniqueFd file = moved_up(::memfd_create("bytes", MFD_CLOEXEC));
  const std::vector<char> bytes(size, 'x');
  if (file.valid() && ::pwrite(file.get(), bytes.data(), bytes.size(), 0) < 0) file.reset();
  return file;
}

// Room for one descriptor as ancillary data, unix(7).
struct Passing {
  char byte = 'f';
  iovec bytes{&byte, 1};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
  msghdr message{};

  Passing() {
    message.msg_iov = &bytes;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = control.size();
  }
};

sigset_t only(int signal) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, signal);
  return set;
}

}  // namespace

void run_sendto(const ReadyCall& call, const CallContext& context, CallSlot& slot) {
  const std::string bytes = payload_of(call, context);
  stamped(slot, [&] {
    return ::sendto(call.fd, bytes.data(), bytes.size(), call.flags, address_of(call), call.address_length);
  });
  note_socket(slot, call.fd);
}

void run_sendmsg(const ReadyCall& call, const CallContext& context, CallSlot& slot) {
  std::string bytes = payload_of(call, context);
  iovec piece{bytes.data(), bytes.size()};
  msghdr message{};
  message.msg_iov = &piece;
  message.msg_iovlen = 1;
  stamped(slot, [&] { return ::sendmsg(call.fd, &message, call.flags); });
}

void run_writev(const ReadyCall& call, const CallContext& context, CallSlot& slot) {
  std::string bytes = payload_of(call, context);
  const std::size_t half = bytes.size() / 2;
  const std::array<iovec, 2> pieces{{{bytes.data(), half}, {bytes.data() + half, bytes.size() - half}}};
  stamped(slot, [&] { return ::writev(call.fd, pieces.data(), static_cast<int>(pieces.size())); });
}

void run_sendfile(const ReadyCall& call, const CallContext&, CallSlot& slot) {
  const base::UniqueFd file = file_of(call.size);
  stamped(slot, [&] { return ::sendfile(call.fd, file.get(), nullptr, call.size); });
}

void run_splice(const ReadyCall& call, const CallContext&, CallSlot& slot) {
  const std::size_t size = std::min<std::size_t>(call.size, most_in_a_pipe);
  std::array<int, 2> ends{-1, -1};
  (void)::pipe2(ends.data(), O_CLOEXEC | O_NONBLOCK);
  const base::UniqueFd out = moved_up(ends[0]), in = moved_up(ends[1]);
  const std::vector<char> bytes(size, 'x');
  (void)!::write(in.get(), bytes.data(), bytes.size());
  stamped(slot, [&] { return ::splice(out.get(), nullptr, call.fd, nullptr, size, 0); });
}

void run_fcntl(const ReadyCall& call, const CallContext&, CallSlot& slot) {
  stamped(slot, [&] { return ::fcntl(call.fd, F_SETFL, O_RDWR | call.flags); });
}

void run_getpeername(const ReadyCall& call, const CallContext&, CallSlot& slot) {
  socklen_t length = sizeof slot.remote;
  stamped(slot, [&] { return ::getpeername(call.fd, reinterpret_cast<sockaddr*>(&slot.remote), &length); });
  note_socket(slot, call.fd);
}

void run_getsockname(const ReadyCall& call, const CallContext&, CallSlot& slot) {
  socklen_t length = sizeof slot.local;
  stamped(slot, [&] { return ::getsockname(call.fd, reinterpret_cast<sockaddr*>(&slot.local), &length); });
  note_socket(slot, call.fd);
}

void run_setitimer(const ReadyCall& call, const CallContext&, CallSlot& slot) {
  itimerval timer{};
  timer.it_value = {call.number / 1000, call.number % 1000 * 1000};
  stamped(slot, [&] { return ::setitimer(ITIMER_REAL, &timer, nullptr); });
}

void run_sigprocmask(const ReadyCall& call, const CallContext&, CallSlot& slot) {
  const sigset_t set = only(call.number);
  stamped(slot, [&] {
    const int error = ::pthread_sigmask(call.flags, &set, nullptr);
    return error == 0 ? 0 : (errno = error, -1);
  });
}

void run_sigtimedwait(const ReadyCall& call, const CallContext&, CallSlot& slot) {
  const sigset_t set = only(call.number);
  const timespec at_once{};
  siginfo_t info{};
  stamped(slot, [&] { return ::sigtimedwait(&set, &info, &at_once); });
  slot.value = info.si_code;
}

void run_setrlimit(const ReadyCall& call, const CallContext&, CallSlot& slot) {
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = std::min<rlim_t>(call.size, limit.rlim_max);
  stamped(slot, [&] { return ::setrlimit(RLIMIT_NOFILE, &limit); });
}

void run_socketpair(const ReadyCall&, const CallContext&, CallSlot& slot) {
  std::array<int, 2> pair{-1, -1};
  stamped(slot, [&] { return ::socketpair(AF_UNIX, SOCK_STREAM, 0, pair.data()); });
  slot.new_fd = pair[0];
  slot.second_value = pair[1];
}

void run_send_fd(const ReadyCall& call, const CallContext&, CallSlot& slot) {
  Passing passing;
  cmsghdr* header = CMSG_FIRSTHDR(&passing.message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof(int));
  std::memcpy(CMSG_DATA(header), &call.passed_fd, sizeof call.passed_fd);
  stamped(slot, [&] { return ::sendmsg(call.fd, &passing.message, MSG_NOSIGNAL); });
}

void run_recv_fd(const ReadyCall& call, const CallContext&, CallSlot& slot) {
  Passing passing;
  stamped(slot, [&] { return ::recvmsg(call.fd, &passing.message, 0); });
  const cmsghdr* header = slot.result > 0 ? CMSG_FIRSTHDR(&passing.message) : nullptr;
  if (header == nullptr || header->cmsg_type != SCM_RIGHTS) return;
  std::memcpy(&slot.new_fd, CMSG_DATA(header), sizeof slot.new_fd);
  note_socket(slot, slot.new_fd);
}

// Where it succeeds nothing of this program is left to stamp the return.
void run_exec(const ReadyCall& call, const CallContext& context, CallSlot& slot) {
  std::string words = payload_of(call, context);
  TCPWHY_CHECK(words.ends_with('\0'));
  std::vector<char*> arguments;
  for (std::size_t at = 0; at < words.size(); at = words.find('\0', at) + 1) arguments.push_back(words.data() + at);
  arguments.push_back(nullptr);
  const AsProgramUser user;
  stamped(slot, [&] { return user.holds() ? ::execvp(arguments.front(), arguments.data()) : -1; });
}

}  // namespace tcpwhy::lab
