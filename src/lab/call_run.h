// How each call of the table is made. Between the two stamps stands the system call and nothing else.
#pragma once

#include <cerrno>
#include <string>

#include "lab/call.h"

namespace tcpwhy::lab {

using RunCall = void(const ReadyCall&, const CallContext&, CallSlot&);

RunCall run_socket, run_bind, run_listen, run_accept, run_connect, run_send, run_recv, run_write, run_read,
    run_shutdown, run_close, run_setsockopt, run_getsockopt, run_poll, run_signal, run_exit, run_kill, run_fork,
    run_dup, run_exec, run_sendto, run_sendmsg, run_writev, run_sendfile, run_splice, run_fcntl, run_getpeername,
    run_getsockname, run_setitimer, run_sigprocmask, run_sigtimedwait, run_setrlimit, run_socketpair, run_send_fd,
    run_recv_fd;

// What those above are made of. Shared by call_run*.cc only.
std::int64_t now_ns();
void finish(CallSlot& slot, std::int64_t result, int error, std::int64_t returned_ns);

// Stamps, makes the call, stamps.
template <class SystemCall>
void stamped(CallSlot& slot, SystemCall&& system_call) {
  slot.entered_ns.store(now_ns(), std::memory_order_release);
  const std::int64_t result = system_call();
  const int error = errno;
  finish(slot, result, error, now_ns());
}

// The socket's cookie and addresses. Asked after the call has returned, so that it costs the call nothing.
void note_socket(CallSlot& slot, int fd);
// The descriptor that the call made, and its socket.
void note_made(CallSlot& slot);
std::string payload_of(const ReadyCall& call, const CallContext& context);
const sockaddr* address_of(const ReadyCall& call);

}  // namespace tcpwhy::lab
