#include "render/reports/sockets_report.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <sstream>
#include <string>

#include "base/text.h"
#include "recording/testing/snapshots.h"

namespace tcpwhy::render {
namespace {

using recording::SocketFacts;
using recording::testing::socket_in;

TEST(SocketsReport, fits_the_terminal_and_lets_nothing_through) {
  SocketFacts facts;
  for (const auto* state : {"CLOSE-WAIT", "LISTEN", "SYN-SENT", "ESTABLISHED", "TIME-WAIT"}) {
    facts.sockets.push_back(socket_in(state));
    facts.sockets.back().receive_queue = 3;
    facts.sockets.back().activity.retransmissions = 3;
    facts.sockets.back().activity.last_data_received_ms = 30'000;
  }
  facts.holders.by_inode[77] = {{42, 4, "\x1b[31mevil"}};
  facts.holders.processes = 9, facts.holders.not_permitted = 3;
  facts.listen_overflows = 12, facts.listen_drops = 14;
  facts.local_ports = 1;
  for (const auto language : {base::Language::en, base::Language::zh}) {
    const auto text = sockets_report(facts, explain::judge(facts), {.text = {.language = language}, .all = true});
    EXPECT_EQ(text.find('\x1b'), std::string::npos);
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);) EXPECT_LE(base::display_width(line), 80U) << line;
  }
  std::string text;
  write_sockets_json(facts, explain::judge(facts), base::Language::en,
                     [&text](std::string_view piece) { text += piece; });
  const auto document = nlohmann::json::parse(text);
  EXPECT_EQ(document["sockets"].size(), 5U);
  EXPECT_EQ(document["sockets"][0]["findings"][0]["id"], "close_wait");
}

}  // namespace
}  // namespace tcpwhy::render
