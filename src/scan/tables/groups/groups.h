// --by: the connections of a capture in groups, by one field of theirs, in memory that does not grow with their number: what happened
// to each group, and how long its handshakes took.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/language.h"
#include "base/result.h"
#include "scan/tables/fields.h"
#include "scan/tables/summary/summary.h"

namespace tcpwhy::scan {

// What connections are grouped by: a field with few values, or the networks of an address: server.ip/16, client.ip/24/48.
class Grouping {
 public:
  // FIELD, FIELD/V4BITS, FIELD/V4BITS/V6BITS. ErrorKind::usage with what there is.
  static base::Result<Grouping> parse(std::string_view text);

  [[nodiscard]] const std::string& name() const { return name_; }  // as it was written
  [[nodiscard]] std::string column_name() const;                   // as CSV and JSON have it: "server_ip"
  // The groups that a connection is in: one, or one for each item of a list; "" where its value is not known or the list is empty.
  [[nodiscard]] std::vector<std::string> groups_of(const Row& row) const;
  // For --where: this group alone; empty where that can't be said.
  [[nodiscard]] std::string where(std::string_view group) const;

 private:
  const Field* field_ = nullptr;
  std::string name_;
  unsigned v4_bits_ = 0, v6_bits_ = 0;  // 0 and 0: the value as it is
};

struct Group : Tally {
  std::uint64_t groups = 1;             // that it stands for: more of those that are not shown
  std::vector<std::uint64_t> problems;  // connections, by rule of problem_rules(); empty: none

  void add(const ConnectionRecord& record, std::span<const Problem> problems_of_it);
  void add(const Group& other);
  void add_problem(const ProblemRule& rule, std::uint64_t connections_with_it);
};

// A column of the table of groups: one row each, for text, CSV, JSON and --sort.
struct GroupColumn {
  std::string name;    // "rtt.p50"
  base::Text heading;  // of the table of text; empty: it does not stand there
  Unit unit = Unit::none;
  FieldValue (*value)(const Group& group, std::size_t part) = nullptr;
  std::size_t part = 0;
};
std::span<const GroupColumn> group_columns();

// Which group stands before another; of equals the one whose name comes first.
class GroupOrder {
 public:
  GroupOrder();  // most connections first
  // A name of group_columns(), or `-` and that: the greatest first. ErrorKind::usage.
  static base::Result<GroupOrder> parse(std::string_view text);
  using Named = std::pair<const std::string, Group>;
  [[nodiscard]] bool operator()(const Named& a, const Named& b) const;

 private:
  const GroupColumn* column_ = nullptr;
  bool descending_ = true;
};

class Groups {
 public:
  // Told apart at once; beyond that those with the fewest connections are put together. A group has 3 kB or less as a rule.
  static constexpr std::size_t most = 10'000;

  explicit Groups(Grouping grouping) : grouping_(std::move(grouping)) {}

  void put(const Row& row);

  struct Shown {
    std::vector<GroupOrder::Named> groups;
    Group others;  // all that are not among them; its `groups` is 0 where there are none
    bool at_least =
        false;  // connections of the groups that are shown may be among the others too: there were too many groups
    std::uint64_t groups_in_all = 0;
  };
  [[nodiscard]] Shown shown(std::size_t limit, const GroupOrder& order) const;
  [[nodiscard]] const Grouping& grouping() const { return grouping_; }
  [[nodiscard]] std::uint64_t connections() const { return connections_; }

 private:
  void make_room();

  Grouping grouping_;
  std::map<std::string, Group, std::less<>> groups_;
  Group put_together_{.groups = 0};
  std::uint64_t connections_ = 0;
};

}  // namespace tcpwhy::scan
