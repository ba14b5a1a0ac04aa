// How each call of the table is made, and how it then stands in registers and memory. Between the two stamps stands the system call and
// nothing else.
#pragma once

#include <cerrno>
#include <string>

#include "lab/agents/call.h"
#include "lab/agents/call_image.h"

namespace tcpwhy::lab {

using RunCall = void(const ReadyCall&, const CallContext&, CallSlot&);
using LayOutCall = void(const MadeCall&, CallImage&);

RunCall run_socket, run_bind, run_listen, run_accept, run_connect, run_send, run_recv, run_write, run_read,
    run_shutdown, run_close, run_setsockopt, run_getsockopt, run_poll, run_signal, run_exit, run_kill, run_fork,
    run_dup, run_exec, run_sendto, run_sendmsg, run_writev, run_sendfile, run_splice, run_fcntl, run_getpeername,
    run_getsockname, run_setitimer, run_sigprocmask, run_sigtimedwait, run_setrlimit, run_socketpair, run_send_fd,
    run_recv_fd;

// One function stands for all calls that take the same.
LayOutCall lay_out_nothing, lay_out_descriptor, lay_out_descriptor_and_number, lay_out_status, lay_out_socket,
    lay_out_address, lay_out_asked_address, lay_out_setsockopt, lay_out_getsockopt, lay_out_poll, lay_out_fcntl,
    lay_out_socketpair;
LayOutCall lay_out_sending, lay_out_receiving, lay_out_sendto, lay_out_sendmsg, lay_out_writev, lay_out_sendfile,
    lay_out_splice, lay_out_send_fd, lay_out_recv_fd;
LayOutCall lay_out_signal, lay_out_kill, lay_out_setitimer, lay_out_sigprocmask, lay_out_sigtimedwait,
    lay_out_setrlimit, lay_out_exec;

// What those above are made of. Shared by call_run*.cc only.
std::int64_t now_ns();
void finish(CallSlot& slot, std::int64_t result, int error, std::int64_t returned_ns);
// The first stamp. What the slot has to say of a call that is entered stands there.
void enter(const CallContext& context, CallSlot& slot);

// Stamps, makes the call, stamps.
template <class SystemCall>
void stamped(const CallContext& context, CallSlot& slot, SystemCall&& system_call) {
  enter(context, slot);
  const std::int64_t result = system_call();
  const int error = errno;
  finish(slot, result, error, now_ns());
}

// The socket's cookie and addresses. Asked after the call has returned, so that it costs the call nothing.
void note_socket(CallSlot& slot, int fd);
// The descriptor that the call made, and its socket.
void note_made(CallSlot& slot);
// The bytes that a call brings along: all of them, and how many they are.
std::string payload_of(const ReadyCall& call, std::string_view batch);
std::uint64_t payload_size(const ReadyCall& call);
const sockaddr* address_of(const ReadyCall& call);
std::uint64_t put_address(const ReadyCall& call, CallImage& image);  // NULL if not even its family is passed

}  // namespace tcpwhy::lab
