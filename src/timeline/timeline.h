// A recording understood: its segments and calls sorted into connections, both ends' states after each, and what caused each
// segment. A recording in, a timeline out: no clock, no I/O, no privileges.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "recording/recording.h"
#include "tcp/endpoint.h"
#include "timeline/cause.h"
#include "wire/packet.h"

namespace tcpwhy::timeline {

using recording::ActorId;
using recording::EventId;

// The two ends of a connection: 0 opened it (sent the SYN), 1 was asked.
using Side = std::uint8_t;
inline constexpr Side opener = 0, listener = 1;
constexpr Side other(Side side) { return static_cast<Side>(1 - side); }

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

  [[nodiscard]] bool two_taps() const { return arrived && *arrived != departed; }
};

// A system call with its return, if it came back.
struct Call {
  std::uint32_t number = 0;  // as in the recording
  EventId entered;
  std::optional<EventId> returned;
  ActorId actor;
  std::optional<ConnectionIndex> connection;
  Side side = opener;
  bool descriptor_was_closed = false;  // the descriptor had been this connection's, and was closed
};

struct ConnectionSide {
  wire::SocketAddress address;
  std::string host;             // namespace, where the ends have one each
  std::vector<ActorId> actors;  // who made calls on it, in order of appearance
  std::string name;             // the first actor's name, or the address
  std::optional<wire::SequenceNumber> isn;
  std::optional<wire::TcpOptions> syn_options;
  std::uint16_t syn_window = 0;
  bool listens = false;          // a listen() on its port was recorded
  std::uint64_t bytes_sent = 0;  // payload, each byte once
};

struct Connection {
  std::array<ConnectionSide, 2> sides;
  std::vector<SegmentIndex> segments;
  std::vector<CallIndex> calls;
  std::vector<SideChange> changes;
  std::array<tcp::State, 2> final_states{};
  bool began_before_capture = false;  // no SYN was seen
};

enum class EntryKind : std::uint8_t { departed, arrived, call_entered, call_returned, other };

// A row of the timeline, in causal order: no entry stands before what caused it, otherwise in order of time.
struct Entry {
  EventId event;
  EntryKind kind = EntryKind::other;
  std::uint32_t index = 0;  // of the segment or call
  std::optional<ConnectionIndex> connection;
  std::array<tcp::State, 2> states{};  // of that connection's two ends, after this entry
};

// A sample of the kernel's that contradicts the state that the segments say. Never expected: a bug of ours, or a loss.
struct StateContradiction {
  EventId sample;
  Side side;
  tcp::State derived;
};

struct Timeline {
  const recording::Recording* recording = nullptr;
  std::vector<Connection> connections;
  std::vector<Segment> segments;
  std::vector<Call> calls;
  std::vector<Entry> entries;
  std::vector<StateContradiction> contradictions;

  [[nodiscard]] const recording::Event& event(EventId id) const { return (*recording)[id]; }
  [[nodiscard]] const recording::CallEntered& entered(const Call& call) const;
  [[nodiscard]] const recording::CallReturned* returned(const Call& call) const;  // null if it never came back
  // When the call ended: its return, or the end of its process, or the end of the recording.
  [[nodiscard]] base::WallTime end_of(const Call& call) const;
  [[nodiscard]] base::WallTime time_of(EventId id) const { return event(id).at; }
  // The segments that departed because of this call.
  [[nodiscard]] std::vector<SegmentIndex> segments_caused_by(const Call& call) const;
};

// `recording` must outlive the timeline.
Timeline build(const recording::Recording& recording);

}  // namespace tcpwhy::timeline
