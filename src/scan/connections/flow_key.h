// What tells the packets of one pair of endpoints from all others, whichever way they go. The same addresses in another
// VLAN or tunnel are other endpoints.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>

#include "wire/encapsulation.h"
#include "wire/segment.h"

namespace tcpwhy::scan {

// An address as numbers: the compiler's comparison of 16 bytes is a call of memcmp(), which this path can't afford.
struct AddressWords {
  std::uint64_t high = 0, low = 0;
  std::uint32_t family_and_port = 0;

  AddressWords() = default;
  explicit AddressWords(const wire::SocketAddress& address)
      : family_and_port(static_cast<std::uint32_t>(address.ip.family) << 16U | address.port) {
    if (address.ip.family == wire::IpFamily::v4) [[likely]] {
      // As it was written a moment ago: a load of more than one store's bytes has to wait for them.
      std::uint32_t octets = 0;
      std::memcpy(&octets, address.ip.bytes.data(), sizeof octets);
      high = octets, low = 0;
      return;
    }
    std::memcpy(&high, address.ip.bytes.data(), sizeof high);
    std::memcpy(&low, address.ip.bytes.data() + sizeof high, sizeof low);
  }
  [[nodiscard]] wire::SocketAddress address() const {
    wire::SocketAddress address{{static_cast<wire::IpFamily>(family_and_port >> 16U), {}},
                                static_cast<std::uint16_t>(family_and_port)};
    std::memcpy(address.ip.bytes.data(), &high, sizeof high);
    std::memcpy(address.ip.bytes.data() + sizeof high, &low, sizeof low);
    return address;
  }
  // Some order, the same for both directions; not that of the numbers on the wire.
  [[nodiscard]] bool before(const AddressWords& other) const {
    if (high != other.high) return high < other.high;
    if (low != other.low) return low < other.low;
    return family_and_port < other.family_and_port;
  }
  bool operator==(const AddressWords&) const = default;
};

// The two endpoints in a fixed order, so that both directions have the same key.
struct FlowKey {
  AddressWords low, high;
  wire::Encapsulation around;

  bool operator==(const FlowKey&) const = default;
};

// Without a branch, which would be guessed wrong every other time; and member by member, since a copy of the whole would have to wait
// for what was written a moment ago.
inline FlowKey key_of(const AddressWords& one, const AddressWords& other, wire::Encapsulation around) {
  const std::uint64_t swapped = one.before(other) ? 0 : ~std::uint64_t{0};
  const auto order = [swapped](auto a, auto b, auto& low, auto& high) {
    const auto change = static_cast<decltype(a)>((a ^ b) & static_cast<decltype(a)>(swapped));
    low = a ^ change, high = b ^ change;
  };
  FlowKey key;
  order(one.high, other.high, key.low.high, key.high.high);
  order(one.low, other.low, key.low.low, key.high.low);
  order(one.family_and_port, other.family_and_port, key.low.family_and_port, key.high.family_and_port);
  key.around = around;
  return key;
}
inline FlowKey key_of(const wire::TcpSegment& segment, wire::Encapsulation around = {}) {
  return key_of(AddressWords(segment.source), AddressWords(segment.destination), around);
}

// Spreads over all 64 bits; the upper ones choose the shard, the lower ones the place in a table. `seed` differs from
// run to run where the input may have been made to collide.
inline std::uint64_t hash_of(const FlowKey& key, std::uint64_t seed) {
  const auto mix = [](std::uint64_t a, std::uint64_t b) {
    const auto product = static_cast<unsigned __int128>(a) * b;
    return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64U);
  };
  const std::uint64_t ports = std::uint64_t{key.low.family_and_port} << 32U | key.high.family_and_port;
  std::uint64_t hash = mix(key.low.high ^ 0x9e3779b97f4a7c15, key.high.high ^ seed ^ 0xd6e8feb86659fd93);
  if ((key.low.low | key.high.low) != 0) hash = mix(hash ^ key.low.low, key.high.low ^ 0xa0761d6478bd642f);
  return mix(hash ^ ports, 0xe7037ed1a0b428db ^ seed ^ key.around.value());
}

// Which of `count` shares the packets between these two belong to, both directions the same, whatever is around them.
inline unsigned share_of(const wire::SocketAddress& one, const wire::SocketAddress& other, unsigned count,
                         std::uint64_t seed) {
  const AddressWords a(one), b(other);
  const std::uint64_t sum = (a.high ^ b.high) ^ std::rotl(a.low ^ b.low, 29) ^
                            (std::uint64_t{a.family_and_port} + b.family_and_port) * 0xa0761d6478bd642f ^ seed;
  const auto product = static_cast<unsigned __int128>(sum) * 0xe7037ed1a0b428db;
  const std::uint64_t mixed = static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64U);
  return static_cast<unsigned>((mixed >> 32U) * count >> 32U);
}

}  // namespace tcpwhy::scan
