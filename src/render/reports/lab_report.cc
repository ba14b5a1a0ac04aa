#include "render/reports/lab_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "base/language.h"
#include "base/text.h"
#include "explain/texts/catalogue.h"
#include "render/timeline/words.h"

namespace tcpwhy::render {
namespace {

using base::Language;
using explain::Answer;
using explain::Explained;

std::string label(const recording::Recording& recording, std::string_view name) {
  const auto found = recording.provenance.labels.find(std::string(name));
  return found == recording.provenance.labels.end() ? std::string() : found->second;
}

class Report {
 public:
  Report(std::span<const Explained> explained, const TextOptions& options) : explained_(explained), options_(options) {}

  std::string print() {
    for (const Explained& one : explained_)
      if (explain::questions_of(*one.recording).empty()) out_ += recording_text(one, options_) + "\n";
    auto answers = explain::answer(explained_, options_.language);
    const auto shown = shown_questions();
    std::erase_if(answers, [&](const Answer& answer) { return !shown.contains(answer.number); });
    for (const Answer& answer : answers) question(answer);
    in_short(answers);
    if (!answers.empty())
      out_ +=
          styled(Style::dim, base::wrap(word(Word::legend, options_.language), 0, 0, width()), options_.color) + "\n";
    return std::move(out_);
  }

 private:
  [[nodiscard]] std::size_t width() const { return std::max<std::size_t>(options_.width, 80); }
  [[nodiscard]] bool chinese() const { return options_.language == Language::zh; }

  void question(const Answer& answer) {
    const auto& asked = *std::ranges::find(explain::questions(), answer.number, &explain::Question::number);
    const auto text = fmt::format("{}. {}", answer.number, asked.text.in(options_.language));
    const auto rule = width() - std::min(width(), base::display_width(text) + 4);
    std::string line;
    for (std::size_t i = 0; i < rule; ++i) line += "━";
    out_ += styled(Style::heading, "━━ " + text + " " + line, options_.color) + "\n\n";
    // What answers directly comes first, then what to hold it against.
    for (const std::string_view role : {"main", "contrast"})
      for (const Explained& one : explained_) {
        const bool is_contrast = label(*one.recording, "role") == "contrast";
        if (is_contrast == (role == "contrast") && asks(one, answer.number)) experiment(one, answer.number);
      }
    print_answer(answer);
  }

  // The questions whose main experiments are here; and of a recording that none of them shows, its first.
  [[nodiscard]] std::set<int> shown_questions() const {
    std::set<int> shown;
    for (const Explained& one : explained_)
      if (label(*one.recording, "role") != "contrast")
        for (const int number : explain::questions_of(*one.recording)) shown.insert(number);
    for (const Explained& one : explained_) {
      const auto numbers = explain::questions_of(*one.recording);
      if (!numbers.empty() && std::ranges::none_of(numbers, [&](int n) { return shown.contains(n); }))
        shown.insert(numbers.front());
    }
    return shown;
  }

  static bool asks(const Explained& one, int number) {
    return std::ranges::count(explain::questions_of(*one.recording), number) > 0;
  }

  [[nodiscard]] std::string title(const Explained& one) const {
    auto text = label(*one.recording, chinese() ? "title.zh" : "title");
    if (text.empty()) text = one.recording->provenance.title;
    return base::escape_controls(text);
  }

  void experiment(const Explained& one, int number) {
    const bool contrast = label(*one.recording, "role") == "contrast";
    const auto kind = word(contrast ? Word::contrast : Word::experiment, options_.language);
    const auto shown = shown_at_.find(&one);
    if (shown != shown_at_.end()) {
      const auto text =
          fmt::format(fmt::runtime(word(Word::shown_above, options_.language)), title(one), shown->second);
      out_ += styled(Style::dim, base::wrap(fmt::format("{}: {}", kind, text), 0, 2, width()), options_.color) + "\n\n";
      return;
    }
    shown_at_[&one] = number;
    const auto heading = fmt::format("{}: {}", kind, title(one));
    const auto name = base::escape_controls(one.recording->provenance.title);
    const bool one_line = base::display_width(heading) + 2 + base::display_width(name) <= width();
    out_ += styled(Style::heading, base::wrap(heading, 0, 2, width()), options_.color) + (one_line ? "" : "\n") +
            styled(Style::dim, one_line ? "  " + name : base::wrap(name, 2, 2, width()), options_.color) + "\n";
    auto options = options_;
    options.elide_opening = options_.elide_opening && number != 1;
    const auto rows = make_rows(one.timeline, options.language);
    out_ += timeline_text(one.timeline, rows, options);
    out_ += findings_text(options.elide_opening ? beyond_opening(one.findings) : one.findings, rows, options) + "\n";
  }

  // Where the opening's rows are left out, so is what they say, unless it failed.
  static std::vector<explain::Finding> beyond_opening(std::vector<explain::Finding> findings) {
    std::erase_if(findings, [](const explain::Finding& finding) {
      return finding.rule->id.starts_with("open.") && finding.rule->severity != explain::Severity::error;
    });
    return findings;
  }

  void print_answer(const Answer& answer) {
    out_ += styled(Style::heading, std::string(word(Word::answer, options_.language)), options_.color) + "\n";
    for (const auto& clause : answer.clauses) {
      std::string text = fmt::format("▸ {} [{}]", clause.text, explain::grade_words(clause.grade, options_.language));
      out_ += "   " + base::wrap(text, 0, 5, width() - 3) + "\n";
      const auto from = fmt::format(fmt::runtime(word(Word::from_experiments, options_.language)),
                                    base::escape_controls(some_of(clause.experiments)));
      out_ += "     " + styled(Style::dim, base::wrap(from, 0, 7, width() - 5), options_.color) + "\n";
    }
    if (!answer.missing.empty()) {
      std::string ids;
      for (const auto& id : answer.missing) ids += (ids.empty() ? "" : ", ") + id;
      const auto text = fmt::format(fmt::runtime(word(Word::not_found, options_.language)), ids);
      out_ += "   " + styled(Style::dim, base::wrap(text, 0, 5, width() - 3), options_.color) + "\n";
    }
    out_ += "\n";
  }

  // At most three names; the JSON has them all.
  static std::string some_of(const std::vector<std::string>& names) {
    std::string text;
    for (std::size_t i = 0; i < std::min<std::size_t>(3, names.size()); ++i) text += (i == 0 ? "" : ", ") + names[i];
    if (names.size() > 3) text += fmt::format(" +{}", names.size() - 3);
    return text;
  }

  // The first sentence of each answer: what remains on the screen when all has scrolled by.
  void in_short(const std::vector<Answer>& answers) {
    if (answers.size() < 2) return;
    out_ += styled(Style::heading, std::string(word(Word::in_short, options_.language)), options_.color) + "\n";
    for (const Answer& answer : answers) {
      if (answer.clauses.empty()) continue;
      out_ += base::wrap(fmt::format("{}. {}", answer.number, answer.clauses.front().text), 3, 6, width()) + "\n";
    }
    out_ += "\n";
  }

  std::span<const Explained> explained_;
  const TextOptions& options_;
  std::map<const Explained*, int> shown_at_;
  std::string out_;
};

}  // namespace

std::string lab_report(std::span<const Explained> explained, const TextOptions& options) {
  return Report(explained, options).print();
}

}  // namespace tcpwhy::render
