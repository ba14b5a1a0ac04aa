#include "scan/tables/groups/groups_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <span>
#include <utility>
#include <vector>

#include "base/format.h"
#include "base/text.h"
#include "base/units.h"

namespace tcpwhy::scan {
namespace {

using base::Text;

constexpr Text ending_words[ending_count] = {{"open", "打开"},       {"half-closed", "半关闭"},
                                             {"closed", "正常关闭"}, {"closing", "正在关闭"},
                                             {"reset", "复位"},      {"never opened", "从未建立"}};

// Ids of what is wrong with how many, the most first.
std::vector<std::pair<std::string_view, std::uint64_t>> problems_of(const Group& group) {
  std::vector<std::pair<std::string_view, std::uint64_t>> counts;
  for (std::size_t i = 0; i < group.problems.size(); ++i)
    if (group.problems[i] > 0) counts.emplace_back(problem_rules()[i].id, group.problems[i]);
  std::ranges::stable_sort(counts, std::ranges::greater{}, [](const auto& count) { return count.second; });
  return counts;
}

class GroupsPage {
 public:
  GroupsPage(const GroupsView& view, const TextOptions& options) : view_(view), options_(options), page_(options) {}

  std::string run() {
    page_.line(base::escape_controls(view_.name));
    if (const Text extent = words_for(view_.extent); !extent.empty()) page_.folded("", in(extent));
    const auto& shown = view_.shown;
    const std::string connections = connections_in_words(view_.groups.connections(), view_.of, options_.language);
    if (shown.groups_in_all == 0) {
      page_.line(connections);
      return page_.take();
    }
    using Words = base::Format<std::string, std::string, std::string>;
    const Words words = shown.groups_in_all == 1 ? Words{"{0}, one group by {1}", "{0}，按 {1} 为一组"}
                                                 : Words{"{0}, {2} groups by {1}", "{0}，按 {1} 分为 {2} 组"};
    page_.folded("", base::format(options_.language, words, connections, std::string(view_.groups.grouping().name()),
                                  base::grouped(shown.groups_in_all)));
    if (shown.at_least)
      page_.folded("", base::format(options_.language,
                                    {"More groups than are told apart ({}): the smallest were put together "
                                     "meanwhile, and a group may lack what it had before.",
                                     "分组超过可区分的数量（{}）：其间最小的已被合并，某组可能缺少它先前的部分。"},
                                    base::grouped(Groups::most)));
    page_.line("");
    table();
    hint();
    return page_.take();
  }

 private:
  std::string_view in(const Text& words) const { return words.in(options_.language); }

  std::string words_for_group(const std::string& group) const {
    return group.empty() ? std::string(in({"(none)", "（无）"})) : base::escape_controls(group);
  }

  void table() {
    std::vector<std::string> names;
    std::vector<const Group*> groups;
    for (const auto& [name, group] : view_.shown.groups) {
      names.push_back(words_for_group(name));
      groups.push_back(&group);
    }
    const Group& others = view_.shown.others;
    if (others.groups > 0) {
      using Words = base::Format<std::string>;
      const Words words =
          others.groups == 1 ? Words{"({} other)", "（其他 {} 组）"} : Words{"({} others)", "（其他 {} 组）"};
      names.push_back(base::format(options_.language, words, base::grouped(others.groups)));
      groups.push_back(&others);
    }
    const Columns together = columns(names, groups);
    const bool fits = together.that_fit(options_.width) == together.columns();
    // Where the names take the room of the numbers, each stands on a line of its own.
    const Columns& shown = fits ? together : columns(std::vector<std::string>(names.size(), "  "), groups);
    const std::size_t count = shown.that_fit(options_.width);
    if (!fits) page_.line(view_.groups.grouping().name());
    page_.put(shown.headings(count));
    for (std::size_t i = 0; i < groups.size(); ++i) {
      if (!fits) page_.line(names[i]);
      page_.put(shown.line(i, count));
      endings(*groups[i]);
      problems(*groups[i]);
    }
  }

  Columns columns(const std::vector<std::string>& names, const std::vector<const Group*>& groups) const {
    const bool named = !names.front().starts_with(' ');
    std::vector<Columns::Heading> headings{{named ? view_.groups.grouping().name() : std::string("  "), false}};
    for (const GroupColumn& column : group_columns())
      if (!column.heading.empty()) headings.push_back({std::string(in(column.heading)), true});
    Columns table(std::move(headings));
    for (std::size_t i = 0; i < groups.size(); ++i) {
      std::vector<std::string> cells{names[i]};
      for (const GroupColumn& column : group_columns())
        if (!column.heading.empty()) cells.push_back(cell(column, *groups[i]));
      table.add(std::move(cells));
    }
    return table;
  }
  static std::string cell(const GroupColumn& column, const Group& group) {
    const FieldValue value = column.value(group, column.part);
    const auto* number = std::get_if<std::int64_t>(&value);
    if (number != nullptr && column.unit == Unit::none) return base::grouped(static_cast<std::uint64_t>(*number));
    return number == nullptr ? "-" : to_cell(value, column.unit);
  }

  void endings(const Group& group) {
    std::string what;
    for (std::size_t i = 0; i < ending_count; ++i)
      if (group.endings[i] > 0)
        what += fmt::format("{}{} {}", what.empty() ? std::string_view() : in({", ", "，"}), in(ending_words[i]),
                            base::grouped(group.endings[i]));
    page_.folded("    ", what);
  }
  void problems(const Group& group) {
    std::string what;
    for (const auto& [id, count] : problems_of(group))
      what += fmt::format("{}{} {}", what.empty() ? std::string_view() : in({", ", "，"}), id.substr(id.find('.') + 1),
                          base::grouped(count));
    if (!what.empty()) page_.folded("    ", what);
  }

  void hint() {
    if (view_.shown.groups.empty()) return;
    const std::string where = view_.groups.grouping().where(view_.shown.groups.front().first);
    page_.line("");
    using Words = base::Format<std::string>;
    const Words words = view_.shown.others.groups > 0
                            ? Words{"--top N shows more of them; --where '{}' only the first of these",
                                    "--top N 显示更多分组；--where '{}' 只看其中第一组"}
                            : Words{"--where '{}' shows only the first of these", "--where '{}' 只看其中第一组"};
    page_.folded("", base::format(options_.language, words, where));
  }

  const GroupsView& view_;
  const TextOptions& options_;
  Page page_;
};

// Calls `put(name, group, is_others)` for each, the others last.
template <class Put>
void for_each(const GroupsView& view, const Put& put) {
  for (const auto& [name, group] : view.shown.groups) put(name.empty() ? FieldValue() : FieldValue(name), group, false);
  if (view.shown.others.groups > 0) put(FieldValue(), view.shown.others, true);
}

}  // namespace

std::string groups_text(const GroupsView& view, const TextOptions& options) { return GroupsPage(view, options).run(); }

std::string groups_csv(const GroupsView& view) {
  std::string text = view.groups.grouping().column_name() + ",others,groups";
  for (const GroupColumn& column : group_columns()) text += "," + column_name(column.name);
  text += ",problems\n";
  for_each(view, [&](const FieldValue& name, const Group& group, bool others) {
    text += fmt::format("{},{},{}", to_csv(name), others, group.groups);
    for (const GroupColumn& column : group_columns()) text += "," + to_csv(column.value(group, column.part));
    std::string problems;
    for (const auto& [id, count] : problems_of(group))
      problems += fmt::format("{}{}={}", problems.empty() ? "" : " ", id, count);
    text += "," + problems + "\n";
  });
  return text;
}

std::string groups_ndjson(const GroupsView& view) {
  std::string text;
  for_each(view, [&](const FieldValue& name, const Group& group, bool others) {
    text += fmt::format("{{\"{}\":{},\"others\":{},\"groups\":{}", view.groups.grouping().column_name(), to_json(name),
                        others, group.groups);
    for (const GroupColumn& column : group_columns())
      text += fmt::format(",\"{}\":{}", column_name(column.name), to_json(column.value(group, column.part)));
    std::string problems;
    for (const auto& [id, count] : problems_of(group))
      problems += fmt::format("{}\"{}\":{}", problems.empty() ? "" : ",", id, count);
    text += ",\"problems\":{" + problems + "}}\n";
  });
  return text;
}

std::string groups_json(const GroupsView& view) {
  constexpr std::string_view extents[] = {"whole", "cut", "stopped"};
  std::string lines = groups_ndjson(view);
  std::string items;
  for (std::string_view rest = lines; !rest.empty();) {
    const std::size_t end = rest.find('\n');
    items += fmt::format("{}\n    {}", items.empty() ? "" : ",", rest.substr(0, end));
    rest.remove_prefix(end + 1);
  }
  return fmt::format(
      "{{\n  \"schema\": \"{}\",\n  \"by\": {},\n  \"capture\": \"{}\",\n  \"connections\": {},\n  \"of\": {},\n"
      "  \"groups_in_all\": {},\n  \"at_least\": {},\n  \"groups\": [{}\n  ]\n}}\n",
      groups_schema, to_json(FieldValue(view.groups.grouping().name())), extents[static_cast<std::size_t>(view.extent)],
      view.groups.connections(), view.of.value_or(view.groups.connections()), view.shown.groups_in_all,
      view.shown.at_least, items);
}

}  // namespace tcpwhy::scan
