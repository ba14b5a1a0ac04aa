// IP fragments put together again (RFC 791 3.2, RFC 8200 4.5), in bounded memory and by the time of the capture.
#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <map>
#include <optional>
#include <span>
#include <tuple>
#include <vector>

#include "base/clock.h"
#include "wire/packet.h"

namespace tcpwhy::wire {

// A piece of an IP packet, whole in itself. The spans point into the frame it came in.
struct IpFragment {
  IpAddress source, destination;
  std::uint32_t id = 0;
  std::uint8_t protocol =
      0;  // of what the fragments together hold; IPv6: of the first header behind the Fragment header
  Encapsulation encapsulation;  // around the packet
  std::size_t offset = 0;       // bytes before it
  bool last = false;
  std::span<const std::uint8_t>
      header;                      // IPv4: with options; IPv6: with the extension headers that every fragment repeats
  std::size_t next_header_at = 0;  // IPv6: where in `header` the number of the Fragment header stands
  std::span<const std::uint8_t> bytes;
};

// The outermost fragment that a packet is or is inside of (DissectedPacket::fragmented). Nothing where it can't be put together with
// others, as Linux and Wireshark have it: cut by the capture, an IPv4 header with a wrong check sum, a length that is no multiple of 8
// before the end, an end beyond 65535 bytes.
std::optional<IpFragment> find_fragment(LinkType link_type, std::span<const std::uint8_t> captured,
                                        std::size_t original_length, const DissectOptions& options = {});

struct ReassemblyLimits {
  std::size_t memory = 4U << 20;  // bytes of all unfinished packets; Linux: net.ipv4.ipfrag_high_thresh
  base::Duration ipv4_age = std::chrono::seconds(30);  // from the first fragment seen; Linux: net.ipv4.ipfrag_time
  base::Duration ipv6_age = std::chrono::seconds(60);  // RFC 8200 4.5; Linux: net.ipv6.ip6frag_time
};

// Fragments may come in any order. One that lies within what is there already is a duplicate and changes nothing; one that overlaps it
// in part makes the whole packet unusable, as Linux does since 4.20 (RFC 5722 3 for IPv6, RFC 1858 and CVE-2018-5391 for IPv4): that is
// how data are smuggled past an observer, and the receiver will not have them either. Beyond `memory` the packet that was begun first
// is given up.
class Reassembler {
 public:
  struct Counts {
    std::uint64_t fragments = 0, completed = 0;
    std::uint64_t expired = 0, evicted = 0, overlapping = 0;  // packets given up
  };

  explicit Reassembler(ReassemblyLimits limits = {}) : limits_(limits) {}

  // If `fragment` completes its packet: the packet with its IP header, as if it had never been cut, to be dissected as LinkType::raw with
  // DissectOptions::outer = fragment.encapsulation. Valid until the next call. `at` never has to go forwards.
  std::optional<std::span<const std::uint8_t>> add(const IpFragment& fragment, base::WallTime at);

  [[nodiscard]] const Counts& counts() const { return counts_; }
  [[nodiscard]] std::size_t memory() const { return memory_; }
  [[nodiscard]] std::size_t unfinished() const { return by_age_.size(); }

 private:
  using Key = std::tuple<IpAddress, IpAddress, std::uint32_t, std::uint8_t, std::uint64_t>;
  struct Run {  // bytes that are there
    std::size_t begin, end;
  };
  struct Unfinished {
    Key key;
    base::WallTime begun;
    bool unusable = false;
    std::vector<std::uint8_t> header, bytes;
    std::size_t next_header_at = 0;
    std::vector<Run> runs;                  // in order, not touching
    std::optional<std::size_t> whole_size;  // known from the last fragment
  };
  using Packets = std::list<Unfinished>;  // by the time they were begun, as they came

  static Key key_of(const IpFragment& fragment);
  void forget_old(base::WallTime now);
  void forget(Packets::iterator packet);
  static std::size_t cost(const Unfinished& packet);
  void put(Unfinished& packet, const IpFragment& fragment);
  std::span<const std::uint8_t> whole(const Unfinished& packet, const IpFragment& fragment);

  ReassemblyLimits limits_;
  Packets by_age_;
  std::map<Key, Packets::iterator> by_key_;
  std::size_t memory_ = 0;
  std::vector<std::uint8_t> completed_;
  Counts counts_;
};

}  // namespace tcpwhy::wire
