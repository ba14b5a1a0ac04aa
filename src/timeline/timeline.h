// A recording understood: its segments and calls sorted into connections, both ends' states after each, and what caused each
// segment. A recording in, a timeline out: no clock, no I/O, no privileges.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "calls/call.h"
#include "recording/recording.h"
#include "tcp/endpoint.h"
#include "tcp/ends.h"
#include "timeline/cause.h"
#include "timeline/lookups.h"
#include "wire/packet.h"

namespace tcpwhy::timeline {

using recording::ActorId;
using recording::EventId;

using tcp::listener;
using tcp::opener;
using tcp::other;
using tcp::PerSide;
using tcp::Side;

// Indices into the vectors of Timeline.
using SegmentIndex = std::uint32_t;
using CallIndex = std::uint32_t;
using ConnectionIndex = std::uint32_t;

// A side's state moved because of `event`. Derived by the diagram of RFC 9293; `sampled` is the kernel's own sample that shows the
// new state, and whose interval holds the event: then it is observed.
struct SideChange {
  Side side;
  tcp::State from, to;
  std::string_view clause;
  EventId event;
  std::optional<EventId> sampled;
};

// One TCP segment on its way. With one tap it departs and arrives in one event; with a tap at each end in two.
struct Segment {
  EventId departed;
  std::optional<EventId> arrived;  // absent: never seen at the other end
  ConnectionIndex connection = 0;
  Side from = opener;
  wire::TcpSegment tcp;            // payload points into the recording
  std::uint32_t seq = 0, ack = 0;  // relative to the two initial sequence numbers
  tcp::SegmentClass segment_class = tcp::SegmentClass::ack;
  tcp::Received received;
  std::optional<SideChange> sender_change, receiver_change;
  Cause cause;
  // What the kernel said of this very segment: its SegmentCause, the Reset that it is, the SegmentDropped that it met.
  std::vector<EventId> kernel;

  [[nodiscard]] bool two_taps() const { return arrived && *arrived != departed; }
};

// A system call with its return, if it came back.
struct Call {
  std::uint32_t number = 0;  // as in the recording
  EventId entered;
  std::optional<EventId> returned;
  base::WallTime ended;  // when it returned, or its process ended, or the recording
  ActorId actor;
  calls::Meaning meaning;  // what it does and was asked for
  std::optional<ConnectionIndex> connection;
  Side side = opener;
  std::optional<EventId> repeated;     // CallsRepeated: calls like it that came right before and are not told
  bool descriptor_was_closed = false;  // the descriptor had been this connection's, and was closed
};

struct ConnectionSide {
  wire::SocketAddress address;  // family none: never known (a connect() that failed, and no packet seen)
  std::uint64_t socket = 0;     // cookie; 0: not known, or no socket of this machine
  std::string host;             // namespace, where the ends have one each
  std::vector<ActorId> actors;  // who made calls on it, in order of appearance
  // The first actor's name, or the address. Where both ends have the same, the process or the address tells them apart.
  std::string name;
  std::optional<wire::SequenceNumber> isn;
  std::optional<wire::TcpOptions> syn_options;
  std::uint16_t syn_window = 0;
  bool listens = false;          // a listen() on its port was recorded
  std::uint64_t bytes_sent = 0;  // payload, each byte once
};

// What the kernel said of one side of a connection: SocketState, Reset, SocketError or SegmentDropped.
struct KernelEvent {
  EventId event;
  Side side;
};

struct Connection {
  PerSide<ConnectionSide> sides;
  std::vector<SegmentIndex> segments;
  std::vector<CallIndex> calls;
  std::vector<SideChange> changes;
  PerSide<tcp::State> final_states{};
  bool began_before_capture = false;  // no SYN was seen
  std::vector<KernelEvent> kernel;    // in order of time
  base::WallTime began, ended;        // the first and the last that is known of it

  // No packet of it was seen: what is known comes from calls and from the kernel.
  [[nodiscard]] bool without_packets() const { return segments.empty(); }
  // connect() to oneself: one socket is both ends. It is the opener, and receives what it sends; of the listener nothing is seen.
  [[nodiscard]] bool of_one_socket() const {
    return sides[opener].address.ip.family != wire::IpFamily::none && sides[opener].address == sides[listener].address;
  }
  // The side at which arrives what `from` sends.
  [[nodiscard]] Side receiver_from(Side from) const { return of_one_socket() ? from : other(from); }
};

// A socket (by its cookie) is this end of this connection from `since` on. One that connects again has several.
struct SocketEnd {
  std::uint64_t socket = 0;
  base::WallTime since;
  ConnectionIndex connection = 0;
  Side side = opener;
};

enum class EntryKind : std::uint8_t { departed, arrived, call_entered, call_returned, other };

// A row of the timeline, in causal order: no entry stands before what caused it, otherwise in order of time.
struct Entry {
  EventId event;
  EntryKind kind = EntryKind::other;
  std::uint32_t index = 0;  // of the segment or call
  std::optional<ConnectionIndex> connection;
  PerSide<tcp::State> states{};  // of that connection's two ends, after this entry
  std::optional<Side> side;      // of a kernel event, of calls that are not told each
};

// A sample of the kernel's that contradicts the state that the segments say. Never expected: a bug of ours, or a loss.
struct StateContradiction {
  EventId sample;
  Side side;
  tcp::State derived;
};

// What was derived for a segment is not what the kernel says made it leave. The kernel's word stands in the segment's cause.
// Never expected: a rule of ours is wrong.
struct CauseContradiction {
  SegmentIndex segment;
  EventId kernel;
  Cause derived;
};

struct Timeline {
  const recording::Recording* recording = nullptr;
  std::vector<Connection> connections;
  std::vector<Segment> segments;
  std::vector<Call> calls;
  std::vector<Entry> entries;
  std::vector<StateContradiction> contradictions;
  std::vector<CauseContradiction> cause_contradictions;
  std::vector<EventId> unmatched_causes;  // SegmentCause events whose segment no tap saw
  std::vector<SocketEnd> socket_ends;     // in order of (socket, since)
  Lookups lookups;
  std::array<std::vector<EventId>, std::variant_size_v<recording::What>> by_kind;

  // The events of one kind, in order of time.
  template <class Kind>
  [[nodiscard]] const std::vector<EventId>& all() const {
    return by_kind[recording::What(Kind{}).index()];
  }
  template <class Kind>
  [[nodiscard]] const Kind& get(EventId id) const {
    return std::get<Kind>(event(id).what);
  }
  // Which end of which connection the socket was then; null if of none that is known.
  [[nodiscard]] const SocketEnd* socket_end(std::uint64_t socket, base::WallTime at) const;

  [[nodiscard]] const recording::Event& event(EventId id) const { return (*recording)[id]; }
  [[nodiscard]] const recording::CallEntered& entered(const Call& call) const;
  [[nodiscard]] const recording::CallReturned* returned(const Call& call) const;  // null if it never came back
  // The call itself, and those like it before it that are not told.
  [[nodiscard]] std::uint64_t times(const Call& call) const;
  // When the call ended: its return, or the end of its process, or the end of the recording.
  [[nodiscard]] base::WallTime end_of(const Call& call) const { return call.ended; }
  [[nodiscard]] base::WallTime time_of(EventId id) const { return event(id).at; }
};

// `recording` must outlive the timeline.
Timeline build(const recording::Recording& recording);

}  // namespace tcpwhy::timeline
