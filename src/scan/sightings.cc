#include "scan/sightings.h"

#include <algorithm>
#include <cstring>
#include <iterator>
#include <utility>

namespace tcpwhy::scan {
namespace {

// The options that nearly every segment has to do with.
bool are_common(const wire::TcpOptions& options) {
  return options.sack_count == 0 && !options.fast_open_cookie_length && !options.md5_signature && !options.multipath &&
         !options.malformed && !options.cut;
}

std::uint32_t octets_of(const wire::IpAddress& address) {
  std::uint32_t octets = 0;
  std::memcpy(&octets, address.bytes.data(), sizeof octets);
  return octets;
}

// In place, and of one that was IPv4 before: an address that is put together elsewhere is waited for where it is copied.
void set_octets(wire::IpAddress& address, std::uint32_t octets) {
  if (address.family != wire::IpFamily::v4) [[unlikely]]
    address = {wire::IpFamily::v4, {}};
  std::memcpy(address.bytes.data(), &octets, sizeof octets);
}

// Moves the last one to where it is the `place`th.
template <class T>
void move_last_to(std::vector<T>& all, std::size_t place) {
  std::rotate(all.begin() + static_cast<std::ptrdiff_t>(place), std::prev(all.end()), all.end());
}

}  // namespace

void Sightings::clear() {
  packed_.clear();
  ends_.clear();
  options_.clear();
  errors_.clear();
}

void Sightings::add(const Frame& frame) {
  const wire::TcpSegment& segment = frame.packet.segment;
  const wire::TcpOptions& options = segment.options;
  const wire::Encapsulation around = frame.packet.encapsulation;
  const wire::IpAddress &source = segment.source.ip, &destination = segment.destination.ip;
  const bool is_error = frame.packet.kind == wire::Dissection::icmp_error;
  const bool is_v4 = source.family == wire::IpFamily::v4 && destination.family == wire::IpFamily::v4;
  const bool is_plain = is_v4 && around.value() == 0;
  const bool has_options = !are_common(options);
  if (!is_plain) ends_.push_back({around, source, destination});
  if (has_options) options_.push_back(options);
  if (is_error) [[unlikely]]
    errors_.push_back(frame.packet.icmp);
  const wire::TcpTimestamps timestamps = options.timestamps.value_or(wire::TcpTimestamps{});
  packed_.push_back({
      .frame = frame.number,
      .at_ns = base::to_ns(frame.at),
      .source = octets_of(source),
      .destination = octets_of(destination),
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
      .ttl = segment.ttl,
      .window_scale = options.window_scale.value_or(0),
      .ecn = static_cast<std::uint8_t>(segment.ecn & 3U),
      .has_timestamps = options.timestamps.has_value(),
      .has_maximum_segment_size = options.maximum_segment_size.has_value(),
      .has_window_scale = options.window_scale.has_value(),
      .sack_permitted = options.sack_permitted,
      .has_ends = !is_plain,
      .has_options = has_options,
      .is_error = is_error,
  });
}

void Sightings::insert(const Frame& frame) {
  add(frame);
  const Packed added = packed_.back();
  const auto last = std::prev(packed_.end());
  const auto place = std::ranges::upper_bound(packed_.begin(), last, frame.number, {}, &Packed::frame);
  Rest before;
  for (auto packed = packed_.begin(); packed != place; ++packed) {
    before.ends += packed->has_ends;
    before.options += packed->has_options;
    before.errors += packed->is_error;
  }
  std::rotate(place, last, packed_.end());
  if (added.has_ends) move_last_to(ends_, before.ends);
  if (added.has_options) move_last_to(options_, before.options);
  if (added.is_error) move_last_to(errors_, before.errors);
}

void Sightings::unpack(const Packed& packed, Rest& next, Sighting& sighting) const {
  sighting.frame = packed.frame;
  sighting.at_ns = packed.at_ns;
  sighting.error = packed.is_error ? &errors_[next.errors++] : nullptr;
  wire::TcpSegment& segment = sighting.segment;
  if (packed.has_ends) {
    const Ends& ends = ends_[next.ends++];
    sighting.around = ends.around;
    segment.source.ip = ends.source, segment.destination.ip = ends.destination;
  } else {
    sighting.around = {};
    set_octets(segment.source.ip, packed.source);
    set_octets(segment.destination.ip, packed.destination);
  }
  segment.source.port = packed.source_port;
  segment.destination.port = packed.destination_port;
  segment.seq = {packed.seq};
  segment.ack = {packed.ack};
  segment.flags = {packed.flags};
  segment.window = packed.window;
  segment.urgent_pointer = packed.urgent_pointer;
  segment.payload_length = packed.payload_length;
  segment.ip_id = packed.ip_id;
  segment.ttl = packed.ttl;
  segment.ecn = packed.ecn;
  wire::TcpOptions& options = segment.options;
  if (packed.has_options) {
    options = options_[next.options++];
    return;
  }
  // All that is not written below is as in TcpOptions{}, unless the one before was of those above.
  if (!are_common(options)) options = {};
  const auto set = [](auto& option, bool is_there, auto value) {
    if (is_there)
      option = value;
    else
      option.reset();
  };
  set(options.maximum_segment_size, packed.has_maximum_segment_size, packed.maximum_segment_size);
  set(options.window_scale, packed.has_window_scale, packed.window_scale);
  set(options.timestamps, packed.has_timestamps, wire::TcpTimestamps{packed.timestamp, packed.timestamp_echo});
  options.sack_permitted = packed.sack_permitted;
}

}  // namespace tcpwhy::scan
