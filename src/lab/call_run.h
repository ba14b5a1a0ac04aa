// How each call of the table is made. Between the two stamps stands the system call and nothing else.
#pragma once

#include "lab/call.h"

namespace tcpwhy::lab {

using RunCall = void(const ReadyCall&, const CallContext&, CallSlot&);

RunCall run_socket, run_bind, run_listen, run_accept, run_connect, run_send, run_recv, run_write, run_read,
    run_shutdown, run_close, run_setsockopt, run_getsockopt, run_poll, run_signal, run_exit, run_kill, run_fork,
    run_dup;

}  // namespace tcpwhy::lab
