// IP fragments of a capture, put together as Wireshark does, within a bound of memory.
#pragma once

#include <cstdint>
#include <list>
#include <map>
#include <optional>
#include <vector>

#include "wire/address.h"
#include "wire/bytes.h"

namespace tcpwhy::compat::tshark {

struct FragmentKey {
  wire::IpAddress source, destination;
  std::uint32_t id = 0;
  std::uint8_t protocol = 0;
  auto operator<=>(const FragmentKey&) const = default;
};

struct Fragment {
  std::size_t offset = 0;  // in the whole packet's payload
  bool more = false;       // it is not the last
  wire::Bytes bytes;
};

class FragmentTable {
 public:
  // The payload of the whole packet if this fragment completes it.
  std::optional<std::vector<std::uint8_t>> add(const FragmentKey& key, const Fragment& fragment);

  // Beyond this the packets that wait longest are given up.
  static constexpr std::size_t most_bytes = 16U << 20U;

 private:
  struct Part {
    std::size_t offset = 0;
    std::vector<std::uint8_t> bytes;
  };
  struct Packet {
    std::vector<Part> parts;
    std::optional<std::size_t> length;
    std::size_t held = 0;
    std::list<FragmentKey>::iterator age;
  };

  static std::optional<std::vector<std::uint8_t>> join(const Packet& packet);
  void forget(std::map<FragmentKey, Packet>::iterator packet);
  void keep_within_bound();

  std::map<FragmentKey, Packet> waiting_;
  std::list<FragmentKey> by_age_;  // oldest first
  std::size_t held_ = 0;
};

}  // namespace tcpwhy::compat::tshark
