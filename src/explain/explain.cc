#include "explain/explain.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <set>

#include "base/units.h"
#include "explain/texts/catalogue.h"

namespace tcpwhy::explain {
namespace {

struct Found {
  const Explained* in;
  const Finding* finding;
};
using FoundByRule = std::map<std::string_view, std::vector<Found>>;

bool asks(const recording::Recording& recording, int question) {
  return std::ranges::count(questions_of(recording), question) > 0;
}

FoundByRule found_for(std::span<const Explained> explained, int question) {
  FoundByRule found;
  for (const Explained& one : explained)
    if (asks(*one.recording, question))
      for (const Finding& finding : one.findings) found[finding.rule->id].push_back({&one, &finding});
  return found;
}

bool is_main(const recording::Recording& recording) {
  const auto role = recording.provenance.labels.find("role");
  return role == recording.provenance.labels.end() || role->second == "main";
}

// The experiments that answer directly come first: the figures are theirs where they have any.
std::vector<Found> direct(const std::vector<Found>& found) {
  std::vector<Found> chosen;
  for (const Found& one : found)
    if (is_main(*one.in->recording)) chosen.push_back(one);
  return chosen.empty() ? found : chosen;
}

// What several findings say of one slot: words of the first, the range of times and numbers.
std::string summary(const std::vector<Found>& found, std::string_view slot, Language language) {
  std::optional<base::Duration> low, high;
  std::optional<std::int64_t> least, most;
  for (const Found& one : found) {
    const auto value = one.finding->slots.find(slot);
    if (value == one.finding->slots.end()) continue;
    if (std::holds_alternative<std::string>(value->second))
      return fill("{" + std::string(slot) + "}", one.finding->slots, language);
    if (const auto* duration = std::get_if<base::Duration>(&value->second)) {
      low = std::min(low.value_or(*duration), *duration);
      high = std::max(high.value_or(*duration), *duration);
    } else {
      const auto number = std::get<std::int64_t>(value->second);
      least = std::min(least.value_or(number), number);
      most = std::max(most.value_or(number), number);
    }
  }
  if (low) {
    const auto from = base::in_words(*low), to = base::in_words(*high);
    return from == to ? from : fmt::format("{} – {}", from, to);
  }
  if (least) return *least == *most ? fmt::format("{}", *least) : fmt::format("{} – {}", *least, *most);
  return {};
}

std::string fill_summary(std::string_view text, const FoundByRule& found, Language language) {
  Slots slots;
  for (std::size_t open = text.find('{'); open != std::string_view::npos; open = text.find('{', open + 1)) {
    const auto close = text.find('}', open);
    const auto place = text.substr(open + 1, close - open - 1);
    const auto slash = place.find('/');
    const auto rule = found.find(place.substr(0, slash));
    if (slash == std::string_view::npos || rule == found.end()) continue;
    slots[std::string(place)] = summary(direct(rule->second), place.substr(slash + 1), language);
  }
  return fill(text, slots, language);
}

Clause clause_of(const AnswerRow& row, const FoundByRule& found, Language language) {
  Clause clause;
  clause.grade = Grade::observed;
  clause.text = fill_summary(row.text.in(language), found, language);
  std::set<std::string> seen;
  for (const auto rule : row.needs) {
    auto best = Grade::assumed;
    for (const Found& one : found.at(rule)) {
      best = std::min(best, one.finding->grade);
      const auto& title = one.in->recording->provenance.title;
      if (!seen.insert(title).second) continue;
      const auto before = is_main(*one.in->recording) ? clause.experiments.begin() : clause.experiments.end();
      clause.experiments.insert(before, title);
    }
    clause.grade = std::max(clause.grade, best);
  }
  return clause;
}

}  // namespace

std::vector<int> questions_of(const recording::Recording& recording) {
  std::vector<int> numbers;
  const auto label = recording.provenance.labels.find("asks");
  if (label == recording.provenance.labels.end()) return numbers;
  const char* at = label->second.data();
  const char* const end = at + label->second.size();
  while (at < end) {
    int number = 0;
    const auto [next, error] = std::from_chars(at, end, number);
    if (error == std::errc{}) numbers.push_back(number);
    at = error == std::errc{} ? next : at + 1;
  }
  return numbers;
}

Explained explain(const recording::Recording& recording) {
  Explained explained;
  explained.recording = &recording;
  explained.timeline = timeline::build(recording);
  explained.findings = find(explained.timeline);
  return explained;
}

void keep_what_packets_show(std::vector<Finding>& findings) {
  std::erase_if(findings, [](const Finding& finding) {
    return !finding.rule->id.starts_with("open.") || finding.rule->severity > Severity::note;
  });
}

std::vector<Answer> answer(std::span<const Explained> explained, Language language) {
  std::vector<Answer> answers;
  for (const Question& question : questions()) {
    const bool asked =
        std::ranges::any_of(explained, [&](const Explained& one) { return asks(*one.recording, question.number); });
    if (!asked) continue;
    Answer one;
    one.number = question.number;
    const auto found = found_for(explained, question.number);
    for (const AnswerRow& row : answer_rows()) {
      if (row.question != question.number) continue;
      const auto is_missing = [&](std::string_view rule) { return !found.contains(rule); };
      const auto missing = std::ranges::find_if(row.needs, is_missing);
      if (missing == row.needs.end())
        one.clauses.push_back(clause_of(row, found, language));
      else
        one.missing.emplace_back(*missing);
    }
    answers.push_back(std::move(one));
  }
  return answers;
}

}  // namespace tcpwhy::explain
