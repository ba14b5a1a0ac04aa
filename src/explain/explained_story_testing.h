// For tests: a recording explained, and every text that it leads to filled.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "explain/explain.h"
#include "explain/testing/contradictions.h"
#include "explain/verdict.h"
#include "recording/testing/story_recorder.h"

namespace tcpwhy::explain::testing {

using recording::testing::StoryRecorder;

struct ExplainedStory {
  recording::Recording recording;
  Explained explained;
  explicit ExplainedStory(StoryRecorder& story) : recording(story.take()), explained(explain(recording)) {
    check_texts();
    check_itself();
  }
  explicit ExplainedStory(recording::Recording given) : recording(std::move(given)), explained(explain(recording)) {
    check_texts();
    check_itself();
  }
  [[nodiscard]] const Finding* finding(std::string_view rule) const {
    const auto found = std::ranges::find_if(explained.findings, [&](const Finding& f) { return f.rule->id == rule; });
    return found == explained.findings.end() ? nullptr : &*found;
  }
  [[nodiscard]] bool has(std::string_view rule) const { return finding(rule) != nullptr; }
  [[nodiscard]] std::string text(std::string_view rule) const {
    return has(rule) ? say(*finding(rule), Language::en) : "";
  }
  [[nodiscard]] Grade grade(std::string_view rule) const { return finding(rule)->grade; }

 private:
  void check_itself() const {
    for (const std::string& contradiction : contradictions_in(explained)) ADD_FAILURE() << contradiction;
  }
  // Every place of every text is filled.
  void check_texts() const {
    for (const Finding& finding : explained.findings)
      for (const Language language : {Language::en, Language::zh}) {
        const auto text = say(finding, language) + remedy(finding, language);
        const auto open = text.find('{');
        EXPECT_TRUE(open == std::string::npos || text.substr(open).starts_with("{on, ") ||
                    text.substr(open).starts_with("{sa_") || text.substr(open).starts_with("{l_"))
            << text;
        const Finding* const one[] = {&finding};
        for (const Verdict& verdict : verdicts_of(explained.timeline, one))
          EXPECT_EQ(headline(verdict, explained.timeline, language).find('{'), std::string::npos)
              << headline(verdict, explained.timeline, language);
      }
  }
};

// The client sends five bytes, which the server's kernel acknowledges.
inline void five_bytes(StoryRecorder& story) {
  constexpr std::uint16_t push_ack = 0x18, ack = 0x10;
  story.call("client", 500, 600, "send", "3, \"hello\", 5, 0", {5});
  story.segment(550, "client", push_ack, 1, 1, 5);
  story.segment(560, "server", ack, 1, 6);
}

}  // namespace tcpwhy::explain::testing
