// read --stream and --conn as their users meet them: what is shown, what is asked back, exit statuses.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "base/testing/temporary_folder.h"
#include "capfile/capture_builder.h"
#include "wire/packet_builder.h"

namespace tcpwhy::cli {
namespace {

namespace fs = std::filesystem;

std::string slurp(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

class ReadConnection : public testing::Test {
 protected:
  // Two SYNs to port 9999, of different connections.
  void SetUp() override {
    capfile::testing::CaptureBuilder file;
    file.pcap_header(0xa1b2c3d4, 101);
    const auto add = [&](std::uint32_t second, const wire::testing::ByteString& packet) {
      file.pcap_packet(second, 0, std::string(packet.begin(), packet.end()), static_cast<std::uint32_t>(packet.size()));
    };
    const auto syn = [](std::uint16_t port) {
      return wire::testing::ipv4({}, wire::testing::tcp({.source_port = port, .ack = 0, .flags = 2}));
    };
    for (const std::uint16_t port : {std::uint16_t{4000}, std::uint16_t{4001}}) add(port, syn(port));
    // A router on the way about the second: communication administratively prohibited (RFC 1812 5.2.7.1).
    using wire::testing::operator+;
    const auto quoted = syn(4001);
    add(4002, wire::testing::ipv4({.protocol = 1, .source = {203, 0, 113, 9}, .destination = {192, 0, 2, 1}},
                                  wire::testing::ByteString{3, 13, 0, 0, 0, 0, 0, 0} +
                                      wire::testing::ByteString(quoted.begin(), quoted.begin() + 28)));
    const auto& bytes = file.bytes();
    std::ofstream(folder_ / "syns.pcap", std::ios::binary)
        .write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  }

  int read(const std::string& arguments) {
    const auto out = folder_ / "out", err = folder_ / "err";
    const auto line = fmt::format("unset COLUMNS LC_ALL LC_MESSAGES LANG; cd {} && {} read {} >{} 2>{} ",
                                  folder_.string(), TCPWHY_PROGRAM, arguments, out.string(), err.string());
    const int status = std::system(line.c_str());
    out_ = slurp(out);
    err_ = slurp(err);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }

  base::testing::TemporaryFolder temporary_;
  fs::path folder_ = temporary_.path();
  std::string out_, err_;
};

TEST_F(ReadConnection, one_that_fits_is_shown) {
  EXPECT_EQ(read("syns.pcap --stream 1"), 0) << err_;
  EXPECT_NE(out_.find("192.0.2.1:4001 → 198.51.100.7:9999"), std::string::npos) << out_;
  EXPECT_NE(out_.find("198.51.100.7:9999 answered nothing"), std::string::npos) << out_;
  const std::string by_number = out_;
  EXPECT_EQ(read("syns.pcap --conn 192.0.2.1:4001"), 0) << err_;
  EXPECT_EQ(out_, by_number);
  EXPECT_EQ(read("--conn 4001 -o tcpdump - < syns.pcap"), 0) << err_;
  EXPECT_NE(out_.find("192.0.2.1.4001 > 198.51.100.7.9999: Flags [S]"), std::string::npos) << out_;
  EXPECT_EQ(std::ranges::count(out_, '\n'), 1);
}

TEST_F(ReadConnection, what_is_wrong_with_it_is_said_with_the_frame_that_shows_it) {
  EXPECT_EQ(read("syns.pcap --stream 1"), 0) << err_;
  EXPECT_NE(out_.find("• the SYN was rejected: an ICMP error came back, from 203.0.113.9: "), std::string::npos)
      << out_;
  EXPECT_NE(out_.find("frame 3]"), std::string::npos) << out_;
  EXPECT_EQ(out_.find("no answer to the SYN"), std::string::npos) << "it had one: " << out_;
  EXPECT_EQ(read("syns.pcap --stream 1 -o json"), 0) << err_;
  EXPECT_NE(out_.find("\"id\": \"capture.rejected\""), std::string::npos) << out_;
  EXPECT_EQ(read("syns.pcap --stream 0"), 0) << err_;
  EXPECT_EQ(out_.find("ICMP"), std::string::npos) << "it was about the other one: " << out_;
  EXPECT_NE(out_.find("• no answer to the SYN [derived; frame 1]"), std::string::npos) << out_;
}

TEST_F(ReadConnection, several_that_fit_are_listed_with_their_numbers) {
  EXPECT_EQ(read("syns.pcap --conn 9999"), 2);
  EXPECT_NE(out_.find("     0  192.0.2.1:4000 - 198.51.100.7:9999, frame 1\n"), std::string::npos) << out_;
  EXPECT_NE(out_.find("     1  192.0.2.1:4001 - 198.51.100.7:9999, frame 2\n"), std::string::npos) << out_;
  EXPECT_NE(err_.find("tcpwhy: hint: tcpwhy read syns.pcap --stream 0\n"), std::string::npos) << err_;
}

TEST_F(ReadConnection, mistakes_have_status_2_and_a_hint) {
  for (const auto* arguments : {"syns.pcap --stream 2", "syns.pcap --stream x", "syns.pcap --conn nonsense",
                                "syns.pcap --stream 0 --conn 1", "syns.pcap --calls x.log"}) {
    EXPECT_EQ(read(arguments), 2) << arguments << err_;
    EXPECT_NE(err_.find("tcpwhy: hint: "), std::string::npos) << arguments << err_;
  }
  EXPECT_EQ(read("syns.pcap --conn 1"), 2) << err_;
  EXPECT_EQ(read("syns.pcap --stream 0 --calls syns.pcap"), 3) << err_;
  EXPECT_EQ(read("missing.pcap --stream 0"), 3) << err_;
}

}  // namespace
}  // namespace tcpwhy::cli
