// tcpdump's memory of conversations, from which `seq` and `ack` become relative.
#pragma once

#include <cstddef>
#include <cstdint>
#include <unordered_map>

#include "wire/address.h"
#include "wire/segment.h"

namespace tcpwhy::render::tcpdump {

// What to print for a segment.
struct RelativeNumbers {
  std::uint32_t seq = 0, ack = 0;
  std::uint32_t sack_base = 0;  // subtracted from the edges of SACK blocks
};

// A conversation is a pair of ends, whoever speaks. It begins with the first segment that has an ACK, whatever else, and anew
// with each that has SYN and ACK. The beginning prints absolute numbers; sequence number 0 of each direction is what it
// saw: seq of the speaker, ack - 1 of the other. Nothing ever ends one.
class Conversations {
 public:
  explicit Conversations(std::size_t most) : most_(most) {}

  // For a segment with ACK.
  RelativeNumbers relative(const wire::SocketAddress& source, const wire::SocketAddress& destination, bool syn,
                           std::uint32_t seq, std::uint32_t ack);

 private:
  struct Key {
    wire::SocketAddress low, high;
    bool operator==(const Key&) const = default;
  };
  struct Hash {
    std::size_t operator()(const Key& key) const;
  };
  struct Bases {
    std::uint32_t low = 0, high = 0;  // sequence number 0 of what each end sends
  };

  std::size_t most_;
  std::unordered_map<Key, Bases, Hash> table_;
};

}  // namespace tcpwhy::render::tcpdump
