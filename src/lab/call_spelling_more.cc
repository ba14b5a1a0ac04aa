// How strace spells the calls of call_run_more.cc.
#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>

#include <algorithm>

#include "base/text.h"
#include "lab/call_spelling.h"
#include "lab/names.h"

namespace tcpwhy::lab {
namespace {

// strace leaves SIG off inside a set.
std::string set_of(int signal) {
  const std::string name = signal_name(signal);
  return fmt::format("[{}]", name.starts_with("SIG") ? name.substr(3) : name);
}

}  // namespace

std::string spell_exec(const ReadyCall& call, std::string_view payload) {
  std::string_view words =
      payload.substr(std::min<std::size_t>(call.payload_offset, payload.size()), call.payload_length);
  std::string program, arguments;
  while (!words.empty()) {
    const std::string word = base::quote(words.substr(0, words.find('\0')));
    if (program.empty()) program = word;
    arguments += (arguments.empty() ? "" : ", ") + word;
    words.remove_prefix(std::min(words.size(), words.find('\0') + 1));
  }
  return fmt::format("{}, [{}], environ", program, arguments);
}

std::string spell_sendto(const ReadyCall& call, std::string_view payload) {
  return fmt::format("{}, {}, {}, {}, {}, {}", call.fd, quoted_payload(call, payload), payload_size(call),
                     join_flags(message_flags(), call.flags), spell_sockaddr(call.address, call.address_length),
                     call.address_length);
}

std::string spell_sendmsg(const ReadyCall& call, std::string_view payload) {
  return fmt::format("{}, {{msg_iov=[{{iov_base={}, iov_len={}}}], msg_iovlen=1}}, {}", call.fd,
                     quoted_payload(call, payload), payload_size(call), join_flags(message_flags(), call.flags));
}

std::string spell_writev(const ReadyCall& call, std::string_view payload) {
  return fmt::format("{}, [{{iov_base={}, iov_len={}}}, ...], 2", call.fd, quoted_payload(call, payload),
                     payload_size(call) / 2);
}

std::string spell_sendfile(const ReadyCall& call, std::string_view) {
  return fmt::format("{}, file, NULL, {}", call.fd, call.size);
}

std::string spell_splice(const ReadyCall& call, std::string_view) {
  return fmt::format("pipe, NULL, {}, NULL, {}, 0", call.fd, call.size);
}

std::string spell_fcntl(const ReadyCall& call, std::string_view) {
  return fmt::format("{}, F_SETFL, O_RDWR{}", call.fd, call.flags == O_NONBLOCK ? "|O_NONBLOCK" : "");
}

std::string spell_setitimer(const ReadyCall& call, std::string_view) {
  return fmt::format("ITIMER_REAL, {{it_interval={{tv_sec=0, tv_usec=0}}, it_value={{tv_sec={}, tv_usec={}}}}}, NULL",
                     call.number / 1000, call.number % 1000 * 1000);
}

std::string spell_sigprocmask(const ReadyCall& call, std::string_view) {
  return fmt::format("{}, {}, NULL, 8", call.flags == SIG_BLOCK ? "SIG_BLOCK" : "SIG_UNBLOCK", set_of(call.number));
}

std::string spell_sigtimedwait(const ReadyCall& call, std::string_view) {
  return fmt::format("{}, ..., {{tv_sec=0, tv_nsec=0}}, 8", set_of(call.number));
}

std::string spell_setrlimit(const ReadyCall& call, std::string_view) {
  return fmt::format("0, RLIMIT_NOFILE, {{rlim_cur={}}}, NULL", call.size);
}

std::string spell_socketpair(const ReadyCall&, std::string_view) { return "AF_UNIX, SOCK_STREAM, 0, ..."; }

std::string spell_send_fd(const ReadyCall& call, std::string_view) {
  return fmt::format(
      "{}, {{msg_control=[{{cmsg_level=SOL_SOCKET, cmsg_type=SCM_RIGHTS, cmsg_data=[{}]}}]}}, MSG_NOSIGNAL", call.fd,
      call.passed_fd);
}

std::string back_remote(const ReadyCall&, const CallSlot& slot) {
  if (slot.result < 0 || slot.remote_length == 0) return {};
  return fmt::format("{}, [{}]", spell_sockaddr(slot.remote, slot.remote_length), slot.remote_length);
}

std::string back_local(const ReadyCall&, const CallSlot& slot) {
  if (slot.result < 0 || slot.local_length == 0) return {};
  return fmt::format("{}, [{}]", spell_sockaddr(slot.local, slot.local_length), slot.local_length);
}

std::string back_pair(const ReadyCall&, const CallSlot& slot) {
  return slot.result < 0 ? std::string() : fmt::format("[{}, {}]", slot.new_fd, slot.second_value);
}

std::string back_passed(const ReadyCall&, const CallSlot& slot) {
  return slot.new_fd < 0 ? std::string()
                         : fmt::format("{{cmsg_level=SOL_SOCKET, cmsg_type=SCM_RIGHTS, cmsg_data=[{}]}}", slot.new_fd);
}

}  // namespace tcpwhy::lab
