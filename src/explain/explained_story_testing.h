// For tests: a recording explained, and every text that it leads to filled.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "explain/explain.h"
#include "explain/testing/contradictions.h"
#include "explain/texts/catalogue.h"
#include "explain/texts/headlines.h"
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
  // Every place of every text is filled, the Chinese ones with Chinese words.
  void check_texts() const {
    for (const Finding& finding : explained.findings) {
      for (const auto& [name, _] : finding.slots)
        for (const Text& text : texts_of(finding))
          EXPECT_FALSE(finding.slots.contains(name + "_zh") && text.zh.contains("{" + name + "}"))
              << finding.rule->id << ": " << name;
      for (const Language language : {Language::en, Language::zh}) {
        EXPECT_EQ(empty_place(say(finding, language) + remedy(finding, language)), "");
        const Finding* const one[] = {&finding};
        for (const Verdict& verdict : verdicts_of(explained.timeline, one))
          EXPECT_EQ(empty_place(headline(verdict, explained.timeline, language)), "");
      }
    }
  }
  // The text, where it has a place like {name} still. Of a call as strace spells it a brace encloses more than a name.
  static std::string empty_place(const std::string& text) {
    for (auto open = text.find('{'); open != std::string::npos; open = text.find('{', open + 1)) {
      const auto close = text.find_first_not_of("abcdefghijklmnopqrstuvwxyz_", open + 1);
      if (close != std::string::npos && close > open + 1 && text[close] == '}') return text;
    }
    return "";
  }
  static std::vector<Text> texts_of(const Finding& finding) {
    const FindingText& text = *find_text(finding.rule->id);
    const Headline* row = find_headline(finding.rule->id);
    return {text.said, text.remedy, row == nullptr ? Text{} : row->text};
  }
};

// The client sends five bytes, which the server's kernel acknowledges.
inline void five_bytes(StoryRecorder& story) {
  constexpr std::uint16_t push_ack = 0x18, ack = 0x10;
  story.call("client", 500, 600, "send", "3, \"hello\", 5, 0", {5});
  story.segment(550, "client", push_ack, 1, 1, 5);
  story.segment(560, "server", ack, 1, 6);
}

// The server closes at 1 ms; the FIN leaves at 1.05 ms.
inline void server_closes(StoryRecorder& story, std::uint32_t seq = 1, std::uint32_t ack = 1) {
  constexpr std::uint16_t fin_ack = 0x11;
  story.call("server", 1000, 1100, "close", "4");
  story.segment(1050, "server", fin_ack, seq, ack);
}

inline void client_sends_and_is_reset(StoryRecorder& story, std::int64_t at, bool fin_acked) {
  constexpr std::uint16_t push_ack = 0x18, ack = 0x10, rst = 0x04;
  if (fin_acked) story.segment(4000, "client", ack, 1, 2);
  story.call("client", at, at + 100, "send", "3, \"hello\", 5, 0", {5});
  story.segment(at + 40, "client", push_ack, 1, 2, 5);
  story.segment(at + 50, "server", rst, 2);
}

}  // namespace tcpwhy::explain::testing
