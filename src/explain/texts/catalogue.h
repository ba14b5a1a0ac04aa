// The texts of the explanations, English and Chinese side by side. A place is written {name}; a test holds that both languages have the
// same places and that every rule has a row.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "explain/finding.h"

namespace tcpwhy::explain {

struct FindingText {
  std::string_view id;  // of the rule
  Text said;
  Text remedy;                  // empty where nothing is to be done
  bool asks_for_cause = false;  // the remedy is to find out what made this happen
};
std::span<const FindingText> texts();
const FindingText* find_text(std::string_view id);

// The slots of a finding put into the places of a text. An end's name becomes a word of the sentence ("server" -> the server, 服务器). A place without a
// slot stays as it is written, so that it is seen.
std::string fill(std::string_view text, const Slots& slots, Language language);
// In words; the ids that documents and options have are name()'s.
std::string_view grade_words(Grade grade, Language language);
std::string_view severity_words(Severity severity, Language language);

std::string end_name(std::string_view name, Language language);

}  // namespace tcpwhy::explain
