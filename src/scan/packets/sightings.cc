#include "scan/packets/sightings.h"

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
  count_ = 0;
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
  const bool is_common = are_common(options);
  if (!is_plain) ends_.push_back({around, source, destination});
  if (!is_common) options_.push_back(options);
  if (is_error) [[unlikely]]
    errors_.push_back(frame.packet.icmp);
  if (count_ == packed_.size()) packed_.resize(std::max<std::size_t>(1024, 2 * count_));
  Packed& packed = packed_[count_++];
  packed.frame = frame.number;
  packed.at_ns = base::to_ns(frame.at);
  packed.source = octets_of(source);
  packed.destination = octets_of(destination);
  packed.seq = segment.seq.value;
  packed.ack = segment.ack.value;
  packed.payload_length = segment.payload_length;
  const wire::TcpTimestamps timestamps = options.timestamps.value_or(wire::TcpTimestamps{});
  packed.timestamp = timestamps.value;
  packed.timestamp_echo = timestamps.echo_reply;
  packed.source_port = segment.source.port;
  packed.destination_port = segment.destination.port;
  packed.flags = segment.flags.bits;
  packed.window = segment.window;
  packed.urgent_pointer = segment.urgent_pointer;
  packed.ip_id = segment.ip_id;
  packed.maximum_segment_size = options.maximum_segment_size.value_or(0);
  packed.ttl = segment.ttl;
  packed.window_scale = options.window_scale.value_or(0);
  packed.ecn = segment.ecn;
  packed.marks = static_cast<std::uint8_t>(
      (options.timestamps ? has_timestamps : 0) | (options.maximum_segment_size ? has_maximum_segment_size : 0) |
      (options.window_scale ? has_window_scale : 0) | (options.sack_permitted ? has_sack_permitted : 0) |
      (is_plain ? 0 : has_ends) | (is_common ? 0 : has_options) | (is_error ? has_error : 0));
}

void Sightings::insert(const Frame& frame) {
  add(frame);
  const auto end = packed_.begin() + static_cast<std::ptrdiff_t>(count_), last = std::prev(end);
  const std::uint8_t marks = last->marks;
  const auto place = std::ranges::upper_bound(packed_.begin(), last, frame.number, {}, &Packed::frame);
  Rest before;
  for (auto packed = packed_.begin(); packed != place; ++packed) {
    before.ends += (packed->marks & has_ends) != 0;
    before.options += (packed->marks & has_options) != 0;
    before.errors += (packed->marks & has_error) != 0;
  }
  std::rotate(place, last, end);
  if ((marks & has_ends) != 0) move_last_to(ends_, before.ends);
  if ((marks & has_options) != 0) move_last_to(options_, before.options);
  if ((marks & has_error) != 0) move_last_to(errors_, before.errors);
}

void Sightings::unpack(const Packed& packed, Rest& next, Sighting& sighting) const {
  sighting.frame = packed.frame;
  sighting.at_ns = packed.at_ns;
  sighting.error = (packed.marks & has_error) != 0 ? &errors_[next.errors++] : nullptr;
  wire::TcpSegment& segment = sighting.segment;
  if ((packed.marks & has_ends) != 0) [[unlikely]] {
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
  if ((packed.marks & has_options) != 0) [[unlikely]] {
    options = options_[next.options++];
    return;
  }
  // All that is not written below is as in TcpOptions{}, unless the one before was of those above.
  if (!are_common(options)) options = {};
  const auto set = [&packed](auto& option, std::uint8_t mark, auto value) {
    if ((packed.marks & mark) != 0)
      option = value;
    else
      option.reset();
  };
  set(options.maximum_segment_size, has_maximum_segment_size, packed.maximum_segment_size);
  set(options.window_scale, has_window_scale, packed.window_scale);
  set(options.timestamps, has_timestamps, wire::TcpTimestamps{packed.timestamp, packed.timestamp_echo});
  options.sack_permitted = (packed.marks & has_sack_permitted) != 0;
}

}  // namespace tcpwhy::scan
