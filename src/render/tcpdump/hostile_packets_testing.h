// Test support: packets made to be difficult for the tcpdump view. All random ones come from a seed.
#pragma once

#include <algorithm>
#include <cstdint>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "render/tcpdump/reference_testing.h"
#include "wire/link/frames_testing.h"
#include "wire/packet_builder.h"

namespace tcpwhy::render::testing {

using wire::testing::be16;
using wire::testing::be32;
using wire::testing::ByteString;
using wire::testing::ethernet;
using wire::testing::ipv4;
using wire::testing::ipv6;
using wire::testing::Ipv6Fields;
using wire::testing::tcp;
using wire::testing::zeros;
using wire::testing::operator+;

class Random {
 public:
  explicit Random(std::uint64_t seed) : engine_(seed) {}
  // 0 .. limit-1. Not std::uniform_int_distribution: libraries differ in what it yields.
  std::size_t below(std::size_t limit) { return static_cast<std::size_t>(engine_() % limit); }
  bool one_in(std::size_t count) { return below(count) == 0; }
  std::uint8_t byte() { return static_cast<std::uint8_t>(engine_()); }
  ByteString bytes(std::size_t count) {
    ByteString result(count);
    for (auto& b : result) b = byte();
    return result;
  }
  template <class T>
  const T& of(const std::vector<T>& values) {
    return values[below(values.size())];
  }

 private:
  std::mt19937_64 engine_;
};

// Stamps that grow, some by days, some backwards.
inline base::WallTime stamp(std::size_t i) {
  const std::int64_t odd = static_cast<std::int64_t>(i) * 1'234'567'891 % 200'000'000'000'000;
  return base::wall_from_ns(1'700'000'000'000'000'000 + odd);
}

inline SamplePacket sample(wire::LinkType link_type, ByteString bytes, std::size_t number = 0) {
  const std::size_t length = bytes.size();
  return {link_type, std::move(bytes), length, stamp(number)};
}

inline void stamp_all(std::vector<SamplePacket>& packets) {
  for (std::size_t i = 0; i < packets.size(); ++i) packets[i].at = stamp(i);
}

inline constexpr unsigned ipv4_type = 0x0800, ipv6_type = 0x86dd;

inline ByteString rich_segment() {
  return tcp({.options = ByteString{2, 4, 5, 0xb4, 4, 2, 8, 10, 0, 0, 0, 9, 0, 0, 0, 7, 1, 3, 3, 7}},
             wire::testing::text("hello"));
}
inline ByteString sack_segment() {
  return tcp(
      {.flags = 0x010,
       .options = ByteString{1, 1, 5, 18} + be32(0x80000005) + be32(0x8000000a) + be32(0x80000010) + be32(0x80000020)});
}

// TCP in everything that tcpdump unwraps.
inline std::vector<SamplePacket> encapsulations() {
  using wire::LinkType;
  const ByteString segment = rich_segment(), four = ipv4({}, segment), six = ipv6({}, segment);
  const auto session = [](unsigned protocol, const ByteString& packet) {
    return ByteString{0x11, 0, 0, 7} + be16(static_cast<unsigned>(packet.size()) + 2) + be16(protocol) + packet;
  };
  const auto extension = [](std::uint8_t next, std::uint8_t words, std::size_t size) {
    return ByteString{next, words} + zeros(size - 2);
  };
  const ByteString ah = ByteString{6, 4, 0, 0} + be32(1) + be32(2) + zeros(12);
  const ByteString snap = ByteString{0xaa, 0xaa, 3, 0, 0, 0} + be16(ipv4_type);
  const ByteString mac = {1, 2, 3, 4, 5, 6};
  const ByteString routing = ByteString{6, 2, 0, 1, 0, 0, 0, 0} + zeros(16);
  const ByteString segments = ByteString{6, 2, 4, 1, 0, 0, 0, 1} + zeros(16);
  const ByteString fragment = {6, 0, 0, 1, 0, 0, 0, 9}, later_fragment = {6, 0, 0, 9, 0, 0, 0, 9};
  const auto udp = [](unsigned port, const ByteString& payload) {
    return be16(50000) + be16(port) + be16(static_cast<unsigned>(payload.size()) + 8) + be16(0) + payload;
  };
  const ByteString vxlan = ByteString{8, 0, 0, 0, 0, 0, 1, 0} + ethernet(ipv4_type, four);
  const auto gre = [&](std::uint16_t flags, unsigned type, const ByteString& fields, const ByteString& payload) {
    return ipv4({.protocol = 47}, be16(flags) + be16(type) + fields + payload);
  };
  std::vector<std::pair<LinkType, ByteString>> list = {
      {LinkType::ethernet, ethernet(ipv4_type, four)},
      {LinkType::ethernet, ethernet(ipv6_type, six)},
      {LinkType::ethernet, ethernet(ipv4_type, ipv4({}, sack_segment()))},
      {LinkType::ethernet, ethernet(0x8100, be16(0x3005) + be16(ipv4_type) + four)},
      {LinkType::ethernet, ethernet(0x88a8, be16(5) + be16(0x8100) + be16(6) + be16(ipv6_type) + six)},
      {LinkType::ethernet, ethernet(0x8847, be32(0x00010040) + be32(0x00020140) + four)},
      {LinkType::ethernet, ethernet(0x8847, be32(0x00002140) + six)},
      {LinkType::ethernet, ethernet(0x8864, session(0x21, four))},
      {LinkType::ethernet, ethernet(0x8864, session(0x57, six))},
      {LinkType::ethernet, ethernet(static_cast<unsigned>(four.size()) + 8, snap + four)},
      {LinkType::ethernet, ethernet(static_cast<unsigned>(four.size()) + 3, ByteString{6, 6, 3} + four)},
      {LinkType::ethernet, ethernet(ipv4_type, ipv4({.options = {0x94, 4, 0, 0}}, segment))},
      {LinkType::ethernet, ethernet(ipv4_type, ipv4({.protocol = 51}, ah + segment))},
      {LinkType::ethernet, ethernet(ipv4_type, ipv4({.protocol = 4}, four))},
      {LinkType::ethernet, ethernet(ipv4_type, ipv4({.protocol = 41}, six))},
      {LinkType::ethernet, ethernet(ipv4_type, gre(0, ipv4_type, {}, four))},
      {LinkType::ethernet, ethernet(ipv4_type, gre(0xb000, ipv6_type, zeros(12), six))},
      {LinkType::ethernet, ethernet(ipv4_type, gre(0x4000, ipv4_type, zeros(8), four))},
      {LinkType::ethernet, ethernet(ipv4_type, gre(0, 0x6558, {}, ethernet(ipv4_type, four)))},
      {LinkType::ethernet, ethernet(ipv4_type, gre(0x3081, 0x880b, zeros(12), be16(0x21) + four))},
      {LinkType::ethernet, ethernet(ipv4_type, ipv4({.protocol = 17}, udp(4789, vxlan)))},
      {LinkType::ethernet, ethernet(ipv6_type, ipv6({.next_header = 17}, udp(4789, vxlan)))},
      {LinkType::ethernet, ethernet(ipv6_type, ipv6({.next_header = 0}, extension(6, 0, 8) + segment))},
      {LinkType::ethernet, ethernet(ipv6_type, ipv6({.next_header = 60}, extension(6, 1, 16) + segment))},
      {LinkType::ethernet, ethernet(ipv6_type, ipv6({.next_header = 43}, routing + segment))},
      {LinkType::ethernet, ethernet(ipv6_type, ipv6({.next_header = 43}, segments + segment))},
      {LinkType::ethernet, ethernet(ipv6_type, ipv6({.next_header = 44}, fragment + segment))},
      {LinkType::ethernet, ethernet(ipv6_type, ipv6({.next_header = 44}, later_fragment + segment))},
      {LinkType::ethernet, ethernet(ipv6_type, ipv6({.next_header = 51}, ah + segment))},
      {LinkType::ethernet, ethernet(ipv6_type, ipv6({.next_header = 41}, six))},
      {LinkType::ethernet,
       ethernet(ipv6_type, ipv6({.next_header = 0}, extension(60, 0, 8) + extension(44, 0, 8) + fragment + segment))},
      {LinkType::ethernet, ethernet(ipv6_type, ipv6({.next_header = 0, .payload_length = 0},
                                                    ByteString{6, 0, 0xc2, 4} + be32(70'000) + segment))},
      {LinkType::ethernet, ethernet(ipv4_type, ipv4({.fragment = 0x2000}, segment))},
      {LinkType::ethernet, ethernet(ipv4_type, ipv4({.fragment = 0x2010}, segment))},
      {LinkType::linux_sll, be16(0) + be16(1) + be16(6) + mac + zeros(2) + be16(ipv4_type) + four},
      {LinkType::linux_sll, be16(4) + be16(772) + be16(0) + mac + zeros(2) + be16(ipv6_type) + six},
      {LinkType::linux_sll,
       be16(0) + be16(1) + be16(6) + mac + zeros(2) + be16(0x8100) + be16(9) + be16(ipv4_type) + four},
      {LinkType::linux_sll, be16(0) + be16(1) + be16(6) + mac + zeros(2) + be16(4) + snap + four},
      {LinkType::linux_sll2,
       be16(ipv4_type) + zeros(2) + be32(1) + be16(772) + ByteString{0, 6} + mac + zeros(2) + four},
      {LinkType::linux_sll2,
       be16(ipv6_type) + zeros(2) + be32(4000) + be16(1) + ByteString{4, 6} + mac + zeros(2) + six},
      {LinkType::linux_sll2, be16(0x8100) + zeros(2) + be32(1) + be16(1) + ByteString{4, 6} + mac + zeros(2) + be16(5) +
                                 be16(ipv4_type) + four},
      {LinkType::ieee802_11, ByteString{0x08, 0x01, 0, 0} + mac + mac + mac + zeros(2) + snap + four},
      {LinkType::ieee802_11, ByteString{0x98, 0x02, 0, 0} + mac + mac + mac + zeros(4) + snap + four},
      {LinkType::ieee802_11, ByteString{0x28, 0x0b, 0, 0} + mac + mac + mac + zeros(2) + mac + snap + four},
      {LinkType::null, ByteString{2, 0, 0, 0} + four},
      {LinkType::null, ByteString{0, 0, 0, 30} + six},
      {LinkType::loop, ByteString{0, 0, 0, 2} + four},
      {LinkType::loop, ByteString{24, 0, 0, 0} + six},
      {LinkType::raw, four},
      {LinkType::raw, six},
      {LinkType::ipv4, four},
      {LinkType::ipv6, six},
      {LinkType::ppp, be16(0xff03) + be16(0x21) + four},
      {LinkType::ppp, be16(0x57) + six},
      {LinkType::ppp, be16(0xff03) + be16(0x281) + be32(0x00010140) + four},
      {LinkType::ppp, ByteString{0x21} + four},
  };
  std::vector<SamplePacket> packets;
  for (auto& [link_type, bytes] : list) packets.push_back(sample(link_type, bytes));
  stamp_all(packets);
  return packets;
}

// TCP in each link type that tcpdump knows.
inline std::vector<SamplePacket> in_each_link_type() {
  const ByteString segment = rich_segment();
  std::vector<SamplePacket> packets;
  for (auto& frame : wire::testing::link_frames(ipv4({}, segment), ipv6({}, segment)))
    if (frame.in_tcpdump) packets.push_back(sample(frame.link_type, std::move(frame.bytes)));
  stamp_all(packets);
  return packets;
}

// Headers of links of which render/tcpdump/tolerated.md says that this view writes something else.
inline bool is_tolerated(const SamplePacket& packet) {
  const ByteString& b = packet.bytes;
  if (b.size() < 5) return false;
  constexpr std::uint8_t extensions = 0x80, whole_bits = 0xc0, link_services = 0x54, adaptive_services = 0x47;
  const bool cookie = b[4] == link_services || b[4] == adaptive_services;
  switch (static_cast<unsigned>(packet.link_type)) {
    case 8: return (b[1] & 0xf0U) != 0x40;
    case 50: return b[0] == 0;
    case 132:
    case 167:
    case 168: return cookie || (b[3] & extensions);
    case 134: return !cookie && (b[4] & whole_bits) != whole_bits;
    default: return false;
  }
}

// Any fields, whole or not, before a frame that carries TCP.
inline std::vector<SamplePacket> random_radiotap(Random& random, std::size_t count) {
  const ByteString mac = {2, 0, 0, 0, 0, 1}, snap = ByteString{0xaa, 0xaa, 3, 0, 0, 0} + be16(ipv4_type);
  std::vector<SamplePacket> packets;
  for (std::size_t i = 0; i < count; ++i) {
    ByteString words, fields;
    const std::size_t word_count = 1 + random.below(3);
    for (std::size_t word = 0; word < word_count; ++word) {
      std::uint32_t present = 1U << random.below(22) | 1U << random.below(22);
      if (random.one_in(2)) present |= 1U << random.below(22);
      if (random.one_in(4)) present |= 1U << (29 + random.below(2));
      if (word + 1 < word_count) present |= 1U << 31U;
      words = words + wire::testing::le32(present);
    }
    fields = random.bytes(random.below(60));
    for (std::uint8_t& byte : fields)
      if (random.one_in(2)) byte = static_cast<std::uint8_t>(random.below(78));
    const auto length = static_cast<unsigned>(4 + words.size() + fields.size());
    ByteString data =
        ByteString{0x08, 0x01, 0, 0} + mac + mac + mac + zeros(2) + snap + ipv4({}, rich_segment()) + zeros(4);
    packets.push_back(sample(wire::LinkType::ieee802_11_radiotap,
                             ByteString{0, 0} + wire::testing::le16(length) + words + fields + data));
  }
  stamp_all(packets);
  return packets;
}

// Each twice at each length: once cut by the capture, once as short on the wire.
inline std::vector<SamplePacket> cut_everywhere(const std::vector<SamplePacket>& packets) {
  std::vector<SamplePacket> result;
  for (const auto& packet : packets) {
    for (std::size_t size = 0; size <= packet.bytes.size(); ++size) {
      SamplePacket cut = packet;
      cut.bytes.resize(size);
      result.push_back(cut);
      cut.original_length = size;
      result.push_back(cut);
    }
  }
  stamp_all(result);
  return result;
}

inline std::vector<SamplePacket> all_flags() {
  std::vector<SamplePacket> packets;
  for (unsigned flags = 0; flags < 0x1000; ++flags) {
    const auto payload = zeros(flags % 3);
    const auto segment = tcp({.seq = 0xfffffff0 + flags,
                              .ack = 0x7ffffff0 + flags,
                              .flags = static_cast<std::uint16_t>(flags),
                              .urgent_pointer = 77},
                             payload);
    packets.push_back(sample(wire::LinkType::ethernet, ethernet(ipv4_type, ipv4({}, segment))));
    packets.push_back(sample(wire::LinkType::ethernet, ethernet(ipv6_type, ipv6({}, segment))));
  }
  stamp_all(packets);
  return packets;
}

inline SamplePacket with_options(ByteString options, std::uint16_t flags, const ByteString& payload = {}) {
  options.resize(std::min<std::size_t>(options.size(), 40));
  return sample(wire::LinkType::ethernet,
                ethernet(ipv4_type, ipv4({}, tcp({.flags = flags, .options = options}, payload))));
}

// Every kind with every length byte; multipath with every subtype and flag; with three sorts of content.
inline std::vector<SamplePacket> all_options() {
  std::vector<SamplePacket> packets;
  const auto counting = [](std::size_t count) {
    ByteString bytes(count);
    for (std::size_t i = 0; i < count; ++i) bytes[i] = static_cast<std::uint8_t>(0x81 + 7 * i);
    return bytes;
  };
  for (unsigned kind = 0; kind < 256; ++kind) {
    for (unsigned length = 0; length <= 41; ++length) {
      const ByteString head = {static_cast<std::uint8_t>(kind), static_cast<std::uint8_t>(length)};
      const std::size_t body = length > 2 ? length - 2 : 0;
      packets.push_back(with_options(head + counting(body), 0x010));
      packets.push_back(with_options(ByteString{1} + head + zeros(body) + ByteString{2, 4, 1, 2}, 0x002));
    }
  }
  for (unsigned subtype = 0; subtype < 256; ++subtype) {
    for (unsigned length = 3; length <= 32; ++length) {
      for (const std::uint16_t flags : std::vector<std::uint16_t>{0x002, 0x012, 0x010, 0x001}) {
        const ByteString head = {30, static_cast<std::uint8_t>(length), static_cast<std::uint8_t>(subtype)};
        packets.push_back(with_options(head + counting(length - 3), flags));
        packets.push_back(with_options(head + zeros(length - 3), flags));
      }
    }
  }
  for (unsigned data_flags = 0; data_flags < 256; ++data_flags) {
    for (unsigned length = 4; length <= 32; ++length) {
      const ByteString head = {30, static_cast<std::uint8_t>(length), 0x20, static_cast<std::uint8_t>(data_flags)};
      packets.push_back(with_options(head + counting(length - 4), 0x010));
    }
  }
  stamp_all(packets);
  return packets;
}

// One option that is mostly well-formed.
inline ByteString random_option(Random& random) {
  static const std::vector<std::pair<std::uint8_t, std::uint8_t>> usual = {
      {2, 4},  {3, 3},  {4, 2},   {5, 10},  {5, 18},  {5, 26},  {6, 6},   {7, 6},   {8, 10},  {11, 6},
      {12, 6}, {13, 6}, {19, 18}, {20, 4},  {28, 4},  {29, 16}, {30, 4},  {30, 12}, {30, 16}, {30, 20},
      {30, 8}, {34, 2}, {34, 10}, {254, 4}, {254, 6}, {253, 4}, {69, 11}, {172, 5}, {30, 22}, {30, 24}};
  if (random.one_in(4)) return {1};
  if (random.one_in(20)) return {0};
  auto [kind, length] = random.of(usual);
  if (random.one_in(8)) length = static_cast<std::uint8_t>(random.below(24));
  if (random.one_in(10)) kind = random.byte();
  ByteString option = ByteString{kind, length} + random.bytes(length > 2 ? length - 2U : 0U);
  if (kind == 254 && option.size() >= 4 && random.one_in(2)) option[2] = 0xf9, option[3] = 0x89;
  if (kind == 30 && option.size() >= 3) option[2] = static_cast<std::uint8_t>(random.below(9) << 4U | random.below(8));
  return option;
}

inline std::vector<SamplePacket> random_options(Random& random, std::size_t count) {
  std::vector<SamplePacket> packets;
  static const std::vector<std::uint16_t> flag_choices = {0x010, 0x012, 0x002, 0x018, 0x011, 0x004, 0x014, 0x0c2};
  for (std::size_t i = 0; i < count; ++i) {
    ByteString options;
    for (std::size_t n = 1 + random.below(5); n > 0; --n) options = options + random_option(random);
    auto packet = with_options(options, random.of(flag_choices), random.bytes(random.below(4)));
    if (random.one_in(4)) packet.bytes.resize(14 + 40 + random.below(packet.bytes.size() - 53));
    packets.push_back(std::move(packet));
  }
  stamp_all(packets);
  return packets;
}

// An options header of IPv6 with the options that have rules, and others, mostly well-formed.
inline ByteString random_ipv6_options(Random& random, std::uint8_t next) {
  static const std::vector<std::pair<std::uint8_t, std::uint8_t>> usual = {{1, 2},    {5, 2}, {0xc2, 4}, {0xc9, 16},
                                                                           {0x26, 1}, {4, 1}, {7, 8},    {0x63, 4},
                                                                           {1, 0},    {8, 2}, {0x8b, 6}, {0x6d, 3}};
  ByteString options;
  for (std::size_t n = random.below(4); n > 0; --n) {
    auto [type, length] = random.of(usual);
    if (random.one_in(6)) length = static_cast<std::uint8_t>(random.below(10));
    if (random.one_in(8)) type = random.byte();
    if (random.one_in(5)) options.push_back(0);
    options = options + ByteString{type, length} + (random.one_in(2) ? random.bytes(length) : zeros(length));
  }
  while (options.size() % 8 != 6) options.push_back(static_cast<std::uint8_t>(random.one_in(9) ? 1 : 0));
  const auto words = static_cast<std::uint8_t>(options.size() / 8);
  return ByteString{next, static_cast<std::uint8_t>(random.one_in(12) ? random.below(8) : words)} + options;
}

inline ByteString random_extension(Random& random, std::uint8_t type, std::uint8_t next) {
  switch (type) {
    case 43: {
      const std::size_t words = random.below(6);
      static const std::vector<std::uint8_t> types = {0, 2, 4, 4, 3, 9};
      return ByteString{next, static_cast<std::uint8_t>(words), random.of(types),
                        static_cast<std::uint8_t>(random.below(3))} +
             (random.one_in(2) ? random.bytes(4) : zeros(4)) + random.bytes(words * 8);
    }
    case 44:
      return ByteString{next, 0} + be16(random.one_in(4) ? random.byte() * 8U : random.byte() & 1U) + random.bytes(4);
    case 51: {
      const std::size_t words = random.below(7);
      return ByteString{next, static_cast<std::uint8_t>(words)} + (random.one_in(3) ? random.bytes(2) : zeros(2)) +
             random.bytes(words > 0 ? words * 4 + 4 : 8);
    }
    default: return random_ipv6_options(random, next);
  }
}

// TCP behind a random chain of extension headers; sometimes as a jumbogram, sometimes cut, sometimes with a wrong length.
inline std::vector<SamplePacket> random_extension_chains(Random& random, std::size_t count) {
  static const std::vector<std::uint8_t> types = {0, 60, 43, 44, 51};
  std::vector<SamplePacket> packets;
  for (std::size_t i = 0; i < count; ++i) {
    ByteString chain = rich_segment();
    std::uint8_t next = 6;
    for (std::size_t n = 1 + random.below(3); n > 0; --n) {
      const std::uint8_t type = random.of(types);
      chain = random_extension(random, type, next) + chain;
      next = type;
    }
    Ipv6Fields fields{.next_header = next};
    if (random.one_in(6)) fields.payload_length = static_cast<int>(random.below(chain.size() + 30));
    if (random.one_in(8)) fields.payload_length = 0;
    if (random.one_in(10)) {
      fields = {.next_header = 0, .payload_length = 0};
      const auto jumbo = static_cast<std::uint32_t>(65'530 + random.below(100));
      chain = ByteString{next, 0, 0xc2, 4} + be32(jumbo) + chain;
    }
    const bool v4 = (next == 51 || next == 6) && random.one_in(2);
    auto packet = sample(wire::LinkType::raw, v4 ? ipv4({.protocol = next}, chain) : ipv6(fields, chain));
    if (random.one_in(4)) packet.bytes.resize(1 + random.below(packet.bytes.size()));
    if (random.one_in(8)) packet.original_length = packet.bytes.size() + random.below(70'000);
    packet.original_length = std::max(packet.original_length, packet.bytes.size());
    packets.push_back(std::move(packet));
  }
  stamp_all(packets);
  return packets;
}

inline void mutate(Random& random, SamplePacket& packet) {
  auto& bytes = packet.bytes;
  if (bytes.empty()) return;
  // Mostly in the headers.
  const std::size_t at = random.below(random.one_in(4) ? bytes.size() : std::min<std::size_t>(bytes.size(), 80));
  switch (random.below(7)) {
    case 0: bytes[at] = random.byte(); break;
    case 1: bytes[at] = static_cast<std::uint8_t>(bytes[at] ^ (1U << random.below(8))); break;
    case 2: bytes[at] = static_cast<std::uint8_t>(random.below(8)); break;
    case 3: bytes[at] = random.one_in(2) ? 0 : 0xff; break;
    case 4: bytes.resize(1 + at); break;
    case 5:
      bytes.resize(1 + at);
      packet.original_length = bytes.size();
      break;
    case 6: packet.original_length = bytes.size() + random.below(3000); break;
    default: break;
  }
  packet.original_length = std::max(packet.original_length, bytes.size());
}

inline std::vector<SamplePacket> mutated(Random& random, const std::vector<SamplePacket>& seeds, std::size_t count) {
  std::vector<SamplePacket> packets;
  for (std::size_t i = 0; i < count; ++i) {
    SamplePacket packet = random.of(seeds);
    for (std::size_t changes = 1 + random.below(3); changes > 0; --changes) mutate(random, packet);
    packets.push_back(std::move(packet));
  }
  stamp_all(packets);
  return packets;
}

// Few addresses and ports, both directions, many SYNs, all at random: what the table of conversations must tell apart.
inline std::vector<SamplePacket> colliding_conversations(Random& random, std::size_t count) {
  static const std::vector<std::uint16_t> flag_choices = {0x010, 0x010, 0x010, 0x018, 0x012,
                                                          0x002, 0x011, 0x004, 0x014};
  std::vector<SamplePacket> packets;
  for (std::size_t i = 0; i < count; ++i) {
    const ByteString segment =
        tcp({.source_port = static_cast<std::uint16_t>(1 + random.below(3)),
             .destination_port = static_cast<std::uint16_t>(1 + random.below(3)),
             .seq = static_cast<std::uint32_t>(0xfffffff0 + random.below(40)),
             .ack = static_cast<std::uint32_t>(0x7fffffff + random.below(40)),
             .flags = random.of(flag_choices),
             .options = random.one_in(3) ? ByteString{1, 1, 5, 10} + be32(0xfffffff8) + be32(5) : ByteString{}},
            random.bytes(random.below(3)));
    ByteString packet = random.one_in(2) ? ipv4({}, segment) : ipv6({}, segment);
    const bool v4 = packet[0] >> 4U == 4;
    // The last bytes of the addresses.
    packet[v4 ? 15 : 23] = static_cast<std::uint8_t>(1 + random.below(2));
    packet[v4 ? 19 : 39] = static_cast<std::uint8_t>(1 + random.below(2));
    if (v4) std::copy_n(packet.begin() + 12, 3, packet.begin() + 16);
    packets.push_back(sample(wire::LinkType::raw, packet));
  }
  stamp_all(packets);
  return packets;
}

}  // namespace tcpwhy::render::testing
