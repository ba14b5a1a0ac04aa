// For tests: captures as people have them, made of one that a laboratory has: of one direction, out of order, with copies, on both sides of
// an offload, begun late, ended early, in tunnels. Each packet knows which of the laboratory's it is.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "scan/packets/frame_reader.h"
#include "wire/encapsulation.h"
#include "wire/segment.h"

namespace tcpwhy::scan::testing {

struct Packet {
  std::uint64_t origin = 0;   // the frame of the laboratory's capture
  std::uint64_t through = 0;  // of a segment that was put together: the last of those frames
  bool is_copy = false;       // made by the capture; the network had it once
  std::int64_t at_ns = 0;
  wire::TcpSegment segment;  // without its payload's bytes
  std::optional<wire::IcmpError> icmp;
  wire::Encapsulation around;

  [[nodiscard]] bool is_tcp() const { return !icmp; }
};
using Packets = std::vector<Packet>;

// What was done to it, and so what it cannot show or has besides.
struct Derivation {
  std::string name;
  bool lacks = false;  // packets
  bool one_way = false;
  bool moves = false;   // puts packets in another order
  bool copies = false;  // has packets twice
  bool offload = false;
  bool less_identity = false;  // has no IP IDs, or no time stamps
};

// The same numbers on each machine, for each seed.
class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed * 0x9e3779b97f4a7c15 + 1) {}
  std::uint64_t below(std::uint64_t limit) {
    state_ = state_ * 6364136223846793005 + 1442695040888963407;
    return (state_ >> 33U) % limit;
  }

 private:
  std::uint64_t state_;
};

inline Packets packets_of(const std::string& path) {
  Packets packets;
  auto reader = FrameReader::open(path);
  if (!reader) return packets;
  Frame frame;
  while (reader->next(frame).value_or(false)) {
    const bool error = frame.packet.kind == wire::Dissection::icmp_error;
    if (frame.packet.kind != wire::Dissection::tcp && !error) continue;
    Packet packet{.origin = frame.number,
                  .through = frame.number,
                  .at_ns = base::to_ns(frame.at),
                  .segment = frame.packet.segment,
                  .around = frame.packet.encapsulation};
    packet.segment.payload = {};
    if (error) packet.icmp = frame.packet.icmp;
    packets.push_back(std::move(packet));
  }
  return packets;
}

inline void sort_by_time(Packets& packets) { std::ranges::stable_sort(packets, {}, &Packet::at_ns); }

// --- one direction -------------------------------------------------------------------------------------------

inline std::set<wire::IpAddress> senders_of(const Packets& packets) {
  std::set<wire::IpAddress> all;
  for (const Packet& packet : packets) all.insert(packet.segment.source.ip);
  return all;
}

inline Packets only_from(const Packets& packets, const wire::IpAddress& sender) {
  Packets some;
  std::ranges::copy_if(packets, std::back_inserter(some),
                       [&](const Packet& packet) { return packet.segment.source.ip == sender; });
  return some;
}

// --- out of order --------------------------------------------------------------------------------------------

// What `sender` sent stands in the capture by so much too soon, each packet by another time where `jitter`; those of one sender keep their
// order. `restamp`: the stamps are those of the order; else they are the true ones.
inline Packets too_soon(const Packets& packets, const wire::IpAddress& sender, std::int64_t by_ns, bool jitter,
                        bool restamp, Random random) {
  struct Moved {
    Packet packet;
    std::int64_t key;
  };
  std::vector<Moved> moved;
  std::int64_t last = INT64_MIN;
  for (const Packet& packet : packets) {
    std::int64_t key = packet.at_ns;
    if (packet.segment.source.ip == sender && packet.is_tcp()) {
      key -= jitter ? static_cast<std::int64_t>(random.below(static_cast<std::uint64_t>(by_ns) + 1)) : by_ns;
      key = last = std::max(last, key);
    }
    moved.push_back({packet, key});
  }
  std::ranges::stable_sort(moved, {}, &Moved::key);
  Packets result;
  for (Moved& one : moved) {
    if (restamp) one.packet.at_ns = one.key;
    result.push_back(std::move(one.packet));
  }
  return result;
}

// --- copies --------------------------------------------------------------------------------------------------

struct Copying {
  std::int64_t after_ns = 1000;  // 0: right behind, with the same stamp
  std::uint8_t hops = 0;         // that the copy went farther
  unsigned one_in = 1;           // of how many packets one is copied
};

inline Packets with_copies(const Packets& packets, const Copying& how, Random random) {
  Packets result;
  for (const Packet& packet : packets) {
    result.push_back(packet);
    if (!packet.is_tcp() || random.below(how.one_in) != 0) continue;
    Packet copy = packet;
    copy.is_copy = true;
    copy.at_ns += how.after_ns;
    copy.segment.ttl = static_cast<std::uint8_t>(copy.segment.ttl - how.hops);
    result.push_back(std::move(copy));
  }
  sort_by_time(result);
  return result;
}

inline Packets appended_to_itself(const Packets& packets) {
  Packets result = packets;
  for (Packet copy : packets) {
    copy.is_copy = true;
    if (copy.is_tcp()) result.push_back(std::move(copy));
  }
  return result;
}

// --- offload -------------------------------------------------------------------------------------------------

enum class Offload : std::uint8_t {
  segmentation,  // the tap has the large segment, then its pieces
  receive,       // the pieces, then what was put together
};

// Runs of packets that one large segment may have been: data of one sender without anything between, one behind the other in the same moment,
// stamped alike and numbered one after the other.
inline Packets beside_their_pieces(const Packets& packets, Offload offload, std::set<std::uint64_t> left_out) {
  constexpr std::int64_t one_moment_ns = 300'000;
  constexpr std::uint32_t most_bytes = 60'000;
  const auto goes_on = [&](const Packet& before, const Packet& next) {
    const wire::TcpSegment &a = before.segment, &b = next.segment;
    const std::uint16_t plain = wire::TcpFlags::ack_bit | wire::TcpFlags::psh_bit;
    return next.is_tcp() && !left_out.contains(next.origin) && a.source == b.source && a.destination == b.destination &&
           a.payload_length > 0 && b.payload_length > 0 && (a.flags.bits & ~plain) == 0 &&
           (b.flags.bits & ~plain) == 0 && b.seq.value == a.seq.value + a.payload_length && a.ack == b.ack &&
           b.payload_length <= a.payload_length && a.options.timestamps == b.options.timestamps &&
           b.ip_id == static_cast<std::uint16_t>(a.ip_id == 0 ? 0 : a.ip_id + 1) &&
           next.at_ns - before.at_ns <= one_moment_ns && a.ttl == b.ttl && a.window == b.window;
  };
  Packets result;
  for (std::size_t i = 0; i < packets.size();) {
    std::size_t end = i + 1;
    std::uint32_t length = packets[i].segment.payload_length;
    const bool may_begin = packets[i].is_tcp() && !left_out.contains(packets[i].origin);
    while (may_begin && end < packets.size() && length + packets[end].segment.payload_length <= most_bytes &&
           goes_on(packets[end - 1], packets[end])) {
      length += packets[end].segment.payload_length;
      ++end;
    }
    const bool is_run = end - i >= 2;
    Packet large = packets[i];
    large.through = packets[end - 1].origin;
    large.segment.payload_length = length;
    large.segment.flags.bits |= packets[end - 1].segment.flags.bits;
    const auto pieces = [&](bool copies, std::int64_t begin_ns, std::int64_t apart_ns) {
      for (std::size_t k = i; k < end; ++k) {
        Packet piece = packets[k];
        piece.is_copy = copies;
        if (copies) piece.at_ns = begin_ns + static_cast<std::int64_t>(k - i) * apart_ns;
        result.push_back(std::move(piece));
      }
    };
    if (!is_run) {
      result.push_back(packets[i]);
    } else if (offload == Offload::segmentation) {
      result.push_back(large);
      pieces(true, large.at_ns + 4'000, 1'000);
    } else {
      pieces(false, 0, 0);
      large.is_copy = true;
      large.at_ns = packets[end - 1].at_ns + 6'000;
      result.push_back(large);
    }
    i = end;
  }
  sort_by_time(result);
  return result;
}

// --- tunnels -------------------------------------------------------------------------------------------------

// Each direction in another VLAN or tunnel.
inline Packets around_by_direction(const Packets& packets, wire::Encapsulation low_to_high,
                                   wire::Encapsulation high_to_low) {
  Packets result = packets;
  for (Packet& packet : result) {
    const bool is_low = packet.segment.source < packet.segment.destination;
    packet.around = is_low == packet.is_tcp() ? low_to_high : high_to_low;  // an error comes back to whom it quotes
  }
  return result;
}

// --- less that identifies -------------------------------------------------------------------------------------

// As over IPv6, or of a host that numbers nothing (RFC 6864).
inline Packets without_ip_ids(Packets packets) {
  for (Packet& packet : packets) packet.segment.ip_id = 0;
  return packets;
}
inline Packets without_time_stamps(Packets packets) {
  for (Packet& packet : packets) packet.segment.options.timestamps.reset();
  return packets;
}

}  // namespace tcpwhy::scan::testing
