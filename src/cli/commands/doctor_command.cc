// tcpwhy doctor: what this machine lets us observe, what each is needed for, and how to get more.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/json_text.h"
#include "base/language.h"
#include "base/text.h"
#include "cli/choice.h"
#include "cli/command.h"
#include "doctor/probe.h"
#include "render/timeline/text.h"

namespace tcpwhy::cli {
namespace {

using doctor::Answer;
using doctor::Probe;

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

std::string as_text(const std::vector<Probe>& probes, base::Language language, std::size_t width, bool color) {
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
    out += base::wrap(fmt::format("{}{}", label.in(language), base::escape_controls(text.in(language))), mark_columns,
                      indent, width) +
           '\n';
  };
  for (const auto& probe : probes) {
    const auto look = look_of(probe.answer);
    out += render::styled(look.style, base::fit(look.mark.in(language), mark_columns), color) +
           base::fit(probe.title.in(language), title_columns) + "  " +
           base::wrap(base::escape_controls(probe.found.in(language)), found_column, found_column, width)
               .substr(found_column) +
           '\n';
    line(needed_for, probe.needed_for);
    if (!probe.more.empty()) line(more, probe.more);
  }
  return out;
}

// The ids and answers are for programs, the texts for people.
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

}  // namespace

void add_doctor_command(CLI::App& app, Settings& settings, Command& chosen) {
  auto* doctor = app.add_subcommand("doctor", "What this machine lets us observe, and how to get more");
  const auto form = std::make_shared<Form>(Form::text);
  add_choice(*doctor, "-o,--output", *form, Choices<Form>{{"text", Form::text}, {"json", Form::json}},
             "A table (text, the default) or a JSON document");
  add_settings(*doctor, settings);
  doctor->callback([&chosen, form] {
    chosen = [form](Context& context) {
      const auto probes = doctor::examine();
      context.out.write(*form == Form::json ? as_json(probes, context.language())
                                            : as_text(probes, context.language(), context.width(), context.color()));
      return 0;
    };
  });
}

}  // namespace tcpwhy::cli
