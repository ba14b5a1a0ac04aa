// Which packets go the same way: between the same addresses and ports, in the same tunnels and VLANs, or there in one and back in
// another. Private to the building of a timeline; scan/connections/connection_table.h decides alike, for captures of any size.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "tcp/half_seen.h"
#include "wire/encapsulation.h"
#include "wire/segment.h"

namespace tcpwhy::timeline::steps {

class Routes {
 public:
  using Index = std::uint32_t;  // 0, 1, ... in the order in which they are found

  // Of this segment, which it notes.
  Index of(const wire::TcpSegment& segment, wire::Encapsulation around);
  // A connection ended, and the next one goes the same way; `segment` is the first of it.
  void begin_anew(Index route, const wire::TcpSegment& segment);

 private:
  struct Ends {
    wire::SocketAddress low, high;
    auto operator<=>(const Ends&) const = default;
  };
  struct Key {
    Ends ends;
    std::uint64_t around;
    auto operator<=>(const Key&) const = default;
  };
  struct Direction {
    tcp::HalfSeen numbers;
    std::uint32_t segments = 0;
  };
  struct Route {
    Key key;
    std::array<Direction, 2> directions;  // [1]: from the lower end
    // Of the direction that was seen later, where there is something else around it.
    std::optional<Key> other_key;
    bool other_is_from_low = false;
    std::uint32_t segments_before = 0;  // that were seen when it was joined

    [[nodiscard]] std::uint32_t segments() const { return directions[0].segments + directions[1].segments; }
  };
  // Between the same ends: the latest; the newest first. More at a time are not held against each other.
  static constexpr std::size_t most_elsewhere = 4;

  [[nodiscard]] std::optional<Index> other_half(const wire::TcpSegment& segment, const Key& key,
                                                bool is_from_low) const;
  void join(Index route, const Key& key, bool is_from_low);
  // Nothing where the two turn out to be apart, and the segment is of the other.
  std::optional<Index> part_if_both_ways(Index route, const Key& key, bool is_from_low);
  Index add(const Key& key);

  std::vector<Route> routes_;
  std::map<Key, Index> by_key_;
  std::map<Ends, std::vector<Index>> by_ends_;
};

}  // namespace tcpwhy::timeline::steps
