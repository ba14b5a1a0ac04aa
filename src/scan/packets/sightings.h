// The segments of one shard on their way to its thread: packed, because every byte of them goes from one processor's
// cache to another's.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "scan/packets/frame_reader.h"
#include "wire/ip/icmp_error.h"
#include "wire/segment.h"

namespace tcpwhy::scan {

// What a connection table asks of a frame that has a flow.
struct Sighting {
  std::uint64_t frame = 0;
  std::int64_t at_ns = 0;
  wire::Encapsulation around;
  wire::TcpSegment segment;                // without its payload
  const wire::IcmpError* error = nullptr;  // that quotes `segment`; null where it was sent itself
};

class Sightings {
 public:
  void clear();
  // In the order of the frames. `frame` is TCP, or an ICMP error.
  void add(const Frame& frame);
  // The same for one that belongs before some that were added already: a segment whose fragments were put together later.
  void insert(const Frame& frame);

  // f(const Sighting&), in the order of the frames.
  template <class F>
  void for_each(F&& f) const {
    Sighting sighting;
    Rest next;
    for (std::size_t i = 0; i < count_; ++i) {
      unpack(packed_[i], next, sighting);
      f(std::as_const(sighting));
    }
  }

 private:
  // What nearly every segment has; IPv4 without tags and tunnels whole. One line of the cache.
  struct alignas(64) Packed {
    std::uint64_t frame;
    std::int64_t at_ns;
    std::uint32_t source, destination;  // IPv4, as its octets lie; else in ends_
    std::uint32_t seq, ack, payload_length, timestamp, timestamp_echo;
    std::uint16_t source_port, destination_port, flags, window, urgent_pointer, ip_id, maximum_segment_size;
    std::uint8_t ttl, window_scale;
    std::uint8_t ecn;
    std::uint8_t marks;  // has_*
  };
  // Which of its members mean something, and what else there is of it.
  static constexpr std::uint8_t has_timestamps = 1, has_maximum_segment_size = 2, has_window_scale = 4,
                                has_sack_permitted = 8, has_ends = 16, has_options = 32, has_error = 64;
  static_assert(sizeof(Packed) == 64);
  struct Ends {
    wire::Encapsulation around;
    wire::IpAddress source, destination;
  };
  // How many of each belong to the packed ones before: theirs come in the same order.
  struct Rest {
    std::size_t ends = 0, options = 0, errors = 0;
  };

  void unpack(const Packed& packed, Rest& next, Sighting& sighting) const;

  // Written over in place; only grows.
  std::vector<Packed> packed_;
  std::size_t count_ = 0;  // of packed_ that are there
  std::vector<Ends> ends_;
  std::vector<wire::TcpOptions> options_;
  std::vector<wire::IcmpError> errors_;
};

}  // namespace tcpwhy::scan
