#include "render/reports/findings_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <vector>

#include "base/format.h"
#include "base/text.h"
#include "base/units.h"
#include "explain/texts/catalogue.h"
#include "render/reports/summary_words.h"
#include "render/timeline/words.h"

namespace tcpwhy::render {
namespace {

using base::Text;
using explain::Explained;
using explain::Finding;
using explain::Severity;

std::vector<const Finding*> worst_first(const std::vector<Finding>& findings) {
  std::vector<const Finding*> told;
  for (const Finding& finding : findings)
    if (finding.rule->severity != Severity::chat) told.push_back(&finding);
  std::ranges::stable_sort(told, std::ranges::greater{}, [](const Finding* f) { return f->rule->severity; });
  return told;
}

// Which connection it is of, and when in its life.
std::string where(const Explained& explained, const Finding& finding, base::Language language) {
  const auto index = *finding.connection;
  const auto after = explained.timeline.event(finding.about).at - explained.timeline.connections[index].began;
  return base::format(language, {"{} {}, after {}", "{} {}，{} 后"}, index + 1,
                      ends_words(explained.timeline, index, language), base::in_words(after));
}

}  // namespace

std::string findings_report(const Explained& explained, const TextOptions& options) {
  const auto width = std::max<std::size_t>(options.width, 80);
  std::string out;
  const auto put = [&](Style style, const std::string& text, std::size_t indent) {
    out += styled(style, base::wrap(text, indent, indent + 2, width), options.color) + "\n";
  };
  auto name = base::escape_controls(explained.recording->provenance.title);
  if (!name.empty()) name += ": ";
  const auto told = worst_first(explained.findings);
  for (const Finding* finding : told) {
    put(finding->rule->severity == Severity::error ? Style::bad : Style::plain,
        fmt::format("{}{}: {} [{}, {}]", name, explain::severity_words(finding->rule->severity, options.language),
                    explain::say(*finding, options.language), finding->rule->id,
                    explain::grade_words(finding->grade, options.language)),
        0);
    if (finding->connection) put(Style::dim, where(explained, *finding, options.language), 2);
    if (const auto advice = explain::remedy(*finding, options.language); !advice.empty())
      put(Style::good, fmt::format(fmt::runtime(word(Word::what_to_do, options.language)), advice), 2);
  }
  if (told.empty()) put(Style::good, name + std::string(word(Word::nothing_found, options.language)), 0);
  return out;
}

}  // namespace tcpwhy::render
