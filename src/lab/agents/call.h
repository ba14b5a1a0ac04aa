// The calls that an end can make: one row each, which says how its arguments read, how it runs, and how it then stands in registers and
// memory, from where calls/decode.h spells it. Scenario files, the agents that run them and the experiment by hand all use this table.
#pragma once

#include <sys/resource.h>
#include <sys/socket.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "calls/decode.h"
#include "lab/language/scenario.h"
#include "wire/address.h"

namespace tcpwhy::lab {

inline constexpr std::uint16_t default_port = 9999;

// A call with every name resolved: plain data that crosses to the process which makes it.
struct ReadyCall {
  CallId id = CallId::socket;
  std::int32_t fd = -1;         // the descriptor it acts on
  std::int32_t fd_from = -1;    // >= 0: the one that this earlier call of the same batch made
  std::int32_t passed_fd = -1;  // send_fd
  bool needs_previous = false;  // left out if the call before it failed (connect() after socket())
  std::uint64_t size = 0;
  std::int32_t flags = 0;
  std::int32_t number = 0;
  std::int32_t family = 0;  // socket: AF_INET, AF_INET6
  std::uint16_t option = 0;
  std::int32_t values[2] = {0, 0};
  Disposition disposition = Disposition::default_action;
  sockaddr_storage address{};  // bind, connect, sendto, TCP_MD5SIG
  socklen_t address_length = 0;
  std::uint32_t payload_offset = 0, payload_length = 0, payload_repeat = 0;  // of the batch's bytes
};

// What is known of a call, written by the process that makes it: into shared memory, so that what was entered stays
// known when the call never comes back. `entered_ns` and `returned_ns` are CLOCK_REALTIME; 0: not yet.
struct CallSlot {
  static constexpr std::size_t kept_bytes = 2048;

  std::atomic<std::int64_t> entered_ns{0}, returned_ns{0};
  // Written before the call is entered.
  std::int32_t fd = -1;        // the descriptor it acts on
  std::int32_t other_fd = -1;  // made for the call alone: sendfile's file, splice's pipe
  rlimit limit{};              // setrlimit

  std::atomic<std::uint32_t> complete{0};  // 1: everything below is written
  std::int64_t result = 0;
  std::int32_t error = 0;
  std::int32_t new_fd = -1;
  bool skipped = false;  // needs_previous, and that one failed
  // poll: revents; getsockopt: the value; sigtimedwait: 1 if the process itself sent it; recv_fd: msg_flags
  std::int64_t value = 0;
  std::int64_t second_value = 0;   // getsockopt(SO_LINGER): l_linger; socketpair: the second descriptor
  std::uint32_t value_length = 0;  // getsockopt
  sockaddr_storage address{};      // as accept, getpeername and getsockname hand it back
  socklen_t address_length = 0;
  std::uint64_t cookie = 0;  // SO_COOKIE of the socket made or acted on
  sockaddr_storage local{}, remote{};
  socklen_t local_length = 0, remote_length = 0;
  std::uint32_t data_length = 0;  // bytes kept of what was received
  char data[kept_bytes] = {};     // sigtimedwait: siginfo_t
};
static_assert(std::atomic<std::int64_t>::is_always_lock_free);

// A signal that a handler saw.
struct SignalSlot {
  std::atomic<std::int64_t> at_ns{0};
  std::int32_t signal = 0;
};

struct SignalLog {
  static constexpr std::size_t capacity = 64;
  std::atomic<std::uint32_t> count{0};  // may exceed capacity: the later ones are lost
  SignalSlot slots[capacity];
};

// What a call needs from the process around it.
struct CallContext {
  std::string_view payload;  // of the batch
  // Makes the process number ReadyCall::number; absent: -1 ENOSYS. In the child it does not come back.
  std::function<long(std::int32_t)> fork;
  // Called right before the call is entered, when the slot has all that is known then. Absent: nobody wants to know.
  std::function<void()> entering;
};

class CallImage;  // lab/agents/call_image.h

// A call that is being made.
struct MadeCall {
  const ReadyCall& call;
  std::string_view payload;  // of its batch
  const CallSlot& slot;
  bool returned = false;  // if not, the slot has only what is written before a call is entered
  std::int32_t pid = 0;   // of the process, as everybody outside knows it
};

enum class ParameterKind : std::uint8_t {
  descriptor,
  port,
  backlog,
  peer,
  payload,
  size,
  message_flags,
  how,
  status,
  timeout,
  option,
  option_values,
  signal,
  disposition,
  file_flags,
  mask_change,
  resource,
  passed_descriptor,
  words,
};

struct Parameter {
  ParameterKind kind;
  bool optional = false;
};

struct CallRow {
  CallId id;
  std::string_view name;           // in a scenario; the system call's name unless the spelling says another
  std::string_view recorded_name;  // as strace has it: exit -> exit_group; a row of calls::call_table()
  std::string_view usage;          // "send([FD,] \"BYTES\" [, FLAGS])"
  std::string_view help;
  std::span<const Parameter> parameters;
  void (*run)(const ReadyCall&, const CallContext&, CallSlot&);
  void (*lay_out)(const MadeCall&, CallImage&);
  std::string_view not_supported = {};  // why not, for a row that is one of the language but can't be run
};

std::span<const CallRow> call_table();
const CallRow& row_of(CallId id);
const CallRow* find_call(std::string_view name);

// CallSpec::option, of an option that is in the table.
std::uint16_t option_row(std::string_view name);

// Makes the call: stamps `slot` right before it and right after.
void run_call(const ReadyCall& call, const CallContext& context, CallSlot& slot);

// As strace spells it: what is known when it is entered, and when it has come back (`made.returned`).
calls::Entry spell_entry(const MadeCall& made);
calls::Return spell_return(const MadeCall& made);

// Where handlers of signals (signal(SIGPIPE, handle)) write what they saw; one per process.
void set_signal_log(SignalLog* log);
// "signal" with the kernel's default for every signal and none blocked, as a fresh program finds it.
void reset_signals();

// The calls that one line of a scenario stands for: listen(9999) is socket, setsockopt(SO_REUSEADDR), bind, listen;
// connect(server) is socket, connect. Everything else is one. `fd` stays -1 where an earlier one of the batch makes it.
struct Resolved {
  std::int32_t fd = -1;                        // of the descriptor that the call names
  std::int32_t fd_from = -1;                   // or: made by this earlier call of the batch
  std::int32_t passed_fd = -1;                 // send_fd
  std::optional<wire::SocketAddress> address;  // bind, listen: the local one; connect: the peer's
  int family = AF_INET;
  bool on_existing_socket = false;  // listen, connect: the descriptor was named, no socket() is made
};
void append_ready(std::vector<ReadyCall>& batch, std::string& payload, const CallSpec& spec, const Resolved& resolved);

sockaddr_storage to_sockaddr(const wire::SocketAddress& address, socklen_t& length);
std::optional<wire::SocketAddress> from_sockaddr(const sockaddr_storage& address, socklen_t length);

}  // namespace tcpwhy::lab
