#include "compat/zeek/zeek.h"

#include <chrono>
#include <optional>
#include <string>

#include "compat/zeek/row.h"
#include "compat/zeek/tracker.h"
#include "wire/ip/ip_path.h"

namespace tcpwhy::compat::zeek {
namespace {

const wire::DissectOptions like_zeek{.teredo = true};
constexpr int max_tunnel_depth = 4;  // Tunnel::max_depth

// Zeek's clock counts microseconds; finer stamps are cut.
std::int64_t microseconds_of(base::WallTime at) {
  return std::chrono::floor<std::chrono::microseconds>(at.time_since_epoch()).count();
}

wire::IpPath path_of(const scan::Frame& frame) {
  if (frame.reassembled.empty()) return wire::ip_path(frame.link_type, frame.bytes, frame.original_length, like_zeek);
  return wire::ip_path(wire::LinkType::raw, frame.reassembled, frame.reassembled.size(), like_zeek);
}

// Nothing for what Zeek makes no connection of: no TCP, or not even a header of 20 bytes, or an IP header that claims more
// than the wire carried, or too many tunnels around.
std::optional<Packet> packet_of(const scan::Frame& frame) {
  const wire::Dissection kind = frame.packet.kind;
  const bool is_whole = kind == wire::Dissection::tcp;
  if (!is_whole && kind != wire::Dissection::malformed && kind != wire::Dissection::truncated) return std::nullopt;
  const wire::IpPath path = path_of(frame);
  if (path.length > path.on_wire || !path.has_fixed_tcp_header || path.depth > max_tunnel_depth) return std::nullopt;
  const wire::TcpSegment& segment = frame.packet.segment;
  return Packet{.source = segment.source,
                .destination = segment.destination,
                .seq = segment.seq.value,
                .ack = segment.ack.value,
                .flags = segment.flags,
                .window = segment.window,
                .length = segment.payload_length,
                .payload = segment.payload,
                .ip_length = path.length,
                .at_us = microseconds_of(frame.at),
                .tunnel = path.tunnels,
                .header_is_whole = is_whole};
}

}  // namespace

scan::FrameOptions frame_options() { return {.teredo = true}; }

base::Result<ConnLogCounts> write_conn_log(scan::FrameReader& reader,
                                           const std::function<bool(std::string_view)>& write, std::uint64_t seed) {
  constexpr std::size_t enough_text = std::size_t{1} << 16U;
  std::string text = header_text();
  bool wanted = true;
  const auto flush = [&] {
    wanted = wanted && write(text);
    text.clear();
  };
  const auto add = [&](const ConnRow& row) {
    text += to_text(row);
    if (text.size() >= enough_text) flush();
  };
  Tracker tracker(add, {.seed = seed});
  std::optional<base::Error> damage;
  scan::Frame frame;
  while (wanted) {
    const auto more = reader.next(frame);
    if (!more) damage = more.error();
    if (!more || !*more) break;
    tracker.advance(microseconds_of(frame.at));
    if (const auto packet = packet_of(frame)) tracker.take(*packet);
  }
  tracker.finish();
  flush();
  if (damage) return std::unexpected(*damage);
  return ConnLogCounts{.evicted = tracker.evicted()};
}

}  // namespace tcpwhy::compat::zeek
