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
#include "wire/address.h"

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
  std::string from, to;  // "ESTABLISHED", RFC 9293 spelling; "" before it was first seen; "CLOSED" when gone
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

// What the kernel did to hand a segment to the device, from its own call stack. The place of the kernel probe's evidence:
// a recording without it has its causes derived by timeline.
struct SegmentCause {
  EventId packet;
  std::string trigger;        // "call", "segment", "timer"
  std::string name;           // "close", "delayed ACK timer", ...
  std::optional<EventId> by;  // the call's entry or the arriving packet
  std::string stack;          // leaf first, " < " between
  bool operator==(const SegmentCause&) const = default;
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

using What = std::variant<Packet, CallEntered, CallReturned, Signal, ProcessStarted, ProcessEnded, SocketState,
                          CounterMoved, SegmentCause, LinkAction, Note, ExpectationFailed, Loss>;

struct Event {
  base::WallTime at;
  ActorId actor;  // who; invalid for packets, states and counters
  What what;
  bool operator==(const Event&) const = default;
};

}  // namespace tcpwhy::recording
