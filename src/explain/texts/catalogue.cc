#include "explain/texts/catalogue.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "base/text.h"
#include "base/units.h"

namespace tcpwhy::explain {
namespace {

std::string slot_text(const Slot& slot, Language language) {
  if (const auto* words = std::get_if<std::string>(&slot)) {
    const bool english_end = language == Language::en && (*words == "server" || *words == "client");
    return (english_end ? "the " : "") + base::escape_controls(end_name(*words, language));
  }
  if (const auto* duration = std::get_if<base::Duration>(&slot)) return base::in_words(*duration);
  return fmt::format("{}", std::get<std::int64_t>(slot));
}

bool is_one(const Slot& slot) {
  const auto* number = std::get_if<std::int64_t>(&slot);
  return number != nullptr && *number == 1;
}

// A blank before a number sets it apart from Chinese words; after their punctuation nothing is to be set apart.
void put_in(std::string_view value, std::string& filled) {
  constexpr std::string_view punctuation[] = {"：", "，", "。", "；", "（"};
  const bool is_apart = std::ranges::any_of(punctuation, [&](auto mark) { return filled.ends_with(mark); });
  if (is_apart && value.starts_with(' ')) value.remove_prefix(1);
  filled += value;
}

// Where what is counted stands next in the text, it goes into `filled` as one of it: "1 byte".
void put_singular(std::string_view& text, std::string& filled) {
  struct Noun {
    std::string_view many, one;
  };
  constexpr Noun counted[] = {{" bytes", " byte"},    {" segments", " segment"}, {" sockets", " socket"},
                              {" entries", " entry"}, {" times", " time"},       {" connections", " connection"},
                              {" calls", " call"}};
  for (const auto& [many, one] : counted) {
    if (!text.starts_with(many)) continue;
    filled += one;
    text.remove_prefix(many.size());
    return;
  }
}

}  // namespace

const FindingText* find_text(std::string_view id) {
  const auto row = std::ranges::find(texts(), id, &FindingText::id);
  return row == texts().end() ? nullptr : &*row;
}

std::string_view grade_words(Grade grade, Language language) {
  constexpr std::string_view chinese[] = {"观察到", "推导", "推测"};
  return language == Language::zh ? chinese[static_cast<std::size_t>(grade)] : name(grade);
}

std::string_view severity_words(Severity severity, Language language) {
  constexpr std::string_view chinese[] = {"正常", "提示", "警告", "错误"};
  return language == Language::zh ? chinese[static_cast<std::size_t>(severity)] : name(severity);
}

std::string end_name(std::string_view name, Language language) {
  if (language == Language::zh) {
    if (name == "server") return "服务器";
    if (name == "client") return "客户端";
  }
  return std::string(name);
}

std::string fill(std::string_view text, const Slots& slots, Language language) {
  std::string filled;
  while (!text.empty()) {
    const auto open = text.find('{');
    filled += text.substr(0, open);
    if (open == std::string_view::npos) break;
    const auto close = text.find('}', open);
    if (close == std::string_view::npos) {
      filled += text.substr(open);
      break;
    }
    const auto slot = slots.find(text.substr(open + 1, close - open - 1));
    if (slot == slots.end())
      filled += text.substr(open, close - open + 1);
    else
      put_in(slot_text(slot->second, language), filled);
    text.remove_prefix(close + 1);
    if (language == Language::en && slot != slots.end() && is_one(slot->second)) put_singular(text, filled);
  }
  return filled;
}

std::string error_words(int error) {
  const char* name = strerrorname_np(error);
  return name != nullptr && error != 0 ? std::string(name) : fmt::format("{}", error);
}

std::string say(const Finding& finding, Language language) {
  const FindingText* text = find_text(finding.rule->id);
  if (text == nullptr) return std::string(finding.rule->id);
  std::string said = fill(text->said.in(language), finding.slots, language);
  if (said.starts_with("the ")) said.front() = 'T';
  if (said.starts_with("a ")) said.front() = 'A';
  for (auto at = said.find(". the "); at != std::string::npos; at = said.find(". the ", at)) said[at + 2] = 'T';
  return said;
}

std::string remedy(const Finding& finding, Language language) {
  const FindingText* text = find_text(finding.rule->id);
  return text == nullptr ? std::string() : fill(text->remedy.in(language), finding.slots, language);
}

}  // namespace tcpwhy::explain
