#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

#include "base/testing/golden.h"
#include "explain/rules/life.h"
#include "explain/rules/sockets.h"
#include "explain/texts/catalogue.h"
#include "explain/texts/reset_reasons.h"

namespace tcpwhy::explain {
namespace {

std::string findings_section() {
  std::string page =
      "# Findings\n\n"
      "Every statement that tcpwhy makes about a connection, what must hold for it to be made, and what it rests on. A finding carries the\n"
      "events that are its evidence and a grade: *observed*, *derived* or *assumed*. `tools/golden update` writes this page from the tables in\n"
      "`src/explain/texts/rules.cc`, `src/explain/texts/reset_reasons.cc`, `src/explain/rules/sockets.cc` and `src/explain/rules/life.cc`.\n\n"
      "| rule | severity | made when | rests on | leaves open |\n| --- | --- | --- | --- | --- |\n";
  for (const auto& rule : rules())
    page += fmt::format("| `{}` | {} | {} | {} | {} |\n", rule.id, name(rule.severity), rule.when, rule.rests_on,
                        rule.cannot_know.empty() ? "–" : rule.cannot_know);
  return page;
}

// The sentence, the one in its stead before accept(), and what is put behind it.
std::string cell(const SocketRule& rule, Language language) {
  std::string text(rule.sentence.in(language));
  if (!rule.with_unread.empty()) text += fmt::format("[{}]", rule.with_unread.in(language));
  if (!rule.not_accepted.empty()) text += fmt::format("<br>{}", rule.not_accepted.in(language));
  if (!rule.remedy.empty()) text += fmt::format("<br>→ {}", rule.remedy.in(language));
  return text;
}

std::string sockets_section() {
  std::string page =
      "\n## What `tcpwhy ps` says of a socket\n\n"
      "Of a socket one thing is said: `window_shut`, `orphan_unacked` and `retransmitting` come before the others. All of it is *observed*: the\n"
      "kernel's own word (sock_diag(7)) at one moment, never a past. After the arrow: what to do.\n\n"
      "| rule | severity | said when | rests on | says | 说 |\n| --- | --- | --- | --- | --- | --- |\n";
  for (const SocketRule& rule : socket_rules())
    page += fmt::format("| `{}` | {} | {} | {} | {} | {} |\n", rule.id, severity_words(rule), rule.when, rule.rests_on,
                        cell(rule, Language::en), cell(rule, Language::zh));
  return page;
}

void add_words_of(const ResetReason& reason, std::vector<std::string>& words) {
  if (!reason.kernel.cause.empty()) words.push_back(fmt::format("`{}`", reason.kernel.cause));
  for (const std::string_view word : reason.kernel.reasons)
    if (!word.empty()) words.emplace_back(word);
}

// The kernel's words that lead to this ending: its own, and those of reasons that have none and name it as the wider one.
std::string when_reset(const ResetReason& ending) {
  std::vector<std::string> words;
  bool at_exit = false;
  add_words_of(ending, words);
  for (const ResetReason& reason : reset_reasons()) {
    const bool leads_here = reason.ending.empty() && reason.wider == ending.id;
    const bool ends_here = reason.at_exit == ending.id;
    at_exit |= ends_here;
    if (leads_here || ends_here) add_words_of(reason, words);
  }
  std::vector<std::string> ways;
  if (!words.empty())
    ways.push_back(fmt::format("the kernel's stack or reason of the RST is {}{}", fmt::join(words, " or "),
                               at_exit ? ", and the process of its sender ended" : ""));
  if (ending.id == "reset.after_close" || ending.id == "reset.late_after_close")
    ways.push_back(fmt::format("its sender had closed, and the segment that it answers carried {}",
                               ending.id == "reset.after_close" ? "data" : "none"));
  return fmt::format("{}", fmt::join(ways, "; or "));
}

std::string lives_section() {
  std::string page =
      "\n## How `tcpwhy watch` says that a connection ended\n\n"
      "From what the kernel's tracepoints told of its socket, and of the other end's where that lives on this machine too. *Abnormal* is what\n"
      "`--abnormal` shows.\n\n"
      "| `why` | abnormal | said when | rests on | says | 说 |\n| --- | --- | --- | --- | --- | --- |\n";
  for (const LifeRow& row : life_rows()) {
    const ResetReason* reason = row.when.empty() ? find_reset_reason(row.id) : nullptr;
    page += fmt::format("| `{}` | {} | {} | {} | {} | {} |\n", row.id, row.abnormal ? "yes" : "no",
                        reason != nullptr ? when_reset(*reason) : std::string(row.when), row.rests_on, row.text.en,
                        row.text.zh);
  }
  return page;
}

TEST(Golden, findings_page_is_the_tables) {
  base::testing::expect_golden("docs/FINDINGS.md", findings_section() + sockets_section() + lives_section());
}

}  // namespace
}  // namespace tcpwhy::explain
