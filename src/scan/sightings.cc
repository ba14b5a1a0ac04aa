#include "scan/sightings.h"

#include <algorithm>
#include <cstring>
#include <iterator>
#include <utility>

#include "scan/flow_key.h"

namespace tcpwhy::scan {
namespace {

// The options that nearly every segment has to do with.
bool are_common(const wire::TcpOptions& options) {
  return options.sack_count == 0 && !options.fast_open_cookie_length && !options.md5_signature && !options.multipath &&
         !options.malformed && !options.cut;
}

}  // namespace

void Sightings::clear() {
  packed_.clear();
  options_.clear();
  errors_.clear();
}

void Sightings::add(const Frame& frame) {
  const wire::TcpSegment& segment = frame.packet.segment;
  const wire::TcpOptions& options = segment.options;
  const bool is_error = frame.packet.kind == wire::Dissection::icmp_error;
  std::uint16_t further = none;
  if (is_error) [[unlikely]] {
    further = static_cast<std::uint16_t>(errors_.size());
    errors_.push_back(frame.packet.icmp);
  } else if (!are_common(options)) {
    further = static_cast<std::uint16_t>(options_.size());
    options_.push_back(options);
  }
  const AddressWords source(segment.source), destination(segment.destination);
  const wire::TcpTimestamps timestamps = options.timestamps.value_or(wire::TcpTimestamps{});
  packed_.push_back({
      .frame = frame.number,
      .at_ns = base::to_ns(frame.at),
      .around = frame.packet.encapsulation,
      .source = {source.high, source.low},
      .destination = {destination.high, destination.low},
      .seq = segment.seq.value,
      .ack = segment.ack.value,
      .payload_length = segment.payload_length,
      .timestamp = timestamps.value,
      .timestamp_echo = timestamps.echo_reply,
      .source_port = segment.source.port,
      .destination_port = segment.destination.port,
      .flags = segment.flags.bits,
      .window = segment.window,
      .urgent_pointer = segment.urgent_pointer,
      .ip_id = segment.ip_id,
      .maximum_segment_size = options.maximum_segment_size.value_or(0),
      .further = further,
      .source_family = segment.source.ip.family,
      .destination_family = segment.destination.ip.family,
      .ttl = segment.ttl,
      .window_scale = options.window_scale.value_or(0),
      .ecn = static_cast<std::uint8_t>(segment.ecn & 3U),
      .has_timestamps = options.timestamps.has_value(),
      .has_maximum_segment_size = options.maximum_segment_size.has_value(),
      .has_window_scale = options.window_scale.has_value(),
      .sack_permitted = options.sack_permitted,
      .is_error = is_error,
  });
}

void Sightings::insert(const Frame& frame) {
  add(frame);
  const auto last = std::prev(packed_.end());
  std::rotate(std::ranges::upper_bound(packed_.begin(), last, frame.number, {}, &Packed::frame), last, packed_.end());
}

void Sightings::unpack(const Packed& packed, Sighting& sighting) const {
  sighting.frame = packed.frame;
  sighting.at_ns = packed.at_ns;
  sighting.around = packed.around;
  sighting.error = packed.is_error ? &errors_[packed.further] : nullptr;
  wire::TcpSegment& segment = sighting.segment;
  segment.source = {{packed.source_family, {}}, packed.source_port};
  segment.destination = {{packed.destination_family, {}}, packed.destination_port};
  std::memcpy(segment.source.ip.bytes.data(), packed.source, sizeof packed.source);
  std::memcpy(segment.destination.ip.bytes.data(), packed.destination, sizeof packed.destination);
  segment.seq = {packed.seq};
  segment.ack = {packed.ack};
  segment.flags = {packed.flags};
  segment.window = packed.window;
  segment.urgent_pointer = packed.urgent_pointer;
  segment.payload_length = packed.payload_length;
  segment.ip_id = packed.ip_id;
  segment.ttl = packed.ttl;
  segment.ecn = packed.ecn;
  if (!packed.is_error && packed.further != none) {
    segment.options = options_[packed.further];
    return;
  }
  wire::TcpOptions& options = segment.options;
  options = {};
  if (packed.has_maximum_segment_size) options.maximum_segment_size = packed.maximum_segment_size;
  if (packed.has_window_scale) options.window_scale = packed.window_scale;
  if (packed.has_timestamps) options.timestamps = {packed.timestamp, packed.timestamp_echo};
  options.sack_permitted = packed.sack_permitted;
}

}  // namespace tcpwhy::scan
