// Of every scenario of the laboratory: whatever its programs had sent instead, the same would be found. Evidence is what a call was asked
// for and returned, not what it carried.
#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <tuple>
#include <vector>

#include "calls/names.h"
#include "calls/socket_options.h"
#include "explain/explain.h"
#include "lab/lab.h"

namespace tcpwhy::cli {
namespace {

// The text with all that stands in quotes replaced.
std::string with_payload(std::string_view text, std::string_view payload) {
  std::string made;
  bool quoted = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (quoted && text[i] == '\\') {
      ++i;
      continue;
    }
    if (text[i] == '"') {
      quoted = !quoted;
      if (quoted) made.append("\"").append(payload);
    }
    if (!quoted) made += text[i];
  }
  return made;
}

recording::Recording with_payload(const recording::Recording& recording, std::string_view payload) {
  recording::Recording made = recording;
  for (auto& event : made.events) {
    if (auto* entered = std::get_if<recording::CallEntered>(&event.what))
      entered->arguments = with_payload(entered->arguments, payload);
    if (auto* returned = std::get_if<recording::CallReturned>(&event.what))
      returned->detail = with_payload(returned->detail, payload);
  }
  return made;
}

using Evidence = std::vector<std::uint32_t>;
struct Account {
  std::vector<std::tuple<std::string_view, timeline::Grade, Evidence>> findings;
  std::vector<std::tuple<timeline::Trigger, timeline::Timer, timeline::Grade, std::string_view, std::uint32_t>> causes;
  bool operator==(const Account&) const = default;
};

Account account_of(const recording::Recording& recording) {
  const auto explained = explain::explain(recording);
  Account account;
  for (const auto& finding : explained.findings) {
    Evidence evidence;
    for (const auto id : finding.evidence) evidence.push_back(id.value);
    account.findings.emplace_back(finding.rule->id, finding.grade, evidence);
  }
  for (const auto& segment : explained.timeline.segments)
    account.causes.emplace_back(segment.cause.trigger, segment.cause.timer, segment.cause.grade, segment.cause.rule,
                                segment.cause.by.value_or(timeline::EventId{}).value);
  return account;
}

std::vector<std::string> telling_words() {
  std::vector<std::string> words = {"l_onoff=1, l_linger=0",
                                    "TCP_QUICKACK, [1]",
                                    "TCP_LINGER2, [-1]",
                                    "cmsg_type=SCM_RIGHTS",
                                    "[ECONNRESET]",
                                    " = -1 EPIPE (Broken pipe)",
                                    "sa_handler=SIG_IGN",
                                    "SIG_BLOCK, [PIPE]",
                                    "sa_family=AF_UNSPEC",
                                    "F_DUPFD",
                                    "msg_len=7"};
  for (const auto& names :
       {calls::message_flags(), calls::shutdown_ways(), calls::ip_protocols(), calls::descriptor_commands()})
    for (const auto& named : names) words.emplace_back(named.name);
  for (const auto& option : calls::socket_options()) words.emplace_back(option.name);
  for (int error = 1; error < 134; ++error)
    if (const char* name = strerrorname_np(error)) words.emplace_back(name);
  return words;
}

TEST(Payload, of_no_scenario_changes_a_finding_a_grade_or_a_cause) {
  const auto words = telling_words();
  std::string all;
  for (const auto& word : words) all += word + "|";
  const auto outcomes = lab::run(lab::builtin_scenarios(), {}, [](const lab::Outcome&) {});
  std::size_t next = 0;
  for (const auto& outcome : outcomes) {
    if (outcome.error && outcome.error->kind == base::ErrorKind::privilege) GTEST_SKIP() << outcome.error->message;
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

}  // namespace
}  // namespace tcpwhy::cli
