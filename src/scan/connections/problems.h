// What is wrong with a connection, as far as its record tells: rules over records, with the frame that shows it.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/language.h"
#include "explain/finding.h"
#include "scan/connections/record.h"

namespace tcpwhy::scan {

// Ids are dotted, stable and never reused: they appear in NDJSON, --where, tests and docs/CAPTURES.md.
struct ProblemRule {
  std::string_view id;  // "capture.reset.unread_data"
  explain::Severity severity;
  std::string_view when;      // what must hold, in the words of docs/CAPTURES.md
  std::string_view rests_on;  // RFC section, kernel function
  base::Text text;            // what a person reads
  base::Text remedy;          // empty where nothing is to be done
  // For who looks at one connection: the text with what its record tells besides; null: it tells no more.
  std::string (*told)(const ConnectionRecord& record, base::Language language) = nullptr;
  bool told_is_all = false;  // then the remedy says no more
  base::Text if_assumed{};   // for who looks at one connection, where it is assumed; empty: the same
};
std::span<const ProblemRule> problem_rules();

struct Problem {
  const ProblemRule* rule = nullptr;
  explain::Grade grade = explain::Grade::derived;
  std::uint64_t frame = 0;  // the evidence
  std::uint64_t count = 1;  // of what it speaks of
};

// Worst first; empty where nothing is to be said.
std::vector<Problem> problems_of(const ConnectionRecord& record);

// The problem in words, for who looks at this one connection: what its record tells besides is said too. And what to do about it (empty if
// nothing).
std::string say(const Problem& problem, const ConnectionRecord& record, base::Language language);
std::string remedy(const Problem& problem, base::Language language);

}  // namespace tcpwhy::scan
