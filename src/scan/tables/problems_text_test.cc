#include "scan/tables/problems_text.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <sstream>
#include <string>
#include <vector>

#include "base/text.h"
#include "scan/testing/records.h"

namespace tcpwhy::scan {
namespace {

TEST(ProblemsText, tells_every_problem_with_its_id_and_the_number_to_look_at) {
  std::size_t told = 0;
  for (const auto& file : std::filesystem::directory_iterator(TCPWHY_SOURCE_DIR "/tests/wild")) {
    const auto records = testing::records_of(FrameReader::open(file.path()));
    StreamNumbers streams;
    std::vector<Kept> kept;
    for (const ConnectionRecord& record : records) {
      streams.put(record.first_frame);
      if (auto problems = problems_of(record); !problems.empty()) kept.push_back({record, std::move(problems)});
    }
    streams.sort();
    for (const base::Language language : {base::Language::en, base::Language::zh}) {
      const auto text = problems_text({.name = "x.pcap", .rows = kept, .streams = streams, .wrong = kept.size()},
                                      {.language = language, .width = 80});
      for (const Kept& one : kept) {
        EXPECT_NE(text.find(fmt::format("x.pcap --stream {}: ", *streams.of(one.record.first_frame))),
                  std::string::npos);
        for (const Problem& problem : one.problems) {
          EXPECT_NE(text.find(problem.rule->id), std::string::npos) << text;
          ++told;
        }
      }
      std::istringstream lines(text);
      for (std::string line; std::getline(lines, line);) EXPECT_LE(base::display_width(line), 80U) << line;
    }
  }
  EXPECT_GT(told, 20U);
}

TEST(ProblemsText, says_that_there_is_nothing_and_that_there_is_more) {
  StreamNumbers none;
  EXPECT_EQ(problems_text({.name = "x", .rows = {}, .streams = none, .wrong = 0}, {}), "x: no finding\n");
  EXPECT_NE(problems_text({.name = "x", .rows = {}, .streams = none, .wrong = 7}, {}).find("7 more"),
            std::string::npos);
}

}  // namespace
}  // namespace tcpwhy::scan
