// read in each of its forms on a capture whose tunnels name each direction otherwise, and on one of two tenants with the same
// addresses and ports.
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <utility>

#include "capfile/capture_builder.h"
#include "cli/testing/program_fixture.h"
#include "wire/packet_builder.h"

namespace tcpwhy::cli {
namespace {

namespace built = wire::testing;
using built::operator+;

class ReadTunnels : public testing::Program {
 protected:
  // A connection opened, used and closed, through Geneve with one VNI there and another back.
  void add_connection(std::uint32_t vni_there, std::uint32_t vni_back) {
    constexpr std::uint16_t S = 2, A = 16, F = 1;
    const auto add = [&](bool from_client, std::uint16_t flags, std::uint32_t seq, std::uint32_t ack,
                         std::size_t length) {
      built::TcpFields tcp{.source_port = 40'000, .destination_port = 80, .seq = seq, .ack = ack, .flags = flags};
      built::Ipv4Fields inner, outer{.protocol = 17};
      if (!from_client) {
        std::swap(tcp.source_port, tcp.destination_port);
        std::swap(inner.source, inner.destination), std::swap(outer.source, outer.destination);
      }
      const auto geneve = built::be16(0) + built::be16(0x0800) +
                          built::be32((from_client ? vni_there : vni_back) << 8U) +
                          built::ipv4(inner, built::tcp(tcp, built::zeros(length)));
      const auto packet = built::ipv4(outer, built::udp(50'000, 6081, geneve));
      ++count_;
      capture_.pcap_packet(1, count_ * 1000, std::string(packet.begin(), packet.end()),
                           static_cast<std::uint32_t>(packet.size()));
    };
    add(true, S, 1000, 0, 0), add(false, S | A, 5000, 1001, 0), add(true, A, 1001, 5001, 0);
    add(true, A, 1001, 5001, 100), add(false, A, 5001, 1101, 200), add(true, F | A, 1101, 5201, 0);
    add(false, F | A, 5201, 1102, 0), add(true, A, 1102, 5202, 0);
  }
  std::string written(const std::string& name) {
    return write(name, std::string(capture_.bytes().begin(), capture_.bytes().end()));
  }
  static std::ptrdiff_t lines(const std::string& text) { return std::ranges::count(text, '\n'); }
  static int times(const std::string& text, const std::string& part) {
    int count = 0;
    for (auto at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++count;
    return count;
  }

  ReadTunnels() { capture_.pcap_header(0xa1b2c3d4, 101); }

 private:
  capfile::testing::CaptureBuilder capture_;
  std::uint32_t count_ = 0;
};

TEST_F(ReadTunnels, that_differ_by_direction_make_one_connection_in_every_form) {
  add_connection(100, 200);
  const std::string name = written("by-direction.pcap"), read = "$tcpwhy read " + name + " ";
  const auto text = sh(read).out;
  EXPECT_NE(text.find("1 connection, 300 B of payload: 1 sound, 0 with something wrong"), std::string::npos) << text;
  EXPECT_EQ(lines(sh(read + "-o csv").out), 2);
  EXPECT_EQ(lines(sh(read + "-o ndjson").out), 1);
  EXPECT_EQ(times(sh(read + "-o json").out, "\"began_before_capture\""), 1);
  EXPECT_NE(sh(read + "--stream 0").out.find("closed first; in order"), std::string::npos);
  EXPECT_EQ(sh(read + "--stream 1").status, 2);
  EXPECT_EQ(times(sh(read + "--compat zeek").out, "\tSF\t"), 1);
  EXPECT_EQ(times(sh(read + "--compat tshark").out, "\n8\t0\t"), 1);
}

TEST_F(ReadTunnels, of_two_tenants_make_two_connections) {
  add_connection(1, 1);
  add_connection(2, 2);
  const std::string read = "$tcpwhy read " + written("tenants.pcap") + " ";
  EXPECT_NE(sh(read).out.find("2 connections, 600 B of payload: 2 sound"), std::string::npos) << sh(read).out;
  EXPECT_EQ(lines(sh(read + "-o csv").out), 3);
  EXPECT_EQ(lines(sh(read + "-o ndjson").out), 2);
  EXPECT_EQ(times(sh(read + "-o json").out, "\"began_before_capture\""), 2);
  EXPECT_EQ(sh(read + "--stream 1").status, 0);
}

}  // namespace
}  // namespace tcpwhy::cli
