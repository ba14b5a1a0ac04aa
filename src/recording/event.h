// The events of an observation. One kind is one struct; docs/GLOSSARY.md says what each word means.
//
// Every struct's fields are listed once, in recording/fields.h, from which the pcapng form, the text form and the JSON derive.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/clock.h"
#include "tcp/state.h"
#include "wire/address.h"
#include "wire/segment.h"

namespace tcpwhy::recording {

// Position of an event in its recording: events[id.value]. Stable across writing and reading.
struct EventId {
  std::uint32_t value = UINT32_MAX;
  [[nodiscard]] bool valid() const { return value != UINT32_MAX; }
  auto operator<=>(const EventId&) const = default;
};

// Index into Recording::actors.
struct ActorId {
  std::uint32_t value = UINT32_MAX;
  [[nodiscard]] bool valid() const { return value != UINT32_MAX; }
  auto operator<=>(const ActorId&) const = default;
};

// Index into Recording::interfaces.
struct InterfaceId {
  std::uint32_t value = 0;
  auto operator<=>(const InterfaceId&) const = default;
};

// A packet seen by a tap. `bytes` begin with the interface's link-layer header.
struct Packet {
  InterfaceId interface;
  std::uint32_t original_length = 0;  // on the wire; bytes.size() may be smaller
  std::vector<std::uint8_t> bytes;
  std::vector<std::string> comments;  // opt_comment of the Enhanced Packet Block, in file order
  bool operator==(const Packet&) const = default;
};

// An actor enters a system call. `call` numbers the calls of the recording; CallReturned with the same number ends it.
struct CallEntered {
  std::uint32_t call = 0;
  std::string name;                                  // "send", as strace names it
  std::string arguments;                             // in strace's spelling, without the parentheses: 5, "hello", 5, 0
  std::optional<std::int32_t> fd;                    // the descriptor the call acts on
  std::uint64_t socket = 0;                          // cookie (SO_COOKIE) of the socket behind fd; 0: unknown or none
  std::optional<wire::SocketAddress> local, remote;  // of that socket where known at entry
  std::optional<std::uint64_t> byte_count;           // send family: bytes offered; recv family: room
  std::uint32_t step_line = 0;                       // line of the scenario that made this call; 0: none
  // Of the program, at entry, where it was asked for: leaf first, " < " between, each "function file:line" or what of it is
  // known ("main server.c:42", "worker+0x1f", "/usr/lib/libc.so.6+0x9e1d").
  std::string stack;
  // close() and its like: how many references the open file description had at entry, this one included (struct file's f_count;
  // descriptors in other processes, duplicates, a call of another thread that is using it). 1: this close is the last.
  std::optional<std::uint32_t> references;
  // close(): payload that had arrived and that nobody had read, asked right before the call (tcp(7) SIOCINQ).
  std::optional<std::uint32_t> unread;
  // How it was made if not by a system call of its own: "io_uring", an operation in a ring. Then it is entered when it is submitted,
  // and returns when it is completed; a multishot operation enters again with each completion but the last.
  std::string through;
  bool operator==(const CallEntered&) const = default;
};

struct CallReturned {
  std::uint32_t call = 0;
  std::int64_t result = 0;             // the return value; -1 with error set
  std::int32_t error = 0;              // errno, 0 if none
  std::string detail;                  // what the call handed back, strace's spelling: "hello", {sa_family=AF_INET...}
  std::optional<std::int32_t> new_fd;  // socket(), accept(), dup()
  std::uint64_t socket = 0;            // cookie of the socket the call made (socket, accept) or acted on
  std::optional<wire::SocketAddress> local, remote;  // of that socket where known on return
  bool operator==(const CallReturned&) const = default;
};

enum class SignalFate : std::uint8_t { generated, delivered, handled, ignored, blocked };

struct Signal {
  std::string name;  // "SIGPIPE"
  SignalFate fate = SignalFate::delivered;
  std::optional<std::uint32_t> call;  // the call in which it came
  bool operator==(const Signal&) const = default;
};

struct ProcessStarted {
  std::string command;
  std::optional<std::int32_t>
      parent;  // pid of the process that forked it, if this is a fork; absent: an exec, or not known
  bool operator==(const ProcessStarted&) const = default;
};

// Exactly one of the two is set: exit status, or the signal that killed it.
struct ProcessEnded {
  std::optional<std::int32_t> exit_status;
  std::string signal;                 // "SIGPIPE" if it was killed, else empty
  std::optional<std::uint32_t> call;  // the call it never came back from
  bool operator==(const ProcessEnded&) const = default;
};

// The kernel's own word on a socket's state. From sampling (sock_diag): it was `from` at `not_before` and `to` at the event's
// time; the change lies between. From a tracepoint: not_before is absent and the time is exact.
struct SocketState {
  std::uint64_t socket = 0;  // cookie; 0 for TIME-WAIT and request entries of kernels that give none
  wire::SocketAddress local, remote;
  // not_seen: `from`, before it was first seen; either, where a file says what is no state.
  // closed: `to`, when it is gone.
  tcp::State from = tcp::State::not_seen, to = tcp::State::not_seen;
  std::optional<base::WallTime> not_before;
  std::uint32_t receive_queue = 0, send_queue = 0;         // bytes (a listener: connections waiting; its backlog)
  bool orphan = false;                                     // no process holds it any more
  std::optional<std::uint32_t> delayed_ack_timeout_us;     // TCP_INFO tcpi_ato
  std::optional<std::uint32_t> retransmission_timeout_us;  // tcpi_rto
  bool operator==(const SocketState&) const = default;
};

// A MIB counter of the network namespace moved (/proc/net/netstat, /proc/net/snmp) since `not_before`.
struct CounterMoved {
  std::string name;  // "TcpExt.TCPAbortOnData", "Tcp.OutRsts"
  std::int64_t delta = 0;
  std::string host;  // which namespace, where there are several: "server"; else empty
  base::WallTime not_before;
  bool operator==(const CounterMoved&) const = default;
};

// What makes a segment leave.
enum class Trigger : std::uint8_t { unknown, call, process_end, segment, timer };

// A segment at the moment when the kernel hands it to the device (net:net_dev_queue), with what made it do so, from its own
// call stack. Timeline ties it to the packet that a tap saw; a recording without it has its causes derived. The event's actor is the
// thread whose end made it leave (Trigger::process_end), where the probe knows it; its process may live on.
struct SegmentCause {
  EventId packet;            // the same segment at a tap; invalid if none saw it, or nobody has looked yet
  std::uint64_t socket = 0;  // cookie of the socket that sends; 0: none does (an answer without one, a TIME-WAIT entry)
  std::optional<wire::SocketAddress> local, remote;
  wire::TcpFlags flags;
  std::uint32_t seq = 0, ack = 0;  // as on the wire
  std::uint32_t length = 0;        // bytes of payload
  Trigger trigger = Trigger::unknown;
  std::string name;                   // id of a row in docs/KERNEL-CAUSES.md: "close", "delayed_ack_timer", ...
  std::optional<EventId> by;          // the call's entry or the arriving packet, where the probe knows it
  std::optional<std::uint32_t> call;  // number of the call during which it left, made by a holder of the socket
  std::string stack;                  // the kernel's, leaf first, " < " between
  // Trigger::call, of io_uring: where the kernel carried the operation out: "submission" (inside io_uring_enter()), "task work" (of the
  // program's thread, later), "worker" (a thread of io-wq), "submission thread" (IORING_SETUP_SQPOLL); "" for a system call.
  std::string through;
  bool operator==(const SegmentCause&) const = default;
};

// The kernel sent a reset (tcp:tcp_send_reset) or took one in (tcp:tcp_receive_reset).
struct Reset {
  bool sent = false;
  bool active = false;       // sent: nothing provoked it from outside: close() with unread data, SO_LINGER 0, ...
  std::uint64_t socket = 0;  // cookie; 0: no socket
  std::optional<wire::SocketAddress> local, remote;
  std::string
      reason;  // sent: enum sk_rst_reason of the running kernel without its prefix, "TCP_ABORT_ON_DATA"; "" before 6.10
  std::optional<std::uint32_t> call;    // number of the call of a holder of the socket during which it came
  std::optional<std::uint32_t> unread;  // active: bytes that had come in order and that nobody had read
  bool operator==(const Reset&) const = default;
};

// An error was put on a socket (sock:inet_sk_error_report): the next call that asks will return it.
struct SocketError {
  std::uint64_t socket = 0;
  std::optional<wire::SocketAddress> local, remote;
  std::int32_t error = 0;  // errno; 0: it was taken
  bool operator==(const SocketError&) const = default;
};

// A segment that the kernel threw away (skb:kfree_skb): one that arrives, or one on its way out.
struct SegmentDropped {
  std::uint64_t socket = 0;  // cookie of the socket it was for, or that sent it; 0: none, or not known
  std::optional<wire::SocketAddress> from, to;
  wire::TcpFlags flags;
  std::uint32_t seq = 0, ack = 0;
  std::uint32_t length = 0;
  std::string reason;    // enum skb_drop_reason without its prefix: "TCP_LISTEN_OVERFLOW"
  std::string function;  // the kernel's, that dropped it: "tcp_v4_rcv"
  bool sent = false;     // by its sender's own host, before any device had it: no tap there saw it
  bool operator==(const SegmentDropped&) const = default;
};

// The link (our own forwarding process) did something to a packet.
struct LinkAction {
  std::string action;  // "delay", "drop", ...
  std::int64_t delay_ns = 0;
  bool operator==(const LinkAction&) const = default;
};

// A step of the experiment in the words of its author, or the result of an expectation.
struct Note {
  std::string text;
  std::uint32_t step_line = 0;
  bool operator==(const Note&) const = default;
};

// An expectation of the scenario that did not hold.
struct ExpectationFailed {
  std::uint32_t step_line = 0;
  std::string expected, actual;
  std::optional<std::uint32_t> call;
  bool operator==(const ExpectationFailed&) const = default;
};

// The observer itself lost something.
struct Loss {
  std::string what;  // "packets", "state samples", "events"
  std::uint64_t count = 0;
  std::string why;
  bool operator==(const Loss&) const = default;
};

// Calls that the actor made at once one behind the other, with the same arguments and the same result, and that are not told each: they
// moved nothing. The first of their like are told before them; the last is the call `call`, which follows. The event's time is the return
// of the last one that is not told.
struct CallsRepeated {
  std::optional<std::uint32_t> call;
  std::uint64_t count = 0;  // of those that are not told
  base::WallTime since;     // when the first of those was entered
  bool operator==(const CallsRepeated&) const = default;
};

using What = std::variant<Packet, CallEntered, CallReturned, Signal, ProcessStarted, ProcessEnded, SocketState,
                          CounterMoved, SegmentCause, LinkAction, Note, ExpectationFailed, Loss, Reset, SocketError,
                          SegmentDropped, CallsRepeated>;

struct Event {
  base::WallTime at;
  ActorId actor;  // who; invalid for packets, states and counters
  What what;
  bool operator==(const Event&) const = default;
};

}  // namespace tcpwhy::recording
