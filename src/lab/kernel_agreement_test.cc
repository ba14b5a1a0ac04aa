// Our scenarios against the same experiments made by another program (tests/kernel/measured/scenarios.tsv): the same
// segments, in the same order and direction.
#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <sstream>

#include "base/testing/data.h"
#include "lab/lab.h"
#include "lab/sandbox/sandbox.h"
#include "wire/packet.h"

namespace tcpwhy::lab {
namespace {

constexpr std::size_t packets_column = 4;

std::vector<std::string> split(const std::string& line, char separator) {
  std::vector<std::string> parts;
  std::istringstream stream(line);
  for (std::string part; std::getline(stream, part, separator);) parts.push_back(part);
  return parts;
}

std::map<std::string, std::vector<std::string>> read_rows() {
  std::ifstream file(base::testing::own_data("kernel/measured/scenarios.tsv"));
  std::map<std::string, std::vector<std::string>> rows;
  for (std::string line; std::getline(file, line);) {
    auto columns = split(line, '\t');
    if (columns.size() > packets_column) rows[columns[0]] = columns;
  }
  return rows;
}

// "C>S[S]0 | +13ms S>C[F.]1 a1" -> "C>S[S] S>C[F.]"
std::string segments_of_row(const std::vector<std::string>& row) {
  std::string text;
  for (const std::string& packet : split(row[packets_column], '|')) {
    const std::size_t close = packet.find(']'), arrow = packet.find('>');
    if (close == std::string::npos || arrow == std::string::npos || arrow == 0) continue;
    text += (text.empty() ? "" : " ") + packet.substr(arrow - 1, close - arrow + 2);
  }
  return text;
}

std::string segments_of(const recording::Recording& recording) {
  std::string text;
  for (const recording::Event& event : recording.events) {
    const auto* packet = std::get_if<recording::Packet>(&event.what);
    if (!packet) continue;
    const auto& interface = recording.interfaces[packet->interface.value];
    if (interface.host == "server") continue;  // the client's tap, as the other program's
    const wire::TcpSegment segment = wire::dissect(interface.link_type, packet->bytes, packet->original_length).segment;
    text += fmt::format("{}{}[{}]", text.empty() ? "" : " ",
                        segment.source.port >= 9990 && segment.source.port <= 9999 ? "S>C" : "C>S",
                        wire::to_string(segment.flags));
  }
  return text;
}

struct Pair {
  std::string_view scenario, row;
};

// Names the test; without it GoogleTest prints the bytes, addresses included.
void PrintTo(const Pair& pair, std::ostream* out) { *out << pair.scenario << " and " << pair.row; }

class KernelAgreement : public testing::TestWithParam<Pair> {};

TEST_P(KernelAgreement, the_same_segments) {
  if (const auto available = sandbox_available(); !available)
    GTEST_SKIP() << "no sandbox here: " << available.error().message.en;
  const auto rows = read_rows();
  ASSERT_FALSE(rows.empty());
  for (const Scenario& scenario : builtin_scenarios()) {
    if (scenario.name != GetParam().scenario) continue;
    const auto outcomes = run({&scenario, 1}, {}, {});
    EXPECT_TRUE(outcomes[0].passed);
    EXPECT_EQ(segments_of(outcomes[0].recording), segments_of_row(rows.at(std::string(GetParam().row))));
    return;
  }
  FAIL() << "no scenario " << GetParam().scenario;
}

INSTANTIATE_TEST_SUITE_P(Each, KernelAgreement,
                         testing::Values(Pair{"1-open/handshake", "H01"}, Pair{"1-open/nobody-listens", "H02"},
                                         Pair{"2-close/server-closes", "C01"},
                                         Pair{"2-close/killed-process-closes", "C21b"},
                                         Pair{"3-send-after-own-close/bad-descriptor", "C02"},
                                         Pair{"4-recv-after-own-close/bad-descriptor", "C03"},
                                         Pair{"4-recv-after-own-close/shutdown-rd-then-recv", "C16"},
                                         Pair{"5-send-after-peer-close/reset-by-fin-wait-2", "C04"},
                                         Pair{"5-send-after-peer-close/while-the-ack-is-pending", "C04b"},
                                         Pair{"5-send-after-peer-close/close-with-unread-data", "C12"},
                                         Pair{"5-send-after-peer-close/linger-zero", "C13"},
                                         Pair{"6-recv-after-peer-close/reset-is-told-once", "C09c"},
                                         Pair{"7-sigpipe/ignored", "C06b"}, Pair{"7-sigpipe/msg-nosignal", "C06"},
                                         Pair{"7-sigpipe/handled", "C05"},
                                         Pair{"7-sigpipe/two-sends-back-to-back", "C05b"}));

}  // namespace
}  // namespace tcpwhy::lab
