// Packets -> segments -> connections, and both ends' states on the way.
#include <algorithm>
#include <deque>
#include <set>
#include <tuple>

#include "timeline/builder.h"
#include "timeline/routes.h"

namespace tcpwhy::timeline::steps {
namespace {

using recording::Packet;
using wire::SocketAddress;
using wire::TcpSegment;

// What two sightings of one segment at two taps have in common.
struct Fingerprint {
  SocketAddress source, destination;
  std::uint32_t seq, ack, length, timestamp;
  std::uint16_t flags, ip_id;
  auto operator<=>(const Fingerprint&) const = default;
};

Fingerprint fingerprint(const TcpSegment& tcp) {
  return {tcp.source,     tcp.destination,    tcp.seq.value,
          tcp.ack.value,  tcp.payload_length, tcp.options.timestamps ? tcp.options.timestamps->value : 0,
          tcp.flags.bits, tcp.ip_id};
}

struct Sighting {
  EventId event;
  TcpSegment tcp;
  wire::Encapsulation around;
  recording::InterfaceId interface;
};

// A connection under construction.
struct Tracked {
  PerSide<tcp::Endpoint> ends;
  bool syn_seen = false;
  bool nobody_listened = false;  // a reset has said so
};

class Assembler {
 public:
  explicit Assembler(Timeline& timeline) : timeline_(timeline), recording_(*timeline.recording) {
    for (const auto& event : recording_.events)
      if (const auto* call = std::get_if<recording::CallEntered>(&event.what))
        if (calls::effect_of(call->name) == calls::Effect::listens && call->local)
          listening_.insert(listening_key(*call->local));
    two_taps_ = std::ranges::any_of(recording_.interfaces, [](const auto& i) { return !i.host.empty(); });
    calls_known_ = recording_.provenance.has_calls();
    only_packets_ = !two_taps_ && std::ranges::all_of(recording_.provenance.observed, [](auto observation) {
      return observation == recording::Observation::packets;
    });
  }

  void run() {
    for (std::uint32_t i = 0; i < recording_.events.size(); ++i) {
      const auto* packet = std::get_if<Packet>(&recording_.events[i].what);
      if (packet == nullptr || packet->interface.value >= recording_.interfaces.size()) continue;
      const auto& interface = recording_.interfaces[packet->interface.value];
      const auto dissected = wire::dissect(interface.link_type, packet->bytes, packet->original_length);
      if (dissected.kind != wire::Dissection::tcp) continue;
      see({EventId{i}, dissected.segment, dissected.encapsulation, packet->interface});
    }
    for (ConnectionIndex i = 0; i < tracked_.size(); ++i) {
      auto& connection = timeline_.connections[i];
      for (const Side side : {opener, listener}) connection.final_states[side] = tracked_[i].ends[side].state();
      connection.began = timeline_.time_of(timeline_.segments[connection.segments.front()].departed);
      const auto& last = timeline_.segments[connection.segments.back()];
      connection.ended = timeline_.time_of(last.arrived.value_or(last.departed));
    }
  }

 private:
  // 0.0.0.0 and :: listen for every address of the port.
  static SocketAddress listening_key(const SocketAddress& local) {
    const auto unmapped = local.unmapped();
    return unmapped.ip.is_unspecified() ? SocketAddress{{}, local.port} : unmapped;
  }
  // Somebody was seen to call listen() for this address.
  [[nodiscard]] bool listens_on(const SocketAddress& address) const {
    return listening_.contains(SocketAddress{{}, address.port}) || listening_.contains(address.unmapped());
  }

  void see(const Sighting& sighting) {
    if (two_taps_) {
      auto& waiting = under_way_[fingerprint(sighting.tcp)];
      // All that wait were seen at one tap: at the other the first of them would have arrived.
      if (!waiting.empty() && tap_of(waiting.front()) != sighting.interface) {
        const SegmentIndex index = waiting.front();
        waiting.pop_front();
        arrive(index, sighting.event);
        return;
      }
      waiting.push_back(depart(sighting));
      return;
    }
    arrive(depart(sighting), sighting.event);
  }

  [[nodiscard]] recording::InterfaceId tap_of(SegmentIndex departed) const {
    return std::get<Packet>(recording_[timeline_.segments[departed].departed].what).interface;
  }

  SegmentIndex depart(const Sighting& sighting) {
    const ConnectionIndex index = connection_of(sighting);
    Connection& connection = timeline_.connections[index];
    Segment segment;
    segment.departed = sighting.event;
    segment.connection = index;
    segment.tcp = sighting.tcp;
    segment.from = connection.sides[opener].address == sighting.tcp.source ? opener : listener;

    if (refuses_syn(index, segment)) nobody_listened(index);
    auto& sender = tracked_[index].ends[segment.from];
    const auto next_before = sender.snd_nxt();
    const tcp::Sent sent = sender.on_send(sighting.tcp);
    segment.segment_class = sent.segment_class;
    auto& side = connection.sides[segment.from];
    if (side.host.empty()) side.host = recording_.interfaces[sighting.interface.value].host;
    if (sighting.tcp.flags.syn() && sent.segment_class != tcp::SegmentClass::retransmission) {
      side.isn = sighting.tcp.seq;
      side.syn_options = sighting.tcp.options;
      side.syn_window = sighting.tcp.window;
    }
    count_bytes(side, next_before, sighting.tcp);
    segment.seq = relative(sighting.tcp.seq, sender.iss());
    const auto& peer = tracked_[index].ends[connection.receiver_from(segment.from)];
    segment.ack = sighting.tcp.flags.ack() ? relative(sighting.tcp.ack, peer.iss()) : 0;
    const auto segment_index = static_cast<SegmentIndex>(timeline_.segments.size());
    if (sent.change) segment.sender_change = note_change(index, segment.from, *sent.change, sighting.event);
    timeline_.segments.push_back(std::move(segment));
    connection.segments.push_back(segment_index);
    return segment_index;
  }

  // RFC 9293 3.10.7.2: a listener answers a SYN with a SYN-ACK, or not at all. A reset says that there was none (3.10.7.1).
  [[nodiscard]] bool refuses_syn(ConnectionIndex index, const Segment& segment) const {
    const Tracked& tracked = tracked_[index];
    return segment.from == listener && segment.tcp.flags.rst() && tracked.syn_seen && !tracked.nobody_listened &&
           !tracked.ends[listener].iss() && !timeline_.connections[index].sides[listener].listens;
  }

  void nobody_listened(ConnectionIndex index) {
    Connection& connection = timeline_.connections[index];
    auto& end = tracked_[index].ends[listener];
    tracked_[index].nobody_listened = true;
    end = tcp::Endpoint(tcp::State::closed);
    std::erase_if(connection.changes, [](const SideChange& change) { return change.side == listener; });
    for (const SegmentIndex seen : connection.segments) {
      Segment& segment = timeline_.segments[seen];
      if (segment.from != opener || !segment.arrived) continue;
      segment.receiver_change.reset();
      segment.received = end.on_receive(segment.tcp);
    }
  }

  void arrive(SegmentIndex index, EventId event) {
    Segment& segment = timeline_.segments[index];
    segment.arrived = event;
    const Side to = timeline_.connections[segment.connection].receiver_from(segment.from);
    segment.received = tracked_[segment.connection].ends[to].on_receive(segment.tcp);
    if (segment.received.change)
      segment.receiver_change = note_change(segment.connection, to, *segment.received.change, event);
  }

  SideChange note_change(ConnectionIndex index, Side side, const tcp::StateChange& change, EventId event) {
    const SideChange noted{side, change.from, change.to, change.why->clause, event, std::nullopt};
    timeline_.connections[index].changes.push_back(noted);
    return noted;
  }

  static void count_bytes(ConnectionSide& side, std::optional<wire::SequenceNumber> next, const TcpSegment& tcp) {
    if (tcp.payload_length == 0) return;
    const auto first = tcp::advance(tcp.seq, tcp.flags.syn() ? 1 : 0);
    const auto end = tcp::advance(first, tcp.payload_length);
    if (!next || tcp::at_or_before(*next, first))
      side.bytes_sent += tcp.payload_length;
    else if (tcp::before(*next, end))
      side.bytes_sent += static_cast<std::uint32_t>(tcp::distance(*next, end));
  }

  static std::uint32_t relative(wire::SequenceNumber number, std::optional<wire::SequenceNumber> isn) {
    return isn ? number.value - isn->value : number.value;
  }

  // What else was observed knows a connection by its addresses and ports, whatever is around its packets.
  ConnectionIndex connection_of(const Sighting& sighting) {
    const TcpSegment& tcp = sighting.tcp;
    const Routes::Index route = routes_.of(tcp, only_packets_ ? sighting.around : wire::Encapsulation{});
    if (route == current_.size()) {
      current_.push_back(open_connection(tcp));
    } else if (is_new_incarnation(current_[route], tcp)) {
      routes_.begin_anew(route, tcp);
      current_[route] = open_connection(tcp);
    }
    return current_[route];
  }

  // A SYN with another initial sequence number is a new connection, unless it is the crossing SYN of a simultaneous open.
  [[nodiscard]] bool is_new_incarnation(ConnectionIndex index, const TcpSegment& tcp) const {
    if (!tcp.flags.syn() || tcp.flags.ack()) return false;
    const auto& connection = timeline_.connections[index];
    const Side from = connection.sides[opener].address == tcp.source ? opener : listener;
    const auto& sender = tracked_[index].ends[from];
    if (!tracked_[index].syn_seen) return true;
    if (sender.iss() && *sender.iss() == tcp.seq) return false;
    const auto& peer = tracked_[index].ends[other(from)];
    const bool crossing = !sender.iss() && peer.state() == tcp::State::syn_sent;
    return !crossing;
  }

  ConnectionIndex open_connection(const TcpSegment& tcp) {
    const auto index = static_cast<ConnectionIndex>(timeline_.connections.size());
    Connection connection;
    const bool from_opener = sent_by_opener(tcp);
    connection.sides[opener].address = from_opener ? tcp.source : tcp.destination;
    connection.sides[listener].address = from_opener ? tcp.destination : tcp.source;
    connection.began_before_capture = !tcp.flags.syn();
    for (auto& side : connection.sides) side.listens = listens_on(side.address);
    Tracked tracked;
    tracked.syn_seen = tcp.flags.syn();
    if (!connection.began_before_capture) {
      // Who is asked listens, unless we saw all calls and nobody does.
      const bool closed_port = calls_known_ && !connection.sides[listener].listens;
      tracked.ends[opener] = tcp::Endpoint(tcp::State::closed);
      if (!connection.of_one_socket())
        tracked.ends[listener] = tcp::Endpoint(closed_port ? tcp::State::closed : tcp::State::listen);
    }
    tracked_.push_back(std::move(tracked));
    timeline_.connections.push_back(std::move(connection));
    return index;
  }

  // Without a SYN the side that somebody listens on, or else the lower port, is taken for the one that was asked.
  [[nodiscard]] bool sent_by_opener(const TcpSegment& tcp) const {
    if (tcp.flags.syn()) return !tcp.flags.ack();
    if (listens_on(tcp.destination)) return true;
    if (listens_on(tcp.source)) return false;
    return tcp.source.port >= tcp.destination.port;
  }

  Timeline& timeline_;
  const recording::Recording& recording_;
  bool two_taps_ = false, calls_known_ = false, only_packets_ = false;
  std::set<SocketAddress> listening_;  // of listening_key()
  std::vector<Tracked> tracked_;
  Routes routes_;
  std::vector<ConnectionIndex> current_;  // of each route
  std::map<Fingerprint, std::deque<SegmentIndex>> under_way_;
};

}  // namespace

void assemble_connections(Timeline& timeline) { Assembler(timeline).run(); }

}  // namespace tcpwhy::timeline::steps
