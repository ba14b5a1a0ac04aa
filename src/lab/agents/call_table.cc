#include <array>

#include "base/check.h"
#include "calls/call.h"
#include "calls/socket_options.h"
#include "lab/agents/call.h"
#include "lab/agents/call_image.h"
#include "lab/agents/call_run.h"

namespace tcpwhy::lab {
namespace {

using enum ParameterKind;

constexpr Parameter takes_descriptor[] = {{descriptor, true}};
constexpr Parameter takes_port[] = {{descriptor, true}, {port, true}};
constexpr Parameter takes_listen[] = {{descriptor, true}, {port, true}, {backlog, true}};
constexpr Parameter takes_peer[] = {{descriptor, true}, {peer}};
constexpr Parameter takes_payload[] = {{descriptor, true}, {payload}};
constexpr Parameter takes_payload_flags[] = {{descriptor, true}, {payload}, {message_flags, true}};
constexpr Parameter takes_size[] = {{descriptor, true}, {size, true}};
constexpr Parameter takes_size_flags[] = {{descriptor, true}, {size, true}, {message_flags, true}};
constexpr Parameter takes_how[] = {{descriptor, true}, {how}};
constexpr Parameter takes_option[] = {{descriptor, true}, {option}};
constexpr Parameter takes_option_values[] = {{descriptor, true}, {option}, {option_values}};
constexpr Parameter takes_timeout[] = {{descriptor, true}, {timeout, true}};
constexpr Parameter takes_status[] = {{status, true}};
constexpr Parameter takes_signal[] = {{signal}};
constexpr Parameter takes_payload_flags_peer[] = {{descriptor, true}, {payload}, {message_flags}, {peer}};
constexpr Parameter takes_whole_size[] = {{descriptor, true}, {size}};
constexpr Parameter takes_file_flags[] = {{descriptor, true}, {file_flags}};
constexpr Parameter takes_milliseconds[] = {{timeout}};
constexpr Parameter takes_mask_change[] = {{mask_change}, {signal}};
constexpr Parameter takes_limit[] = {{resource}, {size}};
constexpr Parameter takes_two_descriptors[] = {{descriptor}, {passed_descriptor, true}};
constexpr Parameter takes_named_descriptor[] = {{descriptor}};
constexpr Parameter takes_words[] = {{words}};
constexpr Parameter takes_signal_disposition[] = {{signal}, {disposition}};
constexpr std::span<const Parameter> takes_nothing = {};

// In the order of CallId.
constexpr auto rows = std::to_array<CallRow>({
    {CallId::socket, "socket", "socket", "socket()", "a TCP socket", takes_nothing, run_socket, lay_out_socket},
    {CallId::bind, "bind", "bind", "bind([FD,] [PORT])", "gives a socket its address", takes_port, run_bind,
     lay_out_address},
    {CallId::listen, "listen", "listen", "listen([PORT] [, BACKLOG]) or listen(FD [, BACKLOG])",
     "socket, SO_REUSEADDR, bind and listen; with FD only listen", takes_listen, run_listen,
     lay_out_descriptor_and_number},
    {CallId::accept, "accept", "accept", "accept([FD])", "takes a connection from the listener's queue",
     takes_descriptor, run_accept, lay_out_asked_address},
    {CallId::connect, "connect", "connect", "connect([FD,] END[:PORT])", "socket and connect; with FD only connect",
     takes_peer, run_connect, lay_out_address},
    {CallId::send, "send", "send", "send([FD,] \"BYTES\" [, FLAGS])", "", takes_payload_flags, run_send,
     lay_out_sending},
    {CallId::recv, "recv", "recv", "recv([FD,] [SIZE] [, FLAGS])", "", takes_size_flags, run_recv, lay_out_receiving},
    {CallId::write, "write", "write", "write([FD,] \"BYTES\")", "", takes_payload, run_write, lay_out_sending},
    {CallId::read, "read", "read", "read([FD,] [SIZE])", "", takes_size, run_read, lay_out_receiving},
    {CallId::shutdown, "shutdown", "shutdown", "shutdown([FD,] RD|WR|RDWR)", "", takes_how, run_shutdown,
     lay_out_descriptor_and_number},
    {CallId::close, "close", "close", "close([FD])", "", takes_descriptor, run_close, lay_out_descriptor},
    {CallId::setsockopt, "setsockopt", "setsockopt", "setsockopt([FD,] OPTION, VALUE...)", "", takes_option_values,
     run_setsockopt, lay_out_setsockopt},
    {CallId::getsockopt, "getsockopt", "getsockopt", "getsockopt([FD,] OPTION)", "", takes_option, run_getsockopt,
     lay_out_getsockopt},
    {CallId::poll, "poll", "poll", "poll([FD,] [MILLISECONDS])", "what select, poll and epoll would say of the socket",
     takes_timeout, run_poll, lay_out_poll},
    {CallId::signal, "signal", "rt_sigaction", "signal(SIGNAL, ignore|handle|default)",
     "what the process does with a signal", takes_signal_disposition, run_signal, lay_out_signal},
    {CallId::exit, "exit", "exit_group", "exit([STATUS])", "the process ends", takes_status, run_exit, lay_out_status},
    {CallId::kill, "kill", "kill", "kill(SIGNAL)", "a signal to the process itself", takes_signal, run_kill,
     lay_out_kill},
    {CallId::fork, "fork", "fork", "NAME = fork()", "a new end that shares the descriptors", takes_nothing, run_fork,
     lay_out_nothing},
    {CallId::dup, "dup", "dup", "dup([FD])", "a second descriptor for the same socket", takes_descriptor, run_dup,
     lay_out_descriptor},
    {CallId::exec, "exec", "execve", "exec(\"PROGRAM\" [, \"ARGUMENT\"...])",
     "the process becomes a real program, which inherits the descriptors", takes_words, run_exec, lay_out_exec},
    {CallId::sendto, "sendto", "sendto", "sendto([FD,] \"BYTES\", FLAGS, END[:PORT])",
     "with MSG_FASTOPEN connect and send in one", takes_payload_flags_peer, run_sendto, lay_out_sendto},
    {CallId::sendmsg, "sendmsg", "sendmsg", "sendmsg([FD,] \"BYTES\" [, FLAGS])", "", takes_payload_flags, run_sendmsg,
     lay_out_sendmsg},
    {CallId::writev, "writev", "writev", "writev([FD,] \"BYTES\")", "in two pieces", takes_payload, run_writev,
     lay_out_writev},
    {CallId::sendfile, "sendfile", "sendfile", "sendfile([FD,] SIZE)", "so many bytes of a file", takes_whole_size,
     run_sendfile, lay_out_sendfile},
    {CallId::splice, "splice", "splice", "splice([FD,] SIZE)", "so many bytes (65536 at most) out of a pipe",
     takes_whole_size, run_splice, lay_out_splice},
    {CallId::fcntl, "fcntl", "fcntl", "fcntl([FD,] O_NONBLOCK|0)", "a socket that never waits, or waits again",
     takes_file_flags, run_fcntl, lay_out_fcntl},
    {CallId::getpeername, "getpeername", "getpeername", "getpeername([FD])", "", takes_descriptor, run_getpeername,
     lay_out_asked_address},
    {CallId::getsockname, "getsockname", "getsockname", "getsockname([FD])", "", takes_descriptor, run_getsockname,
     lay_out_asked_address},
    {CallId::setitimer, "setitimer", "setitimer", "setitimer(MILLISECONDS)", "SIGALRM to the process itself, once",
     takes_milliseconds, run_setitimer, lay_out_setitimer},
    {CallId::sigprocmask, "sigprocmask", "rt_sigprocmask", "sigprocmask(block|unblock, SIGNAL)",
     "of the thread that makes the call", takes_mask_change, run_sigprocmask, lay_out_sigprocmask},
    {CallId::sigtimedwait, "sigtimedwait", "rt_sigtimedwait", "sigtimedwait(SIGNAL)",
     "takes a pending signal; its number, or -1 EAGAIN at once", takes_signal, run_sigtimedwait, lay_out_sigtimedwait},
    {CallId::setrlimit, "setrlimit", "prlimit64", "setrlimit(RLIMIT_NOFILE, NUMBER)",
     "below which number descriptors are given out", takes_limit, run_setrlimit, lay_out_setrlimit},
    {CallId::socketpair, "socketpair", "socketpair", "NAME = socketpair()",
     "two Unix sockets, NAME and NAME-peer, to pass descriptors through", takes_nothing, run_socketpair,
     lay_out_socketpair},
    {CallId::send_fd, "send_fd", "sendmsg", "send_fd(SOCKET [, FD])", "passes a descriptor through a Unix socket",
     takes_two_descriptors, run_send_fd, lay_out_send_fd},
    {CallId::recv_fd, "recv_fd", "recvmsg", "[NAME =] recv_fd(SOCKET)", "takes it out", takes_named_descriptor,
     run_recv_fd, lay_out_recv_fd},
});

const calls::CallRow& spelling_of(const CallRow& row) {
  const calls::CallRow* found = calls::find_call(row.recorded_name);
  TCPWHY_CHECK(found != nullptr);
  return *found;
}

}  // namespace

std::span<const CallRow> call_table() { return rows; }

const CallRow& row_of(CallId id) {
  const CallRow& row = rows.at(static_cast<std::size_t>(id));
  TCPWHY_CHECK(row.id == id);
  return row;
}

const CallRow* find_call(std::string_view name) {
  for (const CallRow& row : rows)
    if (row.name == name) return &row;
  return nullptr;
}

std::uint16_t option_row(std::string_view name) {
  const calls::SocketOption* option = calls::find_option(name);
  TCPWHY_CHECK(option != nullptr);
  return static_cast<std::uint16_t>(option - calls::socket_options().data());
}

void run_call(const ReadyCall& call, const CallContext& context, CallSlot& slot) {
  const CallRow& row = row_of(call.id);
  TCPWHY_CHECK(row.run != nullptr);
  slot.fd = call.fd;
  row.run(call, context, slot);
  slot.complete.store(1, std::memory_order_release);
}

calls::Entry spell_entry(const MadeCall& made) {
  const CallRow& row = row_of(made.call.id);
  CallImage image;
  row.lay_out(made, image);
  return calls::decode_entry(spelling_of(row), image.registers, image);
}

calls::Return spell_return(const MadeCall& made) {
  const CallRow& row = row_of(made.call.id);
  CallImage image;
  row.lay_out(made, image);
  const std::int64_t result = made.slot.result < 0 ? -made.slot.error : made.slot.result;
  return calls::decode_return(spelling_of(row), image.registers, result, image);
}

}  // namespace tcpwhy::lab
