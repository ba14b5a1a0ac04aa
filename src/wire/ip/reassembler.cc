#include "wire/ip/reassembler.h"

#include <algorithm>

#include "wire/bytes.h"
#include "wire/ip/ip_packet.h"
#include "wire/link_layer.h"
#include "wire/tunnel.h"

namespace tcpwhy::wire {
namespace {

constexpr std::size_t largest_packet = 65535;
constexpr std::size_t ipv6_header = 40, fragment_header = 8;

// RFC 1071: over a header that is right, check sum included, the sum is all ones.
bool checksum_is_right(Bytes header) {
  std::uint32_t sum = 0;
  for (std::size_t at = 0; at < header.size(); at += 2) sum += header.be16(at);
  sum = (sum & 0xffffU) + (sum >> 16U);
  return (sum & 0xffffU) + (sum >> 16U) == 0xffff;
}

// What a fragment may hold that leads to TCP. The rest is not worth keeping.
bool may_lead_to_tcp(std::uint8_t protocol) {
  switch (protocol) {
    case ip_protocol::tcp:
    case ip_protocol::udp:
    case ip_protocol::gre:
    case ip_protocol::ipv4:
    case ip_protocol::ipv6:
    case ip_protocol::mpls_in_ip: return true;
    default: return is_extension(protocol);
  }
}

std::optional<IpFragment> usable(IpFragment fragment, Bytes captured, std::size_t length) {
  if (captured.size() < length || length == 0) return std::nullopt;
  fragment.bytes = captured.first(length).span();
  const std::size_t end = fragment.offset + length;
  if ((!fragment.last && length % 8 != 0) || end + fragment.header.size() > largest_packet) return std::nullopt;
  return may_lead_to_tcp(fragment.protocol) ? std::optional(fragment) : std::nullopt;
}

std::optional<IpFragment> ipv4_fragment(const Carried& carried) {
  const Bytes b = carried.bytes;
  constexpr std::size_t shortest_header = 20;
  if (!b.has(0, shortest_header)) return std::nullopt;
  const std::size_t header = (b.u8(0) & 0xfU) * 4U, total = b.be16(2);
  if (header < shortest_header || total < header || !b.has(0, header) || !checksum_is_right(b.first(header)))
    return std::nullopt;
  constexpr std::uint16_t offset_bits = 0x1fff, more_bit = 0x2000;
  const IpFragment fragment{.source = IpAddress::v4(b.fixed<4>(12)),
                            .destination = IpAddress::v4(b.fixed<4>(16)),
                            .id = b.be16(4),
                            .protocol = b.u8(9),
                            .encapsulation = carried.encapsulation,
                            .offset = (b.be16(6) & offset_bits) * std::size_t{8},
                            .last = (b.be16(6) & more_bit) == 0,
                            .header = b.first(header).span(),
                            .next_header_at = 0,
                            .bytes = {}};
  return usable(fragment, b.from(header), total - header);
}

std::optional<IpFragment> ipv6_fragment(const Carried& carried) {
  const Bytes b = carried.bytes;
  if (!b.has(0, ipv6_header)) return std::nullopt;
  const std::size_t end = ipv6_header + b.be16(4);
  std::size_t next_header_at = 6, at = ipv6_header;
  while (b.u8(next_header_at) != ip_protocol::fragment) {
    const std::uint8_t next = b.u8(next_header_at);
    if (!is_extension(next) || !b.has(at, 8)) return std::nullopt;
    next_header_at = at;
    at += next == ip_protocol::authentication ? authentication_length(b.u8(at + 1)) : extension_length(b.u8(at + 1));
    if (!b.has(at, 0)) return std::nullopt;
  }
  if (!b.has(at, fragment_header) || at + fragment_header > end) return std::nullopt;
  constexpr std::uint16_t offset_bits = 0xfff8, more_bit = 0x0001;
  const IpFragment fragment{.source = IpAddress::v6(b.fixed<16>(8)),
                            .destination = IpAddress::v6(b.fixed<16>(24)),
                            .id = b.be32(at + 4),
                            .protocol = b.u8(at),
                            .encapsulation = carried.encapsulation,
                            .offset = static_cast<std::size_t>(b.be16(at + 2) & offset_bits),
                            .last = (b.be16(at + 2) & more_bit) == 0,
                            .header = b.first(at).span(),
                            .next_header_at = next_header_at,
                            .bytes = {}};
  return usable(fragment, b.from(at + fragment_header), end - at - fragment_header);
}

}  // namespace

std::optional<IpFragment> find_fragment(LinkType link_type, std::span<const std::uint8_t> captured,
                                        std::size_t original_length, const DissectOptions& options) {
  Carried carried{.content = content_of_link(link_type),
                  .bytes = Bytes(captured),
                  .original_length = std::max(original_length, captured.size()),
                  .encapsulation = options.outer};
  for (int depth = 0; depth <= deepest_tunnel; ++depth) {
    if (!unwrap_to_ip(carried)) return std::nullopt;
    TcpSegment outer;
    const IpPayload payload = read_ip(carried, outer);
    if (payload.fragmented) {
      return outer.source.ip.family == IpFamily::v4 ? ipv4_fragment(carried) : ipv6_fragment(carried);
    }
    if (!options.tunnels || !enter_tunnel(payload, outer, options, carried)) return std::nullopt;
  }
  return std::nullopt;
}

// RFC 791 3.2: source, destination, protocol and identification; RFC 8200 4.5: without the protocol.
Reassembler::Key Reassembler::key_of(const IpFragment& fragment) {
  const std::uint8_t protocol = fragment.source.family == IpFamily::v4 ? fragment.protocol : std::uint8_t{0};
  return {fragment.source, fragment.destination, fragment.id, protocol, fragment.encapsulation.value()};
}

std::size_t Reassembler::cost(const Unfinished& packet) {
  constexpr std::size_t nodes = sizeof(Unfinished) + sizeof(Key) + 96;  // of the list and the map, with their links
  return nodes + packet.header.capacity() + packet.bytes.capacity() + packet.runs.capacity() * sizeof(Run);
}

void Reassembler::forget(Packets::iterator packet) {
  memory_ -= cost(*packet);
  by_key_.erase(packet->key);
  by_age_.erase(packet);
}

void Reassembler::forget_old(base::WallTime now) {
  // The list is by arrival; where the capture's clock jumps back, an older one waits behind a younger one, no longer than that.
  while (!by_age_.empty()) {
    const Unfinished& oldest = by_age_.front();
    const bool v4 = std::get<0>(oldest.key).family == IpFamily::v4;
    if (now - oldest.begun <= (v4 ? limits_.ipv4_age : limits_.ipv6_age)) break;
    if (!oldest.unusable) ++counts_.expired;
    forget(by_age_.begin());
  }
  while (memory_ > limits_.memory && !by_age_.empty()) {
    if (!by_age_.front().unusable) ++counts_.evicted;
    forget(by_age_.begin());
  }
}

void Reassembler::put(Unfinished& packet, const IpFragment& fragment) {
  const auto give_up = [&] {
    packet.unusable = true;
    ++counts_.overlapping;
    packet.bytes = {};
    packet.header = {};
    packet.runs = {};
  };
  const std::size_t begin = fragment.offset, end = begin + fragment.bytes.size();
  // The last fragment says how long the packet is; another that says otherwise, or reaches beyond it, contradicts it.
  if (packet.whole_size ? end > *packet.whole_size || (fragment.last && end != *packet.whole_size)
                        : fragment.last && !packet.runs.empty() && packet.runs.back().end > end)
    return give_up();
  const auto after = std::ranges::find_if(packet.runs, [&](const Run& run) { return run.end > begin; });
  if (after != packet.runs.end() && after->begin < end) {
    if (after->begin > begin || after->end < end) give_up();
    return;
  }
  if (fragment.last) packet.whole_size = end;
  if (packet.bytes.size() < end) packet.bytes.resize(end);
  std::ranges::copy(fragment.bytes, packet.bytes.begin() + static_cast<std::ptrdiff_t>(begin));
  if (begin == 0) {
    packet.header.assign(fragment.header.begin(), fragment.header.end());
    packet.next_header_at = fragment.next_header_at;
  }
  auto run = packet.runs.insert(after, {begin, end});
  if (run + 1 != packet.runs.end() && (run + 1)->begin == run->end) {
    run->end = (run + 1)->end;
    packet.runs.erase(run + 1);
  }
  if (run != packet.runs.begin() && (run - 1)->end == run->begin) {
    (run - 1)->end = run->end;
    packet.runs.erase(run);
  }
}

std::span<const std::uint8_t> Reassembler::whole(const Unfinished& packet, const IpFragment& fragment) {
  completed_.assign(packet.header.begin(), packet.header.end());
  completed_.insert(completed_.end(), packet.bytes.begin(), packet.bytes.end());
  const auto put16 = [this](std::size_t at, std::size_t value) {
    completed_[at] = static_cast<std::uint8_t>(value >> 8U);
    completed_[at + 1] = static_cast<std::uint8_t>(value);
  };
  if (fragment.source.family == IpFamily::v4) {
    put16(2, completed_.size());
    put16(6, 0);
  } else {
    put16(4, completed_.size() - ipv6_header);
    completed_[packet.next_header_at] = fragment.protocol;
  }
  return completed_;
}

std::optional<std::span<const std::uint8_t>> Reassembler::add(const IpFragment& fragment, base::WallTime at) {
  ++counts_.fragments;
  forget_old(at);
  const Key key = key_of(fragment);
  auto known = by_key_.find(key);
  if (known == by_key_.end()) {
    by_age_.push_back({.key = key, .begun = at});
    known = by_key_.emplace(key, std::prev(by_age_.end())).first;
    memory_ += cost(by_age_.back());
  }
  const Packets::iterator packet = known->second;
  if (packet->unusable) return std::nullopt;
  memory_ -= cost(*packet);
  put(*packet, fragment);
  memory_ += cost(*packet);
  const bool complete = !packet->unusable && packet->whole_size && packet->runs.size() == 1 &&
                        packet->runs[0].begin == 0 && packet->runs[0].end == *packet->whole_size;
  if (!complete) return std::nullopt;
  ++counts_.completed;
  whole(*packet, fragment);
  forget(packet);
  return completed_;
}

}  // namespace tcpwhy::wire
