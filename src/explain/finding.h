// Findings: statements about a connection, each with the events that are its evidence.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/clock.h"
#include "base/language.h"
#include "timeline/timeline.h"

namespace tcpwhy::explain {

using base::Language;
using base::OwnedText;
using base::Text;
using timeline::Grade;

enum class Severity : std::uint8_t { chat, note, warning, error };  // Wireshark's words
std::string_view name(Severity severity);

// What a rule claims and on what ground. Ids are dotted, stable and never reused: they appear in JSON, tests and docs.
struct Rule {
  std::string_view id;  // "reset.unread_data_at_close"
  Severity severity;
  std::string_view when;         // "set when all of these hold: ..."
  std::string_view rests_on;     // RFC section, kernel function, man page
  std::string_view cannot_know;  // what the evidence leaves open; may be empty
};
std::span<const Rule> rules();
const Rule* find_rule(std::string_view id);

// What fills a place of the text: words, a time that was measured, or a number.
using Slot = std::variant<std::string, base::Duration, std::int64_t>;
using Slots = std::map<std::string, Slot, std::less<>>;
// Words that differ between the languages fill {name} in the English text, {name_zh} in the Chinese.
inline void put(Slots& slots, std::string_view name, const Text& words) {
  slots[std::string(name)] = std::string(words.en), slots[std::string(name) + "_zh"] = std::string(words.zh);
}

struct Finding {
  const Rule* rule = nullptr;
  Grade grade = Grade::derived;
  std::optional<timeline::ConnectionIndex> connection;
  std::vector<timeline::EventId> evidence;  // never empty; in order of time
  timeline::EventId about;                  // the moment it speaks of; findings are told in this order
  timeline::EventId act;  // the call that its headline names; not valid: the first of its end's in the evidence
  Slots slots;
};

// Everything that the rules find in a timeline, in order of the first evidence.
std::vector<Finding> find(const timeline::Timeline& timeline);

// The finding in words; and what to do about it (empty if nothing). Safe for a terminal.
std::string say(const Finding& finding, Language language);
std::string remedy(const Finding& finding, Language language);

// "ECONNRESET"; a number that has no name, in digits.
std::string error_words(int error);

}  // namespace tcpwhy::explain
