#include "scan/tables/problems_text.h"

#include <fmt/format.h>

#include "base/format.h"
#include "base/units.h"
#include "explain/texts/catalogue.h"
#include "scan/connections/problems.h"

namespace tcpwhy::scan {

std::string problems_text(const ProblemsView& view, const TextOptions& options) {
  const auto in = [&](const base::Text& words) { return words.in(options.language); };
  Page page(options);
  for (const Kept& kept : view.rows) {
    const auto stream = view.streams.of(kept.record.first_frame);
    const auto& [client, server] = kept.record.addresses.values;
    page.folded("",
                fmt::format("{} --stream {}: {} {} {}", view.name, stream ? fmt::format("{}", *stream) : "?",
                            wire::to_string(client), kept.record.opener_known ? "→" : "–", wire::to_string(server)));
    for (const Problem& problem : kept.problems) {
      std::string text = fmt::format("{}: {}", explain::severity_words(problem.rule->severity, options.language),
                                     say(problem, kept.record, options.language));
      if (problem.count > 1) text += fmt::format(" ({}x)", base::grouped(problem.count));
      text += fmt::format(" [{}, {}", problem.rule->id, explain::grade_words(problem.grade, options.language));
      if (problem.frame != 0) text += base::format(options.language, {"; frame {}", "；帧 {}"}, problem.frame);
      page.folded("  ", text + "]");
      if (const auto advice = remedy(problem, options.language); !advice.empty())
        page.folded("    ", fmt::format("{}{}", in({"what to do: ", "怎么办："}), advice));
    }
  }
  if (view.rows.empty()) page.line(fmt::format("{}: {}", view.name, in({"no finding", "没有发现"})));
  if (view.wrong > view.rows.size())
    page.folded("", base::format(options.language,
                                 {"… and {} more connections: --top N shows N", "… 另有 {} 个连接：--top N 显示 N 个"},
                                 base::grouped(view.wrong - view.rows.size())));
  return page.take();
}

}  // namespace tcpwhy::scan
