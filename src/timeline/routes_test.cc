// Packets of one connection whose directions are in different tunnels or VLANs, and of several that look alike.
#include "timeline/routes.h"

#include <gtest/gtest.h>

#include <utility>

#include "recording/recording.h"
#include "timeline/timeline.h"
#include "wire/packet_builder.h"

namespace tcpwhy::timeline {
namespace {

using wire::testing::ByteString;
using wire::testing::operator+;

constexpr std::uint16_t S = 2, A = 16, F = 1;

// Segments of a client (port 40000, numbers from 1000) and a server (port 80), in VLANs; 0: in none.
class Story {
 public:
  struct Sent {
    std::uint16_t flags = A;
    std::uint32_t seq = 0, ack = 0;
    std::size_t length = 0;
  };
  Story() { recording_.interfaces.push_back({wire::LinkType::ethernet, 0, "", "", "", 9}); }

  Story& client(std::uint16_t vlan, const Sent& sent) { return add(true, vlan, sent); }
  Story& server(std::uint16_t vlan, const Sent& sent) { return add(false, vlan, sent); }
  Story& with_calls() {
    recording_.provenance.observed = {recording::Observation::packets, recording::Observation::calls};
    return *this;
  }
  // How many segments each connection has.
  [[nodiscard]] std::vector<std::size_t> connections() const {
    std::vector<std::size_t> segments;
    const Timeline timeline = build(recording_);
    for (const Connection& connection : timeline.connections) segments.push_back(connection.segments.size());
    return segments;
  }

 private:
  Story& add(bool from_client, std::uint16_t vlan, const Sent& sent) {
    wire::testing::TcpFields tcp{
        .source_port = 40'000, .destination_port = 80, .seq = sent.seq, .ack = sent.ack, .flags = sent.flags};
    wire::testing::Ipv4Fields ip;
    if (!from_client) std::swap(tcp.source_port, tcp.destination_port), std::swap(ip.source, ip.destination);
    const ByteString packet = wire::testing::ipv4(ip, wire::testing::tcp(tcp, wire::testing::zeros(sent.length)));
    const ByteString frame =
        vlan == 0 ? wire::testing::ethernet(0x0800, packet)
                  : wire::testing::ethernet(0x8100, wire::testing::be16(vlan) + wire::testing::be16(0x0800) + packet);
    const auto at = base::wall_from_ns(1'000'000 * static_cast<std::int64_t>(recording_.events.size() + 1));
    recording_.events.push_back({at,
                                 {},
                                 recording::Packet{.interface = {0},
                                                   .original_length = static_cast<std::uint32_t>(frame.size()),
                                                   .bytes = frame,
                                                   .comments = {}}});
    return *this;
  }

  recording::Recording recording_;
};

constexpr std::uint16_t two_vlans[] = {10, 20};

using Segments = std::vector<std::size_t>;

void open_and_close(Story& story, std::uint16_t there, std::uint16_t back, std::uint32_t isn) {
  story.client(there, {.flags = S, .seq = isn}).server(back, {.flags = S | A, .seq = 5000, .ack = isn + 1});
  story.client(there, {.seq = isn + 1, .ack = 5001, .length = 10});
  story.server(back, {.flags = F | A, .seq = 5001, .ack = isn + 11});
  story.client(there, {.flags = F | A, .seq = isn + 11, .ack = 5002}).server(back, {.seq = 5002, .ack = isn + 12});
}

TEST(Routes, directions_in_different_vlans_are_one_connection) {
  for (const auto& [there, back] : {std::pair{10, 20}, {0, 20}, {10, 0}}) {
    Story story;
    open_and_close(story, static_cast<std::uint16_t>(there), static_cast<std::uint16_t>(back), 1000);
    EXPECT_EQ(story.connections(), (Segments{6})) << there << " and " << back;
    // The next one goes the same way.
    open_and_close(story, static_cast<std::uint16_t>(there), static_cast<std::uint16_t>(back), 900'000);
    EXPECT_EQ(story.connections(), (Segments{6, 6})) << there << " and " << back;
  }
}

TEST(Routes, the_middle_of_a_connection_is_one_too) {
  Story story;
  story.server(20, {.seq = 5000, .ack = 1000, .length = 100}).client(10, {.seq = 1000, .ack = 5100});
  story.server(20, {.seq = 5100, .ack = 1000, .length = 100}).client(10, {.seq = 1000, .ack = 5200});
  EXPECT_EQ(story.connections(), (Segments{4}));
}

TEST(Routes, two_that_look_alike_stay_apart) {
  Story story;
  for (const std::uint16_t vlan : two_vlans) story.client(vlan, {.flags = S, .seq = 1000});
  for (const std::uint16_t vlan : two_vlans) story.server(vlan, {.flags = S | A, .seq = 5000, .ack = 1001});
  for (const std::uint16_t vlan : two_vlans) story.client(vlan, {.seq = 1001, .ack = 5001});
  EXPECT_EQ(story.connections(), (Segments{3, 3}));
  Story halves;
  halves.client(10, {.seq = 1000, .ack = 5000, .length = 10}).server(20, {.seq = 0x8000'0000, .ack = 1010});
  EXPECT_EQ(halves.connections(), (Segments{1, 1}));
}

TEST(Routes, what_was_taken_for_the_other_half_and_has_both_directions_is_another) {
  Story story;
  story.client(10, {.seq = 1000, .ack = 5000}).server(20, {.seq = 5000, .ack = 1000, .length = 100});
  story.client(20, {.seq = 1000, .ack = 5000}).server(10, {.seq = 5000, .ack = 1000, .length = 100});
  story.client(10, {.seq = 1000, .ack = 5100}).client(20, {.seq = 1000, .ack = 5100});
  EXPECT_EQ(story.connections(), (Segments{4, 2}));
}

TEST(Routes, an_answer_in_a_vlan_that_was_used_before_is_the_handshakes) {
  Story story;
  story.server(20, {.seq = 900'000, .ack = 0x4000'0000});
  open_and_close(story, 10, 20, 1000);
  EXPECT_EQ(story.connections(), (Segments{1, 6}));
}

// A socket is known by its addresses, not by what is around its packets.
TEST(Routes, beside_calls_tags_tell_nothing_apart) {
  Story story;
  for (const std::uint16_t vlan : two_vlans) story.client(vlan, {.flags = S, .seq = 1000});
  EXPECT_EQ(story.with_calls().connections(), (Segments{2}));
}

}  // namespace
}  // namespace tcpwhy::timeline
