#include "doctor/report.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/json_text.h"
#include "base/text.h"

namespace tcpwhy::doctor {
namespace {

struct Look {
  render::Style style;
  base::Text mark;
};

Look look_of(Answer answer) {
  switch (answer) {
    case Answer::yes: return {render::Style::good, {"yes", "是"}};
    case Answer::no: return {render::Style::bad, {"no", "否"}};
    case Answer::partly: return {render::Style::changed, {"partly", "部分"}};
    case Answer::fact: return {render::Style::plain, {"", ""}};
  }
  return {render::Style::plain, {}};
}

}  // namespace

std::string as_text(const std::vector<Probe>& probes, const render::TextOptions& options) {
  const base::Language language = options.language;
  constexpr std::size_t mark_columns = 8;
  constexpr base::Text needed_for{"for: ", "用途："}, more{"how: ", "办法："};
  std::size_t title_columns = 0;
  for (const auto& probe : probes) {
    title_columns = std::max(title_columns, base::display_width(probe.title.in(language)));
  }
  const std::size_t found_column = mark_columns + title_columns + 2;
  std::string out;
  const auto line = [&](const base::Text& label, const base::Text& text) {
    const std::size_t indent = mark_columns + base::display_width(label.in(language));
    out += base::wrap(std::string(label.in(language)) + base::escape_controls(text.in(language)), mark_columns, indent,
                      options.width) +
           '\n';
  };
  for (const auto& probe : probes) {
    const auto look = look_of(probe.answer);
    out += render::styled(look.style, base::fit(look.mark.in(language), mark_columns), options.color) +
           base::fit(probe.title.in(language), title_columns) + "  " +
           base::wrap(base::escape_controls(probe.found.in(language)), found_column, found_column, options.width)
               .substr(found_column) +
           '\n';
    line(needed_for, probe.needed_for);
    if (!probe.more.empty()) line(more, probe.more);
  }
  return out;
}

std::string as_json(const std::vector<Probe>& probes, base::Language language) {
  nlohmann::ordered_json document = {{"schema", "tcpwhy-doctor/1"}, {"program", "tcpwhy " TCPWHY_VERSION}};
  auto& list = document["probes"] = nlohmann::ordered_json::array();
  for (const auto& probe : probes) {
    nlohmann::ordered_json entry = {{"id", probe.id},
                                    {"answer", doctor::name(probe.answer)},
                                    {"title", probe.title.in(language)},
                                    {"found", probe.found.in(language)},
                                    {"needed_for", probe.needed_for.in(language)}};
    if (!probe.more.empty()) entry["how_to_get_it"] = probe.more.in(language);
    list.push_back(std::move(entry));
  }
  // What comes from the kernel or the environment may be no UTF-8.
  return base::escape_controls_in_json(document.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) +
                                       '\n');
}

}  // namespace tcpwhy::doctor
