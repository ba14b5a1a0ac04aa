#include "scan/tables/groups/groups.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <utility>

#include "base/format.h"
#include "base/text.h"
#include "scan/connections/network.h"
#include "scan/tables/nearest.h"

namespace tcpwhy::scan {
namespace {

std::vector<std::string_view> names_to_group_by() {
  std::vector<std::string_view> names;
  for (const Field& field : fields())
    if (has_few_values(field)) names.push_back(field.name);
  return names;
}

base::OwnedText all_of(std::span<const std::string_view> names, std::string_view near) {
  return base::format({"{}there are {}", "{}可用：{}"}, did_you_mean(near), fmt::format("{}", fmt::join(names, ", ")));
}

std::optional<unsigned> parse_bits(std::string_view text, unsigned most) {
  unsigned bits = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), bits);
  if (error != std::errc() || end != text.data() + text.size() || bits > most || bits == 0) return std::nullopt;
  return bits;
}

}  // namespace

// ---- Grouping

base::Result<Grouping> Grouping::parse(std::string_view text) {
  const std::size_t slash = std::min(text.find('/'), text.size());
  const std::string_view name = text.substr(0, slash);
  Grouping grouping;
  grouping.field_ = find_field(name);
  grouping.name_ = text;
  const auto names = names_to_group_by();
  if (grouping.field_ == nullptr)
    return base::fail(base::ErrorKind::usage,
                      base::format({"--by: there is no field {}", "--by：没有字段 {}"}, base::quote(name)),
                      all_of(names, nearest_field(name)));
  if (!has_few_values(*grouping.field_))
    return base::fail(base::ErrorKind::usage,
                      base::format({"--by: {} has too many values for groups", "--by：{} 的取值太多，不能分组"},
                                   grouping.field_->name),
                      all_of(names, {}));
  if (slash == text.size()) return grouping;
  const std::string_view lengths = text.substr(slash + 1);
  const std::size_t second = std::min(lengths.find('/'), lengths.size());
  const auto v4_bits = parse_bits(lengths.substr(0, second), bits_of_v4);
  const auto v6_bits =
      second == lengths.size() ? std::optional(64U) : parse_bits(lengths.substr(second + 1), bits_of_v6);
  const Type type = grouping.field_->type;
  if ((type != Type::address && type != Type::network) || !v4_bits || !v6_bits)
    return base::fail(base::ErrorKind::usage,
                      base::format({"--by: {} names no networks", "--by：{} 不表示网络"}, base::quote(text)),
                      {"--by client.ip/16, --by server.ip/24/48 with the length for IPv6",
                       "--by client.ip/16；--by server.ip/24/48，后者是 IPv6 的长度"});
  grouping.v4_bits_ = *v4_bits, grouping.v6_bits_ = *v6_bits;
  return grouping;
}

std::string Grouping::column_name() const { return scan::column_name(field_->name); }

std::vector<std::string> Grouping::groups_of(const Row& row) const {
  if (v4_bits_ != 0) {
    const wire::IpAddress& address = row.record.addresses[field_->values.side].ip;
    return {to_string(Network::around(address, v4_bits_, v6_bits_))};
  }
  const FieldValue value = field_->value(row);
  if (const auto* list = std::get_if<std::vector<std::string_view>>(&value)) {
    if (list->empty()) return {std::string()};
    std::vector<std::string> groups(list->begin(), list->end());
    // A connection counts once in each.
    std::ranges::sort(groups);
    const auto twice = std::ranges::unique(groups);
    groups.erase(twice.begin(), twice.end());
    return groups;
  }
  return {to_csv(value)};
}

std::string Grouping::where(std::string_view group) const {
  if (group.empty()) return fmt::format("not {}", field_->name);
  const bool plain = group.find_first_of(" ()\"'") == std::string_view::npos;
  return fmt::format("{}={}", field_->name, plain ? std::string(group) : fmt::format("\"{}\"", group));
}

// ---- Group

void Group::add_problem(const ProblemRule& rule, std::uint64_t connections_with_it) {
  problems.resize(problem_rules().size());
  problems[static_cast<std::size_t>(&rule - problem_rules().data())] += connections_with_it;
}

void Group::add(const ConnectionRecord& record, std::span<const Problem> problems_of_it) {
  Tally::add(record, problems_of_it);
  for (const Problem& problem : problems_of_it) add_problem(*problem.rule, 1);
}

void Group::add(const Group& other) {
  Tally::add(other);
  groups += other.groups;
  for (std::size_t i = 0; i < other.problems.size(); ++i)
    if (other.problems[i] > 0) add_problem(problem_rules()[i], other.problems[i]);
}

// ---- columns

std::span<const GroupColumn> group_columns() {
  static const std::vector<GroupColumn> all = [] {
    std::vector<GroupColumn> columns{
        {"connections",
         {"connections", "连接"},
         Unit::none,
         [](const Group& g, std::size_t) -> FieldValue { return static_cast<std::int64_t>(g.connections); }},
        {"wrong",
         {"wrong", "有问题"},
         Unit::none,
         [](const Group& g, std::size_t) -> FieldValue { return static_cast<std::int64_t>(g.wrong); }},
        {"bytes",
         {"bytes", "字节"},
         Unit::bytes,
         [](const Group& g, std::size_t) -> FieldValue { return static_cast<std::int64_t>(g.bytes); }},
        {"segments",
         {},
         Unit::none,
         [](const Group& g, std::size_t) -> FieldValue { return static_cast<std::int64_t>(g.segments); }},
        {"retransmissions",
         {},
         Unit::none,
         [](const Group& g, std::size_t) -> FieldValue { return static_cast<std::int64_t>(g.retransmissions); }},
    };
    constexpr std::pair<std::size_t, base::Text> shares[] = {
        {50, {"rtt p50", "RTT p50"}}, {90, {"p90", "p90"}}, {99, {"p99", "p99"}}};
    for (const auto& [percent, heading] : shares)
      columns.push_back({fmt::format("rtt.p{}", percent), heading, Unit::nanoseconds,
                         [](const Group& g, std::size_t part) -> FieldValue {
                           if (g.handshake.count() == 0) return {};
                           return g.handshake.quantile(static_cast<double>(part) / 100);
                         },
                         percent});
    for (std::size_t i = 0; i < opening_count; ++i)
      columns.push_back(
          {fmt::format("opening.{}", name(static_cast<Opening>(i))),
           {},
           Unit::none,
           [](const Group& g, std::size_t part) -> FieldValue { return static_cast<std::int64_t>(g.openings[part]); },
           i});
    for (std::size_t i = 0; i < ending_count; ++i)
      columns.push_back(
          {fmt::format("ending.{}", name(static_cast<Ending>(i))),
           {},
           Unit::none,
           [](const Group& g, std::size_t part) -> FieldValue { return static_cast<std::int64_t>(g.endings[part]); },
           i});
    return columns;
  }();
  return all;
}

// ---- order

GroupOrder::GroupOrder() : column_(group_columns().data()) {}

base::Result<GroupOrder> GroupOrder::parse(std::string_view text) {
  GroupOrder order;
  order.descending_ = text.starts_with('-');
  if (order.descending_) text.remove_prefix(1);
  const auto columns = group_columns();
  const auto found = std::ranges::find(columns, text, [](const GroupColumn& c) { return std::string_view(c.name); });
  if (found == columns.end()) {
    std::vector<std::string_view> names;
    for (const GroupColumn& column : columns) names.push_back(column.name);
    return base::fail(base::ErrorKind::usage,
                      base::format({"--sort: groups have no column {}", "--sort：分组没有列 {}"}, base::quote(text)),
                      all_of(names, nearest(text, names)));
  }
  order.column_ = &*found;
  return order;
}

bool GroupOrder::operator()(const Named& a, const Named& b) const {
  const FieldValue left = column_->value(a.second, column_->part), right = column_->value(b.second, column_->part);
  if (left == right) return a.first < b.first;
  return comes_before(left, right, descending_);
}

// ---- Groups

void Groups::put(const Row& row) {
  ++connections_;
  for (std::string& key : grouping_.groups_of(row)) {
    auto found = groups_.find(key);
    if (found == groups_.end()) {
      if (groups_.size() >= most) make_room();
      found = groups_.try_emplace(std::move(key)).first;
    }
    found->second.add(row.record, row.problems);
  }
}

void Groups::make_room() {
  using Place = std::map<std::string, Group, std::less<>>::iterator;
  std::vector<Place> places;
  places.reserve(groups_.size());
  for (auto place = groups_.begin(); place != groups_.end(); ++place) places.push_back(place);
  const auto middle = places.begin() + static_cast<std::ptrdiff_t>(places.size() / 2);
  std::ranges::nth_element(places, middle, [](const Place& a, const Place& b) {
    return std::pair(-static_cast<std::int64_t>(a->second.connections), std::string_view(a->first)) <
           std::pair(-static_cast<std::int64_t>(b->second.connections), std::string_view(b->first));
  });
  for (auto place = middle; place != places.end(); ++place) {
    put_together_.add((*place)->second);
    groups_.erase(*place);
  }
}

Groups::Shown Groups::shown(std::size_t limit, const GroupOrder& order) const {
  std::vector<const GroupOrder::Named*> sorted;
  sorted.reserve(groups_.size());
  for (const auto& group : groups_) sorted.push_back(&group);
  std::ranges::sort(sorted, [&](const auto* a, const auto* b) { return order(*a, *b); });
  Shown shown;
  shown.others = put_together_;
  shown.at_least = put_together_.groups > 0;
  shown.groups_in_all = groups_.size() + put_together_.groups;
  for (std::size_t i = 0; i < sorted.size(); ++i) {
    if (i < limit)
      shown.groups.push_back(*sorted[i]);
    else
      shown.others.add(sorted[i]->second);
  }
  return shown;
}

}  // namespace tcpwhy::scan
