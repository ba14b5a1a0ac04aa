// Of every scenario of the laboratory: whatever its programs had sent instead, the same would be found. Evidence is
// what a call was asked for and returned, not what it carried.
//
// The same of the experiments of tests/kernel: kernel_experiments/agreement_test.cc, which makes them; of real
// programs: tests/live/payloads.cc.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <string>

#include "capfile/recording/recording_io.h"
#include "explain/testing/other_payload.h"
#include "lab/lab.h"

namespace tcpwhy::cli {
namespace {

using explain::testing::account_of;
using explain::testing::with_payload;

TEST(Payload, of_no_scenario_changes_a_finding_a_grade_or_a_cause) {
  const auto words = explain::testing::telling_words();
  const std::string all = explain::testing::all_telling_words();
  const auto outcomes = lab::run(lab::builtin_scenarios(), {}, [](const lab::Outcome&) {});
  std::size_t next = 0;
  for (const auto& outcome : outcomes) {
    if (outcome.error && outcome.error->kind == base::ErrorKind::privilege) GTEST_SKIP() << outcome.error->message.en;
    if (outcome.error) continue;
    SCOPED_TRACE(outcome.scenario.name);
    const auto plain = account_of(outcome.recording);
    EXPECT_EQ(account_of(with_payload(outcome.recording, all)), plain);
    // Each word alone too, spread over the scenarios.
    for (int i = 0; i < 12; ++i, ++next) {
      const auto& word = words[next % words.size()];
      EXPECT_EQ(account_of(with_payload(outcome.recording, word)), plain) << word;
    }
  }
  EXPECT_GE(next, words.size());
}

TEST(Payload, of_no_stored_recording_changes_a_finding_a_grade_or_a_cause) {
  const auto words = explain::testing::telling_words();
  int held = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(TCPWHY_SOURCE_DIR "/fuzz/corpus")) {
    if (entry.path().extension() != ".pcapng") continue;
    SCOPED_TRACE(entry.path());
    const auto read = capfile::read_recordings(entry.path().string());
    ASSERT_TRUE(read);
    for (const auto& recording : read->recordings) {
      const auto plain = account_of(recording);
      for (const auto& word : words) EXPECT_EQ(account_of(with_payload(recording, word)), plain) << word;
      ++held;
    }
  }
  EXPECT_GT(held, 0);
}

}  // namespace
}  // namespace tcpwhy::cli
