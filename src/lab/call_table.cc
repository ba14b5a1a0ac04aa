#include <array>

#include "base/check.h"
#include "lab/call.h"
#include "lab/call_run.h"
#include "lab/call_spelling.h"

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
constexpr Parameter takes_signal_disposition[] = {{signal}, {disposition}};
constexpr std::span<const Parameter> takes_nothing = {};

// In the order of CallId.
constexpr auto rows = std::to_array<CallRow>({
    {CallId::socket, "socket", "socket", "socket()", "a TCP socket", takes_nothing, run_socket, spell_socket, nothing},
    {CallId::bind, "bind", "bind", "bind([FD,] [PORT])", "gives a socket its address", takes_port, run_bind,
     spell_address, nothing},
    {CallId::listen, "listen", "listen", "listen([PORT] [, BACKLOG]) or listen(FD [, BACKLOG])",
     "socket, SO_REUSEADDR, bind and listen; with FD only listen", takes_listen, run_listen, spell_number, nothing},
    {CallId::accept, "accept", "accept", "accept([FD])", "takes a connection from the listener's queue",
     takes_descriptor, run_accept, spell_accept, back_address},
    {CallId::connect, "connect", "connect", "connect([FD,] END[:PORT])", "socket and connect; with FD only connect",
     takes_peer, run_connect, spell_address, nothing},
    {CallId::send, "send", "send", "send([FD,] \"BYTES\" [, FLAGS])", "", takes_payload_flags, run_send, spell_send,
     nothing},
    {CallId::recv, "recv", "recv", "recv([FD,] [SIZE] [, FLAGS])", "", takes_size_flags, run_recv, spell_recv,
     back_bytes},
    {CallId::write, "write", "write", "write([FD,] \"BYTES\")", "", takes_payload, run_write, spell_write, nothing},
    {CallId::read, "read", "read", "read([FD,] [SIZE])", "", takes_size, run_read, spell_read, back_bytes},
    {CallId::shutdown, "shutdown", "shutdown", "shutdown([FD,] RD|WR|RDWR)", "", takes_how, run_shutdown,
     spell_shutdown, nothing},
    {CallId::close, "close", "close", "close([FD])", "", takes_descriptor, run_close, spell_fd, nothing},
    {CallId::setsockopt, "setsockopt", "setsockopt", "setsockopt([FD,] OPTION, VALUE...)", "", takes_option_values,
     run_setsockopt, spell_setsockopt, nothing},
    {CallId::getsockopt, "getsockopt", "getsockopt", "getsockopt([FD,] OPTION)", "", takes_option, run_getsockopt,
     spell_getsockopt, back_option},
    {CallId::poll, "poll", "poll", "poll([FD,] [MILLISECONDS])", "what select, poll and epoll would say of the socket",
     takes_timeout, run_poll, spell_poll, back_poll},
    {CallId::signal, "signal", "rt_sigaction", "signal(SIGNAL, ignore|handle|default)",
     "what the process does with a signal", takes_signal_disposition, run_signal, spell_signal, nothing},
    {CallId::exit, "exit", "exit_group", "exit([STATUS])", "the process ends", takes_status, run_exit,
     spell_number_only, nothing},
    {CallId::kill, "kill", "kill", "kill(SIGNAL)", "a signal to the process itself", takes_signal, run_kill, spell_kill,
     nothing},
    {CallId::fork, "fork", "fork", "NAME = fork()", "a new end that shares the descriptors", takes_nothing, run_fork,
     spell_nothing, nothing},
    {CallId::dup, "dup", "dup", "dup([FD])", "a second descriptor for the same socket", takes_descriptor, run_dup,
     spell_fd, nothing},
    {CallId::exec, "exec", "execve", "exec PROGRAM ARGUMENTS", "a real program at this end", takes_nothing, nullptr,
     nullptr, nullptr, "putting a real program at an end is not supported yet"},
});

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

void run_call(const ReadyCall& call, const CallContext& context, CallSlot& slot) {
  const CallRow& row = row_of(call.id);
  TCPWHY_CHECK(row.run != nullptr);
  slot.fd = call.fd;
  row.run(call, context, slot);
  slot.complete.store(1, std::memory_order_release);
}

}  // namespace tcpwhy::lab
