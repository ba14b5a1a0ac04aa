// The segments of one shard on their way to its thread: packed, because every byte of them goes from one processor's
// cache to another's.
#pragma once

#include <array>
#include <cstdint>
#include <utility>
#include <vector>

#include "scan/frame_reader.h"
#include "wire/icmp_error.h"
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
    for (const Packed& packed : packed_) {
      unpack(packed, sighting);
      f(std::as_const(sighting));
    }
  }

 private:
  static constexpr std::uint16_t none = UINT16_MAX;
  struct Packed {
    std::uint64_t frame;
    std::int64_t at_ns;
    wire::Encapsulation around;
    std::uint64_t source[2], destination[2];
    std::uint32_t seq, ack, payload_length, timestamp, timestamp_echo;
    std::uint16_t source_port, destination_port, flags, window, urgent_pointer, ip_id, maximum_segment_size;
    std::uint16_t further;  // index into options_ of one that does not fit here, or into errors_ where is_error; or none
    wire::IpFamily source_family, destination_family;
    std::uint8_t ttl, window_scale;
    std::uint8_t ecn : 2, has_timestamps : 1, has_maximum_segment_size : 1, has_window_scale : 1, sack_permitted : 1,
        is_error : 1;
  };
  static_assert(sizeof(Packed) <= 104);

  void unpack(const Packed& packed, Sighting& sighting) const;

  std::vector<Packed> packed_;
  std::vector<wire::TcpOptions> options_;
  std::vector<wire::IcmpError> errors_;
};

}  // namespace tcpwhy::scan
