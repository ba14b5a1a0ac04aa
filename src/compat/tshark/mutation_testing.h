// Test support: captures made difficult. Packets are lost, doubled, swapped, cut, given other windows, numbers, flags
// and times, quoted in ICMP errors, broken in fragments, all by a seed.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "wire/packet.h"

namespace tcpwhy::compat::tshark::testing {

struct Packet {
  std::vector<std::uint8_t> bytes;
  std::uint32_t original_length = 0;
  std::int64_t at_ns = 0;
};

using Packets = std::vector<Packet>;

class Mutator {
 public:
  Mutator(std::uint64_t seed, wire::LinkType link_type) : random_(seed), link_type_(link_type) {}

  // `one_in`: how many packets there are for one that is changed.
  Packets mutate(const Packets& packets, unsigned one_in) {
    out_.clear();
    shift_ = choose({0U, 0x8000'0000U, 0xffff'f000U, 12'345U, static_cast<std::uint32_t>(random_())});
    for (Packet packet : packets) {
      const auto headers = find_headers(packet);
      if (headers) shift_numbers(packet, *headers);
      if (!headers || below(one_in) != 0) {
        out_.push_back(std::move(packet));
        continue;
      }
      change(std::move(packet), *headers);
    }
    return std::move(out_);
  }

 private:
  struct Headers {
    std::size_t ip = 0, tcp = 0;
  };

  [[nodiscard]] std::uint32_t below(std::uint32_t bound) { return static_cast<std::uint32_t>(random_() % bound); }
  template <class T>
  T choose(std::initializer_list<T> values) {
    return values.begin()[below(static_cast<std::uint32_t>(values.size()))];
  }

  static std::uint32_t get(const Packet& packet, std::size_t at, std::size_t size) {
    std::uint32_t value = 0;
    for (std::size_t i = 0; i < size; ++i) value = value << 8U | packet.bytes[at + i];
    return value;
  }
  static void put(Packet& packet, std::size_t at, std::size_t size, std::uint32_t value) {
    for (std::size_t i = size; i-- > 0; value >>= 8U) packet.bytes[at + i] = static_cast<std::uint8_t>(value);
  }

  // Of unfragmented TCP over IPv4 without tags, whose fixed header was captured.
  [[nodiscard]] std::optional<Headers> find_headers(const Packet& packet) const {
    Headers headers;
    switch (link_type_) {
      case wire::LinkType::ethernet: headers.ip = 14; break;
      case wire::LinkType::linux_sll: headers.ip = 16; break;
      case wire::LinkType::null: headers.ip = 4; break;
      default: break;
    }
    if (packet.bytes.size() < headers.ip + 40 || packet.bytes[headers.ip] >> 4U != 4) return std::nullopt;
    if (link_type_ == wire::LinkType::ethernet && get(packet, 12, 2) != 0x0800) return std::nullopt;
    if (packet.bytes[headers.ip + 9] != 6 || (get(packet, headers.ip + 6, 2) & 0x3fffU) != 0) return std::nullopt;
    headers.tcp = headers.ip + (packet.bytes[headers.ip] & 0xfU) * 4U;
    if (packet.bytes.size() < headers.tcp + 20) return std::nullopt;
    return headers;
  }

  // The same for both directions, so that the connections stay what they are.
  void shift_numbers(Packet& packet, const Headers& headers) const {
    put(packet, headers.tcp + 4, 4, get(packet, headers.tcp + 4, 4) + shift_);
    if ((packet.bytes[headers.tcp + 13] & 0x10U) != 0) {
      put(packet, headers.tcp + 8, 4, get(packet, headers.tcp + 8, 4) + shift_);
    }
  }

  [[nodiscard]] static std::uint32_t header_lengths(const Packet& packet, const Headers& headers) {
    return static_cast<std::uint32_t>(headers.tcp - headers.ip) + (packet.bytes[headers.tcp + 12] >> 4U) * 4U;
  }
  static void set_payload_length(Packet& packet, const Headers& headers, std::uint32_t length) {
    put(packet, headers.ip + 2, 2, header_lengths(packet, headers) + length);
  }

  void add_copies(const Packet& packet, unsigned count) {
    const std::int64_t apart = choose<std::int64_t>({0, 100, 100'000, 100'000'000});
    for (unsigned i = 0; i < count; ++i) {
      out_.push_back(packet);
      out_.back().at_ns += apart * i;
    }
  }

  void add_wrong_number(Packet packet, std::size_t at) {
    const std::uint32_t by = choose({1U, 0U - 1U, 2U, 1000U, 0U - 1000U, 0x8000'0000U, 0x7fff'ffffU});
    put(packet, at, 4, get(packet, at, 4) + by);
    out_.push_back(std::move(packet));
  }

  void add_cut(Packet packet, const Headers& headers) {
    packet.bytes.resize(std::min(packet.bytes.size(), headers.tcp + below(44)));
    out_.push_back(std::move(packet));
  }

  void add_other_option(Packet packet, const Headers& headers) {
    constexpr std::array<std::uint8_t, 12> values{0, 1, 2, 3, 4, 5, 8, 10, 30, 34, 253, 254};
    const std::size_t options = std::min<std::size_t>(packet.bytes.size() - headers.tcp - 20, 20);
    if (options > 0) {
      packet.bytes[headers.tcp + 20 + below(static_cast<std::uint32_t>(options))] =
          values[below(static_cast<std::uint32_t>(values.size()))];
    }
    out_.push_back(std::move(packet));
  }

  void add_turned_round(Packet packet, const Headers& headers) {
    const auto at = [&packet](std::size_t offset) {
      return packet.bytes.begin() + static_cast<std::ptrdiff_t>(offset);
    };
    std::swap_ranges(at(headers.ip + 12), at(headers.ip + 16), at(headers.ip + 16));
    std::swap_ranges(at(headers.tcp), at(headers.tcp + 2), at(headers.tcp + 2));
    out_.push_back(std::move(packet));
  }

  // A SYN with the sender's next number, or with the one before: another connection, or the same once more.
  void add_syn_behind(const Packet& packet, const Headers& headers) {
    Packet syn = packet;
    syn.bytes[headers.tcp + 13] = 0x02;
    put(syn, headers.tcp + 4, 4, get(packet, headers.tcp + 4, 4) - below(2));
    syn.at_ns += 1000;
    out_.push_back(packet);
    out_.push_back(std::move(syn));
  }

  void add_keep_alive_behind(const Packet& packet, const Headers& headers) {
    Packet probe = packet;
    put(probe, headers.tcp + 4, 4, get(packet, headers.tcp + 4, 4) - 1);
    set_payload_length(probe, headers, below(2));
    probe.at_ns += 1000;
    out_.push_back(packet);
    out_.push_back(std::move(probe));
  }

  void add_quoted(const Packet& packet, const Headers& headers) {
    constexpr std::array<std::uint8_t, 5> types{3, 4, 5, 11, 12};
    const std::size_t quoted = std::min<std::size_t>(packet.bytes.size() - headers.ip,
                                                     headers.tcp - headers.ip + choose({8U, 20U, 40U, 200U}));
    Packet error{.bytes = {packet.bytes.begin(), packet.bytes.begin() + static_cast<std::ptrdiff_t>(headers.tcp)},
                 .at_ns = packet.at_ns + 10};
    error.bytes.resize(headers.ip + 20 + 8);
    error.bytes[headers.ip] = 0x45;
    put(error, headers.ip + 2, 2, static_cast<std::uint32_t>(28 + quoted));
    error.bytes[headers.ip + 9] = 1;
    put(error, headers.ip + 20, 4, 0);
    error.bytes[headers.ip + 20] = types[below(static_cast<std::uint32_t>(types.size()))];
    const auto from = packet.bytes.begin() + static_cast<std::ptrdiff_t>(headers.ip);
    error.bytes.insert(error.bytes.end(), from, from + static_cast<std::ptrdiff_t>(quoted));
    out_.push_back(packet);
    out_.push_back(std::move(error));
  }

  void add_fragments(const Packet& packet, const Headers& headers) {
    const std::size_t end = headers.ip + get(packet, headers.ip + 2, 2);
    if (end > packet.bytes.size() || end < headers.tcp + 28) return out_.push_back(packet);
    const std::size_t cut = 8U * (1 + below(static_cast<std::uint32_t>((end - headers.tcp - 1) / 8)));
    std::vector<Packet> pieces;
    for (const bool first : {true, false}) {
      Packet piece{.bytes = {packet.bytes.begin(), packet.bytes.begin() + static_cast<std::ptrdiff_t>(headers.tcp)},
                   .at_ns = packet.at_ns};
      const auto from = packet.bytes.begin() + static_cast<std::ptrdiff_t>(headers.tcp + (first ? 0 : cut));
      const auto to = packet.bytes.begin() + static_cast<std::ptrdiff_t>(first ? headers.tcp + cut : end);
      piece.bytes.insert(piece.bytes.end(), from, to);
      put(piece, headers.ip + 2, 2, static_cast<std::uint32_t>(piece.bytes.size() - headers.ip));
      put(piece, headers.ip + 6, 2, first ? 0x2000U : static_cast<std::uint32_t>(cut / 8));
      pieces.push_back(std::move(piece));
    }
    if (below(3) == 0) std::swap(pieces[0], pieces[1]);
    if (below(5) == 0) pieces.pop_back();
    out_.insert(out_.end(), pieces.begin(), pieces.end());
  }

  void change(Packet packet, const Headers& headers) {
    const std::size_t tcp = headers.tcp;
    switch (below(22)) {
      case 0: return;
      case 1: return add_copies(packet, 2);
      case 2: return add_copies(packet, 2 + below(4));
      case 3:
        out_.push_back(std::move(packet));
        if (out_.size() > 1) std::swap(out_[out_.size() - 1], out_[out_.size() - 2]);
        return;
      case 4: put(packet, tcp + 14, 2, 0); break;
      case 5: put(packet, tcp + 14, 2, below(65536)); break;
      case 6: return add_wrong_number(std::move(packet), tcp + 4);
      case 7: return add_wrong_number(std::move(packet), tcp + 8);
      case 8: packet.bytes[tcp + 13] ^= static_cast<std::uint8_t>(1U << below(6)); break;
      case 9:
        packet.bytes[tcp + 13] = choose<std::uint8_t>({0x02, 0x12, 0x10, 0x18, 0x11, 0x04, 0x14, 0x00, 0x29});
        break;
      case 10: packet.at_ns += choose<std::int64_t>({-1'000'000, 1'000'000, -5000, 500'000'000, 10'000'000'000}); break;
      case 11: set_payload_length(packet, headers, 0); break;
      case 12: set_payload_length(packet, headers, 1); break;
      case 13:
        put(packet, headers.ip + 2, 2, get(packet, headers.ip + 2, 2) + choose({1U, 4U, 30U, 0U - 1U, 0U - 20U}));
        break;
      case 14: packet.bytes[tcp + 12] = static_cast<std::uint8_t>(below(16) << 4U); break;
      case 15: return add_cut(std::move(packet), headers);
      case 16: return add_other_option(std::move(packet), headers);
      case 17: return add_turned_round(std::move(packet), headers);
      case 18: return add_syn_behind(packet, headers);
      case 19: return add_keep_alive_behind(packet, headers);
      case 20: return add_quoted(packet, headers);
      default: return add_fragments(packet, headers);
    }
    out_.push_back(std::move(packet));
  }

  std::mt19937_64 random_;
  wire::LinkType link_type_;
  std::uint32_t shift_ = 0;
  Packets out_;
};

}  // namespace tcpwhy::compat::tshark::testing
