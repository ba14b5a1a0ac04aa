// A tunnel or a VLAN for each direction: what is said of a capture is what is said of it without them. What must stay apart stays apart:
// two tenants with the same addresses and ports, and one connection in two places.
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/testing/data.h"
#include "capfile/capture_builder.h"
#include "scan/connections/analysis.h"
#include "scan/connections/pick_connection.h"
#include "scan/testing/records.h"
#include "wire/ether_type.h"
#include "wire/packet_builder.h"

namespace tcpwhy::scan {
namespace {

namespace fs = std::filesystem;
using wire::testing::be16, wire::testing::be32, wire::testing::ByteString, wire::testing::ethernet, wire::testing::ipv4,
    wire::testing::Ipv4Fields, wire::testing::TcpFields, wire::testing::zeros, wire::testing::operator+;

// --- packets and what is put around them -----------------------------------------------------------------------

struct Packet {
  base::WallTime at;
  ByteString ip;             // from the IP header on, as far as it was captured
  std::size_t length = 0;    // on the wire
  bool low_to_high = false;  // its direction: the source is the lesser end
};

// A frame's payload as it is on the wire: the headers put around it say its length there, of which less may be captured.
struct Wrapped {
  ByteString headers;
  unsigned ether_type = 0;
};

ByteString be24(std::uint32_t value) {
  return ByteString{static_cast<std::uint8_t>(value >> 16U)} + be16(value & 0xffffU);
}

ByteString inner_ethernet(unsigned ether_type) { return ethernet(ether_type, {}); }

// An IPv4 header in front of `behind` and of what is carried.
ByteString outer_ip(std::uint8_t protocol, const ByteString& behind, std::size_t carried, bool there,
                    std::uint8_t network = 0) {
  Ipv4Fields fields{.protocol = protocol};
  fields.total_length = static_cast<int>(20 + behind.size() + carried);
  fields.source = {10, 9, network, 1}, fields.destination = {10, 9, network, 2};
  if (!there) std::swap(fields.source, fields.destination);
  return ipv4(fields, behind);
}

ByteString outer_udp(unsigned port, const ByteString& behind, std::size_t carried, bool there) {
  const unsigned source = there ? 50'001 : 50'002;
  return outer_ip(
      17, be16(source) + be16(port) + be16(static_cast<unsigned>(8 + behind.size() + carried)) + be16(0) + behind,
      carried, there);
}

struct Way {
  std::string name;
  // Around a packet of `ether_type` with `length` bytes on the wire.
  std::function<Wrapped(bool there, unsigned ether_type, std::size_t length)> wrap;
};

Wrapped plain(unsigned ether_type) { return {{}, ether_type}; }
Wrapped geneve(std::uint32_t vni, bool there, unsigned type, std::size_t length) {
  return {outer_udp(6081, be16(0) + be16(type) + be24(vni) + ByteString{0}, length, there), 0x0800};
}
Wrapped vxlan(std::uint32_t vni, bool there, unsigned type, std::size_t length) {
  return {outer_udp(4789, be32(0x08000000) + be24(vni) + ByteString{0} + inner_ethernet(type), length, there), 0x0800};
}
Wrapped gre(std::uint32_t key, bool there, unsigned type, std::size_t length) {
  return {outer_ip(47, be16(0x2000) + be16(type) + be32(key), length, there), 0x0800};
}
Wrapped vlan(unsigned vid, unsigned type) { return {be16(vid) + be16(type), 0x8100}; }

// Each names its directions differently, or wraps one only.
std::vector<Way> ways() {
  return {
      {"VLANs", [](bool there, unsigned type, std::size_t) { return vlan(there ? 10 : 20, type); }},
      {"a VLAN there", [](bool there, unsigned type, std::size_t) { return there ? vlan(10, type) : plain(type); }},
      {"a VLAN back", [](bool there, unsigned type, std::size_t) { return there ? plain(type) : vlan(10, type); }},
      {"VLANs in VLANs",
       [](bool there, unsigned type, std::size_t) {
         return Wrapped{be16(5) + be16(0x8100) + be16(there ? 10 : 20) + be16(type), 0x88a8};
       }},
      {"VXLAN VNIs",
       [](bool there, unsigned type, std::size_t length) { return vxlan(there ? 100 : 200, there, type, length); }},
      {"Geneve VNIs",
       [](bool there, unsigned type, std::size_t length) { return geneve(there ? 100 : 200, there, type, length); }},
      {"Geneve back", [](bool there, unsigned type,
                         std::size_t length) { return there ? plain(type) : geneve(7, there, type, length); }},
      {"Geneve there, GRE back",
       [](bool there, unsigned type, std::size_t length) {
         return there ? geneve(7, there, type, length) : gre(7, there, type, length);
       }},
      {"GRE keys",
       [](bool there, unsigned type, std::size_t length) { return gre(there ? 1 : 2, there, type, length); }},
      {"GRE in UDP",
       [](bool there, unsigned type, std::size_t length) {
         return Wrapped{outer_udp(4754, be16(0x2000) + be16(type) + be32(there ? 1 : 2), length, there), 0x0800};
       }},
      {"outer addresses",
       [](bool there, unsigned type, std::size_t length) {
         return Wrapped{outer_ip(type == 0x0800 ? 4 : 41, {}, length, there, there ? 1 : 2), 0x0800};
       }},
      {"MPLS labels", [](bool there, unsigned,
                         std::size_t) { return Wrapped{be32(((there ? 100U : 200U) << 12U) | 0x1ffU), 0x8847}; }},
  };
}

// --- captures ---------------------------------------------------------------------------------------------------

class File {
 public:
  File() { file_.pcap_header(0xa1b23c4d, 1); }

  void add(const Packet& packet, const Way* way) {
    const unsigned type = packet.ip[0] >> 4U == 4 ? 0x0800 : 0x86dd;
    const Wrapped wrapped = way != nullptr ? way->wrap(packet.low_to_high, type, packet.length) : plain(type);
    const ByteString frame = ethernet(wrapped.ether_type, wrapped.headers + packet.ip);
    const auto ns = base::to_ns(packet.at);
    file_.pcap_packet(static_cast<std::uint32_t>(ns / 1'000'000'000), static_cast<std::uint32_t>(ns % 1'000'000'000),
                      std::string(frame.begin(), frame.end()),
                      static_cast<std::uint32_t>(14 + wrapped.headers.size() + packet.length));
  }
  [[nodiscard]] const capfile::testing::Bytes& bytes() const { return file_.bytes(); }

 private:
  capfile::testing::CaptureBuilder file_;
};

capfile::testing::Bytes file_of(std::span<const Packet> packets, const Way* way) {
  File file;
  for (const Packet& packet : packets) file.add(packet, way);
  return file.bytes();
}

std::optional<std::size_t> length_of_link_header(wire::LinkType link_type) {
  switch (link_type) {
    case wire::LinkType::raw: return 0;
    case wire::LinkType::ethernet: return 14;
    case wire::LinkType::linux_sll: return 16;
    case wire::LinkType::null: return 4;
    default: return std::nullopt;
  }
}

bool is_low_to_high(const Packet& packet, const wire::DissectedPacket& dissected) {
  const wire::SocketAddress &source = dissected.segment.source, &destination = dissected.segment.destination;
  if (dissected.kind == wire::Dissection::tcp) return source < destination;
  if (dissected.kind == wire::Dissection::icmp_error)
    return destination < source;  // it goes to who sent what it quotes
  const std::size_t length = packet.ip[0] >> 4U == 4 ? 4 : 16, at = packet.ip[0] >> 4U == 4 ? 12 : 8;
  if (packet.ip.size() < at + 2 * length) return false;
  const auto from = packet.ip.begin() + static_cast<std::ptrdiff_t>(at),
             middle = from + static_cast<std::ptrdiff_t>(length);
  return std::lexicographical_compare(from, middle, middle, middle + static_cast<std::ptrdiff_t>(length));
}

// The IP packets of a capture; none where some of it has a tunnel or a tag already, or a link type without a header of one length.
std::vector<Packet> packets_of(const fs::path& path) {
  std::vector<Packet> packets;
  auto reader = FrameReader::open(path.string());
  if (!reader) return packets;
  Frame frame;
  for (auto more = reader->next(frame); more && *more; more = reader->next(frame)) {
    const auto header = length_of_link_header(frame.link_type);
    if (!header || frame.packet.encapsulation != wire::Encapsulation{}) return {};
    if (frame.bytes.size() <= *header) continue;
    const wire::Dissection kind = frame.packet.kind;
    if (kind != wire::Dissection::tcp && kind != wire::Dissection::icmp_error && kind != wire::Dissection::fragment)
      continue;
    Packet packet{.at = frame.at,
                  .ip = {frame.bytes.begin() + static_cast<std::ptrdiff_t>(*header), frame.bytes.end()},
                  .length = frame.original_length - *header};
    const unsigned version = packet.ip[0] >> 4U;
    if (version != 4 && version != 6) return {};
    packet.low_to_high = is_low_to_high(packet, frame.packet);
    packets.push_back(std::move(packet));
  }
  return packets;
}

std::vector<std::string> records(const capfile::testing::Bytes& file, unsigned threads = 1) {
  return testing::ndjson_of(FrameReader::from_memory(file, "made"), threads);
}

// Those whose numbers do not show that the directions belong together: they stay two.
bool is_told_as_two(const fs::path& path) {
  constexpr std::string_view answers_nothing[] = {
      "two-stacks/bad_ack_in_syn_sent/",     // a SYN-ACK of what was never sent
      "zeek__syn-then-stuff-then-rst.pcap",  // an ACK that acknowledges not even the SYN
  };
  return std::ranges::any_of(answers_nothing,
                             [&](std::string_view part) { return path.string().find(part) != std::string::npos; });
}

TEST(Directions, wrapped_differently_tell_what_they_tell_without) {
  int compared = 0;
  for (const fs::path& path : testing::captures()) {
    const auto packets = packets_of(path);
    if (packets.empty() || is_told_as_two(path)) continue;
    const auto expected = records(file_of(packets, nullptr));
    for (const Way& way : ways()) {
      EXPECT_EQ(records(file_of(packets, &way)), expected) << path << " by " << way.name;
      EXPECT_EQ(records(file_of(packets, &way), 2), expected) << path << " by " << way.name << ", two threads";
    }
    ++compared;
  }
  EXPECT_GT(compared, 40);
}

// Whether a connection begins with a forged SYN or with another SYN-ACK than the one that was taken, or one of its directions with a
// reset: none of these says where its sender's other segments are.
bool begins_with_a_stray(const fs::path& path, std::span<const Packet> packets) {
  for (const std::string_view part : {"injected_syn", "nDPI__KakaoTalk_chat", "bad_ack", "syn-then-stuff"})
    if (path.string().find(part) != std::string::npos) return true;
  std::set<std::pair<wire::SocketAddress, wire::SocketAddress>> seen;
  for (const Packet& packet : packets) {
    const auto dissected = wire::dissect(wire::LinkType::raw, packet.ip, packet.length);
    if (dissected.kind != wire::Dissection::tcp) continue;
    const wire::TcpSegment& segment = dissected.segment;
    const bool is_answer = seen.contains({segment.destination, segment.source});
    const bool is_first = seen.emplace(segment.source, segment.destination).second;
    if (is_first && segment.flags.rst() && !(is_answer && segment.flags.ack())) return true;
  }
  return false;
}

// Without its first frames a handshake shows no longer that the two directions belong together.
TEST(Directions, wrapped_differently_tell_the_same_where_the_capture_begins_late) {
  int compared = 0;
  for (const fs::path& path : testing::captures()) {
    const auto packets = packets_of(path);
    const Way way = ways()[static_cast<std::size_t>(compared) % ways().size()];
    for (const std::size_t left_out : {1U, 2U, 3U, 4U, 5U, 7U, 11U, 20U, 50U}) {
      if (packets.size() < left_out + 2) break;
      const auto rest = std::span(packets).subspan(left_out);
      if (begins_with_a_stray(path, rest)) continue;
      EXPECT_EQ(records(file_of(rest, &way)), records(file_of(rest, nullptr)))
          << path << " by " << way.name << " without the first " << left_out;
      ++compared;
    }
  }
  EXPECT_GT(compared, 200);
}

// One connection picked out (--stream) goes the same way.
TEST(Directions, wrapped_differently_are_picked_out_together) {
  int compared = 0;
  for (const fs::path& path : base::testing::two_stacks_captures()) {
    const auto packets = packets_of(path);
    if (packets.empty() || is_told_as_two(path)) continue;
    const auto pick = [&](const Way* way) {
      const auto bytes = file_of(packets, way);
      const auto outcome =
          pick_connection([&] { return FrameReader::from_memory(bytes, "made"); }, ByNumber{0}, PickOptions{});
      std::vector<std::string> lines;
      if (!outcome || !outcome->picked) return lines;
      lines.push_back(std::to_string(outcome->connections));
      for (const tcp::SeenSegment& seen : outcome->picked->seen.segments)
        lines.push_back(std::to_string(seen.frame) + " " + std::string(name(seen.verdict.kind)) + " " +
                        std::to_string(seen.verdict.seq) + " " + std::to_string(seen.ack));
      return lines;
    };
    const auto expected = pick(nullptr);
    EXPECT_GT(expected.size(), 1U) << path;
    const Way way = ways()[static_cast<std::size_t>(compared++) % ways().size()];
    EXPECT_EQ(pick(&way), expected) << path << " by " << way.name;
  }
  EXPECT_GT(compared, 20);
}

// --- what stays apart -------------------------------------------------------------------------------------------

constexpr std::uint16_t S = 2, A = 16, F = 1, R = 4;

// Segments between 192.0.2.1:40000, the client, and 198.51.100.7:80, a millisecond apart, each in a Geneve tunnel with its VNI, or
// in none (0).
class Overlay {
 public:
  struct Sent {
    std::uint16_t flags = A;
    std::uint32_t seq = 0, ack = 0;
    std::size_t length = 0;
  };
  Overlay& client(std::uint32_t vni, const Sent& sent) { return add(true, vni, sent); }
  Overlay& server(std::uint32_t vni, const Sent& sent) { return add(false, vni, sent); }
  // One after the other in several places.
  Overlay& client(std::initializer_list<std::uint32_t> places, const Sent& sent) {
    for (const std::uint32_t vni : places) client(vni, sent);
    return *this;
  }
  Overlay& server(std::initializer_list<std::uint32_t> places, const Sent& sent) {
    for (const std::uint32_t vni : places) server(vni, sent);
    return *this;
  }
  // The server's address answers that the client's segment with this number could not be delivered.
  Overlay& unreachable(std::uint32_t vni, std::uint32_t seq) {
    const ByteString quoted = packet(true, {.flags = S, .seq = seq});
    Ipv4Fields ip{.protocol = 1};
    std::swap(ip.source, ip.destination);
    return put(false, vni, ipv4(ip, ByteString{3, 1, 0, 0} + be32(0) + quoted));
  }

  // The number of segments of each connection, in the order of their first frames.
  [[nodiscard]] std::vector<std::uint64_t> connections(unsigned threads = 1) const {
    std::vector<ConnectionRecord> found = records(threads);
    std::vector<std::uint64_t> segments;
    for (const ConnectionRecord& record : found) segments.push_back(record.segments());
    return segments;
  }
  [[nodiscard]] std::vector<ConnectionRecord> records(unsigned threads = 1) const {
    std::vector<ConnectionRecord> found;
    auto reader = FrameReader::from_memory(file_.bytes(), "made");
    EXPECT_TRUE(reader);
    analyse(std::move(*reader), {.threads = threads},
            [&](std::span<const ConnectionRecord> some) { found.insert(found.end(), some.begin(), some.end()); });
    std::ranges::sort(found, {}, &ConnectionRecord::first_frame);
    return found;
  }

 private:
  static ByteString packet(bool from_client, const Sent& sent) {
    TcpFields tcp_fields{
        .source_port = 40'000, .destination_port = 80, .seq = sent.seq, .ack = sent.ack, .flags = sent.flags};
    Ipv4Fields ip;
    if (!from_client)
      std::swap(ip.source, ip.destination), std::swap(tcp_fields.source_port, tcp_fields.destination_port);
    return ipv4(ip, wire::testing::tcp(tcp_fields, zeros(sent.length)));
  }
  Overlay& add(bool from_client, std::uint32_t vni, const Sent& sent) {
    return put(from_client, vni, packet(from_client, sent));
  }
  Overlay& put(bool from_client, std::uint32_t vni, const ByteString& ip) {
    const Way way{"", [vni](bool there, unsigned type, std::size_t length) {
                    return vni == 0 ? plain(type) : geneve(vni, there, type, length);
                  }};
    ++count_;
    file_.add({base::wall_from_ns(1'000'000'000 + count_ * 1'000'000), ip, ip.size(), from_client}, &way);
    return *this;
  }

  File file_;
  std::int64_t count_ = 0;
};

using Segments = std::vector<std::uint64_t>;

TEST(Directions, tenants_with_the_same_addresses_and_ports_stay_apart) {
  Overlay overlay;
  for (const std::uint32_t vni : {1U, 2U}) overlay.client(vni, {.flags = S, .seq = 1000 * vni});
  for (const std::uint32_t vni : {2U, 1U})
    overlay.server(vni, {.flags = S | A, .seq = 70'000 * vni, .ack = 1000 * vni + 1});
  for (const std::uint32_t vni : {1U, 2U}) {
    overlay.client(vni, {.seq = 1000 * vni + 1, .ack = 70'000 * vni + 1, .length = 100});
    overlay.server(vni, {.seq = 70'000 * vni + 1, .ack = 1000 * vni + 101, .length = 10});
  }
  EXPECT_EQ(overlay.connections(), (Segments{4, 4}));
  EXPECT_EQ(overlay.connections(2), (Segments{4, 4}));
}

// Even where their numbers are the same, as programs that make captures have it.
TEST(Directions, tenants_with_the_same_numbers_stay_apart) {
  Overlay overlay;
  for (const std::uint32_t vni : {1U, 2U}) overlay.client(vni, {.flags = S, .seq = 1000});
  for (const std::uint32_t vni : {1U, 2U}) overlay.server(vni, {.flags = S | A, .seq = 5000, .ack = 1001});
  for (const std::uint32_t vni : {1U, 2U}) overlay.client(vni, {.seq = 1001, .ack = 5001, .length = 10});
  EXPECT_EQ(overlay.connections(), (Segments{3, 3}));
}

TEST(Directions, tenants_each_in_two_tunnels_are_told_apart_by_their_numbers) {
  Overlay overlay;
  for (const std::uint32_t tenant : {1U, 2U, 3U}) overlay.client(tenant, {.flags = S, .seq = 1000 * tenant});
  for (const std::uint32_t tenant : {1U, 2U, 3U})
    overlay.server(10 + tenant, {.flags = S | A, .seq = 70'000 * tenant, .ack = 1000 * tenant + 1});
  overlay.client(1, {.seq = 1001, .ack = 70'001}).client(2, {.seq = 2001, .ack = 140'001});
  EXPECT_EQ(overlay.connections(), (Segments{3, 3, 2}));
}

TEST(Directions, tenants_of_whom_a_direction_each_was_captured_late_stay_apart) {
  Overlay overlay;
  overlay.client(1, {.seq = 1000, .ack = 5000, .length = 100});
  overlay.server(2, {.seq = 0x8000'0000, .ack = 0x4000'0000, .length = 100});
  // The one number fits by chance, the other does not.
  overlay.server(3, {.seq = 0x8000'0000, .ack = 1100, .length = 100});
  overlay.server(4, {.seq = 5000, .ack = 0x4000'0000, .length = 100});
  EXPECT_EQ(overlay.connections(), (Segments{1, 1, 1, 1}));
}

TEST(Directions, captured_inside_and_outside_of_a_tunnel_it_is_two) {
  Overlay overlay;
  overlay.client({0, 7}, {.flags = S, .seq = 1000});
  overlay.server({7, 0}, {.flags = S | A, .seq = 5000, .ack = 1001});
  overlay.client({0, 7}, {.seq = 1001, .ack = 5001, .length = 10});
  overlay.server({7, 0}, {.flags = F | A, .seq = 5001, .ack = 1011});
  EXPECT_EQ(overlay.connections(), (Segments{4, 4}));
}

// What was on its way when the capture began is seen in one place only. The connection that was taken for one half of the other place loses it.
TEST(Directions, captured_in_two_places_in_the_middle_it_is_two) {
  Overlay overlay;
  overlay.client(1, {.seq = 1000, .ack = 5000});                 // has passed the other place before
  overlay.server(2, {.seq = 5000, .ack = 1000, .length = 100});  // is to pass the other place
  overlay.client(2, {.seq = 1000, .ack = 5000});
  overlay.server(1, {.seq = 5000, .ack = 1000, .length = 100});
  for (std::uint32_t i = 0; i < 100; ++i) {
    overlay.client({1, 2}, {.seq = 1000 + i, .ack = 5100, .length = 1});
    overlay.server({2, 1}, {.seq = 5100, .ack = 1001 + i});
  }
  EXPECT_EQ(overlay.connections(), (Segments{203, 201}));
}

TEST(Directions, each_place_of_two_may_name_its_directions_differently) {
  Overlay overlay;
  overlay.client({1, 2}, {.flags = S, .seq = 1000});
  overlay.server({12, 11}, {.flags = S | A, .seq = 5000, .ack = 1001});
  overlay.client({1, 2}, {.seq = 1001, .ack = 5001});
  EXPECT_EQ(overlay.connections(), (Segments{3, 3}));
}

TEST(Directions, syns_that_cross_in_two_tunnels_open_one_connection) {
  Overlay overlay;
  overlay.client(1, {.flags = S, .seq = 1000}).server(2, {.flags = S, .seq = 5000});
  overlay.client(1, {.flags = S | A, .seq = 1000, .ack = 5001}).server(2, {.flags = S | A, .seq = 5000, .ack = 1001});
  EXPECT_EQ(overlay.connections(), (Segments{4}));
}

// The old one was seen in one direction only, or what came first answered something else.
TEST(Directions, a_handshake_is_one_though_its_tunnel_back_was_used_before) {
  Overlay overlay;
  overlay.server(2, {.seq = 900'000, .ack = 0x4000'0000});
  overlay.client(1, {.flags = S, .seq = 1000}).server(2, {.flags = S | A, .seq = 5000, .ack = 1001});
  overlay.client(1, {.seq = 1001, .ack = 5001}).server(2, {.seq = 5001, .ack = 1001, .length = 10});
  EXPECT_EQ(overlay.connections(), (Segments{1, 4}));
}

TEST(Directions, a_refusal_in_the_other_tunnel_is_the_answer) {
  Overlay overlay;
  overlay.client(1, {.flags = S, .seq = 1000}).server(2, {.flags = R | A, .seq = 0, .ack = 1001});
  const auto refused = overlay.records();
  ASSERT_EQ(refused.size(), 1U);
  EXPECT_EQ(refused[0].segments(), 2U);
  Overlay of_something_else;
  of_something_else.client(1, {.flags = S, .seq = 1000}).server(2, {.flags = R | A, .seq = 0, .ack = 1002});
  EXPECT_EQ(of_something_else.connections(), (Segments{1, 1}));
}

TEST(Directions, a_reset_without_ack_belongs_to_whom_it_answers) {
  Overlay overlay;
  overlay.client(1, {.seq = 1000, .ack = 5000, .length = 10}).server(2, {.flags = R, .seq = 5000});
  EXPECT_EQ(overlay.connections(), (Segments{2}));
  Overlay of_something_else;
  of_something_else.client(1, {.seq = 1000, .ack = 5000, .length = 10}).server(2, {.flags = R, .seq = 4999});
  EXPECT_EQ(of_something_else.connections(), (Segments{1, 1}));
}

TEST(Directions, a_port_used_again_is_another_connection_in_the_same_two_tunnels) {
  Overlay overlay;
  for (const std::uint32_t begin : {1000U, 900'000'000U}) {
    overlay.client(1, {.flags = S, .seq = begin}).server(2, {.flags = S | A, .seq = 5000 + begin, .ack = begin + 1});
    overlay.client(1, {.seq = begin + 1, .ack = begin + 5001})
        .client(1, {.flags = F | A, .seq = begin + 1, .ack = begin + 5001});
    overlay.server(2, {.flags = F | A, .seq = begin + 5001, .ack = begin + 2})
        .client(1, {.seq = begin + 2, .ack = begin + 5002});
  }
  EXPECT_EQ(overlay.connections(), (Segments{6, 6}));
}

TEST(Directions, an_icmp_error_in_the_other_tunnel_is_noted) {
  Overlay overlay;
  overlay.client(1, {.flags = S, .seq = 1000}).unreachable(2, 1000);
  auto rejected = overlay.records();
  ASSERT_EQ(rejected.size(), 1U);
  EXPECT_EQ(rejected[0].icmp.frame, 2U);
  Overlay of_something_else;
  of_something_else.client(1, {.flags = S, .seq = 1000}).unreachable(2, 77'000);
  ASSERT_EQ(of_something_else.records().size(), 1U);
  EXPECT_EQ(of_something_else.records()[0].icmp.frame, 0U);
}

TEST(Directions, many_tenants_and_many_tunnels_leave_nothing_behind) {
  std::size_t left = 0;
  ConnectionTable table({.open = 50, .over = 10}, 1, [&](Connection&, Left) { ++left; });
  wire::TcpSegment there;
  there.source = {*wire::IpAddress::parse("192.0.2.1"), 40'000};
  there.destination = {*wire::IpAddress::parse("192.0.2.2"), 80};
  wire::TcpSegment back = there;
  std::swap(back.source, back.destination);
  std::uint64_t frame = 0;
  const auto take = [&](const wire::TcpSegment& segment, wire::Encapsulation around) {
    ++frame;
    table.take(frame, static_cast<std::int64_t>(frame), segment, around);
  };
  for (std::uint32_t tenant = 1; tenant <= 1000; ++tenant) {
    wire::Encapsulation tunnel, other;
    tunnel.add_tunnel(wire::TunnelKind::geneve, tenant);
    other.add_tunnel(wire::TunnelKind::geneve, 1'000'000 + tenant);
    there.seq = {tenant * 4'000'000U};
    there.flags = {S};
    take(there, tunnel);
    if (tenant % 3 == 0) continue;
    back.seq = {5000}, back.ack = {there.seq.value + 1}, back.flags = {S | A};
    take(back, other);
    if (tenant % 3 == 2) take(back, tunnel);  // parts the two
  }
  EXPECT_LE(table.size(), 100U);  // keys, of which those that are joined have two
  table.finish();
  EXPECT_EQ(table.size(), 0U);
  EXPECT_EQ(left, 1000U);
}

}  // namespace
}  // namespace tcpwhy::scan
