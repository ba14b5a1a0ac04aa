// A capture's TCP connections as Zeek would write them to conn.log, in the order in which it would write them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <unordered_map>

#include "base/clock.h"
#include "compat/zeek/connection.h"
#include "compat/zeek/row.h"
#include "scan/connections/flow_key.h"

namespace tcpwhy::compat::zeek {

class Tracker {
 public:
  struct Limits {
    std::size_t connections = std::size_t{1} << 18U;  // alive at once
    std::size_t stretches = std::size_t{1} << 20U;    // of unacknowledged data, of all connections together
    std::uint64_t seed = 0;                           // of the hash: whoever makes a capture should not know it
  };
  using Write = std::function<void(const ConnRow&)>;

  explicit Tracker(Write write, Limits limits);
  explicit Tracker(Write write) : Tracker(std::move(write), Limits()) {}

  // The time of each packet of the capture, TCP or not, before it is taken.
  void advance(std::int64_t at_us);
  void take(Packet packet);
  // The end of the capture: the lines of what still lives.
  void finish();

  // Connections written before their time because too many lived at once: those silent for longest.
  [[nodiscard]] std::uint64_t evicted() const { return evicted_; }

 private:
  struct Live final : Connection {
    scan::FlowKey key;

    Live(const scan::FlowKey& its_key, const Packet& first, Surroundings& surroundings)
        : Connection(first, surroundings), key(its_key) {}
  };
  using Place = std::list<Live>::iterator;
  struct Hash {
    std::uint64_t seed;
    std::size_t operator()(const scan::FlowKey& key) const { return scan::hash_of(key, seed); }
  };

  Place begin_connection(const scan::FlowKey& key, const Packet& first);
  void end_connection(Place place);

  Write write_;
  Limits limits_;
  Surroundings surroundings_;
  std::list<Live> live_;  // the one silent for longest first
  std::unordered_map<scan::FlowKey, Place, Hash> by_key_;
  std::uint64_t evicted_ = 0;
};

}  // namespace tcpwhy::compat::zeek
